package pganonhttp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pganon/pganon"
)

// Claims names the claims of a verified token that make an identity. The zero value takes the usual names. A list that is
// empty and not nil takes none.
type Claims struct {
	// User names the claims that may hold the user, of which one must be there. Default "sub".
	User []string
	// Tenant names the claims that may hold the tenant. Default "tenant", "tenant_id", "org_id".
	Tenant []string
	// Groups names the claims that may hold groups, which are taken together: a list of strings, or one with the groups
	// separated by spaces. Default "groups", "roles".
	Groups []string
	// Settings maps names of claims to names of [pganon.Identity.Settings].
	Settings map[string]string
}

// Extractor returns an extractor of the claims that verified finds in a request's context, as a JWT library's middleware leaves
// them there once it has checked the token. False says that there was no token.
//
// User, tenant and settings are strings or whole numbers. A claim of another kind is refused, and so are two that say different
// things of the user or of the tenant, a token without user, and one whose claims are to be fetched elsewhere (_claim_names:
// where there are many groups). It panics if verified is nil.
func (c Claims) Extractor(verified func(context.Context) (map[string]any, bool)) Extractor {
	if verified == nil {
		panic("pganon: Claims.Extractor: verified is nil")
	}
	c.User = slices.Clone(orDefault(c.User, "sub"))
	c.Tenant = slices.Clone(orDefault(c.Tenant, "tenant", "tenant_id", "org_id"))
	c.Groups = slices.Clone(orDefault(c.Groups, "groups", "roles"))
	return func(r *http.Request) (pganon.Identity, error) {
		claims, ok := verified(r.Context())
		if !ok {
			return pganon.Identity{}, pganon.ErrNoIdentity
		}
		return c.identity(claims)
	}
}

func orDefault(names []string, usual ...string) []string {
	if names == nil {
		return usual
	}
	return names
}

func (c Claims) identity(claims map[string]any) (id pganon.Identity, err error) {
	if id.User, err = one(claims, c.User); err != nil {
		return pganon.Identity{}, err
	}
	if id.User == "" && len(c.User) > 0 {
		return pganon.Identity{}, refused("the token has no claim %s", quoted(c.User))
	}
	if id.Tenant, err = one(claims, c.Tenant); err != nil {
		return pganon.Identity{}, err
	}
	if id.Groups, err = groups(claims, c.Groups); err != nil {
		return pganon.Identity{}, err
	}
	for name, setting := range c.Settings {
		value, err := one(claims, []string{name})
		if err != nil {
			return pganon.Identity{}, err
		}
		if value == "" {
			continue
		}
		if id.Settings == nil {
			id.Settings = make(map[string]string, len(c.Settings))
		}
		id.Settings[setting] = value
	}
	return id, nil
}

// one returns what those of the named claims say that are there, "" for none.
func one(claims map[string]any, names []string) (string, error) {
	var found, by string
	for _, name := range names {
		if elsewhere(claims, name) {
			return "", refused("claim %q is kept elsewhere: have it in the token, or look it up", name)
		}
		value, ok := scalar(claims[name])
		switch {
		case !ok:
			return "", refused("claim %q is neither a string nor a whole number", name)
		case value == "":
		case found != "" && value != found:
			return "", refused("claims %q and %q differ: name the one that counts", by, name)
		default:
			found, by = value, name
		}
	}
	return found, nil
}

// scalar returns a string or a whole number as text; nil is "".
func scalar(claim any) (string, bool) {
	const exact = 1 << 53 // from here on two numbers of a token are one float64
	switch v := claim.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case json.Number:
		n, err := v.Int64()
		return strconv.FormatInt(n, 10), err == nil
	case float64:
		return strconv.FormatInt(int64(v), 10), v > -exact && v < exact && v == float64(int64(v))
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	}
	return "", false
}

func groups(claims map[string]any, names []string) (all []string, err error) {
	add := func(group string) {
		if group != "" && !slices.Contains(all, group) {
			all = append(all, group)
		}
	}
	for _, name := range names {
		if elsewhere(claims, name) {
			return nil, refused("claim %q is kept elsewhere: have it in the token, or look it up", name)
		}
		switch v := claims[name].(type) {
		case nil:
		case string:
			for group := range strings.FieldsSeq(v) {
				add(group)
			}
		case []string:
			for _, group := range v {
				add(group)
			}
		case []any:
			for _, element := range v {
				group, ok := element.(string)
				if !ok {
					return nil, refused("claim %q has an element that is not a string", name)
				}
				add(group)
			}
		default:
			return nil, refused("claim %q is neither a string nor a list of strings", name)
		}
	}
	return all, nil
}

// elsewhere says whether the issuer has the claim for whoever fetches it (OpenID Connect, aggregated and distributed claims). To
// take it as absent would forget the group that masks.
func elsewhere(claims map[string]any, name string) bool {
	switch sources := claims["_claim_names"].(type) {
	case map[string]any:
		_, ok := sources[name]
		return ok
	case map[string]string:
		_, ok := sources[name]
		return ok
	case nil:
		return false
	}
	return true
}

func quoted(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(quoted, " or ")
}
