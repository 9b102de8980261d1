#!/bin/sh
# Builds gobgpd of one version from its Go module, for tests that run the real
# daemon: gobgpd.sh VERSION (as 4.8.0). Prints where it is; does nothing more
# when it is there already.
set -eu

version=${1:?usage: gobgpd.sh VERSION}
major=${version%%.*}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vipd
binary=$cache/gobgpd-$version

if [ ! -x "$binary" ]; then
	mkdir -p "$cache"
	# Beside the result, so that the last step is one rename.
	work=$(mktemp -d "$cache/build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM
	cd "$work"
	{
		go mod init gobgpd
		go get "github.com/osrg/gobgp/v$major/cmd/gobgpd@v$version"
		CGO_ENABLED=0 go build -trimpath -o gobgpd "github.com/osrg/gobgp/v$major/cmd/gobgpd"
	} >&2
	mv gobgpd "$binary"
fi
echo "$binary"
