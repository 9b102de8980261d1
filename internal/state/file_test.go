package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// What vipd wrote before there were words to keep.
const (
	versionOne = `{"version":1,"sha256":"dc3371625f9a7ac2bad3b1a6a7a15ae611c8c00b0b9f7cd25f603645707db788","state":{"disabled_neighbors":["10.0.0.254"]}}`
	versionTwo = `{
  "version": 2,
  "sha256": "ab88abd71922996a9b4e3936dc420300ab5005e1657631aa97450719b58d5e03",
  "state": {
    "disabled_neighbors": [
      "10.0.0.254",
      "fe80::1%eth0"
    ],
    "waiting_neighbors": [
      "fe80::1%eth0"
    ]
  }
}
`
)

func TestFileOfAVersionBeforeIsRead(t *testing.T) {
	for _, tt := range []struct {
		content string
		want    State
	}{
		{versionOne, State{Disabled: []netip.Addr{netip.MustParseAddr("10.0.0.254")}}},
		{versionTwo, some()},
	} {
		dir := lay(t, t.TempDir(), map[string]string{fileName: tt.content})
		if have, err := Load(dir); err != nil || !reflect.DeepEqual(have, tt.want) {
			t.Errorf("have %+v, %v; want %+v", have, err, tt.want)
		}
	}
}

// One that is written anew is of this version, so that an older vipd leaves
// what it can't know.
func TestFileIsOfThisVersion(t *testing.T) {
	dir := lay(t, t.TempDir(), map[string]string{fileName: versionTwo})
	s, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := Save(dir, s); err != nil {
		t.Fatal(err)
	}
	if data := content(t, dir, fileName); !strings.HasPrefix(data, `{"version":3,"sha256":"`) {
		t.Errorf("have %s", data)
	}
}

func TestWhatIsSavedIsLoaded(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []State{some(), {}, all(), some()} {
		if err := Save(dir, want); err != nil {
			t.Fatal(err)
		}
		have, err := Load(dir)
		if err != nil || !reflect.DeepEqual(have, want) {
			t.Fatalf("have %+v, %v; want %+v", have, err, want)
		}
	}
	wantFiles(t, dir, fileName)
}

func TestSpecIsKeptByteForByte(t *testing.T) {
	dir := t.TempDir()
	const spec = `{"b":"<&>\u003c","a":1.0,"a":1e2,"u":"` + "\u2028" + `"}`
	if err := Save(dir, State{VIPs: []VIP{{"api", 1, json.RawMessage(spec)}}}); err != nil {
		t.Fatal(err)
	}
	if have, err := Load(dir); err != nil || len(have.VIPs) != 1 || string(have.VIPs[0].Spec) != spec {
		t.Errorf("have %+v, %v", have, err)
	}
}

func TestNothingSavedIsNothingToRemember(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "absent")} {
		if have, err := Load(dir); err != nil || !reflect.DeepEqual(have, State{}) {
			t.Errorf("have %+v, %v", have, err)
		}
	}
}

