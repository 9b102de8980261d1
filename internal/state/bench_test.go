package state

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// many are the VIPs of a large load balancer, with some 300 bytes each.
func many() State {
	s := all()
	s.VIPs = nil
	for i := range 10_000 {
		spec := fmt.Sprintf(`{"name":"service-%d","prefix":"10.%d.%d.%d/32","min_healthy":"50%%","check":"web","backends":[%s]}`,
			i, i>>16, i>>8&255, i&255, strings.TrimSuffix(strings.Repeat(`{"address":"10.100.200.130:8080","weight":10},`, 4), ","))
		s.VIPs = append(s.VIPs, VIP{"lbc", uint64(i), json.RawMessage(spec)})
	}
	return s
}

func BenchmarkSave10000(b *testing.B) {
	s, dir := many(), b.TempDir()
	for b.Loop() {
		if err := Save(dir, s); err != nil {
			b.Fatal(err)
		}
	}
}

// As above, without the disk.
func BenchmarkEncode10000(b *testing.B) {
	s := many()
	for b.Loop() {
		data, err := encode(s)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(data)))
	}
}

func BenchmarkLoad10000(b *testing.B) {
	dir := b.TempDir()
	if err := Save(dir, many()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if s, err := Load(dir); err != nil || len(s.VIPs) != 10_000 {
			b.Fatal(err)
		}
	}
}
