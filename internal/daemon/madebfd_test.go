package daemon

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/control"
)

// bfdReady is withVIPs where BFD sessions could be.
func bfdReady(here string) string {
	return withVIPs + fmt.Sprintf("bfd: {listen: [%s], profiles: {fast: {tx: 100ms, rx: 100ms, multiplier: 10}}}\n", here)
}

func addSession(t *testing.T, n node, peer, local string) {
	t.Helper()
	if _, err := n.AddBfdSession(t.Context(), "me", &vipdv1.AddBfdSessionRequest{Peer: peer, Local: local, Profile: "fast"}); err != nil {
		t.Fatal(err)
	}
}

func ids(t *testing.T, n node) (all []string) {
	t.Helper()
	sessions, err := n.Sessions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sessions {
		all = append(all, s.GetId())
	}
	return all
}

func TestMadeSessionSurvivesACrash(t *testing.T) {
	here, there := twoHosts(20)
	o := stateful(t, bfdReady(here))
	n, _, kill := lives(t, o)
	addSession(t, n, there, here)
	kill()
	n, _, _ = lives(t, o)
	eventually(t, "it is there", func() bool { return len(ids(t, n)) == 1 && len(n.board.Sessions()) == 1 })
	if s := n.board.Sessions()[0]; s.GetOwner() != defaultOwner || s.GetPeer() != there {
		t.Errorf("session %v", s)
	}
	if err := n.RemoveBfdSession(t.Context(), "me", &vipdv1.RemoveBfdSessionRequest{Id: there}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone from the board", func() bool { return len(n.board.Sessions()) == 0 })
	if len(n.memory.known.Sessions) > 0 {
		t.Error("it is kept still")
	}
}

// A peer's address is no name where it has two sessions.
func TestSessionToRemoveMustBeClear(t *testing.T) {
	here, there := twoHosts(21)
	n, _, _ := lives(t, stateful(t, bfdReady(here)))
	addSession(t, n, there, here)
	if _, err := n.AddBfdSession(t.Context(), "me", &vipdv1.AddBfdSessionRequest{Peer: there, Local: here, Profile: "fast", Multihop: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are there", func() bool { return len(ids(t, n)) == 2 })
	var refused *control.Refusal
	err := n.RemoveBfdSession(t.Context(), "me", &vipdv1.RemoveBfdSessionRequest{Id: there})
	if !errors.As(err, &refused) || refused.Kind != control.Precondition {
		t.Fatalf("error %v, want it to ask which", err)
	}
	for _, id := range ids(t, n) {
		if err := n.RemoveBfdSession(t.Context(), "me", &vipdv1.RemoveBfdSessionRequest{Id: id}); err != nil {
			t.Error(err)
		}
	}
}

// A port that somebody else has by now must not keep vipd from serving VIPs, for
// the sake of a session that was made over the API.
func TestMadeSessionThatCanNotBeIsLeftOut(t *testing.T) {
	here, there := twoHosts(22)
	o := stateful(t, bfdReady(here))
	n, _, kill := lives(t, o)
	addSession(t, n, there, here)
	kill()
	r := routerAt(t, here, there, calm) // takes the port
	defer r.stop()
	n, _, _ = lives(t, o)
	if problems := n.nodeMessage().GetProblems(); len(problems) != 1 || !strings.Contains(problems[0], "is taken") {
		t.Errorf("problems %q", problems)
	}
	if _, err := n.GetVip(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if err := reloads(t, n, bfdReady(here)); err != nil {
		t.Errorf("a reload that makes nothing worse: %v", err)
	}
	r.stop()
	addSession(t, n, there, here) // again
	eventually(t, "it is there", func() bool { return len(ids(t, n)) == 1 })
	if problems := n.board.Node().GetProblems(); len(problems) > 0 || len(n.memory.known.Sessions) != 1 {
		t.Errorf("problems %q, kept %v", problems, n.memory.known.Sessions)
	}
}

// A VIP of the API may follow a session that the file has, for as long as it has
// it.
func TestMadeVIPThatFollowsASession(t *testing.T) {
	here, there := twoHosts(23)
	text := once(fmt.Sprintf(bfdOnly, here, there))
	n, _, _ := lives(t, stateful(t, text))
	follow := func(peer string) error {
		_, err := n.UpsertVip(t.Context(), "me", &vipdv1.UpsertVipRequest{Vip: spec("c", "192.0.2.3", func(v *vipdv1.VipSpec) {
			v.Check, v.Backends[0].Address = "alive", peer+":80"
		})})
		return err
	}
	if err := follow(here); err == nil { // there is none with this one
		t.Error("a session was made for a VIP of the API, or it waits for one for ever")
	}
	if err := follow(there); err != nil {
		t.Fatal(err)
	}
	r := routerAt(t, there, here, calm)
	defer r.stop()
	eventually(t, "it is advertised", func() bool {
		v, err := n.GetVip(t.Context(), "c")
		return err == nil && v.GetState() == "advertised"
	})
	gone := strings.Replace(text, "vips: [{name: web, prefix: 192.0.2.1, check: alive, backends: [{address: '"+there+":80'}]}]", "vips: []", 1)
	if err := reloads(t, n, gone); err == nil || !strings.Contains(err.Error(), "vip c made over the API") {
		t.Errorf("reload: %v", err)
	}
	wantVIP(t, n, "c", "advertised", "checks")
}
