package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/fiberlb/vipd/bgpclient"
)

const asn = 4200000001

// random makes a route that Check has nothing against.
func random(rng *rand.Rand) bgpclient.Route {
	var a [16]byte
	binary.BigEndian.PutUint64(a[:], rng.Uint64())
	binary.BigEndian.PutUint64(a[8:], rng.Uint64())
	r := bgpclient.Route{Prefix: netip.PrefixFrom(netip.AddrFrom16(a), rng.IntN(129)), NextHop: netip.AddrFrom16(a)}
	if rng.IntN(2) == 0 {
		r.Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte(a[:4])), rng.IntN(33))
		if rng.IntN(2) == 0 {
			r.NextHop = netip.AddrFrom4([4]byte(a[4:8]))
		}
	}
	number := func() *uint32 {
		n := rng.Uint32()
		if n%2 == 0 {
			return nil
		}
		return &n
	}
	r.MED, r.LocalPref, r.Prepend = number(), number(), uint8(rng.IntN(256))
	for range rng.IntN(100) {
		r.Communities = append(r.Communities, bgpclient.Community(rng.Uint32()))
		r.LargeCommunities = append(r.LargeCommunities, bgpclient.LargeCommunity{Global: rng.Uint32(), Local1: rng.Uint32(), Local2: rng.Uint32()})
	}
	if rng.IntN(2) == 0 {
		r.LinkBandwidth = rng.Float32() * 1e10
	}
	return r.Normalize()
}

func TestDecodedIsWhatWasEncoded(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		r := random(rng)
		if err := Check(r); err != nil {
			continue // a random next hop that is IPv4 in IPv6, say
		}
		prefix, err := ParsePrefix(AppendPrefix(nil, r.Prefix), AFI(r.Prefix.Addr()))
		if err != nil || prefix != r.Prefix {
			t.Fatalf("seed %d: prefix %s, %v; want %s", seed, prefix, err, r.Prefix)
		}
		attrs := Encode(r, asn)
		have, odd := Decode(prefix, attrs, asn)
		if odd || !have.Equal(r) {
			t.Fatalf("seed %d: have %+v, odd %t; want %+v", seed, have, odd, r)
		}
		if (r.Prepend > 0 || r.LinkBandwidth > 0) && !oddFor(prefix, attrs, 65001) {
			t.Fatalf("seed %d: another AS's path is not odd", seed)
		}
	}
}

func oddFor(p netip.Prefix, attrs [][]byte, asn uint32) bool {
	_, odd := Decode(p, attrs, asn)
	return odd
}

