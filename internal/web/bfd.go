package web

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

func bfdSeries() []series {
	return slices.Concat(sessionSeries(), engineSeries())
}

func sessionSeries() []series {
	return []series{{
		name: "vipd_bfd_session_state", kind: gauge, labels: []string{"peer"},
		help: "State of the BFD session, by its number in RFC 5880: 0 AdminDown, 1 Down, 2 Init, 3 Up.",
		of:   perSession(func(s *BFDSession, emit emit) { emit(float64(s.State), s.Peer) }),
	}, {
		name: "vipd_bfd_session_detection_seconds", kind: gauge, labels: []string{"peer"},
		help: "Silence after which the session fails, as negotiated; absent while the peer is not heard.",
		of: perSession(func(s *BFDSession, emit emit) {
			if s.Detection > 0 {
				emit(s.Detection.Seconds(), s.Peer)
			}
		}),
	}, {
		name: "vipd_bfd_transitions_total", kind: counter, labels: []string{"peer", "from", "to"},
		help: "Changes of a session's state.",
		of: perSession(func(s *BFDSession, emit emit) {
			for t, n := range s.Transitions {
				emit(float64(n), s.Peer, t.From, t.To)
			}
		}),
	}, {
		name: "vipd_bfd_packets_total", kind: counter, labels: []string{"peer", "direction"},
		help: "Control packets of a session, by direction: sent, and received and taken.",
		of: perSession(func(s *BFDSession, emit emit) {
			emit(float64(s.Sent), s.Peer, "sent")
			emit(float64(s.Received), s.Peer, "received")
		}),
	}, {
		name: "vipd_bfd_auth_failures_total", kind: counter, labels: []string{"peer"},
		help: "Packets of a session that were dropped for their authentication.",
		of:   perSession(func(s *BFDSession, emit emit) { emit(float64(s.AuthFailures), s.Peer) }),
	}}
}

func engineSeries() []series {
	return []series{{
		name: "vipd_uplinks", kind: gauge, labels: []string{"state"},
		help: "BGP neighbors by what BFD says of them: alive when it knows no failure, lost. None if no neighbor has BFD.",
		of: engine(func(b *BFD, emit emit) {
			emit(float64(b.UplinksAlive), "alive")
			emit(float64(b.UplinksLost), "lost")
		}),
	}, {
		name: "vipd_bfd_packets_dropped_total", kind: counter, labels: []string{"reason"},
		help: "Packets that were received and dropped, by reason.",
		of:   engine(func(b *BFD, emit emit) { each(b.Dropped, emit) }),
	}, {
		name: "vipd_bfd_packets_lost_total", kind: counter,
		help: "Packets that arrived while the kernel had no room for them: this node is too slow.",
		of:   engine(func(b *BFD, emit emit) { emit(float64(b.Lost)) }),
	}, {
		name: "vipd_bfd_packets_unsigned_total", kind: counter,
		help: "Packets that were not sent because no key may be used now.",
		of:   engine(func(b *BFD, emit emit) { emit(float64(b.Unsigned)) }),
	}, {
		name: "vipd_bfd_send_errors_total", kind: counter, labels: []string{"error"},
		help: "Packets that the kernel did not take, by its reason.",
		of:   engine(func(b *BFD, emit emit) { each(b.SendErrors, emit) }),
	}, {
		name: "vipd_bfd_detections_excused_total", kind: counter,
		help: "Failures by silence that were put off because vipd itself had been kept from running.",
		of:   engine(func(b *BFD, emit emit) { emit(float64(b.Excused)) }),
	}}
}

// each emits what was counted by a label.
func each(counts map[string]uint64, emit emit) {
	for _, label := range slices.Sorted(maps.Keys(counts)) {
		emit(float64(counts[label]), label)
	}
}

func perSession(of func(s *BFDSession, emit emit)) func(*Status, emit) {
	return engine(func(b *BFD, emit emit) {
		for i := range b.Sessions {
			of(&b.Sessions[i], emit)
		}
	})
}

func engine(of func(b *BFD, emit emit)) func(*Status, emit) {
	return func(s *Status, emit emit) {
		if s.BFD != nil {
			of(s.BFD, emit)
		}
	}
}

// histograms are those that the engine itself gathers.
var histograms = []struct {
	name, help string
	of         func(*BFD) *Histogram
}{{
	"vipd_bfd_tx_lateness_seconds", "How long after they were due packets left.",
	func(b *BFD) *Histogram { return &b.TxLateness },
}, {
	"vipd_bfd_receive_gap_ratio", "Gaps between packets of sessions that are up, as a share of the detection time: a session fails beyond 1.",
	func(b *BFD) *Histogram { return &b.Gaps },
}, {
	"vipd_bfd_stall_seconds", "For how long the engine was kept from running.",
	func(b *BFD) *Histogram { return &b.Stalls },
}}

func (h *Histogram) metric(desc *prometheus.Desc) prometheus.Metric {
	buckets, sum := make(map[float64]uint64, len(h.Bounds)), uint64(0)
	for i, n := range h.Counts {
		sum += n
		if i < len(h.Bounds) {
			buckets[h.Bounds[i]] = sum
		}
	}
	m, err := prometheus.NewConstHistogram(desc, sum, h.Sum, buckets)
	if err != nil { // labels that don't fit: there are none
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}
