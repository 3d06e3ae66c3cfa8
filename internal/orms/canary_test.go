package orms_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/pganontest"
)

// core is in every value that is to be encrypted.
const core = "c4n4ry-7f3a"

// Person has encrypted columns, whose domains the database has.
type Person struct {
	gorm.Model
	Name    string     `gorm:"not null;default:'x'" db:"name"`
	Email   string     `gorm:"type:text;not null;unique" db:"email"`
	SSN     *string    `gorm:"type:text" db:"ssn"`
	Born    *time.Time `gorm:"type:text" db:"born"`
	Profile Profile    `gorm:"type:text;serializer:json" db:"-"`
	Letters []Letter
}

type Profile struct {
	Nick string
	Tags []string
}

type Letter struct {
	ID       uint
	PersonID uint   `gorm:"not null"`
	Address  string `gorm:"type:text"`
	Body     []byte `gorm:"type:bytea"`
	Pages    int
	Person   *Person
}

const peopleSQL = `
CREATE TABLE people (id bigserial PRIMARY KEY, created_at timestamptz, updated_at timestamptz, deleted_at timestamptz, name text NOT NULL DEFAULT 'x' CHECK (name <> 'bad'),
	email d_email NOT NULL UNIQUE, ssn d_ssn, born d_born, profile d_profile);
CREATE TABLE letters (id bigserial PRIMARY KEY, person_id bigint NOT NULL REFERENCES people, address d_email, body d_body, pages int NOT NULL DEFAULT 0 CHECK (pages >= 0));
`

func domains(t *testing.T) (text string) {
	for _, d := range []hooks.Domain{
		{Name: "d_email", Tag: hooks.Tag{Encrypt: true, Deterministic: true, Key: "email"}}, {Name: "d_ssn", Tag: hooks.Tag{Encrypt: true, Key: "ssn"}},
		{Name: "d_born", Tag: hooks.Tag{Encrypt: true, Key: "born", Type: "date"}}, {Name: "d_profile", Tag: hooks.Tag{Encrypt: true, Key: "profile", Type: "json"}},
		{Name: "d_body", Bytea: true, Tag: hooks.Tag{Encrypt: true, Key: "body"}},
	} {
		made, err := hooks.DomainSQL(d)
		require.NoError(t, err)
		text += made
	}
	return text
}

// people is GORM and sqlx over encrypted columns, in one mode.
type people struct {
	t     *testing.T
	ctx   context.Context
	gorm  *gorm.DB // with ctx
	sqlx  *sqlx.DB
	taken string // an e-mail address that there is
	id    uint   // whose
	n     *int

	version int // of the server, its major one
}

// canary returns a value that nothing else has.
func (p *people) canary() string {
	*p.n++
	return fmt.Sprintf("%s-%d@example.org", core, *p.n)
}

func (p *people) person() *Person {
	ssn := p.canary()
	return &Person{Email: p.canary(), SSN: &ssn, Profile: Profile{Nick: p.canary(), Tags: []string{p.canary()}}}
}

// An ormOp is one statement or a few. fails is what the error is to be: "" for none, a SQLSTATE, or a part of its text.
type ormOp struct {
	fails string
	do    func(p *people) error
}

// decrypted is an error unless there is a value in it.
func decrypted(err error, values ...any) error {
	for _, v := range values {
		if text := fmt.Sprint(v); !strings.Contains(text, core) || strings.Contains(text, "gAAAA") {
			err = errors.Join(err, fmt.Errorf("not decrypted: %.20q", text))
		}
	}
	return err
}

