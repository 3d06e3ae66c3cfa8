//go:build darwin || freebsd || openbsd

package pganontest

import "syscall"

// setDeathSignal does nothing: here it is the watcher alone that ends the server.
func setDeathSignal(*syscall.SysProcAttr) {}
