//go:build darwin || freebsd || linux || openbsd

package pganontest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// cluster is a server of our own. Its directory holds:
//
//	data/       what initdb made
//	server.log  what the server said
//	lock        locked while the process that started the server lives
//	keep        there, and naming the test binary, once a test has failed
type cluster struct {
	bin, dir string
	cred     *syscall.Credential // whom to run as, nil for ourselves
	lock     *os.File
	watcher  io.Closer // its end tells the watcher that this process has ended
	process  *os.Process
	exited   chan struct{}
	stopping sync.Once
}

// clusters keeps every running cluster reachable: a finalizer that closed lock or watcher would stop the server.
var clusters sync.Map

const lockName, keepName, logName = "lock", "keep", "server.log"

func startCluster(ctx context.Context, bin string, settings map[string]string) (_ *instance, err error) {
	c := &cluster{bin: bin}
	if os.Geteuid() == 0 {
		if c.cred, err = unprivileged(); err != nil {
			return nil, err
		}
	}
	if err := c.makeDir(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	if err := c.watch(); err != nil {
		return nil, fmt.Errorf("start watcher: %w", err)
	}
	clusters.Store(c, nil)
	if err := c.initdb(ctx, "C.UTF-8"); err != nil {
		// Not every system has that locale; macOS got it in version 15.
		if c.initdb(ctx, "C") != nil {
			return nil, err
		}
	}
	// Another process may take the port between our choice and the server's bind.
	for range 5 {
		var inst *instance
		if inst, err = c.run(ctx, settings); err == nil || ctx.Err() != nil || !errors.Is(err, errPortTaken) {
			return inst, err
		}
	}
	return nil, err
}

func (c *cluster) initdb(ctx context.Context, locale string) error {
	out, err := c.command(ctx, "initdb", "-D", c.data(), "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale="+locale, "--wal-segsize=1", "-N").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLines(string(out)))
	}
	return nil
}

var errPortTaken = errors.New("the port was taken by another process")

// unprivileged finds whom to run the server as: it refuses to run as root.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("this is root, as whom PostgreSQL does not run, and there is no user postgres or nobody to run it as")
}

// maxSocketDir leaves room for "/.s.PGSQL.65535" and NUL in the 104 bytes that a socket's path may have on BSD and macOS.
const maxSocketDir = 104 - 16

func (c *cluster) makeDir() error {
	var dirs []string
	for _, dir := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		if abs, err := filepath.Abs(dir); err == nil && len(abs)+len("/pganontest-")+10 <= maxSocketDir && c.canReach(abs) {
			dirs = append(dirs, abs)
		}
	}
	err := errors.New("those there are have too long a path, or the server's user cannot reach them")
	for _, dir := range dirs {
		sweep(dir)
		if err = c.makeDirIn(dir); err == nil {
			return nil
		}
	}
	return fmt.Errorf("no directory for temporary files that the server could use: set TMPDIR (%w)", err)
}

// makeDirIn gives the directory the name that sweep looks for only once it is locked.
func (c *cluster) makeDirIn(parent string) error {
	dir, err := os.MkdirTemp(parent, ".pganontest-")
	if err != nil {
		return err
	}
	if c.cred != nil {
		err = os.Chown(dir, int(c.cred.Uid), int(c.cred.Gid))
	}
	if err == nil {
		c.lock, err = os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err == nil {
		err = syscall.Flock(int(c.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err == nil {
		c.dir = filepath.Join(parent, strings.TrimPrefix(filepath.Base(dir), "."))
		err = os.Rename(dir, c.dir)
	}
	if err != nil {
		os.RemoveAll(dir)
	}
	return err
}

// canReach tells whether the server's user may pass through every directory on the way to dir.
func (c *cluster) canReach(dir string) bool {
	for c.cred != nil {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	return true
}

// sweep removes what processes that did not end properly have left in dir. What a failed test kept stays until the
// same test binary starts again, and a day at most.
func sweep(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, "pganontest-*"))
	for _, old := range left {
		info, err := os.Lstat(old)
		if err != nil || !info.IsDir() {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(old, lockName), os.O_RDWR|syscall.O_NOFOLLOW, 0)
		if err != nil {
			continue // not ours
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			kept, err := os.ReadFile(filepath.Join(old, keepName))
			if err != nil || string(kept) == binaryID() || time.Since(info.ModTime()) > 24*time.Hour {
				os.RemoveAll(old)
			}
		}
		lock.Close()
	}
}

func (c *cluster) data() string { return filepath.Join(c.dir, "data") }

// command prepares one of PostgreSQL's programs, without the PG* variables that would lead it elsewhere.
func (c *cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.cred}
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "PGANON")
	})
	return cmd
}

