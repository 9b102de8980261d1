package web

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bfdengine"
	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

func fixedSnapshots() []bfdengine.Snapshot {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000000, time.UTC)
	return []bfdengine.Snapshot{{
		Spec: bfdengine.Spec{
			Key:    bfdengine.Key{Peer: netip.MustParseAddr("fe80::1%eth0"), Interface: "eth0"},
			Params: bfdengine.Params{DetectMult: 3},
		},
		View: session.View{
			State: packet.Down, Diag: packet.ControlDetectionTimeExpired, RemoteState: packet.Init, RemoteDiag: packet.NeighborSignaledSessionDown,
			Discr: 7, RemoteDiscr: 8, RemoteMinTx: time.Second, RemoteMinRx: 50 * time.Millisecond, RemoteMult: 5,
			TxInterval: 300 * time.Millisecond, RxInterval: 100 * time.Millisecond, Detection: 500 * time.Millisecond,
			Since: at, MaxGap: 123 * time.Millisecond, Counts: session.Counts{Received: 41},
		},
		Source: netip.MustParseAddrPort("[fe80::2%eth0]:49152"), Problem: "send: network is unreachable", Out: 42, Dropped: 3, Seq: 34,
		Transitions: []session.Event{{From: packet.Up, To: packet.Down, Diag: packet.ControlDetectionTimeExpired, RemoteState: packet.Up, At: at}},
	}}
}

// What a monitoring script reads stays as it is.
func TestStatusIsJSON(t *testing.T) {
	const file = "testdata/status.json"
	code, body := get(t, New(options(fixedSources())).handler, "/api/v1/status")
	if *update {
		if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if code != 200 || body != string(want) {
		t.Errorf("got %d\n%s\nwant\n%s", code, body, want)
	}
}

// Lists are empty, not null: a script counts them.
func TestStatusOfNothing(t *testing.T) {
	s := fixedSources()
	s.Status = func(context.Context) (Status, error) { return Status{}, nil }
	want := "{\n  \"draining\": false,\n  \"vips\": [],\n  \"neighbors\": [],\n  \"bfd_sessions\": []\n}\n"
	if code, body := get(t, New(options(s)).handler, "/api/v1/status"); code != 200 || body != want {
		t.Errorf("got %d %s", code, body)
	}
	s.Status = func(context.Context) (Status, error) { return Status{}, errors.New("the health loop does not answer") }
	if code, body := get(t, New(options(s)).handler, "/api/v1/status"); code != 503 || body != "the health loop does not answer\n" {
		t.Errorf("got %d %s", code, body)
	}
}
