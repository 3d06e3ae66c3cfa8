package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/pganontest"
)

// BenchmarkStatement runs every line of every comparison as a benchmark of its own, for profiles and benchstat:
//
//	go test ./bench -bench 'TCP/identity$' -cpuprofile cpu.prof
//
// What compares them in one run is go run ./bench.
func BenchmarkStatement(b *testing.B) {
	ctx := b.Context()
	server, err := pganontest.Start(ctx, pganontest.Config{})
	require.NoError(b, err)
	defer server.Close()
	bed, err := newBed(ctx, server.DSN())
	require.NoError(b, err)
	defer bed.close()
	comparisons, err := bed.comparisons(ctx)
	require.NoError(b, err)
	for _, c := range comparisons {
		b.Run(c.name, func(b *testing.B) {
			for _, l := range c.lines {
				b.Run(l.name, func(b *testing.B) {
					require.NoError(b, l.op()) // connects
					b.ReportAllocs()
					b.ResetTimer()
					_, err := c.time(l.op, b.N)
					require.NoError(b, err)
				})
			}
		})
	}
}

// The command itself: everything it measures works, and each of its lines is printed.
func TestQuick(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, true), out.String())
	for _, want := range []string{"one row, TCP", "2ms", "10,000 rows", "goroutines: 64", "identity / pgx", "by hand / identity", "two roles in turn / one role", "redaction on / redaction off", "targets met"} {
		assert.Contains(t, out.String(), want)
	}
}

func TestRatios(t *testing.T) {
	of, to := result{perOp: nil}, result{}
	for i := range 100 {
		to.perOp = append(to.perOp, 100)
		of.perOp = append(of.perOp, 100+2*time.Duration(i))
	}
	all := ratios(of, to)
	assert.InDelta(t, 2.0, quantile(all, 0.5), 0.02)
	assert.InDelta(t, 1.5, quantile(all, 0.25), 0.02)
	assert.InDelta(t, 1.0, quantile(all, 0), 0.001)
}

func TestTarget(t *testing.T) {
	for _, test := range []struct {
		target target
		ratio  float64
		missed bool
	}{
		{target{}, 99, false},
		{atMost(1.02), 1.0249, false},
		{atMost(1.02), 1.0251, true},
		{atLeast(2.5), 2.4951, false},
		{atLeast(2.5), 2.4949, true},
	} {
		assert.Equal(t, test.missed, test.target.missed(test.ratio), "%v %v", test.target, test.ratio)
	}
}
