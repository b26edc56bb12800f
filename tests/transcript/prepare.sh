# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What a host prepares for the calls of a transcript: its lines "#needs KIND PATH [TEXT]".

# needed KIND FILE: the paths, or addresses, of this kind
needed() { sed -n "s/^#needs $1 //p" "$2"; }

# userland DIR: a root file system, with a program that does what a pause container's does
userland()
{
	scripts/demo-rootfs "$1" >&2 &&
		printf '#!/bin/sh\nexec sleep 1000000\n' >"$1/pause" &&
		chmod 755 "$1/pause"
}

# prepare FILE SHARE ROOTFS: below SHARE what the guest finds in the shared directory
prepare()
{
	local file=$1 kind path text at
	while read -r _ kind path text; do
		case $path in
		/run/kata-containers/shared/containers/*) at=$2/${path#/run/kata-containers/shared/containers/} ;;
		*) continue ;;
		esac
		mkdir -p "${at%/*}"
		case $kind in
		root) cp -a "$3" "$at" ;;
		dir) mkdir -p "$at" ;;
		file) printf %b "$text" >"$at" ;;
		esac || return 1
	done < <(grep '^#needs ' "$file")
}
