//go:build !(darwin || freebsd || linux || openbsd)

package pganontest

import (
	"context"
	"errors"
	"runtime"
)

var errNotHere = errors.New("not on " + runtime.GOOS + ": use Docker or PGANON_TEST_DSN")

func startCluster(context.Context, string, map[string]string) (*instance, error) {
	return nil, errNotHere
}

func lockFile(context.Context, string) (func(), error) { return nil, errNotHere }
