package control

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// roomy is a folder with a short path that any user may enter.
func roomy(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vipd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// asRoot skips what only root can try.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("VIPD_REQUIRE") == "1" {
		t.Fatal("VIPD_REQUIRE=1, but this needs root")
	}
	t.Skip("SKIPPED: only root can become another user")
}

func unixRig(t *testing.T, o Options) (*rig, string) {
	t.Helper()
	path := filepath.Join(roomy(t), "vipd.sock")
	o.Listen = []string{"unix://" + path}
	return newRig(o, defaultLimits()), path
}

func TestSocketIsForItsGroup(t *testing.T) {
	for _, umask := range []int{0, 0o777} {
		r, path := unixRig(t, Options{})
		old := syscall.Umask(umask)
		err := r.Listen()
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode(); got != os.ModeSocket|0o660 {
			t.Errorf("umask %o: mode %v", umask, got)
		}
		r.close()
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("after the end: %v", err)
		}
	}
}

// Whatever umask is, nobody else may connect before the group is set.
func TestSocketIsNeverOpenToOthers(t *testing.T) {
	path := filepath.Join(roomy(t), "s")
	var between os.FileMode
	defer syscall.Umask(syscall.Umask(0))
	s, err := bind(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if info, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	} else {
		between = info.Mode().Perm()
	}
	if between != 0o600 {
		t.Errorf("mode %o before it is set", between)
	}
}

func TestSocketGetsItsGroup(t *testing.T) {
	asRoot(t)
	for _, group := range []string{"4321", "daemon"} {
		gid := uint32(4321)
		if g, err := osuser.LookupGroup(group); err == nil {
			fmt.Sscan(g.Gid, &gid)
		} else if group != "4321" {
			t.Fatalf("this system has no group %s: %v", group, err)
		}
		r, path := unixRig(t, Options{Group: group})
		if err := r.Listen(); err != nil {
			t.Fatal(err)
		}
		defer r.close()
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t).Gid; got != gid {
			t.Errorf("group %s: gid %d, want %d", group, got, gid)
		}
	}
}

func TestSocketThatCanNotBeHad(t *testing.T) {
	dir := roomy(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	file, folder, link := at("file"), at("folder"), at("link")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	foreign, err := net.Listen("unix", at("foreign"))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	twin := newRig(Options{Listen: []string{"unix://" + at("twin")}}, defaultLimits())
	if err := twin.Listen(); err != nil {
		t.Fatal(err)
	}
	defer twin.close()
	long := "/" + strings.Repeat("x", 107)
	noSocket := " is there and is no socket: vipd removes nothing that it can't have made; move it away or choose another path"
	served := "another vipd serves %s: stop it, or give this one a path of its own"

	for _, tt := range []struct{ path, group, want string }{
		{file, "", file + noSocket},
		{folder, "", folder + noSocket},
		{link, "", link + noSocket},
		{at("foreign"), "", fmt.Sprintf(served, at("foreign"))},
		{at("twin"), "", fmt.Sprintf(served, at("twin"))},
		{at("none/deep/s"), "", "there is no directory " + at("none/deep") + ": make it (systemd: RuntimeDirectory=deep), or choose another path in api.listen, or none: []"},
		{"relative", "", "is no absolute path (write unix:///run/vipd/vipd.sock)"},
		{long, "", "the path has 108 bytes, and a socket's at most 107: choose a shorter one"},
		{at("s"), "no-such-group", `api.group: there is no group "no-such-group": make it (groupadd --system no-such-group), or write another`},
	} {
		r := newRig(Options{Listen: []string{"unix://" + tt.path}, Group: tt.group}, defaultLimits())
		if err := r.Listen(); err == nil || err.Error() != "api.listen: unix://"+tt.path+": "+tt.want {
			t.Errorf("%s: got %v\nwant %s", tt.path, err, tt.want)
		}
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "precious" {
		t.Errorf("the file that was no socket: %q, %v", content, err)
	}
	for _, path := range []string{at("foreign"), at("twin")} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Errorf("who serves %s was harmed: %v", path, err)
			continue
		}
		c.Close()
	}
}

// The other one has not come to its socket yet.
func TestTwoThatStartAtOnce(t *testing.T) {
	r, path := unixRig(t, Options{})
	first, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "api.listen: unix://" + path + ": another vipd serves " + path + ": stop it, or give this one a path of its own"
	if err := r.Listen(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	first.Close()
	if err := r.Listen(); err != nil {
		t.Error(err)
	}
	r.close()
}

// After kill -9 the file is still there, and nobody behind it.
func TestStaleSocketIsReplaced(t *testing.T) {
	r, path := unixRig(t, Options{})
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	r.run(t)
	if _, err := client(dial(t, "unix://"+path, nil)).GetStatus(soon(t), &vipdv1.GetStatusRequest{}); err != nil {
		t.Error(err)
	}
}

func TestOnlyOurSocketIsRemoved(t *testing.T) {
	r, path := unixRig(t, Options{})
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	r.close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("another's socket is gone: %v", err)
	}
}

