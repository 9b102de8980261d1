package daemon

import (
	"fmt"
	"io"
	"strings"

	"go.uber.org/zap"

	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/healthloop/check"
	"github.com/fiberlb/vipd/internal/config"
)

// Describe writes what a daemon with this configuration would announce, and
// when. The error is that of a file that the configuration names and that holds
// something else than it should, a certificate say.
func Describe(w io.Writer, cfg *config.Config) error {
	if _, err := vipsOf(cfg, check.NewPool(), newLiveness(zap.NewNop())); err != nil {
		return err
	}
	fmt.Fprintf(w, "node %s: %s\n", cfg.Node, speakerText(cfg))
	if cfg.BGP.Manage {
		for _, n := range cfg.BGP.Neighbors {
			fmt.Fprintf(w, "neighbor %s AS %d %s\n", n.Address, n.RemoteAS, n.Description)
			describeLiveness(w, n.BFD)
		}
	}
	for _, s := range cfg.BFD.Sessions {
		describeSession(w, s)
	}
	for _, v := range cfg.VIPs {
		describeVIP(w, v)
	}
	fmt.Fprintf(w, "on stop: prefer others for %s, withdraw, serve for %s more\n",
		cfg.Drain.PreferOthers, cfg.Drain.GracePeriod)
	return nil
}

func speakerText(cfg *config.Config) string {
	b := cfg.BGP
	switch {
	case !b.Enabled:
		return "bgp is off, nothing is announced"
	case b.Speaker == config.SpeakerEmbedded:
		return fmt.Sprintf("embedded speaker, AS %d, router id %s", b.LocalAS, b.RouterID)
	}
	return fmt.Sprintf("gobgpd at %s (api %s), path identifier %d", b.Address, b.API, Owner(cfg.Node))
}

func describeLiveness(w io.Writer, b *config.NeighborBFD) {
	if b == nil {
		return
	}
	what := map[config.OnBFDDown]string{
		config.OnBFDDownDisable: "disabled", config.OnBFDDownWithdraw: "sent no routes", config.OnBFDDownNone: "left alone",
	}
	fmt.Fprintf(w, "  %s when its bfd session fails, until that is up again", what[b.OnDown])
	if b.HoldUp > 0 {
		fmt.Fprintf(w, " for %s", b.HoldUp)
	}
	if b.HoldUpMax > b.HoldUp {
		fmt.Fprintf(w, ", or up to %s when it flaps", b.HoldUpMax)
	}
	fmt.Fprintln(w)
	if b.Strict {
		fmt.Fprintf(w, "  disabled at first until its bfd session is up, for %s at most\n", b.StrictLimit)
	}
}

func describeSession(w io.Writer, s config.BFDSession) {
	p, role, auth := s.Profile, "", "no authentication"
	if p.Echo {
		fmt.Fprintf(w, "bfd session %s profile %s: echo %s, multiplier %d\n", sessionKey(s.BFDKey), p.Name, p.TX, p.Multiplier)
		return
	}
	if p.Passive {
		role = ", passive"
	}
	if p.EchoRX > 0 {
		role += fmt.Sprintf(", echo sent back each %s", p.EchoRX)
	}
	if p.Auth != nil {
		auth = p.Auth.Type
	}
	fmt.Fprintf(w, "bfd session %s profile %s: tx %s, rx %s, multiplier %d, %s%s\n",
		sessionKey(s.BFDKey), p.Name, p.TX, p.RX, p.Multiplier, auth, role)
}

func describeVIP(w io.Writer, v config.VIP) {
	full := healthloop.Intent{State: healthloop.Advertised, Level: -1}
	for _, b := range v.Backends {
		full.LinkBandwidth += v.LinkBandwidth.PerWeight * float64(b.Weight)
	}
	fmt.Fprintf(w, "vip %s\n  route %s\n  while %s healthy of %d backends\n",
		v.Name, routeFor(v, full), threshold(v.MinHealthy), len(v.Backends))
	for i, d := range v.Degraded {
		at := full
		at.Level = i
		fmt.Fprintf(w, "  below %s %s\n", threshold(d.Below), strings.TrimPrefix(routeFor(v, at).String(), v.Prefix.String()+" "))
	}
	for _, b := range v.Backends {
		c := b.Check
		beside := ""
		if c.Kind != "bfd" && b.BFD != (config.BFDKey{}) {
			beside = ", and bfd"
		}
		fmt.Fprintf(w, "  backend %s %s weight %d: %s every %s, timeout %s, rise %d, fall %d%s\n",
			b.Name, targetOf(b), b.Weight, c.Kind, c.Interval, c.Timeout, c.Rise, c.Fall, beside)
	}
}

func threshold(t config.Threshold) string { return healthloop.Threshold(t).String() }
