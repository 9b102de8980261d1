package bfdengine

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// listenError says what to do about a socket that can't be opened.
func listenError(a netip.Addr, port uint16, err error) error {
	at := netip.AddrPortFrom(a, port)
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		who := holder(port)
		if who == "" {
			who = "another BFD daemon?"
		}
		return fmt.Errorf("bfd engine: udp %s is taken (%s): end that, or give the engine other addresses to listen on: %w", at, who, err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("bfd engine: udp %s: no interface has this address: %w", at, err)
	case errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("bfd engine: udp %s: the kernel has no IPv6: leave that address out: %w", at, err)
	}
	return fmt.Errorf("bfd engine: udp %s: %w", at, err)
}

// holder names the process that has a UDP port, as far as /proc shows it to us.
func holder(port uint16) string {
	inode := holderSocket(port)
	if inode == "" {
		return ""
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && target == "socket:["+inode+"]" {
			pid := strings.Split(fd, "/")[2]
			name, _ := os.ReadFile("/proc/" + pid + "/comm")
			return fmt.Sprintf("by %s, pid %s", strings.TrimSpace(string(name)), pid)
		}
	}
	return ""
}

// holderSocket gives the inode of a socket on a UDP port. In /proc/net/udp the
// second column is address:port in hexadecimal, the tenth the inode.
func holderSocket(port uint16) string {
	for _, table := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		text, _ := os.ReadFile(table)
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 10 {
				continue
			}
			_, hex, _ := strings.Cut(f[1], ":")
			if p, err := strconv.ParseUint(hex, 16, 16); err == nil && uint16(p) == port {
				return f[9]
			}
		}
	}
	return ""
}
