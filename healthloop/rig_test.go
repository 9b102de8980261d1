package healthloop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errRefused = &Failure{ReasonRefused, errors.New("connection refused")}

// A script is a backend that answers as it is told.
type script struct {
	mu      sync.Mutex // the script is the test's and the probe's
	bad     error      // the answer
	takes   time.Duration
	asked   []time.Time
	running int
	most    int // probes at a time
	cut     int // probes that ended with their context
}

func (s *script) Probe(ctx context.Context) error {
	s.mu.Lock()
	s.asked = append(s.asked, time.Now())
	s.running++
	s.most = max(s.most, s.running)
	takes := s.takes
	s.mu.Unlock()
	var err error
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if err != nil {
		s.cut++
		return err
	}
	return s.bad
}

func (s *script) set(bad error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad = bad
}

func (s *script) take(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes = d
}

// counts is how often the backend was asked since the last call of since, and
// how many probes were cut, at all.
func (s *script) counts() (asked, cut int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked), s.cut
}

// wait lets the time pass until the backend was asked so often.
func (s *script) wait(n int) {
	for asked := 0; asked < n; asked, _ = s.counts() {
		time.Sleep(tick)
		synctest.Wait()
	}
}

// since returns when the backend was asked, from the last call on.
func (s *script) since(start time.Time) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	ds := []time.Duration{}
	for _, t := range s.asked {
		ds = append(ds, t.Sub(start))
	}
	s.asked = nil
	return ds
}

// A rig is a loop under test with all that it said since the last want.
type rig struct {
	*Loop
	t     *testing.T
	start time.Time
	stop  func() error

	mu    sync.Mutex // of what the test shares with the loop's owner
	said  []string
	moved []string // what the loop said that it changed
	late  time.Duration
	stall time.Duration // how long the sink lets the owner wait, once
}

func (r *rig) Intent(vip string, i Intent) {
	r.say("%s %s", vip, i.Reason)
	r.mu.Lock()
	stall := r.stall
	r.stall = 0
	r.mu.Unlock()
	time.Sleep(stall)
}
func (r *rig) Removed(vip string) { r.say("%s removed", vip) }

func (r *rig) say(format string, args ...any) {
	at := time.Since(r.start).Round(time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, at.String()+" "+fmt.Sprintf(format, args...))
}

// newRig is a rig whose loop does not run yet.
func newRig(t *testing.T) *rig {
	r := &rig{t: t, start: time.Now(), stop: func() error { return nil }}
	r.Loop = New(Options{
		Sink: r,
		Changed: func(vip string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.moved = append(r.moved, vip)
		},
		Late: func(d time.Duration) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.late = max(r.late, d)
		},
	})
	return r
}

// run starts Run; stop ends it and waits for it.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
}

// loopTest runs f in a bubble with a running loop that wants these VIPs.
func loopTest(t *testing.T, vips []VIP, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		r.apply(vips...)
		f(r)
		if err := r.stop(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func (r *rig) apply(vips ...VIP) {
	r.t.Helper()
	r.must(r.Apply(r.t.Context(), vips))
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// until lets the time pass until so long after the start.
func (r *rig) until(d time.Duration) {
	time.Sleep(time.Until(r.start.Add(d)))
	synctest.Wait()
}

// want compares all that was said with all that should have been.
func (r *rig) want(said ...string) {
	r.t.Helper()
	if got := r.heard(); !slices.Equal(got, said) {
		r.t.Errorf("said\n%q, want\n%q", got, said)
	}
}

// heard is all that was said since the last call.
func (r *rig) heard() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	said := r.said
	r.said = nil
	return said
}

// changes are the VIPs that changed since the last call, once for each time
// that the loop said so.
func (r *rig) changes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	moved := r.moved
	r.moved = nil
	return moved
}

// stalled makes the sink hold up the loop, once.
func (r *rig) stalled(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stall = d
}

func (r *rig) status() Status {
	r.t.Helper()
	s, err := r.Snapshot(r.t.Context())
	r.must(err)
	return s
}

var everySecond = Timing{Interval: time.Second, Timeout: 500 * time.Millisecond, Rise: 2, Fall: 3}

func vipOf(name string, p Policy, probers ...Prober) VIP {
	v := VIP{Name: name, Policy: p}
	for i, prober := range probers {
		v.Backends = append(v.Backends, Backend{
			Name: fmt.Sprintf("b%d", i), Weight: 1, Timing: everySecond, Kind: "script", Prober: prober,
		})
	}
	return v
}
