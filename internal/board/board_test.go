package board

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func small(changes, events int) *Board {
	return New("one", Options{Changes: changes, Events: events, Now: func() time.Time { return epoch }})
}

func vip(name, state string, backends ...string) *vipdv1.Vip {
	v := &vipdv1.Vip{Name: name, State: state, Tally: &vipdv1.Tally{Total: uint32(len(backends))}}
	for i, health := range backends {
		v.Backends = append(v.Backends, &vipdv1.Backend{Name: fmt.Sprint(i), Health: health})
		if health == "up" {
			v.Tally.Healthy++
		}
	}
	return v
}

func names(vips []*vipdv1.Vip) (out []string) {
	for _, v := range vips {
		out = append(out, v.GetName())
	}
	return out
}

func wantEqual[M proto.Message](t *testing.T, what string, got, want M) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func wantNames(t *testing.T, what string, got []*vipdv1.Vip, want ...string) {
	t.Helper()
	if !slices.Equal(names(got), want) {
		t.Errorf("%s: %q, want %q", what, names(got), want)
	}
}

func TestWhatIsShownAlreadyIsNoChange(t *testing.T) {
	b := small(16, 16)
	for range 2 {
		b.PutNode(&vipdv1.Node{Name: "lb-1"})
		b.PutVIP(vip("web", "advertised", "up"))
		b.PutNeighbor(&vipdv1.Neighbor{Address: "10.0.0.254"})
		b.PutSession(&vipdv1.BfdSession{Id: "10.0.0.254"})
		b.RemoveVIP("none")
		b.RemoveNeighbor("none")
		b.RemoveSession("none")
	}
	if b.sequence != 4 {
		t.Errorf("sequence %d after four objects, put twice", b.sequence)
	}
	b.PutVIP(vip("web", "advertised", "down"))
	if b.sequence != 5 {
		t.Errorf("sequence %d after a change inside a backend", b.sequence)
	}
}

func TestObjectsAreShownUntilTheyAreRemoved(t *testing.T) {
	b := small(16, 16)
	if b.Node() != nil || b.VIP("web") != nil {
		t.Error("an empty board shows something")
	}
	b.PutNode(&vipdv1.Node{Name: "lb-1"})
	b.PutVIP(vip("web", "withdrawn"))
	b.PutVIP(vip("web", "advertised"))
	wantEqual(t, "node", b.Node(), &vipdv1.Node{Name: "lb-1"})
	wantEqual(t, "vip", b.VIP("web"), vip("web", "advertised"))
	b.RemoveVIP("web")
	if got := b.VIP("web"); got != nil {
		t.Errorf("shown after its removal: %v", got)
	}
}

func TestNeighborsAndSessionsAreSortedAsNumbers(t *testing.T) {
	b := small(16, 16)
	for _, id := range []string{"10.0.0.10", "fe80::1%eth0", "odd", "10.0.0.9 (multihop)", "10.0.0.9"} {
		b.PutNeighbor(&vipdv1.Neighbor{Address: id})
		b.PutSession(&vipdv1.BfdSession{Id: id})
	}
	b.RemoveNeighbor("10.0.0.10")
	b.RemoveSession("10.0.0.9")
	var addresses, ids []string
	for _, n := range b.Neighbors() {
		addresses = append(addresses, n.GetAddress())
	}
	for _, s := range b.Sessions() {
		ids = append(ids, s.GetId())
	}
	if want := []string{"10.0.0.9", "10.0.0.9 (multihop)", "fe80::1%eth0", "odd"}; !slices.Equal(addresses, want) {
		t.Errorf("neighbors %q, want %q", addresses, want)
	}
	if want := []string{"10.0.0.9 (multihop)", "10.0.0.10", "fe80::1%eth0", "odd"}; !slices.Equal(ids, want) {
		t.Errorf("sessions %q, want %q", ids, want)
	}
}

func TestEventsGetTheirSequenceAndTime(t *testing.T) {
	b := small(16, 16)
	b.PutVIP(vip("web", "withdrawn"))
	dated := timestamppb.New(epoch.Add(-time.Hour))
	b.Note(&vipdv1.Event{Kind: "vip", Subject: "web"})
	b.Note(&vipdv1.Event{Kind: "bfd", Subject: "10.0.0.254", At: dated})
	events, sequence, missed := b.Events(EventQuery{})
	if len(events) != 2 || sequence != 3 || missed {
		t.Fatalf("%v, %d, %v", events, sequence, missed)
	}
	wantEqual(t, "first", events[0], &vipdv1.Event{Kind: "vip", Subject: "web", Sequence: 2, At: timestamppb.New(epoch)})
	wantEqual(t, "second", events[1], &vipdv1.Event{Kind: "bfd", Subject: "10.0.0.254", Sequence: 3, At: dated})
}

func TestTroubledVIPsStandInOrderOfTheirTrouble(t *testing.T) {
	b := small(64, 16)
	good := func(name string) *vipdv1.Vip {
		v := vip(name, "advertised")
		v.Route = &vipdv1.Route{Wanted: true, Installed: true, Confirmed: true}
		return v
	}
	bad := map[string]func(*vipdv1.Vip){
		"withdrawn":   func(v *vipdv1.Vip) { v.State = "withdrawn" },
		"undecided":   func(v *vipdv1.Vip) { v.State = "undecided" },
		"unconfirmed": func(v *vipdv1.Vip) { v.Route.Confirmed = false },
		"failed":      func(v *vipdv1.Vip) { v.Route.Error = "put: timeout" },
		"foreign":     func(v *vipdv1.Vip) { v.Route.Foreign = true },
	}
	order := []string{"foreign", "withdrawn", "failed", "undecided", "unconfirmed"}
	b.PutVIP(good("good"))
	noBGP := good("no-bgp")
	noBGP.Route = nil
	b.PutVIP(noBGP)
	for _, name := range order {
		b.PutVIP(good(name))
	}
	wantNames(t, "at first", b.Troubled(10))
	for _, name := range order {
		v := good(name)
		bad[name](v)
		b.PutVIP(v)
	}
	wantNames(t, "all", b.Troubled(10), order...)
	wantNames(t, "the first two", b.Troubled(2), order[:2]...)
	wantNames(t, "none", b.Troubled(0))

	still := vip("foreign", "withdrawn")
	b.PutVIP(still)
	b.PutVIP(good("withdrawn"))
	b.RemoveVIP("failed")
	wantNames(t, "other trouble keeps the place, good and gone leave", b.Troubled(10), "foreign", "undecided", "unconfirmed")
	wantEqual(t, "as it is now", b.Troubled(1)[0], still)
	b.PutVIP(vip("withdrawn", "withdrawn"))
	wantNames(t, "new trouble is the youngest", b.Troubled(10), "foreign", "undecided", "unconfirmed", "withdrawn")
}
