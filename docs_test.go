package pganon_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/internal/sqllex"
	"github.com/pganon/pganon/pganontest"
)

// TestDocs runs every snippet of the README and of docs/. The snippets of a page run in order, in a database of its own.
//
//   - sql runs as a role that owns the database and is no superuser.
//   - go is a whole program, whose DATABASE_URL is that of the page's first role with LOGIN; or a test; or declarations; or
//     statements, which run after those of the last prelude, with an error that nothing looks at ending the test.
//   - text is what the snippet before it prints: rows of SQL without a header, an error of SQL, standard output. "…" in it stands
//     for anything. What prints must be followed by one.
//   - "not run: <reason>" behind the language is for what is neither Go nor SQL, and for SQL of an extension.
//
// Blocks that readers do not see, as <!-- sql, <!-- go and <!-- prelude, end in a line --> and run in the same way.
func TestDocs(t *testing.T) {
	for _, path := range docPages(t) {
		if snippets := readSnippets(t, path); len(snippets) > 0 {
			t.Run(strings.TrimSuffix(filepath.Base(path), ".md"), func(t *testing.T) {
				t.Parallel()
				newPage(t, snippets).run()
			})
		}
	}
}

func docPages(t *testing.T) []string {
	t.Helper()
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		pages = append(pages, found...)
	}
	require.Contains(t, pages, "README.md")
	require.Contains(t, pages, filepath.Join("docs", "identity.md"))
	return pages
}

// A snippet is a fenced block of a page, or one that readers do not see.
type snippet struct {
	at       string // file and line
	language string
	info     string // what stands behind the language
	text     string
}

var hiddenBlock = regexp.MustCompile(`^<!-- (sql|go|prelude)\b(.*)$`)

// readSnippets finds the blocks of a page. All of them must be at the start of a line: what is not found is not run.
func readSnippets(t *testing.T, path string) []snippet {
	t.Helper()
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	var all []snippet
	var text strings.Builder
	end := ""
	for i, line := range strings.Split(string(file), "\n") {
		at := fmt.Sprintf("%s:%d", path, i+1)
		fence, fenced := strings.CutPrefix(line, "```")
		hidden := hiddenBlock.FindStringSubmatch(line)
		switch {
		case end != "" && line == end:
			all[len(all)-1].text, end = text.String(), ""
		case end != "":
			text.WriteString(line + "\n")
		case fenced:
			language, info, _ := strings.Cut(fence, " ")
			all, end = append(all, snippet{at: at, language: language, info: info}), "```"
			text.Reset()
		case hidden != nil:
			all, end = append(all, snippet{at: at, language: hidden[1], info: strings.TrimSpace(hidden[2])}), "-->"
			text.Reset()
		default:
			require.NotContains(t, line, "```", "%s: a snippet that is not at the start of its line", at)
			require.NotContains(t, line, "~~~", "%s: a snippet with another fence", at)
		}
	}
	require.Empty(t, end, "%s: the last snippet does not end", path)
	return all
}

// page runs the snippets of one file.
type page struct {
	t        *testing.T
	db       *pganontest.DB
	snippets []snippet
	owner    string            // the role that SQL runs as
	login    string            // the role that programs log in as
	roles    map[string]string // the page's names of roles, and the server's
	programs map[int]program   // by the index of their snippet
}

// program is a command that runs a snippet.
type program []string

func newPage(t *testing.T, snippets []snippet) *page {
	p := &page{t: t, snippets: snippets, roles: map[string]string{}, programs: map[int]program{}}
	p.db = pganontest.New(t)
	// What a managed server gives its customer: the database, and roles, but no superuser.
	p.owner = p.db.Role("owner", "LOGIN", "CREATEROLE")
	p.db.Exec("ALTER DATABASE " + p.db.Name() + " OWNER TO " + p.owner)
	p.login = p.owner
	// Roles are the server's, which other tests share: a role gets a name of its own, and the page's is replaced wherever it stands.
	for _, s := range snippets {
		if s.language != "sql" {
			continue
		}
		for _, found := range createRole.FindAllStringSubmatch(s.text, -1) {
			name, options := found[1], strings.TrimSpace(found[2])
			require.NotContains(t, p.roles, name, s.at)
			p.roles[name] = p.db.Role(name, options)
			// As PostgreSQL 16 gives it to who makes a role.
			p.db.Exec("GRANT " + p.roles[name] + " TO " + p.owner + " WITH ADMIN OPTION")
			if p.login == p.owner && loginOption.MatchString(options) {
				p.login = p.roles[name]
			}
		}
	}
	return p
}

