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
	fds []unix.PollFd // the first is the event
}

// NewWaiter makes a Waiter for datagrams of receivers.
func NewWaiter(receivers []*Receiver) (*Waiter, error) {
	event, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, wrap("eventfd", err)
	}
	w := &Waiter{fds: []unix.PollFd{{Fd: int32(event), Events: unix.POLLIN}}}
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
	unix.RawSyscall(unix.SYS_WRITE, uintptr(w.fds[0].Fd), uintptr(unsafe.Pointer(unsafe.SliceData(one))), 8)
}

// Wait returns after limit, after a Wake, or when there are datagrams. It may
// return early for nothing.
func (w *Waiter) Wait(limit time.Duration) (woken bool) {
	w.fds[0].Revents = 0
	ts := unix.NsecToTimespec(int64(max(limit, 0)))
	n, err := unix.Ppoll(w.fds, &ts, nil)
	return err == nil && n > 0 && w.woken()
}

// Doze is Wait without datagrams, and for a millisecond at most: Go's scheduler is
// not told. It would take a thread that sleeps for half a millisecond at a time
// for one in a single long call, and look at it every 20 µs: a sixth of the CPU
// time of a thousand sessions.
func (w *Waiter) Doze(limit time.Duration) (woken bool) {
	w.fds[0].Revents = 0
	ts := unix.NsecToTimespec(int64(min(max(limit, 0), time.Millisecond)))
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&w.fds[0])), 1, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	return errno == 0 && n > 0 && w.woken()
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
