package bgpclient

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func neighbor(i int) Neighbor {
	return Neighbor{Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), ASN: 65000, IPv4: true}
}

func management(n ...Neighbor) *Management {
	return &Management{Global: Global{ASN: 65001, RouterID: netip.MustParseAddr("10.0.0.1")}, Neighbors: n}
}

func TestDiffNeighbors(t *testing.T) {
	changed := neighbor(1)
	changed.HoldTime = 9 * time.Second
	secret := neighbor(1)
	secret.Password = "s"
	explicit := neighbor(1)
	explicit.Port, explicit.HoldTime, explicit.LocalAddress = 179, 90*time.Second, netip.MustParseAddr("10.0.0.9")
	ours := map[netip.Addr]struct{}{neighbor(1).Address: {}, neighbor(2).Address: {}}
	for _, c := range []struct {
		rule string
		want []Neighbor
		have []Neighbor
		out  []NeighborChange
	}{
		{"a missing one is added", []Neighbor{neighbor(1)}, nil, []NeighborChange{{Put, neighbor(1), false}}},
		{"an equal one is left alone", []Neighbor{neighbor(1)}, []Neighbor{neighbor(1)}, nil},
		{"the speaker's defaults are no difference", []Neighbor{neighbor(1)}, []Neighbor{explicit}, nil},
		{"a password that is not shown is no difference", []Neighbor{secret}, []Neighbor{neighbor(1)}, nil},
		{"a changed one is updated", []Neighbor{changed}, []Neighbor{neighbor(1)}, []NeighborChange{{Put, changed, true}}},
		{"one of ours that is not wanted is deleted", nil, []Neighbor{neighbor(2)}, []NeighborChange{{Delete, neighbor(2), true}}},
		{"an operator's own is left alone", nil, []Neighbor{neighbor(3)}, nil},
	} {
		t.Run(c.rule, func(t *testing.T) {
			var have []NeighborState
			for _, n := range c.have {
				have = append(have, NeighborState{Neighbor: n})
			}
			if out := DiffNeighbors(c.want, have, ours); !slices.Equal(out, c.out) {
				t.Fatalf("have %v, want %v", out, c.out)
			}
		})
	}
}

func TestManagedNeighborsFollowTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.peers[neighbor(9).Address] = NeighborState{Neighbor: neighbor(9)}
		r := running(t, f, func(r *Reconciler) { r.Manage(management(neighbor(1), neighbor(2))) })
		settle(t, r, time.Second)
		synctest.Wait()
		wantPeers(t, f, 1, 2, 9)
		r.Manage(management(neighbor(2)))
		synctest.Wait()
		wantPeers(t, f, 2, 9)
		f.mu.Lock()
		delete(f.peers, neighbor(2).Address)
		f.mu.Unlock()
		time.Sleep(pollPeers)
		synctest.Wait()
		wantPeers(t, f, 2, 9)
		r.Manage(nil)
		synctest.Wait()
		wantPeers(t, f, 2, 9)
	})
}

func wantPeers(t *testing.T, f *fakeSpeaker, want ...int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	var have []int
	for a := range f.peers {
		have = append(have, int(a.As4()[3]))
	}
	slices.Sort(have)
	if !slices.Equal(have, want) {
		t.Fatalf("neighbors %v, want %v", have, want)
	}
}

func TestSpeakerOfAnotherASKeepsItsNeighbors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.global.ASN = 65099
		r := running(t, f, func(r *Reconciler) {
			r.Set(route(1, 10))
			r.Manage(management(neighbor(1)))
		})
		settle(t, r, time.Second) // decisions still reach it
		time.Sleep(2 * pollPeers)
		wantPeers(t, f)
		if l := r.Status().Link; !l.Connected || l.Problem == "" {
			t.Fatalf("link %+v, want connected with a problem", l)
		}
	})
}

// A gobgpd with a file answers before it has read that, and ends itself if BGP
// was started meanwhile.
func TestSpeakerHasTimeForItsOwnConfiguration(t *testing.T) {
	for _, own := range []time.Duration{0, ownGlobal - time.Millisecond, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakeSpeaker(testOwner)
			file := f.global
			file.ListenPort = 10179 // what tells it from ours
			f.global = Global{}
			began := time.Now()
			r := running(t, f, func(r *Reconciler) { r.Manage(management(neighbor(1))) })
			time.Sleep(own)
			f.mu.Lock()
			started := f.global.ASN != 0
			if !started {
				f.global = file
			}
			f.mu.Unlock()
			if want := own > ownGlobal; started != want {
				t.Fatalf("after %s: started %v, want %v", own, started, want)
			}
			settle(t, r, 5*time.Second)
			if since := r.Status().Link.Since.Sub(began); own > ownGlobal && since > ownGlobal+waitGlobal {
				t.Errorf("started only after %s", since)
			}
		})
	}
}

