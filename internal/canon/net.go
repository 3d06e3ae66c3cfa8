package canon

import (
	"encoding/hex"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// parsePrefix reads an address with or without the length of its network.
func parsePrefix(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return p, errText
		}
		return p, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, errText
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// appendPrefix writes an address as PostgreSQL does: without the length of its network where inet's is the address's own, an IPv6
// address that begins with 96 zero bits with its end as an IPv4 address.
func (t Type) appendPrefix(dst []byte, p netip.Prefix) ([]byte, error) {
	switch {
	case t != inet && t != cidr:
		return nil, errType
	case !p.IsValid():
		return nil, errNull
	case t == cidr && p.Masked() != p:
		return nil, errText
	}
	a := p.Addr()
	if b := a.As16(); a.Is6() && [12]byte(b[:12]) == [12]byte{} && (b[12]|b[13]) != 0 {
		dst = append(dst, "::"...)
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	dst = a.AppendTo(dst)
	if t == cidr || p.Bits() != p.Addr().BitLen() {
		dst = strconv.AppendInt(append(dst, '/'), int64(p.Bits()), 10)
	}
	return dst, nil
}

func (t Type) appendAddr(dst []byte, a netip.Addr) ([]byte, error) {
	if !a.IsValid() {
		return t.appendPrefix(dst, netip.Prefix{})
	}
	return t.appendPrefix(dst, netip.PrefixFrom(a, a.BitLen()))
}

// appendIP takes the bytes as they are, as pgx does: 16 that hold an IPv4 address are an IPv6 address.
func (t Type) appendIP(dst []byte, ip net.IP) ([]byte, error) {
	if ip == nil {
		return nil, errNull
	}
	a, ok := netip.AddrFromSlice(ip)
	if !ok {
		return nil, errText
	}
	return t.appendAddr(dst, a)
}

func (t Type) appendIPNet(dst []byte, n net.IPNet) ([]byte, error) {
	a, ok := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	if !ok || bits != a.BitLen() {
		return nil, errText
	}
	return t.appendPrefix(dst, netip.PrefixFrom(a, ones))
}

func (t Type) appendMAC(dst []byte, mac net.HardwareAddr) ([]byte, error) {
	switch {
	case mac == nil:
		return nil, errNull
	case t != macaddr:
		return nil, errType
	case len(mac) != 6:
		return nil, errText
	}
	for i := range mac {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = hex.AppendEncode(dst, mac[i:i+1])
	}
	return dst, nil
}