var (
	createRole  = regexp.MustCompile(`(?mi)^CREATE ROLE (\w+)([^;]*);`)
	loginOption = regexp.MustCompile(`(?i)\bLOGIN\b`)
)

// local puts the server's names of roles in the place of the page's.
func (p *page) local(text string) string {
	for name, role := range p.roles {
		text = regexp.MustCompile(`\b`+name+`\b`).ReplaceAllLiteralString(text, role)
	}
	return text
}

// shown puts the page's names in the place of the server's.
func (p *page) shown(text string) string {
	for name, role := range p.roles {
		text = strings.ReplaceAll(text, role, name)
	}
	return text
}

// major is the server's major version.
func (p *page) major() (n int) {
	conn, err := pgx.Connect(p.t.Context(), p.db.DSN())
	require.NoError(p.t, err)
	defer conn.Close(context.Background())
	require.NoError(p.t, conn.QueryRow(p.t.Context(), "SELECT current_setting('server_version_num')::int / 10000").Scan(&n))
	return n
}

func (p *page) run() {
	p.build()
	printed := false
	for i, s := range p.snippets {
		if s.language == "text" {
			require.True(p.t, printed, "%s: nothing stands before it that prints", s.at)
			printed = false
			continue
		}
		printed = false
		if strings.Contains(s.text, "security_invoker") && p.major() < 15 {
			p.t.Skipf("%s and what stands behind it is for PostgreSQL 15 and later", s.at)
		}
		if s.language == "prelude" || strings.HasPrefix(s.info, "not run: ") {
			continue
		}
		var out string
		switch s.language {
		case "sql":
			out = p.sql(s)
		case "go":
			out = p.execute(s, p.programs[i])
		default:
			require.Failf(p.t, "not run", "%s: it is %q, which nothing runs: say why not behind it, as \"not run: …\"", s.at, s.language)
		}
		want := ""
		if i+1 < len(p.snippets) && p.snippets[i+1].language == "text" {
			want, printed = p.snippets[i+1].text, true
		}
		pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*")
		if got := p.shown(out); !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
			assert.Equal(p.t, want, got, "%s: what it prints", s.at)
		}
	}
}

// sql runs a snippet command by command, as psql does, and returns rows and the error.
func (p *page) sql(s snippet) string {
	require.Empty(p.t, s.info, "%s: %q is not understood", s.at, s.info)
	return p.query(p.db.DSNAs(p.owner), p.local(createRole.ReplaceAllString(s.text, "")))
}

func (p *page) query(dsn, text string) string {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	require.NoError(p.t, err)
	defer conn.Close(ctx)
	commands, err := sqllex.Split(text)
	require.NoError(p.t, err)
	var out strings.Builder
	for _, command := range commands {
		results, err := conn.PgConn().Exec(ctx, text[command.Start:command.End]).ReadAll()
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) {
			fmt.Fprintf(&out, "ERROR:  %s\n", pgErr.Message)
			break
		}
		require.NoError(p.t, err)
		for _, result := range results {
			for _, row := range result.Rows {
				fmt.Fprintf(&out, "%s\n", bytes.Join(row, []byte(" | ")))
			}
		}
	}
	return out.String()
}

