package vipctl

import (
	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// A kind is what a mirror needs to know of a kind of object.
type kind[T proto.Message] struct {
	key     func(T) string
	part    func(*vipdv1.Snapshot) []T
	one     func(*vipdv1.Change) T          // nil: the change is about something else
	removed func(*vipdv1.Change) string     // a key; empty: the change removes none
	change  func(x T) *vipdv1.Change        // that x is as it is
	removal func(key string) *vipdv1.Change // that it is gone
}

// A mirror holds the objects of one kind as the Watch stream tells of them.
type mirror[T proto.Message] struct {
	kind   kind[T]
	shown  map[string]T
	coming map[string]T // what a snapshot has that is not whole yet; nil: none is on its way
}

// A difference is an object that is new, other than before, or gone.
type difference[T proto.Message] struct {
	key  string
	now  T
	gone bool
}

// take brings the mirror up to r and returns what changed. A snapshot counts
// once it is whole, and what it has as before is no change.
func (m *mirror[T]) take(r *vipdv1.WatchResponse) []difference[T] {
	if c := r.GetChange(); c != nil {
		return m.takeChange(c)
	}
	s := r.GetSnapshot()
	if s == nil {
		return nil
	}
	if s.GetFirst() || m.coming == nil {
		m.coming = map[string]T{}
	}
	for _, x := range m.kind.part(s) {
		m.coming[m.kind.key(x)] = x
	}
	if !s.GetLast() {
		return nil
	}
	var all []difference[T]
	for key, x := range m.coming {
		if old, ok := m.shown[key]; !ok || !proto.Equal(old, x) {
			all = append(all, difference[T]{key: key, now: x})
		}
	}
	for key := range m.shown {
		if _, ok := m.coming[key]; !ok {
			all = append(all, difference[T]{key: key, gone: true})
		}
	}
	m.shown, m.coming = m.coming, nil
	return all
}

func (m *mirror[T]) takeChange(c *vipdv1.Change) []difference[T] {
	if key := m.kind.removed(c); key != "" {
		delete(m.shown, key)
		return []difference[T]{{key: key, gone: true}}
	}
	x := m.kind.one(c)
	if !x.ProtoReflect().IsValid() {
		return nil
	}
	key := m.kind.key(x)
	if m.shown == nil {
		m.shown = map[string]T{}
	}
	m.shown[key] = x
	return []difference[T]{{key: key, now: x}}
}
