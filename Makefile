# Targets and what they do: make help

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 10s
BENCH ?= .

# The version is given by -ldflags. Go's own stamp would make every build fail in
# a checkout that belongs to somebody else, as in a container.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)

STATICCHECK = go tool -modfile=tools/go.mod staticcheck

.PHONY: help build demo test deps lint fmt vet staticcheck race bench fuzz clean
.DEFAULT_GOAL := help
.NOTPARALLEL:

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

build: ## bin/vipd, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/vipd ./cmd/vipd

demo: build ## a whole failover on loopback, without root
	bin/vipd demo

test: deps lint race ## everything that must be green: lint, and all tests under the race detector

deps: ## what the tests need: Debian packages (as root) and gobgpd 3 and 4
	@scripts/deps.sh

lint: fmt vet staticcheck ## gofmt, go vet and staticcheck

fmt: ## name files that gofmt would change
	@files=$$(gofmt -l .) && if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi

vet: ## go vet
	go vet ./...

staticcheck: ## staticcheck, at the version of tools/go.mod
	$(STATICCHECK) ./...

race: ## all tests, and the seeds of the fuzz targets, under the race detector
	@scripts/test.sh

bench: ## benchmarks of the pieces (BENCH=regexp)
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./...

fuzz: ## every fuzz target for FUZZTIME (10s)
	@scripts/fuzz.sh $(FUZZTIME)

clean: ## remove what make built here
	rm -rf bin
