package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// table prints one line of figures per line of a comparison.
type table struct {
	tabs   *tabwriter.Writer
	missed int
	aimed  int
}

func newTable(out io.Writer) *table {
	return &table{tabs: tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)}
}

func (t *table) add(c comparison, results []result) {
	// AlignRight would push the names to the right: they are padded by hand.
	fmt.Fprintf(t.tabs, "\n%-48s\ttime\tratio\tquartiles\tfastest\ttarget\t\tallocs\t\n", c.name)
	for i, l := range c.lines {
		name, figures := "  "+l.name, "\t\t\t\t\t"
		if to := c.result(results, l.against); to != nil {
			name += " / " + l.against
			figures = t.figures(l.target, results[i], *to)
		}
		allocs := ""
		if c.allocs {
			allocs = fmt.Sprintf("%.0f", results[i].mallocs)
		}
		fmt.Fprintf(t.tabs, "%-48s\t%s\t%s\t%s\t\n", name, duration(quantile(results[i].perOp, 0.5)), figures, allocs)
	}
}

func (c comparison) result(results []result, name string) *result {
	for i, l := range c.lines {
		if l.name == name {
			return &results[i]
		}
	}
	return nil
}

func (t *table) figures(aim target, of, to result) string {
	all := ratios(of, to)
	median := quantile(all, 0.5)
	fastest := float64(quantile(of.perOp, 0.1)) / float64(quantile(to.perOp, 0.1))
	mark := ""
	if aim != (target{}) {
		t.aimed++
		if aim.missed(median) {
			mark = "!"
			t.missed++
		}
	}
	return fmt.Sprintf("%.2f\t%.2f-%.2f\t%.2f\t%s\t%s", median, quantile(all, 0.25), quantile(all, 0.75), fastest, aim, mark)
}

func (t *table) print() {
	fmt.Fprintf(t.tabs, "\n%d of %d targets met\n", t.aimed-t.missed, t.aimed)
	t.tabs.Flush()
}

func duration(d time.Duration) string {
	if d < time.Millisecond {
		return fmt.Sprintf("%.1f µs", float64(d)/float64(time.Microsecond))
	}
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
