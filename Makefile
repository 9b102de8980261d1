# Targets and what they do: make help

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 10s
BENCH ?= .
BFD ?= TestBFD|TestStarved
LAB ?= .
SOAK ?= 10m

# The version is given by -ldflags. Go's own stamp would make every build fail in
# a checkout that belongs to somebody else, as in a container.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)

STATICCHECK = go tool -modfile=tools/go.mod staticcheck

.PHONY: help build man generate demo test deps lint generated fmt vet staticcheck race lab soak bench bench-bfd bench-go fuzz clean
.DEFAULT_GOAL := help
.NOTPARALLEL:

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

build: ## bin/vipd and bin/vipctl, static binaries
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/vipd ./cmd/vipctl

man: build ## vipctl's manual page and shell completions, into bin/share as packages have them
	@mkdir -p bin/share/man/man1 bin/share/bash-completion/completions bin/share/zsh/site-functions bin/share/fish/vendor_completions.d
	bin/vipctl man > bin/share/man/man1/vipctl.1
	bin/vipctl completion bash > bin/share/bash-completion/completions/vipctl
	bin/vipctl completion zsh > bin/share/zsh/site-functions/_vipctl
	bin/vipctl completion fish > bin/share/fish/vendor_completions.d/vipctl.fish

generate: ## the Go code of the control API, from api/vipd/v1/vipd.proto
	@scripts/generate.sh

demo: build ## a whole failover on loopback, without root
	bin/vipd demo

test: deps lint race lab ## everything that must be green: lint, all tests under the race detector, and the lab (as root)

deps: ## what the tests need: Debian packages (as root) and gobgpd 3 and 4
	@scripts/deps.sh

lint: generated fmt vet staticcheck ## gofmt, go vet, staticcheck, and generated code as committed

generated:
	@scripts/generate.sh --check

fmt: ## name files that gofmt would change
	@files=$$(gofmt -l .) && if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi

vet: ## go vet
	go vet ./...

staticcheck: ## staticcheck, at the version of tools/go.mod
	$(STATICCHECK) ./...

race: ## all tests, and the seeds of the fuzz targets, under the race detector
	@scripts/test.sh

# The scenarios mostly wait, so more of them run at a time than there are cores.
# But one package does (-p 1): a soak is to be alone.
lab: deps ## scenarios in a network in a box, with real routers and faults (LAB=regexp); needs root
	VIPD_LAB=1 go test -p 1 ./internal/lab/... -vet=off -count 1 -parallel 5 -timeout 20m -run '$(LAB)'

soak: deps ## faults at random for SOAK (10m), from SEED if it is given, then 500 BFD sessions for SOAK; needs root
	VIPD_LAB=1 VIPD_SOAK=$(SOAK) VIPD_SEED=$(SEED) go test -p 1 ./internal/lab/scenarios ./internal/lab/bfdlab -count 1 -v -timeout 0 -run TestSoak

bench: build ## figures for docs/performance.md (BENCH=withdraw for one); needs root
	VIPD_LAB=1 VIPD_BENCH=1 VIPD_LAB_BINARY=$(CURDIR)/bin/vipd \
		go test ./internal/lab/bench -count 1 -v -timeout 15m -run '(?i)$(BENCH)' -skip '$(BFD)'

bench-bfd: build ## BFD daemons beside each other (BFD=TestStarved for one; GOBFD=path adds GoBFD), about 30 minutes; needs root
	VIPD_LAB=1 VIPD_BENCH=1 VIPD_LAB_BINARY=$(CURDIR)/bin/vipd \
		go test ./internal/lab/bench -count 1 -v -timeout 60m -run '$(BFD)'

bench-go: ## Go benchmarks of the pieces (BENCH=regexp)
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./...

fuzz: ## every fuzz target for FUZZTIME (10s)
	@scripts/fuzz.sh $(FUZZTIME)

clean: ## remove what make built here
	rm -rf bin
