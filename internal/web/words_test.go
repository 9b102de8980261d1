package web

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func TestSpansHaveTwoUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0 s", 0: "0 s", 999 * time.Millisecond: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min", 61 * time.Second: "1 min 1 s",
		time.Hour: "1 h", time.Hour + 59*time.Second: "1 h", 25*time.Hour + 59*time.Minute: "1 d 1 h", 24 * time.Hour: "1 d", 400 * 24 * time.Hour: "400 d",
	} {
		if got := span(d); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}

func TestEventsOfOtherDaysHaveADate(t *testing.T) {
	for at, want := range map[time.Time]string{
		noon.Add(-12 * time.Hour):                           "00:00:00",
		noon.Add(-12*time.Hour - time.Second):               "Mar 3 23:59:59",
		noon.In(time.FixedZone("", 3600)).Add(-time.Minute): "11:59:00", // UTC, whatever the zone
	} {
		if got := clock(noon, timestamppb.New(at)).Text; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for n, want := range map[uint32]string{0: "0", 999: "999", 1000: "1,000", 10_000: "10,000", 1_234_567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for s, want := range map[float64]string{
		0: "0", 0.00025: "250 µs", 0.0012: "1.20 ms", 0.0123: "12.3 ms", 0.123: "123 ms", 1.5: "1.50 s", 12: "12.0 s",
	} {
		if got := latency(s); got != want {
			t.Errorf("%g: got %s, want %s", s, got, want)
		}
	}
}

func TestSparks(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, tt := range []struct {
		name             string
		probes           []float32
		good, bad, label string
	}{
		{"the longest probe is the highest bar, the last is on the right", []float32{.001, .002}, "M122 24v-12M126 24v-22", "",
			"last 2 probes: 1.00 ms to 2.00 ms, half of them within 2.00 ms"},
		{"a bad one goes from top to bottom", []float32{.001, -.5}, "M122 24v-22", "M126 24v-24",
			"last 2 probes: 1.00 ms to 1.00 ms, half of them within 1.00 ms; 1 bad"},
		{"only bad ones", []float32{-.5}, "", "M126 24v-24", "last 1 probe; 1 bad"},
		{"no time at all", []float32{0, 0}, "M122 24v-2M126 24v-2", "", "last 2 probes: 0 to 0, half of them within 0"},
		{"what is no time is bad", []float32{nan, inf}, "", "M122 24v-24M126 24v-24", "last 2 probes; 2 bad"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := *sparkOf(tt.probes); got != (spark{tt.good, tt.bad, tt.label}) {
				t.Errorf("got %+v", got)
			}
		})
	}
	if sparkOf(nil) != nil {
		t.Error("no probes have a drawing")
	}
	if got := sparkOf(make([]float32, 500)).Good; strings.Count(got, "M") != sparkSlots || !strings.HasPrefix(got, "M2 ") {
		t.Errorf("more probes than there is room for: %s", got)
	}
}

// A path is put into the page as it is drawn: it must be numbers, whatever the
// probes are.
func FuzzSpark(f *testing.F) {
	f.Add(float32(.001), float32(-1), float32(0))
	numbers := regexp.MustCompile(`^(M\d+ 24v-\d+)*$`)
	f.Fuzz(func(t *testing.T, a, b, c float32) {
		got := sparkOf([]float32{a, b, c})
		if !numbers.MatchString(got.Good) || !numbers.MatchString(got.Bad) {
			t.Errorf("%+v", got)
		}
	})
}

func TestNoticesSayWhatToLookAt(t *testing.T) {
	for _, tt := range []struct {
		name string
		node *vipdv1.Node
		want []notice
	}{
		{"nothing to say", &vipdv1.Node{Speaker: &vipdv1.Speaker{Connected: true}, LastReload: &vipdv1.Reload{Ok: true},
			Uplinks: &vipdv1.Uplinks{Alive: 2, Total: 2}}, nil},
		{"a drain", &vipdv1.Node{Drain: &vipdv1.Drain{
			Phase: "prefer_others", By: "alice", Reason: "new kernel", Since: before(time.Minute), Until: before(-time.Hour), Connections: 1, Measured: "sockets",
		}}, []notice{{mark{warn, "Draining: prefer others"}, "new kernel, by alice, for 1 min, ends in 1 h, 1 connection left (sockets)"}}},
		{"a drain at the end", &vipdv1.Node{Drain: &vipdv1.Drain{Phase: "drained", Since: before(time.Second), Stopping: true}},
			[]notice{{mark{warn, "Draining: drained"}, "for 1 s, vipd stops after it"}}},
		{"no speaker", &vipdv1.Node{Speaker: &vipdv1.Speaker{Problem: "connection refused"}},
			[]notice{{mark{bad, "BGP speaker is not connected"}, "connection refused"}}},
		{"a speaker with a problem", &vipdv1.Node{Speaker: &vipdv1.Speaker{Connected: true, Problem: "wrong AS"}},
			[]notice{{mark{warn, "BGP speaker has a problem"}, "wrong AS"}}},
		{"a refused configuration", &vipdv1.Node{LastReload: &vipdv1.Reload{Error: "vipd.yaml:3:5: vips: empty\nvipd.yaml:4:1: x"}},
			[]notice{{mark{bad, "The configuration was refused, the one before is in force"}, "vipd.yaml:3:5: vips: empty\nvipd.yaml:4:1: x"}}},
		{"lost uplinks", &vipdv1.Node{Uplinks: &vipdv1.Uplinks{Total: 1}}, []notice{{mark{bad, "0 of 1 uplink alive, says BFD"}, ""}}},
		{"all else", &vipdv1.Node{Problems: []string{"a", "b"}}, []notice{{mark{warn, "Problem"}, "a"}, {mark{warn, "Problem"}, "b"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := notices(noon, tt.node)
			if len(got) != len(tt.want) {
				t.Fatalf("got %+v", got)
			}
			for i, n := range got {
				if n != tt.want[i] {
					t.Errorf("got %+v, want %+v", n, tt.want[i])
				}
			}
		})
	}
}

func TestTonesOfVIPs(t *testing.T) {
	confirmed := &vipdv1.Route{Confirmed: true}
	for _, tt := range []struct {
		name string
		vip  *vipdv1.Vip
		want tone
	}{
		{"advertised", &vipdv1.Vip{State: "advertised", Route: confirmed}, good},
		{"advertised, without BGP", &vipdv1.Vip{State: "advertised"}, good},
		{"advertised, not confirmed", &vipdv1.Vip{State: "advertised", Route: &vipdv1.Route{}}, warn},
		{"advertised, degraded", &vipdv1.Vip{State: "advertised", Route: confirmed, Degraded: true}, warn},
		{"withdrawn by the checks", &vipdv1.Vip{State: "withdrawn", Rule: "checks", Route: confirmed}, bad},
		{"withdrawn for uplinks", &vipdv1.Vip{State: "withdrawn", Rule: "uplinks_down"}, bad},
		{"withdrawn by a drain", &vipdv1.Vip{State: "withdrawn", Rule: "draining"}, idle},
		{"withdrawn by the operator", &vipdv1.Vip{State: "withdrawn", Rule: "override_withdraw"}, idle},
		{"undecided", &vipdv1.Vip{State: "undecided"}, idle},
		{"a word that is not known", &vipdv1.Vip{State: "resting"}, idle},
	} {
		if got := vipTone(tt.vip); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestHeldNeighborsSayWhy(t *testing.T) {
	for _, tt := range []struct {
		hold *vipdv1.Hold
		want string
	}{
		{nil, ""},
		{&vipdv1.Hold{}, ""},
		{&vipdv1.Hold{Disable: true, InForce: true, Reason: "BFD down"}, "disabled: BFD down"},
		{&vipdv1.Hold{Disable: true, Reason: "BFD down", Error: "timeout"}, "to be disabled: BFD down; timeout"},
		{&vipdv1.Hold{Withhold: true, InForce: true}, "sent no routes"},
		{&vipdv1.Hold{Error: "can't be enabled: timeout"}, "can't be enabled: timeout"},
	} {
		if got := heldText(tt.hold); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestRoutesInWords(t *testing.T) {
	for _, tt := range []struct {
		route *vipdv1.Route
		want  string
	}{
		{nil, ""},
		{&vipdv1.Route{Wanted: true, Installed: true, Confirmed: true}, "installed, as wanted"},
		{&vipdv1.Route{Confirmed: true}, "not installed, as wanted"},
		{&vipdv1.Route{Wanted: true, Installed: true}, "installed, but not as wanted"},
		{&vipdv1.Route{Wanted: true}, "wanted, but the speaker does not show it"},
		{&vipdv1.Route{Installed: true}, "not wanted, but the speaker still shows it"},
	} {
		if got := routeText(tt.route); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// What is wrong must not be behind "and 900 more".
func TestTroubleComesFirstAmongPeers(t *testing.T) {
	var many []*vipdv1.Neighbor
	for range 150 {
		many = append(many, &vipdv1.Neighbor{Address: "well", State: "established"})
	}
	many = append(many, &vipdv1.Neighbor{Address: "idle", State: "idle"}, &vipdv1.Neighbor{Address: "held", State: "established", Hold: &vipdv1.Hold{Withhold: true}})
	got := neighborRows(noon, many)
	if len(got.Shown) != peersShown || got.More() != 52 || got.Shown[0].Address != "idle" || got.Shown[1].Address != "held" {
		t.Errorf("%d shown, %d more, first %s and %s", len(got.Shown), got.More(), got.Shown[0].Address, got.Shown[1].Address)
	}
}
