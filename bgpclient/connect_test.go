package bgpclient

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// Nobody tells what changes while the table is read or brought up to date.
func TestChangeBeforeEventsAreHeardIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.put(Path{Route: route(1, 10), ID: testOwner})
		f.listed = func() { f.remove(prefix(1), testOwner) }
		r := running(t, f, func(r *Reconciler) { r.Set(route(1, 10)) })
		time.Sleep(100 * time.Millisecond)
		settle(t, r, time.Second)
		wantTable(t, f, testOwner, map[netip.Prefix]Route{prefix(1): route(1, 10)})
	})
}

func TestSpeakerThatIsSilentWhenAskedForEventsIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.mute = true
		r := running(t, f, func(r *Reconciler) { r.Set(route(1, 10)) })
		time.Sleep(unaryTimeout - time.Millisecond)
		wantTable(t, f, testOwner, map[netip.Prefix]Route{prefix(1): route(1, 10)}) // events are for later
		time.Sleep(10 * time.Millisecond)
		if l := r.Status().Link; l.Connected || l.Problem != "watch: no answer: "+ErrLost.Error() {
			t.Errorf("%+v", l)
		}
	})
}

// Its neighbors may drop all routes a second after it came back.
func TestRestartedSpeakerIsFoundAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		r := running(t, f, func(r *Reconciler) { r.Set(route(1, 10)) })
		for down, found := range map[time.Duration]time.Duration{
			5 * time.Second: 11 * time.Millisecond, time.Minute: 51 * time.Millisecond,
		} {
			settle(t, r, time.Second)
			time.Sleep(time.Minute)
			f.stop()
			time.Sleep(down)
			f.start()
			time.Sleep(found)
			wantTable(t, f, testOwner, map[netip.Prefix]Route{prefix(1): route(1, 10)})
		}
	})
}

// vipd may be told to leave before it looked at what it sent first. That nothing
// was there before is no proof then.
func TestWithdrawalBeforeTheFirstLook(t *testing.T) {
	for name, withdraw := range map[string]func(*Reconciler, netip.Prefix){
		"withdraw": (*Reconciler).Withdraw, "forget": (*Reconciler).Forget,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeSpeaker(testOwner)
				r := running(t, f, func(r *Reconciler) { r.Set(route(1, 10)) })
				time.Sleep(settleEvents / 2)
				wantTable(t, f, testOwner, map[netip.Prefix]Route{prefix(1): route(1, 10)})
				withdraw(r, prefix(1))
				settle(t, r, time.Second)
				wantTable(t, f, testOwner, nil)
			})
		})
	}
}

// The same the other way round: what was there before may be gone.
func TestReturnBeforeTheFirstLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSpeaker(testOwner)
		f.put(Path{Route: route(1, 10), ID: testOwner})
		r := running(t, f, func(r *Reconciler) { r.Withdraw(prefix(1)) })
		time.Sleep(settleEvents / 2)
		wantTable(t, f, testOwner, nil)
		r.Set(route(1, 10))
		settle(t, r, time.Second)
		wantTable(t, f, testOwner, map[netip.Prefix]Route{prefix(1): route(1, 10)})
	})
}
