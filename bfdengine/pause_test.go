package bfdengine

import (
	"testing"
	"time"
)

func TestForHowLongTheWorkerRests(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name      string
		edit      func(r *rig)
		published bool
		want      time.Duration
		doze      bool
	}{
		{"nothing to do", func(*rig) {}, true, idle, false},
		{"until the next deadline", func(r *rig) { r.wheel.Set(0, r.clock.Add(7*ms)) }, true, 7 * ms, false},
		{"a deadline has passed", func(r *rig) { r.wheel.Set(0, r.clock.Add(-7*ms)) }, true, 0, false},
		{"until a socket is tried again", func(r *rig) { r.broken, r.repairAt = []*entry{{}}, r.clock.Add(30*ms) }, true, 30 * ms, false},
		{"callers wait", func(r *rig) { r.backlog = []*call{{}} }, true, 0, false},
		{"packets wait", func(r *rig) { r.more, r.moderation.on = true, true }, true, 0, false},
		{"many packets", func(r *rig) { r.moderation.on = true }, true, defaultWindow, true},
		{"a socket that can't be read", func(r *rig) { r.deaf = true }, true, defaultWindow, true},
		{"a reader was in the way", func(*rig) {}, false, defaultWindow, false},
	} {
		r := newRig(t, Options{})
		tt.edit(r)
		if d, doze := r.rest(r.clock, tt.published); d != tt.want || doze != tt.doze {
			t.Errorf("%s: %v, %t; want %v, %t", tt.name, d, doze, tt.want, tt.doze)
		}
	}
}

func TestModerationFollowsTheRate(t *testing.T) {
	m := moderation{window: defaultWindow}
	now, packets := time.Now(), uint64(0)
	for i, tt := range []struct {
		rate float64
		on   bool
	}{
		{0, false}, {busyRate * .9, false}, {busyRate * 1.1, true}, {quietRate * 1.1, true}, {quietRate * .9, false}, {busyRate * .9, false},
	} {
		now, packets = now.Add(time.Second), packets+uint64(tt.rate)
		m.update(now, packets)
		m.update(now.Add(time.Millisecond), packets+1) // too early to tell
		if m.on != tt.on {
			t.Errorf("step %d, %v a second: %t", i, tt.rate, m.on)
		}
	}
}

func TestCalmEndsWithManyPacketsOrAStall(t *testing.T) {
	var c calm
	now, packets := time.Now(), uint64(0)
	for i, tt := range []struct {
		after   time.Duration
		packets uint64
		stalled bool
		on      bool
	}{
		{after: 0, on: true}, // nothing has come yet
		{after: time.Second, packets: calmRate, on: true},
		{after: time.Second / 2, packets: calmRate, on: true},
		{after: 0, packets: 1, on: false}, // at once
		{after: time.Second - 1, packets: calmRate, on: false},
		{after: 1, on: true},
		{stalled: true, on: false},
		{after: calmAfter - 1, packets: 10 * calmRate, on: false},
		{after: calmEvery, packets: calmRate, on: false},
		{after: 1, on: true},
		{stalled: true, on: false},
		{after: calmAfter, stalled: true, on: false},
		{after: calmAfter, on: false},
		{after: calmEvery, on: true},
	} {
		now, packets = now.Add(tt.after), packets+tt.packets
		if c.update(now, packets, tt.stalled); c.on != tt.on {
			t.Errorf("step %d: %t", i, c.on)
		}
	}
}
