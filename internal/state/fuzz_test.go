package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
)

func FuzzDecode(f *testing.F) {
	good, err := encode(all())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(good), versionOne, versionTwo, `{"version":3}`, `{"version":1,"sha256":"","state":{}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := decode(data); err == nil {
			wantAgain(t, s)
		}
	})
}

// FuzzState gives what is fuzzed the right checksum: there is no other way past it.
func FuzzState(f *testing.F) {
	for _, s := range []State{all(), some(), {}} {
		state, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(state)
	}
	f.Add([]byte(`{"disABled_neighbors":["0000::0%0"],"waiting_neighbors":[]}`))
	f.Fuzz(func(t *testing.T, state []byte) {
		if s, err := decode(fmt.Appendf(nil, `{"version":3,"sha256":%q,"state":%s}`, sum(state), state)); err == nil {
			wantAgain(t, s)
		}
	})
}

// wantAgain compares what is written: an empty list is as good as none.
func wantAgain(t *testing.T, s State) {
	t.Helper()
	data, err := encode(s)
	if err != nil {
		t.Fatal(err)
	}
	have, err := decode(data)
	if err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	if again, err := encode(have); err != nil || !bytes.Equal(again, data) {
		t.Errorf("have %s, %v; want %s", again, err, data)
	}
}

// FuzzDamage cuts a file off, or puts other bytes somewhere into it: that is an
// error, or it was no damage.
func FuzzDamage(f *testing.F) {
	good, err := encode(all())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(0, 1, []byte{})
	f.Add(len(good)-1, 1, []byte{}) // the last line's end
	f.Add(11, 1, []byte("2"))       // the version
	f.Add(100, 40, []byte{0, 0, 0, 0})
	f.Add(len(good)/2, len(good), []byte("}}"))
	f.Fuzz(func(t *testing.T, at, length int, with []byte) {
		if at < 0 || at > len(good) || length < 0 {
			return
		}
		end := min(at+min(length, len(good)), len(good))
		data := append(append(bytes.Clone(good[:at]), with...), good[end:]...)
		if have, err := decode(data); err == nil && !reflect.DeepEqual(have, all()) {
			t.Errorf("%q is taken for %+v", data, have)
		}
	})
}
