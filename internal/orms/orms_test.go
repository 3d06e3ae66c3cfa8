package orms_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/pganon/pganon"
	_ "github.com/pganon/pganon/driver" // registers "pganon"
	"github.com/pganon/pganon/pganontest"
)

func init() { sqlx.BindDriver("pganon", sqlx.DOLLAR) }

type Author struct {
	gorm.Model
	Name   string  `gorm:"not null" db:"name"`
	Email  string  `gorm:"not null;unique"`
	Age    *int    `db:"age"`
	Score  float64 `gorm:"not null;default:1.5"`
	Active bool
	Photo  []byte
	Extra  map[string]any `gorm:"serializer:json;type:jsonb"`
	Born   sql.NullTime   `gorm:"type:date"`
	Books  []Book
	Tags   []Tag    `gorm:"many2many:author_tags"`
	hooks  []string // not a column
}

type Book struct {
	ID       uint
	AuthorID uint `gorm:"not null"`
	Author   *Author
	Title    string `gorm:"not null;check:title <> ''"`
	Pages    int
}

type Tag struct {
	ID   uint
	Name string `gorm:"not null;unique"`
}

func (a *Author) BeforeSave(*gorm.DB) error   { return a.hook("before save") }
func (a *Author) BeforeCreate(*gorm.DB) error { return a.hook("before create") }
func (a *Author) AfterCreate(*gorm.DB) error  { return a.hook("after create") }
func (a *Author) BeforeUpdate(*gorm.DB) error { return a.hook("before update") }
func (a *Author) AfterFind(*gorm.DB) error    { return a.hook("after find") }
func (a *Author) BeforeDelete(*gorm.DB) error {
	if a.Name == "undeletable" {
		return errors.New("it stays")
	}
	return a.hook("before delete")
}

func (a *Author) hook(name string) error {
	a.hooks = append(a.hooks, name)
	return nil
}

// side is GORM and sqlx on one driver.
type side struct {
	ctx  context.Context
	gorm *gorm.DB // with ctx
	sqlx *sqlx.DB
}

// seed are the rows that each behaviour starts with.
func (s *side) seed() error {
	if err := s.gorm.Exec("TRUNCATE authors, books, tags, author_tags RESTART IDENTITY").Error; err != nil {
		return err
	}
	age := 36
	return s.gorm.Create(&[]Author{
		{Name: "Ada", Email: "ada@example.com", Age: &age, Score: 9.25, Active: true,
			Photo: []byte{0, 1, 0xff}, Extra: map[string]any{"a": 1.0, "b": []any{"x"}},
			Born:  sql.NullTime{Time: time.Date(1815, 12, 10, 0, 0, 0, 0, time.UTC), Valid: true},
			Books: []Book{{Title: "Notes", Pages: 66}, {Title: "Letters", Pages: 7}}, Tags: []Tag{{Name: "maths"}, {Name: "poetry"}}},
		{Name: "Bob", Email: "bob@example.com", Books: []Book{{Title: "Bob's", Pages: 1}}},
		{Name: "Cleo", Email: "cleo@example.com", Score: 3},
	}).Error
}

// outcome is an error without what a driver may word in its own way.
func outcome(err error) any {
	for name, known := range map[string]error{
		"record not found": gorm.ErrRecordNotFound, "duplicated key": gorm.ErrDuplicatedKey, "foreign key": gorm.ErrForeignKeyViolated,
		"check": gorm.ErrCheckConstraintViolated, "no rows": sql.ErrNoRows, "tx done": sql.ErrTxDone, "canceled": context.Canceled,
	} {
		if errors.Is(err, known) {
			return name + " " + state(err)
		}
	}
	if code := state(err); code != "" {
		return code
	}
	switch {
	case err == nil:
		return "ok"
	case strings.Contains(err.Error(), "unable to encode"):
		return "unable to encode" // what it was, pgx says and pganon does not
	}
	return err.Error()
}

func state(err error) string {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return ""
	}
	return strings.TrimSpace(pgErr.Code + " " + pgErr.TableName + " " + pgErr.ColumnName + " " + pgErr.ConstraintName)
}

