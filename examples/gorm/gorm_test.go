package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/pganontest"
)

func init() { rounds = 1000 }

var update = flag.Bool("update", false, "write testdata/output.txt")

func TestOutput(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, ""))
	const golden = "testdata/output.txt"
	if *update {
		require.NoError(t, os.WriteFile(golden, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), out.String())
}

// world is the service on a database of one test, served over HTTP.
type world struct {
	t    *testing.T
	db   *pganontest.DB
	app  *App
	logs *logBuffer
	port string
}

func newWorld(t *testing.T, prepare bool) *world {
	t.Helper()
	w := &world{t: t, db: pganontest.New(t), logs: &logBuffer{}}
	keys := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(keys, []byte(fernet.GenerateKey().Encode()), 0o600))
	var err error
	server := httptest.NewUnstartedServer(nil)
	_, w.port, err = net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	c := Config{
		Roles: "people_" + strings.ToLower(rand.Text()[:8]), Domain: "localhost:" + w.port, PrepareStmt: prepare, KeysFile: keys,
		Logger: slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	t.Cleanup(func() {
		if !t.Failed() { // else they are kept, as the database is
			assert.NoError(t, c.drop(w.db.DSN()))
		}
	})
	c.DSN, err = c.install(t.Context(), w.db.DSN())
	require.NoError(t, err)
	w.app, err = NewApp(c)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, w.app.Close()) })
	server.Config.Handler, err = w.app.Handler()
	require.NoError(t, err)
	server.Start()
	t.Cleanup(server.Close)
	return w
}

// bothWays runs test with GORM's PrepareStmt off and on.
func bothWays(t *testing.T, test func(t *testing.T, w *world)) {
	for _, prepare := range []bool{false, true} {
		t.Run(fmt.Sprintf("PrepareStmt=%t", prepare), func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, prepare))
		})
	}
}

// logBuffer is written to by the service's goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// as returns a client that has logged in.
func (w *world) as(login string) *client {
	w.t.Helper()
	for _, a := range accounts {
		if a.login == login {
			c := newClient(a.company, w.port)
			status, err := c.login(w.t.Context(), login, login)
			require.NoError(w.t, err)
			require.Equal(w.t, http.StatusOK, status)
			return c
		}
	}
	require.Fail(w.t, "no such account")
	return nil
}

// ask sends a request and wants a status.
func (w *world) ask(c *client, method, path string, body any, status int) string {
	w.t.Helper()
	got, text, err := c.do(w.t.Context(), method, path, body)
	require.NoError(w.t, err)
	require.Equal(w.t, status, got, "%s %s: %s", method, path, text)
	return text
}

// owner returns GORM on plain pgx as the owner of the tables: what is really there.
func (w *world) owner() *gorm.DB {
	w.t.Helper()
	db, err := gorm.Open(postgres.Open(w.db.DSN()), &gorm.Config{Logger: logger.Discard})
	require.NoError(w.t, err)
	w.t.Cleanup(func() {
		pool, err := db.DB()
		if assert.NoError(w.t, err) {
			assert.NoError(w.t, pool.Close())
		}
	})
	return db
}

// asHanna is what a request of hanna's has for a context.
func asHanna(t *testing.T) context.Context {
	return pganon.WithIdentity(t.Context(), pganon.Identity{User: "hanna", Tenant: "north", Groups: []string{"hr"}})
}

func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &v), text)
	return v
}

