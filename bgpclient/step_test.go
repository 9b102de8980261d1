package bgpclient

import (
	"testing"
	"time"
)

// A speaker that carries out one request at a time, drops those that come
// meanwhile, and shows old news: whatever it does, whoever else acts, nothing
// of an operator's is undone and nothing of ours is forgotten.
func FuzzStep(f *testing.F) {
	f.Add([]byte{0, 5, 5, 5, 1, 5, 5, 9, 9})
	f.Add([]byte{0, 5, 1, 4, 5, 5, 5, 0, 2, 5})
	f.Fuzz(func(t *testing.T, inputs []byte) {
		now := time.Unix(1e9, 0)
		h := &held{}
		n := NeighborState{Neighbor: neighbor(1), State: Established, Since: now}
		queued, since, byUs := nothing, now, false
		act := func() {
			switch {
			case queued == disable && !n.AdminDown:
				n.AdminDown, byUs = true, true
			case queued == enable && n.AdminDown:
				if !byUs {
					t.Fatalf("an operator's disabling was undone: %+v", h)
				}
				n.AdminDown, byUs = false, false
			}
			queued = nothing
		}
		look := func() {
			ask, again := h.step(n, true, now)
			if !again.IsZero() && !again.After(now) {
				t.Fatalf("look again at %v, now is %v", again, now)
			}
			if ask != nothing && queued == nothing {
				queued, since = ask, now
			}
		}
		for _, in := range inputs {
			now = now.Add(time.Duration(in>>3) * 100 * time.Millisecond)
			if now.After(since.Add(lingering / 2)) {
				act() // no speaker takes longer
			}
			switch in & 7 {
			case 0:
				h.want = down
			case 1:
				h.want = Hold{}
			case 2:
				// Only after ours are carried out can we tell his from ours.
				if queued == nothing && !n.AdminDown && !h.ours {
					n.AdminDown, byUs = true, false
				}
			case 3:
				n.AdminDown, byUs = false, false
			case 4:
				act()
			default:
				look()
			}
		}
		for range 100 {
			now = now.Add(time.Second)
			look()
			act()
		}
		if h.want.Disable != n.AdminDown && (byUs || !n.AdminDown) {
			t.Errorf("wanted %t, disabled %t (by us: %t): %+v", h.want.Disable, n.AdminDown, byUs, h)
		}
		if h.ours != byUs {
			t.Errorf("by us: %t; %+v", byUs, h)
		}
	})
}
