package flows

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// readSize is room for as many messages as the kernel puts together.
	readSize = 64 << 10
	patience = 5 * time.Second // the kernel answers at once, or never
)

// dump asks the kernel for all of something, and calls each with the payload of
// each message that it sends of it; that holds until each returns.
func dump(ctx context.Context, protocol int, kind uint16, request []byte, each func(payload []byte)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return os.NewSyscallError("netlink socket", err)
	}
	defer unix.Close(fd)
	wait := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	message := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(request)))
	message = binary.NativeEndian.AppendUint16(message, kind)
	message = binary.NativeEndian.AppendUint16(message, unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	message = append(message, make([]byte, 8)...) // sequence, and whom to: the kernel
	if err := unix.Sendto(fd, append(message, request...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("netlink send", err)
	}
	buffer := make([]byte, readSize)
	for done := false; !done; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		data, err := receive(fd, buffer)
		if err != nil {
			return err
		}
		if done, err = split(data, each); err != nil {
			return err
		}
	}
	return nil
}

// receive returns what the kernel sends next. Other processes may send, too.
func receive(fd int, buffer []byte) ([]byte, error) {
	for {
		n, from, err := unix.Recvfrom(fd, buffer, unix.MSG_TRUNC)
		switch sender, ok := from.(*unix.SockaddrNetlink); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, os.NewSyscallError("netlink receive", err)
		case n > len(buffer):
			return nil, fmt.Errorf("netlink: a message of %d bytes, and there is room for %d", n, len(buffer))
		case ok && sender.Pid == 0:
			return buffer[:n], nil
		}
	}
}

var errShort = errors.New("netlink: a message is cut off")

// split calls each with the payload of each message in data; done says that
// there will be no more.
func split(data []byte, each func(payload []byte)) (done bool, err error) {
	for len(data) > 0 {
		if len(data) < unix.NLMSG_HDRLEN {
			return false, errShort
		}
		length, kind := int(binary.NativeEndian.Uint32(data)), binary.NativeEndian.Uint16(data[4:])
		if length < unix.NLMSG_HDRLEN || length > len(data) {
			return false, errShort
		}
		switch payload := data[unix.NLMSG_HDRLEN:length]; kind {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR: // both begin with an error's number, or 0
			if len(payload) < 4 {
				return false, errShort
			}
			if code := int32(binary.NativeEndian.Uint32(payload)); code < 0 {
				return false, unix.Errno(-code)
			}
			return true, nil
		case unix.NLMSG_NOOP:
		default:
			each(payload)
		}
		data = data[min(align(length), len(data)):]
	}
	return false, nil
}

// align is where what follows length bytes begins: netlink's messages and
// attributes begin at multiples of 4.
func align(length int) int { return (length + 3) &^ 3 }

// attribute returns the value of an attribute among others, nil if it is not
// there.
func attribute(data []byte, kind uint16) []byte {
	const (
		head  = 4
		flags = unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER
	)
	for len(data) >= head {
		length := int(binary.NativeEndian.Uint16(data))
		if length < head || length > len(data) {
			return nil
		}
		if binary.NativeEndian.Uint16(data[2:])&^flags == kind {
			return data[head:length]
		}
		data = data[min(align(length), len(data)):]
	}
	return nil
}
