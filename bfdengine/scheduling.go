package bfdengine

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

// Scheduling is what the worker's thread may be given over others. The zero
// Scheduling asks for nothing and needs nothing.
type Scheduling struct {
	// Realtime is a priority of SCHED_RR, 1 to 99; 0: none. Above 50 it comes
	// before threaded interrupts. It needs CAP_SYS_NICE, or a limit of the service
	// (LimitRTPRIO of systemd).
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
		// Threads that Go makes from this one must not inherit it.
		attr := unix.SchedAttr{Policy: unix.SCHED_RR, Priority: uint32(s.Realtime), Flags: unix.SCHED_FLAG_RESET_ON_FORK}
		err := unix.SchedSetAttr(0, &attr, 0)
		if errors.Is(err, unix.EPERM) {
			return fmt.Errorf("real-time priority %d: needs CAP_SYS_NICE, or RLIMIT_RTPRIO of at least that: %w", s.Realtime, err)
		}
		if err != nil {
			return fmt.Errorf("real-time priority %d: %w", s.Realtime, err)
		}
	}
	return nil
}
