package pganontest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/ory/dockertest/v3"
	dc "github.com/ory/dockertest/v3/docker"
)

const (
	defaultMajor = "18"
	dockerPort   = "5432/tcp"

	// Labels of a container: which test binary, process and machine it belongs to.
	labelBinary, labelProcess, labelHost = "pganontest", "pganontest.process", "pganontest.host"
)

// container is a server in Docker.
type container struct {
	pool     *dockertest.Pool
	resource *dockertest.Resource
	watcher  *io.PipeWriter // its end, unless "keep" came first, ends the server
	keeping  sync.Once
	kept     atomic.Bool
	stopping sync.Once
	err      error
}

// containers keeps every running container's watcher reachable.
var containers sync.Map

// startDocker starts the image that PGANON_TEST_IMAGE names, or PostgreSQL's official one.
func startDocker(ctx context.Context, cfg Config) (_ *instance, err error) {
	pool, err := dockertest.NewPool(dockerEndpoint())
	if err != nil {
		return nil, err
	}
	pingCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := pool.Client.PingWithContext(pingCtx); err != nil {
		return nil, fmt.Errorf("no Docker engine answers: %w", err)
	}
	removeKept(pool)
	image := cmp.Or(os.Getenv("PGANON_TEST_IMAGE"), "postgres:"+cmp.Or(os.Getenv("PGANON_TEST_VERSION"), defaultMajor))
	repository, tag := image, "latest"
	if at := strings.LastIndexByte(image, ':'); at > strings.LastIndexByte(image, '/') {
		repository, tag = image[:at], image[at+1:]
	}
	if _, err := pool.Client.InspectImage(repository + ":" + tag); errors.Is(err, dc.ErrNoSuchImage) {
		fmt.Fprintf(os.Stderr, "pganontest: pulling the image %s:%s\n", repository, tag)
		if err := pool.Client.PullImage(dc.PullImageOptions{Repository: repository, Tag: tag, Context: ctx}, dc.AuthConfiguration{}); err != nil {
			return nil, fmt.Errorf("pull image %s: %w", image, err)
		}
	}
	settings := serverSettings()
	maps.Copy(settings, cfg.Settings)
	command := []string{"postgres"}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		command = append(command, "-c", name+"="+settings[name])
	}
	host, binding := "127.0.0.1", dc.PortBinding{HostIP: "127.0.0.1", HostPort: "0"}
	if u, err := url.Parse(pool.Client.Endpoint()); err == nil && u.Scheme != "unix" && u.Hostname() != "" {
		host, binding.HostIP = u.Hostname(), ""
	}
	machine, _ := os.Hostname()
	c := &container{pool: pool}
	c.resource, err = pool.RunWithOptions(&dockertest.RunOptions{
		Repository:   repository,
		Tag:          tag,
		Env:          []string{"POSTGRES_HOST_AUTH_METHOD=trust", "POSTGRES_INITDB_ARGS=-N -E UTF8 --locale=C.UTF-8"},
		Cmd:          command,
		ExposedPorts: []string{dockerPort},
		PortBindings: map[dc.Port][]dc.PortBinding{dockerPort: {binding}},
		Labels:       map[string]string{labelBinary: binaryID(), labelProcess: strconv.Itoa(os.Getpid()), labelHost: machine},
	}, func(config *dc.HostConfig) { config.AutoRemove = true })
	if err != nil {
		return nil, fmt.Errorf("start image %s: %w", image, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
		}
	}()
	c.watch()
	port := c.resource.GetPort(dockerPort)
	inst := &instance{
		about: fmt.Sprintf("in the container %s of the image %s", c.resource.Container.ID[:12], image),
		dsn:   connString{user: "postgres", database: "postgres"}.at(host, port),
		trust: true,
		port:  port,
		log:   c.readLog,
		keep:  c.keep,
		stop:  c.stop,
	}
	return inst, c.wait(ctx, inst.dsn.String())
}

// dockerEndpoint gives what DOCKER_HOST says, as "", else where Docker Desktop listens for a user of its own.
func dockerEndpoint() string {
	home, err := os.UserHomeDir()
	if err != nil || os.Getenv("DOCKER_HOST") != "" || os.Getenv("DOCKER_URL") != "" || os.Getenv("DOCKER_MACHINE_NAME") != "" {
		return ""
	}
	if _, err := os.Stat("/var/run/docker.sock"); err == nil {
		return ""
	}
	socket := filepath.Join(home, ".docker", "run", "docker.sock")
	if _, err := os.Stat(socket); err != nil {
		return ""
	}
	return "unix://" + socket
}

// inContainer runs beside the server. When its standard input ends, which is when the process that started the
// container has ended, in whatever way, it ends the server, and Docker removes the container. The server is process 1
// only once the image's entry point has prepared it; until then that process ignores the signal.
const inContainer = `read -r word; [ "$word" = keep ] && exit; while kill -QUIT 1; do sleep 0.2; done`

func (c *container) watch() {
	stdin, watcher := io.Pipe()
	c.watcher = watcher
	containers.Store(c, nil)
	go func() {
		_, err := c.resource.Exec([]string{"sh", "-c", inContainer}, dockertest.ExecOptions{StdIn: stdin})
		stdin.CloseWithError(cmp.Or(err, io.ErrClosedPipe))
	}()
}

func (c *container) wait(ctx context.Context, dsn string) error {
	for {
		// Only over TCP: the image's entry point runs a server on a socket first.
		tryCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
		conn, err := pgx.Connect(tryCtx, dsn)
		if err == nil {
			err = conn.Close(tryCtx)
		}
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := c.pool.Client.InspectContainerWithContext(c.resource.Container.ID, ctx); err != nil {
			return fmt.Errorf("the container has ended: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (c *container) readLog() ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	var log bytes.Buffer
	err := c.pool.Client.Logs(dc.LogsOptions{
		Context: ctx, Container: c.resource.Container.ID,
		Stderr: true, ErrorStream: &log, OutputStream: io.Discard,
	})
	if err != nil {
		return nil, fmt.Errorf("pganontest: read server log: %w", err)
	}
	return log.Bytes(), nil
}

func (c *container) keep() string {
	c.keeping.Do(func() {
		c.kept.Store(true)
		_, _ = io.WriteString(c.watcher, "keep\n")
	})
	return "the container stays until these tests start again, or docker rm -f " + c.resource.Container.ID[:12]
}

func (c *container) stop() error {
	c.stopping.Do(func() {
		if !c.kept.Load() {
			c.err = c.resource.Close()
		}
		if c.watcher != nil {
			c.watcher.Close()
		}
		containers.Delete(c)
	})
	return c.err
}

// removeKept removes the containers that failed tests of this binary have kept.
func removeKept(pool *dockertest.Pool) {
	machine, _ := os.Hostname()
	kept, err := pool.Client.ListContainers(dc.ListContainersOptions{
		Filters: map[string][]string{"label": {labelBinary + "=" + binaryID(), labelHost + "=" + machine}},
	})
	if err != nil {
		return
	}
	for _, k := range kept {
		if pid, err := strconv.Atoi(k.Labels[labelProcess]); err == nil && !processRuns(pid) {
			_ = pool.Client.RemoveContainer(dc.RemoveContainerOptions{ID: k.ID, Force: true, RemoveVolumes: true})
		}
	}
}
