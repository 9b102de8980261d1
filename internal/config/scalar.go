package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

func readAddr(f field, v any, out *netip.Addr) string {
	s, ok := v.(string)
	_, optional := f.tag.Lookup("default")
	if ok && s == "" && optional {
		return ""
	}
	addr, err := netip.ParseAddr(s)
	switch {
	case !ok || err != nil:
		return fmt.Sprintf("is %s (write an IP address)", shown(v))
	case addr.Is4In6():
		return fmt.Sprintf("is %s, an IPv4 address written as IPv6 (write %s)", addr, addr.Unmap())
	}
	*out = addr
	return ""
}

// readPrefix takes a bare address as a host prefix.
func readPrefix(v any, out *netip.Prefix) string {
	s, ok := v.(string)
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		s = netip.PrefixFrom(addr, addr.BitLen()).String()
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case !ok || err != nil:
		return fmt.Sprintf("is %s (write an address or prefix, as 192.0.2.10/32 or 2001:db8::10)", shown(v))
	case p.Addr().Is4In6() && p.Bits() >= 96:
		return fmt.Sprintf("is %s, IPv4 written as IPv6 (write %s)", p, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96))
	case p.Addr().Is4In6(), p != p.Masked():
		return fmt.Sprintf("is %s, which has bits set outside its mask (write %s)", p, p.Masked())
	}
	*out = p
	return ""
}

// A community is written asn:value or by its name in IANA's registry of
// well-known communities.
type community uint32

func (c *community) read(v any) string {
	switch v {
	case "graceful-shutdown": // RFC 8326
		*c = 0xFFFF0000
	case "no-llgr": // RFC 9494
		*c = 0xFFFF0007
	case "blackhole": // RFC 7999
		*c = 0xFFFF029A
	case "no-export": // RFC 1997, as the next two
		*c = 0xFFFFFF01
	case "no-advertise":
		*c = 0xFFFFFF02
	case "no-export-subconfed":
		*c = 0xFFFFFF03
	default:
		n, ok := numbers(v, 2, 16)
		if !ok {
			return fmt.Sprintf(`is %s (write "asn:value", each in 0..65535, or no-export, no-advertise, no-export-subconfed, `+
				`graceful-shutdown, no-llgr or blackhole)`, shown(v))
		}
		*c = community(n[0]<<16 | n[1])
	}
	return ""
}

// A largeCommunity is written global:local1:local2 (RFC 8092 §4).
type largeCommunity [3]uint32

func (l *largeCommunity) read(v any) string {
	n, ok := numbers(v, 3, 32)
	if !ok {
		return fmt.Sprintf(`is %s (write "global:local1:local2", each in 0..4294967295)`, shown(v))
	}
	*l = largeCommunity(n)
	return ""
}

// numbers splits v at its colons into count numbers of that many bits.
func numbers(v any, count, bits int) ([]uint32, bool) {
	s, _ := v.(string)
	parts := strings.Split(s, ":")
	if len(parts) != count {
		return nil, false
	}
	list := make([]uint32, count)
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, bits)
		if err != nil {
			return nil, false
		}
		list[i] = uint32(n)
	}
	return list, true
}

// A threshold is a count, or a share as "50%".
type threshold Threshold

func (t *threshold) read(v any) string {
	switch v := v.(type) {
	case int64:
		if v >= 1 && v <= 65535 {
			*t = threshold{Count: int(v)}
			return ""
		}
	case string:
		n, err := strconv.ParseUint(strings.TrimSuffix(v, "%"), 10, 16)
		if err == nil && strings.HasSuffix(v, "%") && n >= 1 && n <= 100 {
			*t = threshold{Percent: int(n)}
			return ""
		}
	}
	return fmt.Sprintf(`is %s (write a number of backends from 1, or a share of their weight in "1%%".."100%%")`, shown(v))
}

func (t threshold) String() string {
	if t.Percent > 0 {
		return strconv.Itoa(t.Percent) + "%"
	}
	return strconv.Itoa(t.Count)
}

// maxBitrate keeps the sum over all backends within an IEEE float, which is
// what the attribute carries.
const maxBitrate = 1e15

// A bitrate is in bits per second, as a number or with a decimal suffix.
type bitrate float64

func (b *bitrate) read(v any) string {
	var n float64
	switch v := v.(type) {
	case int64:
		n = float64(v)
	case string:
		digits := strings.TrimRight(v, "kMGT")
		unit, known := map[string]float64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[v[len(digits):]]
		if f, err := strconv.ParseFloat(digits, 64); err == nil && known {
			n = f * unit
		}
	}
	if !(n >= 1 && n <= maxBitrate) {
		return fmt.Sprintf("is %s (write bits per second up to 1000T, as 10G, 2.5G or 100M)", shown(v))
	}
	*b = bitrate(n)
	return ""
}

// A statusRange is one HTTP status or two with a dash between.
type statusRange StatusRange

func (s *statusRange) read(v any) string {
	from, to := 0, 0
	switch v := v.(type) {
	case int64:
		if v <= 599 {
			from, to = int(v), int(v)
		}
	case string:
		a, b, ok := strings.Cut(v, "-")
		if x, err := strconv.ParseUint(a, 10, 16); ok && err == nil {
			from = int(x)
		}
		if y, err := strconv.ParseUint(b, 10, 16); err == nil {
			to = int(y)
		}
	}
	if from < 100 || to > 599 || to < from {
		return fmt.Sprintf(`is %s (write an HTTP status in 100..599, or a range as "200-299")`, shown(v))
	}
	*s = statusRange{from, to}
	return ""
}

// An instant is a point in time, as RFC 3339 writes it.
type instant time.Time

func (i *instant) read(v any) string {
	switch v := v.(type) {
	case time.Time: // TOML has them
		*i = instant(v.UTC())
		return ""
	case string:
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			*i = instant(t.UTC())
			return ""
		}
	}
	return fmt.Sprintf("is %s (write a date and time with its zone, as 2026-03-01T12:00:00Z)", shown(v))
}

func (i instant) zero() bool { return time.Time(i).IsZero() }

// splitHostPort takes host:port apart without looking anything up; host is an
// IP address (IPv6 in brackets) or a DNS name.
func splitHostPort(s string) (host string, port uint16, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(s[i+1:], 10, 16)
	if err != nil {
		return "", 0, false
	}
	host = s[:i]
	if inner, bracketed := strings.CutPrefix(host, "["); bracketed {
		inner, closed := strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return inner, uint16(n), closed && err == nil && addr.Is6()
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return host, uint16(n), addr.Is4()
	}
	return host, uint16(n), isDNSName(host)
}

// isDNSName keeps to letters, digits, dash and underscore. A last label of
// digits alone is a mistyped address (RFC 3696 §2), never a name.
func isDNSName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	labels := strings.Split(s, ".")
	if len(s) > 253 || strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return false
	}
	for _, label := range labels {
		bad := strings.IndexFunc(label, func(c rune) bool {
			return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
		})
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || bad >= 0 {
			return false
		}
	}
	return true
}
