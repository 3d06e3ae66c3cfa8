package pganontest

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// binaryID tells test binaries apart: go test runs each in its package's directory.
func binaryID() string {
	dir, _ := os.Getwd()
	return dir + " " + filepath.Base(os.Args[0])
}

// processRuns tells whether the process may be running.
func processRuns(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = p.Signal(syscall.Signal(0))
	return !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH)
}
