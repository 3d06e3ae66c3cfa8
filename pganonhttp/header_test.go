package pganonhttp_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/pganonhttp"
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

var everyHeader = pganonhttp.ProxyHeaders{
	Trusted: prefixes("10.0.3.0/28", "fd00::/64"), User: "x-forwarded-user", Tenant: "X-Forwarded-Tenant", Groups: "X-Forwarded-Groups",
}

func TestProxyHeaders(t *testing.T) {
	user := everyHeader
	user.Tenant, user.Groups = "", ""
	const (
		ours    = "10.0.3.4:1"
		theirs  = "192.0.2.7:1"
		untruth = "not among the trusted"
	)
	type identity = pganon.Identity
	type header = http.Header
	for _, tt := range []struct {
		name   string
		config pganonhttp.ProxyHeaders
		peer   string
		header header
		want   identity
		err    error
		reason string
	}{
		{"user", user, ours, header{"X-Forwarded-User": {"meg"}}, identity{User: "meg"}, nil, ""},
		{"other headers mean nothing", user, ours, header{"X-Forwarded-User": {"meg"}, "X-Forwarded-Groups": {"admin"}, "X-Forwarded-Tenant": {"a", "b"}}, identity{User: "meg"}, nil, ""},
		{"another spelling is another header", user, ours, header{"X_forwarded_user": {"eve"}}, identity{}, pganon.ErrNoIdentity, ""},
		{"all", everyHeader, ours, header{"X-Forwarded-User": {" meg "}, "X-Forwarded-Tenant": {"north"}, "X-Forwarded-Groups": {"doctors, night shift,,"}},
			identity{User: "meg", Tenant: "north", Groups: []string{"doctors", "night shift"}}, nil, ""},
		{"no groups", everyHeader, ours, header{"X-Forwarded-User": {"meg"}, "X-Forwarded-Tenant": {"north"}, "X-Forwarded-Groups": {""}}, identity{User: "meg", Tenant: "north"}, nil, ""},
		{"IPv6", user, "[fd00::9]:1", header{"X-Forwarded-User": {"meg"}}, identity{User: "meg"}, nil, ""},
		{"IPv4 in IPv6", user, "[::ffff:10.0.3.4]:1", header{"X-Forwarded-User": {"meg"}}, identity{User: "meg"}, nil, ""},

		{"nothing", everyHeader, ours, header{}, identity{}, pganon.ErrNoIdentity, ""},
		{"nothing, from anybody", everyHeader, theirs, header{"Authorization": {"x"}}, identity{}, pganon.ErrNoIdentity, ""},
		{"empty user", user, ours, header{"X-Forwarded-User": {""}}, identity{}, pganon.ErrNoIdentity, ""},
		{"no user", everyHeader, ours, header{"X-Forwarded-Tenant": {"north"}, "X-Forwarded-Groups": {"a"}}, identity{}, pganon.ErrNoIdentity, ""},

		{"spoofed", user, theirs, header{"X-Forwarded-User": {canary}}, identity{}, pganon.ErrInvalidIdentity, untruth},
		{"spoofed, empty", user, theirs, header{"X-Forwarded-User": {""}}, identity{}, pganon.ErrInvalidIdentity, untruth},
		{"spoofed groups", everyHeader, theirs, header{"X-Forwarded-Groups": {canary}}, identity{}, pganon.ErrInvalidIdentity, untruth},
		{"spoofed tenant", everyHeader, theirs, header{"X-Forwarded-Tenant": {canary}}, identity{}, pganon.ErrInvalidIdentity, untruth},
		{"one beyond the prefix", user, "10.0.3.16:1", header{"X-Forwarded-User": {canary}}, identity{}, pganon.ErrInvalidIdentity, untruth},
		{"IPv6 with a zone", user, "[fd00::9%eth0]:1", header{"X-Forwarded-User": {canary}}, identity{}, pganon.ErrInvalidIdentity, untruth},
		{"Unix domain socket", user, "@", header{"X-Forwarded-User": {canary}}, identity{}, pganon.ErrInvalidIdentity, untruth},
		{"no peer", user, "", header{"X-Forwarded-User": {canary}}, identity{}, pganon.ErrInvalidIdentity, untruth},
		{"peer without port", user, "10.0.3.4", header{"X-Forwarded-User": {canary}}, identity{}, pganon.ErrInvalidIdentity, untruth},
		{"a forwarded address is not a peer", user, theirs, header{"X-Forwarded-User": {canary}, "X-Forwarded-For": {"10.0.3.4"}, "Forwarded": {"for=10.0.3.4"}, "X-Real-Ip": {"10.0.3.4"}},
			identity{}, pganon.ErrInvalidIdentity, untruth},

		{"twice", user, ours, header{"X-Forwarded-User": {canary, "meg"}}, identity{}, pganon.ErrInvalidIdentity, "sent 2 times"},
		{"twice the same", user, ours, header{"X-Forwarded-User": {"meg", "meg"}}, identity{}, pganon.ErrInvalidIdentity, "sent 2 times"},
		{"groups twice", everyHeader, ours, header{"X-Forwarded-User": {"meg"}, "X-Forwarded-Tenant": {"n"}, "X-Forwarded-Groups": {"admin", "analysts"}}, identity{}, pganon.ErrInvalidIdentity, "sent 2 times"},
		{"joined", user, ours, header{"X-Forwarded-User": {canary + ", meg"}}, identity{}, pganon.ErrInvalidIdentity, "comma"},
		{"joined tenant", everyHeader, ours, header{"X-Forwarded-User": {"meg"}, "X-Forwarded-Tenant": {"n,s"}, "X-Forwarded-Groups": {""}}, identity{}, pganon.ErrInvalidIdentity, "comma"},
		{"groups dropped on the way", everyHeader, ours, header{"X-Forwarded-User": {"meg"}, "X-Forwarded-Tenant": {"n"}}, identity{}, pganon.ErrInvalidIdentity, "X-Forwarded-Groups: the proxy has not"},
		{"tenant dropped on the way", everyHeader, ours, header{"X-Forwarded-User": {"meg"}, "X-Forwarded-Groups": {"a"}}, identity{}, pganon.ErrInvalidIdentity, "X-Forwarded-Tenant: the proxy has not"},
		{"empty tenant", everyHeader, ours, header{"X-Forwarded-User": {"meg"}, "X-Forwarded-Groups": {"a"}, "X-Forwarded-Tenant": {""}}, identity{}, pganon.ErrInvalidIdentity, "X-Forwarded-Tenant: the proxy has not"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			extract, err := tt.config.Extractor()
			require.NoError(t, err)
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr, r.Header = tt.peer, tt.header
			id, err := extract(r)
			same(t, tt.want, id)
			if tt.err == nil {
				assert.NoError(t, err)
				return
			}
			assert.ErrorIs(t, err, tt.err)
			assert.ErrorContains(t, err, tt.reason)
			assert.NotContains(t, err.Error(), canary)
		})
	}
}

