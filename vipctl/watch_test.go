package vipctl

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// recovered is webVIP with all backends up.
func recovered() *vipdv1.Vip {
	v := webVIP()
	v.Tally.Healthy, v.Tally.HealthyWeight = 3, 4
	v.Backends[2].Health, v.Backends[2].Error, v.Backends[2].Since = "up", "", ago(0)
	decide(v)
	return v
}

// second is the same node after a restart that mail did not survive.
func second() *fake {
	f := small()
	f.instance = "two"
	f.vips = []*vipdv1.Vip{apiVIP(), dnsVIP(), recovered()}
	f.sequence = 5
	f.events = []*vipdv1.Event{{Sequence: 4, At: ago(0), Kind: "speaker", Subject: "gobgp", From: "disconnected", To: "connected", Reason: "after the restart"}}
	return f
}

// restart ends vipd and starts another one.
func (r *rig) restart(f *fake) {
	r.Helper()
	r.stop()
	r.fake = f
	r.start()
}

// Without a terminal, -w first writes the table, then a line for each row that
// changed, and nothing for what is as it was. It goes on over a restart.
func TestWatchedListAddsLines(t *testing.T) {
	r := newRig(t, small())
	l := r.live("vips", "-w")
	l.stdout.wait(t, "NAME ", "api ", "dns ", "mail ", "web ", "2 of 3 backends healthy (minimum 1)\n")
	l.stdout.forget()

	same := webVIP()
	same.Backends[2].Error = "another one, which vips does not show"
	r.fake.put(same)
	r.fake.put(recovered())
	l.stdout.wait(t, "web ", "3 of 3 backends healthy (minimum 1)\n")
	if text := l.stdout.String(); strings.Count(text, "\n") != 1 || strings.Contains(text, "NAME") {
		t.Errorf("one row changed, but there is\n%s", text)
	}
	l.stdout.forget()

	r.restart(second())
	l.stderr.wait(t, "vipctl: not connected to vipd any more: ", "; waiting for it\n", "vipctl: connected again: vipd was restarted\n")
	l.stdout.wait(t, "mail", "gone from this list\n")
	if text := l.stdout.String(); strings.Count(text, "\n") != 1 {
		t.Errorf("only mail changed with the restart, but there is\n%s", text)
	}
	l.interrupt()
}

// What a list selects, its changes are selected by too: what matches no more is
// told to be gone.
func TestWatchedListSelects(t *testing.T) {
	r := newRig(t, small())
	l := r.live("vips", "192.0.2", "--state", "withdrawn", "-w")
	l.stdout.wait(t, "api ", "dns ", "\n")
	l.stdout.forget()
	up := dnsVIP()
	up.Tally.Healthy = 2
	decide(up)
	r.fake.put(recovered()) // never matched
	r.fake.put(up)
	l.stdout.wait(t, "dns", "gone from this list\n")
	r.fake.put(dnsVIP())
	l.stdout.wait(t, "gone from this list\n", "dns ", "withdrawn", "0 of 2")
	if text := l.stdout.String(); strings.Contains(text, "web") || strings.Count(text, "\n") != 2 {
		t.Errorf("there is\n%s", text)
	}
	l.interrupt()
}

// For programs each line is a Change of the API.
func TestWatchedListForPrograms(t *testing.T) {
	r := newRig(t, small())
	l := r.live("vips", "--state", "advertised", "-w", "-o", "json")
	l.stdout.wait(t, `"name":"mail"`, `"name":"web"`, "\n")
	r.fake.put(recovered())
	l.stdout.wait(t, "\n", "\n", `"3 of 3`[1:], "\n")
	if o := r.vipctl("withdraw", "web"); o.code != exitDone {
		t.Fatal(o)
	}
	l.stdout.wait(t, `{"vip_removed":"web"}`)
	lines := strings.Split(strings.TrimSpace(l.stdout.String()), "\n")
	if len(lines) != 4 {
		t.Errorf("4 changes, but there is\n%s", l.stdout)
	}
	for _, line := range lines {
		var change map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &change); err != nil || len(change) != 1 {
			t.Errorf("%s: %v", line, err)
		}
	}
	l.interrupt()

	y := r.live("neighbors", "-w", "-o", "yaml")
	y.stdout.wait(t, "---\nneighbor:\n  address: 10.0.0.253\n", "---\nneighbor:\n  address: 10.0.0.254\n")
	y.interrupt()
}

