# SPDX-License-Identifier: Apache-2.0
#
# Functions for fetch-vsock and fetch-virtiofsd, which find a program that runs on this machine. To
# be sourced after fetch-lib.sh; the caller defines program_runs PATH, which tests whether it runs.

# shellcheck shell=sh

# program_own PATH: prints PATH if it is installed and runs.
program_own()
{
	[ -x "$1" ] && program_runs "$1" && printf '%s\n' "$1"
}

# program_fetch SUITE PACKAGE FILE: prints the path of the program FILE of PACKAGE, unpacked in the
# cache. If it does not run with the libraries of this machine, those that its package depends on
# are unpacked, too, and a wrapper starts it with their dynamic loader.
program_fetch()
{
	base=${3##*/}
	if deb=$(deb_known "$1" "$2"); then
		out=$CACHE/$(deb_name "$deb")
		for p in "$out/$base" "$out/wrapped/$base"; do
			program_own "$p" && return 0
		done
	fi
	deb=$(deb_fetch "$1" "$2") || return 1
	out=$CACHE/$(deb_name "$deb")
	say "unpacking $2"
	tmp=$out.new.$$
	rm -rf "$tmp"
	deb_unpack "$deb" "$tmp/deb" && mv "$tmp/deb/$3" "$tmp/$base" || return 1
	rm -rf "$tmp/deb"
	if ! program_runs "$tmp/$base"; then
		say "$2 needs newer libraries than this machine has; unpacking them"
		program_wrap "$1" "$deb" "$tmp" "$base" || {
			rm -rf "$tmp"
			return 1
		}
	fi
	rm -rf "$out"
	mv "$tmp" "$out" || return 1
	for p in "$out/$base" "$out/wrapped/$base"; do
		program_own "$p" && return 0
	done
	say "$2 of $1 does not run on this machine"
	return 1
}

# program_wrap SUITE DEB DIRECTORY NAME: creates DIRECTORY/wrapped/NAME and DIRECTORY/lib.
program_wrap()
{
	for dep in $(dpkg-deb -f "$2" Depends | tr ',' '\n' | sed 's/^ *//; s/[ (|].*//' |
		     grep '^lib'); do
		lib=$(deb_fetch "$1" "$dep") && deb_unpack "$lib" "$3/libs" || return 1
	done
	mkdir -p "$3/lib" "$3/wrapped"
	find "$3/libs" -path '*/lib/*-linux-gnu/*.so*' ! -type d ! -path '*/gconv/*' \
		! -path '*/audit/*' -exec cp -P -f {} "$3/lib/" \;
	rm -rf "$3/libs"
	cat >"$3/wrapped/$4" <<-'EOF'
	#!/bin/sh
	# Starts the program in the parent directory with the libraries there.
	here=$(cd "$(dirname "$0")/.." && pwd) || exit 127
	for loader in "$here"/lib/ld-linux-*.so.*; do
		exec "$loader" --argv0 "$0" --library-path "$here/lib" "$here/${0##*/}" "$@"
	done
	EOF
	chmod 755 "$3/wrapped/$4"
}
