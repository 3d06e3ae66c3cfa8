package pganonhttp

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/jellydator/ttlcache/v3"
	"golang.org/x/sync/singleflight"

	"github.com/pganon/pganon"
)

// LookupConfig says what a [Lookup] remembers. Its zero value is good.
type LookupConfig struct {
	// TTL is how long an identity is remembered: how long a session that ended elsewhere still counts. Default one minute.
	TTL time.Duration
	// Size is how many identities are remembered; beyond it the one that was asked for longest ago goes. Default 10,000.
	Size int
	// Timeout bounds one look-up. Default ten seconds.
	Timeout time.Duration
}

// Lookup finds identities by a key, such as the token of a session, and remembers them. It keeps no key, but a keyed hash of it.
// Its methods may be called from several goroutines.
type Lookup struct {
	find    func(context.Context, string) (pganon.Identity, error)
	timeout time.Duration
	secret  []byte
	flights singleflight.Group
	found   *ttlcache.Cache[string, pganon.Identity]

	mu        sync.Mutex // Forget comes before or after the end of a look-up, not in its middle
	forgotten int
}

// NewLookup returns a Lookup that asks find for what it does not remember, for one key only once at a time. It remembers neither
// errors nor empty identities.
//
// What find returns is for all who ask. So its context has nothing of the request's, but a deadline; to read the database it says
// [pganon.System]. Where it takes a part of the identity for the key, such as the user, the extractor that knows the user must be
// trusted.
func NewLookup(find func(ctx context.Context, key string) (pganon.Identity, error), cfg LookupConfig) (*Lookup, error) {
	if find == nil {
		return nil, errors.New("pganon: new lookup: find is nil")
	}
	if cfg.TTL < 0 || cfg.Size < 0 || cfg.Timeout < 0 {
		return nil, errors.New("pganon: new lookup: TTL, Size and Timeout may not be negative")
	}
	l := &Lookup{find: find, timeout: cfg.timeout(), secret: make([]byte, sha256.Size)}
	_, _ = rand.Read(l.secret) // it never fails
	l.found = ttlcache.New(
		ttlcache.WithTTL[string, pganon.Identity](cfg.ttl()),
		ttlcache.WithCapacity[string, pganon.Identity](cfg.size()),
		ttlcache.WithDisableTouchOnHit[string, pganon.Identity](), // else a busy session would never be asked about again
	)
	return l, nil
}

func (cfg LookupConfig) ttl() time.Duration {
	if cfg.TTL == 0 {
		return time.Minute
	}
	return cfg.TTL
}

func (cfg LookupConfig) size() uint64 {
	if cfg.Size == 0 {
		return 10_000
	}
	return uint64(cfg.Size)
}

func (cfg LookupConfig) timeout() time.Duration {
	if cfg.Timeout == 0 {
		return 10 * time.Second
	}
	return cfg.Timeout
}

// Extractor returns an extractor that looks up the key which key finds in a request.
// An empty key is no identity. It panics if key is nil.
func (l *Lookup) Extractor(key func(*http.Request) (string, error)) Extractor {
	if key == nil {
		panic("pganon: Lookup.Extractor: key is nil")
	}
	return func(r *http.Request) (pganon.Identity, error) {
		k, err := key(r)
		if err != nil {
			return pganon.Identity{}, err
		}
		return l.Identity(r.Context(), k)
	}
}

// Identity returns a copy of the identity of key, [pganon.ErrNoIdentity] for an empty one, or find's error. A panic of find is
// one of each caller that waits for it.
func (l *Lookup) Identity(ctx context.Context, key string) (pganon.Identity, error) {
	if key == "" {
		return pganon.Identity{}, pganon.ErrNoIdentity
	}
	name := l.name(key)
	if item := l.found.Get(name); item != nil {
		return clone(item.Value()), nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	select {
	case <-ctx.Done():
		return pganon.Identity{}, ctx.Err()
	case result := <-l.flights.DoChan(name, func() (any, error) { return l.fly(name, key) }):
		if result.Err != nil {
			if panicked, ok := result.Err.(*panicError); ok {
				panic(panicked)
			}
			return pganon.Identity{}, result.Err
		}
		return clone(result.Val.(pganon.Identity)), nil
	}
}

// Forget ends what is remembered of key: at logout, and when what its user may do has changed. Who asks from now on asks find.
func (l *Lookup) Forget(key string) {
	name := l.name(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgotten++ // a look-up that is on its way began before this; of whichever key, it is not remembered
	l.found.Delete(name)
	l.flights.Forget(name)
}

// fly looks key up for all who wait for it, in a goroutine of its own.
func (l *Lookup) fly(name, key string) (found any, err error) {
	defer func() {
		// In this goroutine a panic would end the program.
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	l.mu.Lock()
	forgotten := l.forgotten
	l.mu.Unlock()
	if item := l.found.Get(name); item != nil {
		return item.Value(), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.timeout)
	defer cancel()
	id, err := l.find(ctx, key)
	if err != nil {
		return nil, err
	}
	if empty(id) {
		return nil, pganon.ErrNoIdentity
	}
	id = clone(id) // find may keep its own
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.forgotten == forgotten && ctx.Err() == nil {
		l.found.Set(name, id, ttlcache.DefaultTTL)
	}
	return id, nil
}

func (l *Lookup) name(key string) string {
	h := hmac.New(sha256.New, l.secret)
	h.Write([]byte(key))
	return string(h.Sum(nil))
}

func clone(id pganon.Identity) pganon.Identity {
	id.Groups, id.Settings = slices.Clone(id.Groups), maps.Clone(id.Settings)
	return id
}

// panicError is what find has panicked with, and where.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("%v\n\n%s", e.value, e.stack) }

func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}