// names reads what is there, in a statement of its own.
func (s *side) names() any {
	var names []string
	const line = "name || coalesce(' ' || age, '') || CASE WHEN deleted_at IS NULL THEN '' ELSE ' deleted' END"
	if err := s.gorm.Unscoped().Model(&Author{}).Order("id").Pluck(line, &names).Error; err != nil {
		return outcome(err)
	}
	return names
}

var errUndo = errors.New("undo")

// A behaviour returns what a program would see.
type behaviour struct {
	name string
	do   func(s *side) any
}

// behaviours are what the examples use, and their neighbours.
var behaviours = []behaviour{
	{"gorm: create, with what the database adds", func(s *side) any {
		a := Author{Name: "Dan", Email: "dan@example.com"}
		err := s.gorm.Create(&a).Error
		return []any{outcome(err), a.ID, a.Score, a.hooks, !a.CreatedAt.IsZero(), s.names()}
	}},
	{"gorm: create in batches", func(s *side) any {
		var list []Tag
		for i := range 25 {
			list = append(list, Tag{Name: fmt.Sprint("tag ", i)})
		}
		db := s.gorm.CreateInBatches(&list, 10)
		return []any{outcome(db.Error), db.RowsAffected, list[24].ID}
	}},
	{"gorm: create from a map", func(s *side) any {
		row := map[string]any{"name": "x"}
		db := s.gorm.Model(&Tag{}).Create(&row)
		return []any{outcome(db.Error), db.RowsAffected, row["@id"]}
	}},
	{"gorm: upsert of all", func(s *side) any {
		byEmail := clause.OnConflict{Columns: []clause.Column{{Name: "email"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}
		db := s.gorm.Clauses(byEmail).
			Create(&[]Author{{Name: "Ada II", Email: "ada@example.com"}, {Name: "New", Email: "new@example.com"}})
		return []any{outcome(db.Error), db.RowsAffected, s.names()}
	}},
	{"gorm: upsert of nothing", func(s *side) any {
		tags := []Tag{{Name: "maths"}, {Name: "new"}}
		db := s.gorm.Clauses(clause.OnConflict{DoNothing: true}).Create(&tags)
		return []any{outcome(db.Error), db.RowsAffected}
	}},
	{"gorm: upsert with a condition", func(s *side) any {
		db := s.gorm.Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "email"}}, DoUpdates: clause.Assignments(map[string]any{"score": gorm.Expr("authors.score + ?", 1)}),
			Where: clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "authors.active"}}},
		}).Create(&[]Author{{Name: "x", Email: "ada@example.com"}, {Name: "y", Email: "bob@example.com"}})
		var scores []float64
		return []any{outcome(db.Error), db.RowsAffected, outcome(s.gorm.Model(&Author{}).Order("id").Pluck("score", &scores).Error), scores}
	}},
	{"gorm: duplicate, null, foreign key, check, translated", func(s *side) any {
		return []any{
			outcome(s.gorm.Create(&Author{Name: "x", Email: "ada@example.com"}).Error),
			outcome(s.gorm.Exec("INSERT INTO authors (email) VALUES (?)", "x").Error),
			outcome(s.gorm.Create(&Book{AuthorID: 99, Title: "x"}).Error),
			outcome(s.gorm.Create(&Book{AuthorID: 1}).Error),
			outcome(s.gorm.Where("nosuch = 1").Find(&[]Tag{}).Error),
			s.names(),
		}
	}},
	{"gorm: first, last, take, find", func(s *side) any {
		var first, last, none Author
		var some []Author
		return []any{
			outcome(s.gorm.First(&first).Error), first.Name, *first.Age, first.Photo, first.Extra, first.Born.Time.Format(time.DateOnly), first.hooks,
			outcome(s.gorm.Last(&last).Error), last.Name, last.Age, last.Photo, last.Extra, last.Born.Valid,
			outcome(s.gorm.First(&none, 99).Error),
			outcome(s.gorm.Find(&some, []int{1, 3}).Error), len(some),
			outcome(s.gorm.Where("name IN ? AND active = ?", []string{"Ada", "Bob"}, true).Find(&some).Error), len(some),
			outcome(s.gorm.Where(map[string]any{"age": nil}).Not("name = ?", "Bob").Or("name = @n", sql.Named("n", "Ada")).Find(&some).Error), len(some),
		}
	}},
	{"gorm: times come back as they went", func(s *side) any {
		var a Author
		at := time.Date(2024, 3, 31, 1, 59, 59, 123456000, time.FixedZone("", 5400))
		err := s.gorm.Model(&Author{}).Where("id = 1").UpdateColumn("created_at", at).Error
		return []any{outcome(err), outcome(s.gorm.First(&a, 1).Error), a.CreatedAt.Equal(at), a.CreatedAt.Location().String()}
	}},
	{"gorm: preload, joins, count", func(s *side) any {
		var authors []Author
		var books []Book
		var count int64
		err := s.gorm.Preload("Books", func(db *gorm.DB) *gorm.DB { return db.Order("books.pages") }).Preload("Tags").Order("id").Find(&authors).Error
		joined := s.gorm.Joins("Author").Where(`"Author"."name" = ?`, "Ada").Order("books.id").Find(&books).Error
		counted := s.gorm.Model(&Author{}).Joins("LEFT JOIN books b ON b.author_id = authors.id").Where("b.pages > ?", 5).
			Distinct("authors.id").Count(&count).Error
		return []any{
			outcome(err), len(authors[0].Tags), authors[0].Books[0].Title, len(authors[2].Books),
			outcome(joined), books[1].Author.Name, outcome(counted), count,
		}
	}},
	{"gorm: associations", func(s *side) any {
		var a Author
		got := []any{outcome(s.gorm.First(&a, 1).Error)}
		tags := func() *gorm.Association { return s.gorm.Model(&a).Association("Tags") }
		got = append(got, tags().Count(), outcome(tags().Append(&Tag{Name: "third"})), tags().Count())
		got = append(got, outcome(tags().Replace(&Tag{Name: "only"})), tags().Count(), outcome(tags().Clear()), tags().Count())
		var books []Book
		got = append(got, outcome(s.gorm.Model(&a).Association("Books").Find(&books)), len(books))
		return append(got, outcome(s.gorm.Model(&a).Association("Books").Delete(&books[0])), s.gorm.Model(&a).Association("Books").Count())
	}},
	{"gorm: save, update, updates, expressions, returning", func(s *side) any {
		var a, b Author
		got := []any{outcome(s.gorm.First(&a, 2).Error)}
		a.Name, a.Active = "Bobby", true
		got = append(got, outcome(s.gorm.Omit(clause.Associations).Save(&a).Error), a.hooks)
		db := s.gorm.Model(&Author{}).Where("name LIKE ?", "%o%").Updates(map[string]any{"score": gorm.Expr("score * ?", 2)})
		got = append(got, outcome(db.Error), db.RowsAffected)
		db = s.gorm.Model(&b).Clauses(clause.Returning{Columns: []clause.Column{{Name: "score"}}}).Where("id = ?", 3).Update("name", "C")
		got = append(got, outcome(db.Error), b.Score)
		fresh := Author{Name: "Saved", Email: "saved@example.com"}
		fresh.ID = 77
		return append(got, outcome(s.gorm.Save(&fresh).Error), s.names())
	}},
	{"gorm: soft delete, unscoped, hooks that refuse", func(s *side) any {
		var a Author
		a.ID = 2
		got := []any{
			outcome(s.gorm.Delete(&a).Error), s.names(),
			outcome(s.gorm.First(&Author{}, 2).Error), outcome(s.gorm.Unscoped().First(&Author{}, 2).Error),
		}
		got = append(got, outcome(s.gorm.Unscoped().Model(&a).Update("deleted_at", nil).Error), s.names())
		a.Name = "undeletable"
		got = append(got, outcome(s.gorm.Delete(&a).Error), s.names())
		db := s.gorm.Where("author_id = ?", 1).Delete(&Book{})
		return append(got, outcome(db.Error), db.RowsAffected, outcome(s.gorm.Delete(&Tag{}).Error))
	}},
	{"gorm: transactions in transactions", func(s *side) any {
		var inner, outer error
		outer = s.gorm.Transaction(func(tx *gorm.DB) error {
			tx.Create(&Author{Name: "kept", Email: "kept"})
			inner = tx.Transaction(func(tx *gorm.DB) error {
				tx.Create(&Author{Name: "undone", Email: "undone"})
				return tx.Create(&Author{Name: "twice", Email: "ada@example.com"}).Error
			})
			_ = tx.Transaction(func(tx *gorm.DB) error {
				tx.Create(&Author{Name: "undone too", Email: "undone"})
				return errUndo
			})
			return tx.Create(&Author{Name: "kept too", Email: "kept too"}).Error
		})
		undone := s.gorm.Transaction(func(tx *gorm.DB) error {
			tx.Create(&Author{Name: "never", Email: "never"})
			return errUndo
		})
		return []any{outcome(inner), outcome(outer), outcome(undone), s.names()}
	}},
	{"gorm: savepoints by hand, and a panic", func(s *side) any {
		tx := s.gorm.Begin()
		tx.Create(&Tag{Name: "a"})
		tx.SavePoint("p")
		tx.Create(&Tag{Name: "b"})
		tx.RollbackTo("p")
		committed := tx.Commit().Error
		func() {
			defer func() { _ = recover() }()
			_ = s.gorm.Transaction(func(tx *gorm.DB) error {
				tx.Create(&Tag{Name: "c"})
				panic("no")
			})
		}()
		var names []string
		return []any{outcome(committed), outcome(tx.Create(&Tag{Name: "d"}).Error), outcome(s.gorm.Model(&Tag{}).Order("id").Pluck("name", &names).Error), names}
	}},
	{"gorm: a failed statement ends the transaction", func(s *side) any {
		tx := s.gorm.Begin()
		first := tx.Exec("SELECT 1/0").Error
		second := tx.Create(&Tag{Name: "a"}).Error
		return []any{outcome(first), outcome(second), outcome(tx.Commit().Error), outcome(tx.Rollback().Error)}
	}},
	{"gorm: rows, scan, raw, batches", func(s *side) any {
		rows, err := s.gorm.Model(&Author{}).Order("id").Rows()
		if err != nil {
			return outcome(err)
		}
		defer rows.Close()
		var got []any
		for rows.Next() {
			var a Author
			got = append(got, outcome(s.gorm.ScanRows(rows, &a)), a.Name, a.Photo)
		}
		var sums []struct {
			Name  string
			Pages int64
		}
		err = s.gorm.Raw("SELECT a.name, sum(b.pages) AS pages FROM authors a JOIN books b ON b.author_id = a.id WHERE b.pages >= @least GROUP BY a.name ORDER BY 2",
			map[string]any{"least": 1}).Scan(&sums).Error
		var batches []int
		var list []Author
		batched := s.gorm.FindInBatches(&list, 2, func(_ *gorm.DB, n int) error { batches = append(batches, n, len(list)); return nil }).Error
		row := map[string]any{}
		one := s.gorm.Model(&Author{}).Select("id, name, active, score, photo, born, extra, age").Where("id = 1").Take(&row).Error
		return append(got, outcome(rows.Err()), outcome(err), sums, outcome(batched), batches, outcome(one), fmt.Sprintf("%T %v", row["id"], row))
	}},
	{"gorm: exec says how many", func(s *side) any {
		db := s.gorm.Exec("UPDATE authors SET score = score + ? WHERE score < ?", 1, 5)
		none := s.gorm.Exec("UPDATE authors SET score = 0 WHERE id = ?", 99)
		return []any{outcome(db.Error), db.RowsAffected, outcome(none.Error), none.RowsAffected}
	}},
	{"gorm: locking, group, having, subquery", func(s *side) any {
		var names []string
		err := s.gorm.Transaction(func(tx *gorm.DB) error {
			return tx.Clauses(clause.Locking{Strength: "UPDATE", Options: "SKIP LOCKED"}).First(&Author{}, 1).Error
		})
		sub := s.gorm.Model(&Book{}).Select("author_id").Group("author_id").Having("count(*) > ?", 1)
		return []any{outcome(err), outcome(s.gorm.Model(&Author{}).Where("id IN (?)", sub).Pluck("name", &names).Error), names}
	}},
	{"gorm: first or create, first or init, attrs", func(s *side) any {
		var a, b Tag
		return []any{
			outcome(s.gorm.Where(Tag{Name: "maths"}).FirstOrCreate(&a).Error), a.ID,
			outcome(s.gorm.Where(Tag{Name: "made"}).Attrs(Tag{ID: 50}).FirstOrCreate(&b).Error), b.ID,
		}
	}},
	{"gorm: a context that is done", func(s *side) any {
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		return outcome(s.gorm.WithContext(ctx).First(&Author{}).Error)
	}},
	{"gorm: what a table has", func(s *side) any {
		columns, err := s.gorm.Migrator().ColumnTypes(&Author{})
		got := []any{outcome(err), s.gorm.Migrator().HasTable(&Tag{}), s.gorm.Migrator().HasIndex(&Author{}, "idx_authors_deleted_at")}
		for _, c := range columns {
			nullable, _ := c.Nullable()
			unique, _ := c.Unique()
			value, has := c.DefaultValue()
			got = append(got, c.Name(), c.DatabaseTypeName(), nullable, unique, value, has)
		}
		return got
	}},
	{"gorm: migrations, one after the other", func(s *side) any {
		type thing struct {
			ID   uint
			Name string `gorm:"size:40"`
		}
		type thing2 struct {
			ID    uint
			Name  string `gorm:"size:80;not null;default:'none'"`
			Count int64
		}
		things := s.gorm.Table("things")
		got := []any{
			outcome(things.AutoMigrate(&thing{})), outcome(s.gorm.Table("things").Create(&thing{Name: "one"}).Error),
			outcome(s.gorm.Table("things").AutoMigrate(&thing{})), outcome(s.gorm.Table("things").AutoMigrate(&thing2{})),
		}
		var list []thing2
		got = append(got, outcome(s.gorm.Table("things").Find(&list).Error), list)
		got = append(got, outcome(s.gorm.Migrator().DropColumn("things", "count")), outcome(s.gorm.Migrator().DropTable("things")))
		return append(got, s.gorm.Migrator().HasTable("things"))
	}},

	{"sqlx: get, select, missing rows and fields", func(s *side) any {
		type author struct {
			ID   int64
			Name string
			Age  sql.NullInt64
		}
		var one author
		var all []author
		var count int
		var names []string
		return []any{
			outcome(s.sqlx.GetContext(s.ctx, &one, "SELECT id, name, age FROM authors WHERE id = $1", 1)), one,
			outcome(s.sqlx.GetContext(s.ctx, &one, "SELECT id, name, age FROM authors WHERE id = $1", 99)),
			outcome(s.sqlx.SelectContext(s.ctx, &all, "SELECT id, name, age FROM authors ORDER BY id")), all,
			outcome(s.sqlx.GetContext(s.ctx, &count, "SELECT count(*) FROM authors")), count,
			outcome(s.sqlx.SelectContext(s.ctx, &names, "SELECT name FROM authors ORDER BY name DESC")), names,
			outcome(s.sqlx.GetContext(s.ctx, &one, "SELECT * FROM authors WHERE id = 1")),
			outcome(s.sqlx.Unsafe().GetContext(s.ctx, &one, "SELECT * FROM authors WHERE id = 1")),
			outcome(s.sqlx.GetContext(s.ctx, &count, "SELECT name FROM authors WHERE id = 1")),
		}
	}},
	{"sqlx: named, with structs, maps and slices of both", func(s *side) any {
		type row struct {
			Name, Email string
			Age         *int
		}
		age := 7
		affected := func(r sql.Result, err error) any {
			if err != nil {
				return outcome(err)
			}
			n, err := r.RowsAffected()
			return []any{n, outcome(err)}
		}
		const insert = "INSERT INTO authors (name, email, age) VALUES (:name, :email, :age)"
		got := []any{
			affected(s.sqlx.NamedExecContext(s.ctx, insert, row{"x", "x", &age})),
			affected(s.sqlx.NamedExecContext(s.ctx, insert, []row{{"y", "y", nil}, {"z", "z", &age}})),
			affected(s.sqlx.NamedExecContext(s.ctx, insert, map[string]any{"name": "m", "email": "m", "age": 8})),
			affected(s.sqlx.NamedExecContext(s.ctx, insert, row{"x", "x", &age})),
			affected(s.sqlx.NamedExecContext(s.ctx, insert, map[string]any{"name": "m"})),
			s.names(),
		}
		rows, err := s.sqlx.NamedQueryContext(s.ctx, "SELECT name, age FROM authors WHERE age >= :least ORDER BY id", map[string]any{"least": 7})
		if err != nil {
			return append(got, outcome(err))
		}
		defer rows.Close()
		for rows.Next() {
			m := map[string]any{}
			got = append(got, outcome(rows.MapScan(m)), fmt.Sprintf("%v", m))
		}
		return append(got, outcome(rows.Err()))
	}},
	{"sqlx: in, rebind", func(s *side) any {
		query, args, err := sqlx.In("SELECT name FROM authors WHERE id IN (?) AND name <> ? ORDER BY id", []int{1, 2, 3}, "Bob")
		got := []any{outcome(err), s.sqlx.Rebind(query), args}
		var names []string
		got = append(got, outcome(s.sqlx.SelectContext(s.ctx, &names, s.sqlx.Rebind(query), args...)), names)
		named, args, err := s.sqlx.BindNamed("SELECT name FROM authors WHERE id = :id", map[string]any{"id": 2})
		return append(got, outcome(err), named, args, outcome(s.sqlx.GetContext(s.ctx, &names, "SELECT 1")))
	}},
	{"sqlx: prepared, named, in a transaction", func(s *side) any {
		var name string
		stmt, err := s.sqlx.PreparexContext(s.ctx, "SELECT name FROM authors WHERE id = $1")
		got := []any{outcome(err)}
		for _, id := range []int{1, 2, 99, 1} {
			got = append(got, outcome(stmt.GetContext(s.ctx, &name, id)), name)
		}
		named, err := s.sqlx.PrepareNamedContext(s.ctx, "SELECT name FROM authors WHERE id = :id AND active = :active")
		got = append(got, outcome(err), outcome(named.GetContext(s.ctx, &name, map[string]any{"id": 1, "active": true})), name)
		tx, err := s.sqlx.BeginTxx(s.ctx, nil)
		got = append(got, outcome(err), outcome(tx.Stmtx(stmt).GetContext(s.ctx, &name, 3)), name)
		_, failed := tx.NamedExec("UPDATE authors SET name = :name", map[string]any{"name": "all"})
		got = append(got, outcome(failed), outcome(tx.Get(&name, "SELECT name FROM authors LIMIT 1")), name, outcome(tx.Rollback()), outcome(tx.Commit()))
		return append(got, outcome(stmt.Close()), outcome(named.Close()), s.names())
	}},
	{"sqlx: transaction kept, struct scan, slice scan", func(s *side) any {
		tx, err := s.sqlx.BeginTxx(s.ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
		if err != nil {
			return outcome(err)
		}
		var level string
		got := []any{outcome(tx.Get(&level, "SHOW transaction_isolation")), level}
		var tag Tag
		got = append(got, outcome(tx.QueryRowx("INSERT INTO tags (name) VALUES ($1) RETURNING *", "kept").StructScan(&tag)), tag, outcome(tx.Commit()))
		values, err := s.sqlx.QueryRowxContext(s.ctx, "SELECT id, name, photo, active, score, age, extra::text FROM authors WHERE id = 1").SliceScan()
		return append(got, outcome(err), fmt.Sprintf("%T %v", values, values))
	}},
	{"sqlx: one connection, several commands, read only", func(s *side) any {
		conn, err := s.sqlx.Connx(s.ctx)
		if err != nil {
			return outcome(err)
		}
		defer conn.Close()
		var n int
		got := []any{outcome(conn.GetContext(s.ctx, &n, "SELECT count(*) FROM books WHERE author_id = $1", 1)), n}
		_, err = conn.ExecContext(s.ctx, "UPDATE books SET pages = 0; DELETE FROM books WHERE author_id = 1")
		got = append(got, outcome(err), outcome(conn.GetContext(s.ctx, &n, "SELECT count(*) FROM books")), n)
		tx, err := conn.BeginTxx(s.ctx, &sql.TxOptions{ReadOnly: true})
		got = append(got, outcome(err))
		_, err = tx.Exec("DELETE FROM books")
		return append(got, outcome(err), outcome(tx.Rollback()))
	}},
	{"sqlx: arrays, json, pgx's options", func(s *side) any {
		var names []string
		var text string
		got := []any{
			outcome(s.sqlx.SelectContext(s.ctx, &names, "SELECT name FROM authors WHERE id = ANY($1) ORDER BY id", []int64{1, 3})), names,
			outcome(s.sqlx.GetContext(s.ctx, &text, "SELECT $1::jsonb ->> 'a'", map[string]any{"a": "b"})), text,
			outcome(s.sqlx.GetContext(s.ctx, &text, "SELECT name FROM authors WHERE id = $1", pgx.QueryExecModeExec, 2)), text,
			outcome(s.sqlx.GetContext(s.ctx, &text, "SELECT name FROM authors WHERE id = @id", pgx.NamedArgs{"id": 3})), text,
		}
		return got
	}},
}

