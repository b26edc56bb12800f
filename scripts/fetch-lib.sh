# SPDX-License-Identifier: Apache-2.0
#
# Shell functions of the fetch-* scripts and of kernel-config/build (POSIX sh, to be sourced).
# They download Debian packages to the cache without changing the apt configuration of the machine:
# apt runs with a separate configuration, lists and archives below the cache directory, and checks
# signatures with the keyring of Debian. They do not need root and install nothing.
#
# Environment:
#   TATAMI_CACHE     the cache directory              (default: ~/.cache/tatami)
#   TATAMI_REFRESH   1: download packages even if they are in the cache
#   TATAMI_OFFLINE   1: never access the mirror

# shellcheck shell=sh
# The caller sets $me to its name before it sources this file.

umask 022

CACHE=${TATAMI_CACHE:-${HOME:-/root}/.cache/tatami}
PATH=$PATH:/usr/sbin:/sbin
export PATH LC_ALL=C

DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

say()
{
	printf '%s: %s\n' "$me" "$*" >&2
}

die()
{
	say "error: $*"
	exit 1
}

# need COMMAND PACKAGE: exits with the command to install PACKAGE if COMMAND is missing.
need()
{
	command -v "$1" >/dev/null 2>&1 ||
		die "$1 is missing; install it with: apt-get install $2"
}

# cache_lock NAME: takes the lock of NAME, which is held until this shell ends.
cache_lock()
{
	mkdir -p "$CACHE" || die "failed to create the cache directory $CACHE"
	need flock util-linux
	exec 9>"$CACHE/.lock-$1"
	if ! flock -n 9; then
		say "waiting for another run to finish with $1"
		flock 9
	fi
}

# debian_codename: prints the codename of this Debian, from os-release.
debian_codename()
{
	# shellcheck disable=SC1091
	(. /etc/os-release && printf '%s\n' "${VERSION_CODENAME:-}")
}

