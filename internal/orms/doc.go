// Package orms holds the test that GORM and sqlx do on "pganon" what they do on "pgx". It is a module of its own: neither is a
// dependency of pganon.
package orms
