# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Creates the files that a host prepares for the calls of a transcript: its lines "#needs KIND PATH
# [TEXT]".

# needed KIND FILE: prints the paths or addresses of this kind
needed() { sed -n "s/^#needs $1 //p" "$2"; }

# pod_userland DIR: creates a root file system with a program like that of a pause container
pod_userland()
{
	scripts/demo-rootfs "$1" >&2 &&
		printf '#!/bin/sh\nexec sleep 1000000\n' >"$1/pause" &&
		chmod 755 "$1/pause"
}

# prepare FILE SHARE ROOTFS: creates below SHARE the files that the guest finds in the shared
# directory
prepare()
{
	local file=$1 kind path text at
	while read -r _ kind path text; do
		case $path in
		/run/kata-containers/shared/containers/*) \
			at=$2/${path#/run/kata-containers/shared/containers/} ;;
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
