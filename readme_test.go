package pganon_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/pganontest"
)

// readmeBlock returns the README's one block in a language.
func readmeBlock(t *testing.T, language string) string {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.Len(t, blocks, 1)
	return blocks[0][1]
}

func TestReadme(t *testing.T) {
	db := pganontest.New(t)
	// The README's roles are the server's, which other tests share.
	program, schema := readmeBlock(t, "go"), readmeBlock(t, "sql")
	app, doctor, analyst := db.Role("app", "LOGIN"), db.Role("doctor"), db.Role("analyst")
	schema = regexp.MustCompile(`(?m)^CREATE ROLE .*\n`).ReplaceAllString(schema, "")
	names := strings.NewReplacer("ROLE analyst", "ROLE "+analyst, "GRANT doctor, analyst TO app", "GRANT "+doctor+", "+analyst+" TO "+app,
		"TO doctor", "TO "+doctor, "SCHEMA analyst", "SCHEMA "+analyst, "analyst.patients", analyst+".patients", "TO analyst", "TO "+analyst)
	db.Exec(names.Replace(schema))
	program = strings.NewReplacer("doctors:doctor&", "doctors:"+doctor+"&", "masked_role=analyst", "masked_role="+analyst).Replace(program)
	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(program), 0o600))
	run := exec.Command("go", "run", file)
	run.Env = append(os.Environ(), "DATABASE_URL="+db.DSNAs(app))
	out, err := run.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Equal(t, readmeBlock(t, "text"), string(out))
}
