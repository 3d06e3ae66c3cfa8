package pganontest

import "context"

var (
	Shared     = shared
	BinaryDirs = binaryDirs
)

func MajorOf(dir string) string { return majorOf(context.Background(), dir) }
