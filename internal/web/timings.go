package web

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Timings are the durations that no snapshot can tell, as histograms. The rooms
// feed them through their hooks, from any goroutine.
type Timings struct {
	late      prometheus.Histogram
	confirmed prometheus.Histogram
	detected  prometheus.Histogram
	rpcs      *prometheus.HistogramVec

	// mu guards probed. The hook runs in the health loop and the reader in a
	// scrape; the loop can't own it, for a scrape must not wait for the loop.
	mu     sync.Mutex
	probes *prometheus.HistogramVec
	probed map[probeKey]prometheus.Observer // of probes, so that no probe hashes labels
}

type probeKey struct{ vip, kind string }

// NewTimings returns Timings without any.
func NewTimings() *Timings {
	return &Timings{
		late: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "vipd_probe_lateness_seconds",
			Help:    "How long after they were due probes began.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1},
		}),
		confirmed: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "vipd_decision_to_rib_seconds",
			Help:    "From a decision to its confirmation by the speaker, for decisions that changed a route.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60},
		}),
		detected: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "vipd_bfd_detection_seconds",
			Help:    "From the last packet of a BFD session that was up to its failure by silence.",
			Buckets: []float64{.03, .05, .1, .15, .2, .3, .5, .75, 1, 1.5, 3, 10, 30},
		}),
		rpcs: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "vipd_speaker_rpc_seconds",
			Help:    "Calls of the speaker's API, by method and gRPC status code.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"rpc", "code"}),
		// One for each VIP: more buckets would be most of what a scrape holds.
		probes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "vipd_check_duration_seconds",
			Help:    "How long probes took, good and bad ones, by kind of check.",
			Buckets: []float64{.001, .0025, .01, .05, .25, 1, 5},
		}, []string{"vip", "kind"}),
		probed: map[probeKey]prometheus.Observer{},
	}
}

// Probed notes a probe.
func (t *Timings) Probed(vip, kind string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := probeKey{vip, kind}
	h := t.probed[key]
	if h == nil {
		h = t.probes.WithLabelValues(vip, kind)
		t.probed[key] = h
	}
	h.Observe(took.Seconds())
}

// Late notes how long after its due time a probe began.
func (t *Timings) Late(by time.Duration) { t.late.Observe(by.Seconds()) }

// Confirmed notes how long after a decision the speaker showed it.
func (t *Timings) Confirmed(took time.Duration) { t.confirmed.Observe(took.Seconds()) }

// Detected notes how long a BFD session was silent until it failed.
func (t *Timings) Detected(after time.Duration) { t.detected.Observe(after.Seconds()) }

// RPC notes a call of the speaker's API, with its gRPC status code.
func (t *Timings) RPC(rpc, code string, took time.Duration) {
	t.rpcs.WithLabelValues(rpc, code).Observe(took.Seconds())
}

// collectors are all histograms but that of probes, which needs prune.
func (t *Timings) collectors() []prometheus.Collector {
	return []prometheus.Collector{t.late, t.confirmed, t.detected, t.rpcs}
}

// known lists what Probed was told of.
func (t *Timings) known() []probeKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := make([]probeKey, 0, len(t.probed))
	for key := range t.probed {
		keys = append(keys, key)
	}
	return keys
}

// prune drops those of keys whose VIP is not there any more. keys must be from
// before vips: else the first probe of a new VIP would look like one of a VIP
// that is gone.
func (t *Timings) prune(keys []probeKey, vips []VIP) {
	there := make(map[string]struct{}, len(vips))
	for i := range vips {
		there[vips[i].Name] = struct{}{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		if _, ok := there[key.vip]; !ok {
			delete(t.probed, key)
			t.probes.DeleteLabelValues(key.vip, key.kind)
		}
	}
}
