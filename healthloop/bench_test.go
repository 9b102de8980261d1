package healthloop

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
)

// An easy is a backend that is always well and costs nothing to ask.
type easy struct{}

func (easy) Probe(context.Context) error { return nil }

// A deaf hears nothing.
type deaf struct{}

func (deaf) Intent(string, Intent) {}
func (deaf) Removed(string)        {}

// thousands is n backends in VIPs of four.
func thousands(n int) []VIP {
	vips := make([]VIP, 0, n/4)
	for i := range n / 4 {
		vips = append(vips, vipOf(fmt.Sprint("vip", i), count(1), easy{}, easy{}, easy{}, easy{}))
	}
	return vips
}

// BenchmarkTenThousandAtOneSecond is what the loop costs when it asks 10,000
// backends a second, in percent of a core. The prober's part is nothing.
func BenchmarkTenThousandAtOneSecond(b *testing.B) {
	var late []time.Duration
	l := New(Options{Sink: deaf{}, Late: func(d time.Duration) { late = append(late, d) }})
	if err := l.Apply(b.Context(), thousands(10_000)); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	<-time.After(12 * time.Second) // all in their slots
	runtime.GC()
	before, start := cpuTime(), time.Now()
	b.ResetTimer()
	for b.Loop() {
		<-time.After(5 * time.Second)
	}
	spent, wall := cpuTime()-before, time.Since(start)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	slices.Sort(late)
	b.ReportMetric(100*float64(spent)/float64(wall), "%core")
	b.ReportMetric(float64(late[len(late)*99/100].Microseconds()), "p99-late-µs")
	b.ReportMetric(float64(late[len(late)-1].Microseconds()), "max-late-µs")
	b.ReportMetric(float64(m.HeapInuse+m.StackInuse)/10_000, "B/backend")
}

// cpuTime is what this process has had of all cores.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // can't fail with these arguments
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkProbe is one turn of one of 10,000 backends, from its alarm to its
// answer.
func BenchmarkProbe(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	l := New(Options{Sink: deaf{}})
	s := <-l.idle
	s.running = ctx
	s.put(thousands(10_000), nil, l.epoch)
	b.ReportAllocs()
	for b.Loop() {
		now := l.epoch.Add(s.alarms[0].at)
		s.alarms[0].ring(now)
		s.answered(<-s.answers, now)
	}
}

func BenchmarkDecide(b *testing.B) {
	p := Policy{MinHealthy: Threshold{Count: 1}, LinkBandwidth: LinkBandwidth{PerWeight: 1}}.degraded(Threshold{Percent: 50})
	in := Inputs{Tally: of(2, 0, 3)}
	b.ReportAllocs()
	for b.Loop() {
		Decide(p, in, noon)
	}
}

// probed is a loop of 40,000 backends that have been asked often.
func probed(b *testing.B) *Loop {
	l := New(Options{Sink: deaf{}})
	if err := l.Apply(b.Context(), thousands(40_000)); err != nil {
		b.Fatal(err)
	}
	s := <-l.idle
	defer func() { l.idle <- s }()
	for _, b := range s.everyone() {
		for range len(b.recent.ring) {
			s.record(b, &asker{asked: l.epoch, began: l.epoch, took: time.Millisecond}, l.epoch)
		}
	}
	return l
}

func BenchmarkSnapshot(b *testing.B) {
	l := probed(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Snapshot(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApplyUnchanged(b *testing.B) {
	l := New(Options{Sink: deaf{}})
	vips := thousands(40_000)
	for b.Loop() {
		if err := l.Apply(b.Context(), vips); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookAtOne(b *testing.B) {
	l := probed(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Look(b.Context(), []string{"vip5000"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPutOne(b *testing.B) {
	l := probed(b)
	vips := [][]VIP{thousands(4), thousands(8)[:1]}
	vips[1][0].Backends = vips[1][0].Backends[:3]
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := l.Put(b.Context(), vips[i%2], nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAddAndRemoveOne(b *testing.B) {
	l := probed(b)
	v := []VIP{vipOf("new", count(1), easy{}, easy{}, easy{}, easy{})}
	for b.Loop() {
		if err := errors.Join(l.Put(b.Context(), v, nil), l.Put(b.Context(), nil, []string{"new"})); err != nil {
			b.Fatal(err)
		}
	}
}