// execute runs a program and returns what it prints.
func (p *page) execute(s snippet, program program) string {
	if len(program) == 0 {
		return "" // declarations
	}
	run := exec.Command(program[0], program[1:]...)
	run.Env = append(os.Environ(), "DATABASE_URL="+p.db.DSNAs(p.login), "OWNER_URL="+p.db.DSNAs(p.owner), "PGANON_KEYS="+docsKeys)
	var stderr strings.Builder
	run.Stderr = &stderr
	out, err := run.Output()
	require.NoError(p.t, err, "%s: %s%s", s.at, out, stderr.String())
	return strings.TrimSuffix(string(out), "PASS\n") // of a test
}

var docsKeys = fernet.GenerateKey().Encode()

// build makes programs of the page's Go: each whole program by itself, all tests as one, and all else as one.
func (p *page) build() {
	dir := p.t.TempDir()
	compile := func(command, name, source string) string {
		file, binary := filepath.Join(dir, name), filepath.Join(dir, strings.TrimSuffix(name, ".go")+".exe")
		require.NoError(p.t, os.WriteFile(file, []byte(p.local(source)), 0o600))
		arguments := append(strings.Fields(command), "-ldflags=-s -w", "-o", binary, file)
		out, err := exec.Command("go", arguments...).CombinedOutput()
		require.NoError(p.t, err, "%s\n%s", out, source)
		return binary
	}
	var declarations, fragments, cases, tests strings.Builder
	prelude := ""
	for i, s := range p.snippets {
		switch {
		case s.language == "prelude":
			prelude = s.text
			continue
		case s.language != "go" || strings.HasPrefix(s.info, "not run: "):
			continue
		}
		require.Empty(p.t, s.info, "%s: %q is not understood", s.at, s.info)
		formatted, err := format.Source([]byte(s.text))
		require.NoError(p.t, err, s.at)
		require.Equal(p.t, string(formatted), s.text, "%s: gofmt", s.at)
		name := "snippet" + strconv.Itoa(i)
		switch {
		case strings.HasPrefix(s.text, "package main"):
			p.programs[i] = program{compile("build", name+".go", s.text)}
		case testName.MatchString(s.text):
			tests.WriteString(s.text)
			p.programs[i] = program{"test", "-test.run=^" + testName.FindStringSubmatch(s.text)[1] + "$"}
		case isDeclarations(s.text):
			declarations.WriteString(s.text)
		default:
			statements, err := asStatements(s.text)
			require.NoError(p.t, err, s.at)
			before, err := asStatements(prelude)
			require.NoError(p.t, err, s.at)
			fmt.Fprintf(&fragments, "func %s() error {\n//line prelude:1\n%s{\n//line %s:2\n%s}\nreturn nil\n}\n", name, before, name, statements)
			fmt.Fprintf(&cases, "case %q: err = %s()\n", name, name)
			p.programs[i] = program{"fragments", name}
		}
	}
	binaries := map[string]string{}
	if fragments.Len()+declarations.Len() > 0 {
		binaries["fragments"] = compile("build", "fragments.go", withImports("package main\n", fmt.Sprintf(`
func must(err error) { if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) } }
func main() {
	var err error
	switch os.Args[1] {
	%s
	}
	must(err)
}
%s
%s`, cases.String(), declarations.String(), fragments.String())))
	}
	if tests.Len() > 0 {
		binaries["test"] = compile("test -c", "snippets_test.go", withImports("package docs_test\n", tests.String()))
	}
	for _, program := range p.programs {
		program[0] = cmp.Or(binaries[program[0]], program[0])
	}
}

var testName = regexp.MustCompile(`^func (Test\w+)\(`)

// docsImports are the packages that snippets may use without importing them.
var docsImports = map[string]string{
	"context": "context", "sql": "database/sql", "errors": "errors", "fmt": "fmt", "io": "io", "json": "encoding/json", "log": "log",
	"slog": "log/slog", "http": "net/http", "httptest": "net/http/httptest", "netip": "net/netip", "os": "os", "strings": "strings",
	"testing": "testing", "time": "time",
	"pgx": "github.com/jackc/pgx/v5", "pgconn": "github.com/jackc/pgx/v5/pgconn", "assert": "github.com/stretchr/testify/assert",
	"require": "github.com/stretchr/testify/require",
	"pganon":  module, "driver": module + "/driver", "fernet": module + "/fernet", "hooks": module + "/hooks", "pganonhttp": module + "/pganonhttp",
	"pganontest": module + "/pganontest", "redact": module + "/redact",
}

