package bfdengine

import (
	"fmt"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
	"github.com/fiberlb/vipd/bfdengine/session"
)

// add starts a session, or lets one that is leaving stay.
func (w *worker) add(s Spec) error {
	if w.stopping {
		return ErrStopped
	}
	if e := w.table.key(s.Key); e != nil {
		switch {
		case e.life == leaving:
			e.life, e.leaveBy = stays, zeroTime
			w.configured(e)
			err := w.update(s)
			w.apply(e, e.session.Enable(w.now), w.now)
			return err
		case e.life == stays && !e.unsolicited:
			return fmt.Errorf("session %s: there is one already", s.Key)
		}
	}
	w.supersede(s.Key)
	_, err := w.create(s, w.now)
	return err
}

// supersede removes a session that the peer has asked for: it would compete for
// the peer with the one that is configured now.
func (w *worker) supersede(k Key) {
	for e := w.table.peers[k.peerKey()]; e != nil; e = e.same {
		if e.unsolicited && e.life == stays && (k.Interface == "" || k.Interface == e.spec.Interface) {
			w.apply(e, e.session.Disable(w.now, packet.AdministrativelyDown), w.now)
			w.dismiss(e)
		}
	}
	w.flush() // removes it
}

func (w *worker) update(s Spec) error {
	e := w.table.key(s.Key)
	if e == nil || e.life != stays || e.unsolicited {
		return fmt.Errorf("session %s: there is none", s.Key)
	}
	if err := w.settleEcho(e, &s); err != nil {
		return err
	}
	if s.Echo {
		w.updateEcho(e, &s)
	} else if s.Auth.Type == e.spec.Auth.Type && e.auth != nil {
		if err := e.auth.SetKeys(s.Auth.Keys); err != nil {
			return fmt.Errorf("session %s: %w", s.Key, err)
		}
	} else {
		auth, err := s.Auth.open(w.now)
		if err != nil {
			return fmt.Errorf("session %s: %w", s.Key, err)
		}
		e.auth = auth
	}
	e.spec = s
	w.apply(e, e.session.Configure(w.now, s.session()), w.now)
	return nil
}

// create makes a session and starts it.
func (w *worker) create(s Spec, now time.Time) (*entry, error) {
	auth, err := s.auth(now)
	if err != nil {
		return nil, fmt.Errorf("session %s: %w", s.Key, err)
	}
	e := &entry{spec: s, auth: auth}
	if err := w.settleEcho(e, &s); err != nil {
		return nil, err
	}
	if !w.table.add(e) {
		w.releaseEcho(e)
		return nil, fmt.Errorf("session %s: there are %d already, which is the most there can be", s.Key, maxSessions)
	}
	w.open(e, now)
	e.session = session.New(e.discr, s.session(), w.table.rand, now)
	w.apply(e, e.session.Advance(now), now)
	return e, nil
}

// configured makes a session that the peer had asked for one of ours.
func (w *worker) configured(e *entry) {
	if e.unsolicited {
		e.unsolicited = false
		w.stats.Unsolicited--
	}
}

// leave lets e say AdminDown for a while, and go.
func (w *worker) leave(e *entry, now time.Time) {
	if w.options.Farewell < 0 || e.spec.Echo { // whose packets nobody but us reads
		w.dismiss(e)
		return
	}
	heard := e.session.View().RemoteDiscr != 0
	e.life, e.leaveBy = leaving, now.Add(w.options.Farewell)
	w.apply(e, e.session.Disable(now, packet.AdministrativelyDown), now)
	if !heard { // then nobody relies on it: once will do
		w.dismiss(e)
	}
}

// dismiss has e removed once what it says in this step has left.
func (w *worker) dismiss(e *entry) {
	if e.life != gone {
		e.life = gone
		w.dismissed = append(w.dismissed, e)
	}
}

func (w *worker) remove(e *entry) {
	w.wheel.Clear(e.slot)
	w.table.remove(e)
	if e.link != nil {
		e.link.Close()
	}
	w.configured(e)
	w.releaseEcho(e)
	e.link, e.closed = nil, true
}
