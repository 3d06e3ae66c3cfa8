package pganontest

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// serverSettings make a server light, quick to start and throwaway, and its log readable. Its data would not survive a
// power cut; it does survive the immediate shutdown that every server here ends with, for a failed test to be looked at.
func serverSettings() map[string]string {
	return map[string]string{
		"autovacuum":       "off",
		"fsync":            "off",
		"full_page_writes": "off",
		"lc_messages":      "C",
		"log_line_prefix":  "%m [%p] %u@%d ",
		"log_timezone":     "UTC",
		"max_connections":  "200",
		"max_wal_senders":  "0",
		"shared_buffers":   "32MB",
		"timezone":         "UTC",
		"wal_level":        "minimal",
	}
}

// startLocal starts the PostgreSQL that is installed on this machine.
func startLocal(ctx context.Context, cfg Config) (*instance, error) {
	major := os.Getenv("PGANON_TEST_VERSION")
	var failed []error
	for _, dir := range binaryDirs() {
		if major != "" && major != majorOf(ctx, dir) {
			continue
		}
		inst, err := startCluster(ctx, dir, cfg.Settings)
		if err == nil {
			inst.about = "from the programs in " + dir
			return inst, nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", dir, err))
	}
	if len(failed) > 0 {
		return nil, errors.Join(failed...)
	}
	if major != "" {
		return nil, fmt.Errorf("no initdb and postgres of version %s on PATH, by pg_config or in the usual places", major)
	}
	return nil, errors.New("no initdb and postgres on PATH, by pg_config or in the usual places")
}
