package bfdengine

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine/internal/testns"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// The load's two ends are processes in namespaces of their own, joined by a veth
// pair. loadPeer in the environment makes a test binary the far one.
const (
	loadPeer  = "BFD_LOAD_PEER"
	loadNear  = "10.0.0.1"
	loadSpell = 8 * time.Second
)

func loadFar(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}) }

func loadSpec(i int, far bool, interval time.Duration) Spec {
	s := Spec{
		Key:    Key{Local: netip.MustParseAddr(loadNear), Peer: loadFar(i)},
		Params: Params{DesiredMinTx: interval, RequiredMinRx: interval, DetectMult: 3},
	}
	if far {
		s.Local, s.Peer = s.Peer, s.Local
	}
	return s
}

// load adds n sessions to a running engine and waits until all are up.
func load(ctx context.Context, e *Engine, n int, far bool, interval time.Duration) error {
	sub := e.Subscribe()
	defer sub.Close()
	for i := range n {
		if err := e.Add(ctx, loadSpec(i+1, far, interval)); err != nil {
			return err
		}
	}
	for up := 0; up < n; {
		changes, err := sub.Next(ctx)
		if err != nil {
			return fmt.Errorf("%d of %d up: %w", up, n, err)
		}
		for _, c := range changes {
			if c.To == packet.Up {
				up++
			}
			if c.From == packet.Up {
				up--
			}
		}
	}
	return nil
}

// runLoadPeer is the far process: its argument is "sessions interval".
func runLoadPeer(arg string) int {
	var n int
	var interval time.Duration
	fmt.Sscan(arg, &n, (*durationFlag)(&interval))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var line string
	fmt.Scanln(&line) // the network is ready
	e, err := New(Options{})
	if err == nil {
		err = e.Listen()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load peer:", err)
		return 1
	}
	go load(ctx, e, n, true, interval)
	if err := e.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "load peer:", err)
		return 1
	}
	return 0
}

type durationFlag time.Duration

func (d *durationFlag) Scan(state fmt.ScanState, _ rune) error {
	word, err := state.Token(true, nil)
	if err != nil {
		return err
	}
	v, err := time.ParseDuration(string(word))
	*d = durationFlag(v)
	return err
}

// startLoadPeer starts the far process and lays the cable.
func startLoadPeer(t testing.TB, n int, interval time.Duration) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%d %v", loadPeer, n, interval))
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
	})
	pid := strconv.Itoa(c.Process.Pid)
	for _, line := range []string{
		"ip link add near0 type veth peer name far0 netns " + pid,
		"ip addr add " + loadNear + "/24 dev near0",
		"ip link set near0 up",
		// Through one neighbor: the kernel's table of them ends at 1024.
		"ip route add 10.1.0.0/16 via 10.0.0.2",
		"nsenter -n -t " + pid + " ip link set lo up",
		"nsenter -n -t " + pid + " ip addr add 10.0.0.2/24 dev far0",
		"nsenter -n -t " + pid + " ip link set far0 up",
		"nsenter -n -t " + pid + " ip route add local 10.1.0.0/16 dev far0",
	} {
		words := strings.Fields(line)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	t.Cleanup(func() { exec.Command("ip", "link", "del", "near0").Run() })
	fmt.Fprintln(in, "go")
}

// BenchmarkLoad tells what a packet costs (of this process, both ways together)
// while n sessions are up, with and without moderation. Its time is fixed.
func BenchmarkLoad(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root, for a second namespace")
	}
	for _, tt := range []struct {
		n        int
		interval time.Duration
		window   time.Duration
	}{
		{1000, 100 * time.Millisecond, 0},
		{1000, 100 * time.Millisecond, defaultWindow},
		{1000, 100 * time.Millisecond, 2 * defaultWindow},
		{4000, 100 * time.Millisecond, defaultWindow},
		{64, 10 * time.Millisecond, defaultWindow},
	} {
		b.Run(fmt.Sprintf("%d×%v/window=%v", tt.n, tt.interval, tt.window), func(b *testing.B) {
			testns.Need(b)
			startLoadPeer(b, tt.n, tt.interval)
			e := startLoad(b, tt.window)
			settle, cancel := context.WithTimeout(b.Context(), 30*time.Second)
			defer cancel()
			if err := load(settle, e, tt.n, false, tt.interval); err != nil {
				b.Fatal(err)
			}
			s0, cpu0, began := e.Stats(), cpu(), time.Now()
			downs := e.downs(b.Context(), loadSpell)
			s1, spent, took := e.Stats(), cpu()-cpu0, time.Since(began)
			packets := s1.Received + s1.Sent - s0.Received - s0.Sent
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(spent.Microseconds())/float64(packets), "µs/packet")
			b.ReportMetric(100*spent.Seconds()/took.Seconds(), "cpu%")
			b.ReportMetric(float64(packets)/took.Seconds(), "packets/s")
			b.ReportMetric(float64(s1.Wakes-s0.Wakes)/took.Seconds(), "wakes/s")
			b.ReportMetric(float64(downs), "downs")
			b.ReportMetric(s1.SendLateness.quantile(s0.SendLateness, .5)*1e3, "p50-late-ms")
			b.ReportMetric(s1.SendLateness.quantile(s0.SendLateness, .99)*1e3, "p99-late-ms")
			b.ReportMetric(float64(s1.Lost-s0.Lost), "lost")
			b.ReportMetric(float64(s1.Excused-s0.Excused), "excused")
		})
	}
}

func startLoad(b *testing.B, window time.Duration) *Engine {
	b.Helper()
	e, err := New(Options{Farewell: -1})
	if err != nil {
		b.Fatal(err)
	}
	e.options.window = window
	if err := e.Listen(); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
	return e
}

// downs counts sessions that leave Up during a spell.
func (e *Engine) downs(ctx context.Context, spell time.Duration) (n int) {
	sub := e.Subscribe()
	defer time.AfterFunc(spell, sub.Close).Stop()
	for {
		changes, err := sub.Next(ctx)
		if err != nil {
			return n
		}
		for _, c := range changes {
			if c.From == packet.Up {
				n++
			}
		}
	}
}

// quantile is the bound under which the share q of the values since then is.
func (h Histogram) quantile(since Histogram, q float64) float64 {
	total, sum := uint64(0), uint64(0)
	for i := range h.Counts {
		total += h.Counts[i] - since.Counts[i]
	}
	for i, bound := range h.Bounds {
		if sum += h.Counts[i] - since.Counts[i]; float64(sum) >= q*float64(total) {
			return bound
		}
	}
	return h.Bounds[len(h.Bounds)-1]
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
