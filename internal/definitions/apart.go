package definitions

import (
	"cmp"
	"net/netip"
	"slices"
)

// A stand is a prefix with whose it is.
type stand struct {
	VIP
	fresh bool // it comes with the change
}

// apart refuses a prefix within another one: the next start would not make both
// of them. It costs nothing where all are single addresses, which are apart when
// they differ.
func (s *Set) apart(put []VIP, leaving map[string]bool) error {
	if len(put) == 0 || s.wide == 0 && !slices.ContainsFunc(put, func(v VIP) bool { return wide(v) > 0 }) {
		return nil
	}
	all := make([]stand, 0, len(s.vips)+len(put))
	for name, v := range s.vips {
		if !leaving[name] {
			all = append(all, stand{v, false})
		}
	}
	for _, v := range put {
		all = append(all, stand{v, true})
	}
	slices.SortFunc(all, func(a, b stand) int {
		return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
	})
	// Sorted, a prefix stands right after those that it is within.
	var around []stand
	for _, v := range all {
		for len(around) > 0 && !around[len(around)-1].Prefix.Contains(v.Prefix.Addr()) {
			around = around[:len(around)-1]
		}
		if len(around) > 0 {
			if err := within(v, around[len(around)-1]); err != nil {
				return err
			}
		}
		around = append(around, v)
	}
	return nil
}

// within refuses it if inner or outer is new: what is there already is no fault
// of this change.
func within(inner, outer stand) error {
	switch {
	case inner.fresh:
		return refuse("vip %s: prefix %s is inside %s of %s, made by %s", inner.Name, inner.Prefix, outer.Prefix, outer.Name, outer.Owner)
	case outer.fresh:
		return refuse("vip %s: prefix %s has %s of %s, made by %s, inside it", outer.Name, outer.Prefix, inner.Prefix, inner.Name, inner.Owner)
	}
	return nil
}

// wide is 1 for a prefix of more than one address.
func wide(v VIP) int {
	if v.Prefix == (netip.Prefix{}) || v.Prefix.IsSingleIP() {
		return 0
	}
	return 1
}
