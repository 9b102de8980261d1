package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Mounts and the host's name are a host's own too, so that a small tmpfs or
// another /etc can befall one host and no other.
const hostNamespaces = unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWUTS

// A Host is a machine in the box.
type Host struct {
	Name string
	lab  *Lab
	dir  string      // its files; others don't look here
	net  string      // its network namespace, as a path
	work chan func() // for the thread that is in the namespaces
}

// Host makes a machine that has only lo yet.
func (l *Lab) Host(name string) *Host {
	l.Helper()
	h := &Host{Name: name, lab: l, dir: filepath.Join(l.dir, name), work: make(chan func())}
	l.must(os.Mkdir(h.dir, 0o755))
	entered, left := make(chan error), make(chan struct{})
	go func() { // ends with the test
		defer close(left)
		// Never unlocked: the thread ends with the goroutine, and with the thread
		// the processes that it started (Pdeathsig) and the namespaces.
		runtime.LockOSThread()
		entered <- h.enter()
		for f := range h.work {
			f()
		}
	}()
	l.Cleanup(func() {
		close(h.work)
		<-left
	})
	l.must(<-entered)
	h.Run("ip", "link", "set", "lo", "up")
	h.Sysctl("net.ipv4.conf.all.rp_filter", 0)
	h.Sysctl("net.ipv4.conf.default.rp_filter", 0)
	h.Sysctl("net.ipv6.conf.default.accept_dad", 0)
	return h
}

func (h *Host) enter() error {
	h.net = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
	return errors.Join(
		unix.Unshare(hostNamespaces),
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"), // sockets by the same path on each
		unix.Sethostname([]byte(h.Name)))
}

// do runs f on the host's thread: what f opens and starts is on the host. f
// must not end the test.
func (h *Host) do(f func() error) error {
	done := make(chan error, 1)
	h.work <- func() { done <- f() }
	if err := <-done; err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	return nil
}

// command prepares a program for the host. It inherits nothing but the path: a
// variable VIPD_… would mean something to vipd.
func (h *Host) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(find(name), args...)
	cmd.Dir, cmd.Env = h.dir, []string{"PATH=" + searchPath, "HOME=" + h.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// searchPath has the folders of root, whoever called us.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// find looks in root's folders, and leaves what is not there for Start to tell.
func find(name string) string {
	for dir := range strings.SplitSeq(searchPath, ":") {
		if path := filepath.Join(dir, name); !strings.Contains(name, "/") && unix.Access(path, unix.X_OK) == nil {
			return path
		}
	}
	return name
}

// output runs a program to its end and returns what it printed.
func (h *Host) output(input, name string, args ...string) ([]byte, error) {
	cmd := h.command(name, args...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &problems
	err := h.do(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w\n%s%s", h.Name, strings.Join(cmd.Args, " "), err, &out, &problems)
	}
	return out.Bytes(), nil
}

// Run runs a program to its end, which must be a good one.
func (h *Host) Run(name string, args ...string) string {
	h.lab.Helper()
	out, err := h.output("", name, args...)
	h.lab.must(err)
	return string(out)
}

// show runs a program that prints JSON.
func (h *Host) show(into any, name string, args ...string) error {
	out, err := h.output("", name, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("%s: %s: %w\n%s", h.Name, strings.Join(args, " "), err, out)
	}
	return nil
}

// Sysctl sets a parameter of the host's kernel.
func (h *Host) Sysctl(name string, value int) {
	h.lab.Helper()
	path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
	h.lab.must(h.do(func() error { return os.WriteFile(path, fmt.Append(nil, value), 0) }))
}

// NFT gives rules to the host's nftables.
func (h *Host) NFT(rules string) {
	h.lab.Helper()
	_, err := h.output(rules, "nft", "-f", "-")
	h.lab.must(err)
}

// replace gives the host another file in place of one of the machine's.
func (h *Host) replace(file, text string) {
	h.lab.Helper()
	own := h.write(filepath.Base(file), text)
	h.lab.must(h.do(func() error { return unix.Mount(own, file, "", unix.MS_BIND, "") }))
}

// write puts a file into the host's folder, on whatever disk the host has there,
// and returns its path.
func (h *Host) write(name, text string) string {
	h.lab.Helper()
	path := filepath.Join(h.dir, name)
	h.lab.must(h.do(func() error { return os.WriteFile(path, []byte(text), 0o644) }))
	return path
}
