package packet

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"errors"
	"fmt"
	"hash"
	"slices"
	"time"
)

// A Key is a secret that both ends share, known by its ID. Its lifetimes are
// read off the wall clock, from the first instant up to but without the last;
// the zero time is no limit.
type Key struct {
	ID          uint8
	Secret      []byte
	AcceptFrom  time.Time
	AcceptUntil time.Time
	SendFrom    time.Time
	SendUntil   time.Time
}

// Format keeps the secret out of whatever a key is printed into.
func (k Key) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "key %d", k.ID) }

func (k *Key) accepted(now time.Time) bool { return within(now, k.AcceptFrom, k.AcceptUntil) }
func (k *Key) sendable(now time.Time) bool { return within(now, k.SendFrom, k.SendUntil) }

func within(now, from, until time.Time) bool {
	return !now.Before(from) && (until.IsZero() || now.Before(until))
}

// A ready key is one that was checked, with what can be computed beforehand.
type readyKey struct {
	Key
	padded [sha1.Size]byte // the secret and trailing zeros
	mac    hash.Hash       // of FRR's types only
}

// prepare checks all keys of a session.
func prepare(t AuthType, keys []Key) ([]readyKey, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s authentication: no keys", t)
	}
	ready := make([]readyKey, 0, len(keys))
	for _, k := range keys {
		if err := k.check(t); err != nil {
			return nil, fmt.Errorf("%s authentication: key %d: %w", t, k.ID, err)
		}
		if slices.ContainsFunc(ready, func(r readyKey) bool { return r.ID == k.ID }) {
			return nil, fmt.Errorf("%s authentication: key %d: there are two of this ID", t, k.ID)
		}
		k.Secret = bytes.Clone(k.Secret)
		r := readyKey{Key: k}
		copy(r.padded[:], k.Secret)
		if t.hmac() {
			r.mac = hmac.New(sha1.New, k.Secret)
		}
		ready = append(ready, r)
	}
	return ready, nil
}

func (k *Key) check(t AuthType) error {
	longest := t.longestSecret()
	switch {
	case len(k.Secret) == 0 || len(k.Secret) > longest:
		return fmt.Errorf("secret of %d bytes (must be 1 to %d)", len(k.Secret), longest)
	// FRR takes its secret as a C string.
	case t.hmac() && bytes.IndexByte(k.Secret, 0) >= 0:
		return errors.New("secret with a zero byte (FRR would stop there)")
	case !k.AcceptUntil.IsZero() && !k.AcceptFrom.Before(k.AcceptUntil):
		return errors.New("never accepted: that ends before it begins")
	case !k.SendUntil.IsZero() && !k.SendFrom.Before(k.SendUntil):
		return errors.New("never sent: that ends before it begins")
	}
	return nil
}
