package view

import (
	"net/netip"
	"testing"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bgpclient"
)

func TestRoutesGoToWhoCarriesTheirFamily(t *testing.T) {
	all := []*vipdv1.Neighbor{{Address: "four", Families: []string{familyIPv4}}, {Address: "six", Families: []string{familyIPv6}}, {Address: "silent"}}
	for prefix, want := range map[string]string{"192.0.2.1/32": "four silent ", "2001:db8::1/128": "six silent "} {
		got := ""
		for _, n := range Carriers(all, netip.MustParsePrefix(prefix)) {
			got += n.GetAddress() + " "
		}
		if got != want {
			t.Errorf("%s goes to %s, want %s", prefix, got, want)
		}
	}
}

func TestNothingIsClaimedOfWhatIsNotSeen(t *testing.T) {
	n := Neighbor(bgpclient.NeighborState{Neighbor: bgpclient.Neighbor{Address: netip.MustParseAddr("10.0.0.1")}}, nil, true, "up")
	sent := SentTo(nil, []*vipdv1.Neighbor{n})
	if Seen(n) || sent[0].GetSent() || sent[0].GetCause() != notSentUnknown || sent[0].GetDetail() != "not known: the speaker is not connected" {
		t.Errorf("%v is sent: %v", n, sent[0])
	}
}