func TestProxyHeadersConfig(t *testing.T) {
	for want, config := range map[string]pganonhttp.ProxyHeaders{
		"Trusted is empty":                 {User: "X-Forwarded-User"},
		"invalid Prefix matches no":        {User: "X-Forwarded-User", Trusted: []netip.Prefix{{}}},
		"::ffff:10.0.0.0/104 matches no":   {User: "X-Forwarded-User", Trusted: prefixes("::ffff:10.0.0.0/104")},
		"User is empty":                    {Tenant: "X-Forwarded-Tenant", Trusted: prefixes("10.0.0.0/8")},
		`"X Forwarded" is not the name`:    {User: "X Forwarded", Trusted: prefixes("10.0.0.0/8")},
		`"X-Tenant:" is not the name`:      {User: "X-User", Tenant: "X-Tenant:", Trusted: prefixes("10.0.0.0/8")},
		"X-User cannot have this part too": {User: "X-User", Groups: "x-user", Trusted: prefixes("10.0.0.0/8")},
		"Host cannot have this part too":   {User: "X-User", Tenant: "host", Trusted: prefixes("10.0.0.0/8")},
	} {
		_, err := config.Extractor()
		assert.ErrorContains(t, err, "pganon: proxy headers: ")
		assert.ErrorContains(t, err, want)
	}
}

