package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/control"
	"github.com/fiberlb/vipd/internal/drain"
)

// withVIPs is a configuration of two VIPs whose backends never answer.
const withVIPs = noBGP + `
vips:
  - {name: a, prefix: 192.0.2.1, check: web, backends: [{address: "127.0.0.1:1"}]}
  - {name: b, prefix: 192.0.2.2, check: web, backends: [{address: "127.0.0.1:1"}]}
`

func TestOverrideSurvivesACrash(t *testing.T) {
	o := stateful(t, withVIPs)
	n, _, kill := lives(t, o)
	for _, r := range []*vipdv1.SetOverrideRequest{override("a", "advertise", time.Hour), override("192.0.2.2/32", "withdraw", 0)} {
		if _, err := n.SetOverride(t.Context(), "uid 7", r); err != nil {
			t.Fatal(err)
		}
	}
	kill()
	n, _, kill = lives(t, o)
	v := wantVIP(t, n, "192.0.2.1", "advertised", "override_advertise")
	if by := v.GetOverride().GetBy(); by != "uid 7" || v.GetOverride().GetReason() != "because" {
		t.Errorf("override %v lost who and why", v.GetOverride())
	}
	if left := time.Until(v.GetOverride().GetUntil().AsTime()); left > time.Hour || left < 59*time.Minute {
		t.Errorf("%s are left of an hour", left)
	}
	wantVIP(t, n, "b", "withdrawn", "override_withdraw")
	if _, err := n.SetOverride(t.Context(), "uid 7", override("a", "auto", 0)); err != nil {
		t.Fatal(err)
	}
	kill()
	n, _, _ = lives(t, o)
	eventually(t, "the checks decide", func() bool {
		v, err := n.GetVip(t.Context(), "a")
		return err == nil && v.GetRule() == "checks"
	})
}

// Without a state_dir words last as long as this life, and leave no file.
func TestWordsWithoutAStateDir(t *testing.T) {
	t.Chdir(t.TempDir())
	o, _ := options(t, withVIPs+"state_dir: ''\n")
	n, _, kill := lives(t, o)
	upsert(t, n, spec("c", "192.0.2.3", nil))
	if _, err := n.SetOverride(t.Context(), "me", override("c", "advertise", time.Hour)); err != nil {
		t.Fatal(err)
	}
	wantVIP(t, n, "c", "advertised", "override_advertise")
	kill()
	n, _, _ = lives(t, o)
	if _, err := n.GetVip(t.Context(), "c"); err == nil {
		t.Error("it is there again")
	}
	if files, err := os.ReadDir("."); err != nil || len(files) > 0 {
		t.Errorf("files %v, %v", files, err)
	}
}

func TestOverrideEndsOnTime(t *testing.T) {
	o := stateful(t, withVIPs)
	n, _, kill := lives(t, o)
	if _, err := n.SetOverride(t.Context(), "me", override("a", "advertise", 2*time.Second)); err != nil {
		t.Fatal(err)
	}
	wantVIP(t, n, "a", "advertised", "override_advertise")
	eventually(t, "the override is forgotten", func() bool {
		v, err := n.GetVip(t.Context(), "a")
		return err == nil && v.GetRule() == "checks" && v.GetOverride() == nil
	})
	kill()
	n, _, _ = lives(t, o)
	if v, err := n.GetVip(t.Context(), "a"); err != nil || v.GetOverride() != nil {
		t.Errorf("override %v, error %v", v.GetOverride(), err)
	}
}

func TestDrainSurvivesACrashAndAnnouncesNothing(t *testing.T) {
	o := stateful(t, withVIPs)
	n, _, kill := lives(t, o)
	if _, err := n.SetOverride(t.Context(), "me", override("a", "advertise", 0)); err != nil {
		t.Fatal(err)
	}
	var last *vipdv1.DrainProgress
	tell := func(p *vipdv1.DrainProgress) error { last = p; return nil }
	if err := n.Drain(t.Context(), "me", &vipdv1.DrainRequest{Reason: "kernel", Wait: true}, tell); err != nil {
		t.Fatal(err)
	}
	if !last.GetDone() || last.GetOutcome() != drain.Confirmed {
		t.Errorf("the last word was %v", last)
	}
	kill()
	n, told, _ := lives(t, o)
	wantVIP(t, n, "a", "withdrawn", "draining")
	for prefix, calls := range told.take() {
		for _, call := range calls {
			if call == "set" {
				t.Errorf("%s was announced: %v", prefix, calls)
			}
		}
	}
	if err := n.ready(); err == nil || !strings.Contains(err.Error(), "drained by me") {
		t.Errorf("ready: %v", err)
	}
	if _, err := n.Undrain(t.Context(), "me"); err != nil {
		t.Fatal(err)
	}
	wantVIP(t, n, "a", "advertised", "override_advertise")
}

