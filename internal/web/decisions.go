package web

import "slices"

// The states of a VIP, as the API has them.
const (
	advertised = "advertised"
	withdrawn  = "withdrawn"
	undecided  = "undecided"
)

// decisionSeries tell what was decided of a VIP. Rare states have a series only
// while they last: thousands of zeros would tell nothing.
func decisionSeries() []series {
	return []series{{
		name: "vipd_vip_wanted", kind: gauge, labels: []string{"vip"},
		help: "Whether the decision in force is to advertise the VIP; absent while it is undecided.",
		of: perVIP(func(v *VIP, emit emit) {
			if v.State == advertised || v.State == withdrawn {
				emit(truth(v.State == advertised), v.Name)
			}
		}),
	}, {
		name: "vipd_vip_override", kind: gauge, labels: []string{"vip", "word"},
		help: "1 while the operator's word is in force for the VIP: advertise, withdraw.",
		of: perVIP(func(v *VIP, emit emit) {
			if v.Override != "" {
				emit(1, v.Name, v.Override)
			}
		}),
	}, {
		name: "vipd_vip_held_down", kind: gauge, labels: []string{"vip"},
		help: "1 while hold_down keeps the VIP withdrawn.",
		of: perVIP(func(v *VIP, emit emit) {
			if v.HeldDown {
				emit(1, v.Name)
			}
		}),
	}}
}

// controlSeries tell of who controls this node, of what is kept of that, and of
// who is told.
func controlSeries() []series {
	return []series{{
		name: "vipd_state_saves_total", kind: counter, labels: []string{"result"},
		help: "Attempts to keep the operator's words in state_dir, by result: ok, failed.",
		of: func(s *Status, emit emit) {
			if s.State != nil {
				emit(float64(s.State.Saves), "ok")
				emit(float64(s.State.Failures), "failed")
			}
		},
	}, {
		name: "vipd_api_watchers", kind: gauge,
		help: "Streams of the control API that are open.",
		of:   control(func(a *API, emit emit) { emit(float64(a.Watchers)) }),
	}, {
		name: "vipd_api_refused_total", kind: counter,
		help: "Requests to the control API that were refused for the caller's role or rate.",
		of:   control(func(a *API, emit emit) { emit(float64(a.Refused)) }),
	}, {
		name: "vipd_hook_events_total", kind: counter, labels: []string{"hook", "result"},
		help: "Events by what became of them at a hook: sent, failed, or missed when it was too slow.",
		of: func(s *Status, emit emit) {
			for _, h := range byTarget(s.Hooks) {
				emit(float64(h.Sent), h.Target, "sent")
				emit(float64(h.Failed), h.Target, "failed")
				emit(float64(h.Missed), h.Target, "missed")
			}
		},
	}}
}

// byTarget adds up hooks that have one target, for events of different kinds:
// a series may be there only once.
func byTarget(hooks []Hook) []Hook {
	var out []Hook
	for _, h := range hooks {
		i := slices.IndexFunc(out, func(o Hook) bool { return o.Target == h.Target })
		if i < 0 {
			out = append(out, h)
			continue
		}
		out[i].Sent += h.Sent
		out[i].Failed += h.Failed
		out[i].Missed += h.Missed
	}
	return out
}

func control(of func(a *API, emit emit)) func(*Status, emit) {
	return func(s *Status, emit emit) {
		if s.API != nil {
			of(s.API, emit)
		}
	}
}
