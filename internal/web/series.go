package web

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// A series is one metric of the snapshot: emit is called with a value and the
// values of labels for each sample.
type series struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
	of         func(s *Status, emit emit)
}

type emit func(value float64, labels ...string)

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// table lists every metric that is read from a Status.
func table() []series {
	return slices.Concat(vipSeries(), decisionSeries(), speakerSeries(), bfdSeries(), nodeSeries(), controlSeries())
}

func vipSeries() []series {
	return []series{{
		name: "vipd_vip_advertised", kind: gauge, labels: []string{"vip"},
		help: "Whether the speaker confirmed that it has a route of vipd for the VIP.",
		of: perVIP(func(v *VIP, emit emit) {
			emit(truth(v.Advertised), v.Name)
		}),
	}, {
		name: "vipd_vip_backends", kind: gauge, labels: []string{"vip", "state"},
		help: "Backends that count for the VIP, by state: healthy, unhealthy, unknown.",
		of: perVIP(func(v *VIP, emit emit) {
			emit(float64(v.Healthy), v.Name, "healthy")
			emit(float64(v.Unhealthy), v.Name, "unhealthy")
			emit(float64(v.Unknown), v.Name, "unknown")
		}),
	}, {
		name: "vipd_vip_transitions_total", kind: counter, labels: []string{"vip", "to"},
		help: "Decisions that changed what the network should see of the VIP: advertised, withdrawn.",
		of: perVIP(func(v *VIP, emit emit) {
			emit(float64(v.ToAdvertised), v.Name, "advertised")
			emit(float64(v.ToWithdrawn), v.Name, "withdrawn")
		}),
	}, {
		name: "vipd_backend_up", kind: gauge, labels: []string{"vip", "backend"},
		help: "Whether the checks found the backend up (1), or down, or do not know yet (0).",
		of: perVIP(func(v *VIP, emit emit) {
			for _, b := range v.Backends {
				emit(truth(b.Up), v.Name, b.Name)
			}
		}),
	}, {
		name: "vipd_check_failures_total", kind: counter, labels: []string{"vip", "backend", "reason"},
		help: "Bad probes by class of the reason.",
		of: perVIP(func(v *VIP, emit emit) {
			for _, b := range v.Backends {
				for _, reason := range slices.Sorted(maps.Keys(b.Failures)) {
					emit(float64(b.Failures[reason]), v.Name, b.Name, reason)
				}
			}
		}),
	}, {
		name: "vipd_probes_skipped_total", kind: counter,
		help: "Probes that were due while the last one still ran, came too late to be made, or timed out by the fault of this node.",
		of:   func(s *Status, emit emit) { emit(float64(s.ProbesSkipped)) },
	}}
}

func speakerSeries() []series {
	return []series{{
		name: "vipd_speaker_up", kind: gauge,
		help: "Whether the BGP speaker is connected.",
		of:   speaker(func(s *Speaker, emit emit) { emit(truth(s.Up)) }),
	}, {
		name: "vipd_routes", kind: gauge, labels: []string{"state"},
		help: "Prefixes of VIPs: wanted at the speaker, installed by vipd, foreign when others have a route for it too.",
		of: speaker(func(s *Speaker, emit emit) {
			emit(float64(s.Wanted), "wanted")
			emit(float64(s.Installed), "installed")
			emit(float64(s.Foreign), "foreign")
		}),
	}, {
		name: "vipd_reconcile_drift_total", kind: counter,
		help: "Routes of vipd that were found changed or deleted by others, and were put right.",
		of:   speaker(func(s *Speaker, emit emit) { emit(float64(s.Drift)) }),
	}, {
		name: "vipd_neighbor_state", kind: gauge, labels: []string{"neighbor"},
		help: "State of the BGP session, in the order of RFC 4271: " +
			"1 idle, 2 connect, 3 active, 4 opensent, 5 openconfirm, 6 established; 0 unknown.",
		of: speaker(func(s *Speaker, emit emit) {
			for _, n := range s.Neighbors {
				emit(float64(n.State), n.Address.String())
			}
		}),
	}, {
		name: "vipd_neighbor_held", kind: gauge, labels: []string{"neighbor"},
		help: "Whether vipd keeps the neighbor disabled, or routes from it, because of BFD.",
		of: speaker(func(s *Speaker, emit emit) {
			for _, n := range s.Neighbors {
				emit(truth(n.Held), n.Address.String())
			}
		}),
	}, {
		name: "vipd_neighbor_messages_total", kind: counter, labels: []string{"neighbor", "direction", "type"},
		help: "BGP messages as the speaker counts them, by direction (sent, received) and type.",
		of: speaker(func(s *Speaker, emit emit) {
			for _, n := range s.Neighbors {
				n.Sent.each(emit, n.Address.String(), "sent")
				n.Received.each(emit, n.Address.String(), "received")
			}
		}),
	}}
}

func (m Messages) each(emit emit, neighbor, direction string) {
	emit(float64(m.Open), neighbor, direction, "open")
	emit(float64(m.Update), neighbor, direction, "update")
	emit(float64(m.Notification), neighbor, direction, "notification")
	emit(float64(m.Keepalive), neighbor, direction, "keepalive")
	emit(float64(m.Refresh), neighbor, direction, "refresh")
}

func nodeSeries() []series {
	return []series{{
		name: "vipd_draining", kind: gauge,
		help: "Whether this node is leaving on purpose.",
		of:   func(s *Status, emit emit) { emit(truth(s.Draining)) },
	}, {
		name: "vipd_config_last_reload_success", kind: gauge,
		help: "Whether the last attempt to load the configuration succeeded; if not, the one before is in force.",
		of:   func(s *Status, emit emit) { emit(truth(s.Reload.OK)) },
	}, {
		name: "vipd_config_last_reload_timestamp_seconds", kind: gauge,
		help: "When the configuration was last tried to be loaded, in Unix time.",
		of: func(s *Status, emit emit) {
			if !s.Reload.At.IsZero() {
				emit(float64(s.Reload.At.UnixMilli()) / 1e3)
			}
		},
	}}
}

func perVIP(of func(v *VIP, emit emit)) func(*Status, emit) {
	return func(s *Status, emit emit) {
		for i := range s.VIPs {
			of(&s.VIPs[i], emit)
		}
	}
}

func speaker(of func(s *Speaker, emit emit)) func(*Status, emit) {
	return func(s *Status, emit emit) {
		if s.Speaker != nil {
			of(s.Speaker, emit)
		}
	}
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
