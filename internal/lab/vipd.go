package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary names the variable that says which vipd is tested; its vipctl lies
// beside it.
const binary = "VIPD_LAB_BINARY"

// Main is a test program's main: it builds vipd and vipctl once, unless they are
// given, and runs the tests.
func Main(m *testing.M) int {
	if os.Getenv("VIPD_LAB") != "1" || os.Getenv(binary) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "lab-vipd")
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir, "github.com/fiberlb/vipd/cmd/vipd", "github.com/fiberlb/vipd/cmd/vipctl")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	// Any user of a host may run them.
	if err := errors.Join(build.Run(), os.Chmod(dir, 0o755), os.Setenv(binary, filepath.Join(dir, "vipd"))); err != nil {
		fmt.Fprintln(os.Stderr, "lab: build vipd:", err)
		return 1
	}
	return m.Run()
}

// A Vipd is a host's vipd and its configuration.
type Vipd struct {
	*Process
	Socket string // path of the control API's
	config string // path
}

// Vipd starts vipd with a configuration in YAML, and perhaps more arguments.
func (h *Host) Vipd(config string, more ...string) *Vipd {
	h.lab.Helper()
	path := h.write("vipd.yaml", config)
	socket := filepath.Join(filepath.Dir(path), "vipd.sock")
	args := append([]string{"run", "--config", path, "--set", "api.listen=unix://" + socket}, more...)
	return &Vipd{Process: h.Start("vipd", os.Getenv(binary), args...), config: path, Socket: socket}
}

// AgainWith starts an ended vipd anew, in this life with more arguments.
func (v *Vipd) AgainWith(more ...string) {
	v.host.lab.Helper()
	usual := v.args
	v.args = slices.Concat(usual, more)
	v.Again()
	v.args = usual
}

// Refused runs one more vipd, with the same configuration and perhaps more
// arguments, that is to end by itself.
func (v *Vipd) Refused(more ...string) Said {
	v.host.lab.Helper()
	return v.host.say(v.host.command(v.name, slices.Concat(v.args, more)...))
}

// Configure writes another configuration, which a reload or a start takes.
func (v *Vipd) Configure(config string) {
	v.host.lab.Helper()
	v.host.write(filepath.Base(v.config), config)
}

// Tear writes as much of a configuration as a full disk takes, and returns that.
func (v *Vipd) Tear(config string) (written string) {
	v.host.lab.Helper()
	v.host.lab.must(v.host.do(func() error {
		err := os.WriteFile(v.config, []byte(config), 0o644)
		if !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("the disk is not full: %w", err)
		}
		text, err := os.ReadFile(v.config)
		written = string(text)
		return err
	}))
	return written
}

// Reload makes vipd read its configuration again and returns whether it took it.
func (v *Vipd) Reload() bool {
	v.host.lab.Helper()
	before := v.Metric("vipd_config_last_reload_timestamp_seconds")
	success := v.Metric("vipd_config_last_reload_success")
	v.Signal(syscall.SIGHUP)
	v.host.lab.Within(limit, "vipd has reloaded", func() error {
		if v.Metric("vipd_config_last_reload_timestamp_seconds") == before && v.Metric("vipd_config_last_reload_success") == success {
			return errors.New("no sign of it in the metrics")
		}
		return nil
	})
	return v.Metric("vipd_config_last_reload_success") == 1
}

// Flush runs vipd flush, as a stop hook does, and returns what it says.
func (v *Vipd) Flush() string {
	v.host.lab.Helper()
	return v.host.Run(os.Getenv(binary), "flush", "--config", v.config)
}

// Ready waits until vipd has compared the speaker's table.
func (v *Vipd) Ready() {
	v.host.lab.Helper()
	v.host.lab.Within(limit, v.host.Name+": vipd is ready", func() error {
		status, body, err := v.host.get("http://127.0.0.1:9179/readyz")
		if err == nil && status != http.StatusOK {
			err = errors.New(body)
		}
		return err
	})
}

// Metric returns the sum of a metric's values, over those of its series whose
// labels contain each of the given texts.
func (v *Vipd) Metric(name string, labels ...string) (sum float64) {
	v.host.lab.Helper()
	var body string
	v.host.lab.Within(limit, v.host.Name+": vipd has metrics", func() (err error) {
		_, body, err = v.host.get("http://127.0.0.1:9179/metrics")
		return err
	})
	for line := range strings.Lines(body) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if series != name && !strings.HasPrefix(series, name+"{") {
			continue
		}
		if slices.ContainsFunc(labels, func(label string) bool { return !strings.Contains(series, label) }) {
			continue
		}
		x, err := strconv.ParseFloat(value, 64)
		v.host.lab.must(err)
		sum += x
	}
	return sum
}

// get asks a web server on the host and returns its status and its answer.
func (h *Host) get(url string) (status int, body string, err error) {
	var conn net.Conn
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	if err := h.do(func() (err error) {
		conn, err = net.DialTimeout("tcp", request.Host, time.Second)
		return err
	}); err != nil {
		return 0, "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, "", err
	}
	request.Close = true
	if err := request.Write(conn); err != nil {
		return 0, "", err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}
