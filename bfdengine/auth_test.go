package bfdengine

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fiberlb/vipd/bfdengine/internal/sock"
	"github.com/fiberlb/vipd/bfdengine/packet"
)

// A wiretap keeps what is sent, as it is sent.
type wiretap struct {
	*fakeLink
	payloads [][]byte
}

func (w *wiretap) Send(b []byte) unix.Errno {
	w.payloads = append(w.payloads, slices.Clone(b))
	return w.fakeLink.Send(b)
}

// take gives what was sent since it was last called.
func (w *wiretap) take() [][]byte {
	all := w.payloads
	w.payloads = nil
	return all
}

func (r *rig) tapped(e *entry) *wiretap {
	w := &wiretap{fakeLink: e.link.(*fakeLink)}
	e.link = w
	return w
}

// live lets d pass while the peer says state every 80 ms, signed.
func (r *rig) live(e *entry, d time.Duration, state packet.State, by *packet.Auth) {
	r.t.Helper()
	for end := r.clock.Add(d); r.clock.Before(end); {
		r.pass(min(80*time.Millisecond, end.Sub(r.clock)))
		r.step(r.clock, []sock.Datagram{r.signed(r.from(e, state), by)})
	}
}

func key(id uint8, secret string) packet.Key { return packet.Key{ID: id, Secret: []byte(secret)} }

// authType is the Auth Type of a packet, 0 if there is none.
func authType(b []byte) packet.AuthType {
	if len(b) <= packet.Len {
		return 0
	}
	return packet.AuthType(b[packet.Len])
}

// T51 A rollover is seen by nobody: each end accepts both keys for a while, and
// sends the one whose time has come by its own clock.
func TestKeysChangeWhileASessionIsUp(t *testing.T) {
	r := newRig(t, Options{})
	change := r.clock.Add(10 * time.Second)
	keys := []packet.Key{key(1, "old"), key(2, "new")}
	keys[0].SendUntil, keys[0].AcceptUntil = change, change.Add(5*time.Second)
	keys[1].SendFrom, keys[1].AcceptFrom = change, change.Add(-5*time.Second)
	s := hundred("192.0.2.2")
	s.Auth = Auth{packet.MeticulousSHA1, keys}
	e := r.want(s)
	link := r.tapped(e)
	peer := signer(t, s.Auth, 100)
	r.step(r.clock, []sock.Datagram{r.signed(r.from(e, packet.Init), peer)})
	r.live(e, 20*time.Second, packet.Up, peer)
	c := r.changes()
	if len(c) != 1 || c[0].To != packet.Up {
		t.Errorf("%+v", c)
	}
	r.wantDrops(nil)
	sent := link.take()
	ids := slices.Compact(slices.Collect(func(yield func(byte) bool) {
		for _, b := range sent {
			if !yield(b[packet.Len+2]) {
				return
			}
		}
	}))
	if !slices.Equal(ids, []byte{1, 2}) {
		t.Errorf("sent with keys %v, want 1 and then 2", ids)
	}
}

// T51 Fail closed: without a key nothing is sent, least of all without
// authentication, and nothing is believed; and it is told.
func TestASessionWithoutAValidKeyFailsClosed(t *testing.T) {
	r := newRig(t, Options{})
	const end = 10 * time.Second
	short := key(1, "secret")
	short.SendUntil, short.AcceptUntil = r.clock.Add(end), r.clock.Add(end)
	s := hundred("192.0.2.2")
	s.Auth = Auth{packet.MeticulousSHA1, []packet.Key{short}}
	e := r.want(s)
	link := r.tapped(e)
	peer := signer(t, Auth{s.Auth.Type, []packet.Key{key(1, "secret")}}, 100) // forgot to let it expire
	r.step(r.clock, []sock.Datagram{r.signed(r.from(e, packet.Init), peer)})
	r.live(e, end-time.Nanosecond, packet.Up, peer)
	r.wantState(e, packet.Up)
	for _, b := range link.take() {
		if authType(b) != packet.MeticulousSHA1 {
			t.Fatalf("sent % x", b)
		}
	}
	heard := e.session.View().Heard
	r.changes()

	r.live(e, end, packet.Up, peer)
	if sent := link.take(); len(sent) > 0 {
		t.Errorf("%d packets sent, the first % x", len(sent), sent[0])
	}
	c := r.changes()
	if len(c) != 1 || c[0].From != packet.Up || c[0].Diag != packet.ControlDetectionTimeExpired ||
		!c[0].At.Equal(heard.Add(300*time.Millisecond)) {
		t.Errorf("%+v, want one Down, 300 ms after %v", c, heard)
	}
	got := e.snapshot()
	if got.Problem != errUnsigned.Error() || got.Unsent == 0 || got.Unsent != r.stats.stats().Unsigned {
		t.Errorf("problem %q, %d unsent, %d unsigned", got.Problem, got.Unsent, r.stats.Unsigned)
	}
	if n := r.stats.Dropped[packet.AuthKeyExpired]; n != uint64(end/(80*time.Millisecond)) || got.AuthFailures != n {
		t.Errorf("%d packets dropped, %d of this session", n, got.AuthFailures)
	}

	next := e.spec
	next.Auth.Keys = []packet.Key{key(1, "secret")}
	if err := r.update(next); err != nil {
		t.Fatal(err)
	}
	r.live(e, 2*time.Second, packet.Init, peer)
	r.wantState(e, packet.Up)
	if got := e.snapshot().Problem; got != "" {
		t.Errorf("with a key again: %s", got)
	}
}

