# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Check under load: the figures of the rpc suite's tests with these names, which do not judge them.

area_load()
{
	local round only
	say 'bench: Check under load'
	test -e "$work/rootfs" || scripts/demo-rootfs "$work/rootfs" >/dev/null 2>&1
	for ((round = 1; round <= ROUNDS; round++)); do
		for only in 'a storm' 'silent connections' 'floods'; do
			ONLY=$only ROOTFS=$work/rootfs AGENT_LOG=$work/agent.log AGENT=$agent \
				AGENT_IS_PRODUCT=1 "$BUILD/bench/tests/rpc/rpc-suite" \
				>"$work/load" ||
				{ fail "the rpc test \"$only\""; grep -v '^ok' "$work/load" >&2; }
			sed -nE "h
				s/^# (Check [a-z ]+): .*, p99 ([0-9]+) us.*/$round\tours\t\2\t\1 p99/p
				g
				s/^# (Check [a-z ]+): .* own p99 ([0-9]+) us.*/$round\tours\t\2\t\1 own/p" \
				"$work/load"
		done
	done >"$work/loads"
	for only in 'during the storm' 'during a flood of connections' 'during ten floods'; do
		load_row "Check $only p99" "Check $only p99"
		load_row "Check $only own" "Check $only p99: the agent's own time"
	done
}

# load_row FIGURE NAME: prints a row of one figure of the rounds
load_row()
{
	want "$2" || return 0
	# A time of 0 is less than a microsecond.
	awk -F'\t' -v OFS='\t' -v name="$1" \
		'$4 == name { print $1, $2, $3 == 0 ? 0.5 : $3 }' "$work/loads" |
		samples "$2" us low none 0
}
