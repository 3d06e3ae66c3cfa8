package pganontest_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pganon/pganon/pganontest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const waitFor, tick = 20 * time.Second, 20 * time.Millisecond

// provider tells which provider these tests run with.
func provider(t testing.TB) string {
	t.Helper()
	s, err := pganontest.Shared()
	require.NoError(t, err)
	return s.Provider()
}

func start(t *testing.T, cfg pganontest.Config) *pganontest.Server {
	t.Helper()
	s, err := pganontest.Start(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func TestStartLocal(t *testing.T) {
	var log strings.Builder
	s := start(t, pganontest.Config{
		Provider: "local",
		Settings: map[string]string{"work_mem": "123kB", "application_name": `it's a \ test`, "log_statement": "all"},
		Logf:     func(f string, args ...any) { fmt.Fprintf(&log, f, args...) },
	})
	assert.Equal(t, "local", s.Provider())
	assert.Contains(t, log.String(), s.String())
	conn := connect(t, s.DSN())
	assert.Equal(t, "123kB", scan[string](t, conn, "show work_mem"))
	assert.Equal(t, `it's a \ test`, scan[string](t, conn, "show application_name"))
	assert.Equal(t, "200", scan[string](t, conn, "show max_connections"))
	assert.Equal(t, "C", scan[string](t, conn, "show lc_messages"))
	assert.True(t, scan[bool](t, conn, "select datname like 'pganontest%' from pg_database where datname = current_database()"))
	dir := scan[string](t, conn, "show data_directory")
	logged, err := s.Log()
	require.NoError(t, err)
	assert.Contains(t, logged, "show data_directory")

	t.Run("test", func(t *testing.T) {
		db := s.New(t)
		assert.Equal(t, dir, scan[string](t, connect(t, db.DSN()), "show data_directory"))
	})
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "a second time")
	assert.NoDirExists(t, filepath.Dir(dir))
	assert.Error(t, conn.Ping(context.Background()))
}

func TestStartRefusesBadSettings(t *testing.T) {
	_, err := pganontest.Start(context.Background(), pganontest.Config{Provider: "local", Settings: map[string]string{"shared_preload_libraries": "no_such_library"}})
	require.Error(t, err)
	assert.Contains(t, err.Error(), "no_such_library", "what the server said")
}

func TestStartStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := pganontest.Start(ctx, pganontest.Config{Provider: "local"})
	require.Error(t, err)
}

func TestNoProvider(t *testing.T) {
	t.Setenv("PGANON_TEST_DSN", "")
	t.Setenv("PGANON_TEST_PROVIDER", "")
	t.Setenv("PGANON_TEST_VERSION", "7")
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
	_, err := pganontest.Start(context.Background(), pganontest.Config{})
	require.Error(t, err)
	for _, want := range []string{"no PostgreSQL", "local: no initdb and postgres of version 7", "docker: no Docker engine answers", "download: PGANON_TEST_VERSION"} {
		assert.Contains(t, err.Error(), want)
	}
	_, err = pganontest.Start(context.Background(), pganontest.Config{Provider: "vagrant"})
	assert.ErrorContains(t, err, `unknown provider "vagrant"`)
	t.Setenv("PGANON_TEST_PROVIDER", "dsn")
	_, err = pganontest.Start(context.Background(), pganontest.Config{})
	assert.ErrorContains(t, err, "PGANON_TEST_DSN is not set")
}

