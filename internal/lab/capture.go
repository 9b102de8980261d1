package lab

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Capture ends by itself after so long, or so many packets.
const (
	captureSeconds = 300
	capturePackets = 1_000_000
)

// A Capture records packets at an interface of a host, each with the time when
// the kernel saw it: one order for all, whoever sent them and whoever was told.
type Capture struct {
	host *Host
	dump *Process
	file string
}

// A Packet is one that a capture recorded.
type Packet struct {
	At time.Time
	// Fields are those asked for, in that order; several values in one packet
	// are joined by commas.
	Fields []string
}

// Capture begins to record at an interface what passes a filter, as "tcp port
// 179".
func (h *Host) Capture(iface, filter string) *Capture {
	h.lab.Helper()
	h.needs("tshark")
	label := "capture-" + iface
	c := &Capture{host: h, file: filepath.Join(h.dir, label+".pcapng")}
	c.dump = h.Start(label, "dumpcap", "-q", "-i", iface, "-f", filter, "-w", c.file, "-B", "16", // MiB
		"-a", "duration:"+strconv.Itoa(captureSeconds), "-c", strconv.Itoa(capturePackets))
	c.dump.Says(limit, "File: ", 1) // it listens then
	return c
}

// End ends the capture, which must have missed nothing.
func (c *Capture) End() {
	c.host.lab.Helper()
	if c.dump.Exited() {
		c.host.lab.Fatalf("%s: %s ended before its time", c.host.Name, c.dump.label)
	}
	c.dump.Signal(syscall.SIGINT)
	c.dump.Wait(limit)
	// "Packets received/dropped on interface 'lo': 6/0 (pcap:0/dumpcap:0/…"
	if !regexp.MustCompile(`received/dropped on interface .*: \d+/0 \(`).MatchString(c.dump.Log()) {
		c.host.lab.Fatalf("%s: %s lost packets, or doesn't tell", c.host.Name, c.dump.label)
	}
}

// Packets are those of an ended capture that match a display filter of
// Wireshark's, as "bgp.type == 2", with these of their fields.
func (c *Capture) Packets(match string, fields ...string) (packets []Packet) {
	c.host.lab.Helper()
	args := []string{"-n", "-r", c.file, "-Y", match, "-T", "fields", "-E", "separator=/t", "-e", "frame.time_epoch"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	for line := range strings.Lines(c.host.Run("tshark", args...)) {
		values := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		seconds, nanos, _ := strings.Cut(values[0], ".")
		s, err := strconv.ParseInt(seconds, 10, 64)
		c.host.lab.must(err)
		n, err := strconv.ParseInt(nanos, 10, 64) // always nine digits
		c.host.lab.must(err)
		packets = append(packets, Packet{time.Unix(s, n), values[1:]})
	}
	return packets
}

// First returns when the first packet came that matches, after a time.
func (c *Capture) First(match string, after time.Time) (time.Time, error) {
	c.host.lab.Helper()
	for _, p := range c.Packets(match) {
		if p.At.After(after) {
			return p.At, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: no packet after %s that matches %s", c.host.Name, after.Format(time.StampMicro), match)
}

// Last returns when the last packet came that matches, before a time.
func (c *Capture) Last(match string, before time.Time) (at time.Time, err error) {
	c.host.lab.Helper()
	for _, p := range c.Packets(match) {
		if !p.At.Before(before) {
			break
		}
		at = p.At
	}
	if at.IsZero() {
		return at, fmt.Errorf("%s: no packet before %s that matches %s", c.host.Name, before.Format(time.StampMicro), match)
	}
	return at, nil
}
