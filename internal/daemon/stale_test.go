package daemon

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/config"
)

// drained are VIPs that nothing but requests changes any more.
func drained(t *testing.T, text string) node {
	t.Helper()
	n, _, _ := lives(t, stateful(t, text))
	if err := n.Drain(t.Context(), "me", &vipdv1.DrainRequest{Wait: true}, func(*vipdv1.DrainProgress) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// What changed and no room noticed is on the board, too, once it is answered.
func TestBoardShowsWhatNoRoomTells(t *testing.T) {
	n := drained(t, withVIPs)
	upsert(t, n, spec("c", "192.0.2.3", nil))
	upsert(t, n, spec("d", "192.0.2.4", nil))
	med, err := structpb.NewStruct(map[string]any{"med": 7})
	if err != nil {
		t.Fatal(err)
	}
	upsert(t, n, spec("c", "192.0.2.3", func(v *vipdv1.VipSpec) { v.Announce = med }))
	if v := n.board.VIP("c"); v.GetVersion() != 3 {
		t.Errorf("version %d", v.GetVersion())
	}
	_, err = n.ReplaceVips(t.Context(), "me", &vipdv1.ReplaceVipsRequest{Owner: defaultOwner, Vips: []*vipdv1.VipSpec{
		spec("c", "192.0.2.4", nil), spec("d", "192.0.2.3", nil),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if c, d := n.board.VIP("c"), n.board.VIP("d"); c.GetPrefix() != "192.0.2.4/32" || d.GetPrefix() != "192.0.2.3/32" {
		t.Errorf("c has %s, d has %s", c.GetPrefix(), d.GetPrefix())
	}
	upsert(t, n, spec("c", "192.0.2.4", func(v *vipdv1.VipSpec) { v.Backends[0].Address, v.Backends[0].Name = "127.0.0.1:2", "127.0.0.1:1" }))
	if address := n.board.VIP("c").GetBackends()[0].GetAddress(); address != "127.0.0.1:2" {
		t.Errorf("backend at %s", address)
	}
	if err := n.DeleteVip(t.Context(), "me", &vipdv1.DeleteVipRequest{Vip: "c"}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.UpsertVip(t.Context(), "you", &vipdv1.UpsertVipRequest{Vip: spec("c", "192.0.2.4", nil), Owner: "other"}); err != nil {
		t.Fatal(err)
	}
	if v := n.board.VIP("c"); v.GetOwner() != "other" || v.GetVersion() != 1 {
		t.Errorf("c is %s's, of version %d", v.GetOwner(), v.GetVersion())
	}
	if err := reloads(t, n, strings.Replace(withVIPs, "192.0.2.1,", "192.0.2.9,", 1)); err != nil {
		t.Fatal(err)
	}
	if prefix := n.board.VIP("a").GetPrefix(); prefix != "192.0.2.9/32" {
		t.Errorf("a has %s", prefix)
	}
}

// Hooks hear of what happens from their configuration's first instant.
func TestHookHearsWhatIsNotedBeforeItRuns(t *testing.T) {
	heard := make(chan string, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		heard <- strings.ReplaceAll(string(body), " ", "")
	}))
	defer server.Close()
	wait := func(what string) {
		t.Helper()
		eventually(t, what, func() bool {
			select {
			case text := <-heard:
				return strings.Contains(text, what)
			default:
				return false
			}
		})
	}
	hooks := func(kinds string) string { return "hooks: [{on: [" + kinds + "], url: '" + server.URL + "'}]\n" }
	o := stateful(t, withVIPs+hooks("override"))
	n, _, kill := lives(t, o)
	if _, err := n.SetOverride(t.Context(), "me", override("a", "withdraw", 0)); err != nil {
		t.Fatal(err)
	}
	wait(`"subject":"a"`)
	cfg := parse(t, withVIPs+hooks("override, reload")+"state_dir: "+o.Config.StateDir+"\n")
	n.Load = func() (*config.Config, []config.Problem, error) { return cfg, nil, nil }
	if _, err := n.Reload(t.Context(), "me"); err != nil {
		t.Fatal(err)
	}
	wait(`"kind":"reload"`)
	kill()
}
