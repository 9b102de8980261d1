package healthloop

import (
	"errors"
	"testing"
	"time"
)

func TestHealthAfterProbes(t *testing.T) {
	for _, tt := range []struct {
		name       string
		rise, fall int
		probes     string // g: good, b: bad
		want       string // u: up, d: down, ?: unknown, after each
	}{
		{"up after rise", 2, 3, "gg", "?u"},
		{"down after fall", 2, 3, "bbb", "??d"},
		{"one is enough", 1, 1, "gbg", "udu"},
		{"a bad one starts the good ones anew", 2, 3, "gbgg", "???u"},
		{"a good one starts the bad ones anew", 2, 3, "bbgbbb", "????dd"},
		{"one that alternates is down after rise and fall probes", 2, 3, "gbgbgbgg", "????dddu"},
		{"the verdict stays in between", 2, 3, "ggbbgbbb", "?uuuuuud"},
		{"down stays until rise", 2, 1, "bgbgg", "ddddu"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r record
			got := ""
			for _, p := range tt.probes {
				var err error
				if p == 'b' {
					err = errors.New("bad")
				}
				r = r.after(noon, err, ReasonRefused, Timing{Rise: tt.rise, Fall: tt.fall})
				got += string("?ud"[r.health])
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestHealthSaysWhyUntilItIsUp(t *testing.T) {
	timing := Timing{Rise: 2, Fall: 1}
	bad := errors.New("nobody there")
	r := record{}.after(noon, bad, ReasonRefused, timing)
	r = r.after(noon.Add(time.Second), nil, "", timing)
	if r.health != Down || r.err != bad || r.reason != ReasonRefused || !r.since.Equal(noon) {
		t.Errorf("down with one good probe of two: %+v", r)
	}
	r = r.after(noon.Add(time.Minute), nil, "", timing)
	if r.health != Up || r.err != nil || r.reason != "" || !r.since.Equal(noon.Add(time.Minute)) {
		t.Errorf("up again: %+v", r)
	}
}

// What is wrong with the old way of asking is no news of a backend that is up.
func TestNewWayOfAskingForgetsAPassingError(t *testing.T) {
	bad := errors.New("nobody there")
	for health, want := range map[Health]error{Up: nil, Down: bad, Unknown: bad} {
		r := record{health: health, bad: 1, err: bad, reason: ReasonRefused}.reasked()
		if r.health != health || r.err != want || (r.reason == "") != (want == nil) {
			t.Errorf("%s: %+v", health, r)
		}
	}
}

func TestNewTimingJudgesOldProbes(t *testing.T) {
	r := record{health: Up, bad: 2}
	if got := r.judged(noon, Timing{Rise: 1, Fall: 2}).health; got != Down {
		t.Errorf("two bad probes and a fall of now 2: %s", got)
	}
	if got := r.reasked().judged(noon, Timing{Rise: 1, Fall: 1}); got.health != Up {
		t.Errorf("asked another way, but probes of the old way count: %s", got.health)
	}
}
