package main

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A line is one way to do a block's work.
type line struct {
	name string
	op   func() error
	// against is the line that this one's ratio is to, "" for none.
	against string
	target  target
}

// target is the ratio that was aimed at; zero is none.
type target struct {
	ratio float64
	least bool
}

func atMost(ratio float64) target  { return target{ratio: ratio} }
func atLeast(ratio float64) target { return target{ratio: ratio, least: true} }

// missed judges a ratio as it is printed, to two digits.
func (t target) missed(ratio float64) bool {
	ratio = math.Round(ratio*100) / 100
	if t.least {
		return ratio < t.ratio
	}
	return t.ratio > 0 && ratio > t.ratio
}

func (t target) String() string {
	switch {
	case t.ratio == 0:
		return ""
	case t.least:
		return fmt.Sprintf(">= %.2f", t.ratio)
	}
	return fmt.Sprintf("<= %.2f", t.ratio)
}

// comparison is a block of lines that are measured side by side.
type comparison struct {
	name       string
	rounds     int
	ops        int // of one line in one round, all goroutines together
	goroutines int // 0 is the caller's own
	allocs     bool
	lines      []line
}

// result is what one line took.
type result struct {
	perOp   []time.Duration // by round
	mallocs float64         // per op, 0 where it was not measured
}

// A busy machine gets fewer rounds, so that the whole still takes about a minute.
const (
	longBlock = 8 * time.Second
	fewRounds = 25
)

func (c comparison) measure() ([]result, error) {
	results := make([]result, len(c.lines))
	order := make([]int, len(c.lines))
	for i, l := range c.lines {
		order[i] = i
		// Connects, and fills statement caches; the server makes its plan for good at the sixth time.
		if _, err := c.time(l.op, 10*max(c.goroutines, 1)); err != nil {
			return nil, err
		}
	}
	runtime.GC()
	start := time.Now()
	for round := range c.rounds {
		if round >= fewRounds && time.Since(start) > longBlock {
			break
		}
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, i := range order {
			took, err := c.time(c.lines[i].op, c.ops)
			if err != nil {
				return nil, err
			}
			results[i].perOp = append(results[i].perOp, took/time.Duration(c.ops))
		}
	}
	for i := range results {
		if c.allocs {
			var err error
			if results[i].mallocs, err = mallocs(c.lines[i].op, c.ops); err != nil {
				return nil, err
			}
		}
	}
	return results, nil
}

// time runs op n times, divided among the goroutines.
func (c comparison) time(op func() error, n int) (time.Duration, error) {
	if c.goroutines == 0 {
		start := time.Now()
		for range n {
			if err := op(); err != nil {
				return 0, err
			}
		}
		return time.Since(start), nil
	}
	var wg sync.WaitGroup
	errs := make(chan error, c.goroutines)
	start := time.Now()
	for g := range c.goroutines {
		share := n / c.goroutines
		if g < n%c.goroutines {
			share++
		}
		wg.Go(func() {
			for range share {
				if err := op(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	close(errs)
	return took, <-errs
}

// mallocs counts allocations per op, the least of some tries: other goroutines allocate too.
func mallocs(op func() error, n int) (float64, error) {
	var least float64
	for try := range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range n {
			if err := op(); err != nil {
				return 0, err
			}
		}
		runtime.ReadMemStats(&after)
		if perOp := float64(after.Mallocs-before.Mallocs) / float64(n); try == 0 || perOp < least {
			least = perOp
		}
	}
	return least, nil
}

// ratios returns the quotient of each round.
func ratios(of, to result) []float64 {
	all := make([]float64, len(of.perOp))
	for i := range all {
		all[i] = float64(of.perOp[i]) / float64(to.perOp[i])
	}
	return all
}

// quantile returns the value below which the fraction q of all lies.
func quantile[T cmp.Ordered](all []T, q float64) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}
