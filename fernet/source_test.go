package fernet_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/fernet"
)

func TestEnvKeyring(t *testing.T) {
	k1, k2 := fernet.GenerateKey(), fernet.GenerateKey()
	t.Setenv("PGANON_TEST_KEYS", k1.Encode()+","+k2.Encode())
	r, err := fernet.EnvKeyring("PGANON_TEST_KEYS")
	require.NoError(t, err)
	assert.Equal(t, []fernet.KeyID{k1.ID(), k2.ID()}, r.KeyIDs())

	t.Setenv("PGANON_TEST_KEYS", k1.Encode()+","+k2.Encode()[1:])
	_, err = fernet.EnvKeyring("PGANON_TEST_KEYS")
	assert.EqualError(t, err, "fernet: read keys: environment variable PGANON_TEST_KEYS: key 2: want 44 characters of base64url, got 43")

	t.Setenv("PGANON_TEST_KEYS", "")
	_, err = fernet.EnvKeyring("PGANON_TEST_KEYS")
	assert.EqualError(t, err, "fernet: read keys: environment variable PGANON_TEST_KEYS: no keys")

	_, err = fernet.EnvKeyring("PGANON_TEST_KEYS_THAT_IS_NOT_SET")
	assert.EqualError(t, err, "fernet: read keys: environment variable PGANON_TEST_KEYS_THAT_IS_NOT_SET is not set")
}

// keyFile is a file of keys and what was reported about it.
type keyFile struct {
	*fernet.KeyFile
	t        *testing.T
	path     string
	reported []string
}

func openKeyFile(t *testing.T, text string) *keyFile {
	f := &keyFile{t: t, path: filepath.Join(t.TempDir(), "keys")}
	f.write(text)
	var err error
	f.KeyFile, err = fernet.OpenKeyFile(f.path, func(err error) { f.reported = append(f.reported, err.Error()) })
	require.NoError(t, err)
	return f
}

// write replaces the file by a finished one, last written an hour ago.
func (f *keyFile) write(text string) {
	f.t.Helper()
	tmp := f.path + ".new"
	require.NoError(f.t, os.WriteFile(tmp, []byte(text), 0o600))
	require.NoError(f.t, os.Chtimes(tmp, time.Time{}, time.Now().Add(-time.Hour)))
	require.NoError(f.t, os.Rename(tmp, f.path))
}

func (f *keyFile) ring() *fernet.Keyring {
	f.t.Helper()
	r, err := f.Keyring(context.Background(), "app.users.email")
	require.NoError(f.t, err)
	return r
}

func TestKeyFileIsReadAgain(t *testing.T) {
	k1, k2 := fernet.GenerateKey(), fernet.GenerateKey()
	synctest.Test(t, func(t *testing.T) {
		f := openKeyFile(t, k1.Encode()+"\n")
		first := f.ring()
		assert.Equal(t, []fernet.KeyID{k1.ID()}, first.KeyIDs())

		f.write(k2.Encode() + "\n" + k1.Encode() + "\n")
		assert.Same(t, first, f.ring(), "not before a second has gone by")
		time.Sleep(fernet.RereadEvery)
		second := f.ring()
		assert.Equal(t, []fernet.KeyID{k2.ID(), k1.ID()}, second.KeyIDs())
		got, err := second.Decrypt(first.Encrypt([]byte("x")))
		require.NoError(t, err)
		assert.Equal(t, "x", string(got))

		// The same text, even in a new file, is the same ring with all it has derived.
		f.write(k2.Encode() + "\n" + k1.Encode() + "\n")
		for range 10 {
			time.Sleep(fernet.RereadEvery)
			assert.Same(t, second, f.ring())
		}
		assert.Empty(t, f.reported)
	})
}

func TestKeyFileThatBreaksKeepsTheOldKeys(t *testing.T) {
	k1, k2 := fernet.GenerateKey(), fernet.GenerateKey()
	for name, c := range map[string]struct {
		breakIt func(f *keyFile)
		want    string
	}{
		"broken key": {func(f *keyFile) { f.write(k2.Encode() + "\n" + k1.Encode()[:43]) }, "key 2: want 44 characters of base64url, got 43"},
		"empty":      {func(f *keyFile) { f.write("") }, "no keys"},
		"same key":   {func(f *keyFile) { f.write(k2.Encode() + "\n" + k2.Encode()) }, "keys 1 and 2 have the same id"},
		"too long":   {func(f *keyFile) { f.write(strings.Repeat("#\n", 1<<16) + k2.Encode()) }, "longer than 65536 bytes"},
		"removed":    {func(f *keyFile) { require.NoError(t, os.Remove(f.path)) }, "no such file"},
		"a folder": {func(f *keyFile) {
			require.NoError(t, os.Remove(f.path))
			require.NoError(t, os.Mkdir(f.path, 0o700))
		}, "not a regular file"},
		"open to others": {func(f *keyFile) { require.NoError(t, os.Chmod(f.path, 0o644)) }, "run chmod 600"},
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && name == "open to others" {
				t.Skip("no such modes")
			}
			synctest.Test(t, func(t *testing.T) {
				f := openKeyFile(t, k1.Encode())
				before := f.ring()
				c.breakIt(f)
				for range 5 {
					time.Sleep(fernet.RereadEvery)
					assert.Same(t, before, f.ring())
				}
				require.Len(t, f.reported, 1, "once, not every second")
				assert.True(t, strings.HasPrefix(f.reported[0], "fernet: read key file "+f.path+": "), f.reported[0])
				assert.Contains(t, f.reported[0], c.want)
				for _, k := range []fernet.Key{k1, k2} {
					assert.NotContains(t, f.reported[0], k.Encode()[:10])
				}

				os.RemoveAll(f.path)
				f.write(k2.Encode() + "," + k1.Encode())
				time.Sleep(fernet.RereadEvery)
				assert.Equal(t, []fernet.KeyID{k2.ID(), k1.ID()}, f.ring().KeyIDs())
				assert.Len(t, f.reported, 1)

				c.breakIt(f)
				time.Sleep(fernet.RereadEvery)
				f.ring()
				assert.Len(t, f.reported, 2, "again after it was mended")
			})
		})
	}
}

