package daemon

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/state"
)

// A reload whose file does not answer keeps nobody: neither requests, nor a stop.
func TestReloadThatHangsKeepsNobody(t *testing.T) {
	o := stateful(t, withVIPs)
	asked, answer := make(chan struct{}), make(chan struct{})
	defer close(answer)
	o.Load = func() (*config.Config, []config.Problem, error) {
		close(asked)
		<-answer
		return nil, nil, nil
	}
	signals := make(chan os.Signal, 2)
	o.Signals = signals
	n, _, kill := lives(t, o)
	signals <- syscall.SIGHUP
	<-asked
	if _, err := n.SetOverride(t.Context(), "me", override("a", "withdraw", 0)); err != nil {
		t.Error(err)
	}
	signals <- syscall.SIGTERM
	eventually(t, "it leaves", func() bool { return n.stopping.Load() != nil })
	kill()
}

// A disk that hangs keeps no vipd from ending.
func TestDiskThatHangsKeepsNoVipdFromEnding(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	defer close(answer)
	m := newMemory(t.TempDir(), state.State{})
	tell := sync.OnceFunc(func() { close(asked) })
	m.write = func(string, state.State) error {
		tell()
		<-answer
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	waited := make(chan error, 1)
	go func() { waited <- m.keep(ctx, func(*state.State) {}) }()
	<-asked
	cancel()
	for _, end := range []chan error{done, waited} {
		select {
		case <-end:
		case <-time.After(20 * time.Second):
			t.Fatal("it waits for the disk")
		}
	}
}

// A file to be checked may name others, and one of them a FIFO.
func TestCheckOfAFileThatHangsEndsWithItsCall(t *testing.T) {
	o := stateful(t, withVIPs)
	o.Parse = func(name string, content []byte) (*config.Config, []config.Problem, error) {
		cfg, problems := config.Parse(name, content, config.Options{Hostname: "n"})
		return cfg, problems, nil
	}
	n, _, _ := lives(t, o)
	if r, err := n.CheckConfig(t.Context(), "good.yaml", []byte(withVIPs)); err != nil || !r.GetOk() || !strings.Contains(r.GetDescription(), "vip a") {
		t.Errorf("%v, %v", r, err)
	}
	fifo := filepath.Join(t.TempDir(), "ca.pem")
	makeFIFO(t, fifo)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	text := strings.Replace(withVIPs, "kind: http,", "kind: https, tls: {ca_file: "+fifo+"},", 1)
	done := make(chan *vipdv1.CheckConfigResponse, 1)
	go func() {
		r, _ := n.CheckConfig(ctx, "bad.yaml", []byte(text))
		done <- r
	}()
	select {
	case r := <-done:
		if r.GetOk() {
			t.Error("it is well")
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits for what nobody writes")
	}
	eventually(t, "the one who reads is let go", func() bool {
		writeFIFO(t, fifo)
		return len(n.fitting) == 0
	})
}
