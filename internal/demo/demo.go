// Package demo plays a whole failover on loopback: a router that receives
// routes, three web servers, and a real vipd process between them. It needs no
// root and no other program, and tells what the router saw.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/fiberlb/vipd/bgpclient/gobgptest"
)

// Options of a demo; all of it is required.
type Options struct {
	Out io.Writer
	Exe string        // the vipd to run
	For time.Duration // how long it may take at most
}

const (
	routerAS = 65000
	nodeAS   = 65001
)

// Run plays the demo and returns an error unless the router saw all that it
// should.
func Run(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeoutCause(ctx, o.For, fmt.Errorf("not within %s", o.For))
	defer cancel()
	dir, err := os.MkdirTemp("", "vipd-demo-")
	if err != nil {
		return err
	}
	s := &stage{Options: o, began: time.Now(), vip: netip.MustParsePrefix("192.0.2.10/32"), dir: dir}
	err = s.play(ctx)
	return errors.Join(err, s.clear())
}

// A stage is what the demo runs on.
type stage struct {
	Options
	began    time.Time
	vip      netip.Prefix
	dir      string
	router   *gobgptest.Router
	backends []*backend
	vipd     *child
	heard    int // lines of vipd's log that the story is past
	summary  []string
}

// play tells the story, scene by scene.
func (s *stage) play(ctx context.Context) error {
	for _, scene := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"the stage", s.build},
		{"vipd starts", s.start},
		{"one backend is killed", s.loseOne},
		{"the others are killed", s.loseAll},
		{"one backend comes back", s.recover},
		{"SIGTERM", s.leave},
	} {
		fmt.Fprintf(s.Out, "\n%s\n", scene.title)
		if err := scene.play(ctx); err != nil {
			s.say("FAILED: %v", err)
			if s.vipd != nil {
				fmt.Fprintf(s.Out, "  vipd's log ended with\n%s", s.vipd.tail())
			}
			return fmt.Errorf("demo: %s: %w", scene.title, err)
		}
	}
	fmt.Fprintf(s.Out, "\nWhat the router saw\n")
	for _, line := range s.summary {
		fmt.Fprintf(s.Out, "  %s\n", line)
	}
	fmt.Fprintf(s.Out, "  all as it should be, in %.1f s\n", time.Since(s.began).Seconds())
	return nil
}

func (s *stage) say(format string, args ...any) {
	fmt.Fprintf(s.Out, "  %6.3f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

func (s *stage) note(format string, args ...any) {
	s.summary = append(s.summary, fmt.Sprintf(format, args...))
}

// clear stops all that still runs, whatever happened.
func (s *stage) clear() error {
	if s.vipd != nil {
		_ = s.vipd.cmd.Process.Kill() // mostly it has ended
		<-s.vipd.done
	}
	for _, b := range s.backends {
		b.kill()
	}
	if s.router != nil {
		s.router.Close()
	}
	return os.RemoveAll(s.dir)
}

// configuration is vipd's: real, and a little faster than one would run it.
func configuration() *template.Template {
	return template.Must(template.New("vipd.yaml").Parse(`
node: demo
bgp:
  speaker: embedded
  local_as: {{.NodeAS}}
  router_id: {{.Node}}
  listen_port: -1
  neighbors:
    - {address: {{.Router}}, port: {{.Port}}, remote_as: {{.RouterAS}}, local_address: {{.Node}}, hold_time: 9s}
drain: {prefer_others: 1s, grace_period: 1s}
checks:
  web: {kind: http, path: /healthz, interval: 1s, timeout: 500ms, rise: 2, fall: 2, watch: true}
vips:
  - name: web
    prefix: {{.VIP}}
    min_healthy: 1
    check: web
    backends:
{{- range .Backends}}
      - {name: {{.Name}}, address: "{{.Address}}"}
{{- end}}
http: {listen: ""}
api: {listen: []}
log: {level: debug, format: json}
`))
}

func (s *stage) configure(node netip.Addr) (string, error) {
	type server struct{ Name, Address string }
	values := struct {
		Node, Router     netip.Addr
		Port             uint16
		NodeAS, RouterAS uint32
		VIP              netip.Prefix
		Backends         []server
	}{Node: node, Router: s.router.Address, Port: s.router.Port, NodeAS: nodeAS, RouterAS: routerAS, VIP: s.vip}
	for _, b := range s.backends {
		values.Backends = append(values.Backends, server{b.name, b.address})
	}
	name := filepath.Join(s.dir, "vipd.yaml")
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	return name, errors.Join(configuration().Execute(f, values), f.Close())
}
