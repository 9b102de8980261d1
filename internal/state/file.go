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
	"os"
	"path/filepath"
)

const (
	fileName = "state.json"
	// tempName is written first. It is always the same, so that crashes leave
	// one behind at most; the next Save removes it.
	tempName = fileName + ".new"
	// version goes up with every field that State gets: an older vipd that
	// rewrote the file would lose it.
	version = 3
	// maxSize is room for 10,000 VIPs of 6 kB each.
	maxSize = 64 << 20
)

// remedy is what to do about a file that can't be read.
const remedy = "start with `vipd run --ignore-state`: it keeps the file aside and begins with nothing, and `gobgp neighbor` shows what is left disabled"

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
		return State{}, fmt.Errorf("state: %w (%s)", err, remedy)
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
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSize {
		return nil, fmt.Errorf("%s has %d bytes, and no vipd writes more than %d", path, info.Size(), maxSize)
	}
	data := bytes.NewBuffer(make([]byte, 0, info.Size()+bytes.MinRead))
	_, err = data.ReadFrom(io.LimitReader(f, maxSize))
	return data.Bytes(), err
}

// decode believes a file all or nothing: half a memory would enable neighbors
// that are to stay disabled, or announce a VIP that somebody withdrew.
func decode(data []byte) (State, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return State{}, damaged(err)
	}
	if f.Version > version {
		return State{}, fmt.Errorf("is of version %d, and this vipd reads up to %d (run the newer vipd that wrote it, or %s)", f.Version, version, remedy)
	}
	if f.Version < 1 {
		return State{}, damaged(fmt.Errorf("there is no version %d", f.Version))
	}
	if f.Sum != sum(f.State) {
		var compact bytes.Buffer
		if err := json.Compact(&compact, f.State); err != nil {
			return State{}, damaged(err)
		}
		if f.State = compact.Bytes(); f.Sum != sum(f.State) {
			return State{}, damaged(errors.New("its checksum does not fit"))
		}
	}
	var s State
	d := json.NewDecoder(bytes.NewReader(f.State))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return State{}, damaged(err)
	}
	return s, nil
}

func damaged(cause error) error {
	return fmt.Errorf("is damaged or was edited: %w (%s)", cause, remedy)
}

func sum(state []byte) string {
	s := sha256.Sum256(state)
	return hex.EncodeToString(s[:])
}

// encode writes JSON without white space but for a line's end after the
// checksum. A Spec stays byte for byte as it is: its owner compares.
func encode(s State) ([]byte, error) {
	var data bytes.Buffer
	head := func(state []byte) []byte {
		return fmt.Appendf(nil, "{\"version\":%d,\"sha256\":%q,\"state\":\n", version, sum(state))
	}
	data.Write(head(nil)) // as long as that of any state
	begin := data.Len()
	e := json.NewEncoder(&data)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil, err
	}
	state := data.Bytes()[begin : data.Len()-1] // without the line's end
	copy(data.Bytes(), head(state))
	data.Truncate(data.Len() - 1)
	data.WriteString("}\n")
	if data.Len() > maxSize {
		return nil, fmt.Errorf("it would have %d bytes, and no more than %d are read again", data.Len(), maxSize)
	}
	return data.Bytes(), nil
}

// Save puts s in the place of what is kept in dir. After nil it outlives a power
// failure. After an error the old one is still there, except that where the
// error says so either may be found: then the disk could not tell.
func Save(dir string, s State) error { return save(osDisk{}, dir, s) }

func save(d disk, dir string, s State) error {
	data, err := encode(s)
	if err == nil {
		err = replace(d, dir, data)
	}
	if err != nil {
		return fmt.Errorf("state: not saved: %w", err)
	}
	return nil
}

// SetAside keeps a file that can't be read from being written over, and tells
// what it is called then. It never replaces one that was set aside before: each
// may be the only copy of somebody's words.
func SetAside(dir string) (string, error) { return setAside(osDisk{}, dir) }

func setAside(d disk, dir string) (string, error) {
	bad, err := moveAside(d, dir)
	if err != nil {
		return "", fmt.Errorf("state: not set aside: %w", err)
	}
	return bad, nil
}
