package pganonhttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/pganon/pganon"
)

// ProxyHeaders names the headers in which a proxy says who asks, after it has found out.
//
// The proxy must set each of them in each request, or take it out: what it lets through from a client, the client has chosen. In
// nginx:
//
//	proxy_set_header X-Forwarded-User $remote_user;
type ProxyHeaders struct {
	// Trusted are the addresses from which the proxies connect: 10.0.3.0/28, ::1/128.
	Trusted []netip.Prefix
	// User names the header with the user, such as X-Forwarded-User. It is required.
	User string
	// Tenant names the header with the tenant. Empty, there is none.
	Tenant string
	// Groups names the header with the groups, separated by commas. Empty, there is none. It must be in the request, empty if need
	// be: a client can have a proxy in between drop a header, and the lost group may have been the one that masks.
	Groups string
}

// Extractor returns an extractor of these headers. It refuses a request in which a peer that is not trusted has sent one of them,
// in which one of them occurs twice, where there is a comma in the user or the tenant, as proxies make it of two headers, and
// where there is a user without one of the others.
//
// A peer is who connected, by [http.Request.RemoteAddr]: a handler that changes it to what a header says (a "real IP" middleware)
// must stand further in. A peer on a Unix domain socket, or one with an IPv6 zone, is not trusted.
func (h ProxyHeaders) Extractor() (Extractor, error) {
	if len(h.Trusted) == 0 {
		return nil, errors.New("pganon: proxy headers: Trusted is empty: no header could count")
	}
	h.Trusted = slices.Clone(h.Trusted)
	for _, prefix := range h.Trusted {
		if !prefix.IsValid() || prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("pganon: proxy headers: Trusted: %s matches no address; an IPv4 prefix is written as 10.0.0.0/8", prefix)
		}
	}
	if h.User == "" {
		return nil, errors.New("pganon: proxy headers: User is empty: name the header, such as X-Forwarded-User")
	}
	names := []*string{&h.User}
	for _, name := range []*string{&h.Tenant, &h.Groups} {
		if *name != "" {
			names = append(names, name)
		}
	}
	for i, name := range names {
		if strings.ContainsFunc(*name, notInHeaderName) {
			return nil, fmt.Errorf("pganon: proxy headers: %q is not the name of a header", *name)
		}
		*name = http.CanonicalHeaderKey(*name)
		if *name == "Host" || slices.ContainsFunc(names[:i], func(other *string) bool { return *other == *name }) {
			return nil, fmt.Errorf("pganon: proxy headers: header %s cannot have this part too", *name)
		}
	}
	return h.extract, nil
}

func notInHeaderName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}

func (h ProxyHeaders) extract(r *http.Request) (id pganon.Identity, err error) {
	trusted := h.trusts(r.RemoteAddr)
	for _, name := range []string{h.User, h.Tenant, h.Groups} {
		switch sent := r.Header.Values(name); {
		case name == "" || len(sent) == 0:
		case !trusted:
			return id, refused("header %s: it was sent by a peer that is not among the trusted proxies", name)
		case len(sent) > 1:
			return id, refused("header %s: it was sent %d times", name, len(sent))
		case name != h.Groups && strings.Contains(sent[0], ","):
			return id, refused("header %s: it has a comma, as proxies make it of two headers", name)
		}
	}
	id.User = strings.TrimSpace(r.Header.Get(h.User))
	if id.User == "" {
		return id, pganon.ErrNoIdentity
	}
	if h.Tenant != "" {
		if id.Tenant = strings.TrimSpace(r.Header.Get(h.Tenant)); id.Tenant == "" {
			return pganon.Identity{}, refused("header %s: the proxy has not sent it with the user", h.Tenant)
		}
	}
	if h.Groups != "" {
		if len(r.Header.Values(h.Groups)) == 0 {
			return pganon.Identity{}, refused("header %s: the proxy has not sent it with the user; it may be empty", h.Groups)
		}
		for group := range strings.SplitSeq(r.Header.Get(h.Groups), ",") {
			if group = strings.TrimSpace(group); group != "" {
				id.Groups = append(id.Groups, group)
			}
		}
	}
	return id, nil
}

func (h ProxyHeaders) trusts(remote string) bool {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	addr := peer.Addr().Unmap()
	return slices.ContainsFunc(h.Trusted, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}
