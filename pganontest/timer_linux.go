package pganontest

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// timer sleeps to the microsecond. The runtime's own timers do not: an idle Linux process waits for them in epoll_wait,
// which counts in milliseconds. A timerfd wakes that same wait on time.
type timer struct {
	fd   int
	file *os.File
	// lead is how long it takes to get from the timer to the goroutine, as seen lately: the timer is set that much
	// earlier.
	lead time.Duration
}

const maxLead = 100 * time.Microsecond // bounds how long sleepUntil spins

func newTimer() *timer {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return &timer{}
	}
	return &timer{fd: fd, file: os.NewFile(uintptr(fd), "timerfd")}
}

// sleepUntil returns at due or just after it, never before.
func (t *timer) sleepUntil(due time.Time) {
	target := due.Add(-t.lead)
	if wait := time.Until(target); wait > 0 && t.wait(wait) {
		late := min(time.Since(target), maxLead)
		t.lead += (late - t.lead) / 8
	}
	for wait := time.Until(due); wait > 0; wait = time.Until(due) {
		if wait > maxLead {
			time.Sleep(wait)
		}
		runtime.Gosched()
	}
}

func (t *timer) wait(d time.Duration) bool {
	if t.file == nil {
		return false
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	if unix.TimerfdSettime(t.fd, 0, &spec, nil) != nil {
		return false
	}
	var expirations [8]byte
	_, err := t.file.Read(expirations[:])
	return err == nil
}

func (t *timer) close() {
	if t.file != nil {
		t.file.Close()
	}
}
