#!/usr/bin/env bash
# Usage: scripts/fuzz.sh [time for each target, as in 10s]
#
# Runs every fuzz target for a while. What breaks one is left in its testdata,
# where go test finds it from then on.
set -euo pipefail
cd "$(dirname "$0")/.."

go test -list '^Fuzz' -json ./... |
	sed -n 's/.*"Package":"\([^"]*\)".*"Output":"\(Fuzz[A-Za-z0-9_]*\)\\n".*/\1 \2/p' |
	while read -r package target; do
		echo "fuzz: $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${1:-10s}" "$package" </dev/null
	done