var gormOps = []ormOp{
	{"", func(p *people) error { return p.gorm.Create(p.person()).Error }},
	{"", func(p *people) error { return p.gorm.Create(&[]*Person{p.person(), p.person(), p.person()}).Error }},
	{"", func(p *people) error {
		return p.gorm.CreateInBatches([]*Person{p.person(), p.person(), p.person()}, 2).Error
	}},
	{"", func(p *people) error {
		return p.gorm.Model(&Person{}).Create(map[string]any{"email": p.canary(), "ssn": p.canary()}).Error
	}},
	{"", func(p *people) error {
		return p.gorm.Model(&Person{}).Create(&[]map[string]any{{"email": p.canary()}, {"email": p.canary()}}).Error
	}},
	{"", func(p *people) error {
		a := p.person()
		a.Letters = []Letter{{Address: p.canary(), Body: []byte(p.canary())}, {Address: p.taken}}
		return p.gorm.Create(a).Error
	}},
	{"", func(p *people) error { return p.gorm.Select("Email", "SSN").Create(p.person()).Error }},
	{"", func(p *people) error { return p.gorm.Omit("SSN").Create(p.person()).Error }},
	{"", func(p *people) error {
		return p.gorm.Clauses(clause.OnConflict{DoNothing: true}).Create(p.person()).Error
	}},
	{"", func(p *people) error {
		a := p.person()
		a.Email = p.taken
		return p.gorm.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "email"}}, DoUpdates: clause.AssignmentColumns([]string{"ssn", "profile"})}).Create(a).Error
	}},
	{"", func(p *people) error {
		a := p.person()
		a.Email = p.taken
		return p.gorm.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "email"}}, UpdateAll: true}).Create(a).Error
	}},
	{"", func(p *people) error {
		a := p.person()
		a.Email = p.taken
		return p.gorm.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "email"}}, DoUpdates: clause.Assignments(map[string]any{"ssn": p.canary()})}).Create(a).Error
	}},
	{"", func(p *people) error {
		var a Person
		return decrypted(p.gorm.First(&a, "email = ?", p.taken).Error, a.Email, *a.SSN, a.Profile.Nick)
	}},
	{"", func(p *people) error {
		var a Person
		return decrypted(p.gorm.Where(&Person{Email: p.taken}).Take(&a).Error, a.Email)
	}},
	{"", func(p *people) error {
		var a Person
		return decrypted(p.gorm.Where(map[string]any{"email": p.taken}).Last(&a).Error, a.Email)
	}},
	{"", func(p *people) error {
		var a []Person
		return decrypted(p.gorm.Where("email IN ?", []string{p.taken, p.canary()}).Find(&a).Error, a)
	}},
	{"", func(p *people) error {
		var a []Person
		return decrypted(p.gorm.Where(map[string]any{"email": []string{p.taken, p.canary()}}).Find(&a).Error, a)
	}},
	{"", func(p *people) error {
		return p.gorm.Not("email = ?", p.canary()).Or("email = ?", p.canary()).Find(&[]Person{}).Error
	}},
	{"", func(p *people) error {
		return p.gorm.Not(map[string]any{"email": []string{p.canary(), p.canary()}}).Find(&[]Person{}).Error
	}},
	{"", func(p *people) error {
		return p.gorm.Where("email <> @mail AND (ssn IS NULL OR email = @mail)", sql.Named("mail", p.canary())).Find(&[]Person{}).Error
	}},
	{"", func(p *people) error {
		var mails []string
		return decrypted(p.gorm.Model(&Person{}).Where("email = ?", p.taken).Pluck("email", &mails).Error, mails)
	}},
	{"", func(p *people) error {
		var n int64
		return p.gorm.Model(&Person{}).Where("email = ?", p.canary()).Distinct("email").Count(&n).Error
	}},
	{"", func(p *people) error {
		var row map[string]any
		return decrypted(p.gorm.Model(&Person{}).Select("email, ssn").Where("email = ?", p.taken).Take(&row).Error, row["email"], *row["ssn"].(*string))
	}},
	{"", func(p *people) error {
		var row struct{ Email, SSN string }
		return decrypted(p.gorm.Model(&Person{}).Where("email = ?", p.taken).Scan(&row).Error, row.Email, row.SSN)
	}},
	{"", func(p *people) error {
		var a Person
		return decrypted(p.gorm.Preload("Letters", "address <> ?", p.canary()).First(&a, "email = ?", p.taken).Error, a.Email)
	}},
	{"", func(p *people) error {
		var l []Letter
		return p.gorm.Joins("Person", p.gorm.Where(&Person{Email: p.canary()})).Where("address = ?", p.canary()).Find(&l).Error
	}},
	{"", func(p *people) error {
		var l []Letter
		return decrypted(p.gorm.InnerJoins("Person").Where(`"Person"."email" = ?`, p.taken).Find(&l).Error, l[0].Person.Email)
	}},
	{"", func(p *people) error {
		sub := p.gorm.Model(&Letter{}).Select("person_id").Where("address = ?", p.canary())
		return p.gorm.Where("id IN (?) OR email = ?", sub, p.canary()).Find(&[]Person{}).Error
	}},
	{"", func(p *people) error {
		a := Person{Model: gorm.Model{ID: p.id}}
		return p.gorm.Model(&a).Association("Letters").Append(&Letter{Address: p.canary(), Body: []byte(p.canary())})
	}},
	{"", func(p *people) error {
		a := Person{Model: gorm.Model{ID: p.id}}
		var l []Letter
		return p.gorm.Model(&a).Where("address = ?", p.taken).Association("Letters").Find(&l)
	}},
	{"", func(p *people) error {
		var a Person
		if err := p.gorm.First(&a, p.id).Error; err != nil {
			return err
		}
		a.SSN = new(p.canary())
		return decrypted(p.gorm.Save(&a).Error, a.Email)
	}},
	{"", func(p *people) error {
		a := p.person()
		a.ID = uint(1_000_000 + *p.n)
		return p.gorm.Save(a).Error
	}},
	{"", func(p *people) error {
		return p.gorm.Model(&Person{}).Where("email = ?", p.taken).Update("ssn", p.canary()).Error
	}},
	{"", func(p *people) error {
		return p.gorm.Model(&Person{}).Where("email = ?", p.taken).Updates(Person{SSN: new(p.canary()), Profile: Profile{Nick: p.canary()}}).Error
	}},
	{"", func(p *people) error {
		return p.gorm.Model(&Person{}).Where("email = ?", p.taken).Updates(map[string]any{"ssn": p.canary(), "name": gorm.Expr("name || ?", "x")}).Error
	}},
	{"", func(p *people) error {
		return p.gorm.Model(&Person{}).Where("email = ?", p.taken).UpdateColumns(map[string]any{"ssn": gorm.Expr("COALESCE(?, ssn)", p.canary())}).Error
	}},
	{"", func(p *people) error {
		var a []Person
		return decrypted(p.gorm.Model(&a).Clauses(clause.Returning{}).Where("email = ?", p.taken).Update("ssn", p.canary()).Error, a[0].Email, *a[0].SSN)
	}},
	{"", func(p *people) error {
		return p.gorm.Model(&Person{}).Where("email = ?", p.taken).Update("ssn", nil).Update("ssn", p.canary()).Error
	}},
	{"", func(p *people) error { return p.gorm.Where("email = ?", p.canary()).Delete(&Person{}).Error }},
	{"", func(p *people) error { return p.gorm.Unscoped().Where("email = ?", p.canary()).Delete(&Person{}).Error }},
	{"", func(p *people) error {
		var a []Letter
		return p.gorm.Clauses(clause.Returning{}).Where("address = ? AND pages > 5", p.canary()).Delete(&a).Error
	}},
	{"", func(p *people) error {
		return p.gorm.Where(Person{Email: p.canary()}).Attrs(Person{SSN: new(p.canary())}).FirstOrCreate(&Person{}).Error
	}},
	{"", func(p *people) error {
		return p.gorm.Where(Person{Email: p.taken}).Assign(Person{SSN: new(p.canary())}).FirstOrCreate(&Person{}).Error
	}},
	{"", func(p *people) error { return p.gorm.Where(Person{Email: p.canary()}).FirstOrInit(&Person{}).Error }},
	{"", func(p *people) error {
		return p.gorm.Where("email <> ?", p.canary()).FindInBatches(&[]Person{}, 5, func(*gorm.DB, int) error { return nil }).Error
	}},
	{"", func(p *people) error {
		rows, err := p.gorm.Model(&Person{}).Where("email = ?", p.taken).Rows()
		if err != nil {
			return err
		}
		defer rows.Close()
		var a Person
		for rows.Next() {
			err = errors.Join(err, p.gorm.ScanRows(rows, &a))
		}
		return decrypted(errors.Join(err, rows.Err()), a.Email)
	}},
	{"", func(p *people) error {
		var mail string
		return decrypted(p.gorm.Raw("SELECT email FROM people WHERE email = @m OR email = @o", map[string]any{"m": p.taken, "o": p.canary()}).Scan(&mail).Error, mail)
	}},
	{"", func(p *people) error {
		return p.gorm.Exec("UPDATE people SET ssn = ? WHERE email = ? AND name <> ?", p.canary(), p.taken, "y").Error
	}},
	{"", func(p *people) error {
		return p.gorm.Transaction(func(tx *gorm.DB) error {
			if err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).First(&Person{}, "email = ?", p.taken).Error; err != nil {
				return err
			}
			a := p.person()
			a.Email = p.taken
			_ = tx.Transaction(func(tx *gorm.DB) error { return tx.Create(a).Error }) // fails, and is undone by a savepoint
			return tx.Create(p.person()).Error
		})
	}},
	{"", func(p *people) error {
		tx := p.gorm.Begin()
		tx.Create(p.person()).SavePoint("a").Create(p.person()).RollbackTo("a")
		return errors.Join(tx.Error, tx.Commit().Error)
	}},
	{"", func(p *people) error {
		day := time.Date(1987, 6, 5, 0, 0, 0, 0, time.UTC)
		a := p.person()
		a.Born = &day
		var b Person
		if err := errors.Join(p.gorm.Create(a).Error, p.gorm.First(&b, a.ID).Error); err != nil || !b.Born.Equal(day) {
			return fmt.Errorf("born %v: %w", b.Born, err)
		}
		return nil
	}},
	{"23505", func(p *people) error {
		a := p.person()
		a.Email = p.taken
		return p.gorm.Create(a).Error
	}},
	{"23505", func(p *people) error {
		return p.gorm.Model(&Person{}).Where("id <> ?", p.id).Update("email", p.taken).Error
	}},
	{"23505", func(p *people) error {
		a := p.person()
		a.ID = p.id
		return p.gorm.Create(a).Error
	}},
	{"23502", func(p *people) error {
		return p.gorm.Model(&Person{}).Create(map[string]any{"email": nil, "ssn": p.canary()}).Error
	}},
	{"23502", func(p *people) error {
		return p.gorm.Model(&Person{}).Where("email = ?", p.taken).Updates(map[string]any{"name": nil, "ssn": p.canary()}).Error
	}},
	{"23503", func(p *people) error {
		return p.gorm.Create(&Letter{PersonID: 99_999_999, Address: p.canary(), Body: []byte(p.canary())}).Error
	}},
	{"23514", func(p *people) error {
		a := p.person()
		a.Name = "bad"
		return p.gorm.Create(a).Error
	}},
	{"23514", func(p *people) error {
		return p.gorm.Create(&Letter{PersonID: p.id, Pages: -1, Address: p.canary(), Body: []byte(p.canary())}).Error
	}},
	{"22012", func(p *people) error {
		return p.gorm.Where("email = ? AND id / (id - id) = 1", p.taken).Find(&[]Person{}).Error
	}},
	{"22P02", func(p *people) error {
		return p.gorm.Where("email = ? AND name::int = 1", p.taken).Find(&[]Person{}).Error
	}},
	{"42883", func(p *people) error {
		return p.gorm.Where("email = ? AND nosuch(name) = 1", p.canary()).Find(&[]Person{}).Error
	}},
	{"operator ~~", func(p *people) error { return p.gorm.Where("email LIKE ?", p.canary()+"%").Find(&[]Person{}).Error }},
	{"operator >", func(p *people) error { return p.gorm.Where("email > ?", p.canary()).Find(&[]Person{}).Error }},
	{"not searchable", func(p *people) error { return p.gorm.Where("ssn = ?", p.canary()).Find(&[]Person{}).Error }},
	{"not searchable", func(p *people) error { return p.gorm.Where(&Person{SSN: new(p.canary())}).Find(&[]Person{}).Error }},
	{"argument of lower()", func(p *people) error { return p.gorm.Where("lower(email) = ?", p.canary()).Find(&[]Person{}).Error }},
	{"ORDER BY", func(p *people) error {
		return p.gorm.Where("email = ?", p.canary()).Order("email").Find(&[]Person{}).Error
	}},
	{"literal", func(p *people) error { return p.gorm.Exec("UPDATE people SET ssn = '" + core + "'").Error }},
	{"literal", func(p *people) error { return p.gorm.Where("email = '" + core + "'").Find(&[]Person{}).Error }},
	{"computation", func(p *people) error {
		return p.gorm.Model(&Person{}).Where("id = ?", p.id).Update("ssn", gorm.Expr("upper(?)", p.canary())).Error
	}},
	{"operator ||", func(p *people) error {
		return p.gorm.Where("email || '' = ?", p.canary()).Find(&[]Person{}).Error
	}},
}

