package sock

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// What is where in headers of IPv4 (RFC 791), IPv6 (RFC 8200) and UDP (RFC 768).
const (
	len4, len6, lenUDP = 20, 40, 8
	hops4, hops6       = 8, 7
	sum4               = 10
	maxHeader          = len6 + lenUDP
	noFragment         = 0x4000
)

// unpack makes of the IP packet in b what an ordinary socket would tell. It leaves
// Packet nil where b is no whole UDP datagram.
func (d *Datagram) unpack(b []byte, from *unix.RawSockaddrLinklayer) {
	d.Payload, d.Interface = nil, int(from.Ifindex)
	d.From = Hardware{len: min(from.Halen, uint8(len(from.Addr))), addr: from.Addr}
	var udp, all int // where UDP begins, and where it ends
	switch {
	case len(b) >= len4 && b[0]>>4 == 4:
		udp, all = int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		if b[9] != unix.IPPROTO_UDP || binary.BigEndian.Uint16(b[6:])&^noFragment != 0 {
			return
		}
		d.TTL = int(b[hops4])
		d.Peer, d.Local = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	case len(b) >= len6 && b[0]>>4 == 6:
		udp, all = len6, len6+int(binary.BigEndian.Uint16(b[4:]))
		if b[6] != unix.IPPROTO_UDP {
			return
		}
		d.TTL = int(b[hops6])
		d.Peer, d.Local = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	}
	if udp < len4 || all > len(b) || all < udp+lenUDP {
		return
	}
	end := udp + int(binary.BigEndian.Uint16(b[udp+4:]))
	if end != all { // IP has nothing but the datagram in it
		return
	}
	d.PeerPort, d.Port = binary.BigEndian.Uint16(b[udp:]), binary.BigEndian.Uint16(b[udp+2:])
	d.Payload, d.Packet = b[udp+lenUDP:end], b[:all]
}

// Hop takes one from the packet's TTL or hop limit, as who forwards it does.
func (d *Datagram) Hop() {
	if !d.Local.Is4() {
		d.Packet[hops6]--
		return
	}
	d.Packet[hops4]--
	// The sum is that of the ones' complement: it grows by what the word that has
	// the TTL in its upper half shrank by (RFC 1141).
	sum := uint32(binary.BigEndian.Uint16(d.Packet[sum4:])) + 0x100
	binary.BigEndian.PutUint16(d.Packet[sum4:], uint16(sum+sum>>16))
}

// datagram writes a UDP datagram with its headers before payload, which is at
// b[maxHeader:], and returns all of it.
func datagram(b []byte, src, dst netip.AddrPort) []byte {
	length := len(b) - maxHeader + lenUDP
	var p []byte
	if src.Addr().Is4() {
		p = b[maxHeader-lenUDP-len4:]
		clear(p[:len4+lenUDP])
		p[0], p[1] = 4<<4|len4/4, trafficClass
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		binary.BigEndian.PutUint16(p[6:], noFragment)
		p[hops4], p[9] = ttl, unix.IPPROTO_UDP
		a, z := src.Addr().As4(), dst.Addr().As4()
		copy(p[12:], a[:])
		copy(p[16:], z[:])
		binary.BigEndian.PutUint16(p[sum4:], ^fold(sum(p[:len4])))
	} else {
		p = b
		clear(p[:maxHeader])
		p[0], p[1] = 6<<4|trafficClass>>4, trafficClass<<4&0xff
		binary.BigEndian.PutUint16(p[4:], uint16(length))
		p[6], p[hops6] = unix.IPPROTO_UDP, ttl
		a, z := src.Addr().As16(), dst.Addr().As16()
		copy(p[8:], a[:])
		copy(p[24:], z[:])
	}
	udp := p[len(p)-length:]
	binary.BigEndian.PutUint16(udp, src.Port())
	binary.BigEndian.PutUint16(udp[2:], dst.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(length))
	seal(p, udp)
	return p
}

// seal writes the checksum of the UDP datagram in the IP packet p. A pseudo header
// is part of it: both addresses, the protocol and the length.
func seal(p, udp []byte) {
	first, last := 12, len4
	if p[0]>>4 == 6 {
		first, last = 8, len6
	}
	udp[6], udp[7] = 0, 0
	check := ^fold(sum(p[first:last]) + unix.IPPROTO_UDP + uint32(len(udp)) + sum(udp))
	if check == 0 {
		check = 0xffff // 0 is for a datagram without
	}
	binary.BigEndian.PutUint16(udp[6:], check)
}

// sum adds up the words of b for a checksum (RFC 1071).
func sum(b []byte) (s uint32) {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) > 0 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
