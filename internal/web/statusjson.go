package web

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"time"

	"github.com/fiberlb/vipd/bfdengine"
)

// The JSON of /api/v1/status. Times of day are RFC 3339, durations are seconds.
type (
	statusJSON struct {
		Draining  bool           `json:"draining"`
		VIPs      []vipJSON      `json:"vips"`
		Neighbors []neighborJSON `json:"neighbors"`
		BFD       []sessionJSON  `json:"bfd_sessions"`
	}

	vipJSON struct {
		Name       string `json:"name"`
		Advertised bool   `json:"advertised"`
		Healthy    int    `json:"healthy"`
		Unhealthy  int    `json:"unhealthy"`
		Unknown    int    `json:"unknown"`
	}

	neighborJSON struct {
		Address netip.Addr `json:"address"`
		State   string     `json:"state"`
		Held    bool       `json:"held"`
	}

	// A sessionJSON is a BFD session with the variables of RFC 5880 §6.8.1 that an
	// operator compares with the other side's.
	sessionJSON struct {
		Peer       netip.Addr `json:"peer"`
		Local      string     `json:"local,omitempty"`
		Interface  string     `json:"interface,omitempty"`
		Multihop   bool       `json:"multihop,omitempty"`
		Echo       bool       `json:"echo,omitempty"`
		State      string     `json:"state"`
		Diag       string     `json:"diag"`
		Since      time.Time  `json:"since"`
		Problem    string     `json:"problem,omitempty"`
		Discr      uint32     `json:"discriminator"`
		Remote     remoteJSON `json:"remote"`
		TxInterval float64    `json:"tx_interval"` // in use
		RxInterval float64    `json:"rx_interval"`
		Detection  float64    `json:"detection"`
		DetectMult uint8      `json:"multiplier"`
		Polling    bool       `json:"polling,omitempty"`
		MaxGap     float64    `json:"max_gap"`
		Sent       uint64     `json:"sent"`
		Received   uint64     `json:"received"`
		Dropped    uint64     `json:"dropped"`
		// The last 32 changes, oldest first; Changes counts all.
		Changes     uint64           `json:"changes"`
		Transitions []transitionJSON `json:"transitions"`
	}

	remoteJSON struct {
		State         string  `json:"state"`
		Diag          string  `json:"diag"`
		Discr         uint32  `json:"discriminator"`
		DesiredMinTx  float64 `json:"desired_min_tx"`
		RequiredMinRx float64 `json:"required_min_rx"`
		DetectMult    uint8   `json:"multiplier"`
	}

	transitionJSON struct {
		At          time.Time `json:"at"`
		From        string    `json:"from"`
		To          string    `json:"to"`
		Diag        string    `json:"diag"`
		RemoteState string    `json:"remote_state"`
		RemoteDiag  string    `json:"remote_diag"`
	}
)

func statusHandler(s Sources) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status, err := s.Status(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		_ = out.Encode(status.json()) // who asked has gone
	}
}

func (s Status) json() statusJSON {
	out := statusJSON{Draining: s.Draining, VIPs: []vipJSON{}, Neighbors: []neighborJSON{}, BFD: []sessionJSON{}}
	for _, v := range s.VIPs {
		out.VIPs = append(out.VIPs, vipJSON{v.Name, v.Advertised, v.Healthy, v.Unhealthy, v.Unknown})
	}
	if s.Speaker != nil {
		for _, n := range s.Speaker.Neighbors {
			out.Neighbors = append(out.Neighbors, neighborJSON{n.Address, neighborState(n.State), n.Held})
		}
	}
	if s.BFD != nil {
		for _, one := range s.BFD.Snapshots {
			out.BFD = append(out.BFD, sessionStatus(one))
		}
	}
	return out
}

// neighborState is the name of a state of RFC 4271 §8.2.2.
func neighborState(n int) string {
	names := []string{"unknown", "idle", "connect", "active", "opensent", "openconfirm", "established"}
	if n < 0 || n >= len(names) {
		n = 0
	}
	return names[n]
}

func sessionStatus(s bfdengine.Snapshot) sessionJSON {
	out := sessionJSON{
		Peer: s.Peer, Interface: s.Interface, Multihop: s.Multihop, Echo: s.Echo,
		State: s.State.String(), Diag: s.Diag.String(), Since: s.Since, Problem: s.Problem, Discr: s.Discr,
		Remote: remoteJSON{s.RemoteState.String(), s.RemoteDiag.String(), s.RemoteDiscr,
			s.RemoteMinTx.Seconds(), s.RemoteMinRx.Seconds(), s.RemoteMult},
		TxInterval: s.TxInterval.Seconds(), RxInterval: s.RxInterval.Seconds(), Detection: s.Detection.Seconds(),
		DetectMult: s.DetectMult, Polling: s.Polling, MaxGap: s.MaxGap.Seconds(),
		Sent: s.Out, Received: s.Received, Dropped: s.Dropped, Changes: s.Seq, Transitions: []transitionJSON{},
	}
	if s.Source.IsValid() {
		out.Local = s.Source.String()
	}
	for _, t := range s.Transitions {
		out.Transitions = append(out.Transitions, transitionJSON{
			t.At, t.From.String(), t.To.String(), t.Diag.String(), t.RemoteState.String(), t.RemoteDiag.String()})
	}
	return out
}