func TestFileThatCanNotBeBelieved(t *testing.T) {
	good, err := encode(all())
	if err != nil {
		t.Fatal(err)
	}
	replaced := func(old, with string) string { return strings.Replace(string(good), old, with, 1) }
	sealed := func(state string) string {
		return fmt.Sprintf(`{"version":3,"sha256":%q,"state":%s}`, sum([]byte(state)), state)
	}
	for _, c := range []struct{ name, content, want string }{
		{"empty", "", "is damaged or was edited: unexpected end"},
		{"cut off", string(good[:len(good)/2]), "is damaged or was edited"},
		{"written twice", string(good) + string(good), "is damaged or was edited"},
		{"zeros after a power failure", string(make([]byte, len(good))), "is damaged or was edited"},
		{"edited", replaced("10.0.0.254", "10.0.0.253"), "its checksum does not fit"},
		{"edited in a spec", replaced("192.0.2.1", "192.0.2.2"), "its checksum does not fit"},
		{"without state", `{"version":1,"sha256":""}`, "is damaged or was edited"},
		{"null", "null", "is damaged or was edited"},
		{"a list", "[]", "is damaged or was edited"},
		{"version 0", replaced(`"version":3`, `"version":0`), "is damaged or was edited: there is no version 0"},
		{"negative version", replaced(`"version":3`, `"version":-3`), "is damaged or was edited: there is no version -3"},
		{"a field that nobody knows", sealed(`{"disabled_neighbors":null,"words":1}`), `is damaged or was edited: json: unknown field "words"`},
		{"a field of another kind", sealed(`{"disabled_neighbors":null,"vips":{}}`), "is damaged or was edited: json: cannot unmarshal object"},
		{"newer", replaced(`"version":3`, `"version":4`), "is of version 4, and this vipd reads up to 3 (run the newer vipd that wrote it, or start"},
		{"newer, with other fields", `{"version":7,"sum":1}`, "is of version 7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := lay(t, t.TempDir(), map[string]string{fileName: c.content})
			wantRefused(t, dir, c.want)
		})
	}
}

func TestFileThatCanNotBeRead(t *testing.T) {
	t.Run("a folder", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, fileName), 0o700); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, dir, "is a directory")
	})
	t.Run("too large", func(t *testing.T) {
		dir := lay(t, t.TempDir(), map[string]string{fileName: ""})
		if err := os.Truncate(filepath.Join(dir, fileName), maxSize+1); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, dir, "has 67108865 bytes, and no vipd writes more than 67108864")
	})
	t.Run("not ours", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Skip("root reads all")
		}
		dir := lay(t, t.TempDir(), map[string]string{fileName: versionOne})
		if err := os.Chmod(filepath.Join(dir, fileName), 0); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, dir, "permission denied")
	})
}

// wantRefused checks that nothing is believed, and that the error says what to do.
func wantRefused(t *testing.T, dir, want string) {
	t.Helper()
	have, err := Load(dir)
	if err == nil || !strings.HasPrefix(err.Error(), "state: ") {
		t.Fatalf("have %+v, %v; want an error", have, err)
	}
	for _, want := range []string{filepath.Join(dir, fileName), want, "`vipd run --ignore-state`"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	if !reflect.DeepEqual(have, State{}) {
		t.Errorf("half believed: %+v", have)
	}
}

// White space is the operator's: an editor that reindents has changed nothing.
func TestReindentedFileIsTheSame(t *testing.T) {
	data, err := encode(all())
	if err != nil {
		t.Fatal(err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, data, "", "\t"); err != nil {
		t.Fatal(err)
	}
	dir := lay(t, t.TempDir(), map[string]string{fileName: indented.String()})
	if have, err := Load(dir); err != nil || !reflect.DeepEqual(have, all()) {
		t.Errorf("have %+v, %v", have, err)
	}
}

// What could not be loaded again must not take the place of what can.
func TestWhatCanNotBeLoadedIsNotSaved(t *testing.T) {
	long := append(append([]byte{'"'}, bytes.Repeat([]byte("x"), maxSize)...), '"')
	for _, tt := range []struct {
		name, want string
		spec       json.RawMessage
	}{
		{"no JSON", "json", json.RawMessage(`{"name":`)},
		{"two values", "json", json.RawMessage(`{}{}`)},
		{"too long", "no more than 67108864 are read again", long},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := Save(dir, some()); err != nil {
				t.Fatal(err)
			}
			err := Save(dir, State{VIPs: []VIP{{"api", 1, tt.spec}}})
			if err == nil || !strings.Contains(err.Error(), "not saved: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v", err)
			}
			if have, err := Load(dir); err != nil || !reflect.DeepEqual(have, some()) {
				t.Errorf("have %+v, %v; want the old one", have, err)
			}
		})
	}
}

// lay empties dir and puts files into it.
func lay(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func content(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func filesOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	if have := filesOf(t, dir); !reflect.DeepEqual(have, want) {
		t.Errorf("files %v, want %v", have, want)
	}
}