func TestListenIsAllOrNothing(t *testing.T) {
	r, path := unixRig(t, Options{InsecureLoopback: true})
	r.opts.Listen = append(r.opts.Listen, "192.0.2.1:0")
	err := r.Listen()
	if want := "api.listen: 192.0.2.1:0: is no loopback address, and others take client certificates: set api.tls"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}

func TestCallersAreWhomTheKernelNames(t *testing.T) {
	r, path := unixRig(t, Options{})
	r.run(t)
	if _, err := client(dial(t, "unix://"+path, nil)).Undrain(soon(t), &vipdv1.UndrainRequest{}); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint("Undrain uid ", os.Getuid())
	if u, err := osuser.Current(); err == nil {
		want += " (" + u.Username + ")"
	}
	if got := r.node.called(); !slices.Equal(got, []string{want}) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// strangerID is a user and a group that no system has a name for.
const strangerID = 54321

// stranger asks for both roles, and tells how that went.
func stranger(target string) {
	t := &testing.B{}
	_, err := client(dial(t, target, nil)).GetStatus(soon(t), &vipdv1.GetStatusRequest{})
	fmt.Println(err)
	_, err = client(dial(t, target, nil)).Undrain(soon(t), &vipdv1.UndrainRequest{})
	fmt.Println(err)
}

// asStranger runs this program again, as another user in group.
func asStranger(t *testing.T, program, target string, group uint32) (read, write string) {
	t.Helper()
	cmd := exec.CommandContext(soon(t), program)
	cmd.Env = []string{"VIPD_TEST_STRANGER=" + target, "GORACE=atexit_sleep_ms=0"}
	groups := []uint32{group}
	for i := range uint32(100) { // more than most have
		groups = append(groups, 100_000+i)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: strangerID, Gid: strangerID, Groups: groups}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	read, write, ok := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if !ok {
		t.Fatalf("got %q", out)
	}
	return read, write
}

func duplicate(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if closed := out.Close(); err == nil {
		err = closed
	}
	return err
}

func TestAnotherUser(t *testing.T) {
	asRoot(t)
	program := filepath.Join(roomy(t), "stranger") // where others may run it
	if err := duplicate("/proc/self/exe", program); err != nil {
		t.Fatal(err)
	}
	denied := func(method, role string) string {
		key := map[string]string{"read-only": "api.read_only (or api.read_write)", "read-write": "api.read_write"}[role]
		return fmt.Sprintf("rpc error: code = %v desc = uid %d may not call %s, which needs the %s role: list the user or a group of it in %s",
			codes.PermissionDenied, strangerID, method, role, key)
	}
	const fine = "<nil>"
	other := Roles{UIDs: []uint32{1}}
	for _, tt := range []struct {
		name        string
		write, read Roles
		wantRead    string
		wantWrite   string
	}{
		{"no lists", Roles{}, Roles{}, fine, fine},
		{"others write", other, Roles{}, fine, denied("Undrain", "read-write")},
		{"others read and write", other, other, denied("GetStatus", "read-only"), denied("Undrain", "read-write")},
		{"its uid reads", other, Roles{UIDs: []uint32{strangerID}}, fine, denied("Undrain", "read-write")},
		{"its group writes", Roles{GIDs: []uint32{strangerID}}, other, fine, fine},
		{"a supplementary group of it writes", Roles{GIDs: []uint32{777}}, other, fine, fine},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, path := unixRig(t, Options{ReadWrite: tt.write, ReadOnly: tt.read, Group: "777"})
			r.run(t)
			read, write := asStranger(t, program, "unix://"+path, 777)
			if read != tt.wantRead || write != tt.wantWrite {
				t.Errorf("got  %s\n     %s\nwant %s\n     %s", read, write, tt.wantRead, tt.wantWrite)
			}
		})
	}
	t.Run("not of the socket's group", func(t *testing.T) {
		r, path := unixRig(t, Options{Group: "777"})
		r.run(t)
		if read, _ := asStranger(t, program, "unix://"+path, 778); !strings.Contains(read, "permission denied") {
			t.Errorf("got %s", read)
		}
	})
}

// /run is empty after each boot, and who starts vipd by hand has no systemd to
// make a folder there.
func TestTheSocketsFolderIsMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vipd", "s")
	f, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
}
