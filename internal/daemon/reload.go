package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/control"
	"github.com/fiberlb/vipd/internal/definitions"
	"github.com/fiberlb/vipd/internal/web"
)

// reloads carries out SIGHUPs until ctx ends.
func (d *daemon) reloads(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.hangups:
			_, _ = d.reloadConfig(ctx, "SIGHUP") // it logs
		}
	}
}

// reloadConfig puts the configuration of now in force, or nothing of it. by is
// who asked. It is not the daemon's goroutine that reads files: with one that
// does not answer, a disk that is gone say, vipd still leaves when it is told to.
func (d *daemon) reloadConfig(ctx context.Context, by control.Actor) (warnings []string, err error) {
	select { // one at a time: what was read earlier must not come later
	case d.reloading <- struct{}{}:
		defer func() { <-d.reloading }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if d.begun.Load() {
		d.Notify(reloading())
		defer func() {
			if d.leaving.Load() == nil { // else it stops already
				d.Notify("READY=1")
			}
		}()
	}
	next, err := d.loaded(ctx)
	if err == nil {
		err = d.do(ctx, func(ctx context.Context) error { return d.adopt(ctx, by, next.outlook) })
	}
	e := &vipdv1.Event{Kind: kindReload, Subject: d.Config.Node, To: "reloaded", By: string(by)}
	last := &web.Reload{OK: err == nil, At: time.Now()}
	if err != nil {
		d.Log.Error("reload refused, the old configuration stays in force", zap.Error(err))
		last.Err, e.To, e.Reason = err.Error(), "refused", err.Error()
	}
	d.reload.Store(last)
	d.publisher.Node()
	d.note(e)
	return next.warnings, err
}

// A candidate is a configuration that was read and not put in force.
type candidate struct {
	outlook
	warnings []string
}

// loaded reads the configuration of now.
func (d *daemon) loaded(ctx context.Context) (candidate, error) {
	if d.Load == nil {
		return candidate{}, errors.New("started without a way to reload")
	}
	var made []definitions.VIP
	err := d.do(ctx, func(context.Context) error {
		made = d.words.made.All()
		return nil
	})
	if err != nil {
		return candidate{}, err
	}
	type read struct {
		candidate
		err error
	}
	r, err := aside(ctx, func() read {
		c, err := d.read(made)
		return read{c, err}
	})
	return r.candidate, cmp.Or(err, r.err)
}

func (d *daemon) read(made []definitions.VIP) (c candidate, err error) {
	cfg, problems, err := d.Load()
	if err != nil {
		return c, err
	}
	for _, p := range problems {
		d.Log.Warn("config", zap.Stringer("problem", p))
		c.warnings = append(c.warnings, p.String())
	}
	if cfg == nil {
		return c, fmt.Errorf("the configuration has mistakes:\n%s", strings.Join(c.warnings, "\n"))
	}
	c.outlook, err = d.outlook(cfg, made)
	return c, err
}

// adopt puts a configuration in force.
func (d *daemon) adopt(ctx context.Context, by control.Actor, next outlook) error {
	cfg := next.cfg
	fixed := needRestart(d.cfg, cfg)
	if d.live.isOpen() {
		fixed = append(fixed, bfdNeedsRestart(d.cfg.BFD, cfg.BFD)...)
	}
	if len(fixed) > 0 {
		return fmt.Errorf("%s can't change while vipd runs: restart it", strings.Join(fixed, ", "))
	}
	if err := d.configure(ctx, next); err != nil {
		return err
	}
	d.Log.Info("reloaded", zap.Int("vips", len(cfg.VIPs)))
	d.dropOverrides(ctx, by)
	return d.Level.UnmarshalText([]byte(cfg.Log.Level))
}

// needRestart names the keys that differ and that only a start puts in force:
// routes at a former speaker, or under a former owner's key, would be orphans.
func needRestart(old, cfg *config.Config) []string {
	var names []string
	for _, k := range []struct {
		name    string
		differs bool
	}{
		{"node", old.Node != cfg.Node},
		{"state_dir", old.StateDir != cfg.StateDir},
		{"bgp.enabled", old.BGP.Enabled != cfg.BGP.Enabled},
		{"bgp.speaker", old.BGP.Speaker != cfg.BGP.Speaker},
		{"bgp.gobgp_address", old.BGP.Address != cfg.BGP.Address},
		{"bgp.gobgp_api", old.BGP.API != cfg.BGP.API},
		{"bgp.tls", !equalTLS(old.BGP.TLS, cfg.BGP.TLS)},
		{"bgp.local_as", cfg.BGP.Manage && old.BGP.LocalAS != cfg.BGP.LocalAS},
		{"bgp.router_id", cfg.BGP.Manage && old.BGP.RouterID != cfg.BGP.RouterID},
		{"bgp.listen_port", cfg.BGP.Manage && old.BGP.ListenPort != cfg.BGP.ListenPort},
		{"bgp.listen_addresses", cfg.BGP.Manage && !slices.Equal(addresses(old), addresses(cfg))},
		{"api.listen", !slices.Equal(old.API.Listen, cfg.API.Listen)},
		{"api.group", old.API.Group != cfg.API.Group},
		{"api.insecure_loopback", old.API.InsecureLoopback != cfg.API.InsecureLoopback},
		{"drain.connections", old.Drain.Connections != cfg.Drain.Connections},
		{"http.listen", old.HTTP.Listen != cfg.HTTP.Listen},
		{"log.format", old.Log.Format != cfg.Log.Format},
	} {
		if k.differs {
			names = append(names, k.name)
		}
	}
	return names
}

// bfdNeedsRestart does so for an engine that runs.
func bfdNeedsRestart(old, cfg config.BFD) []string {
	var names []string
	for name, differs := range map[string]bool{
		"bfd.listen":      !slices.Equal(old.Listen, cfg.Listen),
		"bfd.scheduling":  !reflect.DeepEqual(old.Scheduling, cfg.Scheduling),
		"bfd.unsolicited": !reflect.DeepEqual(old.Unsolicited, cfg.Unsolicited),
	} {
		if differs {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func addresses(c *config.Config) []netip.Addr { return c.BGP.ListenAddresses }

func equalTLS(a, b *config.TLS) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }
