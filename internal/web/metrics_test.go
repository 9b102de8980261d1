package web

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fixedStatus() Status {
	return Status{
		VIPs: []VIP{{
			Name: "web", Advertised: true, ToAdvertised: 2, ToWithdrawn: 1, State: "advertised", Override: "advertise",
			Healthy: 1, Unhealthy: 1, Unknown: 1,
			Backends: []Backend{
				{Name: "a", Up: true},
				{Name: "b", Failures: map[string]uint64{"timeout": 3, "refused": 7}},
				{Name: "c"},
			},
		}, {Name: `dns "main"`, ToWithdrawn: 1, State: "withdrawn", HeldDown: true}, {Name: "new", State: "undecided"}},
		Speaker: &Speaker{
			Up: true, Wanted: 1, Installed: 3, Foreign: 2, Drift: 4,
			Neighbors: []Neighbor{{
				Address: netip.MustParseAddr("10.0.0.254"), State: 6, Held: true,
				Sent:     Messages{Open: 1, Update: 2, Notification: 3, Keepalive: 4, Refresh: 5},
				Received: Messages{Open: 6, Update: 7, Notification: 8, Keepalive: 9, Refresh: 10},
			}},
		},
		BFD: &BFD{
			UplinksAlive: 2, UplinksLost: 1,
			Sessions: []BFDSession{{
				Peer: "10.0.0.254", State: 3, Transitions: map[Transition]uint64{{"Init", "Up"}: 2, {"Up", "Down"}: 1},
				Received: 300, Sent: 301, AuthFailures: 4, Detection: 300 * time.Millisecond,
			}, {Peer: "fe80::1%eth0", State: 1, Transitions: map[Transition]uint64{{"Up", "Down"}: 0}}},
			Dropped: map[string]uint64{"bad_ttl": 5, "auth_bad_digest": 4}, Lost: 6, SendErrors: map[string]uint64{"connection refused": 7},
			Unsigned: 8, Excused: 9,
			Stalls:     Histogram{Bounds: []float64{.001, .01}, Counts: []uint64{10, 11, 12}, Sum: .5},
			TxLateness: Histogram{Bounds: []float64{.001, .01}, Counts: []uint64{13, 14, 0}, Sum: .6},
			Gaps:       Histogram{Bounds: []float64{.5, 1}, Counts: []uint64{15, 16, 0}, Sum: 7},
		},
		ProbesSkipped: 5,
		Draining:      true,
		Reload:        Reload{OK: true, At: time.UnixMilli(1767225600500)},
		Hooks:         []Hook{{Target: "https://hooks.example/vipd", Sent: 31, Failed: 32, Missed: 33}, {Target: "/usr/local/bin/page", Sent: 1}, {Target: "/usr/local/bin/page", Sent: 2}},
		State:         &State{Saves: 34, Failures: 35},
		API:           &API{Watchers: 36, Refused: 37},
	}
}

func fixedSources() Sources {
	timings := NewTimings()
	timings.Probed("web", "http", 3*time.Millisecond)
	timings.Late(200 * time.Microsecond)
	timings.Confirmed(1200 * time.Microsecond)
	timings.Detected(310 * time.Millisecond)
	timings.RPC("AddPath", "OK", time.Millisecond)
	return Sources{
		Status:  func(context.Context) (Status, error) { return fixedStatus(), nil },
		Alive:   func() error { return nil },
		Ready:   func() error { return nil },
		Timings: timings,
	}
}

func options(s Sources) Options {
	return Options{Listen: "127.0.0.1:0", Version: "v1.2.3", Log: zap.NewNop(), Sources: s}
}

func get(t testing.TB, h http.Handler, path string) (code int, body string) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec.Code, rec.Body.String()
}

// scrape returns the lines about vipd, which are the same on every machine.
func scrape(t testing.TB, h http.Handler) string {
	t.Helper()
	code, body := get(t, h, "/metrics")
	if code != http.StatusOK {
		t.Fatalf("/metrics: %d: %s", code, body)
	}
	var b strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(body, runtime.Version(), "GOVERSION")) {
		if strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE "), "vipd_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestExpositionOfAFixedSnapshot(t *testing.T) {
	const golden = "testdata/metrics.txt"
	got := scrape(t, New(options(fixedSources())).handler)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestMetricsFollowPrometheusConventions(t *testing.T) {
	problems, err := testutil.GatherAndLint(registry("v1", fixedSources()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestNothingOfBGPIsShownWhenItIsOff(t *testing.T) {
	s := fixedSources()
	s.Status = func(context.Context) (Status, error) { return Status{}, nil }
	got := scrape(t, New(options(s)).handler)
	for _, name := range []string{"vipd_speaker_up", "vipd_routes", "vipd_neighbor_state"} {
		if strings.Contains(got, name) {
			t.Errorf("%s is shown", name)
		}
	}
}

func TestNothingOfBFDIsShownWithoutASession(t *testing.T) {
	s := fixedSources()
	s.Status = func(context.Context) (Status, error) { return Status{}, nil }
	for line := range strings.Lines(scrape(t, New(options(s)).handler)) {
		if strings.HasPrefix(line, "vipd_bfd_") && !strings.HasPrefix(line, "vipd_bfd_detection_seconds") {
			t.Errorf("shown: %s", line)
		}
	}
}

// Without state_dir, api.listen and hooks there is nothing to alert on.
func TestNothingIsShownOfWhatIsNotConfigured(t *testing.T) {
	s := fixedSources()
	s.Status = func(context.Context) (Status, error) { return Status{VIPs: []VIP{{Name: "web"}}}, nil }
	for line := range strings.Lines(scrape(t, New(options(s)).handler)) {
		for _, name := range []string{"vipd_vip_wanted", "vipd_vip_override", "vipd_vip_held_down", "vipd_state_", "vipd_api_", "vipd_hook_"} {
			if strings.HasPrefix(line, name) {
				t.Errorf("shown: %s", line)
			}
		}
	}
}

func TestSeriesOfVIPsThatAreGoneAreDropped(t *testing.T) {
	s := fixedSources()
	h := New(options(s)).handler
	s.Timings.Probed("gone", "tcp", time.Millisecond)
	if got := scrape(t, h); strings.Contains(got, `vip="gone"`) {
		t.Errorf("gone VIP is still shown:\n%s", got)
	}
	if got := scrape(t, h); !strings.Contains(got, `vipd_check_duration_seconds_count{kind="http",vip="web"} 1`) {
		t.Errorf("the other VIP's probes are lost:\n%s", got)
	}
	if n := len(s.Timings.known()); n != 1 {
		t.Errorf("%d histograms are held, want 1", n)
	}
}

// A VIP may be added, and probed, while a scrape holds an older snapshot.
func TestFirstProbeOfANewVIPIsKept(t *testing.T) {
	s := fixedSources()
	status := fixedStatus()
	s.Status = func(context.Context) (Status, error) {
		snapshot := status
		s.Timings.Probed("new", "tcp", time.Millisecond)
		status.VIPs = append(status.VIPs, VIP{Name: "new"})
		return snapshot, nil
	}
	h := New(options(s)).handler
	if got := scrape(t, h); !strings.Contains(got, `vipd_check_duration_seconds_count{kind="tcp",vip="new"} 1`) {
		t.Errorf("the first probe is lost:\n%s", got)
	}
}

func TestABadSourceDoesNotHideTheOthers(t *testing.T) {
	s := fixedSources()
	s.Status = func(context.Context) (Status, error) { return Status{}, errors.New("the loop stands still") }
	h := New(options(s)).handler
	if got := scrape(t, h); !strings.Contains(got, `vipd_check_duration_seconds_count{kind="http",vip="web"} 1`) ||
		!strings.Contains(got, "vipd_build_info") || strings.Contains(got, "vipd_draining") {
		t.Errorf("want all but the snapshot's metrics:\n%s", got)
	}
	if _, body := get(t, h, "/metrics"); !strings.Contains(body, `promhttp_metric_handler_errors_total{cause="gathering"} 1`) {
		t.Error("the failure is not counted")
	}
}

func TestANameThatIsNoUTF8HidesNoOther(t *testing.T) {
	s := fixedSources()
	status := fixedStatus()
	status.VIPs = append(status.VIPs, VIP{Name: "\xff"})
	s.Status = func(context.Context) (Status, error) { return status, nil }
	if got := scrape(t, New(options(s)).handler); !strings.Contains(got, `vipd_vip_advertised{vip="web"} 1`) {
		t.Errorf("another VIP is hidden:\n%s", got)
	}
}

// BenchmarkScrape is one scrape of 10,000 VIPs with 4 backends each.
func BenchmarkScrape(b *testing.B) {
	s := fixedSources()
	status := manyVIPs(s.Timings, 10_000, 4)
	s.Status = func(context.Context) (Status, error) { return status, nil }
	h := New(options(s)).handler
	b.ReportAllocs()
	for b.Loop() {
		if code, body := get(b, h, "/metrics"); code != http.StatusOK {
			b.Fatal(body)
		}
	}
}

// BenchmarkProbed is what a probe costs the health loop here.
func BenchmarkProbed(b *testing.B) {
	t := NewTimings()
	manyVIPs(t, 10_000, 1)
	b.ReportAllocs()
	for b.Loop() {
		t.Probed("vip-7", "http", time.Millisecond)
	}
}

func manyVIPs(t *Timings, vips, backends int) Status {
	status := fixedStatus()
	status.VIPs = nil
	for i := range vips {
		v := VIP{Name: fmt.Sprintf("vip-%d", i), Advertised: true, Healthy: backends}
		for j := range backends {
			v.Backends = append(v.Backends, Backend{Name: fmt.Sprintf("10.0.%d.%d:80", i%256, j), Up: true})
		}
		status.VIPs = append(status.VIPs, v)
		t.Probed(v.Name, "http", time.Millisecond)
	}
	return status
}
