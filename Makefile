# The race detector needs cgo; without a C compiler the tests run without it.
RACE := $(if $(and $(filter 1,$(shell go env CGO_ENABLED)),$(shell command -v $$(go env CC))),-race)
# Modules of their own: what they need is not in the go.mod of who uses pganon.
SUBMODULES := bench/fernet hooks/gormtest examples/sqlx examples/gorm internal/orms
MODULES := . $(SUBMODULES) internal/sqlcols/judge tools

.PHONY: test judge lint bench fuzz

# Finds or starts a PostgreSQL by itself; see package pganontest.
test:
	go test $(RACE) -timeout 20m ./...
	$(if $(RACE),go test -timeout 20m -run '^TestConformance$$' ./driver # which the race detector's run leaves out)
	@for module in $(SUBMODULES); do echo "go test: $$module"; (cd $$module && go test ./...) || exit 1; done

# The SQL parser against PostgreSQL's own; needs a C compiler and Debian's package of PostgreSQL's source.
judge:
	internal/sqlcols/judge/corpus.sh
	cd internal/sqlcols/judge && go vet ./... && go test -timeout 20m ./...

lint:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt: $$unformatted"; exit 1; fi
	go vet ./...
	go run -C tools ./typecheck -C $(CURDIR) darwin linux windows
	go tool -modfile=tools/go.mod staticcheck ./...
	@for module in $(SUBMODULES); do \
		echo "go vet, staticcheck: $$module"; \
		(cd $$module && go vet ./... && go tool -modfile=$(CURDIR)/tools/go.mod staticcheck ./...) || exit 1; \
	done
	@for module in $(MODULES); do echo "go mod tidy: $$module"; (cd $$module && go mod tidy -diff) || exit 1; done

# Side by side with plain pgx, as ratios; about a minute.
bench:
	go run ./bench

# Each fuzz target for FUZZTIME.
FUZZTIME ?= 20s
fuzz:
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done