// watcherScript ends the server and removes its directory once standard input ends, which is when the process that
// started it has ended, in whatever way. PostgreSQL removes postmaster.pid as the last thing it does.
const watcherScript = `cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
n=0
while [ -e "$1/data/postmaster.pid" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
[ -e "$1/keep" ] || rm -rf "$1"`

func (c *cluster) watch() error {
	cmd := exec.Command("/bin/sh", "-c", watcherScript, "sh", c.dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the tests; the watcher ends after them
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait()
	c.watcher = stdin
	return nil
}

// run starts the server on a port of its own and waits until it answers.
func (c *cluster) run(ctx context.Context, settings map[string]string) (*instance, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	conf := serverSettings()
	conf["listen_addresses"] = "127.0.0.1"
	conf["port"] = port
	conf["unix_socket_directories"] = c.dir
	maps.Copy(conf, settings)
	// In the file rather than on the command line, so that pg_ctl can start a kept server again.
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(conf)) {
		fmt.Fprintf(&text, "%s = '%s'\n", name, strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(conf[name]))
	}
	path := filepath.Join(c.data(), "postgresql.conf")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(c.dir, logName), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := c.command(context.Background(), "postgres", "-D", c.data())
	cmd.Stdout, cmd.Stderr = log, log
	setDeathSignal(cmd.SysProcAttr)
	started := make(chan error)
	exited := make(chan struct{})
	go func() {
		// The death signal comes when the thread that forked ends; this one lasts as long as the server.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	c.process, c.exited = cmd.Process, exited
	inst := &instance{
		dsn:     connString{user: "postgres", database: "postgres"}.at("127.0.0.1", port),
		trust:   true,
		unixDir: c.dir,
		port:    port,
		log:     c.readLog,
		keep:    c.keep,
		stop:    c.stop,
	}
	if err := c.wait(ctx, inst.dsn.String()); err != nil {
		return nil, err
	}
	return inst, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// wait returns once the server answers, and is the one we started.
func (c *cluster) wait(ctx context.Context, dsn string) error {
	for {
		var dir string
		tryCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
		conn, err := pgx.Connect(tryCtx, dsn)
		if err == nil {
			err = conn.QueryRow(tryCtx, "show data_directory").Scan(&dir)
			conn.Close(tryCtx)
		}
		cancel()
		select {
		case <-c.exited:
			log, _ := c.readLog()
			if strings.Contains(string(log), "could not bind IPv4 address") {
				return errPortTaken
			}
			return fmt.Errorf("postgres did not start: %s", lastLines(string(log)))
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		if err == nil {
			if dir == c.data() {
				return nil
			}
			c.kill()
			return errPortTaken
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (c *cluster) kill() {
	if c.process != nil {
		_ = c.process.Signal(syscall.SIGQUIT) // immediate shutdown: nothing has to be saved
		select {
		case <-c.exited:
		case <-time.After(10 * time.Second):
			_ = c.process.Kill()
			<-c.exited
		}
	}
}

func (c *cluster) stop() error {
	var err error
	c.stopping.Do(func() {
		c.kill()
		if _, kept := os.Stat(filepath.Join(c.dir, keepName)); kept != nil {
			err = os.RemoveAll(c.dir)
		}
		if c.watcher != nil {
			c.watcher.Close()
		}
		if c.lock != nil {
			c.lock.Close()
		}
		clusters.Delete(c)
	})
	return err
}

func (c *cluster) keep() string {
	_ = os.WriteFile(filepath.Join(c.dir, keepName), []byte(binaryID()), 0o600)
	start := fmt.Sprintf("%s -D %s start", filepath.Join(c.bin, "pg_ctl"), c.data())
	if c.cred != nil {
		if u, err := user.LookupId(strconv.Itoa(int(c.cred.Uid))); err == nil {
			start = fmt.Sprintf("su -s /bin/sh -c '%s' %s", start, u.Username)
		}
	}
	return "after these tests, and until they start again, first start the server: " + start
}

func (c *cluster) readLog() ([]byte, error) {
	log, err := os.ReadFile(filepath.Join(c.dir, logName))
	if err != nil {
		return nil, fmt.Errorf("pganontest: read server log: %w", err)
	}
	return log, nil
}

// lockFile waits until no other process holds the lock at path, and takes it.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return func() { lock.Close() }, nil
		}
		select {
		case <-ctx.Done():
			lock.Close()
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// lastLines shortens a program's output to what its failure is about.
func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
