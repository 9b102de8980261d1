package board

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// fleet is b with n VIPs of four backends, as they look in production.
func fleet(n int) *Board {
	b := New("one", Options{})
	for i := range n {
		b.PutVIP(long(i, "up"))
	}
	return b
}

func long(i int, health string) *vipdv1.Vip {
	v := vip(fmt.Sprintf("vip-%05d", i), "advertised", "up", "up", "up", health)
	v.Prefix, v.Owner = fmt.Sprintf("192.0.%d.%d/32", i/256, i%256), "k8s"
	v.Reason = "advertised: 4 of 4 backends healthy (minimum 1)"
	v.Route = &vipdv1.Route{Wanted: true, Installed: true, Confirmed: true}
	for j, one := range v.GetBackends() {
		one.Address, one.Kind = fmt.Sprintf("10.0.%d.%d:8080", i%256, j), "http"
	}
	return v
}

func BenchmarkPutOfAChangedVIP(b *testing.B) {
	for _, readers := range []int{0, 1, 100} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			board := fleet(10_000)
			ctx, cancel := context.WithCancel(context.Background())
			var all sync.WaitGroup
			var read atomic.Int64
			for range readers {
				r := board.Read(Cursor{"one", board.sequence}, false)
				all.Go(func() {
					for {
						next, err := r.Next(ctx, 256)
						if err != nil {
							return
						}
						read.Add(int64(len(next)))
					}
				})
			}
			versions := [2]*vipdv1.Vip{long(5000, "down"), long(5000, "up")}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				board.PutVIP(versions[i%2])
				i++
			}
			cancel()
			all.Wait()
			b.ReportMetric(float64(read.Load())/float64(b.N), "read/op")
		})
	}
}

// BenchmarkPutThatWakesAll is the worst case: every reader waits at each put.
// put-ns is what the putter takes, ns/op the whole until all have read it.
func BenchmarkPutThatWakesAll(b *testing.B) {
	for _, readers := range []int{1, 100} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			board := fleet(100)
			ctx, cancel := context.WithCancel(context.Background())
			var all sync.WaitGroup
			var read atomic.Int64
			for range readers {
				r := board.Read(Cursor{"one", board.sequence}, false)
				all.Go(func() {
					for {
						if _, err := r.Next(ctx, 256); err != nil {
							return
						}
						read.Add(1)
					}
				})
			}
			versions := [2]*vipdv1.Vip{long(50, "down"), long(50, "up")}
			var putting time.Duration
			i := 0
			for b.Loop() {
				began := time.Now()
				board.PutVIP(versions[i%2])
				putting += time.Since(began)
				i++
				for read.Load() < int64(i*readers) {
					runtime.Gosched()
				}
			}
			cancel()
			all.Wait()
			b.ReportMetric(float64(putting)/float64(b.N), "put-ns")
		})
	}
}

func BenchmarkPutOfTheSameVIP(b *testing.B) {
	board := fleet(10_000)
	v := long(5000, "up")
	b.ReportAllocs()
	for b.Loop() {
		board.PutVIP(v)
	}
}

func BenchmarkVIPsOf10000(b *testing.B) {
	board := fleet(10_000)
	for name, q := range map[string]Query{
		"all": {}, "page": {After: "vip-05000", Limit: 100}, "search": {Search: "192.0.39", Limit: 100},
		"search-nothing": {Search: "nothing"}, "state": {State: "withdrawn"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				board.VIPs(q)
			}
		})
	}
}

func BenchmarkTroubledOf10000(b *testing.B) {
	board := New("one", Options{})
	for i := range 10_000 {
		board.PutVIP(vip(fmt.Sprintf("vip-%05d", i), "withdrawn"))
	}
	b.ReportAllocs()
	for b.Loop() {
		board.Troubled(50)
	}
}

func BenchmarkSnapshotOf10000(b *testing.B) {
	board := fleet(10_000)
	b.ReportAllocs()
	for b.Loop() {
		r := board.Read(Cursor{}, false)
		for more := (chan struct{})(nil); more == nil; {
			_, more = r.next(1)
		}
	}
}

// BenchmarkFill puts VIPs that are new, in no order.
func BenchmarkFill10000(b *testing.B) {
	vips := make([]*vipdv1.Vip, 10_000)
	for i := range vips {
		vips[i] = long(i*7919%len(vips), "up")
	}
	for b.Loop() {
		board := New("one", Options{})
		for _, v := range vips {
			board.PutVIP(v)
		}
	}
}
