package pganonhttp_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/pganonhttp"
)

// canary must be in no error.
const canary = "valueC4N4RY"

func same(t *testing.T, want, got pganon.Identity, name ...any) {
	t.Helper()
	assert.True(t, want.User == got.User && want.Tenant == got.Tenant && want.Role == got.Role && slices.Equal(want.Groups, got.Groups) &&
		maps.Equal(want.Settings, got.Settings), append([]any{"want %#v, got %#v", plain(want), plain(got)}, name...)...)
}

type plain pganon.Identity // prints its values

// serve returns a server whose handler answers with the identity that extract finds.
func serve(t *testing.T, extract pganonhttp.Extractor) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(pganon.Middleware(extract)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := pganon.IdentityFrom(r.Context())
		_, _ = io.WriteString(w, id.User+"/"+id.Tenant+"/"+strings.Join(id.Groups, "+"))
	})))
	t.Cleanup(server.Close)
	return server
}

// ask sends a request and returns the status, and the body of a 200.
func ask(t *testing.T, url string, change func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	require.NoError(t, err)
	if change != nil {
		change(r)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if resp.StatusCode != http.StatusOK {
		assert.Equal(t, http.StatusText(resp.StatusCode)+"\n", string(body))
		return resp.StatusCode, ""
	}
	return resp.StatusCode, string(body)
}

func fixed(id pganon.Identity, err error) pganonhttp.Extractor {
	return func(*http.Request) (pganon.Identity, error) { return id, err }
}
