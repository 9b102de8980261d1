package packet

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// "This allows multiple keys to be active simultaneously." (RFC 5880 §4.2)
func TestRolloverLosesNoPacket(t *testing.T) {
	const overlap = time.Minute // both ends accept both keys, whose clocks differ less
	keys := []Key{
		{ID: 1, Secret: []byte("old"), SendUntil: noon, AcceptUntil: noon.Add(overlap)},
		{ID: 2, Secret: []byte("new"), SendFrom: noon, AcceptFrom: noon.Add(-overlap)},
	}
	for _, kind := range kinds() {
		theirs, ours := auth(t, kind, 7, keys...), auth(t, kind, 0, keys...)
		for second := -120; second <= 120; second++ {
			now := noon.Add(time.Duration(second) * time.Second)
			b, ok := theirs.Sign(good(), now)
			if !ok {
				t.Fatalf("%s: %v: no key", kind, now)
			}
			if isNew := b[atKey] == 2; isNew != (second >= 0) {
				t.Errorf("%s: %d s: sent with key %d", kind, second, b[atKey])
			}
			for _, skew := range []time.Duration{-overlap, 0, overlap - 1} {
				c, _ := Parse(b)
				ours.Forget()
				if got := ours.Verify(b, c, now.Add(skew)); got != None {
					t.Errorf("%s: %d s, clock %v off: %v", kind, second, skew, got)
				}
			}
		}
	}
}

// Fail closed: what cannot be authenticated is neither sent nor accepted.
func TestOutsideItsLifeAKeyIsNoKey(t *testing.T) {
	live := Key{ID: 1, Secret: []byte("k"), SendFrom: noon, SendUntil: noon.Add(time.Hour), AcceptFrom: noon, AcceptUntil: noon.Add(time.Hour)}
	for _, kind := range kinds() {
		theirs := auth(t, kind, 7, Key{ID: 1, Secret: []byte("k")})
		for _, tt := range []struct {
			now  time.Time
			want Reason
		}{
			{noon.Add(-1), AuthKeyExpired},
			{noon, None},
			{noon.Add(time.Hour - 1), None},
			{noon.Add(time.Hour), AuthKeyExpired},
			{time.Time{}, AuthKeyExpired},
		} {
			ours := auth(t, kind, 0, live)
			b, ok := ours.Sign(good(), tt.now)
			if ok != (tt.want == None) || !ok && len(b) != 0 {
				t.Errorf("%s: %v: sent %t, %d bytes", kind, tt.now, ok, len(b))
			}
			b = signed(t, theirs, good())
			c, _ := Parse(b)
			if got := ours.Verify(b, c, tt.now); got != tt.want {
				t.Errorf("%s: %v: %v, want %v", kind, tt.now, got, tt.want)
			}
		}
	}
}

// The key whose time began last is sent, wherever it stands in the list; of
// equal ones the first.
func TestTheNewestKeyIsSent(t *testing.T) {
	key := func(id uint8, from time.Duration) Key {
		return Key{ID: id, Secret: []byte{'k', id}, SendFrom: noon.Add(from)}
	}
	for _, tt := range []struct {
		keys []Key
		want byte
	}{
		{[]Key{key(1, -2), key(2, -1), key(3, 1)}, 2},
		{[]Key{key(3, 1), key(2, -1), key(1, -2)}, 2},
		{[]Key{key(5, -1), key(4, -1)}, 5},
		{[]Key{{ID: 6, Secret: []byte("k")}, key(2, -1)}, 2},
		{[]Key{{ID: 6, Secret: []byte("k")}, key(3, 1)}, 6},
		{[]Key{key(0, 0)}, 0},
	} {
		if b := signed(t, auth(t, MeticulousSHA1, 7, tt.keys...), good()); b[atKey] != tt.want {
			t.Errorf("%v: sent with key %d, want %d", tt.keys, b[atKey], tt.want)
		}
	}
}

func TestNewKeysKeepTheSequences(t *testing.T) {
	first, second := Key{ID: 1, Secret: []byte("first")}, Key{ID: 2, Secret: []byte("second")}
	ours, theirs := auth(t, MeticulousSHA1, 0, first), auth(t, MeticulousSHA1, 100, first)
	old := signed(t, theirs, good())
	if got := verify(t, ours, old); got != None {
		t.Fatal(got)
	}
	for _, a := range []*Auth{ours, theirs} {
		if err := a.SetKeys([]Key{second, first}); err != nil {
			t.Fatal(err)
		}
	}
	if got := verify(t, ours, old); got != AuthBadSequence {
		t.Errorf("the old packet again: %v", got)
	}
	if got := verify(t, ours, signed(t, theirs, good())); got != None {
		t.Errorf("the next packet: %v", got)
	}
	if err := ours.SetKeys([]Key{{ID: 3}}); err == nil {
		t.Error("an empty secret was taken")
	}
	if got := verify(t, ours, signed(t, theirs, good())); got != None {
		t.Errorf("after an error the keys were not the old ones: %v", got)
	}
}