// TestSame runs each behaviour on both drivers, as nobody there and as an identity that is not masked here, and wants the same.
// What that is stands in testdata, so that a behaviour that fails on both does not show nothing.
func TestSame(t *testing.T) {
	for _, mode := range []string{"cache_statement", "exec", "simple_protocol"} {
		for _, prepare := range []bool{false, true} {
			if prepare && mode != "cache_statement" {
				continue // of which there is one
			}
			t.Run(fmt.Sprintf("%s PrepareStmt=%t", mode, prepare), func(t *testing.T) {
				t.Parallel()
				pgx, ours := open(t, "pgx", mode, prepare), open(t, "pganon", mode, prepare)
				var all strings.Builder
				ran := 0 // -run may want some
				for _, b := range behaviours {
					t.Run(b.name, func(t *testing.T) {
						want := b.on(t, pgx)
						assert.Equal(t, want, b.on(t, ours))
						fmt.Fprintf(&all, "%s\n%s\n\n", b.name, want)
						ran++
					})
				}
				if mode == "cache_statement" && !prepare && ran == len(behaviours) {
					golden(t, all.String())
				}
			})
		}
	}
}

func (b behaviour) on(t *testing.T, s *side) string {
	t.Helper()
	require.NoError(t, s.seed())
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	require.NoError(t, e.Encode(b.do(s)))
	return strings.TrimSpace(text.String())
}