var (
	ann = person{Name: "Ann Berg", Email: "ann.c4n4ry@example.com", Phone: "555-0171", SSN: "078-05-1120", Salary: 161_000,
		Department: "Sales", Skills: []string{"Go", "SQL"}}
	ben  = person{Name: "Ben Castro", Email: "ben.c4n4ry@example.org", Phone: "555-0132", SSN: "219-09-9999", Salary: 148_500, Department: "Sales"}
	cleo = person{Name: "Cleo Dubois", Email: "cleo.c4n4ry@example.com", Phone: "555-0119", SSN: "457-55-5462", Salary: 172_000}
	// what must not be seen by whoever is not to see it
	annSecrets = []string{"Ann Berg", "ann.c4n4ry", "555-0171", "078-05-1120", "161000"}
	everything = append([]string{"Ben Castro", "ben.c4n4ry", "555-0132", "219-09-9999", "148500", "Cleo Dubois", "cleo.c4n4ry", "457-55-5462"}, annSecrets...)
)

// fill has human resources of both companies hire, and returns the id of ann.
func (w *world) fill() uint {
	w.t.Helper()
	hanna, hugo := w.as("hanna"), w.as("hugo")
	id := decode[struct{ ID uint }](w.t, w.ask(hanna, "POST", "/employees", ann, 201)).ID
	w.ask(hanna, "POST", "/employees", ben, 201)
	w.ask(hanna, "POST", fmt.Sprintf("/employees/%d/reviews", id), map[string]string{"text": "reviewC4N4RY"}, 200)
	w.ask(hugo, "POST", "/employees", cleo, 201)
	return id
}

func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world) {
		id := w.fill()
		one := fmt.Sprintf("/employees/%d", id)
		clients := map[string]*client{"visitor": newClient("north", w.port), "southern visitor": newClient("south", w.port)}
		for _, a := range accounts {
			clients[a.login] = w.as(a.login)
		}
		north := []string{"Ann Berg", "ann.c4n4ry@example.com", "078-05-1120", "Ben Castro"}
		masked := []string{"A***", "B***", "hidden@example.invalid"}
		for range 2 { // the second time all is prepared
			for _, tt := range []struct {
				who, path   string
				status      int
				has, hasNot []string
			}{
				{"hanna", "/employees", 200, append(north, `"skills":["Go","SQL"]`, "reviewC4N4RY", `"department":"Sales"`), []string{"Cleo Dubois"}},
				{"hanna", "/employees?department=Sales&email=ben.c4n4ry@example.org", 200, []string{"Ben Castro"}, annSecrets},
				{"hanna", one, 200, []string{"Ann Berg", "161000"}, []string{"Ben Castro"}},
				{"hugo", "/employees", 200, []string{"Cleo Dubois", "457-55-5462"}, annSecrets},
				{"hugo", one, 404, nil, annSecrets},
				{"max", "/employees", 200, append(masked, `"skills":["Go","SQL"]`, `"reviews":["***"]`, `"phone":"***71"`, `"salary":160000`), everything},
				{"max", one, 200, []string{"A***"}, everything},
				{"max", "/changes", 403, nil, everything},
				{"stan", "/employees", 403, nil, everything},
				{"stan", one, 403, nil, everything},
				{"stan", "/export", 403, nil, everything},
				{"stan", "/admin/export?masked=yes", 403, nil, everything},
				{"stan", "/directory", 403, nil, everything},
				{"visitor", "/directory", 200, []string{"Ann Berg", "Ben Castro", "Sales"}, []string{"ann.c4n4ry", "078-05-1120", "Cleo Dubois"}},
				{"southern visitor", "/directory", 200, []string{"Cleo Dubois"}, annSecrets},
				{"visitor", "/employees", 401, nil, everything},
				{"visitor", "/export", 401, nil, everything},
				{"hanna", "/export", 200, masked, everything},
				{"max", "/export", 200, masked, everything},
				{"hanna", "/admin/export", 200, append(north, "161000"), []string{"Cleo Dubois"}},
				{"hanna", "/admin/export?masked=yes", 200, masked, everything},
				{"max", "/admin/export", 403, nil, everything},
				{"hanna", "/changes", 200, []string{fmt.Sprintf("hanna create %d", id)}, []string{"hugo create"}},
			} {
				text := w.ask(clients[tt.who], "GET", tt.path, nil, tt.status)
				for _, want := range tt.has {
					assert.Contains(t, text, want, "%s %s", tt.who, tt.path)
				}
				pganontest.AssertNoLeak(t, tt.hasNot, text)
			}
		}
	})
}

