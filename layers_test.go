package pganon_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/pganon/pganon"

// arrows says what each package may import: of this module and of others. What is not here may import nothing.
var arrows = map[string]struct{ ours, others []string }{
	"":                    {ours: []string{"fernet", "internal/guc", "internal/loghash", "internal/refusal", "internal/scope"}},
	"pganonhttp":          {ours: []string{"", "internal/guc", "internal/refusal"}, others: []string{"github.com/jellydator/ttlcache/v3", "golang.org/x/sync"}},
	"fernet":              {},
	"internal/canon":      {ours: []string{"internal/nearest"}, others: []string{"github.com/jackc/pgx/v5/pgtype"}}, // whose interfaces and arrays arguments have
	"internal/failing":    {},
	"internal/guc":        {},
	"internal/nearest":    {},
	"internal/loghash":    {},
	"internal/refusal":    {},
	"internal/scope":      {ours: []string{"internal/guc"}},
	"internal/sqlcols":    {ours: []string{"internal/sqllex"}},
	"internal/sqlgen":     {},
	"internal/sqllex":     {},
	"internal/explicit":   {ours: []string{"redact"}},
	"internal/tagged":     {ours: []string{"fernet", "hooks", "redact", "internal/canon", "internal/explicit", "internal/nearest", "internal/sqlcols", "internal/sqllex"}, others: []string{"github.com/jackc/pgx/v5/pgconn"}},
	"driver":              {ours: []string{"", "fernet", "hooks", "redact", "internal/explicit", "internal/guc", "internal/loghash", "internal/nearest", "internal/scope", "internal/sqllex", "internal/tagged"}, others: []string{"github.com/jackc/pgx/v5", "github.com/ngrok/sqlmw"}},
	"hooks":               {ours: []string{"fernet", "internal/canon", "internal/explicit", "internal/nearest", "internal/sqllex"}, others: []string{"github.com/jinzhu/inflection"}},
	"redact":              {ours: []string{"internal/sqllex"}, others: []string{"github.com/jackc/pgx/v5/pgconn"}},
	"pganontest":          {others: []string{"github.com/jackc/pgx/v5", "github.com/ory/dockertest/v3", "github.com/fergusstrange/embedded-postgres", "golang.org/x/sys"}},
	"bench":               {ours: []string{"", "driver", "fernet", "hooks", "pganontest"}, others: []string{"github.com/jackc/pgx/v5"}},
	"examples/quickstart": {ours: []string{"", "driver", "pganontest"}, others: []string{"github.com/jackc/pgx/v5"}},
}

func TestLayers(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Standard", "./...").Output()
	require.NoError(t, err)
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		room := strings.TrimPrefix(strings.TrimPrefix(pkg.ImportPath, module), "/")
		allowed, known := arrows[room]
		for _, imported := range pkg.Imports {
			if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
				continue // the standard library
			}
			if ours := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/"); ours != imported {
				assert.Truef(t, slices.Contains(allowed.ours, ours), "%q imports %q, which is not below it", room, ours)
				continue
			}
			assert.Truef(t, slices.ContainsFunc(allowed.others, func(prefix string) bool {
				return imported == prefix || strings.HasPrefix(imported, prefix+"/")
			}), "%q imports %s", room, imported)
		}
		assert.Truef(t, known, "%q is not among the layers", room)
	}
}
