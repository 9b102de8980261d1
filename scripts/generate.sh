#!/usr/bin/env bash
# Usage: scripts/generate.sh [--check]
#
# Makes the Go code of the control API, with the generators of tools/go.mod.
# --check changes nothing, and fails where what is committed is something else.
set -euo pipefail
cd "$(dirname "$0")/.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
readonly proto=vipd/v1/vipd.proto

# Built from within the tools module: its versions count, not the product's.
(cd tools && GOBIN="$tmp/bin" GOFLAGS="${GOFLAGS:-} -mod=readonly" go install ./protogen \
	google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc)

out=api
if [[ ${1:-} == --check ]]; then
	out=$tmp/api
	mkdir -p "$(dirname "$out/$proto")"
	cp "api/$proto" "$out/$proto"
fi
PATH="$tmp/bin:$PATH" "$tmp/bin/protogen" "$out" "$proto"
if [[ ${1:-} == --check ]]; then
	for file in "$out"/vipd/v1/*; do
		if ! diff "$file" "api/vipd/v1/${file##*/}"; then
			echo "generate: api/vipd/v1/${file##*/} is not what make generate makes" >&2
			exit 1
		fi
	done
fi
