package pganonhttp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/pganonhttp"
)

type finder = func(context.Context, string) (pganon.Identity, error)

func newLookup(t *testing.T, find finder, cfg pganonhttp.LookupConfig) *pganonhttp.Lookup {
	t.Helper()
	l, err := pganonhttp.NewLookup(find, cfg)
	require.NoError(t, err)
	return l
}

// counted finds a user of the key's name and counts.
func counted(calls *atomic.Int32) finder {
	return func(_ context.Context, key string) (pganon.Identity, error) {
		n := calls.Add(1)
		return pganon.Identity{User: key, Groups: []string{"call " + strconv.Itoa(int(n))}, Settings: map[string]string{"x": "1"}}, nil
	}
}

func TestLookupRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		l := newLookup(t, counted(&calls), pganonhttp.LookupConfig{})
		for range 70 { // a session in use is asked about again all the same
			id, err := l.Identity(t.Context(), "meg")
			require.NoError(t, err)
			assert.Equal(t, "meg", id.User)
			time.Sleep(time.Second)
		}
		assert.EqualValues(t, 2, calls.Load(), "once a minute")
		time.Sleep(time.Minute)
		_, err := l.Identity(t.Context(), "meg")
		require.NoError(t, err)
		assert.EqualValues(t, 3, calls.Load())
		_, err = l.Identity(t.Context(), "jim")
		require.NoError(t, err)
		assert.EqualValues(t, 4, calls.Load())
	})
}

func TestLookupSize(t *testing.T) {
	var calls atomic.Int32
	l := newLookup(t, counted(&calls), pganonhttp.LookupConfig{Size: 2, TTL: time.Hour})
	for _, ask := range []struct {
		key  string
		want int32
	}{{"a", 1}, {"b", 2}, {"a", 2}, {"c", 3}, {"a", 3}, {"b", 4}, {"c", 5}} {
		_, err := l.Identity(t.Context(), ask.key)
		require.NoError(t, err)
		assert.Equal(t, ask.want, calls.Load(), ask.key)
	}
}

// What one caller does to its identity, or find to what it gave, is nothing to the next.
func TestLookupGivesCopies(t *testing.T) {
	kept := pganon.Identity{User: "meg", Groups: []string{"doctors"}, Settings: map[string]string{"x": "1"}}
	want := pganon.Identity{User: "meg", Groups: []string{"doctors"}, Settings: map[string]string{"x": "1"}}
	l := newLookup(t, func(context.Context, string) (pganon.Identity, error) { return kept, nil }, pganonhttp.LookupConfig{})
	for range 3 {
		id, err := l.Identity(t.Context(), "k")
		require.NoError(t, err)
		same(t, want, id)
		id.Groups[0], id.Settings["x"], id.Settings["y"] = "admins", "2", "3"
		kept.Groups[0], kept.Settings["x"] = "admins", "2"
	}
}

func TestLookupAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		proceed := make(chan struct{})
		l := newLookup(t, func(ctx context.Context, key string) (pganon.Identity, error) {
			<-proceed
			return counted(&calls)(ctx, key)
		}, pganonhttp.LookupConfig{})
		var all sync.WaitGroup
		ids := make([]pganon.Identity, 50)
		for i := range ids {
			all.Go(func() {
				var err error
				ids[i], err = l.Identity(t.Context(), "meg")
				assert.NoError(t, err)
			})
		}
		synctest.Wait()
		close(proceed)
		all.Wait()
		assert.EqualValues(t, 1, calls.Load())
		for i := range ids {
			assert.Equal(t, "call 1", ids[i].Groups[0])
			ids[i].Groups[0] = "changed" // those who waited together have a copy each
		}
	})
}

func TestLookupErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		id   pganon.Identity
		err  error
		want error
	}{
		"error":          {pganon.Identity{User: "eve"}, errStore, errStore},
		"empty identity": {pganon.Identity{Groups: []string{""}}, nil, pganon.ErrNoIdentity},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			l := newLookup(t, func(context.Context, string) (pganon.Identity, error) {
				if calls++; calls < 3 {
					return tt.id, tt.err
				}
				return pganon.Identity{User: "meg"}, nil
			}, pganonhttp.LookupConfig{})
			for range 2 {
				id, err := l.Identity(t.Context(), "k")
				assert.Equal(t, tt.want, err)
				same(t, pganon.Identity{}, id)
			}
			id, err := l.Identity(t.Context(), "k")
			require.NoError(t, err)
			assert.Equal(t, "meg", id.User)
		})
	}
	l := newLookup(t, func(context.Context, string) (pganon.Identity, error) { panic("asked") }, pganonhttp.LookupConfig{})
	_, err := l.Identity(t.Context(), "")
	assert.Equal(t, pganon.ErrNoIdentity, err)
}

// The first of those who wait may go; find goes on for the others, and has nothing of anybody's request.
func TestLookupIsNobodysRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		proceed := make(chan struct{})
		l := newLookup(t, func(ctx context.Context, _ string) (pganon.Identity, error) {
			<-proceed
			assert.Nil(t, ctx.Value(key{}))
			_, known := pganon.IdentityFrom(ctx)
			assert.False(t, known)
			_, limited := ctx.Deadline()
			assert.True(t, limited)
			return pganon.Identity{User: "meg"}, ctx.Err()
		}, pganonhttp.LookupConfig{})
		first, leave := context.WithCancel(pganon.Masked(pganon.WithIdentity(context.WithValue(t.Context(), key{}, 1), pganon.Identity{User: "jim"})))
		var both sync.WaitGroup
		both.Go(func() {
			_, err := l.Identity(first, "k")
			assert.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		both.Go(func() {
			id, err := l.Identity(t.Context(), "k")
			assert.NoError(t, err)
			assert.Equal(t, "meg", id.User)
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		close(proceed)
		both.Wait()
	})
}

func TestLookupTimeout(t *testing.T) {
	for want, cfg := range map[time.Duration]pganonhttp.LookupConfig{10 * time.Second: {}, time.Second: {Timeout: time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			obeys := func(ctx context.Context, _ string) (pganon.Identity, error) {
				<-ctx.Done()
				return pganon.Identity{}, ctx.Err()
			}
			start := time.Now()
			_, err := newLookup(t, obeys, cfg).Identity(t.Context(), "k")
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, want, time.Since(start))

			calls := 0
			l := newLookup(t, func(context.Context, string) (pganon.Identity, error) {
				if calls++; calls == 1 {
					time.Sleep(time.Hour) // does not obey
				}
				return pganon.Identity{User: "meg"}, nil
			}, cfg)
			start = time.Now()
			_, err = l.Identity(t.Context(), "k")
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, want, time.Since(start))
			time.Sleep(time.Hour)
			_, err = l.Identity(t.Context(), "k")
			assert.NoError(t, err)
			assert.Equal(t, 2, calls, "what was found an hour ago is not remembered from now on")
		})
	}
}

// A look-up that began before Forget is not remembered after it, nor joined.
func TestLookupForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var user atomic.Value
		user.Store("meg")
		var calls atomic.Int32
		proceed := make(chan struct{})
		l := newLookup(t, func(context.Context, string) (pganon.Identity, error) {
			calls.Add(1)
			id := pganon.Identity{User: user.Load().(string)}
			<-proceed
			return id, nil
		}, pganonhttp.LookupConfig{TTL: time.Hour})
		var all sync.WaitGroup
		expect := func(want string) {
			all.Go(func() {
				id, err := l.Identity(t.Context(), "k")
				assert.NoError(t, err)
				assert.Equal(t, want, id.User)
			})
			synctest.Wait()
		}
		expect("meg")
		user.Store("jim")
		l.Forget("k")
		expect("jim")
		close(proceed)
		all.Wait()
		assert.EqualValues(t, 2, calls.Load())
		expect("jim")
		assert.EqualValues(t, 2, calls.Load())
		user.Store("ann")
		l.Forget("k")
		expect("ann")
		all.Wait()
		assert.EqualValues(t, 3, calls.Load())
	})
}