// affected is the error of a sql.Result.
func affected(_ sql.Result, err error) error { return err }

var sqlxOps = []ormOp{
	{"", func(p *people) error {
		query, args, err := sqlx.In("SELECT email FROM people WHERE email = ? AND id IN (?)", hooks.Encrypted("people.email", p.taken), []uint{p.id, 0})
		if err != nil {
			return err
		}
		var mail string
		return decrypted(p.sqlx.GetContext(p.ctx, &mail, p.sqlx.Rebind(query), args...), mail)
	}},
	{"", func(p *people) error {
		var a Person
		err := p.gorm.Where("email = ? AND id IN ?", hooks.Encrypted("people.email", p.taken), []uint{p.id, 0}).Take(&a).Error
		return decrypted(err, a.Email)
	}},
	{"", func(p *people) error {
		return p.gorm.Model(&Person{}).Where("id = ?", p.id).Update("ssn", hooks.Encrypted("people.ssn", p.canary())).Error
	}},
	{"", func(p *people) error {
		return p.gorm.Table("people").Create(map[string]any{"email": hooks.Encrypted("people.email", p.canary())}).Error
	}},
	{"", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "INSERT INTO people (email, ssn) VALUES ($1, $2)", p.canary(), p.canary()))
	}},
	{"", func(p *people) error {
		return affected(p.sqlx.NamedExecContext(p.ctx, "INSERT INTO people (name, email, ssn) VALUES (:name, :email, :ssn)", p.person()))
	}},
	{"", func(p *people) error {
		return affected(p.sqlx.NamedExecContext(p.ctx, "INSERT INTO people (email, ssn) VALUES (:email, :ssn)", []*Person{p.person(), p.person()}))
	}},
	{"", func(p *people) error {
		return affected(p.sqlx.NamedExecContext(p.ctx, "INSERT INTO people (email, ssn) VALUES (:e, :s)", map[string]any{"e": p.canary(), "s": nil}))
	}},
	{"", func(p *people) error {
		return affected(p.sqlx.NamedExecContext(p.ctx, "INSERT INTO people (email) VALUES (:e)", []map[string]any{{"e": p.canary()}, {"e": p.canary()}}))
	}},
	{"", func(p *people) error {
		return affected(p.sqlx.NamedExecContext(p.ctx, "INSERT INTO people (email, ssn) VALUES (:email, :ssn) ON CONFLICT (email) DO UPDATE SET ssn = excluded.ssn", map[string]any{"email": p.taken, "ssn": p.canary()}))
	}},
	{"", func(p *people) error {
		var a Person
		return decrypted(p.sqlx.Unsafe().GetContext(p.ctx, &a, "SELECT * FROM people WHERE email = $1", p.taken), a.Email, *a.SSN)
	}},
	{"", func(p *people) error {
		var mail string
		return decrypted(p.sqlx.GetContext(p.ctx, &mail, "SELECT email FROM people WHERE email = $1", p.taken), mail)
	}},
	{"", func(p *people) error {
		var mail sql.NullString
		return decrypted(p.sqlx.GetContext(p.ctx, &mail, "SELECT ssn FROM people WHERE email = $1", &p.taken), mail.String)
	}},
	{"", func(p *people) error {
		var mails []string
		return decrypted(p.sqlx.SelectContext(p.ctx, &mails, "SELECT email FROM people WHERE email = ANY($1)", []string{p.taken, p.canary()}), mails)
	}},
	{"", func(p *people) error {
		var mails []string
		return p.sqlx.SelectContext(p.ctx, &mails, "SELECT email FROM people WHERE email <> ALL($1)", []string{p.taken, p.canary()})
	}},
	{"", func(p *people) error {
		query, args, err := sqlx.In("SELECT email, ssn FROM people WHERE email IN (?) AND name <> ?", []string{p.taken, p.canary(), p.canary()}, "y")
		if err != nil {
			return err
		}
		var list []Person
		return decrypted(p.sqlx.SelectContext(p.ctx, &list, p.sqlx.Rebind(query), args...), list[0].Email)
	}},
	{"", func(p *people) error {
		query, args, err := sqlx.Named("SELECT email FROM people WHERE email IN (:list) OR email = :one", map[string]any{"list": []string{p.taken, p.canary()}, "one": p.canary()})
		if err != nil {
			return err
		}
		if query, args, err = sqlx.In(query, args...); err != nil {
			return err
		}
		var list []string
		return decrypted(p.sqlx.SelectContext(p.ctx, &list, p.sqlx.Rebind(query), args...), list[0])
	}},
	{"", func(p *people) error {
		rows, err := p.sqlx.NamedQueryContext(p.ctx, "SELECT email, ssn FROM people WHERE email = :email", Person{Email: p.taken})
		if err != nil {
			return err
		}
		defer rows.Close()
		row := map[string]any{}
		for rows.Next() {
			err = errors.Join(err, rows.MapScan(row))
		}
		return decrypted(errors.Join(err, rows.Err()), row["email"], row["ssn"])
	}},
	{"", func(p *people) error {
		values, err := p.sqlx.QueryRowxContext(p.ctx, "SELECT email, ssn FROM people WHERE email = $1", p.taken).SliceScan()
		return decrypted(err, values...)
	}},
	{"", func(p *people) error {
		var a Person
		return decrypted(p.sqlx.QueryRowxContext(p.ctx, "SELECT email, ssn, born FROM people WHERE email = $1", p.taken).StructScan(&a), a.Email)
	}},
	{"", func(p *people) error {
		st, err := p.sqlx.PreparexContext(p.ctx, "SELECT email FROM people WHERE email = $1")
		if err != nil {
			return err
		}
		defer st.Close()
		var mail string
		for range 3 {
			err = errors.Join(err, decrypted(st.GetContext(p.ctx, &mail, p.taken), mail))
		}
		return err
	}},
	{"", func(p *people) error {
		st, err := p.sqlx.PrepareNamedContext(p.ctx, "UPDATE people SET ssn = :ssn WHERE email = :email RETURNING ssn")
		if err != nil {
			return err
		}
		defer st.Close()
		var ssn string
		for range 3 {
			err = errors.Join(err, decrypted(st.GetContext(p.ctx, &ssn, map[string]any{"ssn": p.canary(), "email": p.taken}), ssn))
		}
		return err
	}},
	{"", func(p *people) error {
		tx, err := p.sqlx.BeginTxx(p.ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		_, err = tx.NamedExec("UPDATE people SET ssn = :ssn WHERE email = :email", map[string]any{"ssn": p.canary(), "email": p.taken})
		var mail string
		return decrypted(errors.Join(err, tx.Get(&mail, "SELECT email FROM people WHERE email = $1 FOR UPDATE", p.taken), tx.Commit()), mail)
	}},
	{"", func(p *people) error {
		conn, err := p.sqlx.Connx(p.ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		var ssn string
		return decrypted(conn.GetContext(p.ctx, &ssn, "UPDATE people SET ssn = $1 WHERE email = $2 RETURNING ssn", p.canary(), p.taken), ssn)
	}},
	{"", func(p *people) error {
		var mail string
		return decrypted(p.sqlx.GetContext(p.ctx, &mail, "SELECT email FROM people WHERE email = @m", pgx.NamedArgs{"m": p.taken}), mail)
	}},
	{"", func(p *people) error {
		var mail string
		return decrypted(p.sqlx.GetContext(p.ctx, &mail, "SELECT email FROM people WHERE email = $1", pgx.QueryExecModeExec, p.taken), mail)
	}},
	{"", func(p *people) error {
		var mail string
		return decrypted(p.sqlx.GetContext(p.ctx, &mail, "WITH n AS (INSERT INTO people (email) VALUES ($1) RETURNING email) TABLE n", p.canary()), mail)
	}},
	{"", func(p *people) error {
		var list []struct {
			Email   string
			Address sql.NullString
		}
		return decrypted(p.sqlx.SelectContext(p.ctx, &list, "SELECT p.email, l.address FROM people p LEFT JOIN letters l ON l.person_id = p.id AND l.address = $1 WHERE p.email = $2", p.canary(), p.taken), list[0].Email)
	}},
	{"", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "INSERT INTO letters (person_id, address, body) SELECT id, email, $1 FROM people WHERE email = $2", []byte(p.canary()), p.taken))
	}},
	{"", func(p *people) error {
		var body []byte
		return decrypted(p.sqlx.GetContext(p.ctx, &body, "SELECT body FROM letters WHERE address = $1 AND body IS NOT NULL LIMIT 1", p.taken), string(body))
	}},
	{"", func(p *people) error {
		var mails []string
		return decrypted(p.sqlx.SelectContext(p.ctx, &mails, "SELECT email FROM people WHERE email = $1 UNION ALL SELECT address FROM letters WHERE address = $2", p.taken, p.canary()), mails)
	}},
	{"", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "DELETE FROM people WHERE email = $1 OR email IN ($2, $3)", p.canary(), p.canary(), p.canary()))
	}},
	{"", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "UPDATE people SET (email, ssn) = ($1, $2) WHERE email = $3", p.canary(), p.canary(), p.canary()))
	}},
	{"", func(p *people) error {
		if p.version < 15 { // it has no MERGE
			return nil
		}
		return affected(p.sqlx.ExecContext(p.ctx, "MERGE INTO people t USING (SELECT $1::text AS e) s ON t.email = s.e WHEN MATCHED THEN UPDATE SET ssn = $2 WHEN NOT MATCHED THEN INSERT (email, ssn) VALUES (s.e, $2)", p.canary(), p.canary()))
	}},
	{"", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "INSERT INTO people (email, ssn) SELECT unnest($1::text[]), unnest($2::text[])", []string{p.canary(), p.canary()}, []string{p.canary(), p.canary()}))
	}},
	{"", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "SELECT 1 FROM people WHERE (email, name) = ($1, $2)", p.canary(), "x"))
	}},
	{"", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "SELECT 1 FROM people WHERE email IS NOT DISTINCT FROM $1 OR ssn IS NULL", p.canary()))
	}},
	{"", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "UPDATE people SET ssn = COALESCE($1, ssn), name = COALESCE($2, name) WHERE email = $3", p.canary(), "x", p.taken))
	}},
	{"", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "UPDATE people SET profile = $1 WHERE email = $2", Profile{Nick: p.canary()}, p.taken))
	}},
	{"", func(p *people) error {
		var text string
		return p.sqlx.GetContext(p.ctx, &text, "EXPLAIN SELECT 1 FROM people WHERE email = $1", p.canary())
	}},
	{"23505", func(p *people) error {
		return affected(p.sqlx.NamedExecContext(p.ctx, "INSERT INTO people (email, ssn) VALUES (:email, :ssn)", map[string]any{"email": p.taken, "ssn": p.canary()}))
	}},
	{"23505", func(p *people) error {
		return affected(p.sqlx.NamedExecContext(p.ctx, "INSERT INTO people (email, ssn) VALUES (:email, :ssn)", []map[string]any{{"email": p.canary(), "ssn": p.canary()}, {"email": p.taken, "ssn": p.canary()}}))
	}},
	{"23502", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "INSERT INTO people (ssn) VALUES ($1)", p.canary()))
	}},
	{"23503", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "INSERT INTO letters (person_id, address) VALUES (-1, $1)", p.canary()))
	}},
	{"23503", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "DELETE FROM people WHERE email = $1", p.taken))
	}},
	{"23514", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "INSERT INTO people (name, email, ssn) VALUES ('bad', $1, $2)", p.canary(), p.canary()))
	}},
	{"22003", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "INSERT INTO letters (person_id, address, pages) VALUES (1, $1, 99999999999)", p.canary()))
	}},
	{"22P02", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "UPDATE people SET ssn = $1, id = name::int WHERE email = $2", p.canary(), p.taken))
	}},
	{"42P10", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "INSERT INTO people (email) VALUES ($1) ON CONFLICT (name) DO NOTHING", p.canary()))
	}},
	{"21000", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "UPDATE people SET ssn = $1 WHERE id = (SELECT generate_series(1, 2))", p.canary()))
	}},
	{"operator ~~", func(p *people) error {
		return p.sqlx.SelectContext(p.ctx, &[]string{}, "SELECT email FROM people WHERE email LIKE $1", p.canary())
	}},
	{"not searchable", func(p *people) error {
		return p.sqlx.SelectContext(p.ctx, &[]string{}, "SELECT email FROM people WHERE ssn = ANY($1)", []string{p.canary()})
	}},
	{"is used for", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "INSERT INTO people (email, ssn) VALUES ($1, $1)", p.canary()))
	}},
	{"literal", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "INSERT INTO people (email) VALUES ('"+core+"')"))
	}},
	{"literal", func(p *people) error {
		return p.sqlx.SelectContext(p.ctx, &[]string{}, "SELECT email FROM people WHERE email IN ($1, '"+core+"')", p.canary())
	}},
	{"copied into", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "UPDATE people SET name = email WHERE email = $1", p.canary()))
	}},
	{"want a date", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "UPDATE people SET born = $1", p.canary()))
	}},
	{"want JSON", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "UPDATE people SET profile = $1", p.canary()))
	}},
	{"send it by itself", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "UPDATE people SET ssn = $1; UPDATE people SET ssn = $1", p.canary()))
	}},
	{"not seen", func(p *people) error {
		return affected(p.sqlx.ExecContext(p.ctx, "DO $$ BEGIN UPDATE people SET ssn = '"+core+"'; END $$"))
	}},
}

