package definitions

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

func def(name, prefix, spec string) VIP {
	return VIP{Name: name, Prefix: netip.MustParsePrefix(prefix), Spec: json.RawMessage(spec)}
}

func of(owner string, v VIP) VIP {
	v.Owner = owner
	return v
}

func number(n uint64) *uint64 { return &n }

// apply carries a change out that must be possible.
func apply(t *testing.T, s *Set, c Change, err error) Change {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s.Apply(c)
	return c
}

// known is a Set with one VIP of the file, two of lb and one of net.
func known(t *testing.T) *Set {
	s := New(nil)
	s.File(map[string]netip.Prefix{"fixed": netip.MustParsePrefix("192.0.2.1/32")})
	c, err := s.Replace("lb", []VIP{def("a", "192.0.2.10/32", "1"), def("b", "192.0.2.11/32", "1")}, nil)
	apply(t, s, c, err)
	c, err = s.Upsert(of("net", def("wide", "192.0.2.64/27", "1")), nil)
	apply(t, s, c, err)
	return s
}

func TestRefusals(t *testing.T) {
	upsert := func(v VIP, expected *uint64) func(*Set) (Change, error) {
		return func(s *Set) (Change, error) { return s.Upsert(v, expected) }
	}
	remove := func(owner, name string, expected *uint64) func(*Set) (Change, error) {
		return func(s *Set) (Change, error) { return s.Delete(owner, name, expected) }
	}
	for _, c := range []struct {
		rule string
		do   func(*Set) (Change, error)
		want Refusal
	}{
		{"a name of the file", upsert(of("lb", def("fixed", "192.0.2.9/32", "1")), nil), Refusal{Text: "vip fixed: is of the configuration file (change it there and reload)"}},
		{"a name of another owner", upsert(of("me", def("a", "192.0.2.9/32", "1")), nil), Refusal{Text: "vip a: was made by owner lb, who alone may change it"}},
		{"a prefix of the file", upsert(of("lb", def("c", "192.0.2.1/32", "1")), nil), Refusal{Text: "vip c: prefix 192.0.2.1/32 is that of fixed of the configuration file"}},
		{"a prefix of another", upsert(of("lb", def("c", "192.0.2.10/32", "1")), nil), Refusal{Text: "vip c: prefix 192.0.2.10/32 is that of a, made by lb"}},
		{"another version", upsert(of("lb", def("a", "192.0.2.10/32", "2")), number(7)), Refusal{Conflict: true, Text: "vip a: is of version 1, not 7 (get it again)"}},
		{"one that must be new", upsert(of("lb", def("a", "192.0.2.10/32", "2")), number(0)), Refusal{Conflict: true, Text: "vip a: is of version 1, not 0 (get it again)"}},
		{"to remove what is not there", remove("lb", "x", nil), Refusal{Missing: true, Text: "vip x: there is none of that name"}},
		{"to remove the file's", remove("lb", "fixed", nil), Refusal{Text: "vip fixed: is of the configuration file (change it there and reload)"}},
		{"to remove another's", remove("me", "a", nil), Refusal{Text: "vip a: was made by owner lb, who alone may change it"}},
		{"to remove another version", remove("lb", "a", number(2)), Refusal{Conflict: true, Text: "vip a: is of version 1, not 2 (get it again)"}},
		{"one listed twice", func(s *Set) (Change, error) {
			return s.Replace("lb", []VIP{def("a", "192.0.2.10/32", "1"), def("a", "192.0.2.12/32", "1")}, nil)
		}, Refusal{Text: "vip a: is listed twice"}},
		{"a prefix listed twice", func(s *Set) (Change, error) {
			return s.Replace("lb", []VIP{def("c", "192.0.2.12/32", "1"), def("d", "192.0.2.12/32", "1")}, nil)
		}, Refusal{Text: "vip d: prefix 192.0.2.12/32 is that of c too"}},
		{"a prefix inside another one's", upsert(of("me", def("c", "192.0.2.64/32", "1")), nil), Refusal{Text: "vip c: prefix 192.0.2.64/32 is inside 192.0.2.64/27 of wide, made by net"}},
		{"one that has another one's inside", upsert(of("me", def("c", "192.0.2.8/29", "1")), nil), Refusal{Text: "vip c: prefix 192.0.2.8/29 has 192.0.2.10/32 of a, made by lb, inside it"}},
		{"two of one request within each other", func(s *Set) (Change, error) {
			return s.Replace("me", []VIP{def("c", "198.51.100.0/24", "1"), def("d", "198.51.100.1/32", "1")}, nil)
		}, Refusal{Text: "vip d: prefix 198.51.100.1/32 is inside 198.51.100.0/24 of c, made by me"}},
		{"another generation", func(s *Set) (Change, error) { return s.Replace("lb", nil, number(4)) },
			Refusal{Conflict: true, Text: "owner lb: is at generation 1, not 4 (somebody else changed its VIPs)"}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := known(t)
			_, err := c.do(s)
			var got *Refusal
			if !errors.As(err, &got) || *got != c.want {
				t.Errorf("got %v, want %+v", err, c.want)
			}
			if all := s.All(); len(all) != 3 || s.Generations()["lb"] != 1 {
				t.Errorf("a refused request left %+v", all)
			}
		})
	}
}

