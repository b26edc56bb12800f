# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Functions for the areas of `make bench` (tests/bench/area-*.sh), sourced by tests/bench/run, which
# sets $agent, $bare, $work, $raw, $kernel and $failed.

# fail WORDS: reports a failure; the run goes on and fails at its end.
fail()
{
	printf 'bench: %s\n' "$*" >&2
	failed=1
}

# want NAME: does ONLY select the row?
want()
{
	test -z "${ONLY-}" || printf '%s\n' "$1" | grep -Eq -e "$ONLY"
}

# want_any: reads names, one a line; does ONLY select one of them?
want_any()
{
	test -z "${ONLY-}" || grep -Eq -e "$ONLY"
}

# samples NAME UNIT low|high FLOOR WARM-UP: prints the row of samples on stdin, each a line of
# round, "ours" or "floor", and value (tests/bench/rows.c does the same for programs).
samples()
{
	awk -f tests/bench/columns.awk -f tests/bench/samples.awk \
		-v name="$1" -v unit="$2" -v good="$3" -v floor="$4" -v warm_up="$5" >>"$raw" ||
		fail "$1: no value"
}

# exact NAME UNIT low|high VALUE FLOOR FLOOR-VALUE: prints the row of a figure that needs no rounds:
# a count or a size. FLOOR-VALUE may be "-".
exact()
{
	want "$1" || return 0
	printf '1\tours\t%s\n1\tfloor\t%s\n' "$4" "$6" | samples "$1" "$2" "$3" "$5" 0
}

# bench_list: prints name and area of the rows of this run, in their order
bench_list()
{
	awk -F'\t' -v OFS='\t' -v have="$have" \
		'!/^#/ && index(have, " " $1 " ") { print $2, $1 }' tests/bench/rows |
		while IFS=$'\t' read -r name area; do
			! want "$name" || printf '%s\t%s\n' "$name" "$area"
		done
}

# bench_bare: prints the path of the bare server, static, so that it runs in guests, too
bench_bare()
{
	"$(scripts/deps)/bin/musl-cc" -std=c17 -D_GNU_SOURCE -O2 -static tests/bench/bare.c \
		-o "$work/bench-bare" && echo "$work/bench-bare"
}

# bench_header: prints the lines that say what was measured, and on what
bench_header()
{
	printf '# kernel=%s guest-kernel=%s accelerator=%s processors=%s date=%s commit=%s\n' \
		"$(uname -r)" "$kernel" "${accelerator:-none-used}" "$(nproc)" \
		"$(date -u +%Y-%m-%dT%H:%MZ)" \
		"$(scripts/version)"
	printf '# agent=%s rounds=%s load=%s\n' \
		"${AGENT:-tatami}" "$ROUNDS" "$(cut -d' ' -f1-3 /proc/loadavg)"
	printf '# columns: %s\n' "$(awk -v header=1 -f tests/bench/columns.awk </dev/null)"
}

# bench_report: makes $OUT/bench.tsv and $OUT/bench.md of the rows, and checks them
bench_report()
{
	bench_header >"$OUT/bench.tsv"
	awk -f tests/bench/columns.awk -f tests/bench/order.awk "$work/list" "$raw" \
		>>"$OUT/bench.tsv" || failed=1
	awk -v kernel="$kernel" -f tests/bench/columns.awk -f tests/bench/bound.awk \
		-f tests/bench/report.awk tests/bench/rows "$OUT/bench.tsv" >"$OUT/bench.md"
	cat "$OUT/bench.md"
	test "${LIMITS-}" != 1 ||
		awk -v kernel="$kernel" -f tests/bench/columns.awk -f tests/bench/bound.awk \
			-f tests/bench/limits.awk tests/bench/rows "$OUT/bench.tsv" >&2 || failed=1
	say "bench: wrote $OUT/bench.tsv and $OUT/bench.md"
}

bench_finish()
{
	test -z "$vm" || XDG_RUNTIME_DIR=$work "$OUT/tatamictl" stop "$vm" >/dev/null 2>&1
	rm -rf "$work"
}
