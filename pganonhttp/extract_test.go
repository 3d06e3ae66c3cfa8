package pganonhttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/pganonhttp"
)

var errStore = errors.New("the store is down")

func TestFirst(t *testing.T) {
	meg, anybody := fixed(pganon.Identity{User: "meg"}, nil), fixed(pganon.Identity{Groups: []string{"anonymous"}}, nil)
	nobody, zero := fixed(pganon.Identity{User: "eve"}, fmt.Errorf("no cookie: %w", pganon.ErrNoIdentity)), fixed(pganon.Identity{}, nil)
	never := func(*http.Request) (pganon.Identity, error) { panic("asked") }
	for _, tt := range []struct {
		name       string
		extractors []pganonhttp.Extractor
		want       pganon.Identity
		err        error
	}{
		{"the first", []pganonhttp.Extractor{meg, never}, pganon.Identity{User: "meg"}, nil},
		{"the second", []pganonhttp.Extractor{nobody, meg, never}, pganon.Identity{User: "meg"}, nil},
		{"an empty identity is none", []pganonhttp.Extractor{zero, nobody, anybody}, pganon.Identity{Groups: []string{"anonymous"}}, nil},
		{"none", []pganonhttp.Extractor{nobody, zero}, pganon.Identity{}, pganon.ErrNoIdentity},
		{"of none", nil, pganon.Identity{}, pganon.ErrNoIdentity},
		{"a refusal ends it", []pganonhttp.Extractor{fixed(pganon.Identity{User: "eve"}, pganon.ErrInvalidIdentity), never}, pganon.Identity{}, pganon.ErrInvalidIdentity},
		{"any other error ends it", []pganonhttp.Extractor{nobody, fixed(pganon.Identity{}, errStore), never}, pganon.Identity{}, errStore},
		{"refused for want of an identity", []pganonhttp.Extractor{fixed(pganon.Identity{}, errors.Join(pganon.ErrNoIdentity, pganon.ErrInvalidIdentity)), never},
			pganon.Identity{}, pganon.ErrInvalidIdentity},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, err := pganonhttp.First(tt.extractors...)(httptest.NewRequest("GET", "/", nil))
			assert.ErrorIs(t, err, tt.err)
			same(t, tt.want, id)
		})
	}
	assert.PanicsWithValue(t, "pganon: extractor 1 is nil", func() { pganonhttp.First(meg, nil) })
}

func TestAll(t *testing.T) {
	type identity = pganon.Identity
	setting := func(name, value string) map[string]string { return map[string]string{name: value} }
	for _, tt := range []struct {
		name string
		ids  []identity
		want identity
		in   string // what two differ in
	}{
		{"fields", []identity{{User: "meg"}, {Tenant: "north"}, {Groups: []string{"a"}}, {Role: "r"}, {Settings: setting("x", "1")}},
			identity{User: "meg", Tenant: "north", Groups: []string{"a"}, Role: "r", Settings: setting("x", "1")}, ""},
		{"what agrees", []identity{{User: "meg", Tenant: "n", Groups: []string{"a", "b"}, Settings: setting("x", "1")}, {User: "meg", Tenant: "n", Groups: []string{"b", "a"}, Settings: setting("x", "1")}},
			identity{User: "meg", Tenant: "n", Groups: []string{"a", "b"}, Settings: setting("x", "1")}, ""},
		{"settings", []identity{{User: "meg", Settings: setting("x", "1")}, {Settings: setting("y", "")}}, identity{User: "meg", Settings: map[string]string{"x": "1", "y": ""}}, ""},
		{"one", []identity{{User: "meg"}}, identity{User: "meg"}, ""},
		{"users", []identity{{User: "meg"}, {User: canary}}, identity{}, "the user"},
		{"tenants", []identity{{Tenant: "north"}, {User: "meg"}, {Tenant: canary}}, identity{}, "the tenant"},
		{"roles", []identity{{Role: "doctor"}, {Role: canary}}, identity{}, "the role"},
		{"more groups", []identity{{Groups: []string{"a"}}, {Groups: []string{"a", canary}}}, identity{}, "the groups"},
		{"fewer groups", []identity{{Groups: []string{"a", canary}}, {Groups: []string{"a"}}}, identity{}, "the groups"},
		{"setting", []identity{{Settings: setting("x", "1")}, {Settings: setting("x", canary)}}, identity{}, "a setting"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var extractors []pganonhttp.Extractor
			for _, id := range tt.ids {
				extractors = append(extractors, fixed(id, nil))
			}
			for range 2 { // what one request is told changes nothing for the next
				id, err := pganonhttp.All(extractors...)(httptest.NewRequest("GET", "/", nil))
				same(t, tt.want, id)
				if tt.in == "" {
					require.NoError(t, err)
					continue
				}
				assert.ErrorIs(t, err, pganon.ErrInvalidIdentity)
				assert.ErrorContains(t, err, "differ in "+tt.in)
				assert.NotContains(t, err.Error(), canary)
			}
		})
	}

	meg := fixed(pganon.Identity{User: "meg"}, nil)
	for name, want := range map[string]error{"none": pganon.ErrNoIdentity, "late": context.DeadlineExceeded, "refused": pganon.ErrInvalidIdentity} {
		id, err := pganonhttp.All(meg, fixed(pganon.Identity{Tenant: "north"}, want), meg)(httptest.NewRequest("GET", "/", nil))
		assert.Equal(t, want, err, name)
		same(t, pganon.Identity{}, id)
	}
	_, err := pganonhttp.All(meg, fixed(pganon.Identity{}, nil))(httptest.NewRequest("GET", "/", nil))
	assert.Equal(t, pganon.ErrNoIdentity, err)
	assert.PanicsWithValue(t, "pganon: extractor 0 is nil", func() { pganonhttp.All(nil) })
}

// Statuses of combinations, over a server.
func TestCombinedServed(t *testing.T) {
	bearer := func(r *http.Request) (pganon.Identity, error) {
		switch r.Header.Get("Authorization") {
		case "":
			return pganon.Identity{}, pganon.ErrNoIdentity
		case "Bearer meg":
			return pganon.Identity{User: "meg"}, nil
		}
		return pganon.Identity{}, errors.New("no such token")
	}
	server := serve(t, pganonhttp.First(bearer, fixed(pganon.Identity{User: "anonymous"}, nil)))
	for token, want := range map[string]string{"": "anonymous//", "Bearer meg": "meg//"} {
		status, body := ask(t, server.URL, func(r *http.Request) { r.Header.Set("Authorization", token) })
		assert.Equal(t, 200, status)
		assert.Equal(t, want, body)
	}
	status, _ := ask(t, server.URL, func(r *http.Request) { r.Header.Set("Authorization", "Bearer guess") })
	assert.Equal(t, 401, status, "a wrong token is not nobody's")
}