func TestDrainEndsOnTime(t *testing.T) {
	n, _, _ := lives(t, stateful(t, withVIPs))
	var outcomes []string
	tell := func(p *vipdv1.DrainProgress) error { outcomes = append(outcomes, p.GetOutcome()); return nil }
	if err := n.Drain(t.Context(), "me", &vipdv1.DrainRequest{Ttl: durationpb.New(100 * time.Millisecond)}, tell); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it serves again", func() bool { return n.nodeMessage().GetDrain() == nil })
	eventually(t, "the checks decide", func() bool {
		v, err := n.GetVip(t.Context(), "a")
		return err == nil && v.GetRule() == "checks"
	})
}

func TestMadeVIPSurvivesACrash(t *testing.T) {
	o := stateful(t, withVIPs)
	n, _, kill := lives(t, o)
	check, err := structpb.NewStruct(map[string]any{"kind": "tcp", "interval": "20ms", "timeout": "10ms"})
	if err != nil {
		t.Fatal(err)
	}
	asked := spec("c", "192.0.2.3", func(v *vipdv1.VipSpec) {
		v.Check, v.MinHealthy, v.HoldDown = "own", "50%", durationpb.New(3*time.Second)
		v.Checks = map[string]*structpb.Struct{"own": check}
	})
	if _, err := n.UpsertVip(t.Context(), "me", &vipdv1.UpsertVipRequest{Vip: asked, Owner: "lb"}); err != nil {
		t.Fatal(err)
	}
	kill()
	n, _, _ = lives(t, o)
	v, err := n.GetVip(t.Context(), "192.0.2.3/32")
	if err != nil || v.GetOwner() != "lb" || v.GetVersion() != 1 || v.GetSpec().String() != asked.String() || v.GetBackends()[0].GetKind() != "tcp" {
		t.Errorf("got %v, error %v", v, err)
	}
}

// The same again costs nothing, and one that differs costs one.
func TestControllerThatReplacesManyVIPsWithOneChanged(t *testing.T) {
	const many = 2000
	n, told, _ := lives(t, stateful(t, strings.Replace(noBGP, "interval: 10ms", "interval: 1h", 1)+"vips: []\n"))
	r := &vipdv1.ReplaceVipsRequest{Owner: "lb"}
	for i := range many {
		r.Vips = append(r.Vips, spec(fmt.Sprint("v", i), fmt.Sprintf("10.1.%d.%d", i/250, i%250), nil))
	}
	// So that no probe decides anything in between.
	if err := n.Drain(t.Context(), "me", &vipdv1.DrainRequest{Wait: true}, func(*vipdv1.DrainProgress) error { return nil }); err != nil {
		t.Fatal(err)
	}
	out, err := n.ReplaceVips(t.Context(), "me", r)
	if err != nil || out.GetAdded() != many {
		t.Fatal(out, err)
	}
	if calls := told.take(); len(calls) != many {
		t.Fatalf("the speaker is told of %d prefixes", len(calls))
	}
	med, err := structpb.NewStruct(map[string]any{"med": 7})
	if err != nil {
		t.Fatal(err)
	}
	r.Vips[1234].Announce = med
	out, err = n.ReplaceVips(t.Context(), "me", r)
	if err != nil || out.GetChanged() != 1 || out.GetUnchanged() != many-1 || out.GetGeneration() != 2 {
		t.Fatal(out, err)
	}
	if calls := told.take(); len(calls) != 1 {
		t.Errorf("the speaker is told of %d prefixes", len(calls))
	}
}

func TestRefusedRequestsChangeNothing(t *testing.T) {
	n, _, _ := lives(t, stateful(t, withVIPs))
	one := uint64(1)
	for _, c := range []struct {
		rule string
		do   func(ctx context.Context) error
		kind control.Kind
		text string
	}{
		{"an unknown vip", func(ctx context.Context) error {
			_, err := n.SetOverride(ctx, "me", override("x", "withdraw", 0))
			return err
		}, control.NotFound, `no vip is called "x"`},
		{"a vip of the file", func(ctx context.Context) error {
			_, err := n.UpsertVip(ctx, "me", &vipdv1.UpsertVipRequest{Vip: spec("a", "192.0.2.9", nil)})
			return err
		}, control.Precondition, "of the configuration file"},
		{"the wrong version", func(ctx context.Context) error {
			_, err := n.UpsertVip(ctx, "me", &vipdv1.UpsertVipRequest{Vip: spec("c", "192.0.2.9", nil), ExpectedVersion: &one})
			return err
		}, control.Conflict, "is of version 0, not 1"},
		{"a check that is not there", func(ctx context.Context) error {
			_, err := n.UpsertVip(ctx, "me", &vipdv1.UpsertVipRequest{Vip: spec("c", "192.0.2.9", func(v *vipdv1.VipSpec) { v.Check = "wbe" })})
			return err
		}, 0, "vip.check: "},
		{"one bad among many", func(ctx context.Context) error {
			_, err := n.ReplaceVips(ctx, "me", &vipdv1.ReplaceVipsRequest{Owner: "lb", Vips: []*vipdv1.VipSpec{
				spec("c", "192.0.2.9", nil), spec("d", "192.0.2.10", func(v *vipdv1.VipSpec) { v.Backends[0].Address = "no-port" }),
			}})
			return err
		}, 0, "vips[1].backends[0].address: "},
		{"a session without a profile", func(ctx context.Context) error {
			_, err := n.AddBfdSession(ctx, "me", &vipdv1.AddBfdSessionRequest{Peer: "127.0.0.9", Profile: "none"})
			return err
		}, 0, "profile"},
		{"a vip of the file to be removed", func(ctx context.Context) error {
			return n.DeleteVip(ctx, "me", &vipdv1.DeleteVipRequest{Vip: "a"})
		}, control.Precondition, "of the configuration file"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			err := c.do(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.text) {
				t.Fatalf("error %v, want %q in it", err, c.text)
			}
			var refused *control.Refusal
			var invalid control.Invalid
			if errors.As(err, &refused); c.kind != 0 && (refused == nil || refused.Kind != c.kind) {
				t.Errorf("error %#v, want kind %d", err, c.kind)
			}
			if errors.As(err, &invalid); c.kind == 0 && invalid == nil {
				t.Errorf("error %#v, want violations", err)
			}
			if known := n.memory.known; len(known.VIPs)+len(known.Overrides)+len(known.Sessions)+len(known.Owners) > 0 {
				t.Errorf("%+v is kept", known)
			}
		})
	}
}

