package pganon_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/internal/scope"
)

func identifyAs(id pganon.Identity, err error) func(*http.Request) (pganon.Identity, error) {
	return func(*http.Request) (pganon.Identity, error) { return id, err }
}

func TestMiddlewareRefuses(t *testing.T) {
	alice := pganon.Identity{User: "alice"}
	for _, tt := range []struct {
		name string
		id   pganon.Identity
		err  error
		want int
	}{
		{"no identity", pganon.Identity{}, pganon.ErrNoIdentity, 401},
		{"wrapped no identity", alice, fmt.Errorf("session %s: %w", valueCanary, pganon.ErrNoIdentity), 401},
		{"any error", alice, errors.New(valueCanary), 401},
		{"invalid", alice, fmt.Errorf("no tenant for %s: %w", valueCanary, pganon.ErrInvalidIdentity), 403},
		{"too late", alice, fmt.Errorf("look up %s: %w", valueCanary, context.DeadlineExceeded), 503},
		{"canceled", alice, context.Canceled, 503},
		{"empty", pganon.Identity{}, nil, 401},
		{"empty group", pganon.Identity{Groups: []string{""}}, nil, 401},
		{"NUL", pganon.Identity{User: valueCanary + "\x00"}, nil, 403},
		{"role none", pganon.Identity{User: "u", Role: "none"}, nil, 403},
		{"reserved setting", pganon.Identity{User: "u", Settings: map[string]string{"role": valueCanary}}, nil, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			called := false
			h := pganon.Middleware(identifyAs(tt.id, tt.err))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
			w := httptest.NewRecorder()
			w.Header().Set("WWW-Authenticate", "Bearer")
			h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			assert.False(t, called)
			assert.Equal(t, tt.want, w.Code)
			assert.Equal(t, http.StatusText(tt.want)+"\n", w.Body.String())
			assert.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
			assert.False(t, leaks(fmt.Sprint(w.Result().Header)))
		})
	}
}

func TestRefuseAs(t *testing.T) {
	errSuspended := errors.New("suspended")
	for _, tt := range []struct {
		name string
		err  error
		own  int
		want int
	}{
		{"an error of one's own", fmt.Errorf("%s: %w", valueCanary, errSuspended), 403, 403},
		{"server error", errSuspended, 500, 500},
		{"left alone", errSuspended, 0, 401},
		{"not a refusal: success", errSuspended, 200, 401},
		{"not a refusal: redirect", pganon.ErrInvalidIdentity, 302, 403},
		{"not a status", errSuspended, 600, 401},
		{"negative", pganon.ErrInvalidIdentity, -1, 403},
		{"one of Middleware's", nil, 418, 418}, // an empty identity
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked error
			statusOf := func(err error) int { asked = err; return tt.own }
			called := false
			h := pganon.Middleware(identifyAs(pganon.Identity{}, tt.err), pganon.RefuseAs(statusOf))(
				http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			assert.False(t, called)
			assert.Equal(t, tt.want, w.Code)
			assert.Equal(t, http.StatusText(tt.want)+"\n", w.Body.String())
			if tt.err != nil {
				assert.Equal(t, tt.err, asked)
			} else {
				assert.ErrorIs(t, asked, pganon.ErrInvalidIdentity)
			}
		})
	}
}

func TestLogRefusals(t *testing.T) {
	serve := func(id pganon.Identity, err error) string {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		h := pganon.Middleware(identifyAs(id, err), pganon.LogRefusals(logger))(http.NotFoundHandler())
		r := httptest.NewRequest("GET", "/"+valueCanary+"?token="+valueCanary, nil)
		r.Header.Set("Authorization", "Bearer "+valueCanary)
		h.ServeHTTP(httptest.NewRecorder(), r)
		assert.False(t, leaks(log.String()), log.String())
		return log.String()
	}
	const line = `level=INFO msg="pganon: request refused" status=%d error=#[0-9a-f]{12}%s` + "\n"
	first := serve(pganon.Identity{}, errors.New("no session "+valueCanary))
	assert.Regexp(t, "^"+fmt.Sprintf(line, 401, "")+"$", first)
	assert.Equal(t, first, serve(pganon.Identity{}, errors.New("no session "+valueCanary)), "one error, one hash")
	assert.NotEqual(t, first, serve(pganon.Identity{}, errors.New("no tenant "+valueCanary)))
	assert.Regexp(t, "^"+fmt.Sprintf(line, 403, "")+"$", serve(pganon.Identity{}, fmt.Errorf("%w: %s", pganon.ErrInvalidIdentity, valueCanary)),
		"a text around our error is not ours")
	assert.Regexp(t, "^"+fmt.Sprintf(line, 403, ` reason="user: it has a NUL byte"`)+"$", serve(pganon.Identity{User: valueCanary + "\x00"}, nil))
	assert.Regexp(t, "^"+fmt.Sprintf(line, 401, ` reason=".*"`)+"$", serve(pganon.Identity{}, nil))
	assert.Empty(t, serve(pganon.Identity{User: valueCanary}, nil), "what is let in is not logged")
}