// Everybody at once, on few connections: nobody gets what is another's, however the statements are prepared.
func TestEverybodyAtOnce(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world) {
		w.fill()
		w.app.pool.SetMaxOpenConns(3)
		var all sync.WaitGroup
		for login, names := range map[string][]string{"hanna": {"Ann Berg", "Ben Castro"}, "hugo": {"Cleo Dubois"}, "max": {"A***", "B***"}} {
			c := w.as(login)
			all.Go(func() {
				for range 25 {
					status, text, err := c.do(t.Context(), "GET", "/employees", nil)
					if !assert.NoError(t, err) || !assert.Equal(t, 200, status, text) {
						return
					}
					var got []string
					for _, p := range decode[[]person](t, text) {
						got = append(got, p.Name)
					}
					assert.Equal(t, names, got, login)
				}
			})
		}
		all.Wait()
	})
}

func TestLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	w.fill()
	for _, try := range [][2]string{{"hanna", "wrong"}, {"hanna", ""}, {"nobody", "hanna"}, {"", ""}} {
		c := newClient("north", w.port)
		status, err := c.login(t.Context(), try[0], try[1])
		require.NoError(t, err)
		assert.Equal(t, 401, status, try)
	}
	hanna := w.as("hanna")
	w.ask(hanna, "GET", "/employees", nil, 200)

	elsewhere := *hanna
	elsewhere.base = newClient("south", w.port).base
	w.ask(&elsewhere, "GET", "/employees", nil, 403)
	w.ask(&elsewhere, "GET", "/directory", nil, 403) // and not taken for a visitor
	for _, auth := range []string{"Bearer guess", "Bearer ", "Basic aGFubmE6aGFubmE=", hanna.auth + "x"} {
		c := *hanna
		c.auth = auth
		w.ask(&c, "GET", "/employees", nil, 401)
	}
	c := *hanna
	c.base = "http://localhost:" + w.port
	w.ask(&c, "GET", "/employees", nil, 401)

	token := strings.TrimPrefix(hanna.auth, "Bearer ")
	var sessions []Session
	require.NoError(t, w.owner().Find(&sessions).Error)
	require.NotEmpty(t, sessions)
	for _, s := range sessions {
		assert.NotContains(t, string(s.TokenHash), token)
	}
	w.ask(hanna, "POST", "/logout", nil, 200)
	w.ask(hanna, "GET", "/employees", nil, 401)

	max := w.as("max")
	require.NoError(t, w.owner().Where("true").Delete(&Session{}).Error)
	w.ask(max, "GET", "/employees", nil, 401) // it was never asked for, so it was not remembered
	pganontest.AssertNoLeak(t, []string{token}, w.logs)
}

