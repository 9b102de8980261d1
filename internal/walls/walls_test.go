// Package walls holds no code: its test keeps the arrows between vipd's
// packages, and the cores free of I/O and clocks.
package walls

import (
	"os"
	"strings"
	"testing"
)

const (
	module   = "github.com/fiberlb/vipd/"
	maxLines = 400
)

// rooms says what of this module a package, or with /... a tree of them, may
// import, and why no more. The first that matches counts, and an arrow that is
// not here does not exist.
var rooms = []struct {
	where string
	may   []string
	why   string
}{
	{"healthloop", nil, "healthloop decides without knowing BGP or BFD: the daemon joins the rooms"},
	{"healthloop/check", []string{"healthloop"}, "a check points at healthloop, which declares what it satisfies, and at nothing else"},
	{"bgpclient", nil, "bgpclient knows neither its drivers nor why a route is wanted: the daemon joins the rooms"},
	{"bgpclient/...", []string{"bgpclient/..."}, "a driver points at bgpclient, which declares what it satisfies, and at other drivers at most"},
	{"bfdengine/packet", nil, "packet is bytes only: it knows nobody"},
	{"bfdengine/session", []string{"bfdengine/packet"}, "session is a state machine over packets: it knows nothing else"},
	{"bfdengine/...", []string{"bfdengine/..."}, "anyone may lift bfdengine out and use it in another program"},
	{"api/...", []string{"api/..."}, "the API is what clients see: it drags nothing else in"},
	{"vipctl/...", []string{"vipctl/...", "api/..."}, "vipctl talks the API only, as any other client"},
	{"cmd/vipctl", []string{"vipctl"}, "main is thin: the rest is in vipctl"},
	{"cmd/vipd", []string{"internal/daemon/...", "internal/config", "internal/demo"}, "main is thin: the daemon assembles the rooms"},
	{"internal/config", nil, "config knows no room: the daemon translates it"},
	{"internal/state", nil, "state remembers without knowing what for: the daemon fills it and acts on it"},
	{"internal/uplink", []string{"bfdengine/packet"}, "uplink decides what BFD's word means, and knows neither the engine nor the speaker"},
	{"internal/board", []string{"api/..."}, "the board shows messages of the API, and does not know where they come from"},
	{"internal/view", []string{"api/...", "healthloop", "bgpclient", "bfdengine"}, "view turns snapshots of the rooms into messages of the API, and does nothing else"},
	{"internal/publish", []string{"api/...", "healthloop", "internal/board"}, "the publisher reads the rooms through funcs, and decides nothing"},
	{"internal/drain", nil, "drain orders steps and waits: what a step does is the daemon's"},
	{"internal/definitions", nil, "definitions knows whose a VIP is, and nothing of what it means"},
	{"internal/hook", []string{"api/...", "internal/board"}, "hooks tell others of events, and do not know what happened"},
	{"internal/flows", nil, "flows counts connections, without knowing what for"},
	{"internal/web", []string{"api/...", "internal/board"}, "web shows the board and what it is given: the rest is the daemon's"},
	{"internal/control", []string{"api/...", "internal/board"}, "control serves the board and a node: the rest is the daemon's"},
	{"internal/daemon/...", []string{"api/...", "internal/...", "healthloop/...", "bgpclient/...", "bfdengine/..."}, "the daemon joins the rooms and serves the API through control"},
	{"internal/demo", []string{"bgpclient", "bgpclient/gobgptest"}, "the demo runs vipd as a process, and needs a router beside it"},
	{"internal/lab/bfdpeer", []string{"bfdengine/..."}, "the far side of a measured BFD daemon is made of the engine's cores"},
	{"internal/lab/...", []string{"internal/lab/..."}, "the lab is a network in a box for the programs as they are"},
}

// testsMay says what only the tests of a package may import besides.
var testsMay = map[string][]string{
	"internal/lab/bench":       {"bfdengine", "api/vipd/v1"},                                                         // the engine alone, as a process, beside other daemons
	"internal/lab/operatorlab": {"api/vipd/v1"},                                                                      // reads what vipctl tells, and calls the API as a controller does
	"internal/view":            {"bfdengine/packet", "bfdengine/session"},                                            // likewise
	"cmd/vipd":                 {"api/vipd/v1", "bgpclient", "bgpclient/gobgptest", "bfdengine", "bfdengine/packet"}, // vipd as a process, and real speakers and BFD peers beside it
}

// cores are pure. A folder may not be there yet; a file must be.
var cores = []string{
	"healthloop/tally.go", "healthloop/health.go", "healthloop/decide.go",
	"bgpclient/diff.go", "bgpclient/route.go",
	"bfdengine/packet/*", "bfdengine/session/*",
	"internal/uplink/*",
	"internal/definitions/*", "internal/view/*",
}

const prom = "github.com/prometheus/client_golang/prometheus"

// bans says what some files must not import or use, with few exceptions, and why.
var bans = []struct {
	in            func(f file) bool
	imports, uses []string
	but           []string
	why           string
}{{
	in:      file.core,
	imports: []string{"net/...", "os/...", "sync/...", "context", "log/...", "go.uber.org/zap/..."},
	but:     []string{"net/netip"},
	why:     "a core decides and the shell does: no I/O, no locks, no log",
}, {
	in: file.core,
	uses: []string{"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc",
		"time.Tick", "time.NewTimer", "time.NewTicker"},
	why: "a core is told the time",
}, {
	in:   file.core,
	uses: []string{"math/rand.*", "math/rand/v2.*"},
	but:  []string{"math/rand/v2.New", "math/rand/v2.NewPCG", "math/rand/v2.Rand", "math/rand/v2.Source"},
	why:  "a core is given its source of chance, so that a test can repeat it",
}, {
	in:   func(f file) bool { return f.test() && !f.imports("testing/synctest") },
	uses: []string{"time.Sleep"},
	why:  "a test that sleeps is slow, or wrong on a slow machine: wait for what happens, or use testing/synctest",
}, {
	in:   func(f file) bool { return !f.test() && !f.under("cmd/...") && !f.under("tools/...") },
	uses: []string{"os.Exit", "log.Fatal", "log.Fatalf", "log.Fatalln"},
	why:  "only main ends the process: elsewhere deferred clean-ups would never run",
}, {
	in:      func(f file) bool { return !f.test() },
	imports: []string{prom + "/promauto"},
	uses: []string{"net/http.Handle", "net/http.HandleFunc", "net/http.DefaultServeMux", "net/http.DefaultClient",
		"go.uber.org/zap.L", "go.uber.org/zap.S", prom + ".MustRegister", prom + ".Register", prom + "/promhttp.Handler"},
	why: "no default mux, client, logger or registry: who needs one is given it",
}, {
	in:   func(f file) bool { return f.under("internal/view/...") },
	uses: []string{module + "healthloop.Decide", module + "bgpclient.Diff"},
	why:  "view shows decisions and takes none",
}}

func TestWallsStand(t *testing.T) {
	for _, breach := range breaches(t, os.DirFS("../..")) {
		t.Error(breach)
	}
	for _, core := range cores {
		if _, err := os.Stat("../../" + core); err != nil && !strings.HasSuffix(core, "*") {
			t.Errorf("%v: when a core moves, its wall moves along", err)
		}
	}
}
