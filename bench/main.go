// Command bench measures what an identity costs: the same statements on plain pgx, on pganon without and with an identity,
// and on pgx with the identity set by hand, side by side in one run.
//
// It finds or starts a PostgreSQL by itself and takes about a minute; with -quick a few seconds, whose numbers mean
// nothing. It prints a table of ratios. A ratio beyond its target is marked, and is no error: a machine may be busy.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"time"

	"github.com/pganon/pganon/pganontest"
)

func main() {
	quick := flag.Bool("quick", false, "a few rounds of everything, to see that it runs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *quick); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, quick bool) (err error) {
	start := time.Now()
	server, err := pganontest.Start(ctx, pganontest.Config{})
	if err != nil {
		return err
	}
	defer func() { err = closed(err, server.Close) }()
	b, err := newBed(ctx, server.DSN())
	if err != nil {
		return err
	}
	defer func() { err = closed(err, b.close) }()

	fmt.Fprintf(out, "%s. %s, %s/%s, %d CPUs.\n", server, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	fmt.Fprintln(out, "All through database/sql. One round runs every line of a block, in changing order; times are medians of rounds, ratios")
	fmt.Fprintln(out, "medians of the rounds' own ratios, with their quartiles; fastest is the ratio of the fastest tenth. ! misses its target.")
	if quick {
		fmt.Fprintln(out, "QUICK: so few rounds show that it runs, and nothing else.")
	}
	comparisons, err := b.comparisons(ctx)
	if err != nil {
		return err
	}
	t := newTable(out)
	for _, c := range comparisons {
		if quick {
			c.rounds, c.ops = 3, max(c.goroutines, 2)
		}
		results, err := c.measure()
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		t.add(c, results)
	}
	t.print()
	fmt.Fprintf(out, "%.0f s\n", time.Since(start).Seconds())
	return nil
}

// closed closes once the work is done, and keeps the first error.
func closed(err error, closing func() error) error {
	if closeErr := closing(); err == nil {
		err = closeErr
	}
	return err
}
