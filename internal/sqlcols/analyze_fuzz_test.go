package sqlcols_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pganon/pganon/internal/sqlcols"
)

func FuzzAnalyze(f *testing.F) {
	for _, file := range []string{"statements.md", "more.md"} {
		for _, row := range rows(f, file) {
			f.Add(row[0])
		}
	}
	single, several := newSchema(keyD, keyR, keyB, clinic...).withFunctions(), rotating()
	f.Fuzz(func(t *testing.T, text string) {
		start := time.Now()
		a, err := sqlcols.Analyze(text, single)
		if err == nil {
			check(t, text, a)
		}
		if a, err = sqlcols.Analyze(text, several); err == nil {
			check(t, text, a)
			checkWidened(t, text, a, several)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Fatalf("%d bytes took %s", len(text), d)
		}
	})
}

// check checks what holds of every analysis.
func check(t *testing.T, text string, a *sqlcols.Analysis) {
	for i, p := range a.Parameters {
		if (p.Key != nil) != (len(p.Meetings) > 0) || p.Key != nil && !p.Used {
			t.Fatalf("%s\n$%d: %+v", text, i+1, p)
		}
		for _, m := range p.Meetings {
			if m.Key != p.Key || m.At.Start < 0 || m.At.End > len(text) || text[m.At.Start] != '$' {
				t.Fatalf("%s\n$%d: %+v", text, i+1, m)
			}
			if (m.Use == sqlcols.Argument) != (m.Column.Column == nil) || m.Column.Column != nil && m.Column.Column.Key != m.Key {
				t.Fatalf("%s\n$%d: %+v", text, i+1, m)
			}
			if m.Use == sqlcols.Compared && !m.Key.Searchable {
				t.Fatalf("%s\n$%d: %+v", text, i+1, m)
			}
		}
	}
	for _, o := range a.Outputs {
		if (o.Key != nil) != (len(o.Origins) > 0) || o.Key != nil && a.Open {
			t.Fatalf("%s\n%+v", text, o)
		}
		for _, origin := range o.Origins {
			if origin.Column.Key != o.Key {
				t.Fatalf("%s\n%+v", text, o)
			}
		}
	}
}

// checkWidened checks that the widened statement is one, and that its parameters mean what the original's mean.
func checkWidened(t *testing.T, text string, a *sqlcols.Analysis, s *schema) {
	w, err := a.Widen(text, two)
	if err != nil {
		return
	}
	again, err := sqlcols.Analyze(w.Text, s)
	if err != nil {
		if strings.Contains(err.Error(), "unsupported") {
			return // too long or too deep now
		}
		t.Fatalf("%s\n%s\n%v", text, w.Text, err)
	}
	if len(again.Outputs) != len(a.Outputs) || len(again.Parameters) > len(w.Parameters) {
		t.Fatalf("%s\n%s", text, w.Text)
	}
	for i, p := range again.Parameters {
		source := w.Parameters[i]
		if p.Key != nil && (p.Key != a.Parameters[source.Parameter-1].Key || source.Form == sqlcols.AsIs) {
			t.Fatalf("%s\n%s\n$%d: %+v", text, w.Text, i+1, source)
		}
		for _, m := range p.Meetings {
			if m.Array != (source.Array || source.Form == sqlcols.AllTokens) {
				t.Fatalf("%s\n%s\n$%d: %+v", text, w.Text, i+1, source)
			}
		}
	}
	for _, source := range w.Parameters {
		if (source.Form == sqlcols.AsIs) != (a.Parameters[source.Parameter-1].Key == nil) {
			t.Fatalf("%s\n%s\n%+v", text, w.Text, source)
		}
	}
}
