# SPDX-License-Identifier: Apache-2.0
#
# Names of architectures, sourced by POSIX shells. This project has one name for each, that of
# uname(1): x86_64, aarch64, riscv64, s390x. Other projects' names are made from it here.
#
# Sets $HOST_ARCH, and exports $ARCH, the guest's: that of this machine unless it is set.

# shellcheck shell=sh disable=SC2034
HOST_ARCH=$(uname -m)
ARCH=${ARCH:-$HOST_ARCH}
export ARCH
case $ARCH in
"$HOST_ARCH"|x86_64|aarch64|riscv64|s390x)	;;
*)
	printf '%s: unknown architecture %s (known: x86_64, aarch64, riscv64, s390x)\n' \
		"${0##*/}" "$ARCH" >&2
	exit 2 ;;
esac

# arch_debian ARCH: prints Debian's name, in names of packages and of package files.
arch_debian()
{
	case $1 in
	x86_64)		echo amd64 ;;
	aarch64)	echo arm64 ;;
	*)		echo "$1" ;;
	esac
}

# arch_cross ARCH: prints the prefix of the compiler's and the binutils' names
# ("aarch64-linux-gnu-"), nothing for the architecture of this machine.
arch_cross()
{
	test "$1" = "$HOST_ARCH" || echo "$1-linux-gnu-"
}
