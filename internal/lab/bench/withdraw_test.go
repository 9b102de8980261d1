package bench

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pairs is how many withdrawals each of the two makes, in turn.
const pairs = 200

// How long a withdrawal takes from vipd's decision, as its log has it, until it
// is on the wire, beside a bare DeletePath from the call. Both have a connection
// open to the same gobgpd, by the same socket.
func TestWithdraw(t *testing.T) {
	var figures []*figure
	before := load()
	for _, version := range []string{"3.10", "3.37.0", "4.8.0"} {
		t.Run(version, func(t *testing.T) {
			decided, closed, bare := withdrawals(t, version)
			figures = append(figures,
				newFigure("decision → withdraw on the wire", "gobgpd "+version, "ms", decided).
					beside("bare DeletePath → wire", bare).target("median", 2).target("ratio", 1.3),
				newFigure("backend closes → withdraw on the wire, watched", "gobgpd "+version, "ms", closed).
					beside("bare DeletePath → wire", bare))
		})
	}
	if len(figures) > 0 {
		record(t, "withdraw", before, figures)
	}
}

// withdrawals returns what vipd took from its decisions, what it took from the
// end of a backend's connections, and what the bare client took.
func withdrawals(t *testing.T, version string) (decided, closed, bare []float64) {
	b := newBox(t)
	b.startGobgpd(version)
	target := b.target(pairs)
	v := b.startVipd(vips(pairs, "kind: tcp, interval: 10s, rise: 1, fall: 1, watch: true",
		func(i int) []string { return []string{fmt.Sprintf("127.0.0.1:%d", firstPort+i)} }))
	client := dial(t, b)
	client.answers(t)
	ours, theirs := prefixes(vipNet, pairs), prefixes(bareNet, pairs)
	client.stream(t, theirs, false)
	b.announced(2*pairs, time.Time{})
	pause(2 * time.Second) // a connection counts as watched when it has lived a second

	heard := map[string]time.Time{}
	for i := range pairs {
		awake()
		called := time.Now()
		client.delete(t, theirs[i])
		bare = append(bare, milliseconds(b.withdrawn(theirs[i], called).Sub(called)))
		called = time.Now()
		target.Signal(syscall.SIGUSR1)
		at := b.withdrawn(ours[i], called)
		heard[fmt.Sprint("v", i)] = at
		closed = append(closed, milliseconds(at.Sub(called)))
	}
	for _, e := range events(t, v.Log(), "vip withdrawn") {
		decided = append(decided, milliseconds(heard[e.VIP].Sub(e.Time)))
	}
	if len(decided) != pairs {
		t.Fatalf("%d decisions, not %d", len(decided), pairs)
	}
	return decided, closed, bare
}

// awake keeps this process busy for a moment, as vipd is when it decides: one
// that has slept begins later.
func awake() {
	for began := time.Now(); time.Since(began) < time.Millisecond; {
	}
}

// An event is a line of vipd's log.
type event struct {
	Time time.Time `json:"time"`
	Msg  string    `json:"msg"`
	VIP  string    `json:"vip"`
}

// events are the lines of a log with one message.
func events(t *testing.T, log, msg string) (all []event) {
	t.Helper()
	for line := range strings.Lines(log) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("vipd's log: %v: %s", err, line)
		}
		if e.Msg == msg {
			all = append(all, e)
		}
	}
	return all
}
