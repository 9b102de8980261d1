package gobgp_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/gobgptest"
	"github.com/fiberlb/vipd/bgpclient/internal/wire"

	v3 "github.com/osrg/gobgp/v3/api"
	v4 "github.com/osrg/gobgp/v4/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func eachDaemon(b *testing.B, bench func(b *testing.B, s speaker)) {
	for _, version := range gobgptest.Versions() {
		b.Run("gobgpd="+version, func(b *testing.B) {
			d := gobgptest.Start(b, version)
			bench(b, speaker{name: version, target: d.Target(), port: freePort(b)})
		})
	}
}

// What one decision costs: the change, and the look that confirms it.
func BenchmarkPutAndReadBack(b *testing.B) {
	eachDaemon(b, func(b *testing.B, s speaker) {
		c := started(b, s)
		r := route("192.0.2.1/32", all)
		for i := 0; b.Loop(); i++ {
			r.MED = pointer(uint32(i))
			apply(b, c, put(r))
			if have := paths(b, c, r.Prefix); len(have) != 1 || !have[0].Route.Equal(r) {
				b.Fatalf("%+v", have)
			}
		}
	})
}

const many = 10_000

func manyRoutes() []bgpclient.Route {
	routes := make([]bgpclient.Route, many)
	for i := range routes {
		routes[i] = route(fmt.Sprintf("10.%d.%d.%d/32", i/62500, i/250%250, i%250), func(r *bgpclient.Route) {
			r.Communities = []bgpclient.Community{65001<<16 | 100}
		})
	}
	return routes
}

// 10,000 routes through the driver, and the same bare for comparison.
func BenchmarkApply10k(b *testing.B) {
	eachDaemon(b, func(b *testing.B, s speaker) {
		c := started(b, s)
		routes := manyRoutes()
		puts, dels := make([]bgpclient.Op, many), make([]bgpclient.Op, many)
		for i, r := range routes {
			puts[i], dels[i] = put(r), del(r)
		}
		for b.Loop() {
			apply(b, c, puts...)
			b.StopTimer()
			apply(b, c, dels...)
			b.StartTimer()
		}
	})
}

func BenchmarkList10k(b *testing.B) {
	eachDaemon(b, func(b *testing.B, s speaker) {
		c := started(b, s)
		var puts []bgpclient.Op
		var prefixes []netip.Prefix
		for _, r := range manyRoutes() {
			puts, prefixes = append(puts, put(r)), append(prefixes, r.Prefix)
		}
		apply(b, c, puts...)
		for b.Loop() {
			if have := paths(b, c, prefixes...); len(have) != many {
				b.Fatalf("%d paths", len(have))
			}
		}
	})
}

// What a neighbor is sent of one prefix among 10,000: the speaker goes through
// all of them.
func BenchmarkAdjOutAmong10k(b *testing.B) {
	eachDaemon(b, func(b *testing.B, s speaker) {
		c := started(b, s)
		r, n := routerOn(b, s, "127.0.0.2", nil)
		connect(b, c, r, n)
		var puts []bgpclient.Op
		for _, r := range manyRoutes() {
			puts = append(puts, put(r))
		}
		apply(b, c, puts...)
		last := puts[many-1].Route.Prefix
		await(b, r, last, nil)
		for b.Loop() {
			if have, err := c.AdjOut(bounded(b), n.Address, last); err != nil || len(have) != 1 {
				b.Fatalf("%+v, %v", have, err)
			}
		}
	})
}

func BenchmarkBareStream10k(b *testing.B) {
	eachDaemon(b, func(b *testing.B, s speaker) {
		c := started(b, s)
		conn, err := grpc.NewClient(s.target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		send := bare4(b, conn)
		if c.API() == "v3" {
			send = bare3(b, conn)
		}
		for b.Loop() {
			send(false)
			b.StopTimer()
			send(true)
			b.StartTimer()
		}
	})
}

func bare3(b *testing.B, conn *grpc.ClientConn) func(withdraw bool) {
	return func(withdraw bool) {
		s, err := v3.NewGobgpApiClient(conn).AddPathStream(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		req := &v3.AddPathStreamRequest{}
		for i, r := range manyRoutes() {
			req.Paths = append(req.Paths, &v3.Path{
				Family: &v3.Family{Afi: v3.Family_AFI_IP, Safi: v3.Family_SAFI_UNICAST}, Identifier: owner, IsWithdraw: withdraw,
				NlriBinary: wire.AppendPrefix(nil, r.Prefix), PattrsBinary: wire.Encode(r, localAS),
			})
			if (i+1)%500 == 0 {
				if err := s.Send(req); err != nil {
					b.Fatal(err)
				}
				req = &v3.AddPathStreamRequest{}
			}
		}
		if _, err := s.CloseAndRecv(); err != nil {
			b.Fatal(err)
		}
	}
}

func bare4(b *testing.B, conn *grpc.ClientConn) func(withdraw bool) {
	return func(withdraw bool) {
		s, err := v4.NewGoBgpServiceClient(conn).AddPathStream(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		req := &v4.AddPathStreamRequest{TableType: v4.TableType_TABLE_TYPE_GLOBAL}
		for i, r := range manyRoutes() {
			req.Paths = append(req.Paths, &v4.Path{
				Family: &v4.Family{Afi: v4.Family_AFI_IP, Safi: v4.Family_SAFI_UNICAST}, Identifier: owner, IsWithdraw: withdraw,
				NlriBinary: wire.AppendPrefix(nil, r.Prefix), PattrsBinary: wire.Encode(r, localAS),
			})
			if (i+1)%500 == 0 {
				if err := s.Send(req); err != nil {
					b.Fatal(err)
				}
				req = &v4.AddPathStreamRequest{TableType: v4.TableType_TABLE_TYPE_GLOBAL}
			}
		}
		if _, err := s.CloseAndRecv(); err != nil {
			b.Fatal(err)
		}
	}
}
