package vipctl

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A definition is what flags or a file say of a VIP.
type definition struct {
	file, owner, prefix, check, minHealthy string
	holdDown                               time.Duration
	backends                               []string
}

func (d *definition) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&d.file, "file", "f", "",
		"YAML or JSON with the keys that a VIP has in the configuration file; -: standard input")
	f.StringArrayVar(&d.backends, "backend", nil, "HOST:PORT[,weight=N][,name=X][,check=C]; once for each")
	f.StringVar(&d.check, "check", "", "one of the configuration's checks, for backends that name none")
	f.StringVar(&d.minHealthy, "min-healthy", "", `a number of backends, or a share of weight as "50%"`)
	f.DurationVar(&d.holdDown, "hold-down", 0, "after a withdrawal, no advertisement for this long")
	ownerFlag(c, &d.owner)
	for _, name := range []string{"backend", "check", "min-healthy", "hold-down"} {
		c.MarkFlagsMutuallyExclusive("file", name)
	}
	complete(c, "file", nil)
}

// apply returns spec with what was given on the command line.
func (d *definition) apply(a *app, c *cobra.Command, spec *vipdv1.VipSpec) (*vipdv1.VipSpec, error) {
	if d.file != "" {
		return d.fromFile(a, spec)
	}
	spec = proto.CloneOf(spec)
	f := c.Flags()
	if d.prefix != "" {
		spec.Prefix = d.prefix
	}
	if f.Changed("check") {
		spec.Check = d.check
	}
	if f.Changed("min-healthy") {
		spec.MinHealthy = d.minHealthy
	}
	if f.Changed("hold-down") {
		spec.HoldDown = durationpb.New(d.holdDown)
	}
	if !f.Changed("backend") {
		return spec, nil
	}
	spec.Backends = nil
	for _, s := range d.backends {
		b, err := parseBackend(s)
		if err != nil {
			return nil, err
		}
		spec.Backends = append(spec.Backends, b)
	}
	return spec, nil
}

// fromFile reads a whole definition. Where it has no name or prefix, those of
// before count.
func (d *definition) fromFile(a *app, before *vipdv1.VipSpec) (*vipdv1.VipSpec, error) {
	content, err := a.read(d.file)
	if err != nil {
		return nil, err
	}
	specs, err := parseSpecs(d.file, content)
	if err != nil {
		return nil, err
	}
	if len(specs) != 1 {
		return nil, usage("%s: it defines %d VIPs, not one (vip replace takes many)", d.file, len(specs))
	}
	spec := specs[0]
	if spec.Name == "" {
		spec.Name = before.GetName()
	}
	if spec.Prefix == "" {
		spec.Prefix = before.GetPrefix()
	}
	return spec, nil
}

// read reads a file, or standard input for "-".
func (a *app) read(name string) ([]byte, error) {
	if name == "-" {
		content, err := io.ReadAll(a.Stdin)
		if err != nil {
			return nil, failed("read standard input: %w", err)
		}
		return content, nil
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, usage("%w", err)
	}
	return content, nil
}

// parseBackend reads HOST:PORT[,weight=N][,name=X][,check=C].
func parseBackend(s string) (*vipdv1.BackendSpec, error) {
	address, rest, more := strings.Cut(s, ",")
	b := &vipdv1.BackendSpec{Address: address}
	wrong := func(what string) error {
		return usage("--backend %q: %s (HOST:PORT[,weight=N][,name=X][,check=C])", s, what)
	}
	if address == "" {
		return nil, wrong("the address is missing")
	}
	seen := map[string]bool{}
	for more {
		var part string
		part, rest, more = strings.Cut(rest, ",")
		key, value, ok := strings.Cut(part, "=")
		switch {
		case !ok || value == "":
			return nil, wrong(fmt.Sprintf("%q is no key=value", part))
		case seen[key]:
			return nil, wrong(key + " is there twice")
		}
		seen[key] = true
		switch key {
		case "weight":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return nil, wrong(fmt.Sprintf("weight %q is no number", value))
			}
			b.Weight = proto.Uint32(uint32(n))
		case "name":
			b.Name = value
		case "check":
			b.Check = value
		default:
			return nil, wrong(fmt.Sprintf("%q is unknown", key))
		}
	}
	return b, nil
}
