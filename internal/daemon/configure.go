package daemon

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/definitions"
)

// An outlook is what a configuration comes to, with what was made over the API.
// Making one reads files, which may take as long as a disk: so it is not the
// daemon's goroutine that does, once there is one.
type outlook struct {
	cfg  *config.Config
	file []healthloop.VIP // of cfg.VIPs
	made map[string]fitted
}

func (d *daemon) outlook(cfg *config.Config, made []definitions.VIP) (outlook, error) {
	file, err := vipsOf(cfg, d.pool, d.live)
	if err != nil {
		return outlook{}, err
	}
	fits, _ := d.fit(cfg, made)
	return outlook{cfg, file, fits}, nil
}

// A fitting is what was made over the API, as it is to be in force.
type fitting struct {
	vips     []config.VIP
	loop     []healthloop.VIP  // of vips
	unfit    map[string]string // the others, with why
	sessions []madeSession
}

// configure puts a configuration in force, at the start and on reload. What is
// new and what is gone reach the speaker by the sink; what is as before is not
// touched.
func (d *daemon) configure(ctx context.Context, o outlook) error {
	cfg := o.cfg
	fit, err := d.refit(o)
	if err != nil {
		return err
	}
	if err := d.openFor(cfg, &fit); err != nil {
		return err
	}
	if d.api != nil {
		if err := d.api.Reconfigure(rolesOf(cfg.API.ReadWrite), rolesOf(cfg.API.ReadOnly), filesOf(cfg.API.TLS)); err != nil {
			return fmt.Errorf("api: %w", err)
		}
	}
	whole := *cfg
	whole.VIPs = slices.Concat(cfg.VIPs, fit.vips)
	whole.BFD.Sessions = withMade(cfg.BFD.Sessions, fit.sessions)
	was := d.words.unfit
	d.words.unfit, d.words.sessions = fit.unfit, fit.sessions
	d.words.made.File(filePrefixes(cfg))
	d.sessionOwners.Store(ownersOf(fit.sessions))
	d.follow(&whole)
	if d.rec != nil {
		d.rec.Manage(managementOf(cfg.BGP))
	}
	d.sink.stage(whole.VIPs)
	err = d.loop.Apply(ctx, slices.Concat(o.file, fit.loop))
	d.sink.commit()
	if err != nil {
		return err
	}
	d.cfg = cfg
	d.config.Store(cfg)
	d.hooks.set(cfg.Hooks)
	d.showAll(whole.VIPs)
	return d.reinstate(ctx, was)
}

// refit fits what was made over the API. On reload what does not fit any more
// refuses the configuration; at the start it is left out and told, so that the
// rest is served. What was left out before is no news.
func (d *daemon) refit(o outlook) (fitting, error) {
	f := fitting{unfit: map[string]string{}, sessions: fitSessions(o.cfg, d.words.sessions)}
	all := d.words.made.All()
	var late []definitions.VIP // made since the outlook was
	for _, v := range all {
		if one, ok := o.made[v.Name]; !ok || !bytes.Equal(one.spec, v.Spec) {
			late = append(late, v)
		}
	}
	fits, _ := d.fit(o.cfg, late)
	for _, v := range all {
		one, ok := fits[v.Name]
		if !ok {
			one = o.made[v.Name]
		}
		if one.wrong != "" {
			f.unfit[v.Name] = one.wrong
			continue
		}
		f.vips, f.loop = append(f.vips, one.vip), append(f.loop, one.loop)
	}
	news := f.news(d.words)
	if d.left.Load() != nil && len(news) > 0 {
		return f, fmt.Errorf("what was made over the API would not fit any more: %s", strings.Join(news, "; "))
	}
	for _, problem := range news {
		d.Log.Error("left out", zap.String("problem", problem))
	}
	return f, nil
}

// news tells of what was not left out before.
func (f fitting) news(before words) (all []string) {
	for name, why := range f.unfit {
		if before.unfit[name] == "" {
			all = append(all, unfitText(name, why))
		}
	}
	for i, s := range f.sessions {
		if s.wrong != "" && before.sessions[i].wrong == "" {
			all = append(all, s.wrong)
		}
	}
	slices.Sort(all)
	return all
}

// openFor opens what BFD needs. What was made over the API must not keep vipd
// from a start, nor then from a reload.
func (d *daemon) openFor(cfg *config.Config, f *fitting) error {
	bfd := cfg.BFD
	bfd.Sessions = withMade(cfg.BFD.Sessions, f.sessions)
	err := d.live.open(bfd)
	if err == nil || len(bfd.Sessions) == len(cfg.BFD.Sessions) {
		return err
	}
	for i, s := range f.sessions {
		if s.wrong != "" {
			continue
		}
		if d.left.Load() != nil && d.words.sessions[i].wrong == "" {
			return err
		}
		f.sessions[i].made, f.sessions[i].wrong = config.BFDSession{}, sessionText(s.Session, err.Error())
		d.Log.Error("left out", zap.String("problem", f.sessions[i].wrong))
	}
	return d.live.open(cfg.BFD)
}

// reinstate puts the operator's words in force on VIPs that were left out, and
// tells what is left out now.
func (d *daemon) reinstate(ctx context.Context, was map[string]string) error {
	d.tellLeftOut()
	for name := range was {
		if d.words.unfit[name] == "" {
			if err := d.reinstateOne(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// showAll has everything put on the board again: a configuration changes more
// than what the rooms tell of.
func (d *daemon) showAll(vips []config.VIP) {
	for _, v := range vips {
		d.publisher.VIP(v.Name)
	}
	d.publisher.Neighbors()
	d.publisher.Sessions()
	d.publisher.Node()
}

func filePrefixes(cfg *config.Config) map[string]netip.Prefix {
	out := make(map[string]netip.Prefix, len(cfg.VIPs))
	for _, v := range cfg.VIPs {
		out[v.Name] = v.Prefix
	}
	return out
}

// leftOut is what was made over the API and can't be in force.
type leftOut struct {
	texts []string
	vips  map[string]string // by name; not to be written
}

// tellLeftOut shows it.
func (d *daemon) tellLeftOut() {
	left := leftOut{vips: make(map[string]string, len(d.words.unfit))}
	for _, s := range d.words.sessions {
		if s.wrong != "" {
			left.texts = append(left.texts, s.wrong)
		}
	}
	for name, why := range d.words.unfit {
		left.vips[name] = why
		left.texts = append(left.texts, unfitText(name, why))
	}
	slices.Sort(left.texts)
	d.left.Store(&left)
	d.publisher.Node()
}

func unfitText(name, why string) string {
	return fmt.Sprintf("vip %s made over the API: %s", name, why)
}