func TestWrites(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world) {
		hanna, hugo, owner := w.as("hanna"), w.as("hugo"), w.owner()
		id := w.fill()
		one := fmt.Sprintf("/employees/%d", id)
		get := func() person { return decode[person](t, w.ask(hanna, "GET", one, nil, 200)) }

		t.Log("Save, and what it refuses")
		w.ask(hanna, "PUT", one, map[string]any{"salary": 165_000, "email": " ANN.c4n4ry@Example.com "}, 200)
		got := get()
		assert.EqualValues(t, 165_000, got.Salary)
		assert.Equal(t, ann.Email, got.Email, "the hook")
		assert.Equal(t, ann.SSN, got.SSN)
		w.ask(hanna, "PUT", one, map[string]any{"email": "none"}, 400)
		w.ask(hanna, "PUT", one, map[string]any{"email": ben.Email}, 409)
		w.ask(hanna, "PUT", one, map[string]any{"emale": ben.Email}, 400)
		w.ask(hanna, "POST", "/employees", ann, 409)
		w.ask(hugo, "PUT", one, map[string]any{"salary": 1}, 404)
		w.ask(hugo, "DELETE", one, nil, 404)
		w.ask(hugo, "POST", "/employees", ann, 201) // another company's address is no business of theirs
		assert.Equal(t, got, get())

		t.Log("associations")
		w.ask(hanna, "PUT", one+"/skills", []string{"SQL", "Chess"}, 200)
		assert.ElementsMatch(t, []string{"SQL", "Chess"}, get().Skills)
		w.ask(hanna, "PUT", one+"/skills", []string{}, 200)
		assert.Empty(t, get().Skills)
		w.ask(hanna, "POST", one+"/reviews", map[string]string{"text": "second"}, 200)
		assert.Equal(t, []string{"reviewC4N4RY", "second"}, get().Reviews)
		w.ask(hugo, "PUT", one+"/skills", []string{"Hacking"}, 404)

		t.Log("upsert: one changed, many new")
		people := []person{{Name: "Ann Berg-Smith", Email: ann.Email, SSN: ann.SSN, Salary: 170_000}}
		for i := range 250 {
			people = append(people, person{Name: fmt.Sprintf("New %d", i), Email: fmt.Sprintf("new%d@example.com", i)})
		}
		ids := decode[struct{ IDs []uint }](t, w.ask(hanna, "POST", "/employees/batch", people, 200)).IDs
		require.Len(t, ids, 251)
		assert.Equal(t, id, ids[0])
		assert.Equal(t, "Ann Berg-Smith", get().Name)
		assert.Len(t, decode[[]person](t, w.ask(hanna, "GET", "/employees", nil, 200)), 252)
		assert.Equal(t, 253, strings.Count(w.ask(hanna, "GET", "/admin/export", nil, 200), "\n")+1, "streamed in parts")

		t.Log("nested transactions: what fails is undone alone")
		result := decode[struct {
			Imported int
			Failed   []int
		}](t, w.ask(hanna, "POST", "/employees/import", []person{
			{Name: "Eli", Email: "eli@example.com", Department: "Legal"}, {Name: "Ann", Email: ann.Email, Department: "Nowhere"},
			{Name: "", Email: "x@example.com"}, {Name: "Fay", Email: "fay@example.com", Department: "Legal"},
		}, 200))
		assert.Equal(t, 2, result.Imported)
		assert.Equal(t, []int{1, 2}, result.Failed)
		assert.Len(t, decode[[]person](t, w.ask(hanna, "GET", "/employees?department=Legal", nil, 200)), 2)
		var nowhere int64
		require.NoError(t, owner.Model(&Department{}).Where("name = ?", "Nowhere").Count(&nowhere).Error)
		assert.Zero(t, nowhere)

		t.Log("soft delete")
		w.ask(hanna, "DELETE", one, nil, 200)
		w.ask(hanna, "GET", one, nil, 404)
		assert.NotContains(t, w.ask(hanna, "GET", "/directory", nil, 200), "Ann")
		var gone Employee
		require.NoError(t, owner.Unscoped().First(&gone, id).Error)
		assert.True(t, gone.DeletedAt.Valid)
		assert.Equal(t, "north", gone.Company)
		w.ask(hanna, "POST", one+"/restore", nil, 200)
		assert.Equal(t, "Ann Berg-Smith", get().Name)

		t.Log("the audit trail, as the hooks wrote it")
		lines := decode[[]string](t, w.ask(hanna, "GET", "/changes", nil, 200))
		assert.Contains(t, lines, fmt.Sprintf("hanna update %d", id))
		assert.Contains(t, lines, fmt.Sprintf("hanna delete %d", id))
		assert.NotContains(t, strings.Join(lines, "\n"), "hugo")
		var of []string
		require.NoError(t, owner.Model(&Change{}).Where("actor = ?", "hugo").Pluck("company", &of).Error)
		assert.Equal(t, []string{"south", "south"}, of)
	})
}

