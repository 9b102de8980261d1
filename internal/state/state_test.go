package state

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func some() State {
	two := []netip.Addr{netip.MustParseAddr("10.0.0.254"), netip.MustParseAddr("fe80::1%eth0")}
	return State{Disabled: two, Waiting: two[1:]}
}

// all has every field set.
func all() State {
	s, since := some(), time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	clock := Clock{since, "0f6a0a4e-3a43-4e5e-8d8e-2f6f0d0c9a11", time.Hour}
	s.Overrides = []Override{
		{"web", "withdraw", "uid 0 (root)", "a <b> & c\u2028", since, clock.In(time.Minute)},
		{"dns", "advertise", "cn=ops", "", since, nil},
	}
	s.Drain = &Drain{"uid 0 (root)", "new kernel", since, clock.In(time.Hour)}
	s.Owners = []Owner{{"lbc", 7}, {"api", 1}}
	s.VIPs = []VIP{{"lbc", 3, json.RawMessage(`{"name":"a<b>","prefix":"192.0.2.1/32"}`)}, {"api", 1, json.RawMessage(`{}`)}}
	s.Sessions = []Session{{"api", "10.0.0.253", "10.0.0.1", "eth0", "fast", true}, {Owner: "api", Peer: "10.0.0.252"}}
	return s
}

func TestWhoWaitsHasNotFailed(t *testing.T) {
	s := some()
	if have := s.Failed(); !reflect.DeepEqual(have, s.Disabled[:1]) {
		t.Errorf("failed: %v", have)
	}
	s.Waiting = nil
	if have := s.Failed(); !reflect.DeepEqual(have, s.Disabled) {
		t.Errorf("failed: %v", have)
	}
}

// What is forgotten by this test would be forgotten by the others.
func TestNoFieldIsLeftOut(t *testing.T) {
	var empty func(path string, v reflect.Value)
	empty = func(path string, v reflect.Value) {
		switch {
		case v.IsZero():
			t.Errorf("%s is not set", path)
		case v.Type() == reflect.TypeFor[time.Time](), v.Type() == reflect.TypeFor[netip.Addr]():
		case v.Kind() == reflect.Pointer:
			empty(path, v.Elem())
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
			empty(path+"[0]", v.Index(0))
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				empty(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		}
	}
	empty("state", reflect.ValueOf(all()))
}
