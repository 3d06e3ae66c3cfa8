// Package orms holds the tests that GORM and sqlx do on "pganon" what they do on "pgx", that nothing encrypted leaks through them, and
// that goose and AutoMigrate migrate encrypted columns. It is a module of its own: none of them is a dependency of pganon.
package orms
