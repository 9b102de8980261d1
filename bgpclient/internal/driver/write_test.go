package driver

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/internal/wire"
)

// Whatever is asked for, a write is of exactly one whole path of the owner's,
// or there is none. Less in a DeletePath would delete what is others'.
func TestWriteIsOfOneWholePathOrNone(t *testing.T) {
	some := func(rng *rand.Rand, list ...string) string { return list[rng.IntN(len(list))] }
	for seed := range uint64(20000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var r bgpclient.Route
		r.Prefix, _ = netip.ParsePrefix(some(rng, "", "192.0.2.1/32", "192.0.2.1/24", "0.0.0.0/0", "2001:db8::1/128", "::/0", "::ffff:1.2.3.4/120"))
		r.NextHop, _ = netip.ParseAddr(some(rng, "", "0.0.0.0", "10.0.0.1", "::", "fe80::1%eth0", "::ffff:10.0.0.1", "2001:db8::1"))
		op := bgpclient.Op{Verb: bgpclient.Verb(rng.IntN(4)), Route: r}
		owner := uint32(rng.IntN(2))
		w, err := newWrite(op, owner, uint32(rng.IntN(2)))
		if err != nil {
			if w.prefix.IsValid() || w.identifier != 0 {
				t.Fatalf("seed %d: a write besides the error %v", seed, err)
			}
			continue
		}
		p, perr := wire.ParsePrefix(w.NLRI(), w.AFI())
		if perr != nil || p != r.Prefix || owner == 0 || w.Identifier() != owner {
			t.Fatalf("seed %d: %+v of %+v, owner %d", seed, w, op, owner)
		}
		if w.Withdrawn() != (op.Verb == bgpclient.Delete) || op.Verb != bgpclient.Put && op.Verb != bgpclient.Delete {
			t.Fatalf("seed %d: %+v of %+v", seed, w, op)
		}
		if route, _ := wire.Decode(p, w.Attributes(), 1); route.NextHop != r.NextHop {
			t.Fatalf("seed %d: next hop %s of %+v", seed, route.NextHop, op)
		}
	}
}

func TestBatchesKeepOrderAndFit(t *testing.T) {
	writes := make([]Write, 3000)
	for i := range writes {
		writes[i].identifier = uint32(i + 1)
		if i >= 2000 { // fat ones
			writes[i].attributes = [][]byte{make([]byte, 60_000)}
		}
	}
	next, at := batches(writes), uint32(0)
	for batch := next(); batch != nil; batch = next() {
		size := 0
		for _, w := range batch {
			size += w.size()
			if at++; w.identifier != at {
				t.Fatalf("have %d, want %d", w.identifier, at)
			}
		}
		if len(batch) > batchPaths || size > 2*batchBytes {
			t.Fatalf("a batch of %d with %d bytes", len(batch), size)
		}
	}
	if at != 3000 {
		t.Fatalf("%d came out", at)
	}
}

func TestListedPathOfANeighborIsNotLocal(t *testing.T) {
	good := Listed{AFI: wire.AFIv4, NLRI: []byte{32, 192, 0, 2, 1}, Attributes: [][]byte{{0x40, 1, 1, 0}, {0x40, 3, 4, 10, 0, 0, 1}}, Identifier: 7}
	for _, name := range []string{"", "<nil>", "invalid IP"} { // by version
		l := good
		l.Neighbor = name
		if p, ok := localPath(l, wire.AFIv4, 1); !ok || p.Odd || p.ID != 7 || fmt.Sprint(p.Route.Prefix, p.Route.NextHop) != "192.0.2.1/32 10.0.0.1" {
			t.Errorf("%q: %+v, %t", name, p, ok)
		}
	}
	for name, change := range map[string]func(*Listed){
		"neighbor":       func(l *Listed) { l.Neighbor = "10.0.0.254" },
		"IPv6 neighbor":  func(l *Listed) { l.Neighbor = "fe80::1%eth0" },
		"other family":   func(l *Listed) { l.AFI = wire.AFIv6 },
		"no family":      func(l *Listed) { l.AFI = 0 },
		"withdrawn":      func(l *Listed) { l.Withdrawn = true },
		"no prefix":      func(l *Listed) { l.NLRI = nil },
		"too long":       func(l *Listed) { l.NLRI = []byte{33, 192, 0, 2, 1, 0} },
		"cut off prefix": func(l *Listed) { l.NLRI = []byte{32, 192, 0} },
	} {
		l := good
		change(&l)
		if p, ok := localPath(l, wire.AFIv4, 1); ok {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestOnlyPrefixesOfTheFamilyAreAskedFor(t *testing.T) {
	in := []netip.Prefix{{}, netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("::ffff:1.2.3.4/128")}
	if have, want := ofFamily(in, wire.AFIv4), []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}; !slices.Equal(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
	if have := ofFamily(in, wire.AFIv6); len(have) != 1 {
		t.Errorf("have %v", have)
	}
}