// Who steals the database has neither addresses nor numbers: they are tokens, and nothing else can be written there, by whomever.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world) {
		id := w.fill()
		proxy := w.db.Proxy()
		c := w.app.Config
		dsn, err := url.Parse(c.DSN)
		require.NoError(t, err)
		through, err := url.Parse(proxy.DSN())
		require.NoError(t, err)
		dsn.Host = through.Host
		c.DSN = dsn.String()
		app, err := NewApp(c)
		require.NoError(t, err)
		defer func() { assert.NoError(t, app.Close()) }()
		db := app.db.WithContext(asHanna(t))
		var found Employee
		require.NoError(t, db.Where("email = ?", strings.ToUpper(ann.Email)).First(&found).Error)
		assert.Equal(t, id, found.ID, "found by its address, whatever the case")
		assert.Equal(t, ann.SSN, found.SSN)
		require.NoError(t, db.Create(&Employee{Name: "Dan", Email: "dan.c4n4ry@example.com", SSN: "111-22-3333"}).Error)
		// What went over the wire.
		assert.True(t, bytes.Contains(proxy.Sent(), []byte("Dan")), "it went this way")
		assert.True(t, bytes.Contains(proxy.Received(), []byte(ann.Name)))
		pganontest.AssertNoLeak(t, []string{ann.Email, ann.SSN, "dan.c4n4ry@example.com", "111-22-3333"}, proxy)

		// What is there.
		var rows []struct{ Name, Email, SSN string }
		require.NoError(t, w.owner().Raw("SELECT name, email::text, ssn::text FROM employees ORDER BY id").Scan(&rows).Error)
		require.Len(t, rows, 4)
		for _, row := range rows {
			assert.True(t, strings.HasPrefix(row.Email, "gAAAAAAA") && strings.HasPrefix(row.SSN, "gAAAAAAB"), row.Name)
		}
		for _, column := range []string{"email", "ssn"} {
			err := w.owner().Exec("UPDATE employees SET " + column + " = 'plain'").Error
			assert.ErrorContains(t, err, "23514", column)
		}
		// What an encrypted column cannot do is refused, not answered wrongly.
		assert.ErrorContains(t, db.Where("email LIKE ?", "ann%").Find(&[]Employee{}).Error, "email")
		assert.ErrorContains(t, db.Where("ssn = ?", ann.SSN).Find(&[]Employee{}).Error, "ssn")
		assert.ErrorContains(t, db.Order("email").Find(&[]Employee{}).Error, "email")
	})
}

