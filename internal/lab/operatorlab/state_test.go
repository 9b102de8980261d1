package operatorlab

import (
	"strings"
	"testing"
	"time"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/lab"
)

// The disk that words are kept on is full, and then read-only. What can't be
// kept is refused, and changes nothing; all else goes on, and once the disk is
// well again, so do words.
func TestDiskOfWords(t *testing.T) {
	t.Parallel()
	rack := lab.NewRack(lab.New(t), lab.RackOptions{Nodes: 1, NoVipd: true, Vipd: "state_dir: state"})
	s := &stage{rack, rack.Nodes[0], rack.Router.(*lab.FRR)}
	disk := s.n1.Volume("state", 64<<10)
	s.n1.StartSpeaker()
	s.n1.StartVipd()
	v := s.n1.Vipd
	s.answers()
	s.Within(2*soon, "all BGP sessions stand", s.Established)
	s.agree("both VIPs are announced", "web4", "web6")
	s.heard(time.Time{}, 2, 0)
	does(t, v, "withdraw", "web4", "--reason", "before")
	s.agree("a word is kept", "web6")

	for _, bad := range []struct {
		name, says   string
		break_, mend func()
	}{
		{"full", "no space left on device", disk.Fill, disk.Free},
		{"read-only", "read-only file system", disk.Protect, disk.Unprotect},
	} {
		bad.break_()
		began := time.Now()
		for _, args := range [][]string{
			{"auto", "web4"}, {"withdraw", "web6"}, {"drain"},
			{"vip", "add", "more", "198.51.100.1", "--check", "web", "--backend", "127.0.0.1:8081"},
		} {
			says(t, v.Ctl(args...), failed, "vipd refused: the request could not be kept", bad.says, "nothing was changed")
		}
		s.For(500*time.Millisecond, "nothing is heard", func() error { return s.Heard(s.n1, began, 0, 0) })
		s.agree("nothing was changed", "web6")
		says(t, v.Ctl("events", "--kind", "state"), done, "not saved", bad.says)
		if n := v.Metric("vipd_state_saves_total", `result="failed"`); n < 4 {
			t.Errorf("%v failures are counted", n)
		}
		s.n1.Backends[0].Kill()
		s.agree("the checks go on")
		s.n1.Backends[0].Again()
		s.agree("as ever", "web6")
		bad.mend()
		does(t, v, "auto", "web4")
		s.agree("words are kept again", "web4", "web6")
		does(t, v, "withdraw", "web4")
	}
	v.Kill()
	disk.Protect()
	v.Again()
	s.answers()
	s.agree("a disk that can be read is enough for a start", "web6")
}

// What is kept can't be read: vipd does not start as if nothing had been said,
// but tells what to do. That keeps the file, and announces by the checks again.
func TestCorruptState(t *testing.T) {
	t.Parallel()
	s := newStage(lab.New(t), lab.RackOptions{})
	v := s.n1.Vipd
	does(t, v, "withdraw", "web4", "--reason", "before")
	does(t, v, "vip", "add", "made", "198.51.100.1", "--check", "web", "--backend", "127.0.0.1:8081")
	s.agree("words are kept", "made", "web6")
	began := time.Now()
	v.Kill()
	s.n1.Run("sed", "-i", "s/before/before?/", "state/state.json")
	says(t, v.Refused(), failed, "state/state.json", "vipd run --ignore-state")
	s.heard(began, 0, 0)

	v.AgainWith("--ignore-state")
	s.answers()
	s.agree("words are as never said", "web4", "web6")
	s.heard(began, 1, 1) // web6 is not touched
	if kept := s.n1.Run("cat", "state/state.json.bad"); !strings.Contains(kept, "before?") {
		t.Errorf("kept aside is %q", kept)
	}
	does(t, v, "withdraw", "web4", "--reason", "after")
	v.Kill()
	v.Again()
	s.answers()
	if o := tells(t, v, &vipdv1.Vip{}, "vip", "show", "web4").GetOverride(); o.GetReason() != "after" {
		t.Errorf("kept is %v", o)
	}
}
