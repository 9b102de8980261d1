package daemon

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/durationpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/internal/board"
	"github.com/fiberlb/vipd/internal/config"
)

// A tally counts what a speaker would be told, by prefix.
type tally struct {
	mu    sync.Mutex
	calls map[netip.Prefix][]string
}

func (c *tally) add(p netip.Prefix, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[p] = append(c.calls[p], what)
}

func (c *tally) Set(r bgpclient.Route)   { c.add(r.Prefix, "set") }
func (c *tally) Keep(p netip.Prefix)     { c.add(p, "keep") }
func (c *tally) Withdraw(p netip.Prefix) { c.add(p, "withdraw") }
func (c *tally) Forget(p netip.Prefix)   { c.add(p, "forget") }

// take returns what was told since it was last called.
func (c *tally) take() map[netip.Prefix][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.calls
	c.calls = map[netip.Prefix][]string{}
	return was
}

// lives runs a daemon until the test or kill ends it. kill is as a crash: it
// withdraws nothing and keeps nothing. A signal has it leave; then kill waits for
// that.
func lives(t *testing.T, o Options) (n node, told *tally, kill func()) {
	t.Helper()
	d, err := assemble(o)
	if err != nil {
		t.Fatal(err)
	}
	told = &tally{calls: map[netip.Prefix][]string{}}
	if d.rec == nil {
		d.sink.to = told
	}
	life, stop := context.WithCancel(context.Background())
	ended, wait := d.begin(life)
	served := make(chan struct{})
	go func() {
		defer close(served)
		why := d.serve(life, ended)
		if life.Err() != nil {
			close(d.gone)
			return
		}
		if err := d.leave(why); err != nil {
			t.Error(err)
		}
	}()
	var once sync.Once
	kill = func() {
		once.Do(func() {
			select {
			case <-d.gone: // it leaves
				<-served
			default:
			}
			stop()
			<-served
			wait()
		})
	}
	t.Cleanup(kill)
	return node{d}, told, kill
}

func override(vip, word string, ttl time.Duration) *vipdv1.SetOverrideRequest {
	r := &vipdv1.SetOverrideRequest{Vip: vip, Word: word, Reason: "because"}
	if ttl > 0 {
		r.Ttl = durationpb.New(ttl)
	}
	return r
}

// wantVIP gets a VIP and compares how it is decided.
func wantVIP(t *testing.T, n node, name, state, rule string) *vipdv1.Vip {
	t.Helper()
	v, err := n.GetVip(t.Context(), name)
	if err != nil || v.GetState() != state || v.GetRule() != rule {
		t.Fatalf("vip %s is %s by %s (%s), error %v; want %s by %s", name, v.GetState(), v.GetRule(), v.GetReason(), err, state, rule)
	}
	return v
}

// eventually waits for something that another goroutine does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func stateful(t *testing.T, text string) Options {
	t.Helper()
	o, _ := options(t, text+"state_dir: "+t.TempDir()+"\n")
	return o
}

func spec(name, prefix string, more func(*vipdv1.VipSpec)) *vipdv1.VipSpec {
	v := &vipdv1.VipSpec{Name: name, Prefix: prefix, Check: "web", Backends: []*vipdv1.BackendSpec{{Address: "127.0.0.1:1"}}}
	if more != nil {
		more(v)
	}
	return v
}

// again starts a daemon with another configuration and the same memory.
func again(t *testing.T, o Options, text string) node {
	t.Helper()
	o.Config = parse(t, text+"state_dir: "+o.Config.StateDir+"\n")
	n, _, _ := lives(t, o)
	return n
}

// reloads puts another configuration in force, with the same memory.
func reloads(t *testing.T, n node, text string) error {
	t.Helper()
	cfg := parse(t, text+"state_dir: "+n.Config.StateDir+"\n")
	n.Load = func() (*config.Config, []config.Problem, error) { return cfg, nil, nil }
	_, err := n.Reload(t.Context(), "me")
	return err
}

func upsert(t *testing.T, n node, v *vipdv1.VipSpec) {
	t.Helper()
	if _, err := n.UpsertVip(t.Context(), "me", &vipdv1.UpsertVipRequest{Vip: v}); err != nil {
		t.Fatal(err)
	}
}

func makeFIFO(t *testing.T, name string) {
	t.Helper()
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeFIFO ends the wait of who reads it.
func writeFIFO(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// authority makes a certificate.
func authority(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// events are all that the board has.
func events(n node) []*vipdv1.Event {
	all, _, _ := n.board.Events(board.EventQuery{Limit: 10000})
	return all
}
