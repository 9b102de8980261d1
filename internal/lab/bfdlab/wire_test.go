package bfdlab

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

// A said is a packet on the wire, as Wireshark reads it.
type said struct {
	at               time.Time
	ours             bool // vipd's
	ttl              int
	from, to         int // ports
	state, diag      string
	poll, final      bool
	mult             int
	tx, rx           time.Duration
	my, your         string // discriminators
	authType, length int
}

// fields are what a said is read from.
func fields() []string {
	return []string{"ip.src", "ipv6.src", "ip.ttl", "ipv6.hlim", "udp.srcport", "udp.dstport", "bfd.sta", "bfd.diag",
		"bfd.flags.p", "bfd.flags.f", "bfd.detect_time_multiplier", "bfd.desired_min_tx_interval", "bfd.required_min_rx_interval",
		"bfd.my_discriminator", "bfd.your_discriminator", "bfd.auth.type", "bfd.message_length"}
}

// transcript ends the record and returns all that was said, in order. Wireshark
// must understand every packet and complain of none. What vipd says must obey
// the rules for every packet.
func (p *pair) transcript() (all transcript) {
	p.Helper()
	p.wire.End()
	for _, bad := range p.wire.Packets("!bfd || _ws.expert || _ws.malformed", "_ws.expert.message", "frame.protocols", "udp.payload") {
		p.Errorf("Wireshark complains: %q", bad.Fields)
	}
	for _, packet := range p.wire.Packets("bfd", fields()...) {
		all = append(all, p.read(packet))
	}
	for _, s := range all {
		if s.ours {
			p.check(s)
		}
	}
	all.shaken(p)
	p.Cleanup(func() {
		if p.Failed() {
			p.Logf("on the wire, without what is said again:\n%s", all.turns())
		}
	})
	return all
}

func (p *pair) read(packet lab.Packet) (s said) {
	p.Helper()
	number := func(i int) int {
		if packet.Fields[i] == "" {
			return 0
		}
		n, err := strconv.ParseInt(packet.Fields[i], 0, 64)
		if err != nil {
			p.Fatalf("%s: %v", fields()[i], err)
		}
		return int(n)
	}
	states := []string{"AdminDown", "Down", "Init", "Up"}
	s = said{
		at: packet.At, ours: packet.Fields[0]+packet.Fields[1] == p.here.String(), ttl: number(2) + number(3), from: number(4), to: number(5),
		state: states[number(6)], diag: packet.Fields[7], poll: number(8) == 1, final: number(9) == 1, mult: number(10),
		tx: time.Duration(number(11)) * time.Microsecond, rx: time.Duration(number(12)) * time.Microsecond,
		my: packet.Fields[13], your: packet.Fields[14], authType: number(15), length: number(16),
	}
	return s
}

// check holds a packet of vipd's against what RFC 5880, 5881 and 5883 say of
// each. It was recorded at the other side.
func (p *pair) check(s said) {
	p.Helper()
	ttl, port := 255, 3784
	if p.multihop {
		ttl, port = 254, 4784 // one router has taken its one
	}
	wrong := ""
	switch {
	case s.ttl != ttl:
		wrong = fmt.Sprintf("TTL %d", s.ttl)
	case s.to != port:
		wrong = fmt.Sprintf("port %d", s.to)
	case s.from < 49152:
		wrong = fmt.Sprintf("source port %d", s.from)
	case s.state != "Up" && s.tx < time.Second:
		wrong = "sends faster than each second before it is up (RFC 5880 §6.8.3)"
	case s.poll && s.final:
		wrong = "both P and F (RFC 5880 §6.5)"
	case (s.authType != 0) != (p.auth != ""):
		wrong = fmt.Sprintf("authentication of type %d", s.authType)
	}
	if wrong != "" {
		p.Errorf("vipd says %+v: %s", s, wrong)
	}
}

// expired is a packet's diag when it is the detection time that ended its
// sender's session (RFC 5880 §4.1).
const expired = "0x01"

// A transcript is what was said on the wire, in order.
type transcript []said

// shaken looks at every coming up: vipd says Up only when it was told Init or
// Up, the second of the three steps or the third.
func (t transcript) shaken(p *pair) {
	p.Helper()
	ours, theirs := "", ""
	for _, s := range t {
		if !s.ours {
			theirs = s.state
			continue
		}
		if s.state == "Up" && ours != "Up" && theirs != "Init" && theirs != "Up" {
			p.Errorf("vipd says Up after the other's %q", theirs)
		}
		ours = s.state
	}
}

// turns are the packets that say something new.
func (t transcript) turns() string {
	var b strings.Builder
	last := map[bool]said{}
	for _, s := range t {
		same := s
		same.at = last[s.ours].at
		if same != last[s.ours] {
			fmt.Fprintf(&b, "%s %+v\n", s.at.Format("05.000"), same)
		}
		last[s.ours] = s
	}
	return b.String()
}

// of leaves what one side said.
func (t transcript) of(ours bool) (out transcript) {
	for _, s := range t {
		if s.ours == ours {
			out = append(out, s)
		}
	}
	return out
}

// states are those of the packets, each once until it changes.
func (t transcript) states() string {
	var all []string
	for _, s := range t {
		all = append(all, s.state)
	}
	return strings.Join(slices.Compact(all), " ")
}

// sources are the ports that packets were sent from, and the discriminators.
func (t transcript) sources() int {
	all := map[string]bool{}
	for _, s := range t {
		all[fmt.Sprint(s.from, s.my)] = true
	}
	return len(all)
}

// agreed returns an error unless one side polled with an interval, and the other
// answered.
func (t transcript) agreed(ours bool, interval time.Duration) error {
	polled := false
	for _, s := range t {
		if s.ours == ours && s.state == "Up" && s.poll && s.tx == interval && s.rx == interval {
			polled = true
		}
		if polled && s.ours != ours && s.final {
			return nil
		}
	}
	return fmt.Errorf("vipd's %t side polled with %s: %t, and no answer", ours, interval, polled)
}
