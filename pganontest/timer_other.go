//go:build !linux

package pganontest

import "time"

// timer sleeps as exactly as the runtime does, which on systems with kqueue is to the microsecond.
type timer struct{}

func newTimer() *timer { return &timer{} }

func (*timer) sleepUntil(due time.Time) { time.Sleep(time.Until(due)) }

func (*timer) close() {}
