//go:build darwin || freebsd || linux || openbsd

package pganontest_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pganon/pganon/pganontest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestInChild is what child runs in a process of its own; here it does nothing.
func TestInChild(t *testing.T) {
	what := os.Getenv("PGANONTEST_CHILD")
	if what == "" {
		return
	}
	db := pganontest.New(t)
	db.Exec("create table left_behind (x int); insert into left_behind values (42)")
	dir := scan[string](t, connect(t, db.DSN()), "show data_directory")
	_, _ = os.Stdout.WriteString("child: " + db.DSN() + " " + dir + "\n")
	switch what {
	case "fail":
		t.Fail()
	case "hang":
		select {}
	case "exit":
		os.Exit(0)
	}
}

// child starts this test binary again, to do what says, and returns when it has a server.
type child struct {
	cmd    *exec.Cmd
	dsn    string
	dir    string // the server's data directory, as the server knows it
	rest   io.Reader
	output bytes.Buffer
}

func startChild(t *testing.T, what string, change func(*exec.Cmd)) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0], "-test.run=^TestInChild$", "-test.v")}
	c.cmd.Env = append(os.Environ(), "PGANONTEST_CHILD="+what)
	if change != nil {
		change(c.cmd)
	}
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.cmd.Stderr = c.cmd.Stdout
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	c.rest = io.TeeReader(out, &c.output)
	lines := bufio.NewScanner(c.rest)
	for c.dsn == "" && lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "child: "); ok {
			c.dsn, c.dir, _ = strings.Cut(rest, " ")
		}
	}
	require.NotEmpty(t, c.dsn, c.output.String())
	return c
}

// wait returns what the child has said. The pipe ends when nothing of the child's holds it any more, which go test, too,
// waits for.
func (c *child) wait(t *testing.T) string {
	t.Helper()
	done := make(chan error)
	go func() {
		_, _ = io.Copy(io.Discard, c.rest)
		done <- c.cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(waitFor):
		t.Fatal("the child does not end")
	}
	return c.output.String()
}

func (c *child) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.dsn)
	if err != nil {
		return false
	}
	conn.Close(ctx)
	return true
}

// gone tells whether neither the child's server nor its data is there. In Docker the data is in the container.
func (c *child) gone(t *testing.T) bool {
	if provider(t) == "local" {
		if _, err := os.Stat(filepath.Dir(c.dir)); err == nil {
			return false
		}
	}
	return !c.answers()
}

func TestServerEndsWithTheProcess(t *testing.T) {
	if provider(t) == "dsn" {
		return // that server stays
	}
	for name, end := range map[string]struct {
		what   string
		signal os.Signal
	}{
		"passed":     {what: "pass"},
		"exited":     {what: "exit"},
		"killed":     {"hang", syscall.SIGKILL},
		"terminated": {"hang", syscall.SIGTERM},
		"timed out":  {"hang", syscall.SIGQUIT},
	} {
		t.Run(name, func(t *testing.T) {
			c := startChild(t, end.what, nil)
			if end.signal != nil {
				require.True(t, c.answers())
				require.NoError(t, c.cmd.Process.Signal(end.signal))
			}
			c.wait(t)
			assert.Eventually(t, func() bool { return c.gone(t) }, waitFor, tick)
		})
	}
}

func TestKeptDataCanBeLookedAt(t *testing.T) {
	if provider(t) == "dsn" {
		return // that server stays
	}
	c := startChild(t, "fail", nil)
	output := c.wait(t)
	if provider(t) == "docker" {
		require.Contains(t, output, "docker rm -f")
		assert.Equal(t, 42, scan[int](t, connect(t, c.dsn), "select x from left_behind"))
		startChild(t, "pass", nil).wait(t)
		assert.False(t, c.answers(), "the next run of the same tests removes it")
		return
	}
	require.Eventually(t, func() bool { return !c.answers() }, waitFor, tick)
	require.Contains(t, output, "psql '"+c.dsn+"'")
	command := regexp.MustCompile(`first start the server: (.*)`).FindStringSubmatch(output)
	require.Len(t, command, 2, output)
	require.NoError(t, exec.Command("sh", "-c", command[1]+" >/dev/null 2>&1 </dev/null").Run(), command[1])
	assert.Equal(t, 42, scan[int](t, connect(t, c.dsn), "select x from left_behind"))
	require.NoError(t, exec.Command("sh", "-c", strings.Replace(command[1], " start", " -m immediate stop", 1)+" >/dev/null 2>&1").Run())

	// The next run of the same tests removes it.
	startChild(t, "pass", nil).wait(t)
	assert.NoDirExists(t, filepath.Dir(c.dir))
}

func TestSweepLeavesWhatIsInUse(t *testing.T) {
	if provider(t) != "local" {
		return
	}
	c := startChild(t, "hang", nil)
	mine := pganontest.New(t)
	other := startChild(t, "hang", nil)
	assert.True(t, c.answers())
	assert.True(t, other.answers())
	mine.Exec("select 1")
	not := filepath.Join(os.TempDir(), "pganontest-is-not-ours")
	require.NoError(t, os.MkdirAll(not, 0o700))
	t.Cleanup(func() { os.Remove(not) })
	startChild(t, "pass", nil).wait(t)
	assert.DirExists(t, not)
	assert.DirExists(t, c.dir)
	assert.DirExists(t, other.dir)

	// A watcher that was killed, too, leaves data behind, which the next start removes.
	stale := filepath.Join(os.TempDir(), "pganontest-stale-test")
	require.NoError(t, os.MkdirAll(filepath.Join(stale, "data"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(stale, "lock"), nil, 0o600))
	startChild(t, "pass", nil).wait(t)
	assert.NoDirExists(t, stale)
}

// As root this runs the tests once more as nobody; else these tests are it.
func TestLocalAsAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	nobody, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.Atoi(nobody.Uid)
	require.NoError(t, err)
	gid, err := strconv.Atoi(nobody.Gid)
	require.NoError(t, err)
	// go test's directories are root's alone.
	dir, err := os.MkdirTemp("", "pganontest-binary-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	binary, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	path := filepath.Join(dir, "copy.test")
	require.NoError(t, os.WriteFile(path, binary, 0o755))
	c := startChild(t, "pass", func(cmd *exec.Cmd) {
		cmd.Path, cmd.Dir = path, "/"
		cmd.Env = append(cmd.Env, "PGANON_TEST_PROVIDER=local", "PGANON_TEST_DSN=")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	})
	assert.Contains(t, c.wait(t), "PASS")
	assert.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Dir(c.dir))
		return os.IsNotExist(err)
	}, waitFor, tick)
}

// A directory for temporary files that only root can pass through is not taken.
func TestTemporaryDirectoryOutOfReach(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := start(t, pganontest.Config{Provider: "local"})
	assert.Equal(t, 1, scan[int](t, connect(t, s.DSN()), "select 1"))

	long := filepath.Join(os.TempDir(), strings.Repeat("long", 30))
	require.NoError(t, os.MkdirAll(long, 0o755))
	t.Setenv("TMPDIR", long)
	s = start(t, pganontest.Config{Provider: "local"})
	assert.Equal(t, 1, scan[int](t, connect(t, s.DSN()), "select 1"))
}
