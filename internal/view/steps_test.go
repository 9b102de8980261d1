package view

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bgpclient"
)

func wantSteps(t *testing.T, e *vipdv1.Explanation, want ...string) {
	t.Helper()
	var got []string
	for _, s := range e.GetSteps() {
		mark := "  "
		if !s.GetOk() {
			mark = "! "
		}
		got = append(got, fmt.Sprintf("%s%s %s: %s", mark, s.GetStage(), s.GetSubject(), s.GetText()))
	}
	if !slices.Equal(got, want) {
		t.Errorf("steps\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestStepsGoFromBackendsToNeighbors(t *testing.T) {
	s := well()
	wantSteps(t, s.explain(),
		"  backend a: http 10.1.0.11:80 is up since 2026-03-01T12:00:00Z",
		"! backend b: http 10.1.0.12:80 is down since 2026-03-01T12:00:00Z: connection refused",
		"  tally web: 1 of 2 backends healthy (minimum 1)",
		"  rule checks: advertised: 1 of 2 backends healthy (minimum 1)",
		"  route 192.0.2.10/32: gobgp at 127.0.0.1:50051 has it as wanted: med 5",
		"  neighbor 10.0.0.253 (tor-1): sent (BGP does not tell whether it is accepted)",
		"  neighbor 10.0.0.254: sent (BGP does not tell whether it is accepted)",
	)
}

func TestStepsShowAllThatIsWrong(t *testing.T) {
	s := well()
	s.withdraw("override_withdraw", "override by alice: test")
	s.vip.Tally = &vipdv1.Tally{Total: 2, TotalWeight: 5}
	s.vip.Backends[0] = &vipdv1.Backend{Name: "a", Kind: "bfd", Health: "unknown"}
	s.vip.Route = &vipdv1.Route{Installed: true, Foreign: true}
	s.neighbors[0].Families = []string{"ipv6"}
	s.keepBack(1, bgpclient.Sent{Sent: true})
	s.neighbors = append(s.neighbors, &vipdv1.Neighbor{Address: "10.0.0.255", State: "established"})
	wantSteps(t, s.explain(),
		"! backend a: bfd is unknown, not counted (weight 0)",
		"! backend b: http 10.1.0.12:80 is down since 2026-03-01T12:00:00Z: connection refused",
		"! tally web: 0 of 2 backends healthy, weight 0 of 5 (minimum 1)",
		"! rule override_withdraw: withdrawn: override by alice: test",
		"! route 192.0.2.10/32: gobgp at 127.0.0.1:50051 still has the route; somebody else's route for it is there too, and attracts traffic whatever vipd decides",
		"  neighbor 10.0.0.253 (tor-1): carries no IPv4 routes: this VIP is not for it",
		"! neighbor 10.0.0.254: still sent, though withdrawn",
		"! neighbor 10.0.0.255: not known: the speaker did not tell",
	)
}

func TestStepsOfAWithdrawnVIPShowThatTheRestWouldWork(t *testing.T) {
	s := well()
	s.withdraw("draining", "draining")
	s.lose(1)
	e := s.explain()
	e.Steps = e.Steps[4:]
	wantSteps(t, e,
		"  route 192.0.2.10/32: gobgp at 127.0.0.1:50051 has no route of vipd",
		"  neighbor 10.0.0.253 (tor-1): BGP session is up; there is no route to send",
		"! neighbor 10.0.0.254: BGP session down since 2026-03-01T12:00:00Z (active)",
	)
}

func TestTheRouteStepTellsWhatTheSpeakerShows(t *testing.T) {
	const at = "gobgp at 127.0.0.1:50051 "
	for _, tt := range []struct {
		name   string
		change func(s *scene)
		want   string
	}{
		{"without attributes", func(s *scene) { s.vip.Route.Attributes = "" }, "  " + at + "has it as wanted"},
		{"beside somebody else's", func(s *scene) { s.vip.Route.Foreign = true }, "! " + at + "has it as wanted: med 5; somebody else's route for it is there too, and attracts traffic whatever vipd decides"},
		{"not yet", func(s *scene) { s.vip.Route = &vipdv1.Route{Wanted: true} }, "! " + at + "does not show the route yet"},
		{"not asked yet", func(s *scene) { s.vip.Route = nil }, "! " + at + "does not show the route yet"},
		{"otherwise", func(s *scene) { s.vip.Route = &vipdv1.Route{Wanted: true, Installed: true} }, "! " + at + "has a route of vipd, not yet as wanted"},
		{"refused", func(s *scene) { s.vip.Route = &vipdv1.Route{Wanted: true, Error: "timeout"} }, "! " + at + "did not take the change: timeout"},
		{"kept", func(s *scene) { s.undecided(); s.vip.Route = &vipdv1.Route{Installed: true, Confirmed: true} }, "  " + at + "keeps the route as it was"},
		{"nothing to keep", func(s *scene) { s.undecided(); s.vip.Route = &vipdv1.Route{Confirmed: true} }, "  " + at + "has no route of vipd"},
		{"no BGP", func(s *scene) { s.node.Speaker = nil }, "! BGP is off (bgp.enabled: false): nothing is announced"},
		{"no speaker", func(s *scene) { s.cutOff() }, "! not known: " + at + "is not connected since 2026-03-01T12:00:00Z: connection refused"},
		{"another kind", func(s *scene) { s.node.Speaker = &vipdv1.Speaker{Kind: "gobgp", Connected: true} }, "  the speaker has it as wanted: med 5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := well()
			tt.change(s)
			for _, step := range s.explain().GetSteps() {
				if step.GetStage() != "route" {
					continue
				}
				mark := "  "
				if !step.GetOk() {
					mark = "! "
				}
				if got := mark + step.GetText(); got != tt.want {
					t.Errorf("%q, want %q", got, tt.want)
				}
			}
		})
	}
}

func TestOfManyBackendsThoseWithTroubleHaveSteps(t *testing.T) {
	s := well()
	s.vip.Backends = nil
	for i := range 100 {
		health := "up"
		if i >= 70 {
			health = "down"
		}
		s.vip.Backends = append(s.vip.Backends, &vipdv1.Backend{Name: fmt.Sprint(i), Health: health})
	}
	steps := s.explain().GetSteps()
	for i := range maxBackends {
		if want := fmt.Sprint(70 + i); steps[i].GetSubject() != want || steps[i].GetOk() {
			t.Errorf("step %d: %v, want backend %s", i, steps[i], want)
		}
	}
	if rest := steps[maxBackends]; rest.GetText() != "and 80 more, 70 of them up" || rest.GetOk() || rest.GetStage() != "backend" {
		t.Errorf("the rest: %v", rest)
	}
	if s.vip.Backends[0].GetName() != "0" {
		t.Error("the VIP's own list was sorted")
	}
}

// docs/decisions.md: "A percentage is reached when healthy weight × 100 ≥
// percentage × total weight"; "Without any healthy backend no minimum is reached."
func TestTheTallyIsOKWhenItReachesTheMinimum(t *testing.T) {
	for _, tt := range []struct {
		minimum string
		tally   *vipdv1.Tally
		want    bool
	}{
		{"1", &vipdv1.Tally{Healthy: 1}, true},
		{"2", &vipdv1.Tally{Healthy: 1}, false},
		{"0", &vipdv1.Tally{}, false},
		{"67%", &vipdv1.Tally{Healthy: 2, HealthyWeight: 2, TotalWeight: 3}, false},
		{"66%", &vipdv1.Tally{Healthy: 2, HealthyWeight: 2, TotalWeight: 3}, true},
		{"0%", &vipdv1.Tally{TotalWeight: 3}, false},
		{"", &vipdv1.Tally{Healthy: 1}, false},
	} {
		if got := enough(tt.tally, tt.minimum); got != tt.want {
			t.Errorf("%v reaches %q: %v", tt.tally, tt.minimum, got)
		}
	}
}

func TestAHoldTellsHowFarItIs(t *testing.T) {
	for want, h := range map[string]*vipdv1.Hold{
		"why (shut down)":                 {Reason: "why", Disable: true, InForce: true},
		"why (its routes are withheld)":   {Reason: "why", Withhold: true, InForce: true},
		"why (not in force yet): refused": {Reason: "why", Withhold: true, Error: "refused"},
		"being enabled again: refused":    {Reason: "being enabled again", InForce: true, Error: "refused"},
		"no reason is known (shut down)":  {Disable: true, InForce: true},
	} {
		if got := holding(h); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