func TestWhatCanNotBeKeptIsRefused(t *testing.T) {
	o := stateful(t, withVIPs)
	n, told, _ := lives(t, o)
	eventually(t, "it is decided", func() bool {
		b, err := n.GetVip(t.Context(), "b")
		v, err2 := n.GetVip(t.Context(), "a")
		return errors.Join(err, err2) == nil && v.GetState() == "withdrawn" && b.GetState() == "withdrawn"
	})
	told.take()
	if err := os.RemoveAll(o.Config.StateDir); err != nil {
		t.Fatal(err)
	}
	var refused *control.Refusal
	if _, err := n.SetOverride(t.Context(), "me", override("a", "advertise", 0)); !errors.As(err, &refused) || refused.Kind != control.Exhausted {
		t.Errorf("override: %v", err)
	}
	if err := n.Drain(t.Context(), "me", &vipdv1.DrainRequest{}, nil); !errors.As(err, &refused) || refused.Kind != control.Exhausted {
		t.Errorf("drain: %v", err)
	}
	if _, err := n.UpsertVip(t.Context(), "me", &vipdv1.UpsertVipRequest{Vip: spec("c", "192.0.2.3", nil)}); !errors.As(err, &refused) || refused.Kind != control.Exhausted {
		t.Errorf("upsert: %v", err)
	}
	wantVIP(t, n, "a", "withdrawn", "checks")
	if _, err := n.GetVip(t.Context(), "c"); !errors.As(err, &refused) || refused.Kind != control.NotFound {
		t.Errorf("c is there: %v", err)
	}
	if calls := told.take(); len(calls) > 0 {
		t.Errorf("the speaker was told %v", calls)
	}
	if n.nodeMessage().GetDrain() != nil {
		t.Error("it drains")
	}
}

// A reload that takes away what a VIP of the API needs is refused; a start is
// not, for the other VIPs' sake.
func TestMadeVIPThatDoesNotFitAnyMore(t *testing.T) {
	o := stateful(t, withVIPs+"log: {level: debug}\n")
	n, _, kill := lives(t, o)
	if _, err := n.UpsertVip(t.Context(), "me", &vipdv1.UpsertVipRequest{Vip: spec("c", "192.0.2.3", nil)}); err != nil {
		t.Fatal(err)
	}
	without := parse(t, noBGP+"state_dir: "+o.Config.StateDir+"\nvips: []\n")
	clash := parse(t, withVIPs+"  - {name: d, prefix: 192.0.2.3, check: web, backends: [{address: \"127.0.0.1:1\"}]}\nstate_dir: "+o.Config.StateDir+"\n")
	for _, bad := range []*config.Config{clash} {
		n.Load = func() (*config.Config, []config.Problem, error) { return bad, nil, nil }
		if _, err := n.Reload(t.Context(), "me"); err == nil || !strings.Contains(err.Error(), "vip c made over the API") {
			t.Errorf("reload: %v", err)
		}
	}
	n.Load = func() (*config.Config, []config.Problem, error) { return without, nil, nil }
	if _, err := n.Reload(t.Context(), "me"); err != nil {
		t.Errorf("reload: %v", err)
	}
	kill()
	o.Config = clash
	n, _, _ = lives(t, o)
	if problems := n.nodeMessage().GetProblems(); len(problems) != 1 || !strings.Contains(problems[0], "vip c") {
		t.Errorf("problems %q", problems)
	}
	wantVIP(t, n, "192.0.2.3", "undecided", "undecided")
	if err := n.DeleteVip(t.Context(), "me", &vipdv1.DeleteVipRequest{Vip: "c"}); err != nil {
		t.Errorf("what does not fit can't be removed: %v", err)
	}
	if _, err := os.Stat(filepath.Join(o.Config.StateDir, "state.json")); err != nil {
		t.Error(err)
	}
}
