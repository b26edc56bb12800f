# SPDX-License-Identifier: Apache-2.0
#
# Functions for the scripts, sourced with ". scripts/common.sh" by POSIX shells. Progress is printed
# on stderr, so that the output of a script can be used as a value.

# Other users can read what is built, whatever the umask, and so can those of a guest.
umask 022

# Those programs which Debian has out of the search path of ordinary users: ldconfig, mke2fs.
PATH=$PATH:/usr/sbin:/sbin
export PATH

TATAMI_CACHE=${TATAMI_CACHE:-${HOME:-/root}/.cache/tatami}
export TATAMI_CACHE

# Sources that a release's archive brings along.
TATAMI_VENDOR=${TATAMI_VENDOR:-$PWD/vendor}

say_started=$(date +%s)

# say WORDS: prints a line of progress, with the seconds since the start of the outermost script.
say()
{
	printf '[%4ds] %s\n' $(($(date +%s) - ${TATAMI_T0:-$say_started})) "$*" >&2
}

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# jobs: prints the number of compilers that may run in parallel.
jobs()
{
	echo "${JOBS:-$(nproc 2>/dev/null || echo 2)}"
}

# hash_of: prints the first 16 hex digits of the SHA-256 of stdin.
hash_of()
{
	sha256sum | cut -c1-16
}

sha256_is()	# FILE SHA256
{
	test -f "$1" && test "$(sha256sum <"$1" | cut -d' ' -f1)" = "$2"
}

# debian_mirrors: prints the base URLs of the Debian archive that apt uses on this system.
debian_mirrors()
{
	command -v apt-get >/dev/null || return 0
	apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk '$1 == "Debian" && $2 !~ /security/ && !seen[$2]++ { print $2 }'
}

# download URL FILE: makes one attempt to download, without output. Fails if it does not succeed.
download()
{
	case $1 in
	debian:*)
		for mirror in $(debian_mirrors); do
			/usr/lib/apt/apt-helper -qq download-file \
				"${mirror%/}/${1#debian:}" "$2" >/dev/null 2>&1 && return 0
		done
		return 1 ;;
	esac
	if command -v curl >/dev/null; then
		curl -fsSL --connect-timeout 15 --retry 2 -o "$2" "$1"
	elif command -v wget >/dev/null; then
		wget -q -T 30 -t 2 -O "$2" "$1"
	else
		/usr/lib/apt/apt-helper -qq download-file "$1" "$2" >/dev/null 2>&1
	fi
}

# fetch SHA256 NAME URL...: downloads $TATAMI_CACHE/src/NAME from the first URL that works, and
# prints its path. "debian:pool/..." stands for the Debian archive that apt uses. A file with
# another checksum is not used. $TATAMI_VENDOR/NAME is preferred to all of them. With
# TATAMI_OFFLINE=1 nothing is downloaded.
fetch()
{
	fetch_sum=$1
	fetch_file=$TATAMI_CACHE/src/$2
	if sha256_is "$TATAMI_VENDOR/$2" "$fetch_sum"; then
		echo "$TATAMI_VENDOR/$2"
		return
	fi
	shift 2
	if ! sha256_is "$fetch_file" "$fetch_sum" && test "${TATAMI_OFFLINE:-0}" = 1; then
		die "${fetch_file##*/} is neither in $TATAMI_VENDOR nor in ${fetch_file%/*}, and TATAMI_OFFLINE=1"
	fi
	if ! sha256_is "$fetch_file" "$fetch_sum"; then
		mkdir -p "$TATAMI_CACHE/src"
		fetch_part=$fetch_file.part.$$
		for fetch_url; do
			say "  fetching $fetch_url"
			rm -f "$fetch_part"
			download "$fetch_url" "$fetch_part" || continue
			if sha256_is "$fetch_part" "$fetch_sum"; then
				mv -f "$fetch_part" "$fetch_file"
				break
			fi
			say "  wrong checksum, not used: $fetch_url"
		done
		rm -f "$fetch_part"
		sha256_is "$fetch_file" "$fetch_sum" ||
			die "failed to get ${fetch_file##*/} with SHA-256 $fetch_sum"
	fi
	echo "$fetch_file"
}
