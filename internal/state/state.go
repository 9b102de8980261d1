// Package state keeps in one small file what must survive a restart of vipd. It
// does not know what to do about it.
package state

import (
	"encoding/json"
	"net/netip"
	"slices"
	"time"
)

// State is what is remembered. Its slices are shared: nobody changes them in
// place.
type State struct {
	// Disabled are the neighbors that vipd disabled at the speaker, and so are
	// vipd's to enable.
	Disabled []netip.Addr `json:"disabled_neighbors"`
	// Waiting are those of Disabled of which no failure is known: they wait for
	// their session to be up for the first time.
	Waiting []netip.Addr `json:"waiting_neighbors,omitempty"`

	Overrides []Override `json:"overrides,omitempty"`
	Drain     *Drain     `json:"drain,omitempty"` // nil: none
	// Owners are those who made VIPs, with how often each replaced all of its.
	Owners   []Owner   `json:"owners,omitempty"`
	VIPs     []VIP     `json:"vips,omitempty"`
	Sessions []Session `json:"bfd_sessions,omitempty"`
}

// An Override is the operator's word on a VIP.
type Override struct {
	VIP    string    `json:"vip"`
	Word   string    `json:"word"` // advertise, withdraw
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
	End    *End      `json:"end,omitempty"` // nil: none
}

// A Drain is the operator's word on the node.
type Drain struct {
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
	End    *End      `json:"end,omitempty"` // nil: none
}

// An Owner is a client of the API who makes VIPs.
type Owner struct {
	Name       string `json:"name"`
	Generation uint64 `json:"generation"`
}

// A VIP is one that Owner made.
type VIP struct {
	Owner   string          `json:"owner"`
	Version uint64          `json:"version"`
	Spec    json.RawMessage `json:"spec"` // JSON without white space
}

// A Session is a BFD session that Owner made.
type Session struct {
	Owner     string `json:"owner"`
	Peer      string `json:"peer"`
	Local     string `json:"local,omitempty"`
	Interface string `json:"interface,omitempty"`
	Profile   string `json:"profile,omitempty"`
	Multihop  bool   `json:"multihop,omitempty"`
}

// Failed are those of Disabled that are so for a failure.
func (s State) Failed() []netip.Addr {
	return slices.DeleteFunc(slices.Clone(s.Disabled), func(a netip.Addr) bool { return slices.Contains(s.Waiting, a) })
}