// A restart brings all objects again; only those that are other than before are
// told.
func TestWatchedListForProgramsOverARestart(t *testing.T) {
	r := newRig(t, small())
	l := r.live("vips", "-w", "-o", "json")
	l.stdout.wait(t, `"name":"api"`, `"name":"dns"`, `"name":"mail"`, `"name":"web"`, "\n")
	r.restart(second())
	l.stdout.wait(t, `{"vip_removed":"mail"}`, `"name":"web"`, "\n")
	l.interrupt()
	if n := strings.Count(l.stdout.String(), "\n"); n != 6 {
		t.Errorf("4 objects and 2 changes in %d lines:\n%s", n, l.stdout)
	}
}

func TestOtherListsAreWatchedToo(t *testing.T) {
	r := newRig(t, small())
	backends, neighbors, sessions := r.live("backends", "web", "-w"), r.live("neighbors", "-w"), r.live("bfd", "-w")
	backends.stdout.wait(t, "web  c", "status 503", "\n")
	neighbors.stdout.wait(t, "10.0.0.254", "\n")
	sessions.stdout.wait(t, "198.51.100.7", "\n")
	for _, l := range []*live{backends, neighbors, sessions} {
		l.stdout.forget()
	}
	r.fake.put(recovered())
	n := proto.CloneOf(r.fake.neighbors[0])
	n.AdminDown, n.Hold, n.State = false, nil, "established"
	r.fake.tell(&vipdv1.Change{Object: &vipdv1.Change_Neighbor{Neighbor: n}})
	r.fake.tell(&vipdv1.Change{Object: &vipdv1.Change_NeighborRemoved{NeighborRemoved: "10.0.0.254"}})
	s := proto.CloneOf(r.fake.sessions[0])
	s.State = "up"
	r.fake.tell(&vipdv1.Change{Object: &vipdv1.Change_BfdSession{BfdSession: s}})
	r.fake.tell(&vipdv1.Change{Object: &vipdv1.Change_BfdSessionRemoved{BfdSessionRemoved: "198.51.100.7"}})

	backends.stdout.wait(t, "web  c", "up", "\n")
	if text := backends.stdout.String(); strings.Count(text, "\n") != 1 {
		t.Errorf("one backend changed, but there is\n%s", text)
	}
	neighbors.stdout.wait(t, "10.0.0.253", "established", "10.0.0.254", "gone from this list")
	sessions.stdout.wait(t, "10.0.0.253", "up", "198.51.100.7", "gone from this list")
	for _, l := range []*live{backends, neighbors, sessions} {
		l.interrupt()
	}
}

// A terminal is drawn over, and says itself when vipd is away.
func TestWatchedListOnATerminal(t *testing.T) {
	r := newRig(t, small())
	l := r.onTerminal([]string{"NO_COLOR=1"}, "vips", "-w")
	l.stdout.wait(t, "\x1b[H", "NAME ", "web ", "\x1b[J")
	r.fake.put(recovered())
	l.stdout.wait(t, "\x1b[J", "\x1b[H", "3 of 3 backe", "\x1b[J")
	l.stdout.forget()
	r.stop()
	l.stdout.wait(t, "\x1b[H", "not connected since 12:00:00: ", "NAME ", "web ", "\x1b[J")
	l.stdout.forget()
	r.fake = second()
	r.start()
	l.stdout.wait(t, "\x1b[HNAME ", "api ", "dns ", "web ", "\x1b[J")
	l.stdout.forget()
	l.stdout.wait(t, "\x1b[HNAME ", "\x1b[J") // ages grow without a change too
	if text := l.stdout.String(); strings.Contains(text, "mail") {
		t.Errorf("mail is gone, but there is\n%q", text)
	}
	if l.stderr.String() != "" {
		t.Errorf("a screen is not written into: %s", l.stderr)
	}
	l.interrupt()
}

