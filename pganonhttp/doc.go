// Package pganonhttp finds out who asks, for [pganon.Middleware], by the common means: the claims of a token, headers of a proxy,
// the subdomain, a look-up by session.
//
// # Claims of a verified token
//
// A JWT library has checked the token and left its claims in the context; Claims makes an identity of them:
//
//	claims := pganonhttp.Claims{}.Extractor(func(ctx context.Context) (map[string]any, bool) {
//		claims, ok := ctx.Value(claimsKey{}).(jwt.MapClaims)
//		return claims, ok
//	})
//	handler = verifyJWT(pganon.Middleware(claims)(handler))
//
// # Headers of a proxy
//
// Anybody can send X-Forwarded-User. It counts where the peer is among the trusted ones, and refuses the request where it is not:
//
//	proxy, err := pganonhttp.ProxyHeaders{
//		Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.3.0/28")},
//		User:    "X-Forwarded-User",
//		Groups:  "X-Forwarded-Groups",
//	}.Extractor()
//
// # A session
//
// A [Lookup] remembers what it has found, so that not each request asks the database who asks:
//
//	sessions, err := pganonhttp.NewLookup(func(ctx context.Context, token string) (pganon.Identity, error) {
//		ctx = pganon.System(ctx, "who is asking")
//		…
//	}, pganonhttp.LookupConfig{TTL: time.Minute})
//	identify := sessions.Extractor(func(r *http.Request) (string, error) {
//		cookie, err := r.Cookie("session")
//		if err != nil {
//			return "", pganon.ErrNoIdentity
//		}
//		return cookie.Value, nil
//	})
//
// # More than one
//
// [First] takes the first extractor that knows, [All] what all of them say together, where they do not contradict each other.
// Here a token for the tenant north is refused at south.example.com:
//
//	subdomain, err := pganonhttp.Subdomain("example.com")
//	identify := pganonhttp.All(claims, subdomain)
//
// # Errors
//
// An extractor that finds nothing returns [pganon.ErrNoIdentity], a 401; one that finds what it must refuse,
// [pganon.ErrInvalidIdentity], a 403. Their texts name a header or a claim, never what is in it; [pganon.LogRefusals] shows them.
package pganonhttp
