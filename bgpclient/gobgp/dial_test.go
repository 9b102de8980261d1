package gobgp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/gobgp"
	"github.com/fiberlb/vipd/bgpclient/gobgptest"

	"go.uber.org/goleak"
)

// GoBGP 4.8 leaves a goroutine with every session that was up.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/eapache/channels.(*InfiniteChannel).infiniteBuffer"))
}

func TestDialFindsTheAPI(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		want, wrong := "v4", "v3"
		if strings.HasPrefix(s.name, "3.") {
			want, wrong = wrong, want
		}
		if c := dialAs(t, s.target, owner); c.API() != want {
			t.Errorf("have %s, want %s", c.API(), want)
		}
		opts := bgpclient.DialOptions{Target: s.target, Owner: owner}
		c, err := gobgp.Dial(bounded(t), want, opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if _, err := gobgp.Dial(bounded(t), wrong, opts); !errors.Is(err, bgpclient.ErrWrongAPI) {
			t.Errorf("%s: %v, want the wrong API", wrong, err)
		}
		if _, err := gobgp.Dial(bounded(t), "v5", opts); err == nil {
			t.Error("v5: no error")
		}
	})
}

// A gobgpd without configuration has AS 0, and refuses routes in words.
func TestSpeakerThatIsNotStarted(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		c := dialAs(t, s.target, owner)
		if g, err := c.Global(bounded(t)); err != nil || g.ASN != 0 || g.RouterID.IsValid() {
			t.Errorf("global: %+v, %v", g, err)
		}
		if err := c.Apply(bounded(t), []bgpclient.Op{put(route("192.0.2.1/32", nil))}); err == nil || errors.Is(err, bgpclient.ErrLost) {
			t.Errorf("put: %v", err)
		}
		c = started(t, s)
		if g, err := c.Global(bounded(t)); err != nil || g.ASN != localAS || g.RouterID.String() != "10.0.0.1" || g.ListenPort != int(s.port) {
			t.Errorf("global: %+v, %v", g, err)
		}
	})
}

func TestObserverHearsOfEveryCall(t *testing.T) {
	each(t, func(t *testing.T, s speaker) {
		started(t, s)
		var mu sync.Mutex
		heard := map[string]int{}
		c, err := gobgp.Dial(bounded(t), "auto", bgpclient.DialOptions{
			Target: s.target, Owner: owner, Observe: func(rpc, code string, took time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				heard[rpc+" "+code]++
				if took <= 0 {
					t.Errorf("%s took %s", rpc, took)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		r := route("192.0.2.1/32", nil)
		many := make([]bgpclient.Op, 100)
		for i := range many {
			many[i] = put(r)
		}
		apply(t, c, put(r), del(r))
		apply(t, c, many...)
		paths(t, c, r.Prefix)
		_ = c.DeleteNeighbor(bounded(t), loopback)
		mu.Lock()
		defer mu.Unlock()
		for call, times := range map[string]int{
			"AddPath OK": 1, "DeletePath OK": 1, "AddPathStream OK": 1, "ListPath OK": 1, "DeletePeer Unknown": 1,
		} {
			if heard[call] != times {
				t.Errorf("%s: heard %d times in %v", call, heard[call], heard)
			}
		}
	})
}

func TestDialWhereNobodyListens(t *testing.T) {
	port, err := gobgptest.FreePort(loopback)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{
		"unix://" + filepath.Join(t.TempDir(), "none.sock"), (&net.TCPAddr{IP: loopback.AsSlice(), Port: int(port)}).String(),
	} {
		_, err := gobgp.Dial(bounded(t), "auto", bgpclient.DialOptions{Target: target, Owner: owner})
		if !errors.Is(err, bgpclient.ErrAbsent) || !strings.Contains(err.Error(), target) {
			t.Errorf("%v, want nobody listens at %s", err, target)
		}
	}
	if _, err := gobgp.Dial(bounded(t), "auto", bgpclient.DialOptions{Target: "unix:///none"}); err == nil || errors.Is(err, bgpclient.ErrAbsent) {
		t.Errorf("without an owner: %v", err)
	}
}

// A port that takes connections and says nothing costs no more than ctx.
func TestDialEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, cfg := range []*tls.Config{nil, {}} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err = gobgp.Dial(ctx, "auto", bgpclient.DialOptions{Target: l.Addr().String(), Owner: owner, TLS: cfg})
		if ctx.Err() == nil || err == nil {
			t.Errorf("%v before the context ended", err)
		}
		cancel()
	}
}

func TestTLS(t *testing.T) {
	cert, key, pool := certificate(t)
	good := &tls.Config{RootCAs: pool, ServerName: "gobgpd.test"}
	for _, version := range gobgptest.Versions() {
		t.Run("gobgpd "+version, func(t *testing.T) {
			secure := gobgptest.Start(t, version, "--tls", "--tls-cert-file", cert, "--tls-key-file", key)
			plain := gobgptest.Start(t, version)
			for _, c := range []struct {
				rule, target string
				cfg          *tls.Config
				says         string // "": it works
			}{
				{"both speak TLS", secure.Target(), good, ""},
				{"neither does", plain.Target(), nil, ""},
				{"only we do", plain.Target(), good, "does the speaker expect TLS"},
				{"only the speaker does", secure.Target(), nil, "does it expect TLS"},
				{"another name", secure.Target(), &tls.Config{RootCAs: pool, ServerName: "other.test"}, "other.test"},
				{"not our authority", secure.Target(), &tls.Config{ServerName: "gobgpd.test"}, "unknown authority"},
			} {
				conn, err := gobgp.Dial(bounded(t), "auto", bgpclient.DialOptions{Target: c.target, Owner: owner, TLS: c.cfg})
				if err == nil {
					if _, err := conn.Global(bounded(t)); err != nil {
						t.Errorf("%s: %v", c.rule, err)
					}
					_ = conn.Close()
				}
				if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v, want %q", c.rule, err, c.says)
				}
			}
		})
	}
}

func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"gobgpd.test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool = x509.NewCertPool()
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool.AppendCertsFromPEM(certPEM)
	for path, content := range map[string][]byte{cert: certPEM, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, pool
}
