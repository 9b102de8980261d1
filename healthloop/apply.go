package healthloop

import (
	"fmt"
	"slices"
	"time"
)

// check refuses what the loop can't work with: it is the caller's mistake, but
// must not take the VIPs down that are served now. It returns the VIPs' names.
func check(vips []VIP) (names map[string]bool, err error) {
	names = make(map[string]bool, len(vips))
	for _, v := range vips {
		if names[v.Name] {
			return nil, fmt.Errorf("vip %q: given twice", v.Name)
		}
		names[v.Name] = true
		backends := make(map[string]bool, len(v.Backends))
		for _, b := range v.Backends {
			if backends[b.Name] {
				return nil, fmt.Errorf("vip %q: backend %q: given twice", v.Name, b.Name)
			}
			backends[b.Name] = true
			if err := b.check(); err != nil {
				return nil, fmt.Errorf("vip %q: backend %q: %w", v.Name, b.Name, err)
			}
		}
	}
	return names, nil
}

func (b Backend) check() error {
	switch t := b.Timing; {
	case b.Prober == nil:
		return fmt.Errorf("no prober")
	case b.Weight < 0:
		return fmt.Errorf("weight %d is negative", b.Weight)
	case t.Interval <= 0 || t.Timeout <= 0:
		return fmt.Errorf("interval %s or timeout %s is not positive", t.Interval, t.Timeout)
	case t.Rise < 1 || t.Fall < 1:
		return fmt.Errorf("rise %d or fall %d is less than 1", t.Rise, t.Fall)
	}
	return nil
}

// apply makes vips, of these names, the wanted ones.
func (s *state) apply(vips []VIP, names map[string]bool, now time.Time) {
	var gone []string
	for v := range s.inOrder() {
		if !names[v.name] {
			gone = append(gone, v.name)
		}
	}
	s.put(vips, gone, now)
	for _, w := range vips {
		s.order.MoveToBack(s.vips[w.Name].place)
	}
}

// put makes vips wanted as they are given, and the gone ones not any more.
func (s *state) put(vips []VIP, gone []string, now time.Time) {
	s.spread(s.swap(vips, gone, now), now)
}

// swap is put without the first turns of those backends that it returns. VIPs
// that stay and come are decided before those that go are reported: a prefix
// that only changed its VIP's name is at no time nobody's.
func (s *state) swap(vips []VIP, gone []string, now time.Time) (fresh []*backend) {
	for _, w := range vips {
		fresh = append(fresh, s.set(w, now)...)
	}
	for _, name := range gone {
		if v := s.vips[name]; v != nil {
			s.drop(v)
		}
	}
	return fresh
}

// set makes one VIP wanted, and returns those of its backends that are to be
// probed soon.
func (s *state) set(w VIP, now time.Time) (fresh []*backend) {
	v := s.vips[w.Name]
	if v == nil {
		v = &vip{name: w.Name}
		v.again.ring = func(now time.Time) { s.decide(v, now) }
		v.place = s.order.PushBack(v)
		s.vips[v.name] = v
	}
	other := v.setPolicy(w.Policy)
	fresh, others := s.setBackends(v, w.Backends, now)
	if other || others {
		s.changed(v)
	}
	s.decide(v, now)
	return fresh
}

// drop makes v unwanted.
func (s *state) drop(v *vip) {
	delete(s.vips, v.name)
	s.order.Remove(v.place)
	s.alarms.unset(&v.again)
	for _, b := range v.backends {
		s.remove(b)
	}
	s.Sink.Removed(v.name)
	s.changed(v)
}

// setPolicy reports whether p is another policy.
func (v *vip) setPolicy(p Policy) (other bool) {
	was := v.policy
	v.policy = p
	switch {
	case p.LinkBandwidth.PerWeight == 0:
		v.capacity = nil
	case v.capacity == nil:
		v.capacity = new(capacity)
	}
	return !p.equal(was)
}

func (p Policy) equal(o Policy) bool {
	return p.MinHealthy == o.MinHealthy && p.HoldDown == o.HoldDown && slices.Equal(p.Degraded, o.Degraded) &&
		p.LinkBandwidth == o.LinkBandwidth && p.OnUplinksDown == o.OnUplinksDown
}

// setBackends makes wanted the backends of v. It returns those that are to be
// probed soon, and whether the list shows others than before, or in another way.
func (s *state) setBackends(v *vip, wanted []Backend, now time.Time) (fresh []*backend, others bool) {
	gone := make(map[string]*backend, len(v.backends))
	for _, b := range v.backends {
		gone[b.Name] = b
	}
	was := v.backends
	v.backends, v.tally = make([]*backend, 0, len(wanted)), Tally{}
	for _, w := range wanted {
		b := gone[w.Name]
		delete(gone, w.Name)
		if b == nil {
			b = s.newBackend(v, w)
			fresh = append(fresh, b)
		} else {
			others = others || w.Weight != b.Weight || w.Kind != b.Kind
			if s.update(b, w, now) {
				fresh = append(fresh, b)
			}
		}
		v.backends = append(v.backends, b)
		v.tally = v.tally.plus(b.record.health, b.Weight)
	}
	for _, b := range gone {
		s.remove(b)
	}
	return fresh, others || !slices.Equal(v.backends, was)
}

func (s *state) newBackend(v *vip, w Backend) *backend {
	s.seq++
	b := &backend{Backend: w, vip: v, seq: s.seq}
	b.turn.ring = func(now time.Time) { s.turn(b, now) }
	b.asker = s.newAsker(b, w.Prober)
	return b
}

// update makes b what w says, and reports whether it must be asked anew.
func (s *state) update(b *backend, w Backend, now time.Time) bool {
	was := b.Backend
	b.Backend = w
	if w.Key != was.Key {
		b.dismiss()
		b.asker = s.newAsker(b, w.Prober)
		s.setRecord(b, b.record.reasked())
		return true
	}
	s.setRecord(b, b.record.judged(now, w.Timing))
	if w.Timing.Interval != was.Timing.Interval && b.turn.pos != 0 {
		// Not later than the new interval allows, and not all at once.
		soon := now.Sub(s.epoch) + slot(b.seq, w.Timing.Interval)
		s.alarms.set(&b.turn, min(s.alarms.at(&b.turn), soon))
	}
	return false
}

func (s *state) remove(b *backend) {
	s.alarms.unset(&b.turn)
	b.dismiss()
}

// spread gives these backends their first turn. Before Run it does nothing: Run
// itself begins with all of them.
func (s *state) spread(bs []*backend, now time.Time) {
	if s.running == nil {
		return
	}
	for i, b := range bs {
		if b.asker == nil {
			continue // it went before its first turn
		}
		s.alarms.set(&b.turn, now.Sub(s.epoch)+firstTurn(i, len(bs), b.Timing.Interval))
	}
}

func (s *state) everyone() []*backend {
	var all []*backend
	for v := range s.inOrder() {
		all = append(all, v.backends...)
	}
	return all
}
