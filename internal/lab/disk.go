package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A Disk is a host's own small one.
type Disk struct {
	host    *Host
	dir     string
	ballast string // file that takes what is free
}

// Disk gives the host a disk of so many bytes, a tmpfs that nobody else sees.
// What is started from now on has its configuration and its log there.
func (h *Host) Disk(size int) *Disk {
	h.lab.Helper()
	d := h.Volume("disk", size)
	h.dir = d.dir
	return d
}

// Volume puts a disk of so many bytes at a folder of the host's, beside its
// configuration and its logs.
func (h *Host) Volume(name string, size int) *Disk {
	h.lab.Helper()
	dir := filepath.Join(h.dir, name)
	h.lab.must(os.Mkdir(dir, 0o755))
	h.lab.must(h.do(func() error {
		return unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
	}))
	return &Disk{h, dir, filepath.Join(dir, "ballast")}
}

// Protect makes the disk read-only, as a kernel does that found an error on it.
func (d *Disk) Protect() { d.remount(unix.MS_RDONLY) }

// Unprotect lets it be written to again.
func (d *Disk) Unprotect() { d.remount(0) }

func (d *Disk) remount(how uintptr) {
	d.host.lab.Helper()
	d.host.lab.must(d.host.do(func() error { return unix.Mount("", d.dir, "", unix.MS_REMOUNT|how, "") }))
}

// Fill takes what is free. A file can then grow to the end of its last page, and
// no other be written to.
func (d *Disk) Fill() {
	d.host.lab.Helper()
	d.host.lab.must(d.host.do(func() error {
		f, err := os.OpenFile(d.ballast, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		defer f.Close()
		page := bytes.Repeat([]byte{0xff}, os.Getpagesize())
		for {
			if _, err := f.Write(page); errors.Is(err, unix.ENOSPC) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}))
}

// Free gives back what Fill took.
func (d *Disk) Free() {
	d.host.lab.Helper()
	d.host.lab.must(d.host.do(func() error { return os.Remove(d.ballast) }))
}