func TestStartDSN(t *testing.T) {
	db := pganontest.New(t)
	plain := db.Role("plain", "login password 's3cret-word'")
	creator := db.Role("creator", "login createdb password 's3cret-word'")
	admin := db.Role("admin", "login createdb createrole password 's3cret-word'")
	login := func(role string) string {
		return strings.Replace(db.DSNAs(role), role+"@", role+":s3cret-word@", 1)
	}

	t.Setenv("PGANON_TEST_PROVIDER", "")
	t.Setenv("PGANON_TEST_DSN", login(plain))
	_, err := pganontest.Start(context.Background(), pganontest.Config{})
	assert.ErrorContains(t, err, "lacks CREATEDB")

	t.Setenv("PGANON_TEST_DSN", login(creator))
	s := start(t, pganontest.Config{})
	assert.Equal(t, "dsn", s.Provider())
	assert.Equal(t, creator, scan[string](t, connect(t, s.DSN()), "select current_user::text"))
	name := scan[string](t, connect(t, s.DSN()), "select current_database()::text")
	assert.NotEqual(t, db.Name(), name, "a database of its own")
	noRole := record(t, func(tb testing.TB) {
		db := s.New(tb)
		tb.Cleanup(func() { tb.(*recorder).failed = false })
		db.Role("any")
	})
	assert.Contains(t, noRole.output.String(), "lacks CREATEROLE")
	require.NoError(t, s.Close())
	conn := connect(t, db.DSN())
	assert.Zero(t, scan[int](t, conn, "select count(*) from pg_database where datname = $1", name), "dropped by Close")

	t.Setenv("PGANON_TEST_DSN", login(admin))
	s = start(t, pganontest.Config{})
	var roles []string
	ended := record(t, func(tb testing.TB) {
		own := s.New(tb)
		roles = append(roles, own.Role("app", "login"), own.Role("group"))
		own.Exec("grant create on schema public to " + roles[0] + "; create table t (x int); alter table t owner to " + roles[0])
		own.Exec("set role " + roles[1]) // the login may become every role it made
		app := connect(tb, own.DSNAs(roles[0]))
		assert.Zero(t, scan[int](tb, app, "select count(*) from t"))
		assert.Contains(t, own.DSNAs(roles[0]), roles[0]+":", "it has a password, since the server may ask for one")
		own.Role("super", "superuser")
	})
	assert.Contains(t, ended.output.String(), "may not give superuser")
	assert.Contains(t, ended.output.String(), "its database is kept: psql 'postgres://"+admin+"@")
	assert.NotContains(t, ended.output.String(), "s3cret-word")
	assert.Equal(t, 2, scan[int](t, conn, "select count(*) from pg_roles where rolname = any($1)", roles), "kept")
	kept := scan[string](t, conn, "select datname::text from pg_database join pg_roles r on r.oid = datdba where rolname = $1 and datname like '%teststartdsn%'", admin)
	db.Exec("drop database " + kept)
	db.Exec("drop role " + strings.Join(roles, ","))

	ended = record(t, func(tb testing.TB) {
		own := s.New(tb)
		roles = []string{own.Role("app", "login"), own.Role("group")}
		own.Exec("grant create on schema public to " + roles[0] + "; create table t (x int); alter table t owner to " + roles[0])
	})
	assert.False(t, ended.failed, ended.output.String())
	assert.Zero(t, scan[int](t, conn, "select count(*) from pg_roles where rolname = any($1)", roles), "dropped")

	t.Setenv("PGANON_TEST_DSN", "host=127.0.0.1 port=1 user=x password=s3cret-word dbname=d")
	_, err = pganontest.Start(context.Background(), pganontest.Config{})
	require.Error(t, err, "and not another provider")
	pganontest.AssertNoLeak(t, []string{"s3cret-word"}, err)
	t.Setenv("PGANON_TEST_DSN", "postgres://x:s3cret-word@h:nan/")
	_, err = pganontest.Start(context.Background(), pganontest.Config{})
	assert.ErrorContains(t, err, "PGANON_TEST_DSN: not a valid URL")
	pganontest.AssertNoLeak(t, []string{"s3cret-word"}, err)

	t.Setenv("PGANON_TEST_DSN", login(admin))
	_, err = pganontest.Start(context.Background(), pganontest.Config{Settings: map[string]string{"work_mem": "1MB"}})
	assert.ErrorContains(t, err, "runs already")
}

