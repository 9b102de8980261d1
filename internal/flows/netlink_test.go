package flows

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func message(kind uint16, payload ...byte) []byte {
	m := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(payload)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = append(append(m, make([]byte, 10)...), payload...)
	return append(m, make([]byte, align(len(m))-len(m))...)
}

func attr(kind uint16, value ...byte) []byte {
	a := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	a = append(binary.NativeEndian.AppendUint16(a, kind), value...)
	return append(a, make([]byte, align(len(a))-len(a))...)
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func TestMessagesThatCameTogether(t *testing.T) {
	errno := binary.NativeEndian.AppendUint32(nil, ^uint32(unix.EPERM)+1)
	for _, tt := range []struct {
		name string
		data []byte
		want int
		done bool
		err  error
	}{
		{"two", join(message(20, 1, 2, 3), message(20, 4)), 2, false, nil},
		{"one and the end", join(message(20, 1), message(unix.NLMSG_DONE, 0, 0, 0, 0)), 1, true, nil},
		{"nothing to do", message(unix.NLMSG_NOOP), 0, false, nil},
		{"an error", message(unix.NLMSG_ERROR, errno...), 0, false, unix.EPERM},
		{"an error at the end", join(message(20), message(unix.NLMSG_DONE, errno...)), 1, false, unix.EPERM},
		{"no error's number", message(unix.NLMSG_ERROR, 0), 0, false, errShort},
		{"a header cut off", message(20)[:15], 0, false, errShort},
		{"a message cut off", message(20, 1, 2, 3, 4)[:18], 0, false, errShort},
		{"a length of nothing", make([]byte, 16), 0, false, errShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := 0
			if done, err := split(tt.data, func([]byte) { n++ }); n != tt.want || done != tt.done || !errors.Is(err, tt.err) {
				t.Errorf("%d messages, done %v, error %v", n, done, err)
			}
		})
	}
}

func entry(protocol byte, state []byte, addresses []byte) []byte {
	all := attr(tupleOriginal, join(attr(tupleIP|unix.NLA_F_NESTED, addresses...), attr(tupleProtocol, attr(number, protocol)...))...)
	if state != nil {
		all = join(all, attr(info, attr(infoTCP, attr(infoTCPState, state...)...)...))
	}
	return join(make([]byte, generalSize), all)
}

func TestWhereAnEntryGoes(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")
	to4, to6 := join(attr(1, 10, 0, 0, 1), attr(fourTo, four.AsSlice()...)), attr(sixTo, six.AsSlice()...)
	for _, tt := range []struct {
		name string
		m    []byte
		want netip.Addr
	}{
		{"TCP", entry(unix.IPPROTO_TCP, []byte{3}, to4), four},
		{"TCP over IPv6", entry(unix.IPPROTO_TCP, []byte{3}, to6), six},
		{"UDP", entry(unix.IPPROTO_UDP, nil, to4), four},
		{"TIME_WAIT", entry(unix.IPPROTO_TCP, []byte{7}, to4), netip.Addr{}},
		{"CLOSE", entry(unix.IPPROTO_TCP, []byte{8}, to4), netip.Addr{}},
		{"a ping", entry(unix.IPPROTO_ICMP, nil, to4), netip.Addr{}},
		{"a ping of IPv6", entry(unix.IPPROTO_ICMPV6, nil, to6), netip.Addr{}},
		{"no address", entry(unix.IPPROTO_TCP, nil, nil), netip.Addr{}},
		{"an address of no length", entry(unix.IPPROTO_TCP, nil, attr(fourTo, 1, 2, 3)), netip.Addr{}},
		{"nothing", nil, netip.Addr{}},
	} {
		if have, ok := destination(tt.m); have != tt.want || ok != tt.want.IsValid() {
			t.Errorf("%s: %v, %v; want %v", tt.name, have, ok, tt.want)
		}
	}
}

// The kernel sends no nonsense; but who reads bytes by their lengths must stop
// at any.
func FuzzMessages(f *testing.F) {
	f.Add(join(message(20, entry(unix.IPPROTO_TCP, []byte{3}, attr(fourTo, 1, 2, 3, 4))...), message(unix.NLMSG_DONE, 0, 0, 0, 0)))
	f.Add(message(20, make([]byte, messageSize)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = split(data, func(payload []byte) {
			if a, ok := destination(payload); ok != a.IsValid() {
				t.Errorf("%v, %v", a, ok)
			}
			if a, ok := localAddress(payload); ok != a.IsValid() {
				t.Errorf("%v, %v", a, ok)
			}
		})
	})
}