// What does not fit a terminal is counted, not scrolled away.
func TestScreenIsNotLongerThanTheTerminal(t *testing.T) {
	f := small()
	f.vips = many(500)
	l := newRig(t, f).onTerminal([]string{"NO_COLOR=1"}, "vips", "-w")
	l.stdout.wait(t, "vip-00020 ", "and 479 more lines", "\x1b[J")
	frame, _, _ := strings.Cut(l.stdout.String(), "\x1b[J")
	if n := strings.Count(frame, "\n"); n > 23 {
		t.Errorf("%d lines on a terminal of 24", n)
	}
	l.interrupt()
}

func TestWatchedStatus(t *testing.T) {
	r := newRig(t, small())
	screen := r.onTerminal([]string{"NO_COLOR=1"}, "status", "-w")
	lines := r.live("status", "-w")
	programs := r.live("status", "-w", "-o", "json")
	screen.stdout.wait(t, "\x1b[H", "2 of 4 advertised, 2 withdrawn", "\x1b[J")
	lines.stdout.wait(t, "2 of 4 advertised, 2 withdrawn", "Last events", "TIME ")
	programs.stdout.wait(t, `{"node":{"name":"lb-1"`, `"advertised":2`, "}\n")

	if o := r.vipctl("auto", "api"); o.code != exitDone {
		t.Fatal(o)
	}
	r.fake.tell(&vipdv1.Change{Object: &vipdv1.Change_Event{Event: &vipdv1.Event{
		At: ago(0), Kind: "override", Subject: "api", From: "withdraw", To: "auto", By: "root"}}})
	screen.stdout.wait(t, "\x1b[J", "\x1b[H", "3 of 4 advertised, 1 withdrawn", "\x1b[J")
	lines.stdout.wait(t, "TIME ", "12:00:00", "withdraw→auto", "(by root)\n")
	programs.stdout.wait(t, "}\n", `"advertised":3`, "}\n")

	screen.stdout.forget()
	r.stop()
	screen.stdout.wait(t, "not connected since 12:00:00: ", "3 of 4 advertised")
	lines.stderr.wait(t, "not connected to vipd any more")
	r.fake = second()
	r.start()
	screen.stdout.wait(t, "\x1b[Hlb-1 ", "1 of 3 advertised", "\x1b[J")
	lines.stderr.wait(t, "vipd was restarted")
	lines.stdout.wait(t, "withdraw→auto", "after the restart")
	programs.stdout.wait(t, `"advertised":3`, `"vips":3,"advertised":1`)
	for _, l := range []*live{screen, lines, programs} {
		l.interrupt()
	}
}

func (f *fake) happen(kind, subject, reason string) {
	f.tell(&vipdv1.Change{Object: &vipdv1.Change_Event{Event: &vipdv1.Event{At: ago(-time.Second), Kind: kind, Subject: subject, To: "down", Reason: reason}}})
}

