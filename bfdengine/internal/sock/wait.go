package sock

import (
	"encoding/binary"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Waiter waits for datagrams, a wake or time to pass.
type Waiter struct {
	event int           // what Wake writes to
	fds   []unix.PollFd // the first is the event
	park  *park         // nil while nobody parks
}

// NewWaiter makes a Waiter for datagrams of receivers.
func NewWaiter(receivers []*Receiver) (*Waiter, error) {
	event, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, wrap("eventfd", err)
	}
	w := &Waiter{event: event, fds: []unix.PollFd{{Fd: int32(event), Events: unix.POLLIN}}}
	for _, r := range receivers {
		w.Add(r)
	}
	return w, nil
}

// Add has the Waiter wait for datagrams of r too.
func (w *Waiter) Add(r *Receiver) {
	w.leave()
	w.fds = append(w.fds, unix.PollFd{Fd: int32(r.fd), Events: unix.POLLIN})
}

// Drop undoes Add. It comes before r is closed.
func (w *Waiter) Drop(r *Receiver) {
	w.leave()
	w.fds = slices.DeleteFunc(w.fds, func(p unix.PollFd) bool { return p.Fd == int32(r.fd) })
}

// Wake ends a Wait, or the next one. Any thread may call it.
func (w *Waiter) Wake() {
	one := binary.NativeEndian.AppendUint64(make([]byte, 0, 8), 1)
	unix.RawSyscall(unix.SYS_WRITE, uintptr(w.event), uintptr(unsafe.Pointer(unsafe.SliceData(one))), 8)
}

// Wait returns after limit, after a Wake, or when there are datagrams. It may
// return early for nothing.
//
// Go's scheduler is not told. It would look at a thread that comes and goes every
// 20 µs for a while: half the CPU time of eight sessions at 50 ms. Untold, the
// thread keeps what Go runs code by, so there must be one more (GOMAXPROCS), and
// is interrupted every 10 ms, which costs 1 % of a core. A stop of the world is not
// held up: its signals end the wait.
func (w *Waiter) Wait(limit time.Duration) (woken bool) {
	w.leave()
	return w.wait(len(w.fds), limit)
}

// Park is Wait for one who is seldom woken: it costs nothing while it lasts, but
// what ends it comes by way of another thread, and must be given a turn by Go.
func (w *Waiter) Park(limit time.Duration) (woken bool) {
	if limit > 0 && w.enter() && w.park.wait(limit) == nil {
		return w.woken()
	}
	return w.wait(len(w.fds), limit)
}

// Doze is Wait without datagrams, and for a millisecond at most.
func (w *Waiter) Doze(limit time.Duration) (woken bool) {
	return w.wait(1, min(limit, time.Millisecond))
}

// wait waits by the first n descriptors.
func (w *Waiter) wait(n int, limit time.Duration) (woken bool) {
	w.fds[0].Revents = 0
	ts := unix.NsecToTimespec(int64(max(limit, 0)))
	unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&w.fds[0])), uintptr(n), uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	// What ended it, if not a Wake, is for the caller to see.
	return w.fds[0].Revents != 0 && w.woken()
}

// woken takes back what Wake wrote.
func (w *Waiter) woken() bool {
	var count [8]byte
	_, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(w.fds[0].Fd), uintptr(unsafe.Pointer(&count)), 8)
	return errno == 0
}

// enter reports whether there is a park. A process that may open no more files has
// none.
func (w *Waiter) enter() bool {
	if w.park == nil {
		w.park, _ = newPark(w.fds)
	}
	return w.park != nil
}

// leave ends the park: what comes would wake Go's poller beside who waits.
func (w *Waiter) leave() {
	if w.park != nil {
		w.park.close()
		w.park = nil
	}
}

// Close closes the event; receivers are not closed.
func (w *Waiter) Close() {
	w.leave()
	unix.Close(w.event)
}
