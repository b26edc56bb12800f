# SPDX-License-Identifier: Apache-2.0
#
# For tests/check-*: TAP from bash. A check is a function that prints its findings and fails if
# there are any. Each check is also tested on trees on which it must fail.

set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
BUILD=${BUILD:-out/.build} OUT=${OUT:-out}
TATAMI_CACHE=${TATAMI_CACHE:-${HOME:-/root}/.cache/tatami}
tap_n=0 tap_bad=0
scratch=$(mktemp -d "${TMPDIR:-/tmp}/tatami-check.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

result()	# ok|not WHAT
{
	tap_n=$((tap_n + 1))
	if test "$1" = ok; then
		echo "ok $tap_n - $2"
	else
		tap_bad=$((tap_bad + 1))
		echo "not ok $tap_n - $2"
	fi
}

# run_test COMMAND...: runs it in a subshell; sets $said to what it printed. What it has left
# running in the background, as a test that fails may, is not waited for.
run_test()
{
	local status=0
	before_test
	rm -f "$scratch/.said"
	("$@") >"$scratch/.said" 2>&1 || status=$?
	said=$(cat "$scratch/.said")
	return $status
}
# before_test: a program redefines it to prepare each test
before_test() { :; }

# passes WHAT COMMAND...: expects COMMAND to succeed.
passes()
{
	local what=$1 said
	shift
	if run_test "$@"; then
		result ok "$what"
	else
		printf '%s\n' "$said" | sed 's/^/# /'
		result not "$what"
	fi
}

# refuses TEXT WHAT COMMAND...: expects COMMAND to fail and to print TEXT.
refuses()
{
	local text=$1 what=$2 said
	shift 2
	if run_test "$@"; then
		result not "accepted: $what"
	elif [[ $said == *"$text"* ]]; then
		result ok "refuses $what"
	else
		printf '%s\n' "$said" | sed 's/^/# /'
		result not "refuses $what, but without printing: $text"
	fi
}

# skips WHAT WHY: counts a test that cannot be run here.
skips() { result ok "$1 # SKIP $2"; }

# has_terminal: the user can open a terminal, which a devpts mounted without ptmxmode leaves to
# root.
has_terminal() { script -qc true /dev/null </dev/null >/dev/null 2>&1; }
no_terminal='the user cannot open a terminal on this machine'

# passes_on_terminal WHAT COMMAND...: as passes, if the user can open a terminal.
passes_on_terminal()
{
	if has_terminal; then passes "$@"; else skips "$1" "$no_terminal"; fi
}

finish()
{
	echo "1..$tap_n"
	test $tap_bad = 0
	exit
}

# sources DIR...: prints the C files below the directories, which need not exist.
sources()
{
	{ find "$@" -name '*.[ch]' -type f 2>/dev/null; true; } | sort
}
