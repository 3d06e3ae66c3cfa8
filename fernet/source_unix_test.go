//go:build unix

package fernet_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/fernet"
)

func TestOpenKeyFileDoesNotWaitForAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	_, err := fernet.OpenKeyFile(path, nil)
	assert.EqualError(t, err, "fernet: read key file "+path+": not a regular file")
}
