package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	v3 "github.com/osrg/gobgp/v3/api"
	v4 "github.com/osrg/gobgp/v4/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/fiberlb/vipd/internal/daemon"
)

// An operator writes into the speaker's table by himself, as the gobgp command
// does.
type operator struct {
	w    *world
	conn *grpc.ClientConn
}

func (w *world) operator() operator {
	w.Helper()
	target := ""
	if w.gobgpd != nil {
		target = w.gobgpd.Target()
	} else {
		sockets, err := filepath.Glob(filepath.Join(w.tmp, "vipd-*", "gobgp.sock"))
		if err != nil || len(sockets) != 1 {
			w.Fatalf("socket of the embedded speaker: %q, %v", sockets, err)
		}
		target = "unix://" + sockets[0]
	}
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	return operator{w, conn}
}

// add adds a path with an identifier and a MED. Its ORIGIN is INCOMPLETE, so
// that a path of vipd for the same prefix is preferred.
func (o operator) add(prefix string, id, med uint32) {
	o.w.Helper()
	o.write(prefix, id, med, false)
}

// remove removes one path.
func (o operator) remove(prefix string, id uint32) {
	o.w.Helper()
	o.write(prefix, id, 0, true)
}

func (o operator) write(prefix string, id, med uint32, remove bool) {
	o.w.Helper()
	ctx, cancel := context.WithTimeout(o.w.ctx, 20*time.Second)
	defer cancel()
	p := netip.MustParsePrefix(prefix)
	nlri := append([]byte{byte(p.Bits())}, p.Addr().AsSlice()[:(p.Bits()+7)/8]...)
	attributes := [][]byte{
		{0x40, 1, 1, 2},            // ORIGIN INCOMPLETE (RFC 4271 §5.1.1)
		{0x40, 3, 4, 192, 0, 2, 9}, // NEXT_HOP
		binary.BigEndian.AppendUint32([]byte{0x80, 4, 4}, med),
	}
	var err error
	switch {
	case o.w.speaker != embedded && o.w.speaker[0] == '3':
		c := v3.NewGobgpApiClient(o.conn)
		family := &v3.Family{Afi: v3.Family_AFI_IP, Safi: v3.Family_SAFI_UNICAST}
		path := &v3.Path{Family: family, NlriBinary: nlri, PattrsBinary: attributes, Identifier: id}
		if remove {
			_, err = c.DeletePath(ctx, &v3.DeletePathRequest{Family: family, Path: path})
			break
		}
		_, err = c.AddPath(ctx, &v3.AddPathRequest{Path: path})
	default:
		c := v4.NewGoBgpServiceClient(o.conn)
		family := &v4.Family{Afi: v4.Family_AFI_IP, Safi: v4.Family_SAFI_UNICAST}
		path := &v4.Path{Family: family, NlriBinary: nlri, PattrsBinary: attributes, Identifier: id, Age: timestamppb.Now()}
		if remove {
			_, err = c.DeletePath(ctx, &v4.DeletePathRequest{TableType: v4.TableType_TABLE_TYPE_GLOBAL, Family: family, Path: path})
			break
		}
		_, err = c.AddPath(ctx, &v4.AddPathRequest{TableType: v4.TableType_TABLE_TYPE_GLOBAL, Path: path})
	}
	if err != nil {
		o.w.Fatalf("operator: %s: %v", prefix, err)
	}
}

// theirs is an operator's route as the router sees it.
func theirs(prefix string, med int) string {
	return fmt.Sprintf("%s via 192.0.2.9 path [%d] med %d", prefix, nodeAS, med)
}

// An operator's own route is never touched, whether for a VIP's prefix or for
// another, from the first decision to the end of a drain; and it is told of.
func TestOperatorsRouteIsLeftAlone(t *testing.T) {
	each(t, func(w *world) {
		b := w.running(1)
		v := w.run(plan{drain: "{prefer_others: 100ms, grace_period: 500ms}", vips: []string{vip("web", web, "", b...)}})
		w.waitRoute(w.router, w.plain(web))
		w.waitGet("/metrics", 200, `vipd_routes{state="foreign"} 0`)
		o := w.operator()
		o.add(other, 0, 70)
		w.waitRoute(w.router, theirs(other, 70))
		// While it is the best path, GoBGP tells of it; another one is found by a poll.
		b[0].kill()
		w.waitAbsent(w.router, web)
		o.add(web, 0, 70)
		w.waitRoute(w.router, theirs(web, 70))
		v.waitLog("the speaker has a local route of somebody else for a VIP")
		w.waitGet("/metrics", 200, `vipd_routes{state="foreign"} 1`)

		from := len(w.router.Updates())
		b[0].start()
		w.waitRoute(w.router, w.plain(web)) // ours is preferred
		b[0].kill()
		w.waitRoute(w.router, theirs(web, 70)) // ours is gone, and theirs is seen
		b[0].start()
		w.waitRoute(w.router, w.plain(web))
		v.signal(syscall.SIGTERM)
		w.waitRoute(w.router, theirs(web, 70))
		v.waitLog("all routes withdrawn")
		for _, change := range changes(w.router, from) {
			if !strings.HasPrefix(change, "+"+web) {
				w.Errorf("an operator's route was touched: %s", change)
			}
		}
		v.wantExit(0)
	})
}

// A route of ours that somebody deleted is there again, and counted.
func TestDeletedRouteIsPutBack(t *testing.T) {
	each(t, func(w *world) {
		b := w.running(1)
		w.run(plan{vips: []string{vip("web", web, "", b...), vip("other", other, "", b...)}})
		w.waitRoute(w.router, w.plain(web))
		w.waitRoute(w.router, w.plain(other))
		w.waitGet("/metrics", 200, "vipd_reconcile_drift_total 0")
		from := len(w.router.Updates())
		w.operator().remove(web, daemon.Owner("node-1"))
		w.waitGet("/metrics", 200, "vipd_reconcile_drift_total 1")
		w.waitRoute(w.router, w.plain(web))
		w.wantPutBack(from, web)
	})
}

// wantPutBack wants a withdrawal and an announcement; a speaker that was quick
// may have sent the latter only.
func (w *world) wantPutBack(from int, prefix string) {
	w.Helper()
	have := changes(w.router, from)
	if len(have) > 0 && have[0] == "-"+prefix {
		have = have[1:]
	}
	if len(have) > 1 || len(have) == 1 && have[0] != "+"+w.plain(prefix) {
		w.Errorf("the router was told %q", changes(w.router, from))
	}
}