// What the caller does with its list later changes nothing.
func TestProxyHeadersKeepTheirTrust(t *testing.T) {
	trusted := prefixes("10.0.0.0/8")
	extract, err := pganonhttp.ProxyHeaders{Trusted: trusted, User: "X-User"}.Extractor()
	require.NoError(t, err)
	trusted[0] = netip.MustParsePrefix("192.0.2.0/24")
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-User", "meg")
	_, err = extract(r) // of 192.0.2.1
	assert.ErrorIs(t, err, pganon.ErrInvalidIdentity)
}

// A real proxy before a real server, with clients that try it through the proxy and past it.
func TestProxyHeadersServed(t *testing.T) {
	loopback := everyHeader
	loopback.Trusted = prefixes("127.0.0.0/8", "::1/128")
	trusting, err := loopback.Extractor()
	require.NoError(t, err)
	distrusting, err := everyHeader.Extractor()
	require.NoError(t, err)
	behind, open := serve(t, trusting), serve(t, distrusting)

	target, err := url.Parse(behind.URL)
	require.NoError(t, err)
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		for _, name := range []string{"X-Forwarded-User", "X-Forwarded-Tenant", "X-Forwarded-Groups"} {
			r.Out.Header.Del(name)
		}
		if user, _, ok := r.In.BasicAuth(); ok {
			r.Out.Header.Set("X-Forwarded-User", user)
			r.Out.Header.Set("X-Forwarded-Tenant", "north")
			r.Out.Header.Set("X-Forwarded-Groups", "analysts")
		}
	}})
	defer front.Close()

	spoof := func(r *http.Request) {
		r.Header.Set("X-Forwarded-User", "root")
		r.Header.Set("X-Forwarded-Tenant", "south")
		r.Header.Set("X-Forwarded-Groups", "admins")
		r.Header.Set("X-Forwarded-For", "10.0.3.4")
	}
	for _, tt := range []struct {
		name   string
		url    string
		change func(*http.Request)
		status int
		body   string
	}{
		{"through the proxy", front.URL, func(r *http.Request) { r.SetBasicAuth("meg", "x") }, 200, "meg/north/analysts"},
		{"through the proxy, spoofing", front.URL, func(r *http.Request) { spoof(r); r.SetBasicAuth("meg", "x") }, 200, "meg/north/analysts"},
		{"through the proxy, unknown", front.URL, nil, 401, ""},
		{"through the proxy, unknown and spoofing", front.URL, spoof, 401, ""},
		{"through the proxy, has it drop a header", front.URL, func(r *http.Request) {
			r.SetBasicAuth("meg", "x")
			r.Header.Set("Connection", "X-Forwarded-Groups")
		}, 200, "meg/north/analysts"},
		{"past it, spoofing", open.URL, spoof, 403, ""},
		{"past it", open.URL, nil, 401, ""},
		{"a proxy in between dropped the groups", behind.URL, func(r *http.Request) { spoof(r); r.Header.Del("X-Forwarded-Groups") }, 403, ""},
		{"a proxy that adds instead of replacing", behind.URL, func(r *http.Request) { spoof(r); r.Header.Add("X-Forwarded-User", "meg") }, 403, ""},
		{"not UTF-8", behind.URL, func(r *http.Request) { spoof(r); r.Header.Set("X-Forwarded-User", "m\xe9g") }, 403, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := ask(t, tt.url, tt.change)
			assert.Equal(t, tt.status, status)
			assert.Equal(t, tt.body, body)
		})
	}
}
