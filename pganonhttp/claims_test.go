package pganonhttp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/pganonhttp"
)

type claimsKey struct{}

func fromContext(ctx context.Context) (map[string]any, bool) {
	claims, ok := ctx.Value(claimsKey{}).(map[string]any)
	return claims, ok
}

func TestClaims(t *testing.T) {
	own := pganonhttp.Claims{
		User: []string{"email", "upn"}, Tenant: []string{"https://example.com/tenant"}, Groups: []string{"cognito:groups", "scope"},
		Settings: map[string]string{"region": "region", "age": "app.age"},
	}
	none := []string{}
	type identity = pganon.Identity
	for _, tt := range []struct {
		name   string
		config pganonhttp.Claims
		claims string // JSON, as a token has it
		want   identity
		reason string // of a refusal
	}{
		{"usual", pganonhttp.Claims{}, `{"sub":"meg","tenant":"north","groups":["doctors","staff"],"iat":1}`,
			identity{User: "meg", Tenant: "north", Groups: []string{"doctors", "staff"}}, ""},
		{"tenant_id", pganonhttp.Claims{}, `{"sub":"meg","tenant_id":"north"}`, identity{User: "meg", Tenant: "north"}, ""},
		{"org_id", pganonhttp.Claims{}, `{"sub":"meg","org_id":17}`, identity{User: "meg", Tenant: "17"}, ""},
		{"tenants that agree", pganonhttp.Claims{}, `{"sub":"meg","org_id":17,"tenant":"17"}`, identity{User: "meg", Tenant: "17"}, ""},
		{"tenants that differ", pganonhttp.Claims{}, `{"sub":"meg","org_id":"valueC4N4RY","tenant":"17"}`, identity{}, `claims "tenant" and "org_id" differ`},
		{"tenants of which one is empty", pganonhttp.Claims{}, `{"sub":"meg","tenant":"","org_id":"17","tenant_id":null}`, identity{User: "meg", Tenant: "17"}, ""},
		{"roles with spaces", pganonhttp.Claims{}, `{"sub":"meg","roles":" doctors  staff "}`, identity{User: "meg", Groups: []string{"doctors", "staff"}}, ""},
		{"groups and roles", pganonhttp.Claims{}, `{"sub":"meg","groups":["a","b"],"roles":["b","c",""]}`, identity{User: "meg", Groups: []string{"a", "b", "c"}}, ""},
		{"a group with a space in a list", pganonhttp.Claims{}, `{"sub":"meg","groups":["night shift"]}`, identity{User: "meg", Groups: []string{"night shift"}}, ""},
		{"number", pganonhttp.Claims{}, `{"sub":42}`, identity{User: "42"}, ""},
		{"negative number", pganonhttp.Claims{}, `{"sub":-42}`, identity{User: "-42"}, ""},
		{"nothing but a user is needed", pganonhttp.Claims{}, `{"sub":"meg"}`, identity{User: "meg"}, ""},
		{"names of one's own", own, `{"sub":"x","email":"meg@example.com","https://example.com/tenant":"n","cognito:groups":["a"],"scope":"b c","region":"eu","age":7}`,
			identity{User: "meg@example.com", Tenant: "n", Groups: []string{"a", "b", "c"}, Settings: map[string]string{"region": "eu", "app.age": "7"}}, ""},
		{"names of one's own, without settings", own, `{"upn":"meg","region":""}`, identity{User: "meg"}, ""},
		{"users that differ", own, `{"email":"meg","upn":"jim"}`, identity{}, `claims "email" and "upn" differ`},
		{"no user wanted", pganonhttp.Claims{User: none}, `{"sub":"meg","tenant":"north"}`, identity{Tenant: "north"}, ""},
		{"no tenant, no groups wanted", pganonhttp.Claims{Tenant: none, Groups: none}, `{"sub":"meg","tenant":[],"groups":7}`, identity{User: "meg"}, ""},

		{"no user", pganonhttp.Claims{}, `{"tenant":"valueC4N4RY"}`, identity{}, `no claim "sub"`},
		{"no user of two", own, `{"sub":"valueC4N4RY"}`, identity{}, `no claim "email" or "upn"`},
		{"empty user", pganonhttp.Claims{}, `{"sub":""}`, identity{}, `no claim "sub"`},
		{"empty token", pganonhttp.Claims{}, `{}`, identity{}, `no claim "sub"`},
		{"user is a list", pganonhttp.Claims{}, `{"sub":["valueC4N4RY"]}`, identity{}, `claim "sub" is neither`},
		{"user is a fraction", pganonhttp.Claims{}, `{"sub":4.5}`, identity{}, `claim "sub" is neither`},
		{"user is a flag", pganonhttp.Claims{}, `{"sub":true}`, identity{}, `claim "sub" is neither`},
		{"two users that are one float64", pganonhttp.Claims{}, `{"sub":9007199254740993}`, identity{}, `claim "sub" is neither`},
		{"huge", pganonhttp.Claims{}, `{"sub":1e300}`, identity{}, `claim "sub" is neither`},
		{"tenant is an object", pganonhttp.Claims{}, `{"sub":"meg","tenant":{"id":"valueC4N4RY"}}`, identity{}, `claim "tenant" is neither`},
		{"group is a number", pganonhttp.Claims{}, `{"sub":"meg","groups":["a",7]}`, identity{}, `claim "groups" has an element`},
		{"groups are an object", pganonhttp.Claims{}, `{"sub":"meg","groups":{"valueC4N4RY":true}}`, identity{}, `claim "groups" is neither`},
		{"setting is a list", own, `{"email":"meg","region":["valueC4N4RY"]}`, identity{}, `claim "region" is neither`},
		{"groups elsewhere", pganonhttp.Claims{}, `{"sub":"meg","_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{}}}`, identity{}, `claim "groups" is kept elsewhere`},
		{"tenant elsewhere", pganonhttp.Claims{}, `{"sub":"meg","_claim_names":{"org_id":"src1"}}`, identity{}, `claim "org_id" is kept elsewhere`},
		{"who knows what elsewhere", pganonhttp.Claims{}, `{"sub":"meg","_claim_names":["groups"]}`, identity{}, `is kept elsewhere`},
		{"something else elsewhere", pganonhttp.Claims{}, `{"sub":"meg","_claim_names":{"picture":"src1"}}`, identity{User: "meg"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, numbers := range []bool{false, true} {
				var claims map[string]any
				d := json.NewDecoder(strings.NewReader(tt.claims))
				if numbers {
					d.UseNumber()
				}
				require.NoError(t, d.Decode(&claims))
				if numbers && tt.name == "two users that are one float64" {
					continue // then they are two
				}
				r := httptest.NewRequest("GET", "/", nil)
				id, err := tt.config.Extractor(fromContext)(r.WithContext(context.WithValue(r.Context(), claimsKey{}, claims)))
				same(t, tt.want, id)
				if tt.reason == "" {
					assert.NoError(t, err)
					continue
				}
				assert.ErrorIs(t, err, pganon.ErrInvalidIdentity)
				assert.ErrorContains(t, err, tt.reason)
				assert.NotContains(t, err.Error(), canary)
			}
		})
	}
}

