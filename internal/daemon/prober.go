package daemon

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"

	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/healthloop/check"
	"github.com/fiberlb/vipd/internal/config"
)

// probers makes the probers of one configuration, which share TLS files. They
// open nothing until they are asked to probe.
type probers struct {
	pool *check.Pool
	tls  map[config.TLS]tlsFiles
	live *liveness
}

// tlsFiles is what the files of a TLS client held when they were read.
type tlsFiles struct {
	config *tls.Config
	digest string // changes with their content
}

func newProbers(pool *check.Pool, live *liveness) probers {
	return probers{pool: pool, tls: map[config.TLS]tlsFiles{}, live: live}
}

func (p probers) vip(v config.VIP, keepUplinks bool) (healthloop.VIP, error) {
	vip := healthloop.VIP{Name: v.Name, Policy: policyOf(v, keepUplinks)}
	for _, b := range v.Backends {
		backend, err := p.backend(b)
		if err != nil {
			return healthloop.VIP{}, fmt.Errorf("backend %s: %w", b.Name, err)
		}
		vip.Backends = append(vip.Backends, backend)
	}
	return vip, nil
}

func (p probers) backend(b config.Backend) (healthloop.Backend, error) {
	spec, digest, err := p.spec(b)
	if err != nil {
		return healthloop.Backend{}, err
	}
	prober, err := check.New(b.Check.Kind, spec)
	if err != nil {
		return healthloop.Backend{}, err
	}
	return healthloop.Backend{
		Name: b.Name, Weight: b.Weight, Kind: b.Check.Kind, Prober: prober,
		Key: keyOf(b.Check.Kind, spec, digest) + fmt.Sprint(" ", b.BFD),
		Timing: healthloop.Timing{
			Interval: b.Check.Interval, Timeout: b.Check.Timeout, Rise: b.Check.Rise, Fall: b.Check.Fall,
		},
	}, nil
}

func (p probers) spec(b config.Backend) (check.Spec, string, error) {
	c := b.Check
	spec := check.Spec{
		Address: targetOf(b), Watch: c.Watch, Pool: p.pool,
		Send: c.Send, Expect: c.Expect,
		Method: c.Method, Host: c.Host, Path: c.Path,
		ExpectBody: c.ExpectBody, ExpectBodyRE: c.ExpectBodyRE, FollowRedirects: c.FollowRedirect,
	}
	if b.BFD != (config.BFDKey{}) {
		spec.Liveness = p.live.reader(sessionKey(b.BFD))
	}
	for _, h := range c.Headers {
		spec.Headers = append(spec.Headers, check.Header(h))
	}
	for _, r := range c.ExpectStatus {
		spec.ExpectStatus = append(spec.ExpectStatus, check.StatusRange(r))
	}
	if c.TLS == nil {
		return spec, "", nil
	}
	files, err := p.files(*c.TLS)
	spec.TLS = files.config
	return spec, files.digest, err
}

func (p probers) files(t config.TLS) (tlsFiles, error) {
	if have, ok := p.tls[t]; ok {
		return have, nil
	}
	h := sha256.New()
	for _, name := range []string{t.CAFile, t.CertFile, t.KeyFile} {
		if name == "" {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return tlsFiles{}, fmt.Errorf("tls: %w", err)
		}
		fmt.Fprintf(h, "%s %d\n", name, len(data))
		h.Write(data)
	}
	config, err := check.TLSConfig(check.TLSFiles(t))
	files := tlsFiles{config: config, digest: fmt.Sprintf("%s %t %x", t.ServerName, t.SkipVerify, h.Sum(nil))}
	if err == nil {
		p.tls[t] = files
	}
	return files, err
}

// keyOf is equal for backends that are asked the same in the same way: a reload
// leaves those alone.
func keyOf(kind string, s check.Spec, tlsDigest string) string {
	return fmt.Sprintf("%s %s %t %q %s %s %q %q %q %v %q %s %t %s", kind, s.Address, s.Watch, s.Send, pattern(s.Expect),
		s.Method, s.Host, s.Path, s.Headers, s.ExpectStatus, s.ExpectBody, pattern(s.ExpectBodyRE), s.FollowRedirects, tlsDigest)
}

// pattern is for many: fmt would panic at a nil one, and recover.
func pattern(re *regexp.Regexp) string {
	if re == nil {
		return ""
	}
	return strconv.Quote(re.String())
}

// targetOf is where a backend is asked: on its own port, or on the check's.
func targetOf(b config.Backend) string {
	if b.Check.Port == 0 {
		return b.Address
	}
	host, _, err := net.SplitHostPort(b.Address)
	if err != nil {
		return b.Address // check.New refuses it with a text of its own
	}
	return net.JoinHostPort(host, strconv.Itoa(int(b.Check.Port)))
}
