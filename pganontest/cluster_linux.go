package pganontest

import "syscall"

// setDeathSignal lets the kernel end the server with the process that started it, should the watcher not come to it.
func setDeathSignal(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
