package orms_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/pganontest"
)

// migrating opens the handle of who migrates, as a program would.
func migrating(t *testing.T, db *pganontest.DB, proxy *pganontest.Proxy) *sql.DB {
	t.Helper()
	t.Setenv("ORMS_KEYS", fernet.GenerateKey().Encode())
	pool, err := driver.OpenSystem(proxy.DSN()+"&pganon.keys_env=ORMS_KEYS", "migrate")
	require.NoError(t, err)
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// stored reads what the database holds, past this driver.
func stored(t *testing.T, db *pganontest.DB, query string) (values []string) {
	t.Helper()
	pool, err := sql.Open("pgx", db.DSN())
	require.NoError(t, err)
	defer pool.Close()
	rows, err := pool.Query(query)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var v sql.NullString
		require.NoError(t, rows.Scan(&v))
		values = append(values, v.String)
	}
	require.NoError(t, rows.Err())
	return values
}

// TestGoose migrates by files and by Go: domains, tables and what stands on them, rows; then what would take the encryption off.
func TestGoose(t *testing.T) {
	db := pganontest.New(t)
	proxy := db.Proxy()
	pool := migrating(t, db, proxy)
	ctx := context.Background()

	files := fstest.MapFS{
		"00001_domains.sql": {Data: []byte("-- +goose Up\n" + domains(t) + "\n-- +goose Down\nDROP DOMAIN d_email, d_ssn, d_born, d_profile, d_body;\n")},
		"00002_tables.sql": {Data: []byte(`-- +goose Up
` + peopleSQL + `
CREATE INDEX people_by_email ON people (email) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX ON people (email, name);
COMMENT ON TABLE people IS 'who we know';
COMMENT ON COLUMN people.email IS 'where we write to; see the domain';
ALTER TABLE people ADD COLUMN phone d_ssn, ADD COLUMN note text NOT NULL DEFAULT '';
ALTER TABLE people ALTER COLUMN note SET DEFAULT 'none', ADD CONSTRAINT has_note CHECK (note <> '');
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
CREATE POLICY everyone ON people USING (true);
CREATE VIEW contacts AS SELECT id, name, email FROM people;
-- +goose StatementBegin
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := now(); RETURN NEW; END; $$;
-- +goose StatementEnd
CREATE TRIGGER touched BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION touch();

-- +goose Down
DROP VIEW contacts;
DROP TABLE letters, people;
DROP FUNCTION touch;
`)},
		"00004_index.sql": {Data: []byte(`-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY people_concurrently ON people (email);
VACUUM ANALYZE people;

-- +goose Down
DROP INDEX CONCURRENTLY people_concurrently;
`)},
		"00005_rename.sql": {Data: []byte(`-- +goose Up
ALTER TABLE people RENAME COLUMN ssn TO number;
ALTER TABLE letters RENAME TO mails;
ALTER TABLE mails ALTER COLUMN pages TYPE bigint;
LOCK TABLE mails;
TRUNCATE mails;

-- +goose Down
ALTER TABLE mails RENAME TO letters;
ALTER TABLE people RENAME COLUMN number TO ssn;
`)},
	}
	mail := func(n int) string { return fmt.Sprintf("%s-%d@example.org", core, n) }
	rows := goose.NewGoMigration(3, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		for n := range 5 {
			if _, err := tx.ExecContext(ctx, "INSERT INTO people (name, email, ssn, phone) VALUES ($1, $2, $3, $4)", fmt.Sprint("n", n), mail(n), mail(n), nil); err != nil {
				return err
			}
		}
		list, err := tx.QueryContext(ctx, "SELECT id, email FROM contacts WHERE email <> $1", mail(0))
		if err != nil {
			return err
		}
		defer list.Close()
		people := map[int64]string{}
		for list.Next() {
			var id int64
			var found string
			if err := list.Scan(&id, &found); err != nil {
				return err
			}
			people[id] = found
		}
		if len(people) != 4 || list.Err() != nil {
			return errors.Join(list.Err(), fmt.Errorf("%d people", len(people)))
		}
		for id, found := range people {
			if !strings.HasPrefix(found, core) {
				return errors.New("not decrypted")
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO letters (person_id, address, body) VALUES ($1, $2, $3)", id, found, []byte(found)); err != nil {
				return err
			}
		}
		return nil
	}}, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "TRUNCATE people CASCADE")
		return err
	}})
	locker, err := lock.NewPostgresSessionLocker()
	require.NoError(t, err)
	provider := func(files fstest.MapFS) *goose.Provider {
		p, err := goose.NewProvider(goose.DialectPostgres, pool, files, goose.WithGoMigrations(rows), goose.WithDisableGlobalRegistry(true), goose.WithSessionLocker(locker))
		require.NoError(t, err)
		return p
	}
	p := provider(files)
	results, err := p.Up(ctx)
	require.NoError(t, err)
	require.Len(t, results, 5)
	require.Equal(t, []string{"5"}, stored(t, db, "select count(*) from people where left(email, 8) = 'gAAAAAAA' and left(number, 8) = 'gAAAAAAB' and phone is null"))
	system := pganon.System(ctx, "test")
	var found string
	require.NoError(t, pool.QueryRowContext(system, "SELECT number FROM people WHERE email = $1", mail(3)).Scan(&found))
	require.Equal(t, mail(3), found)
	assert.NotContains(t, string(proxy.Received()), core)
	pganontest.AssertNoLeak(t, []string{core}, proxy.Sent())

	// All the way down and up again, on the same connections.
	_, err = p.DownTo(ctx, 0)
	require.NoError(t, err)
	require.Empty(t, stored(t, db, "select relname from pg_class where relname = 'people'"))
	_, err = p.Up(ctx)
	require.NoError(t, err)
	require.NoError(t, pool.QueryRowContext(system, "SELECT number FROM people WHERE email = $1", mail(4)).Scan(&found))
	require.Equal(t, mail(4), found)
	pganontest.AssertNoLeak(t, []string{core}, proxy.Sent())

	// What would take the encryption off a column, or put plaintext beside it, is refused and says what to do instead.
	for _, row := range []struct{ text, want string }{
		{"ALTER TABLE people ALTER COLUMN email TYPE text", "would take its encryption off"},
		{"ALTER TABLE people ALTER COLUMN email TYPE varchar(300) USING email::text", "would take its encryption off"},
		{"ALTER TABLE people ALTER COLUMN email SET DEFAULT '" + core + "'", "write the value from the program"},
		{"ALTER TABLE people ADD CHECK (email <> '" + core + "')", "people.email"},
		{"ALTER TABLE people ADD COLUMN low text GENERATED ALWAYS AS (lower(email)) STORED", "people.email"},
		{"CREATE INDEX ON people (lower(email))", "people.email"},
		{"UPDATE people SET name = email", "people.email"},
		{"INSERT INTO people (email) VALUES ('" + core + "')", "people.email"},
		{"CREATE TABLE app_copy AS SELECT email FROM people", "people.email"},
		{"CREATE VIEW app_view AS SELECT lower(email) AS email FROM people", "people.email"},
		{"COPY people (email) TO STDOUT", "email"},
		{"-- +goose StatementBegin\nDO $$ BEGIN UPDATE people SET email = '" + core + "'; END $$;\n-- +goose StatementEnd\n", "DO"},
	} {
		proxy.Reset()
		text := row.text
		if !strings.HasPrefix(text, "--") {
			text += ";\n"
		}
		more := fstest.MapFS{"00006_off.sql": {Data: []byte("-- +goose Up\n" + text)}}
		for name, file := range files {
			more[name] = file
		}
		_, err := provider(more).Up(ctx)
		if assert.ErrorContains(t, err, row.want, text) {
			assert.ErrorContains(t, err, "pganon: encrypt statement: ", text)
		}
		assert.NotContains(t, string(proxy.Sent()), core, text)
	}
}