// A masked row must not be saved back: whatever the code, the database says no, the error says why, and the data is what it was.
func TestMaskedRowIsNotSaved(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world) {
		id := w.fill()
		max, owner := w.as("max"), w.owner()
		var before Employee
		require.NoError(t, owner.First(&before, id).Error)
		const why = `is masked: what it reads must not be written back.`
		one := fmt.Sprintf("/employees/%d", id)
		assert.Contains(t, w.ask(max, "PUT", one, map[string]any{"salary": 165_000}, 403), why)
		assert.Contains(t, w.ask(max, "POST", "/employees", person{Name: "New", Email: "new@example.com"}, 403), why)
		assert.Contains(t, w.ask(max, "POST", "/employees/batch", []person{{Name: "Ann", Email: ann.Email}}, 403), why)
		// Of these PostgreSQL says first that the role has no such right.
		w.ask(max, "DELETE", one, nil, 403)
		w.ask(max, "POST", one+"/reviews", map[string]string{"text": "x"}, 403)

		// The same in code: an identity that may write everything, in a context that is masked.
		hanna := asHanna(t)
		refused := func(err error) {
			t.Helper()
			var pgErr *pgconn.PgError
			if assert.ErrorAs(t, err, &pgErr) && assert.Contains(t, []string{"25006", "0A000", "42501"}, pgErr.Code) {
				assert.Equal(t, pgErr.Code != "42501", strings.Contains(pgErr.Hint, why), pgErr.Hint)
			}
		}
		db := w.app.db.WithContext(pganon.Masked(hanna))
		var e Employee
		require.NoError(t, db.First(&e, id).Error)
		assert.Equal(t, "A***", e.Name)
		refused(db.Save(&e).Error)
		refused(db.Model(&e).Updates(Employee{Name: e.Name, Email: e.Email}).Error)
		refused(db.Delete(&e).Error)
		// In a transaction that may write, too; what else it does is done.
		err := w.app.db.WithContext(hanna).Transaction(func(tx *gorm.DB) error {
			var e Employee
			if err := tx.WithContext(pganon.Masked(hanna)).First(&e, id).Error; err != nil {
				return err
			}
			refused(tx.Transaction(func(tx *gorm.DB) error {
				return tx.WithContext(pganon.Masked(hanna)).Session(&gorm.Session{SkipDefaultTransaction: true}).Save(&e).Error
			}))
			return tx.Create(&Review{EmployeeID: id, Text: "third"}).Error
		})
		require.NoError(t, err)

		var after Employee
		require.NoError(t, owner.Preload("Reviews").First(&after, id).Error)
		require.Len(t, after.Reviews, 2)
		after.Reviews = nil
		assert.Equal(t, before, after)
		var count int64
		require.NoError(t, owner.Model(&Employee{}).Count(&count).Error)
		assert.EqualValues(t, 3, count)
	})
}

func TestReports(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world) {
		w.fill()
		hanna, max := w.as("hanna"), w.as("max")
		order := func(c *client, path string) string {
			t.Helper()
			return fmt.Sprintf("/reports/%d", decode[struct{ ID int }](t, w.ask(c, "POST", path, nil, 202)).ID)
		}
		wait := func(c *client, path string) (r reportResult) {
			t.Helper()
			require.Eventually(t, func() bool {
				r = decode[reportResult](t, w.ask(c, "GET", path, nil, 200))
				return r.Done
			}, 20*time.Second, 10*time.Millisecond)
			return r
		}
		full, masked, limited := order(hanna, "/reports"), order(hanna, "/reports?masked=yes"), order(max, "/reports")
		assert.Equal(t, reportResult{Done: true, Lines: []departmentLine{{"Sales", 2, 309_500}}}, wait(hanna, full))
		assert.Equal(t, reportResult{Done: true, Lines: []departmentLine{{"Sales", 2, 310_000}}}, wait(hanna, masked), "the job is masked, too")
		assert.Equal(t, reportResult{Done: true, Lines: []departmentLine{{"Sales", 2, 310_000}}}, wait(max, limited))
		for _, other := range []*client{max, w.as("hugo")} {
			w.ask(other, "GET", full, nil, 404)
		}
		w.ask(hanna, "GET", "/reports/999", nil, 404)
		stan := w.as("stan")
		assert.Equal(t, reportResult{Done: true, Failed: true}, wait(stan, order(stan, "/reports")))

		// A job is nobody's but who the token names: no token, a guessed and an altered one run nothing.
		ctx := asHanna(t)
		token, err := pganon.SealIdentity(ctx, w.app.keys, time.Minute)
		require.NoError(t, err)
		lines, err := w.app.runReport(t.Context(), token)
		require.NoError(t, err)
		assert.NotEmpty(t, lines)
		for _, bad := range []string{"", "hanna", `{"user":"hanna"}`, token[:len(token)-8] + "AAAAAAAA"} {
			lines, err := w.app.runReport(t.Context(), bad)
			assert.ErrorIs(t, err, pganon.ErrInvalidIdentity)
			assert.Empty(t, lines)
		}
	})
}

