package daemon

import (
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
	"github.com/fiberlb/vipd/internal/web"
)

// reloadConfig puts the configuration of now in force, or nothing of it. by is
// who asked.
func (d *daemon) reloadConfig(ctx context.Context, by string) (warnings []string, err error) {
	if d.begun.Load() {
		d.Notify(reloading())
		defer d.Notify("READY=1")
	}
	warnings, err = d.tryReload(ctx)
	e := &vipdv1.Event{Kind: kindReload, Subject: d.cfg.Node, To: "reloaded", By: by}
	last := &web.Reload{OK: err == nil, At: time.Now()}
	defer d.publisher.Node()
	defer d.reload.Store(last)
	if err != nil {
		d.Log.Error("reload refused, the old configuration stays in force", zap.Error(err))
		last.Err, e.To, e.Reason = err.Error(), "refused", err.Error()
		d.note(e)
		return warnings, err
	}
	d.Log.Info("reloaded", zap.Int("vips", len(d.cfg.VIPs)))
	d.note(e)
	d.forgetVIPs(ctx, func(name string) bool { _, ok := d.sink.known(name); return ok })
	return warnings, nil
}

func (d *daemon) tryReload(ctx context.Context) (warnings []string, err error) {
	if d.Load == nil {
		return nil, errors.New("started without a way to reload")
	}
	cfg, problems, err := d.Load()
	if err != nil {
		return nil, err
	}
	var told []string
	for _, p := range problems {
		d.Log.Warn("config", zap.Stringer("problem", p))
		told = append(told, p.String())
	}
	if cfg == nil {
		return nil, fmt.Errorf("the configuration has mistakes:\n%s", strings.Join(told, "\n"))
	}
	fixed := needRestart(d.cfg, cfg)
	if d.live.isOpen() {
		fixed = append(fixed, bfdNeedsRestart(d.cfg.BFD, cfg.BFD)...)
	}
	if len(fixed) > 0 {
		return told, fmt.Errorf("%s can't change while vipd runs: restart it", strings.Join(fixed, ", "))
	}
	if err := d.configure(ctx, cfg); err != nil {
		return told, err
	}
	return told, d.Level.UnmarshalText([]byte(cfg.Log.Level))
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
