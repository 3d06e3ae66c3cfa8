package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/hooks"
)

var (
	//go:embed roles.sql
	rolesSQL string
	//go:embed policies.sql
	policiesSQL string
	//go:embed masks.sql
	masksSQL string
)

// The views stand on tables that AutoMigrate may have to alter; masks.sql makes them again.
const dropMasks = "DROP SCHEMA IF EXISTS people_limited CASCADE; DROP VIEW IF EXISTS directory"

// migrate brings the database that ownerDSN names to what this program wants, or leaves it as it was. It runs as the login role,
// on purpose and with a reason: the owner of the tables is nobody who asks.
func (c Config) migrate(ctx context.Context, ownerDSN string) (err error) {
	pool, err := driver.OpenSystem(ownerDSN+"&pganon.keys_file="+url.QueryEscape(c.KeysFile), "migrate")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), &gorm.Config{Logger: newSQLLog(c.Logger)})
	if err != nil {
		return err
	}
	return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		run := func(text string) func() error {
			return func() error {
				_, err := tx.Statement.ConnPool.ExecContext(ctx, strings.ReplaceAll(text, "people_", c.Roles+"_"))
				return err
			}
		}
		for _, step := range []func() error{
			run(rolesSQL),
			run(dropMasks),
			func() error { return tx.AutoMigrate(models...) },
			func() error { return encryptColumns(tx) },
			run(policiesSQL),
			run(masksSQL),
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
}

// encryptColumns gives the columns that the models tag the types of encrypted columns: domains whose CHECK takes nothing but
// tokens, whoever writes, and whose comments hold the tags. GORM takes them for text, and leaves them alone.
func encryptColumns(tx *gorm.DB) error {
	columns, err := hooks.ParseModels(models)
	if err != nil {
		return err
	}
	for _, c := range columns {
		domain, is := c.Column+"_token", ""
		const typeOf = "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = to_regclass(?) AND attname = ?"
		if err := tx.Raw(typeOf, c.Table, c.Column).Scan(&is).Error; err != nil {
			return err
		}
		if is == domain {
			continue
		}
		create, err := hooks.DomainSQL(hooks.Domain{Name: domain, Tag: c.Tag})
		if err != nil {
			return err
		}
		alter := fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s TYPE %s", c.Table, c.Column, domain)
		for _, text := range []string{create, alter} {
			if err := tx.Exec(text).Error; err != nil {
				return err
			}
		}
	}
	return nil
}
