//go:build race

package fernet_test

func init() { raceEnabled = true }
