package pganontest

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// binaryDirs lists the directories that hold initdb and postgres, the preferred first: PATH, what pg_config says, then
// where Linux distributions, Homebrew and Postgres.app put them, newest major first.
func binaryDirs() []string {
	var dirs []string
	add := func(dir string) {
		// postgres finds its share directory from where it really is, and so must whoever looks for its siblings.
		real, err := filepath.EvalSymlinks(filepath.Join(dir, executable("initdb")))
		if err != nil {
			return
		}
		dir = filepath.Dir(real)
		if _, err := exec.LookPath(filepath.Join(dir, executable("postgres"))); err == nil && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(dir) {
			add(dir)
		}
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		add(strings.TrimSpace(string(out)))
	}
	var found []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		matches, _ := filepath.Glob(pattern)
		found = append(found, matches...)
	}
	slices.SortStableFunc(found, func(a, b string) int { return cmp.Compare(majorIn(b), majorIn(a)) })
	for _, dir := range found {
		add(dir)
	}
	return dirs
}

var majorNumber = regexp.MustCompile(`\d+`)

// majorIn reads the major version from a path such as /usr/lib/postgresql/15/bin, 0 where it has none.
func majorIn(path string) int {
	n, _ := strconv.Atoi(majorNumber.FindString(path))
	return n
}

func executable(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}
