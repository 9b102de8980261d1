package hook

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// family is a program that has two children before it writes its number.
const family = `sleep 1000 & (sleep 1000 & wait) & echo $$ > "$0"; wait`

// inRealTime runs f on a thread with a real-time priority, as all of vipd's are
// where its BFD is to have one.
func inRealTime(t *testing.T, f func()) {
	t.Helper()
	refused := make(chan error)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the priority ends with the thread
		err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 1}, 0)
		if refused <- err; err == nil {
			f()
		}
	}()
	t.Cleanup(func() { <-done })
	switch err := <-refused; {
	case err != nil && os.Getenv("VIPD_REQUIRE") == "1":
		t.Fatal("a real-time priority needs CAP_SYS_NICE, and VIPD_REQUIRE is set: ", err)
	case err != nil:
		t.Skip("SKIPPED: a real-time priority needs CAP_SYS_NICE: ", err)
	}
}

// policies counts the processes of a group, and those of them that are real-time.
func policies(t *testing.T, group int) (all, realTime int) {
	t.Helper()
	processes, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		if in, err := unix.Getpgid(pid); err != nil || in != group {
			continue
		}
		attr, err := unix.SchedGetAttr(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		if all++; attr.Policy != unix.SCHED_NORMAL {
			realTime++
		}
	}
	return all, realTime
}

func leader(t *testing.T, file string) int {
	t.Helper()
	until(t, "the program runs", func() bool {
		data, err := os.ReadFile(file)
		return err == nil && strings.HasSuffix(string(data), "\n")
	})
	pid, err := strconv.Atoi(lines(t, file)[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestProgramOfARealTimeDaemonIsNotRealTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	inRealTime(t, func() {
		p := &program{args: []string{"/bin/sh", "-c", family, file}, timeout: time.Minute}
		_, _ = p.deliver(ctx, sample(t))
	})
	group := leader(t, file)
	until(t, "nobody of the group is real-time", func() bool {
		all, realTime := policies(t, group)
		return all >= 3 && realTime == 0
	})
}

// What a program starts before its priority is taken away has inherited it.
func TestChildrenLoseTheirPriorityToo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	cmd := exec.Command("/bin/sh", "-c", family, file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ended := make(chan struct{})
	inRealTime(t, func() {
		if err := cmd.Start(); err != nil {
			t.Error(err)
		}
		<-ended
		_ = cmd.Wait() // it is killed
	})
	group := leader(t, file)
	defer close(ended)
	defer func() { _ = unix.Kill(-group, unix.SIGKILL) }()
	until(t, "its children run", func() bool { all, _ := policies(t, group); return all >= 4 })
	if all, realTime := policies(t, group); all != realTime {
		t.Fatalf("%d processes, %d real-time: the test tests nothing", all, realTime)
	}
	if err := ordinary(group); err != nil {
		t.Error(err)
	}
	if all, realTime := policies(t, group); all != 4 || realTime != 0 {
		t.Errorf("%d processes, %d real-time", all, realTime)
	}
}

func TestNothingIsTakenFromWhoHasNone(t *testing.T) {
	if err := ordinary(os.Getpid()); err != nil {
		t.Error(err)
	}
	if err := ordinary(1 << 30); err != nil { // it has ended
		t.Error(err)
	}
}
