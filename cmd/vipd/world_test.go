package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

const (
	routerAS = 65000
	nodeAS   = 65001
	embedded = "embedded"
	// within bounds every story. It is long, for machines with much else to do:
	// nothing waits for it that goes well.
	within = 40 * time.Second
)

// A world is what one vipd lives in: a router that receives routes, a speaker
// that vipd configures, and a folder.
type world struct {
	*testing.T
	ctx      context.Context
	speaker  string            // embedded, or a version of gobgpd
	gobgpd   *gobgptest.Daemon // nil: embedded
	routerAS uint32
	password string
	router   *gobgptest.Router // the first of routers
	routers  []*gobgptest.Router
	node     netip.Addr // vipd's side of the session
	listen   string     // http.listen
	dir      string     // of the configuration
	tmp      string     // vipd's folder for what is temporary
}

// A plan is what a story needs in the configuration, in YAML's flow style.
type plan struct {
	bgp       string   // more keys of bgp
	neighbors []string // nil: the router
	own       bool     // gobgpd has a configuration of its own
	drain     string   // the section
	bfd       string   // the section
	checks    string   // more checks
	state     string   // the folder for what is remembered
	hooks     string   // one
	rise      int      // of the check; 0: 1
	vips      []string
	log       string // level; empty: debug
}

// neighbor is an entry of bgp.neighbors for a router.
func (w *world) neighbor(r *gobgptest.Router, more string) string {
	return fmt.Sprintf(`{address: %s, port: %d, remote_as: %d, local_address: %s, hold_time: 9s%s}`,
		r.Address, r.Port, w.routerAS, w.node, comma(more))
}

// vip is an entry of vips.
func vip(name, prefix string, more string, backends ...*backend) string {
	var list []string
	for _, b := range backends {
		list = append(list, fmt.Sprintf(`{name: %s, address: "%s"}`, b.name, b.address))
	}
	return fmt.Sprintf(`{name: %s, prefix: "%s", check: web, backends: [%s]%s}`, name, prefix, strings.Join(list, ", "), comma(more))
}

func comma(more string) string {
	if more == "" {
		return ""
	}
	return ", " + more
}

// write puts a configuration in force, for the next start or reload.
func (w *world) write(p plan) {
	w.Helper()
	if p.drain == "" {
		p.drain = "{grace_period: 0s}"
	}
	if p.log == "" {
		p.log = "debug"
	}
	w.writeText(fmt.Sprintf(`
node: node-1
state_dir: "%s"
bgp: {%s%s}
bfd: {%s}
drain: %s
checks:
  web: {kind: http, interval: 50ms, timeout: 10s, rise: %d, fall: 2}
  %s
vips:
  [%s]
http: {listen: "%s"}
api: {listen: ["unix://%s"]}
hooks: [%s]
log: {level: %s}
`, p.state, w.bgp(p), comma(p.bgp), p.bfd, p.drain, cmp.Or(p.rise, 1), p.checks, strings.Join(p.vips, ",\n   "), w.listen, w.socket(), p.hooks, p.log))
}

// socket is that of the control API.
func (w *world) socket() string { return filepath.Join(w.tmp, "vipd.sock") }

// override puts the operator's word on a VIP.
func (w *world) override(vip, word string) {
	w.Helper()
	conn, err := grpc.NewClient("unix://"+w.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.Fatal(err)
	}
	defer conn.Close()
	_, err = vipdv1.NewVipServiceClient(conn).SetOverride(w.ctx, &vipdv1.SetOverrideRequest{Vip: vip, Word: word}, grpc.WaitForReady(true))
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) bgp(p plan) string {
	if p.own {
		return "gobgp_address: " + w.gobgpd.Target()
	}
	speaker := "speaker: embedded"
	if w.gobgpd != nil {
		speaker = "manage: true, gobgp_address: " + w.gobgpd.Target()
	}
	if p.neighbors == nil {
		p.neighbors = []string{w.neighbor(w.router, "")}
	}
	return fmt.Sprintf("%s, local_as: %d, router_id: %s, listen_port: -1, neighbors: [%s]",
		speaker, nodeAS, w.node, strings.Join(p.neighbors, ", "))
}

func (w *world) writeText(yaml string) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, "vipd.yaml"), []byte(yaml), 0o600); err != nil {
		w.Fatal(err)
	}
}

// vipd runs a verb of vipd with the configuration.
func (w *world) vipd(verb string, env ...string) *process {
	w.Helper()
	return start(w.ctx, w.T, w.dir, append(env, "TMPDIR="+w.tmp), verb, "--config", "vipd.yaml")
}

// shortDir makes a folder whose path leaves room for a unix socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vipd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// run writes a configuration and runs vipd with it until the speaker is
// connected, and the router too.
func (w *world) run(p plan, env ...string) *process {
	w.Helper()
	w.write(p)
	return w.again(env...)
}

// again runs vipd with the configuration that is there.
func (w *world) again(env ...string) *process {
	w.Helper()
	v := w.vipd("run", env...)
	v.waitLog("speaker connected")
	if err := w.router.WaitEstablished(w.ctx, w.node); err != nil {
		w.Fatalf("router: %v", err)
	}
	return v
}

// reload writes a configuration and has vipd take it.
func (w *world) reload(v *process, p plan) {
	w.Helper()
	w.write(p)
	w.sighup(v, "reloaded")
}

// sighup reloads and waits for the verdict.
func (w *world) sighup(v *process, verdict string) logLine {
	w.Helper()
	from := v.said()
	v.signal(syscall.SIGHUP)
	return v.waitLogFrom(from, verdict)
}

// get asks vipd's web server; the code is 0 when nobody answers.
func (w *world) get(path string) (code int, body string) {
	w.Helper()
	request, err := http.NewRequestWithContext(w.ctx, http.MethodGet, "http://"+w.listen+path, nil)
	if err != nil {
		w.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0, err.Error()
	}
	all, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(all)
}

// waitGet asks until the answer is this; there is no event to wait for.
func (w *world) waitGet(path string, code int, part string) {
	w.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		have, body := w.get(path)
		if have == code && strings.Contains(body, part) {
			return
		}
		select {
		case <-again.C:
		case <-w.ctx.Done():
			w.Fatalf("%s: %d %s, want %d with %q", path, have, body, code, part)
		}
	}
}