// The export comes in parts, not when all of it is there.
func TestExportStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	var many []Employee
	for n := range 5000 {
		many = append(many, Employee{Name: fmt.Sprint("Name ", n), Email: fmt.Sprint(n, "@example.com"), SSN: fmt.Sprint(n)})
	}
	require.NoError(t, w.app.db.WithContext(asHanna(t)).Session(&gorm.Session{SkipHooks: true}).CreateInBatches(many, 1000).Error)
	hanna := w.as("hanna")
	r, err := http.NewRequestWithContext(t.Context(), "GET", hanna.base+"/export", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", hanna.auth)
	resp, err := hanna.http.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, []string{"chunked"}, resp.TransferEncoding)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, 5_001, bytes.Count(text, []byte("\n")))
	assert.NotContains(t, string(text), "Name ")
}

// Statements are logged, all of them; values are not, neither of errors.
func TestLogHasNoValues(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world) {
		id := w.fill()
		hanna := w.as("hanna")
		one := fmt.Sprintf("/employees/%d", id)
		w.ask(hanna, "GET", "/employees?email=ann.c4n4ry@example.com", nil, 200)
		w.ask(hanna, "POST", "/employees", ann, 409)
		w.ask(hanna, "PUT", one, map[string]any{"salary": 165_000}, 200)
		w.ask(w.as("max"), "PUT", one, map[string]any{"salary": 166_000}, 403)
		w.ask(newClient("north", w.port), "GET", "/employees", nil, 401)
		w.ask(newClient("north", w.port), "POST", "/login", map[string]string{"login": "loginC4N4RY", "password": "passwordC4N4RY"}, 401)
		ctx := pganon.WithIdentity(t.Context(), pganon.Identity{User: "userC4N4RY", Tenant: "north", Groups: []string{"hr"}})
		db := w.app.db.WithContext(ctx).Debug()
		require.Error(t, db.Exec("INSERT INTO employees (name, email, salary) VALUES ('literalC4N4RY', $1, 'notanumberC4N4RY')", "argumentC4N4RY").Error)
		require.Error(t, db.Where("nosuchcolumn = ?", "argumentC4N4RY").Find(&[]Employee{}).Error)

		logs := w.logs.String()
		for _, want := range []string{
			`INSERT INTO \"employees\"`, `VALUES ($1,$2,`, `SELECT * FROM \"accounts\" WHERE login = $1`, "duplicate key", "23505", "pganon: request refused",
			`VALUES ('…', $1, '…')`, "nosuchcolumn = $1",
		} {
			assert.True(t, strings.Contains(logs, want), want) // without all of the log
		}
		pganontest.AssertNoLeak(t, append([]string{
			"reviewC4N4RY", "loginC4N4RY", "passwordC4N4RY", "literalC4N4RY", "argumentC4N4RY", "notanumberC4N4RY", "userC4N4RY", strings.TrimPrefix(hanna.auth, "Bearer "),
		}, everything...), logs)
	})
}

// Each start migrates: the second time there is nothing to do, and what is there stays.
func TestMigrateAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	id := w.fill()
	before := w.logs.String()
	require.NoError(t, w.app.migrate(context.Background(), w.db.DSN()))
	after := strings.TrimPrefix(w.logs.String(), before)
	assert.True(t, strings.Contains(after, "information_schema"), "the migrator has looked")
	assert.False(t, strings.Contains(after, "ALTER TABLE"), "GORM had nothing to alter")
	assert.False(t, strings.Contains(after, "CREATE TABLE"))
	w.ask(w.as("hanna"), "GET", fmt.Sprintf("/employees/%d", id), nil, 200)
	assert.Contains(t, w.ask(w.as("max"), "GET", "/employees", nil, 200), "A***")
}

// The service itself cannot migrate: nobody asks there.
func TestMigratingNeedsSystem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	assert.ErrorIs(t, w.app.db.AutoMigrate(&Skill{}), pganon.ErrNoIdentity)
	_, err := driver.OpenSystem(w.db.DSN(), "")
	assert.ErrorContains(t, err, "reason")
}
