package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fiberlb/vipd/internal/config"
)

// options makes those of a daemon without BGP, and what it logs.
func options(t *testing.T, text string) (Options, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	return Options{
		Config: parse(t, text), Log: zap.New(core), Level: zap.NewAtomicLevelAt(zap.DebugLevel), Version: "test",
	}, logs
}

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, problems := config.Parse("test.yaml", []byte(text), config.Options{Hostname: "n"})
	if cfg == nil {
		t.Fatal(problems)
	}
	return cfg
}

const noBGP = `
bgp: {enabled: false}
http: {listen: ""}
api: {listen: []}
drain: {grace_period: 0s}
checks: {web: {kind: http, interval: 10ms, timeout: 1s, rise: 1, fall: 1}}
`

// awaited signals each message that is logged.
func awaited(o *Options, message string) <-chan struct{} {
	seen := make(chan struct{})
	var once sync.Once
	o.Log = o.Log.WithOptions(zap.Hooks(func(e zapcore.Entry) error {
		if strings.Contains(e.Message, message) {
			once.Do(func() { close(seen) })
		}
		return nil
	}))
	return seen
}

func wait(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("no %s", what)
	}
}

func TestDaemonLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	defer backend.Close()
	signals := make(chan os.Signal, 2)
	o, _ := options(t, noBGP+"vips: [{name: web, prefix: 192.0.2.1, check: web, backends: [{address: '"+
		backend.Listener.Addr().String()+"'}]}]")
	o.Signals = signals
	states := make(chan string, 10)
	o.Notify = func(s string) { states <- strings.SplitN(s, "\n", 2)[0] }
	up, down := awaited(&o, "vip advertised"), awaited(&o, "vip withdrawn")
	done := make(chan error, 1)
	go func() { done <- Run(t.Context(), o) }()
	wait(t, "advertisement", up)
	signals <- syscall.SIGTERM
	wait(t, "withdrawal", down)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if first, second := <-states, <-states; first != "READY=1" || second != "STOPPING=1" {
		t.Errorf("the service manager heard %s, %s", first, second)
	}
}

func TestEndOfContextIsAnOrderlyStop(t *testing.T) {
	defer goleak.VerifyNone(t)
	o, logs := options(t, noBGP)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, o); err != nil {
		t.Fatal(err)
	}
	if logs.FilterMessage("all routes withdrawn").Len() != 1 {
		t.Errorf("log: %v", logs.All())
	}
}

// A second vipd with the same configuration must end before it did anything.
func TestTakenPortEndsTheStart(t *testing.T) {
	defer goleak.VerifyNone(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	o, logs := options(t, strings.Replace(noBGP, `listen: ""`, `listen: "`+ln.Addr().String()+`"`, 1))
	if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "http.listen") {
		t.Fatalf("error %v, want one that names http.listen", err)
	}
	if logs.FilterMessage("all routes withdrawn").Len() != 0 {
		t.Error("it drained, and might have withdrawn the routes of the first one")
	}
}

func TestBadReloadChangesNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	for what, load := range map[string]func() (*config.Config, []config.Problem, error){
		"a file that is gone":  func() (*config.Config, []config.Problem, error) { return nil, nil, errors.New("gone") },
		"a file with mistakes": func() (*config.Config, []config.Problem, error) { return nil, []config.Problem{{Text: "x"}}, nil },
		"a change that needs a restart": func() (*config.Config, []config.Problem, error) {
			return parse(t, strings.Replace(noBGP, "enabled: false", "enabled: true", 1)), nil, nil
		},
	} {
		o, _ := options(t, noBGP)
		o.Load = load
		n, _, kill := lives(t, o)
		if _, err := n.Reload(t.Context(), "test"); err == nil {
			t.Errorf("%s: taken", what)
		}
		if n.config.Load() != o.Config || n.reload.Load().OK {
			t.Errorf("%s: in force %t, told as success %t", what, n.config.Load() != o.Config, n.reload.Load().OK)
		}
		kill()
	}
}
