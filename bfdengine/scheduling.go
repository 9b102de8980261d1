package bfdengine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Scheduling is what the worker's thread may be given over others. The zero
// Scheduling asks for nothing and needs nothing.
type Scheduling struct {
	// Realtime is a priority of SCHED_RR, 1 to 99; 0: none. Above 50 it comes
	// before threaded interrupts. All other threads of the process are given the
	// lowest, 1, until the process ends, and so are processes that it starts. It
	// needs CAP_SYS_NICE, or a limit of the service (LimitRTPRIO of systemd).
	Realtime int
	// LockMemory keeps what the process uses in memory. It needs CAP_IPC_LOCK, or
	// a limit (LimitMEMLOCK).
	LockMemory bool
	// CPUs are those that the thread may run on; none: all.
	CPUs []int
}

func (s Scheduling) check() error {
	if s.Realtime < 0 || s.Realtime > 99 {
		return fmt.Errorf("real-time priority %d (must be 1 to 99, or 0 for none)", s.Realtime)
	}
	if i := slices.IndexFunc(s.CPUs, func(c int) bool { return c < 0 || c >= maxCPUs }); i >= 0 {
		return fmt.Errorf("cpu %d (must be 0 to %d)", s.CPUs[i], maxCPUs-1)
	}
	return nil
}

// Try is nil if this process may have s: then an engine's Run won't end for it.
// It tries on a thread that ends with the call; what is locked stays so.
func (s Scheduling) Try() error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked, as in Run
		done <- s.apply()
	}()
	if err := <-done; err != nil {
		return fmt.Errorf("bfd engine: %w", err)
	}
	return nil
}

const maxCPUs = 1024 // the size of unix.CPUSet

// apply is called on the thread that it is for.
func (s Scheduling) apply() error {
	if s.LockMemory {
		// Go reserves far more addresses than it ever uses: lock what is touched.
		err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOMEM) {
			return fmt.Errorf("lock memory: needs CAP_IPC_LOCK, or a higher RLIMIT_MEMLOCK: %w", err)
		}
		if err != nil {
			return fmt.Errorf("lock memory: %w", err)
		}
	}
	if len(s.CPUs) > 0 {
		var set unix.CPUSet
		for _, c := range s.CPUs {
			set.Set(c)
		}
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("run on cpus %v: is any of them there, and not withheld by a cgroup? %w", s.CPUs, err)
		}
	}
	if s.Realtime > 0 {
		err := realtime(0, s.Realtime)
		if errors.Is(err, unix.EPERM) {
			return fmt.Errorf("real-time priority %d: needs CAP_SYS_NICE, or RLIMIT_RTPRIO of at least that: %w", s.Realtime, err)
		}
		if err != nil {
			return fmt.Errorf("real-time priority %d: %w", s.Realtime, err)
		}
	}
	return nil
}

// realtime gives a thread a priority of SCHED_RR; 0 is the calling one.
func realtime(thread, priority int) error {
	return unix.SchedSetAttr(thread, &unix.SchedAttr{Policy: unix.SCHED_RR, Priority: uint32(priority)}, 0)
}

// lowest is the real-time priority that is above all threads without one.
const lowest = 1

// lift gives all threads of the process that have no real-time priority the
// lowest. Go's threads need each other: one that was put off by a busy machine
// while it had a lock of the scheduler, or was to stop for the garbage
// collector, keeps the worker waiting at any priority.
func lift() error {
	for more := true; more; {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("real-time priority: %w", err)
		}
		more = false // but what a thread has started meanwhile inherits its old policy
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				return fmt.Errorf("real-time priority: %w", err)
			}
			attr, err := unix.SchedGetAttr(id, 0)
			if err == nil && attr.Policy != unix.SCHED_RR && attr.Policy != unix.SCHED_FIFO {
				more, err = true, realtime(id, lowest)
			}
			if err != nil && !errors.Is(err, unix.ESRCH) { // one that has ended
				return fmt.Errorf("real-time priority %d of all threads: %w", lowest, err)
			}
		}
	}
	return nil
}