func TestNewAuthRefuses(t *testing.T) {
	secret := func(n int) []Key { return []Key{{ID: 3, Secret: bytes.Repeat([]byte("x"), n)}} }
	for _, tt := range []struct {
		kind AuthType
		keys []Key
		want string // "" for nothing
	}{
		{0, secret(1), "unknown (0) authentication: there is no such type"},
		{6, secret(1), "unknown (6) authentication: there is no such type"},
		{frr | KeyedMD5, secret(1), "unknown (258) authentication: there is no such type"},
		{KeyedSHA1, nil, "sha1 authentication: no keys"},
		{KeyedSHA1, secret(0), "sha1 authentication: key 3: secret of 0 bytes (must be 1 to 20)"},
		{KeyedSHA1, secret(20), ""},
		{MeticulousSHA1, secret(21), "meticulous-sha1 authentication: key 3: secret of 21 bytes (must be 1 to 20)"},
		{KeyedMD5, secret(16), ""},
		{MeticulousMD5, secret(17), "meticulous-md5 authentication: key 3: secret of 17 bytes (must be 1 to 16)"},
		{SimplePassword, secret(16), ""},
		{SimplePassword, secret(17), "simple authentication: key 3: secret of 17 bytes (must be 1 to 16)"},
		{FRRHMACSHA1, secret(16), ""},
		{FRRHMACMeticulousSHA1, secret(17), "frr-hmac-meticulous-sha1 authentication: key 3: secret of 17 bytes (must be 1 to 16)"},
		{FRRHMACSHA1, []Key{{Secret: []byte("a\x00b")}}, "frr-hmac-sha1 authentication: key 0: secret with a zero byte (FRR would stop there)"},
		{KeyedMD5, []Key{{Secret: []byte("a\x00b")}}, ""},
		{KeyedMD5, append(secret(1), secret(2)...), "md5 authentication: key 3: there are two of this ID"},
		{KeyedMD5, []Key{{Secret: []byte("a"), SendFrom: noon, SendUntil: noon}}, "md5 authentication: key 0: never sent: that ends before it begins"},
		{KeyedMD5, []Key{{Secret: []byte("a"), AcceptFrom: noon, AcceptUntil: noon.Add(-1)}}, "md5 authentication: key 0: never accepted: that ends before it begins"},
	} {
		a, err := NewAuth(tt.kind, tt.keys, 0)
		if got := fmt.Sprint(err); tt.want != "" && got != tt.want || tt.want == "" && err != nil {
			t.Errorf("got %q, want %q", got, tt.want)
		}
		if (a == nil) != (err != nil) {
			t.Errorf("%v beside error %v", a, err)
		}
	}
}

// Who keeps the slices may wipe them.
func TestSecretsAreCopied(t *testing.T) {
	for _, kind := range kinds() {
		keys := []Key{{ID: 7, Secret: []byte("secret")}}
		a := auth(t, kind, 7, keys...)
		clear(keys[0].Secret)
		keys[0].ID = 9
		if got := verify(t, auth(t, kind, 0), signed(t, a, good())); got != None {
			t.Errorf("%s: %v", kind, got)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	k := Key{ID: 7, Secret: []byte("secret")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		for _, v := range []any{k, &k, []Key{k}, struct{ K Key }{k}} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, "secret") || strings.Contains(got, "736563") || strings.Contains(got, "115 101") {
				t.Errorf("%s: %s", verb, got)
			}
		}
	}
}

// There crypto/md5 and crypto/sha1 panic when they are used. The mode is the
// process's, from its start: so the test runs itself again.
func TestFIPSModeIsRefusedAtTheStart(t *testing.T) {
	if os.Getenv("GODEBUG") != "fips140=only" {
		again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		again.Env = append(os.Environ(), "GODEBUG=fips140=only")
		if out, err := again.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("PASS")) {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	for _, kind := range kinds() {
		_, err := NewAuth(kind, []Key{{Secret: []byte("secret")}}, 0)
		if (err == nil) != (kind == SimplePassword) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