// Claims that a library did not read from JSON.
func TestClaimsOfGo(t *testing.T) {
	for _, user := range []any{"7", 7, int64(7), 7.0, json.Number("7")} {
		claims := map[string]any{"sub": user, "groups": []string{"a", "a", "b"}, "_claim_names": map[string]string{"x": "y"}}
		id, err := pganonhttp.Claims{}.Extractor(func(context.Context) (map[string]any, bool) { return claims, true })(httptest.NewRequest("GET", "/", nil))
		require.NoError(t, err)
		same(t, pganon.Identity{User: "7", Groups: []string{"a", "b"}}, id)
	}
}

func TestClaimsWithoutToken(t *testing.T) {
	_, err := pganonhttp.Claims{}.Extractor(fromContext)(httptest.NewRequest("GET", "/", nil))
	assert.ErrorIs(t, err, pganon.ErrNoIdentity)
	assert.PanicsWithValue(t, "pganon: Claims.Extractor: verified is nil", func() { pganonhttp.Claims{}.Extractor(nil) })
}

func TestClaimsServed(t *testing.T) {
	extract := pganonhttp.Claims{}.Extractor(fromContext)
	server := httptest.NewServer(verified(pganon.Middleware(extract)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := pganon.IdentityFrom(r.Context())
		_, _ = w.Write([]byte(id.User))
	}))))
	defer server.Close()
	for token, want := range map[string]int{"": 401, `{"sub":"meg"}`: 200, `{"sub":[]}`: 403, `{"sub":"a\u0000b"}`: 403} {
		status, body := ask(t, server.URL, func(r *http.Request) { r.Header.Set("Authorization", token) })
		assert.Equal(t, want, status, token)
		if want == 200 {
			assert.Equal(t, "meg", body)
		}
	}
}

// verified stands for the middleware of a JWT library.
func verified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var claims map[string]any
		if json.Unmarshal([]byte(r.Header.Get("Authorization")), &claims) == nil {
			r = r.WithContext(context.WithValue(r.Context(), claimsKey{}, claims))
		}
		next.ServeHTTP(w, r)
	})
}