// withImports puts the imports of what source uses behind clause.
func withImports(clause, source string) string {
	var b strings.Builder
	b.WriteString(clause + "import _ \"" + module + "/driver\"\n")
	for _, name := range slices.Sorted(maps.Keys(docsImports)) {
		if regexp.MustCompile(`(^|[^\w."/])` + name + `\.[A-Z]`).MatchString(source) {
			fmt.Fprintf(&b, "import %q\n", docsImports[name])
		}
	}
	return b.String() + source
}

func isDeclarations(source string) bool {
	_, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+source, 0)
	return err == nil
}

// asStatements is source with each error looked at that it leaves alone, and each variable used.
func asStatements(source string) (string, error) {
	const head = "package p\nfunc _() {\n"
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", head+source+"\n}", 0)
	if err != nil {
		return "", err
	}
	body := file.Decls[0].(*ast.FuncDecl).Body
	var b, uses strings.Builder
	written := 0
	for i, statement := range body.List {
		for _, name := range assigned(statement) {
			if name == "_" {
				continue
			}
			fmt.Fprintf(&uses, "_ = %s\n", name)
			if name == "err" && !read("err", body.List[i+1:]) {
				end := fset.Position(statement.End()).Offset - len(head)
				b.WriteString(source[written:end] + "; must(err)")
				written = end
			}
		}
	}
	b.WriteString(source[written:] + "\n" + uses.String())
	return b.String(), nil
}

// assigned are the names to which a statement gives a value.
func assigned(statement ast.Stmt) (names []string) {
	switch s := statement.(type) {
	case *ast.AssignStmt:
		for _, left := range s.Lhs {
			if name, ok := left.(*ast.Ident); ok {
				names = append(names, name.Name)
			}
		}
	case *ast.DeclStmt:
		for _, spec := range s.Decl.(*ast.GenDecl).Specs {
			if values, ok := spec.(*ast.ValueSpec); ok {
				for _, name := range values.Names {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

// read says whether name is read by statements before it is assigned to again.
func read(name string, statements []ast.Stmt) bool {
	for _, statement := range statements {
		reads := false
		ast.Inspect(statement, func(n ast.Node) bool {
			if assign, ok := n.(*ast.AssignStmt); ok {
				for _, right := range assign.Rhs {
					ast.Inspect(right, func(n ast.Node) bool {
						id, ok := n.(*ast.Ident)
						reads = reads || ok && id.Name == name
						return true
					})
				}
				return false
			}
			id, ok := n.(*ast.Ident)
			reads = reads || ok && id.Name == name
			return true
		})
		if reads {
			return true
		}
		if slices.Contains(assigned(statement), name) {
			return false
		}
	}
	return false
}

func TestAsStatements(t *testing.T) {
	for source, want := range map[string]string{
		"_, err := f()":                              "_, err := f(); must(err)\n_ = err\n",
		"x, err := f()\nfmt.Println(err)":            "x, err := f()\nfmt.Println(err)\n_ = x\n_ = err\n",
		"err := f()\nerr = g()":                      "err := f(); must(err)\nerr = g(); must(err)\n_ = err\n_ = err\n",
		"err := f()\nerr = g(err)":                   "err := f()\nerr = g(err); must(err)\n_ = err\n_ = err\n",
		"err := f()\nif err := g(); err != nil {\n}": "err := f()\nif err := g(); err != nil {\n}\n_ = err\n",
		"var n int":                                  "var n int\n_ = n\n",
	} {
		got, err := asStatements(source)
		require.NoError(t, err, source)
		assert.Equal(t, want, got)
	}
	_, err := asStatements("x :=")
	assert.Error(t, err)
}
