package bfdengine

import (
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/internal/wheel"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

const (
	// A worker that was kept from running for so long notes a stall.
	stallFrom = 5 * time.Millisecond
	// A turn reads no more than this of a socket: then timers have their turn.
	batchesPerTurn = 16
	callsPerTurn   = 16
	idle           = time.Second
)

var zeroTime time.Time

// A worker has all sessions, and a thread of its own which alone touches it.
type worker struct {
	options options
	hub     *hub
	calls   *calls

	table     table
	taps      taps         // for echo
	wheel     *wheel.Wheel // by slot of the table
	firstAuth *packet.Auth // of packets that ask for an unsolicited session
	stats     counters

	out       []outgoing // of this step
	dismissed []*entry   // to be removed after it
	broken    []*entry   // without a link
	repairAt  time.Time
	backlog   []*call

	stop     atomic.Bool
	stopping bool

	// The kernel, or a test in its place.
	clock         func() time.Time
	dial          func(sock.Path) (l link, ifindex int, err error)
	dialEcho      func(p sock.Path, source netip.Addr) (l link, ifindex int, err error)
	openTap       func(v4 bool) error
	closeTap      func(v4 bool)
	sendBack      func(*sock.Datagram) unix.Errno
	forwards      func(ifindex int, v4 bool) bool // does the kernel?
	interfaceName func(index int) (string, error)
	direct        func(peer netip.Addr, ifindex int) bool // is it a neighbor there?

	receivers []*sock.Receiver
	batch     *sock.Batch
	waiter    *sock.Waiter

	now        time.Time     // when this turn began
	last       time.Time     // when the one before did
	slept      time.Duration // how long at most it meant to wait
	stall      time.Duration // for how long something else kept us from running
	more       bool          // there is more to read
	deaf       bool          // a socket could not be read: don't spin on it
	moderation moderation
	calm       calm
}

func newWorker(o options, h *hub, c *calls) *worker {
	w := &worker{
		options: o, hub: h, calls: c,
		table: newTable(newRand()), wheel: wheel.New(time.Now()), stats: newCounters(),
		clock: time.Now,
		dial: func(p sock.Path) (link, int, error) {
			s, err := sock.Dial(p)
			return &s, s.Interface, err
		},
		moderation: moderation{window: o.window},
	}
	w.dialEcho, w.openTap, w.closeTap = w.tapDial, w.tapOpen, w.tapClose
	w.sendBack, w.forwards, w.direct = w.tapBack, w.tapForwards, w.tableDirect
	// New has checked what could be wrong with it.
	w.firstAuth, _ = o.Unsolicited.Params.Auth.open(time.Now())
	return w
}

// use has w receive from these sockets, which are its own from now on.
func (w *worker) use(receivers []*sock.Receiver, waiter *sock.Waiter) {
	w.receivers, w.waiter, w.batch = receivers, waiter, sock.NewBatch()
	w.interfaceName = receivers[0].InterfaceName
}

func (w *worker) close() {
	for _, r := range w.receivers {
		r.Close()
	}
	w.waiter.Close()
	if w.taps.lookup != nil {
		w.taps.lookup.Close()
	}
}

// run is the thread's life.
func (w *worker) run() {
	for !w.finished() {
		w.turn()
		w.pause()
	}
}

// turn takes what has come, does what is due, and sends.
func (w *worker) turn() {
	w.now = w.clock()
	w.stats.Wakes++
	until := w.drain()
	w.advance(until)
	w.flush()
	w.serve()
	w.flush()
	w.repair(w.now)
}

// drain reads the sockets until nothing is left that came before this turn, and
// returns the time up to which that is so: no silence is judged beyond it.
func (w *worker) drain() (until time.Time) {
	until, w.more, w.deaf = w.now, false, false
	oldest := w.now
	for _, r := range w.receivers {
		more := true
		for i := 0; more && i < batchesPerTurn; i++ {
			got, lost, left, err := r.Read(w.batch, w.now)
			if err != nil {
				w.stats.ReceiveErrors++
				w.deaf = true
			}
			w.stats.Lost += uint64(lost)
			for i := range got {
				if d := &got[i]; d.At.Before(oldest) {
					oldest = d.At
				}
				w.receive(&got[i])
			}
			if more = left; more && len(got) > 0 && i == batchesPerTurn-1 {
				w.more = true
				if last := got[len(got)-1].At; last.Before(until) {
					until = last
				}
			}
		}
	}
	w.measure(oldest)
	return until
}

// measure finds out for how long this thread wanted to run and did not: since it
// meant to be back, or since a packet should have woken it.
func (w *worker) measure(oldest time.Time) {
	w.stall = 0
	if !w.last.IsZero() {
		w.stall = max(0, w.now.Sub(w.last)-w.slept)
		late := w.now.Sub(oldest)
		if w.moderation.on {
			late -= w.slept
		}
		w.stall = max(w.stall, late)
	}
	if w.stall >= stallFrom {
		w.stats.Stalls.add(w.stall.Seconds())
	}
	w.last = w.now
}

// advance lets sessions do what is due. All that the machine received until now
// must have been read.
func (w *worker) advance(now time.Time) {
	for {
		slot, due, ok := w.wheel.Pop(now)
		if !ok {
			return
		}
		w.due(w.table.slots[slot], now, due)
	}
}

func (w *worker) due(e *entry, now, due time.Time) {
	switch {
	case !e.leaveBy.IsZero() && !now.Before(e.leaveBy):
		w.dismiss(e)
	case now.Before(e.grace):
		w.wheel.Set(e.slot, e.grace)
	case w.excuse(e, now, due):
		w.wheel.Set(e.slot, e.grace)
	default:
		w.apply(e, e.session.Advance(now), due)
	}
}

// excuse gives a peer that seems to have gone silent while we ourselves stood
// still the time for one more packet. The kernel has kept what came, but not if
// its buffer was full, or the whole machine was paused. Once for each silence, so
// that a dead peer is found for sure.
func (w *worker) excuse(e *entry, now, due time.Time) bool {
	if w.stall < stallFrom || !e.grace.IsZero() {
		return false
	}
	v := e.session.View()
	deadline := v.Heard.Add(v.Detection)
	if v.Detection == 0 || now.Before(deadline) || deadline.Before(now.Add(-w.stall)) || v.State < packet.Init {
		return false
	}
	w.stats.Excused++
	e.grace = now.Add(v.RxInterval + stallFrom)
	// Our own packet is late too, and the peer waits for it.
	fx := e.session.Advance(deadline.Add(-1))
	w.apply(e, fx, due)
	if !fx.Send && v.TxInterval > 0 {
		w.emit(e, false, due)
	}
	return true
}

// serve does what other goroutines ask for.
func (w *worker) serve() {
	w.backlog = append(w.backlog, w.calls.take()...)
	n := min(len(w.backlog), callsPerTurn)
	for _, c := range w.backlog[:n] {
		c.try(w)
	}
	if w.backlog = w.backlog[n:]; len(w.backlog) == 0 {
		w.backlog = nil
	}
	if w.stop.Load() && !w.stopping {
		w.stopping = true
		for _, e := range w.table.slots {
			if e != nil && e.life == stays {
				w.leave(e, w.now)
			}
		}
	}
}

func (w *worker) finished() bool { return w.stopping && w.table.len() == 0 }
