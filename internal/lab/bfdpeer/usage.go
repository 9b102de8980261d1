package bfdpeer

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

// usage is what processes have used so far.
type usage struct {
	cpu     time.Duration
	rss     int64 // bytes
	threads int
}

// usageOf adds up processes.
func usageOf(pids string) (all usage, err error) {
	list, err := splitPIDs(pids)
	if err != nil {
		return usage{}, fmt.Errorf("pids: %w", err)
	}
	for _, pid := range list {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return usage{}, err
		}
		// The name, in parentheses, may hold anything (proc(5)).
		rest := text[bytes.LastIndexByte(text, ')')+1:]
		var state string
		var skip, user, system, threads, pages int64
		if _, err := fmt.Sscan(string(rest), &state, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip,
			&user, &system, &skip, &skip, &skip, &skip, &threads, &skip, &skip, &skip, &pages); err != nil {
			return usage{}, fmt.Errorf("pid %d: %w", pid, err)
		}
		const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Linux runs
		all.cpu += time.Duration(user+system) * tick
		all.rss += pages * int64(os.Getpagesize())
		all.threads += int(threads)
	}
	return all, nil
}
