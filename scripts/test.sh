#!/usr/bin/env bash
# Usage: scripts/test.sh [go test's arguments]
#
# Runs all tests, under the race detector where there is a C compiler for it.
set -euo pipefail
cd "$(dirname "$0")/.."

# A compiler without the C library's headers is of no use here.
compiles() { echo '#include <stdlib.h>' | $(go env CC) -E - >/dev/null 2>&1; }

race=()
if compiles; then
	export CGO_ENABLED=1
	race=(-race)
elif [[ ${VIPD_REQUIRE:-} == 1 ]]; then
	echo "test: no C compiler, which the race detector needs" >&2
	exit 1
else
	echo "test: no C compiler, so WITHOUT the race detector" >&2
fi
# -vet=off: make lint has done it.
exec go test "${race[@]}" -vet=off -timeout 10m "$@" ./...
