package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/pganontest"
)

var update = flag.Bool("update", false, "write testdata/output.txt")

// With this variable set the test binary is the command.
const asCommand = "QUICKSTART_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

// volatile are the parts of the output that are not this program's: which PostgreSQL it is, and what it calls an error.
var volatile = []struct {
	text        *regexp.Regexp
	replacement string
}{
	{regexp.MustCompile(`(?m)^This is PostgreSQL .*$`), "This is PostgreSQL …"},
	{regexp.MustCompile(`(?m)refused: .*\(SQLSTATE (\w+)\)$`), "refused: … (SQLSTATE $1)"},
}

func TestOutput(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	got := out.String()
	assert.Regexp(t, `^This is PostgreSQL \d+[.\d]*.*, .+\.\n`, got, "says which PostgreSQL was taken")
	for _, v := range volatile {
		got = v.text.ReplaceAllString(got, v.replacement)
	}
	const golden = "testdata/output.txt"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// What the output must say, and must not, whatever the golden file says.
func TestWhoSeesWhat(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	north := []string{"Ada Berg", "1984-02-03", "555-0171", "2026-03-02", "Ben Castro", "1991-11-20", "555-0132"}
	south := []string{"Cleo Dubois", "1978-07-14", "555-0119", "2026-03-17", "Dan Eriksson", "2001-05-30", "555-0154"}
	for _, part := range []struct {
		title       string
		has, hasNot []string
	}{
		{"A doctor of the north clinic", append(north, "asthma"), south},
		{"A doctor of the south clinic", append(south, "diabetes"), north},
		{"An analyst", []string{"A***", "***32", "migraine"}, append(append([]string{"diabetes"}, north...), south...)},
		{"That doctor", []string{"A***", "***32", "migraine"}, append(append([]string{"diabetes"}, north...), south...)},
		{"A statement that does not say who", []string{"refused: pganon: no identity"}, append(north, south...)},
		{"The analyst can neither", []string{"(SQLSTATE 42501)", "(SQLSTATE 25006)"}, append(north, south...)},
		{"RESET ROLE", []string{"role doctor, 3 patients, all of north\n"}, append(north, south...)},
		{"Round trips", []string{"from then on"}, append(north, south...)},
	} {
		t.Run(part.title, func(t *testing.T) {
			text := section(t, out.String(), part.title)
			for _, want := range part.has {
				assert.Contains(t, text, want)
			}
			pganontest.AssertNoLeak(t, part.hasNot, text)
		})
	}
	for _, line := range strings.Split(strings.TrimSpace(section(t, out.String(), "Round trips")), "\n")[1:] {
		trips := regexp.MustCompile(`(\d+) +(\d+)$`).FindStringSubmatch(line)
		require.NotNil(t, trips, line)
		assert.Equal(t, trips[1], trips[2], line)
	}
}

// section returns what stands below the title that begins so, up to the next title.
func section(t *testing.T, output, title string) string {
	t.Helper()
	_, rest, found := strings.Cut(output, "\n"+title)
	require.True(t, found, "no %q in the output:\n%s", title, output)
	_, rest, _ = strings.Cut(rest, "\n")
	if next := nextTitle.FindStringIndex(rest); next != nil {
		rest = rest[:next[0]]
	}
	return rest
}

var nextTitle = regexp.MustCompile(`(?m)^\S`)

func TestExitCode(t *testing.T) {
	for _, test := range []struct {
		name, provider string
		code           int
		stderr         string
	}{
		{"works", os.Getenv("PGANON_TEST_PROVIDER"), 0, ""},
		{"no database", "no-such-provider", 1, "quickstart: pganontest: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), asCommand+"=1", "PGANON_TEST_PROVIDER="+test.provider)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			_ = cmd.Run()
			assert.Equal(t, test.code, cmd.ProcessState.ExitCode(), stderr.String())
			// Before that stands only why statements run as the login role.
			own := regexp.MustCompile(`(?m)^.* INFO pganon: .*\n`).ReplaceAllString(stderr.String(), "")
			assert.True(t, strings.HasPrefix(own, test.stderr), stderr.String())
			assert.Equal(t, test.stderr == "", own == "", stderr.String())
		})
	}
}