// customer is what AutoMigrate makes a table of; its columns get domains afterwards, as examples/gorm has it.
type customer struct {
	gorm.Model
	Name   string `gorm:"size:100;index"`
	Email  string `gorm:"type:text;not null;uniqueIndex" pganon:"encrypt,deterministic"`
	Phone  string `gorm:"-:migration" pganon:"encrypt"`
	Secret []byte `gorm:"type:bytea" pganon:"encrypt"`
	Visits int
}

// TestAutoMigrate: GORM leaves the types of encrypted columns alone, run after run, and where it would not it is told so.
func TestAutoMigrate(t *testing.T) {
	db := pganontest.New(t)
	proxy := db.Proxy()
	pool := migrating(t, db, proxy)
	g, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), &gorm.Config{Logger: logger.New(log.New(io.Discard, "", 0), logger.Config{})})
	require.NoError(t, err)
	for _, text := range []string{
		domainSQL(t, hooks.Domain{Name: "d_mail", Tag: hooks.Tag{Encrypt: true, Deterministic: true, Key: "customers.email"}}),
		domainSQL(t, hooks.Domain{Name: "d_phone", Tag: hooks.Tag{Encrypt: true, Key: "customers.phone"}}),
		domainSQL(t, hooks.Domain{Name: "d_secret", Bytea: true, Tag: hooks.Tag{Encrypt: true, Key: "customers.secret"}}),
	} {
		require.NoError(t, g.Exec(text).Error)
	}
	require.NoError(t, g.AutoMigrate(&customer{}))
	require.NoError(t, g.Exec("ALTER TABLE customers ALTER COLUMN email TYPE d_mail, ALTER COLUMN secret TYPE d_secret, ADD COLUMN phone d_phone").Error)
	types := func() []string {
		return stored(t, db, "select attname || ' ' || atttypid::regtype from pg_attribute where attrelid = 'customers'::regclass and attnum > 0 and not attisdropped order by 1")
	}
	want := types()
	require.Contains(t, want, "email d_mail")
	require.Contains(t, want, "phone d_phone")
	require.Contains(t, want, "secret d_secret")
	for round := range 3 {
		require.NoError(t, g.AutoMigrate(&customer{}), "run %d", round)
		require.Equal(t, want, types(), "run %d", round)
		c := customer{Name: "n", Email: fmt.Sprintf("%s-%d", core, round), Phone: core, Secret: []byte(core)}
		require.NoError(t, g.Create(&c).Error)
		var got customer
		require.NoError(t, g.First(&got, "email = ?", c.Email).Error)
		require.Equal(t, []any{c.Email, c.Phone, c.Secret}, []any{got.Email, got.Phone, got.Secret})
	}
	require.Equal(t, []string{"3"}, stored(t, db, "select count(*) from customers where left(email, 8) = 'gAAAAAAA' and left(phone, 8) = 'gAAAAAAB' and left(encode(secret, 'escape'), 8) = 'gAAAAAAB'"))

	// More columns, indexes and constraints come by themselves.
	type customer2 struct {
		customer
		Note  string `gorm:"type:text;index:idx_note_email;check:note <> 'x'"`
		Again string `gorm:"type:d_phone"`
	}
	for round := range 3 {
		require.NoError(t, g.Table("customers").AutoMigrate(&customer2{}), "run %d", round)
		require.Subset(t, types(), append(want, "note text", "again d_phone"), "run %d", round)
	}
	require.NoError(t, g.Migrator().RenameColumn("customers", "phone", "mobile"))
	require.NoError(t, g.Migrator().RenameColumn("customers", "mobile", "phone"))

	// A size, or a number, would take the domain off.
	type sized struct {
		ID    uint
		Email string `gorm:"size:300"`
	}
	type number struct {
		ID    uint
		Phone int64
	}
	for name, model := range map[string]any{"customers.email": &sized{}, "customers.phone": &number{}} {
		err := g.Table("customers").AutoMigrate(model)
		assert.ErrorContains(t, err, name)
		assert.ErrorContains(t, err, "would take its encryption off")
		require.Subset(t, types(), want)
	}
	var got customer
	require.NoError(t, g.Order("id").First(&got).Error)
	require.Equal(t, core, got.Phone)
	require.NoError(t, g.Migrator().DropColumn("customers", "again"))
	require.NoError(t, g.Migrator().DropTable("customers"))
	pganontest.AssertNoLeak(t, []string{core}, proxy.Sent())

	// By struct tags alone, without a domain.
	plain, err := driver.Open(proxy.DSN(), driver.Config{Keys: keyring(t), Models: []any{customer{}}, Identity: "optional", Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer plain.Close()
	g, err = gorm.Open(postgres.New(postgres.Config{Conn: plain}), &gorm.Config{Logger: logger.New(log.New(io.Discard, "", 0), logger.Config{})})
	require.NoError(t, err)
	proxy.Reset()
	for round := range 3 {
		if round == 1 {
			require.NoError(t, g.Exec("ALTER TABLE customers ADD COLUMN phone text").Error)
		}
		require.NoError(t, g.AutoMigrate(&customer{}), "run %d", round)
		if round > 0 {
			c := customer{Email: fmt.Sprintf("%s-%d", core, round), Phone: core, Secret: []byte(core)}
			require.NoError(t, g.Create(&c).Error)
			var got customer
			require.NoError(t, g.First(&got, "email = ?", c.Email).Error)
			require.Equal(t, []any{c.Email, c.Phone, c.Secret}, []any{got.Email, got.Phone, got.Secret})
		}
	}
	require.Equal(t, []string{"2"}, stored(t, db, "select count(*) from customers where left(email, 8) = 'gAAAAAAA' and left(phone, 8) = 'gAAAAAAB'"))
	err = g.Exec("ALTER TABLE customers ALTER COLUMN email TYPE bigint USING 1").Error
	assert.ErrorContains(t, err, "customers.email")
	pganontest.AssertNoLeak(t, []string{core}, proxy.Sent())
}

func domainSQL(t *testing.T, d hooks.Domain) string {
	t.Helper()
	text, err := hooks.DomainSQL(d)
	require.NoError(t, err)
	return text
}

func keyring(t *testing.T) *fernet.Keyring {
	t.Helper()
	ring, err := fernet.NewKeyring(fernet.GenerateKey())
	require.NoError(t, err)
	return ring
}
