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
	w.fds = append(w.fds, unix.PollFd{Fd: int32(r.fd), Events: unix.POLLIN})
}

// Drop undoes Add. It comes before r is closed.
func (w *Waiter) Drop(r *Receiver) {
	w.fds = slices.DeleteFunc(w.fds, func(p unix.PollFd) bool { return p.Fd == int32(r.fd) })
}

// Wake ends a Wait, or the next one. Any thread may call it.
func (w *Waiter) Wake() {
	one := binary.NativeEndian.AppendUint64(make([]byte, 0, 8), 1)
	unix.RawSyscall(unix.SYS_WRITE, uintptr(w.event), uintptr(unsafe.Pointer(unsafe.SliceData(one))), 8)
}

// Go's scheduler is told of a wait only if that may be longer than this. It looks
// at a thread that comes and goes every 20 µs for a while: half the CPU time of
// eight sessions at 50 ms, a sixth of a thousand's. Untold, the thread keeps
// what Go runs code by, so there must be one more (GOMAXPROCS). A stop of the
// world is not held up: its signals end the wait.
const untold = 100 * time.Millisecond

// Wait returns after limit, after a Wake, or when there are datagrams. It may
// return early for nothing.
func (w *Waiter) Wait(limit time.Duration) (woken bool) { return w.wait(len(w.fds), limit) }

// Doze is Wait without datagrams, and for a millisecond at most.
func (w *Waiter) Doze(limit time.Duration) (woken bool) {
	return w.wait(1, min(limit, time.Millisecond))
}

// wait waits by the first n descriptors.
func (w *Waiter) wait(n int, limit time.Duration) (woken bool) {
	w.fds[0].Revents = 0
	if limit > untold {
		// What ends it, if not a Wake, is for the caller to see.
		ts := unix.NsecToTimespec(int64(limit))
		_, _ = unix.Ppoll(w.fds[:n], &ts, nil)
		return w.woken()
	}
	ts := unix.NsecToTimespec(int64(max(limit, 0)))
	unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&w.fds[0])), uintptr(n), uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	return w.woken()
}

// woken takes back what Wake wrote.
func (w *Waiter) woken() bool {
	if w.fds[0].Revents == 0 {
		return false
	}
	var count [8]byte
	unix.RawSyscall(unix.SYS_READ, uintptr(w.fds[0].Fd), uintptr(unsafe.Pointer(&count)), 8)
	return true
}

// Close closes the event; receivers are not closed.
func (w *Waiter) Close() { unix.Close(int(w.fds[0].Fd)) }
