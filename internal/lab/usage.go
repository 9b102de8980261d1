package lab

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the kernel's unit of CPU time in /proc, USER_HZ, the same everywhere.
const tick = 10 * time.Millisecond

// Usage is the CPU time that a process has had so far, its own and the
// kernel's for it, and its resident memory in bytes.
func (p *Process) Usage() (cpu time.Duration, rss int64) {
	p.host.lab.Helper()
	pid := p.cmd.Process.Pid
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	p.host.lab.must(err)
	// The name, in parentheses, may hold anything; state is the field after it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, ticks := range fields[11:13] { // utime and stime, proc(5)
		n, err := strconv.Atoi(ticks)
		p.host.lab.must(err)
		cpu += time.Duration(n) * tick
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	p.host.lab.must(err)
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	kb, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, err := strconv.ParseInt(kb, 10, 64)
	p.host.lab.must(err)
	return cpu, n << 10
}

// Files counts what the process has open.
func (p *Process) Files() int {
	p.host.lab.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	p.host.lab.must(err)
	return len(open)
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }
