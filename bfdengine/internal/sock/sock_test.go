package sock

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/testns"
)

func TestMain(m *testing.M) { os.Exit(testns.Main(m)) }

func listen(t *testing.T, addr string, port uint16) *Receiver {
	t.Helper()
	testns.Need(t)
	r, err := Listen(netip.MustParseAddr(addr), port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func dial(t *testing.T, p Path) Sender {
	t.Helper()
	s, err := Dial(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// read waits for one datagram.
func read(t *testing.T, r *Receiver) Datagram {
	t.Helper()
	w, err := NewWaiter([]*Receiver{r})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Park(5 * time.Second)
	got, _, _, err := r.Read(NewBatch(), time.Now())
	if err != nil || len(got) != 1 {
		t.Fatalf("got %d datagrams, %v", len(got), err)
	}
	return got[0]
}

func TestDatagramsTellWhereTheyCameFrom(t *testing.T) {
	for _, tt := range []struct{ listen, local, peer, dev string }{
		{"0.0.0.0", "127.0.0.2", "127.0.0.3", ""},
		{"0.0.0.0", "127.0.0.2", "127.0.0.3", "lo"},
		{"127.0.0.3", "127.0.0.2", "127.0.0.3", ""},
		{"::", "::1", "::1", ""},
		{"::", "::1", "::1", "lo"},
	} {
		t.Run(tt.listen+" "+tt.dev, func(t *testing.T) {
			r := listen(t, tt.listen, 3784)
			local, peer := netip.MustParseAddr(tt.local), netip.MustParseAddr(tt.peer)
			s := dial(t, Path{Local: local, Peer: peer, Interface: tt.dev, SourcePort: 50000, Port: 3784})
			before := time.Now()
			if errno := s.Send([]byte("hello")); errno != 0 {
				t.Fatal(errno)
			}
			d := read(t, r)
			if d.Peer != local || d.Local != peer || d.TTL != 255 || d.Interface != 1 || d.Port != 3784 || string(d.Payload) != "hello" {
				t.Errorf("%+v: got %+v", tt, d)
			}
			if d.At.Before(before) || d.At.After(time.Now()) {
				t.Errorf("%+v: stamped %v before it was sent or after it was read", tt, d.At.Sub(before))
			}
			if at, err := s.Local(); err != nil || at != netip.AddrPortFrom(local, 50000) {
				t.Errorf("%+v: sends from %v, %v", tt, at, err)
			}
		})
	}
}

// RFC 9764: a packet may be padded to 9 KB. What is read of it is enough.
func TestLongDatagramsAreCut(t *testing.T) {
	r := listen(t, "0.0.0.0", 3784)
	s := dial(t, Path{Peer: netip.MustParseAddr("127.0.0.3"), SourcePort: 50000, Port: 3784})
	s.Send(bytes.Repeat([]byte{7}, 9000))
	if d := read(t, r); len(d.Payload) != payloadLen {
		t.Errorf("got %d bytes", len(d.Payload))
	}
}

func TestStampsAreConvertedOnceAndClamped(t *testing.T) {
	now := time.Now()
	r := &Receiver{since: now.Add(-time.Second)}
	for _, tt := range []struct {
		why  string
		age  time.Duration
		want time.Duration
	}{
		{"as stamped", 3 * time.Millisecond, 3 * time.Millisecond},
		{"the wall clock was set back: not in the future", -time.Hour, 0},
		{"the wall clock was set forward: not before the last read", time.Hour, time.Second},
	} {
		if got := now.Sub(r.at(now, int64(tt.age))); got != tt.want {
			t.Errorf("%s: %v ago, want %v", tt.why, got, tt.want)
		}
	}
}

// Otherwise a burst that we could not read would look like a peer's silence.
func TestLossForWantOfRoomIsTold(t *testing.T) {
	r := listen(t, "0.0.0.0", 3784)
	if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096); err != nil {
		t.Fatal(err)
	}
	s := dial(t, Path{Peer: netip.MustParseAddr("127.0.0.3"), SourcePort: 50000, Port: 3784})
	b, sent, got, lost := NewBatch(), 0, 0, 0
	drain := func() {
		for more := true; more; {
			ds, l, m, err := r.Read(b, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			got, lost, more = got+len(ds), lost+l, m
		}
	}
	for range 2 { // the second round's datagrams carry the count of the first
		for range 100 {
			s.Send(make([]byte, 24))
			sent++
		}
		drain()
	}
	s.Send(make([]byte, 24))
	sent++
	drain()
	if lost == 0 || got+lost != sent {
		t.Errorf("%d sent, %d read, %d lost", sent, got, lost)
	}
}

// A connected socket tells of "port unreachable" at the next send, in its place.
func TestRefusedPacketsDoNotSwallowTheNext(t *testing.T) {
	testns.Need(t)
	peer := netip.MustParseAddr("127.0.0.3")
	s := dial(t, Path{Peer: peer, SourcePort: 50000, Port: 3784})
	s.Send([]byte("refused")) // on loopback the answer is there at once
	r := listen(t, "0.0.0.0", 3784)
	if errno := s.Send([]byte("next")); errno != 0 {
		t.Fatal(errno)
	}
	if d := read(t, r); string(d.Payload) != "next" {
		t.Errorf("got %q", d.Payload)
	}
}

func TestDialSaysWhatIsWrong(t *testing.T) {
	testns.Need(t)
	for _, tt := range []struct {
		path Path
		want string
	}{
		{Path{Peer: netip.MustParseAddr("127.0.0.3"), Interface: "nope0"}, "interface nope0: no such device"},
		{Path{Peer: netip.MustParseAddr("127.0.0.3"), Local: netip.MustParseAddr("192.0.2.1"), SourcePort: 50000}, "bind 192.0.2.1:50000: cannot assign requested address"},
		{Path{Peer: netip.MustParseAddr("192.0.2.9"), Port: 3784}, "connect: network is unreachable"},
	} {
		s, err := Dial(tt.path)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || s.Open() {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

// waits are the two ways to wait for everything.
func waits(w *Waiter) map[string]func(time.Duration) bool {
	return map[string]func(time.Duration) bool{"wait": w.Wait, "park": w.Park}
}

func TestWakeEndsAWaitOnce(t *testing.T) {
	w, err := NewWaiter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for name, wait := range waits(w) {
		w.Wake()
		w.Wake()
		if !wait(10*time.Second) || wait(0) || wait(time.Millisecond) {
			t.Errorf("%s: two wakes before a wait are one", name)
		}
		go w.Wake() // ends by itself
		woken := false
		for began := time.Now(); !woken && time.Since(began) < 10*time.Second; {
			woken = wait(10 * time.Second) // or returns early for nothing
		}
		if !woken {
			t.Errorf("%s: a wake did not end it", name)
		}
	}
}

// Whichever way comes after which, and as often as one likes.
func TestDatagramsAndTimeEndAWait(t *testing.T) {
	r := listen(t, "0.0.0.0", 3784)
	w, err := NewWaiter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := dial(t, Path{Peer: netip.MustParseAddr("127.0.0.3"), SourcePort: 50000, Port: 3784})
	b := NewBatch()
	for range 3 {
		for name, wait := range waits(w) {
			w.Park(time.Microsecond) // before it knows r
			w.Add(r)
			for range 2 {
				s.Send([]byte("hello"))
				began := time.Now()
				if wait(10*time.Second) || time.Since(began) > 5*time.Second {
					t.Errorf("%s: a datagram did not end it", name)
				}
				if got, _, _, err := r.Read(b, time.Now()); len(got) != 1 || err != nil {
					t.Errorf("%s: %d datagrams, %v", name, len(got), err)
				}
			}
			began := time.Now()
			for time.Since(began) < 2*time.Millisecond {
				before := time.Now()
				if wait(2*time.Millisecond) || time.Since(before) > 5*time.Second {
					t.Errorf("%s: time did not end it", name)
				}
			}
			w.Drop(r)
			s.Send([]byte("hello"))
			before := time.Now()
			if w.Park(time.Millisecond); time.Since(before) < time.Millisecond {
				t.Errorf("a socket that is not waited for ended it after %v", time.Since(before))
			}
			r.Read(b, time.Now())
		}
	}
}

// A descriptor that no epoll takes is as good as no epoll.
func TestWithoutAParkOneWaits(t *testing.T) {
	w, err := NewWaiter([]*Receiver{{fd: -1}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Wake()
	if !w.Park(10*time.Second) || w.park != nil {
		t.Error("a wake did not end it")
	}
}

// While the worker moderates, packets don't wake it, but callers do.
func TestOnlyAWakeEndsADoze(t *testing.T) {
	r := listen(t, "0.0.0.0", 3784)
	w, err := NewWaiter([]*Receiver{r})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	dial(t, Path{Peer: netip.MustParseAddr("127.0.0.3"), SourcePort: 50000, Port: 3784}).Send([]byte("hello"))
	began := time.Now()
	if w.Doze(time.Millisecond) || time.Since(began) < time.Millisecond {
		t.Errorf("a doze of 1 ms ended after %v", time.Since(began))
	}
	w.Wake()
	if !w.Doze(time.Millisecond) {
		t.Error("a wake did not end a doze")
	}
}

func TestNothingIsAllocatedForAPacket(t *testing.T) {
	r := listen(t, "::", 3784)
	s := dial(t, Path{Peer: netip.IPv6Loopback(), SourcePort: 50000, Port: 3784})
	w, err := NewWaiter([]*Receiver{r})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	b, p := NewBatch(), make([]byte, 24)
	for name, wait := range waits(w) {
		got := 0
		if n := testing.AllocsPerRun(100, func() {
			s.Send(p)
			wait(time.Second)
			ds, _, _, _ := r.Read(b, time.Now())
			got += len(ds)
		}); n > 0 || got != 101 {
			t.Errorf("%s: %v allocations, %d datagrams", name, n, got)
		}
	}
}
