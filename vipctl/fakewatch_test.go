package vipctl

import (
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// tell adds a change that Watch passes on; an event is kept too.
func (f *fake) tell(c *vipdv1.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tellLocked(c)
}

func (f *fake) tellLocked(c *vipdv1.Change) {
	f.sequence++
	if e := c.GetEvent(); e != nil {
		e.Sequence = f.sequence
		f.events = append(f.events, e)
	}
	f.changes = append(f.changes, &vipdv1.WatchResponse{Instance: f.instance, Sequence: f.sequence, Body: &vipdv1.WatchResponse_Change{Change: c}})
	close(f.changed)
	f.changed = make(chan struct{})
}

// put changes a VIP and tells it.
func (f *fake) put(v *vipdv1.Vip) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.putLocked(v)
}

func (f *fake) putLocked(v *vipdv1.Vip) {
	f.vips = slices.DeleteFunc(f.vips, func(x *vipdv1.Vip) bool { return x.GetName() == v.GetName() })
	f.vips = append(f.vips, v)
	slices.SortFunc(f.vips, func(a, b *vipdv1.Vip) int { return strings.Compare(a.GetName(), b.GetName()) })
	f.tellLocked(&vipdv1.Change{At: ago(0), Object: &vipdv1.Change_Vip{Vip: v}})
}

func (f *fake) Watch(r *vipdv1.WatchRequest, s grpc.ServerStreamingServer[vipdv1.WatchResponse]) error {
	f.mu.Lock()
	f.asked = append(f.asked, proto.Clone(r))
	after, known := r.GetAfterSequence(), r.GetInstance() == f.instance && r.GetAfterSequence() >= f.forget
	if r.GetInstance() == "" && r.GetAfterSequence() == 0 {
		after, known = f.sequence, r.GetEventsOnly()
	}
	var first []*vipdv1.WatchResponse
	if !known || f.astray {
		after, first = f.sequence, f.snapshot(r)
		if r.GetEventsOnly() {
			after = f.forget // what is kept follows
		}
	}
	f.mu.Unlock()
	if err := s.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	for _, m := range first {
		if err := s.Send(m); err != nil {
			return err
		}
	}
	for {
		f.mu.Lock()
		next, changed := slices.Clone(f.changes), f.changed
		f.mu.Unlock()
		for _, m := range next {
			if m.GetSequence() <= after || r.GetEventsOnly() && m.GetChange().GetEvent() == nil {
				continue
			}
			after = m.GetSequence()
			if err := s.Send(m); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-s.Context().Done():
			return s.Context().Err()
		}
	}
}

// snapshot is in two parts, as a large one is.
func (f *fake) snapshot(r *vipdv1.WatchRequest) []*vipdv1.WatchResponse {
	missed := r.GetInstance() != "" || f.astray
	wrap := func(sequence uint64, s *vipdv1.Snapshot) *vipdv1.WatchResponse {
		return &vipdv1.WatchResponse{Instance: f.instance, Sequence: sequence, Body: &vipdv1.WatchResponse_Snapshot{Snapshot: s}}
	}
	if r.GetEventsOnly() {
		return []*vipdv1.WatchResponse{wrap(f.forget, &vipdv1.Snapshot{First: true, Last: true, Missed: missed})}
	}
	var vips []*vipdv1.Vip
	for _, v := range f.vips {
		vips = append(vips, stale(v))
	}
	half := len(vips) / 2
	return []*vipdv1.WatchResponse{
		wrap(0, &vipdv1.Snapshot{First: true, Missed: missed, Node: f.node, Vips: vips[:half]}),
		wrap(f.sequence, &vipdv1.Snapshot{Last: true, Vips: vips[half:], Neighbors: f.neighbors, BfdSessions: f.sessions}),
	}
}