var update = flag.Bool("update", false, "write testdata/behaviours.txt")

func golden(t *testing.T, got string) {
	t.Helper()
	const file = "testdata/behaviours.txt"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func open(t *testing.T, name, mode string, prepare bool) *side {
	t.Helper()
	db := pganontest.New(t)
	s := &side{ctx: t.Context()}
	dsn := db.DSN() + "&timezone=UTC&default_query_exec_mode=" + mode
	if name == "pganon" {
		login, writer := db.Role("login", "LOGIN NOINHERIT"), db.Role("writer")
		db.Exec(`GRANT ` + writer + ` TO ` + login + `; GRANT ALL ON SCHEMA public TO ` + writer)
		dsn = db.DSNAs(login) + "&timezone=UTC&default_query_exec_mode=" + mode + "&pganon.roles=writers:" + writer
		s.ctx = pganon.WithIdentity(s.ctx, pganon.Identity{User: "u", Tenant: "t", Groups: []string{"writers"}})
	}
	var err error
	s.gorm, err = gorm.Open(postgres.New(postgres.Config{DriverName: name, DSN: dsn}), &gorm.Config{
		PrepareStmt: prepare, TranslateError: true, DisableAutomaticPing: true,
		Logger: logger.New(log.New(io.Discard, "", 0), logger.Config{}),
	})
	require.NoError(t, err)
	s.gorm = s.gorm.WithContext(s.ctx)
	s.sqlx, err = sqlx.Open(name, dsn)
	require.NoError(t, err)
	t.Cleanup(func() {
		pool, err := s.gorm.DB()
		if assert.NoError(t, err) {
			assert.NoError(t, pool.Close())
		}
		assert.NoError(t, s.sqlx.Close())
	})
	require.NoError(t, s.gorm.AutoMigrate(&Author{}, &Book{}, &Tag{}))
	return s
}
