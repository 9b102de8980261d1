package sock

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A park waits with Go's own poller: nothing of the process runs meanwhile. It
// has an epoll within the poller's, and a timer of the kernel in it, since one of
// Go's wakes more than who waits for it.
type park struct {
	epoll *os.File
	conn  syscall.RawConn // of the epoll
	timer int
}

func newPark(fds []unix.PollFd) (*park, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, wrap("epoll", err)
	}
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		unix.Close(epoll)
		return nil, wrap("timerfd", err)
	}
	// Go polls only what doesn't block.
	err = unix.SetNonblock(epoll, true)
	p := &park{epoll: os.NewFile(uintptr(epoll), "epoll"), timer: timer}
	for i := -1; i < len(fds) && err == nil; i++ {
		fd := int32(timer)
		if i >= 0 {
			fd = fds[i].Fd
		}
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN, Fd: fd})
	}
	if err == nil {
		p.conn, err = p.epoll.SyscallConn()
	}
	if err != nil {
		p.close()
		return nil, fmt.Errorf("epoll of %d: %w", len(fds), err)
	}
	return p, nil
}

// wait returns when there is something to read, or after limit.
func (p *park) wait(limit time.Duration) error {
	// Setting it takes back what it told before.
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(limit))}
	_, _, errno := unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(p.timer), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return p.conn.Read(ready)
}

// ready reports whether an epoll has something, without waiting.
func ready(epoll uintptr) bool {
	var event unix.EpollEvent
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, epoll, uintptr(unsafe.Pointer(&event)), 1, 0, 0, 0)
	return errno != 0 || n > 0
}

func (p *park) close() {
	p.epoll.Close()
	unix.Close(p.timer)
}