// events -f loses nothing and repeats nothing: over a cut connection it goes on
// where it was, and after a restart of vipd it begins with that one's first event.
func TestFollowedEventsLoseNothing(t *testing.T) {
	r := newRig(t, small())
	l := r.live("events", "-f", "-n", "2")
	l.stdout.wait(t, "TIME ", "dns ", "api ", "bad deploy (by uid 1000 (alice))\n")
	if strings.Contains(l.stdout.String(), "definition") {
		t.Error("more than the last 2")
	}
	r.fake.happen("backend", "web/a", "first")
	l.stdout.wait(t, "12:00:01", "web/a", "first\n")

	r.stop()
	l.stderr.wait(t, "not connected to vipd any more")
	r.fake.happen("backend", "web/a", "second") // while nobody is connected
	r.start()
	l.stderr.wait(t, "waiting for it\n", "connected again\n")
	l.stdout.wait(t, "first\n", "second\n")
	r.fake.happen("backend", "web/a", "third")
	l.stdout.wait(t, "first\n", "second\n", "third\n")

	f := second()
	f.sequence = 500 // it has overtaken the former one meanwhile
	r.restart(f)
	l.stderr.wait(t, "connected again\n", "connected again: vipd was restarted\n")
	l.stdout.wait(t, "third\n", "after the restart\n")
	r.fake.happen("backend", "web/a", "fourth")
	l.stdout.wait(t, "after the restart\n", "fourth\n")
	for _, word := range []string{"first", "second", "third", "fourth", "after the restart", "TIME"} {
		if n := strings.Count(l.stdout.String(), word); n != 1 {
			t.Errorf("%s is there %d times:\n%s", word, n, l.stdout)
		}
	}
	l.interrupt()
}

// A reader that vipd takes for one that was too slow is told all that is kept
// again, and tells the user only what is new.
func TestFollowedEventsAreNotRepeated(t *testing.T) {
	r := newRig(t, small())
	for range 3 {
		r.fake.happen("backend", "web/a", "kept")
	}
	r.fake.astray = true
	l := r.live("events", "-f")
	l.stdout.wait(t, "kept\n", "kept\n", "kept\n")
	r.fake.happen("backend", "web/a", "the next one")
	l.stdout.wait(t, "the next one\n")
	l.interrupt()
	if n := strings.Count(l.stdout.String(), "kept\n"); n != 3 {
		t.Errorf("3 events are told %d times:\n%s", n, l.stdout)
	}
}

// A vipd that does not name its instance is known to be another one by what it
// counts.
func TestFollowedEventsOfAFormerVersion(t *testing.T) {
	f := small()
	f.nameless = true
	r := newRig(t, f)
	l := r.live("events", "-f")
	l.stdout.wait(t, "bad deploy")
	f = second()
	f.nameless = true
	r.restart(f)
	l.stderr.wait(t, "connected again\n")
	l.stdout.wait(t, "after the restart\n")
	l.interrupt()
	if strings.Contains(l.stderr.String(), "missed") {
		t.Error(l.stderr)
	}
}

func TestFollowedEventsSayWhatIsMissed(t *testing.T) {
	r := newRig(t, small())
	l := r.live("events", "-f")
	l.stdout.wait(t, "bad deploy")
	r.stop()
	l.stderr.wait(t, "not connected")
	r.fake.happen("backend", "web/a", "forgotten")
	r.fake.happen("backend", "web/a", "kept")
	r.fake.set(func() { r.fake.forget = 49 })
	r.start()
	l.stderr.wait(t, "some events were missed: vipd does not keep them any more\n")
	l.stdout.wait(t, "kept\n")
	if strings.Contains(l.stdout.String(), "forgotten") {
		t.Error("the fake forgets nothing")
	}
	l.interrupt()
}

func TestFollowedEventsAreSelected(t *testing.T) {
	r := newRig(t, small())
	l := r.live("events", "-f", "--vip", "192.0.2.11", "--kind", "vip", "-o", "json")
	l.stdout.wait(t, `"subject":"dns"`, "\n")
	r.fake.happen("vip", "web", "other VIP")
	r.fake.happen("override", "dns", "other kind")
	r.fake.happen("vip", "dns", "the one")
	l.stdout.wait(t, "the one", "\n")
	if text := l.stdout.String(); strings.Contains(text, "other") || strings.Count(text, "\n") != 2 {
		t.Errorf("there is\n%s", text)
	}
	l.interrupt()
}