# debian_mirror SUITE: prints the URL that this machine uses for that suite, from the one-line and
# deb822 files of apt. TATAMI_DEBIAN_ETC (tests) replaces /etc/apt.
debian_mirror()
{
	etc=${TATAMI_DEBIAN_ETC:-/etc/apt}
	suite=$1
	url=
	for f in "$etc/sources.list" "$etc"/sources.list.d/*.list; do
		[ -n "$url" ] || [ ! -f "$f" ] || url=$(awk -v suite="$suite" '
			$1 == "deb" {
				line = $0
				sub(/^[ \t]*deb[ \t]+/, "", line)
				sub(/^\[[^]]*\][ \t]*/, "", line)
				n = split(line, w, /[ \t]+/)
				if (n >= 2 && w[2] == suite) { print w[1]; exit }
			}' "$f")
	done
	for f in "$etc"/sources.list.d/*.sources; do
		[ -n "$url" ] || [ ! -f "$f" ] || url=$(awk -v suite="$suite" '
			function flush(  i, n, s) {
				n = split(suites, s, /[ \t]+/)
				if (types ~ /(^|[ \t])deb([ \t]|$)/ && tolower(on) != "no" && uri != "")
					for (i = 1; i <= n; i++)
						if (s[i] == suite && !done) { print uri; done = 1 }
				types = suites = uri = on = field = ""
			}
			/^[ \t]*#/ { next }
			/^[ \t]*$/ { flush(); next }
			/^[A-Za-z-]+:/ {
				field = tolower(substr($0, 1, index($0, ":") - 1))
				value = substr($0, index($0, ":") + 1)
			}
			/^[ \t]/ { value = $0 }
			field == "types" { types = types " " value }
			field == "suites" { suites = suites " " value }
			field == "enabled" { gsub(/[ \t]/, "", value); on = value }
			field == "uris" && uri == "" { split(value, u); uri = u[1] }
			END { flush() }' "$f")
	done
	[ -n "$url" ] || return 1
	printf '%s\n' "${url%/}"
}

# Everywhere below, SUITE is the name of one of Debian's suites, or "system": the sources of the
# machine. SUITE@ARCH is that suite for another of Debian's architectures ("bookworm@arm64"); the
# machine need not be configured for it.

# apt_private SUITE: prepares the private apt for SUITE and sets $APT_CONF. Downloads the lists at
# most once a day. Returns 1 if there are none.
apt_private()
{
	need apt-get apt
	dir=$CACHE/apt/$1
	case $1 in
	*@*)	foreign="APT::Architecture \"${1#*@}\"; APT::Architectures { \"${1#*@}\"; };" ;;
	*)	foreign= ;;
	esac
	APT_CONF=$dir/apt.conf
	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" || return 1
	: >>"$dir/status"
	if [ "$1" = system ]; then
		sources=
	else
		mirror=$(debian_mirror "$(debian_codename)") || {
			say "no mirror for $(debian_codename) found in /etc/apt/sources.list(.d)"
			return 1
		}
		[ -f "$DEBIAN_KEYRING" ] || {
			say "$DEBIAN_KEYRING is missing; install it with: apt-get install debian-archive-keyring"
			return 1
		}
		printf 'deb [signed-by=%s] %s %s main\n' "$DEBIAN_KEYRING" "$mirror" "${1%@*}" \
			>"$dir/sources.list.new"
		cmp -s "$dir/sources.list.new" "$dir/sources.list" || rm -f "$dir/updated"
		mv "$dir/sources.list.new" "$dir/sources.list"
		sources="Dir::Etc::sourcelist \"$dir/sources.list\";
Dir::Etc::sourceparts \"/dev/null\";"
	fi
	cat >"$APT_CONF" <<-EOF
	Dir::State "$dir/state";
	Dir::State::status "$dir/status";
	Dir::Cache "$dir/cache";
	Dir::Cache::pkgcache "pkgcache.bin";
	Dir::Cache::srcpkgcache "srcpkgcache.bin";
	$sources
	$foreign
	APT::Sandbox::User "root";
	APT::Get::AllowUnauthenticated "false";
	Acquire::AllowInsecureRepositories "false";
	Acquire::AllowWeakRepositories "false";
	Acquire::Languages "none";
	Acquire::Retries "3";
	Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
	Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled "false";
	Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled "false";
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
	EOF
	if [ -n "$(find "$dir/updated" -mmin -1440 2>/dev/null)" ] &&
	   [ "${TATAMI_REFRESH:-0}" != 1 ]; then
		return 0
	fi
	say "reading the package lists of ${1}${mirror:+ from $mirror}"
	if apt-get -q -q -c "$APT_CONF" update >"$dir/update.log" 2>&1; then
		: >"$dir/updated"
		return 0
	fi
	# A stale or frozen mirror serves expired lists. Their signature is still checked, and so
	# are the checksums of packages in them.
	if grep -q 'Release file for .* is expired' "$dir/update.log"; then
		say 'the lists of this mirror have expired, using them anyway'
		if apt-get -q -q -c "$APT_CONF" -o Acquire::Check-Valid-Until=false update \
			>"$dir/update.log" 2>&1; then
			: >"$dir/updated"
			return 0
		fi
	fi
	sed 's/^/    /' "$dir/update.log" >&2
	# Old lists are better than none; their checksums are still valid.
	[ -f "$dir/updated" ]
}

# pinned_sha256 FILE: prints the checksum in scripts/fetch.sha256 for a file of this name.
pinned_sha256()
{
	[ -f "$SCRIPTS/fetch.sha256" ] || return 0
	awk -v name="$1" '$2 == name { print $1 }' "$SCRIPTS/fetch.sha256"
}

# deb_known SUITE PACKAGE: prints the path of the package if it is in the cache, without checking
# it, for files that were made from it. deb_sum prints the checksum that it had when downloaded.
deb_known()
{
	[ "${TATAMI_REFRESH:-0}" != 1 ] && read -r sum file <"$CACHE/debs/$1/$2.sha256" &&
		[ -f "$CACHE/debs/$1/$file" ] && printf '%s\n' "$CACHE/debs/$1/$file"
} 2>/dev/null

deb_sum()
{
	read -r sum file <"$CACHE/debs/$1/$2.sha256" && printf '%s\n' "$sum"
}

# deb_cached SUITE PACKAGE: prints the path of the package if it is in the cache and intact.
deb_cached()
{
	record=$CACHE/debs/$1/$2.sha256
	[ -f "$record" ] || return 1
	read -r sum file <"$record" || return 1
	[ -f "$CACHE/debs/$1/$file" ] || return 1
	if [ "$(sha256sum <"$CACHE/debs/$1/$file" | cut -d' ' -f1)" != "$sum" ]; then
		say "$CACHE/debs/$1/$file is damaged; fetching it again"
		rm -f "$CACHE/debs/$1/$file" "$record"
		return 1
	fi
	printf '%s\n' "$CACHE/debs/$1/$file"
}

# deb_fetch SUITE PACKAGE: prints the path of the package in the cache, and downloads it if it is
# not there. apt checks the signature of the archive and the checksum of the package; a version in
# scripts/fetch.sha256 must have the checksum listed there, too.
deb_fetch()
{
	if [ "${TATAMI_REFRESH:-0}" != 1 ] && deb_cached "$1" "$2"; then
		return 0
	fi
	if [ "${TATAMI_OFFLINE:-0}" = 1 ]; then
		say "$2 is not in the cache ($CACHE/debs/$1), and TATAMI_OFFLINE=1"
		return 1
	fi
	apt_private "$1" || {
		say "failed to read the package lists of $1 (no network, or wrong mirror?)"
		deb_cached "$1" "$2"
		return
	}
	tmp=$CACHE/debs/$1/.new.$2.$$
	rm -rf "$tmp"
	mkdir -p "$tmp" || return 1
	say "downloading $2 from $1"
	if ! (cd "$tmp" && apt-get -q -q -c "$APT_CONF" download "$2" >apt.log 2>&1); then
		sed 's/^/    /' "$tmp/apt.log" >&2
		rm -rf "$tmp"
		say "failed to download $2 from Debian's suite $1"
		deb_cached "$1" "$2"
		return
	fi
	file=$(cd "$tmp" && ls -- *.deb 2>/dev/null)
	sum=$(sha256sum <"$tmp/$file" | cut -d' ' -f1)
	pin=$(pinned_sha256 "$file")
	if [ -n "$pin" ] && [ "$pin" != "$sum" ]; then
		say "$file has the checksum $sum, but $pin is recorded in scripts/fetch.sha256"
		rm -rf "$tmp"
		return 1
	fi
	mv "$tmp/$file" "$CACHE/debs/$1/$file" &&
		printf '%s %s\n' "$sum" "$file" >"$CACHE/debs/$1/.$2.$$" &&
		mv "$CACHE/debs/$1/.$2.$$" "$CACHE/debs/$1/$2.sha256" || return 1
	rm -rf "$tmp"
	printf '%s\n' "$CACHE/debs/$1/$file"
}

# deb_unpack DEB DIRECTORY: unpacks the package below DIRECTORY, as the current user.
deb_unpack()
{
	need dpkg-deb dpkg
	mkdir -p "$2" && dpkg-deb --fsys-tarfile "$1" | tar -x --no-same-owner -C "$2"
}

# deb_name DEB: prints the file name without path and ".deb", a key for files made from it.
deb_name()
{
	name=${1##*/}
	printf '%s\n' "${name%.deb}"
}