func TestMiddlewareIdentifies(t *testing.T) {
	type key struct{}
	identify := func(r *http.Request) (pganon.Identity, error) {
		return pganon.Identity{User: r.Header.Get("X-User"), Tenant: "north"}, nil
	}
	var got context.Context
	var gotWriter http.ResponseWriter
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got, gotWriter = r.Context(), w })
	for name, handler := range map[string]http.Handler{
		"plain":          pganon.Middleware(identify)(h),
		"masked inside":  pganon.Middleware(identify)(pganon.MaskedHandler(h)),
		"masked outside": pganon.MaskedHandler(pganon.Middleware(identify)(h)),
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("X-User", "alice")
			r = r.WithContext(context.WithValue(pganon.System(r.Context(), "outer"), key{}, "kept"))
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			id, ok := pganon.IdentityFrom(got)
			require.True(t, ok)
			assert.True(t, same(pganon.Identity{User: "alice", Tenant: "north"}, id))
			assert.Equal(t, "kept", got.Value(key{}))
			assert.Same(t, w, gotWriter, "the writer is the server's own")
			var masks []string
			if name != "plain" {
				masks = []string{""}
			}
			assert.Equal(t, masks, scope.From(got).Masks)
			_, ok = pganon.IdentityFrom(r.Context())
			assert.False(t, ok, "the caller's request is the caller's")
		})
	}
}

func TestMaskedHandlerAlone(t *testing.T) {
	var got context.Context
	h := pganon.MaskedHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Context() }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	assert.Equal(t, []string{""}, scope.From(got).Masks)
	_, ok := pganon.IdentityFrom(got)
	assert.False(t, ok)
}

func TestMiddlewarePanics(t *testing.T) {
	assert.PanicsWithValue(t, "pganon: Middleware: identify is nil", func() { pganon.Middleware(nil) })

	called := false
	h := pganon.Middleware(func(*http.Request) (pganon.Identity, error) { panic(http.ErrAbortHandler) })(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) })
	assert.False(t, called)
}

// A handler streams and takes over connections as without the middleware, over real ones.
func TestMiddlewareStreams(t *testing.T) {
	mux := http.NewServeMux()
	proceed := make(chan struct{})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "first")
		w.(http.Flusher).Flush()
		<-proceed // a buffered first line would never let the client close this
		id, _ := pganon.IdentityFrom(r.Context())
		fmt.Fprintln(w, id.User)
	})
	mux.HandleFunc("/controller", func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		assert.NoError(t, c.EnableFullDuplex())
		assert.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
		assert.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Minute)))
		assert.NoError(t, c.Flush())
		id, _ := pganon.IdentityFrom(r.Context())
		fmt.Fprint(w, id.User)
	})
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		go func() { // as a websocket does, after the handler is done
			<-r.Context().Done()
			id, _ := pganon.IdentityFrom(r.Context())
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"+id.User)
			_ = conn.Close()
		}()
	})
	srv := httptest.NewServer(pganon.MaskedHandler(pganon.Middleware(identifyAs(pganon.Identity{User: "alice"}, nil))(mux)))
	defer srv.Close()

	resp, err := srv.Client().Get(srv.URL + "/stream")
	require.NoError(t, err)
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "first\n", line)
	close(proceed)
	line, err = lines.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "alice\n", line)

	for _, path := range []string{"/controller", "/hijack"} {
		resp, err = srv.Client().Get(srv.URL + path)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, "alice", string(body), path)
	}
}
