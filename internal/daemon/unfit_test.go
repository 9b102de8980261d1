package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/control"
)

// fileC is withVIPs and one more VIP of the file.
func fileC(name, prefix string) string {
	return withVIPs + "  - {name: " + name + ", prefix: " + prefix + ", check: web, backends: [{address: \"127.0.0.1:1\"}]}\n"
}

// unfitByName returns a daemon whose file has taken what a VIP of the API is called.
func unfitByName(t *testing.T) node {
	t.Helper()
	o := stateful(t, withVIPs)
	n, _, kill := lives(t, o)
	upsert(t, n, spec("c", "192.0.2.3", nil))
	kill()
	return again(t, o, fileC("c", "192.0.2.4"))
}

// A definition that is left out has no part in the VIP of the file that has its
// name by now.
func TestWhatIsLeftOutGoesAlone(t *testing.T) {
	for what, remove := range map[string]func(n node) error{
		"delete": func(n node) error { return n.DeleteVip(t.Context(), "me", &vipdv1.DeleteVipRequest{Vip: "c"}) },
		"replace": func(n node) error {
			_, err := n.ReplaceVips(t.Context(), "me", &vipdv1.ReplaceVipsRequest{Owner: defaultOwner})
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			n := unfitByName(t)
			if _, err := n.SetOverride(t.Context(), "me", override("c", "withdraw", 0)); err != nil {
				t.Fatal(err)
			}
			v := wantVIP(t, n, "c", "withdrawn", "override_withdraw")
			if v.GetOwner() != "" || v.GetVersion() != 0 || v.GetSpec() != nil {
				t.Errorf("the file's VIP is shown as somebody's: %v", v)
			}
			if err := remove(n); err != nil {
				t.Fatal(err)
			}
			wantVIP(t, n, "192.0.2.4", "withdrawn", "override_withdraw")
			if len(n.memory.known.VIPs) > 0 || len(n.memory.known.Overrides) != 1 {
				t.Errorf("kept are %v, %v", n.memory.known.VIPs, n.memory.known.Overrides)
			}
			if problems := n.nodeMessage().GetProblems(); len(problems) > 0 {
				t.Errorf("still told: %q", problems)
			}
		})
	}
}

// A prefix inside that of another VIP would be left out by the next start.
func TestPrefixesOfMadeVIPsDoNotOverlap(t *testing.T) {
	o := stateful(t, withVIPs)
	n, _, kill := lives(t, o)
	upsert(t, n, spec("wide", "198.51.100.0/24", nil))
	upsert(t, n, spec("host", "203.0.113.7", nil))
	for _, bad := range []*vipdv1.VipSpec{spec("x", "198.51.100.9", nil), spec("x", "198.51.0.0/16", nil), spec("x", "203.0.113.0/28", nil)} {
		var refused *control.Refusal
		_, err := n.UpsertVip(t.Context(), "me", &vipdv1.UpsertVipRequest{Vip: bad})
		if !errors.As(err, &refused) || refused.Kind != control.Precondition {
			t.Errorf("%s: %v, want it refused", bad.GetPrefix(), err)
		}
	}
	upsert(t, n, spec("wide", "203.0.114.0/24", nil)) // what it had before is free then
	upsert(t, n, spec("x", "198.51.100.9", nil))
	kill()
	n, _, _ = lives(t, o)
	if problems := n.nodeMessage().GetProblems(); len(problems) > 0 {
		t.Errorf("left out after a restart: %q", problems)
	}
}