func TestKeyFileIsNotReadWhileItIsWritten(t *testing.T) {
	k1, k2 := fernet.GenerateKey(), fernet.GenerateKey()
	synctest.Test(t, func(t *testing.T) {
		f := openKeyFile(t, k1.Encode())
		before := f.ring()
		time.Sleep(fernet.RereadEvery)

		f.write("")
		require.NoError(t, os.Chtimes(f.path, time.Time{}, time.Now()))
		time.Sleep(fernet.RereadEvery / 2)
		require.NoError(t, os.Chtimes(f.path, time.Time{}, time.Now()))
		time.Sleep(fernet.RereadEvery / 2)
		assert.Same(t, before, f.ring())
		assert.Empty(t, f.reported)

		f.write(k2.Encode() + "\n")
		require.NoError(t, os.Chtimes(f.path, time.Time{}, time.Now()))
		time.Sleep(fernet.RereadEvery)
		assert.Equal(t, []fernet.KeyID{k2.ID()}, f.ring().KeyIDs())
		assert.Empty(t, f.reported)
	})
}

func TestOpenKeyFileRefuses(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such modes")
	}
	path := filepath.Join(t.TempDir(), "keys")
	open := func() error {
		f, err := fernet.OpenKeyFile(path, nil)
		assert.Nil(t, f)
		return err
	}
	err := open()
	assert.EqualError(t, err, "fernet: read key file "+path+": stat: no such file or directory")
	assert.ErrorIs(t, err, fs.ErrNotExist)

	require.NoError(t, os.WriteFile(path, []byte(specKey), 0o600))
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644, 0o620, 0o602, 0o610, 0o777, 0o440, 0o404} {
		require.NoError(t, os.Chmod(path, mode))
		assert.EqualError(t, open(), "fernet: read key file "+path+": mode 0"+octal(mode)+" lets others at the keys: run chmod 600 "+path)
	}
	for _, mode := range []os.FileMode{0o600, 0o400, 0o700} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := fernet.OpenKeyFile(path, nil)
		assert.NoError(t, err, mode)
	}
	// Through a link, the file's mode counts, not the link's.
	link := path + ".link"
	require.NoError(t, os.Symlink(path, link))
	_, err = fernet.OpenKeyFile(link, nil)
	assert.NoError(t, err)

	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, []byte(specKey[1:]), 0o600))
	err = open()
	assert.EqualError(t, err, "fernet: read key file "+path+": key 1: want 44 characters of base64url, got 43")
	var pathErr *fs.PathError
	assert.False(t, errors.As(err, &pathErr))

	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Mkdir(path, 0o700))
	assert.EqualError(t, open(), "fernet: read key file "+path+": not a regular file")
}

func octal(mode os.FileMode) string {
	const digits = "01234567"
	return string([]byte{digits[mode>>6&7], digits[mode>>3&7], digits[mode&7]})
}

func TestKeyFileReportsToSlogByDefault(t *testing.T) {
	var log bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(old)

	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys")
		require.NoError(t, os.WriteFile(path, []byte(specKey), 0o600))
		f, err := fernet.OpenKeyFile(path, nil)
		require.NoError(t, err)
		require.NoError(t, os.Remove(path))
		time.Sleep(fernet.RereadEvery)
		_, err = f.Keyring(context.Background(), "")
		require.NoError(t, err)
		assert.Contains(t, log.String(), "level=ERROR")
		assert.Contains(t, log.String(), "the keys read before stay in use")
		assert.Contains(t, log.String(), path)
	})
}

func TestKeyFileConcurrently(t *testing.T) {
	k1, k2 := fernet.GenerateKey(), fernet.GenerateKey()
	synctest.Test(t, func(t *testing.T) {
		f := openKeyFile(t, k1.Encode())
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 50 {
					time.Sleep(fernet.RereadEvery / 3)
					r, err := f.Keyring(context.Background(), "")
					if err != nil {
						t.Error(err)
					}
					if _, err := r.Decrypt(r.Encrypt(nil)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range 20 {
			f.write([]string{k1.Encode(), k2.Encode(), "broken"}[i%3])
			time.Sleep(fernet.RereadEvery)
		}
		wg.Wait()
	})
}
