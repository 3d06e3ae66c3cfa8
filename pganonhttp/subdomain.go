package pganonhttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/internal/guc"
)

// Subdomain returns an extractor of the tenant, which is the one label of the request's host before base: north of
// north.example.com, where base is example.com. A base with a port, localhost:8080, wants that port.
//
// The host is what the client says it is. So a tenant from here must be checked: by [All] with an extractor that knows the user's
// tenant, or by a [Lookup] that knows the user's tenants.
//
// The base itself has no tenant: [pganon.ErrNoIdentity]. Every other host is refused: another domain, an address, more than one
// label, another port, a dot at the end, a label that is not of letters, digits and hyphens, and an internationalised one (xn--).
func Subdomain(base string) (Extractor, error) {
	base = guc.Fold(base)
	if err := validBase(base); err != nil {
		return nil, fmt.Errorf("pganon: subdomain: base: %w", err)
	}
	return func(r *http.Request) (pganon.Identity, error) {
		host := guc.Fold(r.Host) // ASCII alone: other letters, too, have one of a to z as their lower case
		if host == base {
			return pganon.Identity{}, pganon.ErrNoIdentity
		}
		label, ok := strings.CutSuffix(host, "."+base)
		switch {
		case !ok:
			return pganon.Identity{}, refused("the host is not a subdomain of %s", base)
		case strings.Contains(label, "."):
			return pganon.Identity{}, refused("the host is more than one label below %s", base)
		case !validLabel(label) || len(label) > 3 && label[2:4] == "--":
			return pganon.Identity{}, refused("the host's label before %s is not one of plain letters, digits and hyphens", base)
		}
		return pganon.Identity{Tenant: label}, nil
	}, nil
}

func validBase(base string) error {
	host, port, hasPort := strings.Cut(base, ":")
	if n, err := strconv.ParseUint(port, 10, 16); hasPort && (err != nil || n == 0 || strconv.FormatUint(n, 10) != port) {
		return errors.New("the port is not a number from 1 to 65535")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return errors.New("an address has no subdomains")
	}
	const longest = 253 - 2 // with a label of one letter before it
	if len(host) > longest {
		return errors.New("it is too long")
	}
	for label := range strings.SplitSeq(host, ".") {
		if !validLabel(label) {
			return errors.New("it is not a domain of letters, digits and hyphens, such as example.com; an internationalised one is written as xn--")
		}
	}
	return nil
}

func validLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(label, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-') })
}
