package sock

import (
	"bytes"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/testns"
)

func tap(t *testing.T, v4 bool) *Receiver {
	t.Helper()
	testns.Need(t)
	// Else what comes in by lo, but was not sent there by the kernel itself, is
	// refused for its addresses.
	for _, name := range []string{"accept_local", "route_localnet"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/conf/all/"+name, []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Tap(v4, 3785)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// What the kernel's own stack takes from a raw packet is what Tap must write.
func TestPacketsAreAsTheKernelWantsThem(t *testing.T) {
	for _, tt := range []struct{ listen, src, dst string }{
		{"0.0.0.0", "127.0.0.2", "127.0.0.3"},
		{"::", "::1", "::1"},
	} {
		t.Run(tt.dst, func(t *testing.T) {
			r := listen(t, tt.listen, 3785)
			src, dst := netip.MustParseAddr(tt.src), netip.MustParseAddr(tt.dst)
			for n := range 60 { // also the lengths that are odd
				payload := bytes.Repeat([]byte{byte(n), 0xff}, 30)[:n]
				b := make([]byte, maxHeader+n)
				copy(b[maxHeader:], payload)
				p := datagram(b, netip.AddrPortFrom(src, 50000), netip.AddrPortFrom(dst, 3785))
				if errno := tap(t, src.Is4()).Put(p, 1, Hardware{len: 6}); errno != 0 {
					t.Fatal(errno)
				}
				d := read(t, r)
				if d.Peer != src || d.Local != dst || d.TTL != 255 || !bytes.Equal(d.Payload, payload) {
					t.Fatalf("%d bytes: got %+v", n, d)
				}
			}
		})
	}
}

func TestTapTellsAllOfADatagram(t *testing.T) {
	for _, tt := range []struct{ src, dst string }{{"127.0.0.2", "127.0.0.3"}, {"::1", "::1"}} {
		t.Run(tt.dst, func(t *testing.T) {
			src, dst := netip.MustParseAddr(tt.src), netip.MustParseAddr(tt.dst)
			listen(t, dst.String(), 3785) // or the kernel complains, by packets with this one in them
			listen(t, dst.String(), 3784)
			r := tap(t, src.Is4())
			dial(t, Path{Local: src, Peer: dst, SourcePort: 50000, Port: 3784}).Send([]byte("not this"))
			before := time.Now()
			dial(t, Path{Local: src, Peer: dst, SourcePort: 50001, Port: 3785}).Send([]byte("this"))
			d := read(t, r)
			if d.Peer != src || d.Local != dst || d.TTL != 255 || d.Interface != 1 || d.Port != 3785 || d.PeerPort != 50001 || string(d.Payload) != "this" {
				t.Errorf("got %+v", d)
			}
			if d.At.Before(before) || d.At.After(time.Now()) {
				t.Errorf("stamped %v before it was sent or after it was read", before.Sub(d.At))
			}
			// Sent back it must still be a packet that the kernel takes.
			back := listen(t, dst.String(), 3786)
			d.Hop()
			d.Packet[len(d.Packet)-len(d.Payload)-lenUDP+3]++ // to 3786
			if !d.unsealed {
				t.Error("lo does no checksums, and this packet seems to have one")
			}
			if errno := r.Back(&d); errno != 0 {
				t.Fatal(errno)
			}
			if got := read(t, back); got.TTL != 254 || string(got.Payload) != "this" {
				t.Errorf("came back as %+v", got)
			}
		})
	}
}

// The checksum of IPv4's header covers the TTL.
func TestHopKeepsTheChecksumRight(t *testing.T) {
	b := make([]byte, maxHeader)
	for id := range 1 << 16 {
		p := datagram(b, netip.MustParseAddrPort("192.0.2.1:50000"), netip.MustParseAddrPort("192.0.2.1:3785"))
		p[4], p[5] = byte(id>>8), byte(id)
		p[sum4], p[sum4+1] = 0, 0
		s := ^fold(sum(p[:len4]))
		p[sum4], p[sum4+1] = byte(s>>8), byte(s)
		d := Datagram{Packet: p, Local: netip.MustParseAddr("192.0.2.1")}
		d.Hop()
		if got := fold(sum(p[:len4])); got != 0xffff || p[hops4] != 254 {
			t.Fatalf("id %d: the header adds up to %#x", id, got)
		}
	}
}

// Whoever can reach the port can send anything.
func FuzzUnpack(f *testing.F) {
	for _, a := range []string{"192.0.2.1:3785", "[2001:db8::1]:3785"} {
		at := netip.MustParseAddrPort(a)
		f.Add(datagram(make([]byte, maxHeader+52), at, at))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := Datagram{TTL: -1}
		d.unpack(b, &unix.RawSockaddrLinklayer{Halen: 255})
		if (d.Packet == nil) != (d.Payload == nil) {
			t.Fatal("half a datagram")
		}
		if d.Packet != nil {
			if !d.Peer.IsValid() || d.Peer.Is4() != d.Local.Is4() || d.TTL < 0 || len(d.Payload)+len4+lenUDP > len(d.Packet) {
				t.Fatalf("%+v", d)
			}
			d.Hop()
		}
	})
}

func TestLookupKnowsTheTables(t *testing.T) {
	tap(t, true) // needs the namespace too
	l, err := NewLookup()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, a := range []string{"127.0.0.3", "::1"} {
		if out, gateway, errno := l.Route(netip.MustParseAddr(a), netip.Addr{}, 0); out != 1 || gateway || errno != 0 {
			t.Errorf("%s is by interface %d, gateway %t, %v", a, out, gateway, errno)
		}
	}
	if _, _, errno := l.Route(netip.MustParseAddr("192.0.2.1"), netip.Addr{}, 0); errno != unix.ENETUNREACH {
		t.Errorf("no route: %v", errno)
	}
	for _, on := range []string{"0", "1"} {
		for _, name := range []string{"ipv4/conf/lo/forwarding", "ipv6/conf/all/forwarding"} {
			if err := os.WriteFile("/proc/sys/net/"+name, []byte(on), 0); err != nil {
				t.Fatal(err)
			}
		}
		for _, v4 := range []bool{true, false} {
			if got := l.Forwards(1, v4); got != (on == "1") {
				t.Errorf("forwarding is %s, for IPv4 %t: %t", on, v4, got)
			}
		}
	}
	if _, _, errno := l.Neighbor(1, netip.MustParseAddr("192.0.2.1")); errno != unix.ENOENT {
		t.Errorf("no neighbor: %v", errno)
	}
}
