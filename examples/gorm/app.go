package main

import (
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/pganonhttp"
)

// Config is what the service needs to know.
type Config struct {
	DSN         string // of the login role, <Roles>_app
	Roles       string // how the names of the database roles begin: people, where roles.sql is taken as it is
	Domain      string // each company's site is a subdomain of it: people.example
	PrepareStmt bool   // GORM's: keep a prepared statement for each text
	KeysFile    string // the keys of encrypted columns, and of the identities that jobs carry
	Logger      *slog.Logger
}

// App is the service.
type App struct {
	Config
	keys     fernet.KeySource
	pool     *sql.DB
	db       *gorm.DB
	sessions *pganonhttp.Lookup
	reports  reports
}

// NewApp opens the database and starts the worker.
func NewApp(c Config) (*App, error) {
	keys, err := fernet.OpenKeyFile(c.KeysFile, func(err error) { c.Logger.Error("keys", slog.Any("error", err)) })
	if err != nil {
		return nil, err
	}
	// Who runs as what. What no line names, people_none, has no rights.
	pool, err := driver.Open(c.DSN, driver.Config{
		Roles: []driver.GroupRole{
			{Group: "hr", Role: c.Roles + "_full"},
			{Group: "visitors", Role: c.Roles + "_public"},
		},
		MaskedGroups: []string{"managers"},
		MaskedRole:   c.Roles + "_limited",
		DefaultRole:  c.Roles + "_none",
		Keys:         keys,
		Models:       models,
		Domains:      "required",
		Logger:       c.Logger,
	})
	if err != nil {
		return nil, err
	}
	a := &App{Config: c, keys: keys, pool: pool}
	if err := a.open(); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return a, nil
}

func (a *App) open() (err error) {
	a.db, err = gorm.Open(postgres.New(postgres.Config{Conn: a.pool}), &gorm.Config{
		Logger:               newSQLLog(a.Logger),
		PrepareStmt:          a.PrepareStmt,
		TranslateError:       true,
		DisableAutomaticPing: true, // nobody asks yet
	})
	if err != nil {
		return err
	}
	a.sessions, err = pganonhttp.NewLookup(a.session, pganonhttp.LookupConfig{})
	if err != nil {
		return err
	}
	a.reports.start(a)
	return nil
}

// Close ends the worker and closes the database.
func (a *App) Close() error {
	a.reports.stop()
	return a.pool.Close()
}

// Handler returns the service's API.
func (a *App) Handler() (http.Handler, error) {
	site, err := pganonhttp.Subdomain(a.Domain)
	if err != nil {
		return nil, err
	}
	// Who has logged in is let in at the site of their own company. A visitor is of the company whose site it is, and sees the
	// directory.
	session := pganonhttp.All(a.sessions.Extractor(bearer), site)
	visitor := pganonhttp.All(func(*http.Request) (pganon.Identity, error) {
		return pganon.Identity{Groups: []string{"visitors"}}, nil
	}, site)
	loggedIn := pganon.Middleware(session, pganon.LogRefusals(a.Logger))
	anybody := pganon.Middleware(pganonhttp.First(session, visitor), pganon.LogRefusals(a.Logger))

	mux := http.NewServeMux()
	mux.Handle("POST /login", a.api(a.login))
	mux.Handle("GET /directory", anybody(a.api(a.directory)))
	for pattern, handler := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /logout":                 a.logout,
		"GET /employees":               a.list,
		"GET /employees/{id}":          a.get,
		"POST /employees":              a.create,
		"PUT /employees/{id}":          a.save,
		"DELETE /employees/{id}":       a.remove,
		"POST /employees/{id}/restore": a.restore,
		"PUT /employees/{id}/skills":   a.setSkills,
		"POST /employees/{id}/reviews": a.review,
		"POST /employees/batch":        a.upsert,
		"POST /employees/import":       a.importAll,
		"GET /changes":                 a.changes,
		"POST /reports":                a.orderReport,
		"GET /reports/{id}":            a.report,
	} {
		mux.Handle(pattern, loggedIn(a.api(handler)))
	}
	// Masked, whoever asks: no handler behind it can undo that. The masked role sees more than the one of staff, which sees nothing,
	// so who may have an export is said here.
	mux.Handle("GET /export", loggedIn(only(pganon.MaskedHandler(a.api(a.export)), "hr", "managers")))
	mux.Handle("GET /admin/export", loggedIn(only(a.api(a.adminExport), "hr")))
	return mux, nil
}

// only lets in who is in one of the groups.
func only(next http.Handler, groups ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := pganon.IdentityFrom(r.Context())
		if !slices.ContainsFunc(groups, func(group string) bool { return slices.Contains(id.Groups, group) }) {
			http.Error(w, "your groups may not have that", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// reports are the background jobs and their results.
type reports struct {
	queue chan reportJob
	done  sync.WaitGroup

	mu   sync.Mutex
	last int
	all  map[int]*reportResult
}
