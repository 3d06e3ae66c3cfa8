package pganon_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every key of the DSN that a page or a package comment names is one of the driver's, and docs/identity.md explains each.
func TestDocsDSNKeys(t *testing.T) {
	keys := mapKeys(t, "driver/dsn.go", "dsnKeys")
	require.Contains(t, keys, "masked_role")
	for path, text := range docTexts(t) {
		for _, named := range regexp.MustCompile(`\bpganon\.([a-z][a-z_]*)`).FindAllStringSubmatch(text, -1) {
			assert.Contains(t, keys, named[1], "%s names pganon.%s", path, named[1])
		}
	}
	text := docTexts(t)["docs/identity.md"]
	for _, key := range keys {
		assert.True(t, strings.Contains(text, "| `pganon."+key+"` |"), "docs/identity.md does not explain pganon.%s", key)
	}
}

// Every option of a tag that a page names is one of package hooks or of the driver, and docs/encryption.md explains each of the former.
func TestDocsTagOptions(t *testing.T) {
	options := mapKeys(t, "hooks/tag.go", "optionNames")
	require.Contains(t, options, "deterministic")
	ofRoles := []string{"masked", "writable"}
	for path, text := range docTexts(t) {
		for _, tag := range regexp.MustCompile(`pganon:"([^"…]+)"`).FindAllStringSubmatch(text, -1) {
			for option := range strings.SplitSeq(tag[1], ",") {
				name, _, _ := strings.Cut(option, "=")
				assert.Contains(t, append(options, ofRoles...), name, "%s has the tag %s", path, tag[0])
			}
		}
	}
	_, section, _ := strings.Cut(docTexts(t)["docs/encryption.md"], "\n## Tags\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var explained []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)=?` \\|").FindAllStringSubmatch(section, -1) {
		explained = append(explained, row[1])
	}
	assert.ElementsMatch(t, options, explained)
}

// docTexts are the pages and the package comments, by path.
func docTexts(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	comments, err := filepath.Glob("*/doc.go")
	require.NoError(t, err)
	for _, path := range append(docPages(t), append(comments, "doc.go")...) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		texts[filepath.ToSlash(path)] = string(text)
	}
	return texts
}

// mapKeys are the keys of the map that a file has in a variable.
func mapKeys(t *testing.T, path, variable string) []string {
	t.Helper()
	var keys []string
	ast.Inspect(parse(t, path), func(n ast.Node) bool {
		value, ok := n.(*ast.ValueSpec)
		if !ok || value.Names[0].Name != variable {
			return true
		}
		for _, element := range value.Values[0].(*ast.CompositeLit).Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				element = pair.Key
			}
			key, err := strconv.Unquote(element.(*ast.BasicLit).Value)
			require.NoError(t, err)
			keys = append(keys, key)
		}
		return false
	})
	require.NotEmpty(t, keys, "%s has %s", path, variable)
	return keys
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	require.NoError(t, err)
	return file
}

// errorFiles are the files whose errors docs/errors.md explains.
var errorFiles = []string{"*.go", "driver/*.go", "hooks/*.go", "internal/explicit/*.go", "internal/tagged/*.go", "pganonhttp/*.go"}

// reasonFiles are those whose errors stand behind "pganon: invalid identity".
var reasonFiles = []string{"internal/guc/guc.go", "internal/scope/scope.go", "driver/principal.go"}

// docs/errors.md has every error that the code can make, by its beginning, and no other.
func TestDocsErrors(t *testing.T) {
	made := map[string]string{} // text → where
	add := func(patterns []string, ours bool) {
		for _, pattern := range patterns {
			files, err := filepath.Glob(pattern)
			require.NoError(t, err)
			require.NotEmpty(t, files, pattern)
			for _, path := range files {
				if strings.HasSuffix(path, "_test.go") {
					continue
				}
				for _, text := range errorTexts(parse(t, path)) {
					if ours == strings.HasPrefix(text, "pganon: ") {
						made[text] = path
					}
				}
			}
		}
	}
	add(errorFiles, true)
	add(reasonFiles, false)
	require.Greater(t, len(made), 60)

	page, err := os.ReadFile("docs/errors.md")
	require.NoError(t, err)
	explained := map[string]bool{} // texts
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?`) \\|").FindAllStringSubmatch(string(page), -1) {
		for _, entry := range strings.Split(strings.Trim(row[1], "`"), "`<br>`") {
			meant := meant(entry, made)
			if assert.Lenf(t, meant, 1, "docs/errors.md: %q is the beginning of one error", entry) {
				assert.Falsef(t, explained[meant[0]], "docs/errors.md: %q is there twice", entry)
				explained[meant[0]] = true
			}
		}
	}
	for _, text := range slices.Sorted(maps.Keys(made)) {
		assert.Truef(t, explained[text], "docs/errors.md does not explain %q (%s)", text, made[text])
	}
}

// meant are the texts that an entry of the page can be: itself, or those that begin with what stands before its last ….
func meant(entry string, made map[string]string) []string {
	if made[entry] != "" {
		return []string{entry}
	}
	beginning, cut := strings.CutSuffix(entry, "…")
	var texts []string
	for text := range made {
		if cut && strings.HasPrefix(text, beginning) {
			texts = append(texts, text)
		}
	}
	slices.Sort(texts)
	return texts
}

// errorTexts are the texts of a file's errors, with … where something is put in.
func errorTexts(file *ast.File) (texts []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		name := ""
		switch f := call.Fun.(type) {
		case *ast.Ident:
			name = f.Name
		case *ast.SelectorExpr:
			name = f.Sel.Name
		}
		switch name {
		case "New", "Errorf", "Sprintf", "panic":
		default:
			return true
		}
		if text, ok := literal(call.Args[0]); ok {
			text = strings.TrimPrefix(formatVerb.ReplaceAllString(text, "…"), "…: ")
			if !onlyNames.MatchString(text) {
				texts = append(texts, text)
			}
		}
		return true
	})
	return texts
}

// onlyNames says that a text only says where another error belongs.
var onlyNames = regexp.MustCompile(`^(…|\w+(\.\w+)?( \w+)?( …)?: …)$`)

var formatVerb = regexp.MustCompile(`%[#+]?[a-zA-Z]`)

// literal is the text of an expression, with … for what is not said in the code; false if it does not begin with a text.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, e.Kind == token.STRING && err == nil
	case *ast.BinaryExpr:
		left, ok := literal(e.X)
		right, known := literal(e.Y)
		if !known {
			right = "…"
		}
		return left + right, ok
	}
	return "", false
}

// Links between the pages lead somewhere.
func TestDocsLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	pages := docPages(t)
	linked := map[string]bool{"README.md": true}
	for _, path := range pages {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			target, anchor, _ := strings.Cut(found[1], "#")
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			linked[file] = true
			there, err := os.ReadFile(file)
			if assert.NoErrorf(t, err, "%s links to %s", path, found[1]) && anchor != "" {
				assert.Truef(t, slices.Contains(anchors(string(there)), anchor), "%s links to %s", path, found[1])
			}
		}
	}
	for _, path := range pages {
		assert.Truef(t, linked[path], "no page links to %s", path)
	}
}

// anchors are GitHub's anchors of a page's headings.
func anchors(page string) (all []string) {
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		anchor := strings.ToLower(heading[1])
		anchor = regexp.MustCompile(`[^\p{L}\p{N}\s_-]`).ReplaceAllString(anchor, "")
		all = append(all, strings.ReplaceAll(anchor, " ", "-"))
	}
	return all
}
