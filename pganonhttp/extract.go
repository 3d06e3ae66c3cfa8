package pganonhttp

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/internal/guc"
	"github.com/pganon/pganon/internal/refusal"
)

// Extractor finds the identity of a request: it is what [pganon.Middleware] takes. It returns [pganon.ErrNoIdentity] where the
// request says nothing of it, and another error where it must be refused.
type Extractor func(*http.Request) (pganon.Identity, error)

// First returns an extractor that asks each of extractors in turn, until one knows the identity or refuses the request. Only
// [pganon.ErrNoIdentity] and an empty Identity let the next one try: who comes with a token that is wrong is not let in as
// somebody else.
func First(extractors ...Extractor) Extractor {
	must(extractors)
	return func(r *http.Request) (pganon.Identity, error) {
		for _, extract := range extractors {
			id, err := extract(r)
			switch {
			case err == nil && !empty(id):
				return id, nil
			case err != nil && (!errors.Is(err, pganon.ErrNoIdentity) || errors.Is(err, pganon.ErrInvalidIdentity)):
				return pganon.Identity{}, err
			}
		}
		return pganon.Identity{}, pganon.ErrNoIdentity
	}
}

// All returns an extractor of what extractors say together. Each of them must know something, and no two may say different
// things of one field: that is refused.
func All(extractors ...Extractor) Extractor {
	must(extractors)
	return func(r *http.Request) (pganon.Identity, error) {
		var all pganon.Identity
		for _, extract := range extractors {
			id, err := extract(r)
			if err == nil && empty(id) {
				err = pganon.ErrNoIdentity
			}
			if err == nil {
				all, err = merge(all, id)
			}
			if err != nil {
				return pganon.Identity{}, err
			}
		}
		return all, nil
	}
}

func must(extractors []Extractor) {
	for i, extract := range extractors {
		if extract == nil {
			panic(fmt.Sprintf("pganon: extractor %d is nil", i))
		}
	}
}

func empty(id pganon.Identity) bool {
	return guc.Check(id.User, id.Tenant, id.Groups, id.Role, id.Settings) == guc.ErrEmpty
}

// merge returns what a and b say together. It does not change either.
func merge(a, b pganon.Identity) (pganon.Identity, error) {
	for _, field := range []struct {
		name string
		a    *string
		b    string
	}{
		{"user", &a.User, b.User},
		{"tenant", &a.Tenant, b.Tenant},
		{"role", &a.Role, b.Role},
	} {
		switch {
		case *field.a == "":
			*field.a = field.b
		case field.b != "" && field.b != *field.a:
			return a, refused("two extractors differ in the %s", field.name)
		}
	}
	switch {
	case len(a.Groups) == 0:
		a.Groups = b.Groups
	case len(b.Groups) > 0 && !sameSet(a.Groups, b.Groups):
		return a, refused("two extractors differ in the groups")
	}
	if len(b.Settings) > 0 {
		a.Settings = maps.Clone(a.Settings)
		if a.Settings == nil {
			a.Settings = make(map[string]string, len(b.Settings))
		}
		for name, value := range b.Settings {
			if have, ok := a.Settings[name]; ok && have != value {
				return a, refused("two extractors differ in a setting")
			}
			a.Settings[name] = value
		}
	}
	return a, nil
}

func sameSet(a, b []string) bool {
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) }) &&
		!slices.ContainsFunc(b, func(s string) bool { return !slices.Contains(a, s) })
}

// refused returns an error about a request. What is put into its text is a name out of the configuration.
func refused(format string, args ...any) error {
	return refusal.New(pganon.ErrInvalidIdentity, fmt.Errorf(format, args...))
}
