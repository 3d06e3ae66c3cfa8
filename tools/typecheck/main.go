// Command typecheck checks the types of a module's packages and tests as other operating systems have them, without compiling anything:
//
//	typecheck [-C directory] system ...
package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	log.SetFlags(0)
	directory := flag.String("C", ".", "`directory` of the module")
	flag.Parse()
	root, err := filepath.Abs(*directory)
	if err != nil {
		log.Fatal(err)
	}
	said := map[string]bool{} // a package and its variant with tests have the same errors
	for _, system := range flag.Args() {
		failures, err := check(root, system)
		if err != nil {
			log.Fatal(err)
		}
		for _, failure := range failures {
			if text := fmt.Sprintf("%s: %v", system, failure); !said[text] {
				said[text] = true
				log.Print(text)
			}
		}
	}
	if len(said) > 0 {
		os.Exit(1)
	}
}

// check returns what is wrong with the packages of the module at root on a system. Of what they import the declarations are read, so that
// is not looked for there.
func check(root, system string) (failures []packages.Error, err error) {
	roots, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps |
			packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesSizes,
		Dir: root, Tests: true, Env: append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0"),
		ParseFile: func(files *token.FileSet, name string, text []byte) (*ast.File, error) {
			file, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
			if err == nil && !strings.HasPrefix(name, root+string(filepath.Separator)) {
				for _, d := range file.Decls {
					if f, ok := d.(*ast.FuncDecl); ok {
						f.Body = nil
					}
				}
			}
			return file, err
		},
	}, "./...")
	if err != nil {
		return nil, err
	}
	for _, p := range roots {
		if !strings.HasSuffix(p.ID, ".test") { // what go test makes by itself is not below root
			failures = append(failures, p.Errors...)
		}
	}
	return failures, nil
}