// TestCanaries has GORM and sqlx run some 130 statements in every mode: no value of an encrypted column is on the wire, in the server's
// log, or in an error.
func TestCanaries(t *testing.T) {
	db := pganontest.New(t)
	login, writer := db.Role("login", "LOGIN NOINHERIT"), db.Role("writer")
	db.Exec(domains(t) + peopleSQL)
	db.Exec("GRANT " + writer + " TO " + login + "; GRANT ALL ON people, letters, people_id_seq, letters_id_seq TO " + writer)
	for _, setting := range []string{"log_statement = 'all'", "log_parameter_max_length = -1", "log_parameter_max_length_on_error = -1", "log_min_duration_statement = 0", "log_error_verbosity = verbose"} {
		db.Exec("ALTER DATABASE " + db.Name() + " SET " + setting)
	}
	key := fernet.GenerateKey()
	t.Setenv("ORMS_KEYS", key.Encode())
	n, ran := 0, 0
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol", "prepared"} {
		t.Run(mode, func(t *testing.T) {
			proxy := db.Proxy()
			query := url.Values{"pganon.roles": {"writers:" + writer}, "pganon.keys_env": {"ORMS_KEYS"}, "default_query_exec_mode": {strings.Replace(mode, "prepared", "cache_statement", 1)}}
			pool, err := driver.Open(proxy.DSNAs(login)+"&"+query.Encode(), driver.Config{Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			defer pool.Close()
			p := &people{t: t, n: &n, sqlx: sqlx.NewDb(pool, "pganon"),
				ctx: pganon.WithIdentity(t.Context(), pganon.Identity{User: "u", Groups: []string{"writers"}})}
			p.gorm, err = gorm.Open(postgres.New(postgres.Config{Conn: pool}), &gorm.Config{
				PrepareStmt: mode == "prepared", DisableAutomaticPing: true, Logger: logger.New(log.New(io.Discard, "", 0), logger.Config{}),
			})
			require.NoError(t, err)
			p.gorm = p.gorm.WithContext(p.ctx)
			require.NoError(t, p.sqlx.GetContext(p.ctx, &p.version, "SELECT current_setting('server_version_num')::int / 10000"))
			first := p.person()
			first.Name, first.Letters = "visible-"+mode, []Letter{{Address: p.canary(), Body: []byte(p.canary())}}
			require.NoError(t, p.gorm.Create(first).Error)
			p.taken, p.id = first.Email, first.ID
			for who, ops := range map[string][]ormOp{"gorm": gormOps, "sqlx": sqlxOps} {
				for i, op := range ops {
					proxy.Reset()
					err := op.do(p)
					ran++
					of, byServer := errors.AsType[*pgconn.PgError](err)
					switch {
					case op.fails == "":
						assert.NoError(t, err, "%s %d", who, i)
					case len(op.fails) == 5 && strings.ToUpper(op.fails) == op.fails:
						assert.Truef(t, byServer && of.Code == op.fails, "%s %d: want %s, got %v", who, i, op.fails, err)
					default:
						assert.ErrorContains(t, err, op.fails, "%s %d", who, i)
					}
					sources := []any{}
					if len(proxy.Sent()) > 0 {
						sources = append(sources, proxy)
					}
					if err != nil {
						sources = append(sources, err)
					}
					if len(sources) > 0 {
						pganontest.AssertNoLeak(t, []string{core}, sources...)
					}
				}
			}
		})
	}
	t.Logf("%d statements or more", ran)
	if os.Getenv("PGANON_TEST_DSN") != "" {
		return // its log cannot be read
	}
	require.Eventually(t, func() bool { return strings.Contains(db.ServerLog(), "visible-") }, 10*time.Second, 50*time.Millisecond)
	entries := db.ServerLog()
	require.Contains(t, entries, "gAAAAAAB")
	pganontest.AssertNoLeak(t, []string{core}, entries)
}
