package control

import (
	"testing"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func TestRoles(t *testing.T) {
	users := func(uids ...uint32) Roles { return Roles{UIDs: uids} }
	cert := &caller{kind: certificate, names: []string{"ctl.example", "spiffe://x/ctl"}}
	tcp := &caller{kind: loopback}
	root, own := &caller{kind: user, uid: 0}, &caller{kind: user, uid: 99}
	for _, tt := range []struct {
		name        string
		write, read Roles
		who         *caller
		wantRead    bool
		wantWrite   bool
	}{
		{"without lists a user may all", Roles{}, Roles{}, alice(), true, true},
		{"without lists a certificate may all", Roles{}, Roles{}, cert, true, true},
		{"without lists loopback may all", Roles{}, Roles{}, tcp, true, true},
		{"a listed user writes", users(1000), Roles{}, alice(), true, true},
		{"a user of a listed group writes", Roles{GIDs: []uint32{100}}, Roles{}, alice(), true, true},
		{"one not listed reads while nobody is listed for that", users(7), Roles{}, alice(), true, false},
		{"one not listed at all may nothing", users(7), users(8), alice(), false, false},
		{"a listed reader reads", users(7), users(1000), alice(), true, false},
		{"a writer reads without being a listed reader", users(1000), users(8), alice(), true, true},
		{"with readers alone nobody else writes", Roles{}, users(1000), alice(), true, false},
		{"with readers alone others may nothing", Roles{}, users(8), alice(), false, false},
		{"root may all", users(7), users(8), root, true, true},
		{"root may all beside readers alone", Roles{}, users(8), root, true, true},
		{"vipd's own user may all", users(7), users(8), own, true, true},
		{"a certificate by any of its names", Roles{Names: []string{"spiffe://x/ctl"}}, users(8), cert, true, true},
		{"a certificate that is not listed", Roles{Names: []string{"other"}}, Roles{}, cert, true, false},
		{"a certificate has no uid", Roles{UIDs: []uint32{0}, GIDs: []uint32{0}}, users(0), cert, false, false},
		{"a user has no name of a certificate", Roles{Names: []string{"uid 1000 (alice)"}}, Roles{Names: []string{"alice"}}, alice(), false, false},
		{"loopback only reads once there is a list", users(0), users(0), tcp, true, false},
		{"loopback only reads once there are readers", Roles{}, users(0), tcp, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &grants{tt.write, tt.read, 99}
			if read, write := g.may(tt.who, reading), g.may(tt.who, writing); read != tt.wantRead || write != tt.wantWrite {
				t.Errorf("reads %v, writes %v; want %v, %v", read, write, tt.wantRead, tt.wantWrite)
			}
		})
	}
}

func TestDenialsSayWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		kind   kind
		method string
		want   string
	}{
		{user, "GetStatus", "x may not call GetStatus, which needs the read-only role: list the user or a group of it in api.read_only (or api.read_write)"},
		{user, "Drain", "x may not call Drain, which needs the read-write role: list the user or a group of it in api.read_write"},
		{certificate, "Drain", "x may not call Drain, which needs the read-write role: list a name of it under names in api.read_write"},
		{loopback, "Drain", "x may not call Drain, which needs the read-write role: without TLS nobody has it once api.read_write or api.read_only is set: use the unix socket, or api.tls"},
	} {
		if got := denial(&caller{kind: tt.kind, actor: "x"}, tt.method); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

// "The methods up to Watch need the read-only role, the others read-write."
func TestMethodsUpToWatchRead(t *testing.T) {
	methods := vipdv1.File_vipd_v1_vipd_proto.Services().Get(0).Methods()
	role := reading
	for i := range methods.Len() {
		name := string(methods.Get(i).Name())
		if needs(name) != role {
			t.Errorf("%s: the role is wrong", name)
		}
		if name == "Watch" {
			role = writing
		}
	}
	if needs("Unheard") != writing {
		t.Error("a method that is new here must write")
	}
}
