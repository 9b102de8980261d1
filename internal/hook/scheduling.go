package hook

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ordinary takes the real-time priority from a process group: where vipd's BFD
// has one, what vipd starts inherits it. It can't be taken before the start, for
// then a busy machine could keep the child, and the thread that waits for it to
// begin the program, from running; and with that thread, all of Go.
func ordinary(group int) error {
	attr, err := unix.SchedGetAttr(group, 0)
	if err != nil || !realtime(attr) {
		return nil // it has ended, or inherited nothing
	}
	for more := true; more; {
		if more, err = lower(group); err != nil {
			return fmt.Errorf("take the real-time priority away: %w", err)
		}
	}
	return nil
}

// lower does so for all threads of the group once. more says that there were
// some: what they started meanwhile may have inherited theirs.
func lower(group int) (more bool, err error) {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return false, err
	}
	for _, p := range processes {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue // not a process
		}
		if in, err := unix.Getpgid(pid); err != nil || in != group {
			continue
		}
		threads, _ := os.ReadDir("/proc/" + p.Name() + "/task") // none: it has ended
		for _, t := range threads {
			was, err := lowerThread(t.Name())
			if err != nil {
				return false, err
			}
			more = more || was
		}
	}
	return more, nil
}

// lowerThread reports whether the thread was real-time.
func lowerThread(name string) (was bool, err error) {
	id, err := strconv.Atoi(name)
	if err != nil {
		return false, err
	}
	attr, err := unix.SchedGetAttr(id, 0)
	if err == nil && realtime(attr) {
		was, err = true, unix.SchedSetAttr(id, &unix.SchedAttr{Policy: unix.SCHED_NORMAL}, 0)
	}
	if errors.Is(err, unix.ESRCH) {
		return false, nil // it has ended
	}
	return was, err
}

func realtime(a *unix.SchedAttr) bool {
	return a.Policy == unix.SCHED_RR || a.Policy == unix.SCHED_FIFO
}