// A FIFO that nobody writes to is never read to its end.
func TestCheckThatNamesWhatIsNoFileIsRefused(t *testing.T) {
	n, _, _ := lives(t, stateful(t, withVIPs))
	fifo := filepath.Join(t.TempDir(), "ca.pem")
	makeFIFO(t, fifo)
	check, err := structpb.NewStruct(map[string]any{"kind": "https", "tls": map[string]any{"ca_file": fifo}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := n.UpsertVip(ctx, "me", &vipdv1.UpsertVipRequest{Vip: spec("c", "192.0.2.3", func(v *vipdv1.VipSpec) {
			v.Check, v.Checks = "own", map[string]*structpb.Struct{"own": check}
		})})
		done <- err
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		for {
			writeFIFO(t, fifo)
			select {
			case <-done:
				t.Fatal("it waits for what nobody writes")
			default:
			}
		}
	}
	if err == nil || !strings.Contains(err.Error(), "vip.checks.own.tls.ca_file") {
		t.Errorf("error %v, want one that names the file's key", err)
	}
}

// withCA is a VIP whose check has a certificate authority of its own.
func withCA(t *testing.T, ca string) *vipdv1.VipSpec {
	t.Helper()
	check, err := structpb.NewStruct(map[string]any{"kind": "https", "tls": map[string]any{"ca_file": ca}})
	if err != nil {
		t.Fatal(err)
	}
	return spec("c", "192.0.2.3", func(v *vipdv1.VipSpec) { v.Check, v.Checks = "own", map[string]*structpb.Struct{"own": check} })
}

// What one VIP of the API needs, and is spoilt by now, must not keep vipd from
// serving the others.
func TestSpoiltCertificateLeavesItsVIPOut(t *testing.T) {
	o := stateful(t, withVIPs)
	n, _, kill := lives(t, o)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	good := authority(t)
	write := func(data []byte) {
		if err := os.WriteFile(ca, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(good)
	upsert(t, n, withCA(t, ca))
	upsert(t, n, spec("d", "192.0.2.5", nil))
	kill()
	write([]byte("no certificate"))
	n, _, _ = lives(t, o)
	if problems := n.nodeMessage().GetProblems(); len(problems) != 1 || !strings.Contains(problems[0], "vip c made over the API") {
		t.Errorf("problems %q", problems)
	}
	if _, err := n.GetVip(t.Context(), "d"); err != nil {
		t.Error(err)
	}
	if err := reloads(t, n, withVIPs); err != nil {
		t.Errorf("a reload that makes nothing worse: %v", err)
	}
	// Repaired by who made it, with the spec of before.
	if _, err := n.UpsertVip(t.Context(), "me", &vipdv1.UpsertVipRequest{Vip: withCA(t, ca)}); err == nil {
		t.Error("it is still spoilt, and was taken")
	}
	write(good)
	upsert(t, n, withCA(t, ca))
	if _, err := n.GetVip(t.Context(), "c"); err != nil {
		t.Error(err)
	}
	if problems := n.nodeMessage().GetProblems(); len(problems) > 0 || len(n.board.Node().GetProblems()) > 0 {
		t.Errorf("problems %q, on the board %q", problems, n.board.Node().GetProblems())
	}
}

// The word on a VIP that is left out waits for the VIP.
func TestOverrideWaitsForAVIPThatIsLeftOut(t *testing.T) {
	o := stateful(t, withVIPs)
	n, _, kill := lives(t, o)
	upsert(t, n, spec("c", "192.0.2.3", nil))
	if _, err := n.SetOverride(t.Context(), "me", override("c", "withdraw", 0)); err != nil {
		t.Fatal(err)
	}
	kill()
	o.Config = parse(t, fileC("d", "192.0.2.3")+"state_dir: "+o.Config.StateDir+"\n")
	n, _, kill = lives(t, o)
	var refused *control.Refusal
	if _, err := n.SetOverride(t.Context(), "me", override("c", "auto", 0)); !errors.As(err, &refused) || !strings.Contains(err.Error(), "left out") {
		t.Errorf("error %v, want it to say that c is left out", err)
	}
	if _, err := n.SetOverride(t.Context(), "me", override("a", "withdraw", 0)); err != nil {
		t.Fatal(err) // which saves all words
	}
	if err := reloads(t, n, withVIPs); err != nil {
		t.Fatal(err)
	}
	wantVIP(t, n, "c", "withdrawn", "override_withdraw")
	kill()
	o.Config = parse(t, withVIPs+"state_dir: "+o.Config.StateDir+"\n")
	n, _, _ = lives(t, o)
	wantVIP(t, n, "c", "withdrawn", "override_withdraw")
}

// Which number a definition has among all says nothing about what is wrong.
func TestReloadIsNotRefusedForWhatWasLeftOutBefore(t *testing.T) {
	o := stateful(t, withVIPs)
	n, _, kill := lives(t, o)
	upsert(t, n, spec("m", "192.0.2.3", nil))
	kill()
	n = again(t, o, fileC("d", "192.0.2.3"))
	upsert(t, n, spec("c", "192.0.2.6", nil)) // comes before m
	if err := reloads(t, n, fileC("e", "192.0.2.3")); err != nil {
		t.Errorf("m was left out before as well: %v", err)
	}
	if err := reloads(t, n, fileC("e", "192.0.2.6")); err == nil || !strings.Contains(err.Error(), "vip c made") || strings.Contains(err.Error(), "vip m") {
		t.Errorf("error %v, want one about c alone", err)
	}
}

// Who said something of a VIP that is gone said nothing of one that comes later
// under its name.
func TestWordsOfAVIPThatIsGoneStayGone(t *testing.T) {
	o := stateful(t, fileC("c", "192.0.2.3"))
	n, _, kill := lives(t, o)
	if _, err := n.SetOverride(t.Context(), "me", override("c", "withdraw", 0)); err != nil {
		t.Fatal(err)
	}
	kill()
	o.Config = parse(t, withVIPs+"state_dir: "+o.Config.StateDir+"\n")
	n, _, kill = lives(t, o)
	if err := reloads(t, n, fileC("c", "192.0.2.3")); err != nil {
		t.Fatal(err)
	}
	if v, err := n.GetVip(t.Context(), "c"); err != nil || v.GetOverride() != nil {
		t.Fatalf("%v, %v", v, err)
	}
	kill()
	n = again(t, o, fileC("c", "192.0.2.3"))
	if v, err := n.GetVip(t.Context(), "c"); err != nil || v.GetOverride() != nil {
		t.Errorf("back from the dead: %v, %v", v.GetOverride(), err)
	}
}

// A VIP goes with what was said of it in one stroke: a crash can't part them.
func TestRemovedVIPTakesItsOverrideAlong(t *testing.T) {
	o := stateful(t, withVIPs)
	n, _, _ := lives(t, o)
	upsert(t, n, spec("c", "192.0.2.3", nil))
	if _, err := n.SetOverride(t.Context(), "me", override("c", "withdraw", 0)); err != nil {
		t.Fatal(err)
	}
	before := n.memory.saves.Load()
	if err := n.DeleteVip(t.Context(), "me", &vipdv1.DeleteVipRequest{Vip: "c"}); err != nil {
		t.Fatal(err)
	}
	if saves := n.memory.saves.Load() - before; saves != 1 {
		t.Errorf("%d saves", saves)
	}
	if left := len(n.memory.known.Overrides); left != 0 {
		t.Errorf("%d overrides are kept", left)
	}
	told := slices.ContainsFunc(events(n), func(e *vipdv1.Event) bool {
		return e.GetKind() == kindOverride && e.GetSubject() == "c" && e.GetTo() == "auto" && e.GetBy() == "me"
	})
	if !told {
		t.Error("nobody is told that the override is gone")
	}
}
