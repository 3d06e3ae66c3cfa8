package pganon_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/fernet"
)

func ExampleWithIdentity() {
	ctx := pganon.WithIdentity(context.Background(), pganon.Identity{
		User:     "u42",
		Tenant:   "north",
		Groups:   []string{"doctors"},
		Settings: map[string]string{"ward": "3"},
	})
	// db.QueryContext(ctx, "SELECT name FROM patients") now runs as u42.

	id, ok := pganon.IdentityFrom(ctx)
	fmt.Println(id.User, id.Tenant, ok)
	// Output: u42 north true
}

func ExampleMasked() {
	ctx := pganon.Masked(context.Background())

	// Whatever a function down the line does with the context, it stays masked.
	ctx = pganon.WithIdentity(ctx, pganon.Identity{User: "u42", Groups: []string{"doctors"}})
	ctx = pganon.System(ctx, "not this way either")

	_, ok := pganon.IdentityFrom(ctx)
	fmt.Println("identity:", ok)
	// Output: identity: false
}

func ExampleMaskedAs() {
	ctx := pganon.WithIdentity(context.Background(), pganon.Identity{User: "sam", Groups: []string{"support"}})

	// The ticket's customer is shown as support_masked sees it, which hides less than the configured masked role.
	ctx = pganon.MaskedAs(ctx, "support_masked")
	// db.QueryContext(ctx, "SELECT name, phone FROM customers WHERE id = $1", id)

	id, ok := pganon.IdentityFrom(ctx) // the mask does not change who is asking
	fmt.Println(id.User, ok)
	// Output: sam true
}

func ExampleSystem() {
	ctx := pganon.WithIdentity(context.Background(), pganon.Identity{User: "u42"})

	// The audit log is written by the program, not by the user.
	audit := pganon.System(ctx, "audit log")
	// db.ExecContext(audit, "INSERT INTO audit …")

	_, inAudit := pganon.IdentityFrom(audit)
	_, after := pganon.IdentityFrom(ctx)
	fmt.Println(inAudit, after)
	// Output: false true
}

func ExampleIdentity_String() {
	id := pganon.Identity{
		Groups:   []string{"doctors", "staff"},
		Role:     "clinic_user",
		Settings: map[string]string{"ward": "psychiatry"},
	}
	fmt.Println(id)
	fmt.Printf("%#v\n", id)
	// Output:
	// identity(groups=["doctors" "staff"] role="clinic_user" settings=["ward"])
	// pganon.Identity(groups=["doctors" "staff"] role="clinic_user" settings=["ward"])
}

func ExampleMiddleware() {
	sessions := map[string]pganon.Identity{
		"s3cr3t": {User: "u42", Tenant: "north"},
	}
	identify := pganon.Middleware(func(r *http.Request) (pganon.Identity, error) {
		c, err := r.Cookie("session")
		if err != nil {
			return pganon.Identity{}, pganon.ErrNoIdentity
		}
		id, ok := sessions[c.Value]
		if !ok {
			return pganon.Identity{}, errors.New("unknown session")
		}
		return id, nil
	})
	patients := identify(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := pganon.IdentityFrom(r.Context()) // and so has every query with r.Context()
		fmt.Fprintln(w, "patients of", id.Tenant)
	}))

	for _, session := range []string{"s3cr3t", "guess"} {
		r := httptest.NewRequest("GET", "/patients", nil)
		r.AddCookie(&http.Cookie{Name: "session", Value: session})
		w := httptest.NewRecorder()
		patients.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 patients of north
	// 401 Unauthorized
}

func ExampleRefuseAs() {
	errSuspended := errors.New("account suspended")
	identify := func(r *http.Request) (pganon.Identity, error) { return pganon.Identity{}, errSuspended }

	auth := pganon.Middleware(identify, pganon.RefuseAs(func(err error) int {
		if errors.Is(err, errSuspended) {
			return http.StatusForbidden
		}
		return 0 // as Middleware does
	}))

	w := httptest.NewRecorder()
	auth(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Code)
	// Output: 403
}

func ExampleLogRefusals() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "error" { // the hash is another in each process
			return slog.Attr{}
		}
		return a
	}}))
	identify := func(r *http.Request) (pganon.Identity, error) {
		return pganon.Identity{User: r.Header.Get("X-User"), Role: "none"}, nil
	}
	auth := pganon.Middleware(identify, pganon.LogRefusals(logger))

	auth(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	// Output:
	// level=INFO msg="pganon: request refused" status=403 reason="role \"none\": it stands for no role at all"
}

func ExampleMaskedHandler() {
	export := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// db.QueryContext(r.Context(), "SELECT name, phone FROM patients") reads as the masked role.
		fmt.Fprintln(w, "name,phone")
	})
	mux := http.NewServeMux()
	mux.Handle("GET /export", pganon.MaskedHandler(export))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/export", nil))
	fmt.Print(w.Body)
	// Output: name,phone
}

func ExampleSealIdentity() {
	keys, err := fernet.NewKeyring(fernet.GenerateKey()) // of the whole program, from its secret store
	if err != nil {
		panic(err)
	}

	// In the request: the job gets a token.
	ctx := pganon.WithIdentity(context.Background(), pganon.Identity{User: "u42", Tenant: "north"})
	token, err := pganon.SealIdentity(ctx, keys, time.Hour)
	if err != nil {
		panic(err)
	}

	// In the worker: the token becomes the identity again.
	ctx, err = pganon.OpenIdentity(context.Background(), keys, token)
	if err != nil {
		panic(err)
	}
	id, _ := pganon.IdentityFrom(ctx)
	fmt.Println(id.User, id.Tenant)
	// Output: u42 north
}

func ExampleOpenIdentity() {
	ours, err := fernet.NewKeyring(fernet.GenerateKey())
	if err != nil {
		panic(err)
	}
	others, err := fernet.NewKeyring(fernet.GenerateKey())
	if err != nil {
		panic(err)
	}
	ctx := pganon.WithIdentity(context.Background(), pganon.Identity{User: "mallory", Role: "admin"})
	token, err := pganon.SealIdentity(ctx, others, time.Hour)
	if err != nil {
		panic(err)
	}

	_, err = pganon.OpenIdentity(context.Background(), ours, token)
	fmt.Println(err)
	fmt.Println(errors.Is(err, pganon.ErrInvalidIdentity))
	// Output:
	// pganon: invalid identity: the token is none that SealIdentity made with these keys
	// true
}
