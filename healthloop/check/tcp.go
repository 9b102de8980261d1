package check

import (
	"context"
	"net"
	"regexp"
	"slices"

	"github.com/fiberlb/vipd/healthloop"
)

// maxExpect is how much of an answer the pattern of expect is looked for in.
const maxExpect = 64 << 10

// A tcpProber connects, sends if there is something to send, and looks for a
// pattern in the answer if there is one.
type tcpProber struct {
	target
	what   string
	send   []byte
	expect *regexp.Regexp
}

func newTCP(t target, spec Spec) *tcpProber {
	return &tcpProber{target: t, what: "tcp " + t.address, send: spec.Send, expect: spec.Expect}
}

// Probe implements healthloop.Prober.
func (p *tcpProber) Probe(ctx context.Context) error {
	a := begin(p.what)
	c, err := p.dial(ctx, len(p.send) > 0 || p.expect == nil)
	if err != nil {
		return a.unconnected(ctx, p.address, err)
	}
	defer c.Close()
	a.did("connected")
	if len(p.send) == 0 && p.expect == nil {
		return nil
	}
	if len(p.send) > 0 {
		if _, err := c.Write(p.send); err != nil {
			return a.broken(ctx, err, healthloop.ReasonOther)
		}
		a.did("data sent")
	}
	if p.expect == nil {
		// Nobody waits for what was sent to arrive: a reset would make the
		// kernel drop the rest of it.
		return endByFIN(c)
	}
	return p.listen(ctx, &a, c)
}

// listen reads until what was received matches.
func (p *tcpProber) listen(ctx context.Context, a *attempt, c net.Conn) error {
	s := p.pool.get()
	defer p.pool.put(s)
	s.reset(c, maxExpect)
	err := s.readUntil(p.expect)
	switch {
	case err == nil:
		return nil
	case err == errTooLong:
		return a.failf(healthloop.ReasonBody, "no match of %q in the first %d bytes, which begin %s",
			p.expect, len(s.data), excerpt(s.data))
	case len(s.data) == 0 || ctx.Err() == context.Canceled:
		return a.broken(ctx, err, healthloop.ReasonOther)
	case reasonOf(err) == healthloop.ReasonTimeout:
		return a.failf(healthloop.ReasonBody, "no match of %q within %s, received %s",
			p.expect, a.limit(ctx), excerpt(s.data))
	default:
		return a.failf(healthloop.ReasonBody, "no match of %q, received %s, then the connection ended",
			p.expect, excerpt(s.data))
	}
}

// readUntil reads into data until it matches. Whatever has arrived is matched
// as a whole, since a match may begin in one segment and end in another.
func (s *scratch) readUntil(pattern *regexp.Regexp) error {
	for {
		s.data = slices.Grow(s.data, readerBytes)
		n, err := s.Read(s.data[len(s.data):cap(s.data)])
		s.data = s.data[:len(s.data)+n]
		if n > 0 && pattern.Match(s.data) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
