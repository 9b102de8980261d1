package vipctl

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/spf13/cobra"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func (a *app) backendsVerb() *cobra.Command {
	c := &cobra.Command{Use: "backends [SEARCH]", Short: "list the backends of VIPs and their health",
		Args: cobra.MaximumNArgs(1),
		Long: `backends lists the backends of those VIPs that have SEARCH in name, prefix,
owner or reason, with the figures of their last probes. With -w those figures
are left out: Watch does not tell of every probe.`,
		ValidArgsFunction: a.completeVIPs}
	s := &selection{}
	s.flags(c)
	down := c.Flags().Bool("down", false, "only backends that are not up")
	return listVerb(a, c, func(args []string) *list[*vipdv1.Vip] {
		s.search = strings.Join(args, "")
		shown := func(b *vipdv1.Backend) bool { return !*down || b.GetHealth() != "up" }
		return &list[*vipdv1.Vip]{
			kind:    vipKind(),
			columns: backendColumns(),
			matches: s.matches,
			rows: func(p *page, v *vipdv1.Vip) (rows [][]cell) {
				for _, b := range v.GetBackends() {
					if shown(b) {
						rows = append(rows, backendRow(p, v.GetName(), b))
					}
				}
				return rows
			},
			all: func(ctx context.Context, api vipdv1.VipServiceClient) ([]*vipdv1.Vip, error) {
				return pages(ctx, api, s.request(true))
			},
			encode: func(all []*vipdv1.Vip) ([]byte, error) { return backendsJSON(all, shown) },
		}
	})
}

func backendColumns() []column {
	return columns("VIP BACKEND ADDRESS CHECK HEALTH SINCE +WEIGHT +PROBED +LATENCY +FAILURES +FAILURE ERROR")
}

func backendRow(p *page, vip string, b *vipdv1.Backend) []cell {
	health := map[string]tone{"up": good, "down": bad}[b.GetHealth()]
	if health == "" {
		health = doubt
	}
	latency := ""
	if b.GetLatency() > 0 {
		latency = time.Duration(b.GetLatency() * float64(time.Second)).Round(10 * time.Microsecond).String()
	}
	return []cell{
		text(vip), text(b.GetName()), text(b.GetAddress()), text(b.GetKind()),
		in(health, b.GetHealth()), text(p.since(b.GetSince())),
		number(b.GetWeight()), text(p.since(b.GetProbed())), text(latency), number(b.GetFailures()), text(b.GetFailure()),
		text(b.GetError()),
	}
}

// backendsJSON is the API's backends, each with the name of its VIP before its
// own fields: {"backends":[{"vip":"web","name":"a",…}]}.
func backendsJSON(all []*vipdv1.Vip, shown func(*vipdv1.Backend) bool) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(`{"backends":[`)
	comma := ""
	for _, v := range all {
		name, err := json.Marshal(v.GetName())
		if err != nil {
			return nil, err
		}
		for _, x := range v.GetBackends() {
			if !shown(x) {
				continue
			}
			fields, err := compactJSON(x)
			if err != nil {
				return nil, err
			}
			b.WriteString(comma + `{"vip":` + string(name) + `,` + string(fields[1:]))
			comma = ","
		}
	}
	b.WriteString(`]}`)
	return b.Bytes(), nil
}
