package bfdengine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/testns"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// unprivileged makes a test binary try what its value names, and print the error.
const unprivileged = "BFD_TEST_UNPRIVILEGED"

func schedulings(name string) Scheduling {
	switch name {
	case "realtime":
		return Scheduling{Realtime: 51}
	case "memory":
		return Scheduling{LockMemory: true}
	case "cpus":
		return Scheduling{CPUs: []int{1000}}
	}
	return Scheduling{}
}

// tryUnprivileged is the process that gives up all capabilities. It runs two
// engines until they hear each other, if nothing forbids that.
func tryUnprivileged(name string) int {
	unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{})
	unix.Setrlimit(unix.RLIMIT_RTPRIO, &unix.Rlimit{})
	if err := syscall.Setuid(65534); err != nil {
		os.Stdout.WriteString(err.Error())
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if s, ok := echoSpecs()[name]; ok {
		fmt.Println(addAlone(ctx, s))
		return 0
	}
	var changes *Subscription
	for _, a := range [][2]string{{"127.0.3.1", "127.0.3.2"}, {"127.0.3.2", "127.0.3.1"}} {
		o := on(a[0])
		o.Scheduling = schedulings(name)
		e, err := New(o)
		if err == nil {
			err = e.Listen()
		}
		if err == nil && name != "" {
			tried := o.Scheduling.Try()
			if err = e.Run(ctx); tried == nil || err == nil || tried.Error() != err.Error() {
				err = fmt.Errorf("tried: %v, ran: %v", tried, err)
			}
		}
		if err != nil {
			os.Stdout.WriteString(err.Error())
			return 0
		}
		changes = e.Subscribe()
		go e.Run(ctx) // until the process ends
		s := spec(a[0], a[1])
		s.Interface = "lo"
		if err := e.Add(ctx, s); err != nil {
			os.Stdout.WriteString(err.Error())
		}
	}
	for {
		told, err := changes.Next(ctx)
		if err != nil {
			os.Stdout.WriteString(err.Error())
			return 0
		}
		if told[len(told)-1].To == packet.Up {
			return 0
		}
	}
}

func TestWhatNeedsACapabilitySaysWhich(t *testing.T) {
	testns.Need(t)
	if os.Geteuid() != 0 {
		if os.Getenv("VIPD_REQUIRE") == "1" {
			t.Fatal("not root, and VIPD_REQUIRE is set")
		}
		t.Skip("SKIPPED: only root can become nobody")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"":         "", // an engine needs none, not even to bind to an interface
		"realtime": "bfd engine: real-time priority 51: needs CAP_SYS_NICE, or RLIMIT_RTPRIO of at least that: operation not permitted",
		"memory":   "bfd engine: lock memory: needs CAP_IPC_LOCK, or a higher RLIMIT_MEMLOCK: operation not permitted",
		"echo":     "session 127.0.3.2 (echo): echo needs CAP_NET_RAW, to send and receive what is addressed to its own sender: packet socket: operation not permitted",
		"loop":     "session 127.0.3.2: echo needs CAP_NET_RAW, to send and receive what is addressed to its own sender: packet socket: operation not permitted",
		"cpus":     "bfd engine: run on cpus [1000]: is any of them there, and not withheld by a cgroup? invalid argument",
	} {
		c := exec.Command(self)
		c.Env = append(os.Environ(), unprivileged+"="+name)
		out, err := c.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s:\ngot  %s (%v)\nwant %s", name, got, err, want)
		}
	}
}

func TestSchedulingOutOfRangeIsRefused(t *testing.T) {
	for _, tt := range []struct {
		s    Scheduling
		want string
	}{
		{Scheduling{Realtime: 100}, "bfd engine: real-time priority 100 (must be 1 to 99, or 0 for none)"},
		{Scheduling{Realtime: -1}, "bfd engine: real-time priority -1 (must be 1 to 99, or 0 for none)"},
		{Scheduling{CPUs: []int{0, -1}}, "bfd engine: cpu -1 (must be 0 to 1023)"},
	} {
		if _, err := New(Options{Scheduling: tt.s}); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

// realtimeProcess makes a test binary print how its threads are scheduled once
// it runs an engine: the tests' own process shall not stay as that makes it.
const realtimeProcess = "BFD_TEST_REALTIME"

func beRealtime() int {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	o := on("127.0.1.1")
	o.Scheduling = Scheduling{Realtime: 51, CPUs: []int{0}}
	e, err := New(o)
	if err == nil {
		err = e.Listen()
	}
	if err == nil {
		go e.Run(ctx)                                    // until the process ends
		err = e.Add(ctx, spec("127.0.1.1", "127.0.1.2")) // it runs
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for range 50 {
		go func() { // each on a thread of its own, as long as the process lives
			runtime.LockOSThread()
			<-ctx.Done()
		}()
	}
	runtime.Gosched()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, t := range threads {
		id, _ := strconv.Atoi(t.Name())
		if attr, err := unix.SchedGetAttr(id, 0); err == nil {
			fmt.Println(attr.Policy, attr.Priority)
		}
	}
	return 0
}

// As root: the worker's thread has the priority, and all others, also those that
// come later, the lowest.
func TestAllThreadsAreRealtime(t *testing.T) {
	testns.Need(t)
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), realtimeProcess+"=1")
	out, err := c.CombinedOutput()
	count := map[string]int{}
	for line := range strings.Lines(string(out)) {
		count[strings.TrimSpace(line)]++
	}
	worker, others := fmt.Sprint(unix.SCHED_RR, " ", 51), fmt.Sprint(unix.SCHED_RR, " ", lowest)
	if err != nil || len(count) != 2 || count[worker] != 1 || count[others] < 3 {
		t.Errorf("%v: %v, want one %q and all others %q", err, count, worker, others)
	}
}
