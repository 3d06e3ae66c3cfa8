package pganonhttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/pganonhttp"
)

func TestSubdomain(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, tt := range []struct {
		base, host string
		want       string
		reason     string // of a refusal; neither: no identity
	}{
		{"example.com", "north.example.com", "north", ""},
		{"Example.COM", "NORTH.example.Com", "north", ""},
		{"example.com", "north-2.example.com", "north-2", ""},
		{"example.com", "1.example.com", "1", ""},
		{"example.com", long + ".example.com", long, ""},
		{"localhost", "north.localhost", "north", ""},
		{"localhost:8080", "north.localhost:8080", "north", ""},
		{"xn--mnchen-3ya.de", "north.xn--mnchen-3ya.de", "north", ""},

		{"example.com", "example.com", "", ""},
		{"localhost:8080", "localhost:8080", "", ""},

		{"example.com", "", "", "not a subdomain"},
		{"example.com", "example.org", "", "not a subdomain"},
		{"example.com", "north.example.org", "", "not a subdomain"},
		{"example.com", "northexample.com", "", "not a subdomain"},
		{"example.com", "north.example.com.evil.org", "", "not a subdomain"},
		{"example.com", "north.example.com.", "", "not a subdomain"},
		{"example.com", "example.com.", "", "not a subdomain"},
		{"example.com", "north.example.com:8080", "", "not a subdomain"},
		{"example.com", "north.example.com:", "", "not a subdomain"},
		{"localhost:8080", "north.localhost", "", "not a subdomain"},
		{"localhost:8080", "north.localhost:80", "", "not a subdomain"},
		{"example.com", "192.0.2.1", "", "not a subdomain"},
		{"example.com", "[2001:db8::1]:80", "", "not a subdomain"},
		{"example.com", "a.north.example.com", "", "more than one label"},
		{"example.com", "north..example.com", "", "more than one label"},
		{"example.com", ".example.com", "", "plain letters"},
		{"example.com", "-north.example.com", "", "plain letters"},
		{"example.com", "north-.example.com", "", "plain letters"},
		{"example.com", "nor_th.example.com", "", "plain letters"},
		{"example.com", "nor th.example.com", "", "plain letters"},
		{"example.com", "user@north.example.com", "", "plain letters"},
		{"example.com", "north/x.example.com", "", "plain letters"},
		{"example.com", "xn--mnchen-3ya.example.com", "", "plain letters"},
		{"example.com", "XN--MNCHEN-3YA.example.com", "", "plain letters"},
		{"example.com", "münchen.example.com", "", "plain letters"},
		{"example.com", "north\x00.example.com", "", "plain letters"},
		{"example.com", "\u212aelvin.example.com", "", "plain letters"}, // the Kelvin sign lower-cases to k
		{"example.com", long + "a.example.com", "", "plain letters"},
	} {
		t.Run(tt.host+" of "+tt.base, func(t *testing.T) {
			extract, err := pganonhttp.Subdomain(tt.base)
			require.NoError(t, err)
			r := httptest.NewRequest("GET", "/", nil)
			r.Host = tt.host
			id, err := extract(r)
			switch {
			case tt.reason != "":
				assert.ErrorIs(t, err, pganon.ErrInvalidIdentity)
				assert.ErrorContains(t, err, tt.reason)
				same(t, pganon.Identity{}, id)
			case tt.want == "":
				assert.Equal(t, pganon.ErrNoIdentity, err)
			default:
				assert.NoError(t, err)
				same(t, pganon.Identity{Tenant: tt.want}, id)
			}
		})
	}
}

func TestSubdomainBase(t *testing.T) {
	for _, base := range []string{
		"", ".", ".example.com", "example.com.", "exa mple.com", "https://example.com", "example.com/", "*.example.com", "münchen.de",
		"192.0.2.1", "192.0.2.1:80", "[::1]", "::1", "example.com:", "example.com:0", "example.com:080", "example.com:65536", "example.com:http",
		strings.Repeat("a.", 126) + "a",
	} {
		_, err := pganonhttp.Subdomain(base)
		assert.ErrorContains(t, err, "pganon: subdomain: base: ", base)
	}
}

func TestSubdomainServed(t *testing.T) {
	subdomain, err := pganonhttp.Subdomain("example.com")
	require.NoError(t, err)
	server := serve(t, pganonhttp.All(fixed(pganon.Identity{User: "meg", Tenant: "north"}, nil), subdomain))
	for host, want := range map[string]int{
		"north.example.com": 200, "south.example.com": 403, "example.com": 401, "north.example.com:80": 403, "north.example.com.": 403,
		"x.north.example.com": 403, "": 403, "xn--mnchen-3ya.example.com": 403,
	} {
		status, body := ask(t, server.URL, func(r *http.Request) { r.Host = host })
		assert.Equal(t, want, status, host)
		if want == 200 {
			assert.Equal(t, "meg/north/", body)
		}
	}
}