// Both ends must change "in a more or less synchronized fashion (within the Detection
// Time)" (RFC 5880 §6.7.1): each begins with the new type at once and believes
// nothing else, so who is quick keeps the session.
func TestAnotherTypeOfAuthenticationTakesBothEnds(t *testing.T) {
	simple := Auth{packet.SimplePassword, []packet.Key{key(1, "secret")}}
	sha1 := Auth{packet.MeticulousSHA1, []packet.Key{key(1, "secret")}}
	for _, tt := range []struct {
		name     string
		from, to Auth
		refused  packet.Reason
	}{
		{"another type", simple, sha1, packet.AuthBadType},
		{"authentication at last", Auth{}, sha1, packet.AuthMissing},
		{"none any more", sha1, Auth{}, packet.AuthUnexpected},
	} {
		for _, both := range []bool{true, false} {
			t.Run(tt.name+map[bool]string{true: ", both ends", false: ", this end only"}[both], func(t *testing.T) {
				r := newRig(t, Options{})
				s := hundred("192.0.2.2")
				s.Auth = tt.from
				e := r.want(s)
				link := r.tapped(e)
				peer := signer(t, tt.from, 100)
				r.step(r.clock, []sock.Datagram{r.signed(r.from(e, packet.Init), peer)})
				r.live(e, time.Second, packet.Up, peer)
				for _, b := range link.take() {
					if authType(b) != tt.from.Type {
						t.Fatalf("sent % x", b)
					}
				}
				r.changes()
				next := e.spec
				next.Auth = tt.to
				if err := r.update(next); err != nil {
					t.Fatal(err)
				}
				r.flush()
				r.live(e, 240*time.Millisecond, packet.Up, peer)
				r.wantState(e, packet.Up)
				r.wantDrops(map[packet.Reason]uint64{tt.refused: 3})
				if both {
					peer = signer(t, tt.to, 7) // also of a sequence of its own
				}
				r.pass(59 * time.Millisecond)
				r.step(r.clock, []sock.Datagram{r.signed(r.from(e, packet.Up), peer)})
				r.live(e, time.Second, packet.Up, peer)
				if c := r.changes(); len(c) > 0 == both || !both && c[0].Diag != packet.ControlDetectionTimeExpired {
					t.Errorf("%+v", c)
				}
				for _, b := range link.take() {
					if authType(b) != tt.to.Type {
						t.Fatalf("sent % x after the change", b)
					}
				}
				if got := e.snapshot().Spec.Auth.Type; got != tt.to.Type {
					t.Errorf("shown as %s", got)
				}
			})
		}
	}
}

// Keys that can't be used leave a session as it was.
func TestAnUpdateWithBadKeysChangesNothing(t *testing.T) {
	for _, bad := range []Auth{
		{packet.MeticulousSHA1, []packet.Key{key(1, "")}},
		{packet.KeyedMD5, []packet.Key{key(1, "longer than an MD5 digest")}},
	} {
		r := newRig(t, Options{})
		s := hundred("192.0.2.2")
		s.Auth = Auth{packet.MeticulousSHA1, []packet.Key{key(1, "secret")}}
		e := r.want(s)
		peer := signer(t, s.Auth, 100)
		r.step(r.clock, []sock.Datagram{r.signed(r.from(e, packet.Init), peer)})
		next := e.spec
		next.Auth, next.DetectMult = bad, 9
		if err := r.update(next); err == nil {
			t.Errorf("%s: no error", bad.Type)
		}
		r.live(e, time.Second, packet.Up, peer)
		r.wantState(e, packet.Up)
		r.wantDrops(nil)
		if got := e.snapshot(); got.DetectMult != 3 || got.Auth.Type != packet.MeticulousSHA1 {
			t.Errorf("%+v", got.Spec)
		}
	}
}