func TestCheckRefusesWhatNoSpeakerHolds(t *testing.T) {
	good := bgpclient.Route{Prefix: netip.MustParsePrefix("192.0.2.1/32"), NextHop: netip.MustParseAddr("10.0.0.1")}
	if err := Check(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*bgpclient.Route){
		"no prefix":              func(r *bgpclient.Route) { r.Prefix = netip.Prefix{} },
		"bits behind the prefix": func(r *bgpclient.Route) { r.Prefix = netip.MustParsePrefix("192.0.2.1/31") },
		"IPv4 in IPv6":           func(r *bgpclient.Route) { r.Prefix = netip.MustParsePrefix("::ffff:192.0.2.1/128") },
		"no next hop":            func(r *bgpclient.Route) { r.NextHop = netip.Addr{} },
		"next hop with a zone":   func(r *bgpclient.Route) { r.NextHop = netip.MustParseAddr("fe80::1%lo") },
		"next hop 4 in 6":        func(r *bgpclient.Route) { r.NextHop = netip.MustParseAddr("::ffff:10.0.0.1") },
		"IPv6 over IPv4":         func(r *bgpclient.Route) { r.Prefix = netip.MustParsePrefix("2001:db8::/32") },
		"bandwidth NaN":          func(r *bgpclient.Route) { r.LinkBandwidth = float32(math.NaN()) },
		"bandwidth infinite":     func(r *bgpclient.Route) { r.LinkBandwidth = float32(math.Inf(1)) },
		"bandwidth negative":     func(r *bgpclient.Route) { r.LinkBandwidth = -1 },
	} {
		bad := good
		change(&bad)
		if Check(bad) == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// What a route can't say makes a path odd, so that it is replaced, not kept.
func TestOddPaths(t *testing.T) {
	p := netip.MustParsePrefix("192.0.2.1/32")
	origin, nextHop := []byte{0x40, 1, 1, 0}, []byte{0x40, 3, 4, 10, 0, 0, 1}
	own := []byte{0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9}
	for name, c := range map[string]struct {
		attrs [][]byte
		odd   bool
	}{
		"bare":                     {[][]byte{origin, nextHop}, false},
		"empty AS_PATH":            {[][]byte{origin, nextHop, {0x40, 2, 0}}, false},
		"own AS":                   {[][]byte{origin, nextHop, own}, false},
		"no origin":                {[][]byte{nextHop}, true},
		"origin EGP":               {[][]byte{{0x40, 1, 1, 1}, nextHop}, true},
		"no next hop":              {[][]byte{origin}, true},
		"another AS":               {[][]byte{origin, nextHop, {0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8}}, true},
		"AS_SET":                   {[][]byte{origin, nextHop, {0x40, 2, 6, 1, 1, 0, 0, 0xfd, 0xe9}}, true},
		"two segments":             {[][]byte{origin, nextHop, {0x40, 2, 12, 2, 1, 0, 0, 0xfd, 0xe9, 2, 1, 0, 0, 0xfd, 0xe9}}, true},
		"atomic aggregate":         {[][]byte{origin, nextHop, {0x40, 6, 0}}, true},
		"twice":                    {[][]byte{origin, nextHop, origin}, true},
		"cut off":                  {[][]byte{origin, nextHop, {0x80, 4, 4, 0}}, true},
		"empty":                    {[][]byte{origin, nextHop, {}}, true},
		"part of a community":      {[][]byte{origin, nextHop, {0xc0, 8, 3, 1, 2, 3}}, true},
		"route target":             {[][]byte{origin, nextHop, {0xc0, 16, 8, 0, 2, 0, 1, 0, 0, 0, 1}}, true},
		"two ext. communities":     {[][]byte{origin, nextHop, {0xc0, 16, 16, 0x40, 4, 0xfd, 0xe9, 0x4e, 0, 0, 0, 0x40, 4, 0xfd, 0xe9, 0x4e, 0, 0, 0}}, true},
		"link bandwidth":           {[][]byte{origin, nextHop, {0xc0, 16, 8, 0x40, 4, 0xfd, 0xe9, 0x4e, 0, 0, 0}}, false},
		"link bandwidth NaN":       {[][]byte{origin, nextHop, {0xc0, 16, 8, 0x40, 4, 0xfd, 0xe9, 0x7f, 0xc0, 0, 0}}, true},
		"link bandwidth 0":         {[][]byte{origin, nextHop, {0xc0, 16, 8, 0x40, 4, 0xfd, 0xe9, 0, 0, 0, 0}}, true},
		"link-local next hop also": {[][]byte{origin, append([]byte{0x80, 14, 37, 0, 1, 1, 32}, make([]byte, 33)...)}, true},
		"other family's next hop":  {[][]byte{origin, append([]byte{0x80, 14, 21, 0, 2, 1, 16}, make([]byte, 17)...)}, true},
	} {
		if r, odd := Decode(p, c.attrs, 65001); odd != c.odd || r.Prefix != p {
			t.Errorf("%s: odd %t, want %t (%+v)", name, odd, c.odd, r)
		}
	}
}

// frame puts each piece behind its length, and pieces takes them apart again.
func frame(list [][]byte) (b []byte) {
	for _, piece := range list {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(piece))), piece...)
	}
	return b
}

func pieces(b []byte) (list [][]byte) {
	for len(b) >= 2 {
		n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
		list, b = append(list, b[2:2+n]), b[2+n:]
	}
	return list
}

func FuzzDecode(f *testing.F) {
	for seed := range uint64(20) {
		r := random(rand.New(rand.NewPCG(seed, 0)))
		f.Add(AppendPrefix(nil, r.Prefix), AFI(r.Prefix.Addr()), frame(Encode(r, asn)), uint32(asn))
	}
	f.Fuzz(func(t *testing.T, nlri []byte, afi uint16, attrs []byte, asn uint32) {
		p, err := ParsePrefix(nlri, afi)
		if err != nil {
			return
		}
		if !bytes.Equal(AppendPrefix(nil, p), nlri) && p.Masked() != p {
			t.Fatalf("%v is not %s", nlri, p)
		}
		r, odd := Decode(p, pieces(attrs), asn)
		if odd {
			return
		}
		// What is not odd must be exactly what putting the route would give.
		if err := Check(r); err != nil {
			t.Fatal(err)
		}
		if again, odd := Decode(p, Encode(r, asn), asn); odd || !again.Equal(r) {
			t.Fatalf("%+v became %+v, odd %t", r, again, odd)
		}
	})
}
