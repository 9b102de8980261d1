#!/usr/bin/env bash
# Usage: scripts/deps.sh
#
# Gets what the tests need: the packages of debian-packages.txt, and the gobgpds
# of the two APIs. As root it installs what is missing, else it names it. What
# can't be had is an error with VIPD_REQUIRE=1; without, its tests are skipped.
set -euo pipefail
cd "$(dirname "$0")"

# GoBGP's last release of API v3, and the one of API v4 that vipd is built with.
readonly GOBGP_VERSIONS=(3.37.0 4.8.0)

lacking() {
	echo "deps: $*" >&2
	if [[ ${VIPD_REQUIRE:-} == 1 ]]; then
		exit 1
	fi
}

missing() {
	local package
	sed 's/#.*//' debian-packages.txt | while read -r package; do
		if [[ -n $package ]] && ! dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed; then
			echo "$package"
		fi
	done
}

install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
		apt-get update -qq
	fi
	# Lists that are too old name files that are gone.
	apt-get install -y -qq --no-install-recommends "$@" ||
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; }
}

packages() {
	if ! command -v dpkg-query >/dev/null; then
		lacking "not Debian; the tests need what these packages have:" \
			"$(sed 's/#.*//' debian-packages.txt | xargs)"
		return
	fi
	local names
	mapfile -t names < <(missing)
	if ((${#names[@]} == 0)); then
		return
	fi
	if ((EUID != 0)); then
		lacking "missing, install as root: apt-get install ${names[*]}"
		return
	fi
	echo "deps: install ${names[*]}"
	install_packages "${names[@]}" >&2 || lacking "can't install ${names[*]}"
}

packages
for version in "${GOBGP_VERSIONS[@]}"; do
	./gobgpd.sh "$version" || lacking "no gobgpd $version"
done
