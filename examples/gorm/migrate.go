package main

import (
	"context"
	_ "embed"
	"errors"
	"strings"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/pganon/pganon/driver"
)

var (
	//go:embed roles.sql
	rolesSQL string
	//go:embed policies.sql
	policiesSQL string
	//go:embed masks.sql
	masksSQL string
)

// migrate brings the database that ownerDSN names to what this program wants, or leaves it as it was. It runs as the login role, on
// purpose and with a reason: the owner of the tables is nobody who asks.
func (c Config) migrate(ctx context.Context, ownerDSN string) (err error) {
	pool, err := driver.OpenSystem(ownerDSN, "migrate")
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
			func() error { return tx.AutoMigrate(models...) },
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