// The archive of a download is made of the programs that are installed here, in embedded-postgres's form.
func TestStartDownload(t *testing.T) {
	dirs := pganontest.BinaryDirs()
	require.NotEmpty(t, dirs, "this test needs PostgreSQL's programs")
	jar := archive(t, dirs[0])
	sum := fmt.Sprintf("%x", sha256.Sum256(jar))
	var requests atomic.Int32
	served := jar
	repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasPrefix(r.URL.Path, "/repo/io/zonky/test/postgres/embedded-postgres-binaries-"):
			http.NotFound(w, r)
		case strings.HasSuffix(r.URL.Path, ".jar"):
			requests.Add(1)
			_, _ = w.Write(served)
		case strings.HasSuffix(r.URL.Path, ".jar.sha256"):
			fmt.Fprint(w, sum)
		}
	}))
	t.Cleanup(repository.Close)
	// Everybody must be able to reach it: as root, the server runs as somebody else.
	cache, err := os.MkdirTemp("", "pganontest-cache-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(cache) })
	require.NoError(t, os.Chmod(cache, 0o755))
	t.Setenv("PGANON_TEST_CACHE", cache)
	t.Setenv("PGANON_TEST_VERSION", pganontest.MajorOf(dirs[0]))

	t.Setenv("PGANON_TEST_REPOSITORY", repository.URL+"/nothing")
	_, err = pganontest.Start(context.Background(), pganontest.Config{Provider: "download"})
	assert.ErrorContains(t, err, "no version found")

	t.Setenv("PGANON_TEST_REPOSITORY", repository.URL+"/repo/")
	served = jar[:len(jar)-1]
	_, err = pganontest.Start(context.Background(), pganontest.Config{Provider: "download"})
	assert.ErrorContains(t, err, "checksums do not match")

	served = jar
	requests.Store(0)
	first := start(t, pganontest.Config{Provider: "download"})
	assert.Equal(t, "download", first.Provider())
	assert.Contains(t, first.String(), "downloaded to "+cache)
	assert.Equal(t, 1, scan[int](t, connect(t, first.DSN()), "select 1"))
	start(t, pganontest.Config{Provider: "download"})
	assert.EqualValues(t, 1, requests.Load(), "the second server finds what the first has fetched")
	left, err := filepath.Glob(filepath.Join(cache, "partial-*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

// archive packs the programs that a server needs as embedded-postgres's repositories do: a tar.xz in a zip.
func archive(t *testing.T, dir string) []byte {
	t.Helper()
	var packed bytes.Buffer
	tw := tar.NewWriter(&packed)
	root := filepath.Dir(dir)
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		if link, err := os.Readlink(path); err == nil && !filepath.IsAbs(link) { // of a shared library
			return tw.WriteHeader(&tar.Header{Name: name, Mode: 0o777, Linkname: link, Typeflag: tar.TypeSymlink})
		}
		switch {
		case !entry.Type().IsRegular(), strings.Contains(path, "bitcode"):
			return nil
		case filepath.Dir(path) == dir && entry.Name() != "initdb" && entry.Name() != "postgres" && entry.Name() != "pg_ctl":
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o700, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err = tw.Write(content)
		return err
	}))
	require.NoError(t, tw.Close())
	var jar bytes.Buffer
	zw := zip.NewWriter(&jar)
	w, err := zw.Create("postgres-test.txz")
	require.NoError(t, err)
	_, err = w.Write(xz(packed.Bytes()))
	require.NoError(t, err)
	require.NoError(t, zw.Close())
	return jar.Bytes()
}

// xz writes data, uncompressed, in the .xz file format 1.2.1.
func xz(data []byte) []byte {
	pad := func(b []byte) []byte {
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		return b
	}
	sum := func(b, of []byte) []byte { return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(of)) }
	flags := []byte{0, 0} // no check of the content
	out := append([]byte{0xFD, '7', 'z', 'X', 'Z', 0}, flags...)
	out = sum(out, flags)
	block := pad([]byte{0, 0, 0x21, 1, 0}) // one filter: LZMA2, of the smallest dictionary
	block[0] = byte(len(block) / 4)
	block = sum(block, block)
	start := len(out)
	out = append(out, block...)
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 1<<16)
		out = append(out, 1, byte((n-1)>>8), byte(n-1)) // an uncompressed chunk that resets the dictionary
		out = append(out, rest[:n]...)
		rest = rest[n:]
	}
	out = append(out, 0)
	size := len(out) - start
	for (len(out)-start)%4 != 0 {
		out = append(out, 0)
	}
	index := binary.AppendUvarint(binary.AppendUvarint([]byte{0, 1}, uint64(size)), uint64(len(data)))
	index = pad(index)
	index = sum(index, index)
	out = append(out, index...)
	tail := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1))
	tail = append(tail, flags...)
	out = sum(out, tail)
	out = append(out, tail...)
	return append(out, 'Y', 'Z')
}