func TestExportPolicyIsReplacedNewBeforeOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.policy = []string{"operators-own", policyPrefix(testOwner) + "of-a-former-life"}
		first := management(neighbor(1))
		first.Export = []ExportRule{{Neighbor: neighbor(1).Address, Prepend: 1}}
		r := running(t, f, func(r *Reconciler) { r.Manage(first) })
		settle(t, r, time.Second)
		synctest.Wait()
		name := exportPolicy(testOwner, first.Export).Name
		wantPolicies(t, f, "operators-own", name)
		second := management(neighbor(1))
		second.Export = []ExportRule{{Neighbor: neighbor(1).Address, Prepend: 2}}
		f.mu.Lock()
		f.calls = nil
		f.mu.Unlock()
		r.Manage(second)
		synctest.Wait()
		wantPolicies(t, f, "operators-own", exportPolicy(testOwner, second.Export).Name)
		f.mu.Lock()
		add, del := slices.Index(f.calls, "AddExportPolicy"), slices.Index(f.calls, "DeleteExportPolicy")
		reset := slices.Index(f.calls, "SoftResetOut")
		f.mu.Unlock()
		if add < 0 || del < add || reset < del {
			t.Fatalf("calls %v, want add, delete, soft reset", f.calls)
		}
		r.Manage(management(neighbor(1)))
		synctest.Wait()
		wantPolicies(t, f, "operators-own")
	})
}

func wantPolicies(t *testing.T, f *fakeSpeaker, want ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.policy, want) {
		t.Fatalf("policies %v, want %v", f.policy, want)
	}
}

func TestNeighborsAreSentTheirRoutesAnewWhateverFails(t *testing.T) {
	for _, failing := range []error{errors.New("busy"), ErrLost} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakeSpeaker(testOwner)
			m := management(neighbor(1), neighbor(2), neighbor(3))
			r := running(t, f, func(r *Reconciler) { r.Manage(m) })
			settle(t, r, time.Second)
			synctest.Wait()
			f.mu.Lock()
			f.fail["SoftResetOut"] = []error{failing}
			f.calls = nil
			f.mu.Unlock()
			changed := *m
			for i := 1; i <= 3; i++ {
				changed.Export = append(changed.Export, ExportRule{Neighbor: neighbor(i).Address, Reject: true})
			}
			r.Manage(&changed)
			time.Sleep(2 * pollPeers)
			f.mu.Lock()
			defer f.mu.Unlock()
			resets := 0
			for _, call := range f.calls {
				resets += count(call == "SoftResetOut")
			}
			if resets != 4 {
				t.Errorf("%v: %d resets, want one a neighbor and the failed one again", failing, resets)
			}
		})
	}
}

func TestNeighborWithTheSameRulesHearsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		m := management(neighbor(1), neighbor(2))
		m.Export = []ExportRule{{Neighbor: neighbor(1).Address, Prepend: 1}}
		r := running(t, f, func(r *Reconciler) { r.Manage(m) })
		settle(t, r, time.Second)
		synctest.Wait()
		f.mu.Lock()
		f.calls = nil
		f.mu.Unlock()
		changed := *m
		changed.Export = append(slices.Clone(m.Export), ExportRule{Neighbor: neighbor(2).Address, Prepend: 1})
		r.Manage(&changed)
		synctest.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		resets := 0
		for _, call := range f.calls {
			resets += count(call == "SoftResetOut")
		}
		if resets != 1 {
			t.Errorf("%d resets, want one: of the neighbor whose rules changed", resets)
		}
	})
}

func TestNeighborWaitsForItsFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.fail["AddExportPolicy"] = []error{errors.New("no"), errors.New("no")}
		m := management(neighbor(1), neighbor(2))
		m.Export = []ExportRule{{Neighbor: neighbor(1).Address, Reject: true}}
		r := running(t, f, func(r *Reconciler) { r.Manage(m) })
		settle(t, r, time.Second)
		synctest.Wait()
		wantPeers(t, f, 2)
		time.Sleep(pollPeers)
		synctest.Wait()
		wantPeers(t, f, 1, 2)
	})
}
