package pganontest

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// However a stream is cut, its messages are the same, and in the same places.
func FuzzFramer(f *testing.F) {
	f.Add([]byte("Q\x00\x00\x00\x06ab"+"S\x00\x00\x00\x04"+"X\x00\x00\x00\x04"), []byte{1, 3, 2})
	f.Add([]byte("Q\x00\x00\x00\x03"), []byte{5})
	f.Add([]byte("d\x7f\xff\xff\xffabc"), []byte{2, 2, 2, 2})
	f.Add([]byte("d\xff\xff\xff\xffabc"), []byte{})
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		type found struct {
			kind          byte
			start, length int
		}
		var whole, cut []found
		var a, b framer
		a.feed(stream, func(kind byte, start, length int) { whole = append(whole, found{kind, start, length}) })
		at := 0
		for _, n := range slices.Concat(cuts, []byte{255}) {
			piece := stream[at:min(at+int(n), len(stream))]
			if n == 255 {
				piece = stream[at:]
			}
			b.feed(piece, func(kind byte, start, length int) { cut = append(cut, found{kind, at + start, length}) })
			at += len(piece)
		}
		require.Equal(t, whole, cut)
		for i, m := range whole {
			require.Equal(t, stream[m.start], m.kind)
			require.Equal(t, int(binary.BigEndian.Uint32(stream[m.start+1:]))+1, m.length)
			if i > 0 {
				require.Equal(t, whole[i-1].start+whole[i-1].length, m.start)
			}
		}
	})
}

func TestPipeKeepsOrderWhileDelaysChange(t *testing.T) {
	var delay atomic.Int64
	var got bytes.Buffer
	p := newPipe(&delay, func(b []byte) error {
		got.Write(b)
		return nil
	})
	var want bytes.Buffer
	for i := range 200 {
		delay.Store(int64(time.Duration(i%3) * 200 * time.Microsecond))
		piece := []byte{byte(i), byte(i)}
		want.Write(piece)
		require.NoError(t, p.send(piece))
		piece[0] = 'x' // the sender's buffer is its own again
	}
	p.close()
	assert.Equal(t, want.Bytes(), got.Bytes())
}

func TestPipeBoundsWhatItKeeps(t *testing.T) {
	var delay atomic.Int64
	delay.Store(1)
	blocked := make(chan struct{})
	p := newPipe(&delay, func([]byte) error { <-blocked; return assert.AnError })
	piece := make([]byte, 8<<20)
	sent := make(chan int)
	go func() {
		n := 0
		for p.send(piece) == nil {
			n++
			sent <- n
		}
		close(sent)
	}()
	last := 0
	for last*len(piece) <= maxQueued {
		last = <-sent
	}
	close(blocked)
	for range sent {
		// After the failed write every send fails.
	}
	p.close()
	assert.ErrorIs(t, p.send(piece), assert.AnError)
}

func TestTimerIsNeverEarly(t *testing.T) {
	timer := newTimer()
	defer timer.close()
	for i := range 200 {
		due := time.Now().Add(time.Duration(i) * 3 * time.Microsecond)
		timer.sleepUntil(due)
		require.False(t, time.Now().Before(due))
	}
}
