package sqllex_test

import (
	"fmt"

	"github.com/pganon/pganon/internal/sqllex"
)

func ExampleSplit() {
	const text = `SET ROLE admin; -- RESET ROLE;
		INSERT INTO notes VALUES ('a;b'), ($$;$$); COMMIT AND CHAIN;`
	all, err := sqllex.Split(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range all {
		fmt.Printf("%d %v %q: %s\n", s.Start, s.Command.Class, s.Command.Name, text[s.Start:s.End])
	}
	// Output:
	// 0 set "role": SET ROLE admin
	// 33 query "": INSERT INTO notes VALUES ('a;b'), ($$;$$)
	// 76 commit "": COMMIT AND CHAIN
}

func ExampleClassify() {
	for _, text := range []string{"ROLLBACK TO sp", "(SELECT 1)", "BEGIN; SELECT 1", "VACUUM", "SELECT 'oops; DROP TABLE t", "{call f()}"} {
		c, n := sqllex.Classify(text)
		fmt.Println(c.Class, n, c.Flags.Has(sqllex.NoBlock))
	}
	// Output:
	// rollback to one false
	// query one false
	// begin several false
	// utility one true
	// query uncertain false
	// unknown one false
}

func ExampleLexer() {
	lx := sqllex.New(`SELECT "a""b", U&'d!0061ta' UESCAPE '!' WHERE x = $1`)
	for t := lx.Next(); t.Kind != sqllex.EOF; t = lx.Next() {
		switch {
		case t.Kind.IsIdent():
			name, _ := lx.Ident(t)
			fmt.Println(t.Kind, name)
		case t.Kind.IsString():
			value, _ := lx.StringValue(t)
			fmt.Println(t.Kind, value)
		case t.Kind == sqllex.Param:
			fmt.Println(t.Kind, t.Param)
		}
	}
	fmt.Println(lx.Err())
	// Output:
	// identifier select
	// quoted identifier a"b
	// Unicode string data
	// identifier where
	// identifier x
	// parameter 1
	// <nil>
}
