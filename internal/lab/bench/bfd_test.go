package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
	"github.com/fiberlb/vipd/internal/lab/bfdpeer"
)

// peerCommand makes this test program the far side of all sessions.
const peerCommand = "be-the-neighbors"

// spanVariable changes how long each daemon is watched.
const spanVariable = "VIPD_BENCH_SPAN"

// span is how long a daemon is watched.
func span(t *testing.T, unless time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(spanVariable)
	if text == "" {
		return unless
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// daemons are measured beside each other, as far as they are installed.
func daemons() []daemon {
	return []daemon{{"vipd", vipd}, {"bfdengine alone", engine}, {"packets alone", floor}, {"BIRD", bird}, {"FRR bfdd", frr}, {"GoBGP 4.8.0", gobgp}, {"GoBFD", gobfd}}
}

// The same sessions held by one daemon after the other.
func TestBFD(t *testing.T) {
	before := load()
	var rows []*liveness
	for _, load := range []struct {
		sessions int
		timers
	}{
		{1, timers{100 * time.Millisecond, 3}},
		{8, timers{100 * time.Millisecond, 3}},
		{64, timers{100 * time.Millisecond, 3}},
		{256, timers{100 * time.Millisecond, 3}},
		{1000, timers{100 * time.Millisecond, 3}},
		{4000, timers{100 * time.Millisecond, 3}},
		{64, timers{10 * time.Millisecond, 3}},
	} {
		for _, d := range daemons() {
			t.Run(fmt.Sprintf("%d at %s/%s", load.sessions, load.timers, d.name), func(t *testing.T) {
				rows = append(rows, newBox(t).watch(d, load.sessions, load.timers, span(t, 10*time.Second)))
			})
		}
	}
	if len(rows) > 0 {
		publish(t, "bfd", before, livenessHead, rows)
	}
}

// A liveness is what a daemon's sessions cost, and how well they were held.
type liveness struct {
	Daemon   string  `json:"daemon"`
	Sessions int     `json:"sessions"`
	Timers   string  `json:"timers"`
	Around   string  `json:"around,omitempty"` // what else the machine did
	Up       int     `json:"up"`               // of the sessions
	CPU      float64 `json:"cpu_percent"`      // of one core
	Cost     float64 `json:"us_per_packet"`    // sent or received
	RSS      float64 `json:"rss_mb"`
	Threads  int     `json:"threads"`
	Downs    int     `json:"false_downs"`
	GapP99   float64 `json:"gap_p99_ms"`
	GapMax   float64 `json:"gap_max_ms"`
	LateN    int     `json:"late_n"`
	Late     float64 `json:"late_median_ms"`
	LateP99  float64 `json:"late_p99_ms"`
}

const livenessHead = "| daemon | sessions | timers | around | up | CPU % | µs/packet | RSS MB | threads | false Downs | gap p99 / max ms | told late median / p99 ms (n) |\n" +
	"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"

func (l *liveness) row() string {
	return fmt.Sprintf("| %s | %d | %s | %s | %d | %.1f | %.1f | %.1f | %d | %d | %.1f / %.1f | %.2f / %.2f (%d) |\n",
		l.Daemon, l.Sessions, l.Timers, l.Around, l.Up, l.CPU, l.Cost, l.RSS, l.Threads, l.Downs, l.GapP99, l.GapMax, l.Late, l.LateP99, l.LateN)
}

// watch starts a daemon, brings its sessions up, counts, and lets all neighbors
// fall silent at once.
func (b *box) watch(d daemon, sessions int, timers timers, span time.Duration) *liveness {
	b.Helper()
	b.link.Crowd(bfdpeer.Beside())
	processes := d.start(b, sessions, timers)
	var pids []string
	for _, p := range processes {
		pids = append(pids, strconv.Itoa(p.PID()))
	}
	p := b.far("-daemon", b.here().String(), "-sessions", strconv.Itoa(sessions), "-interval", timers.interval.String(),
		"-multiplier", strconv.Itoa(timers.mult), "-pids", strings.Join(pids, ","), "-span", span.String(), "-mute")
	if code := p.Wait(3*time.Minute + span); code != 0 {
		b.Fatalf("the neighbors ended with %d:\n%s", code, p.Log())
	}
	return report(b, d.name, sessions, timers, p.Log())
}

// far starts the neighbors, before all other processes in the queue for the
// CPU: what is measured is not how late they are.
func (b *box) far(args ...string) *lab.Process {
	b.Helper()
	return b.link.B.Host.Start("neighbors", "chrt", append([]string{"--rr", "50", exe(b), peerCommand}, args...)...)
}

// exe is this program.
func exe(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func report(t testing.TB, name string, sessions int, timers timers, log string) *liveness {
	t.Helper()
	l := &liveness{Daemon: name, Sessions: sessions, Timers: timers.String()}
	for lines := bufio.NewScanner(strings.NewReader(log)); lines.Scan(); {
		var r bfdpeer.Report
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		switch r.Phase {
		case "measured":
			l.Up, l.Downs, l.Threads, l.RSS = r.Up, r.Downs, r.Threads, float64(r.RSS)/1e6
			l.CPU = 100 * r.CPU / r.Seconds
			l.Cost = 1e6 * r.CPU / float64(max(1, 2*r.Packets))
			l.GapP99, l.GapMax = 1e3*r.GapP99, 1e3*r.GapMax
		case "muted":
			if l.LateN = len(r.Late); l.LateN > 0 {
				l.Late, l.LateP99 = 1e3*quantile(r.Late, 0.5), 1e3*quantile(r.Late, 0.99)
			}
		}
	}
	return l
}
