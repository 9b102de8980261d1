package driver

import (
	"errors"
	"io"
	"net/netip"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// Collect reads the answers of a stream that was opened with err, to its end.
func Collect[T any](s Receiver[T], err error, yield func(*T)) error {
	for err == nil {
		var m *T
		if m, err = s.Recv(); err == nil {
			yield(m)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Address reads what may be no address: GoBGP writes "<nil>" or "invalid IP".
func Address(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// Addresses reads a list, without what is none.
func Addresses(list []string) (out []netip.Addr) {
	for _, s := range list {
		if a := Address(s); a.IsValid() {
			out = append(out, a)
		}
	}
	return out
}

// Prefix reads a prefix out of an event. It is not valid if it can't be.
func Prefix(address string, bits uint32) netip.Prefix {
	a := Address(address)
	if !a.IsValid() || bits > uint32(a.BitLen()) {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, int(bits)).Masked()
}

// Instant reads a time that GoBGP leaves at zero for never.
func Instant(t *timestamppb.Timestamp) time.Time {
	if t.GetSeconds() <= 0 || t.CheckValid() != nil {
		return time.Time{}
	}
	return t.AsTime()
}

// Seconds reads a duration that GoBGP keeps as seconds; an absurd one is cut.
func Seconds(n uint64) time.Duration {
	const most = 1 << 31
	return time.Duration(min(n, most)) * time.Second
}