// A panic of find is the request's, as one in a handler is; it does not end the program.
func TestLookupPanics(t *testing.T) {
	l := newLookup(t, func(context.Context, string) (pganon.Identity, error) { panic(errStore) }, pganonhttp.LookupConfig{})
	defer func() {
		err, ok := recover().(error)
		require.True(t, ok)
		assert.ErrorIs(t, err, errStore)
		assert.Contains(t, err.Error(), "lookup_test.go", "where it was")
		assert.NotContains(t, err.Error(), canary)
	}()
	_, _ = l.Identity(t.Context(), canary)
}

// Neither printing a Lookup nor its errors show a key, not even while it is being looked up.
func TestLookupShowsNoKey(t *testing.T) {
	var l *pganonhttp.Lookup
	l = newLookup(t, func(_ context.Context, key string) (pganon.Identity, error) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			assert.NotContains(t, fmt.Sprintf(verb, l), canary)
		}
		if strings.HasSuffix(key, "!") {
			return pganon.Identity{}, pganon.ErrInvalidIdentity
		}
		return pganon.Identity{User: canary}, nil
	}, pganonhttp.LookupConfig{})
	_, err := l.Identity(t.Context(), canary)
	require.NoError(t, err)
	_, err = l.Identity(t.Context(), canary+"!")
	assert.NotContains(t, err.Error(), canary)
}

func TestNewLookupRefuses(t *testing.T) {
	find := counted(new(atomic.Int32))
	for want, mistake := range map[string]struct {
		find finder
		cfg  pganonhttp.LookupConfig
	}{
		"find is nil":     {nil, pganonhttp.LookupConfig{}},
		"may not be nega": {find, pganonhttp.LookupConfig{TTL: -1}},
		"not be negative": {find, pganonhttp.LookupConfig{Size: -1}},
		"be negative":     {find, pganonhttp.LookupConfig{Timeout: -1}},
	} {
		_, err := pganonhttp.NewLookup(mistake.find, mistake.cfg)
		assert.ErrorContains(t, err, "pganon: new lookup: ")
		assert.ErrorContains(t, err, want)
	}
	assert.PanicsWithValue(t, "pganon: Lookup.Extractor: key is nil", func() { newLookup(t, find, pganonhttp.LookupConfig{}).Extractor(nil) })
}

// Sessions over a server: many at once, guesses, logout, a store that is down; and nothing but hashes in the log.
func TestLookupServed(t *testing.T) {
	var calls atomic.Int32
	var ended, down atomic.Bool
	l := newLookup(t, func(ctx context.Context, token string) (pganon.Identity, error) {
		calls.Add(1)
		switch {
		case down.Load():
			return pganon.Identity{}, context.DeadlineExceeded
		case token != canary || ended.Load():
			return pganon.Identity{}, errors.New("no session " + token)
		}
		return pganon.Identity{User: "meg", Tenant: "north", Groups: []string{"doctors"}}, nil
	}, pganonhttp.LookupConfig{TTL: time.Hour})
	extract := l.Extractor(func(r *http.Request) (string, error) {
		cookie, err := r.Cookie("session")
		if err != nil {
			return "", pganon.ErrNoIdentity
		}
		return cookie.Value, nil
	})
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	server := httptest.NewServer(pganon.Middleware(extract, pganon.LogRefusals(logger))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := pganon.IdentityFrom(r.Context())
		_, _ = w.Write([]byte(id.User + "/" + id.Tenant))
	})))
	defer server.Close()
	session := func(token string) (int, string) {
		return ask(t, server.URL, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "session", Value: token}) })
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			status, body := session(canary)
			assert.Equal(t, 200, status)
			assert.Equal(t, "meg/north", body)
		})
	}
	all.Wait()
	assert.EqualValues(t, 1, calls.Load())
	status, _ := session("guess" + canary)
	assert.Equal(t, 401, status)
	status, _ = session("")
	assert.Equal(t, 401, status)
	status, _ = ask(t, server.URL, nil)
	assert.Equal(t, 401, status)
	ended.Store(true)
	l.Forget(canary)
	status, _ = session(canary)
	assert.Equal(t, 401, status)
	down.Store(true)
	status, _ = session(canary)
	assert.Equal(t, 503, status)
	assert.NotContains(t, log.String(), canary)
	assert.Equal(t, 5, strings.Count(log.String(), "error=#"))
}