func TestReplaceTouchesOnlyWhatDiffers(t *testing.T) {
	s := known(t)
	c, err := s.Replace("lb", []VIP{def("a", "192.0.2.10/32", "1"), def("c", "192.0.2.12/32", "1")}, number(1))
	apply(t, s, c, err)
	if c.Added != 1 || c.Changed != 0 || c.Unchanged != 1 || len(c.Remove) != 1 || c.Generation != 2 {
		t.Errorf("%+v", c)
	}
	if a, _ := s.Get("a"); a.Version != 1 {
		t.Errorf("a is of version %d now, and did not change", a.Version)
	}
	c, err = s.Replace("lb", []VIP{def("a", "192.0.2.10/32", "1"), def("c", "192.0.2.12/32", "1")}, nil)
	if apply(t, s, c, err); !c.Empty() || s.Generations()["lb"] != 2 {
		t.Errorf("the same again came to %+v", c)
	}
}

func TestPrefixesMayBeSwapped(t *testing.T) {
	s := known(t)
	c, err := s.Replace("lb", []VIP{def("a", "192.0.2.11/32", "2"), def("b", "192.0.2.10/32", "2")}, nil)
	apply(t, s, c, err)
	_, err = s.Upsert(of("lb", def("c", "192.0.2.10/32", "1")), nil)
	if err == nil || !strings.Contains(err.Error(), "that of b") {
		t.Errorf("error %v, want the prefix to be b's", err)
	}
}

func TestVersionIsNotUsedAgain(t *testing.T) {
	s := known(t)
	c, err := s.Delete("lb", "a", nil)
	apply(t, s, c, err)
	c, err = s.Upsert(of("lb", def("a", "192.0.2.10/32", "1")), number(0))
	apply(t, s, c, err)
	if a, _ := s.Get("a"); a.Version != 3 {
		t.Errorf("version %d, want one that no a ever had", a.Version)
	}
}

// What means nothing at present can be put again as it is.
func TestIdleDefinitionIsPutAgain(t *testing.T) {
	s := New(func(name string) bool { return name == "b" })
	both := []VIP{def("a", "192.0.2.10/32", "1"), def("b", "192.0.2.11/32", "1")}
	c, err := s.Replace("lb", both, nil)
	apply(t, s, c, err)
	c, err = s.Replace("lb", both, nil)
	if apply(t, s, c, err); c.Changed != 1 || c.Unchanged != 1 || c.Put[0].Name != "b" {
		t.Errorf("%+v, want b to be put again", c)
	}
}

// Whatever is asked, no two VIPs have an address, and all is found by its prefix.
func TestNoAddressTwice(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	s := New(nil)
	for range 5000 {
		name, owner := fmt.Sprint("v", r.IntN(8)), fmt.Sprint("o", r.IntN(2))
		v := of(owner, def(name, "192.0.2.0/32", fmt.Sprint(r.IntN(3))))
		v.Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(10))}), 29+r.IntN(4)).Masked()
		var c Change
		var err error
		switch r.IntN(3) {
		case 0:
			c, err = s.Delete(owner, name, nil)
		case 1:
			c, err = s.Upsert(v, nil)
		case 2:
			c, err = s.Replace(owner, []VIP{v}, nil)
		}
		if err == nil {
			s.Apply(c)
		}
		seen := map[netip.Prefix]string{}
		for _, v := range s.All() {
			for p, other := range seen {
				if p.Overlaps(v.Prefix) {
					t.Fatalf("seed %d: %s of %s and %s of %s overlap", seed, v.Prefix, v.Name, p, other)
				}
			}
			seen[v.Prefix] = v.Name
		}
		if len(seen) != len(s.prefixes) {
			t.Fatalf("seed %d: %d prefixes known, %d used", seed, len(s.prefixes), len(seen))
		}
	}
}
