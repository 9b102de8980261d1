package vipctl

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// BenchmarkStatus is a whole call beside a node of many VIPs: connecting, asking
// and drawing. What it costs does not grow with their number.
func BenchmarkStatus(b *testing.B) {
	for _, n := range []int{10, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmark(b, n, "status") })
	}
}

// BenchmarkVips lists all of them.
func BenchmarkVips(b *testing.B) {
	b.Run("table", func(b *testing.B) { benchmark(b, 10000, "vips") })
	b.Run("json", func(b *testing.B) { benchmark(b, 10000, "vips", "-o", "json") })
	b.Run("yaml", func(b *testing.B) { benchmark(b, 10000, "vips", "-o", "yaml") })
}

func benchmark(b *testing.B, vips int, args ...string) {
	f := small()
	f.vips = many(vips)
	r := newRig(b, f)
	for b.Loop() {
		p := Process{Args: args, Env: r.env(), Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard}
		if code := run(b.Context(), p, noon); code != exitDone {
			b.Fatal(code)
		}
	}
}
