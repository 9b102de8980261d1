package sock

import (
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/testns"
)

// interrupted runs f on a thread whose sends all end with EINTR. The thread ends with
// it.
func interrupted(t *testing.T, f func()) {
	t.Helper()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SENDTO, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EINTR)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	done := make(chan error, 1)
	go func() { // until f has run
		runtime.LockOSThread() // never unlocked
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		if err == nil {
			err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	select {
	case err := <-done:
		switch {
		case err == nil:
		case os.Getenv("VIPD_REQUIRE") == "1":
			t.Fatalf("seccomp: %v", err)
		default:
			t.Skipf("SKIPPED: seccomp: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it tries for ever")
	}
}

// T74 A signal at the wrong moment costs nothing, but nobody tries for ever.
func TestAnInterruptedSendIsTriedOnceMore(t *testing.T) {
	testns.Need(t)
	s := dial(t, Path{Peer: netip.MustParseAddr("127.0.0.3"), SourcePort: 50000, Port: 3784})
	raw := tap(t, true)
	interrupted(t, func() {
		if errno := s.Send([]byte("packet")); errno != unix.EINTR {
			t.Errorf("sent: %v", errno)
		}
		if errno := raw.Put(make([]byte, 28), 1, Hardware{len: 6}); errno != unix.EINTR {
			t.Errorf("put: %v", errno)
		}
	})
}
