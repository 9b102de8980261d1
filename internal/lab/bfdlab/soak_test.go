package bfdlab

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
	"github.com/fiberlb/vipd/internal/lab/bfdpeer"
)

// 500 sessions at 50 ms × 3, for two minutes, or as long as VIPD_SOAK says. None
// falls, on either side.
//
// It is alone: no t.Parallel, and make lab runs one package at a time. Both sides
// have a real-time priority besides: who gets no CPU for 150 ms falls, and that
// would be true.
func TestSoak(t *testing.T) {
	const sessions = 500
	timers := lab.Timers{Interval: 50 * time.Millisecond, Mult: 3}
	span := 2 * time.Minute
	if s := os.Getenv("VIPD_SOAK"); s != "" {
		var err error
		if span, err = time.ParseDuration(s); err != nil {
			t.Fatalf("VIPD_SOAK: %v", err)
		}
	}
	l := lab.New(t)
	node, far := l.Host("node"), l.Host("far")
	link := l.Connect(node, far, 1)
	link.Crowd(bfdpeer.Beside())
	v := node.Vipd(manySessions(link, sessions, timers))
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	peer := far.Start("neighbors", "chrt", "--rr", "50", exe, peerCommand, "-daemon", link.A.V4.String(), "-sessions", strconv.Itoa(sessions),
		"-interval", timers.Interval.String(), "-multiplier", strconv.Itoa(timers.Mult), "-span", span.String())
	peer.Says(2*time.Minute, `"phase":"up"`, 1)
	l.Within(soon, "the timers are agreed", func() error {
		if sum := v.Metric("vipd_bfd_session_detection_seconds"); math.Abs(sum-sessions*timers.Detection().Seconds()) > 1e-6 {
			return fmt.Errorf("the detection times are %v s in all", sum)
		}
		return nil
	})
	if code := peer.Wait(span + 2*time.Minute); code != 0 {
		t.Fatalf("the neighbors end with %d", code)
	}
	for line := range strings.Lines(peer.Log()) {
		t.Log(strings.TrimSpace(line))
		var r bfdpeer.Report
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Up != sessions || r.Downs > 0 || r.Expired > 0 {
			t.Errorf("%s: %d of %d sessions are up, %d fell", r.Phase, r.Up, sessions, r.Downs)
		}
		if r.Phase == "measured" && float64(r.Packets) < 0.99*sessions*span.Seconds()/timers.Interval.Seconds() {
			t.Errorf("vipd sent only %d packets", r.Packets)
		}
	}
	t.Logf("vipd was kept from running for %v s in all, and excused %v sessions for it",
		v.Metric("vipd_bfd_stall_seconds_sum"), v.Metric("vipd_bfd_detections_excused_total"))
}

// manySessions is the configuration of a vipd that has only BFD to do.
func manySessions(link *lab.Link, n int, t lab.Timers) string {
	var b strings.Builder
	fmt.Fprintf(&b, "bgp: {enabled: false}\nbfd:\n  scheduling: {realtime_priority: 50}\n  profiles: {p: {tx: %[1]s, rx: %[1]s, multiplier: %[2]d}}\n  sessions:\n", t.Interval, t.Mult)
	for i := range n {
		fmt.Fprintf(&b, "    - {peer: %s, local: %s, interface: %s, profile: p}\n", bfdpeer.Address(i), link.A.V4, link.A.Iface)
	}
	return b.String()
}
