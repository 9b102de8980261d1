package operatorlab

import (
	"testing"

	"github.com/fiberlb/vipd/internal/lab"
)

// lone is the configuration of a vipd that talks to no speaker, with one VIP
// whose backend is not there.
const lone = `
node: n1
bgp: {enabled: false}
state_dir: state
drain: {grace_period: 0s}
checks: {web: {kind: tcp, interval: 200ms, timeout: 200ms, rise: 1}}
vips:
  - {name: web, prefix: 192.0.2.10, check: web, backends: [{address: "127.0.0.1:8081"}]}
`

// A hermit is a host with such a vipd: for what can go wrong between vipd and
// who operates it.
type hermit struct {
	*lab.Lab
	host *lab.Host
	vipd *lab.Vipd
}

func newHermit(t *testing.T) *hermit {
	t.Helper()
	l := lab.New(t)
	return &hermit{Lab: l, host: l.Host("n1")}
}

// start starts vipd with more of a configuration, and waits until it answers.
func (h *hermit) start(more string) *lab.Vipd {
	h.Helper()
	h.vipd = h.host.Vipd(lone + more)
	h.answers()
	return h.vipd
}

// answers waits until vipctl reaches vipd.
func (h *hermit) answers() {
	h.Helper()
	h.Within(soon, "vipd answers", func() error { return lacks(h.vipd.Ctl("status"), done) })
}

// One socket is one vipd's. A socket that is left from a crash is no obstacle,
// and vipctl tells how a vipd is away: not started, dead, or hanging.
func TestSocket(t *testing.T) {
	t.Parallel()
	h := newHermit(t)
	v := h.start("")
	says(t, v.Refused("--set", "http.listen="), failed, "another vipd serves "+v.Socket)
	says(t, v.Ctl("status"), done, "web")

	v.Freeze()
	says(t, v.Ctl("--timeout", "500ms", "status"), unreachable, "did not answer within 500ms")
	v.Thaw()
	h.answers()

	v.Kill()
	says(t, v.Ctl("status"), unreachable, "vipd can't be reached: nobody listens at unix://"+v.Socket, "systemctl start vipd")
	v.Again()
	h.answers()
	if code := v.Stop(soon); code != 0 {
		t.Errorf("vipd exits with %d", code)
	}
	says(t, v.Ctl("withdraw", "web"), unreachable, "vipd can't be reached: there is no socket "+v.Socket)
}

// Who is in the group may look, who is not may not even knock, and a reload gives
// more.
func TestWhoMay(t *testing.T) {
	t.Parallel()
	stranger, guest := lab.User{UID: 65534, GID: 65534}, lab.User{UID: 65534, GID: 37} // 37 is Debian's group operator
	v := newHermit(t).start("api: {group: operator, read_write: {users: [root]}, read_only: {groups: [operator]}}\n")
	says(t, v.CtlAs(stranger, "", "status"), unreachable, "permission denied: "+v.Socket, "mode 0660", "is for group operator", "usermod -aG operator")
	says(t, v.CtlAs(guest, "", "status"), done, "web")
	says(t, v.CtlAs(guest, "", "withdraw", "web"), failed, "vipd refused permission: uid 65534 (nobody) may not call SetOverride", "read-write role", "api.read_write")
	says(t, v.CtlAs(guest, "", "drain"), failed, "may not call Drain")
	says(t, v.Ctl("withdraw", "web", "--reason", "root may"), done, "override by uid 0 (root): root may")

	v.Configure(lone + "api: {group: operator, read_write: {groups: [operator]}}\n")
	says(t, v.Ctl("reload"), done, "reloaded")
	says(t, v.CtlAs(guest, "", "auto", "web"), done)
	says(t, v.Ctl("events", "--kind", "override"), done, "by uid 65534 (nobody)")
}

// A node without BGP says so.
func TestBGPOff(t *testing.T) {
	t.Parallel()
	v := newHermit(t).start("")
	says(t, v.Ctl("advertise", "web"), done, "there is no speaker (bgp.enabled: false)")
	says(t, v.Ctl("explain", "web"), done, "web is to be announced, but BGP is off", "set bgp.enabled: true")
}
