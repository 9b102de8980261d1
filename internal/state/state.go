// Package state keeps in one small file what must survive a restart of vipd. It
// does not know what to do about it.
package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	fileName = "state.json"
	// tempName is written first. It is always the same, so that crashes leave
	// one behind at most; the next Save writes over it.
	tempName = fileName + ".new"
	// badName is where a file goes that nobody can read.
	badName = fileName + ".bad"
	// version goes up with every field that State gets: an older vipd that
	// rewrote the file would lose it.
	version = 2
	maxSize = 16 << 20
)

// State is what is remembered. Its slices are shared: nobody changes them in
// place.
type State struct {
	// Disabled are the neighbors that vipd disabled at the speaker, and so are
	// vipd's to enable.
	Disabled []netip.Addr `json:"disabled_neighbors"`
	// Waiting are those of Disabled of which no failure is known: they wait for
	// their session to be up for the first time.
	Waiting []netip.Addr `json:"waiting_neighbors,omitempty"`

	Overrides []Override `json:"overrides,omitempty"`
	Drain     *Drain     `json:"drain,omitempty"` // nil: none
	// Owners are those who made VIPs, with how often each replaced all of its.
	Owners   []Owner   `json:"owners,omitempty"`
	VIPs     []VIP     `json:"vips,omitempty"`
	Sessions []Session `json:"bfd_sessions,omitempty"`
}

// An Override is the operator's word on a VIP.
type Override struct {
	VIP    string    `json:"vip"`
	Word   string    `json:"word"` // advertise, withdraw
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
	End    *End      `json:"end,omitempty"` // nil: none
}

// A Drain is the operator's word on the node.
type Drain struct {
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
	End    *End      `json:"end,omitempty"` // nil: none
}

// An Owner is a client of the API who makes VIPs.
type Owner struct {
	Name       string `json:"name"`
	Generation uint64 `json:"generation"`
}

// A VIP is one that Owner made.
type VIP struct {
	Owner   string          `json:"owner"`
	Version uint64          `json:"version"`
	Spec    json.RawMessage `json:"spec"` // JSON without white space
}

// A Session is a BFD session that Owner made.
type Session struct {
	Owner     string `json:"owner"`
	Peer      string `json:"peer"`
	Local     string `json:"local,omitempty"`
	Interface string `json:"interface,omitempty"`
	Profile   string `json:"profile,omitempty"`
	Multihop  bool   `json:"multihop,omitempty"`
}

// Failed are those of Disabled that are so for a failure.
func (s State) Failed() []netip.Addr {
	return slices.DeleteFunc(slices.Clone(s.Disabled), func(a netip.Addr) bool { return slices.Contains(s.Waiting, a) })
}

// file is how a State lies on the disk. Sum is the SHA-256 of State without
// white space.
type file struct {
	Version int             `json:"version"`
	Sum     string          `json:"sha256"`
	State   json.RawMessage `json:"state"`
}

// Load reads the state that is kept in dir. Where there is none, nothing was to
// be remembered.
func Load(dir string) (State, error) {
	path := filepath.Join(dir, fileName)
	data, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("state: %w", err)
	}
	s, err := decode(data)
	if err != nil {
		return State{}, fmt.Errorf("state: %s: %w", path, err)
	}
	return s, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSize))
}

// decode believes a file all or nothing: half a memory would enable neighbors
// that are to stay disabled, or leave some disabled for ever.
func decode(data []byte) (State, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return State{}, damaged(err)
	}
	if f.Version > version {
		return State{}, fmt.Errorf("is of version %d, and this vipd reads up to %d (run the newer vipd that wrote it, or move the file away and see `gobgp neighbor` for what is left disabled)", f.Version, version)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, f.State); err != nil {
		return State{}, damaged(err)
	}
	if f.Version < 1 || f.Sum != sum(compact.Bytes()) {
		return State{}, damaged(errors.New("its checksum does not fit"))
	}
	var s State
	d := json.NewDecoder(&compact)
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return State{}, damaged(err)
	}
	return s, nil
}

func damaged(cause error) error {
	return fmt.Errorf("is damaged or was edited: %w (move it away to begin with an empty one, and see `gobgp neighbor` for what is left disabled)", cause)
}

func sum(state []byte) string {
	s := sha256.Sum256(state)
	return hex.EncodeToString(s[:])
}

func encode(s State) ([]byte, error) {
	state, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(file{version, sum(state), state}, "", "  ")
	return append(data, '\n'), err
}

// Save puts s in the place of what is kept in dir: all of it or, after an
// error, nothing.
func Save(dir string, s State) error {
	data, err := encode(s)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := replace(dir, data); err != nil {
		return fmt.Errorf("state: not saved: %w", err)
	}
	return nil
}

// SetAside keeps a file that can't be read from being written over, and tells
// what it is called then. Of several, the last is kept.
func SetAside(dir string) (string, error) {
	bad := filepath.Join(dir, badName)
	if err := os.Rename(filepath.Join(dir, fileName), bad); err != nil {
		return "", fmt.Errorf("state: %w", err)
	}
	return bad, nil
}

// replace writes beside the file and renames, so that at any instant there is
// the old file or the new one. The directory is synced too: without it a power
// failure could bring the old one back.
func replace(dir string, data []byte) (err error) {
	temp := filepath.Join(dir, tempName)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(temp, filepath.Join(dir, fileName))
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
