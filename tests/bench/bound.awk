# SPDX-License-Identifier: Apache-2.0
#
# Bounds of tests/bench/rows: "p50<=N", "p99<=N", "ratio<=N" or "ratio>=N"; several with spaces
# between them. Those of another kernel than -v kernel=NAME ("NAME:p50<=N") do not count.

# Returns whether the current row keeps the bounds; "" if there are none, or no such value.
function keeps(bounds,	list, parts, i, n, value, result)
{
	n = split(bounds, list, " ")
	for (i = 1; i <= n; i++) {
		if (split(list[i], parts, ":") == 2 && parts[1] != kernel)
			continue
		sub(/^.*:/, "", list[i])
		if (split(list[i], parts, /[<>]=/) != 2)
			continue
		value = $at[parts[1]]
		if (value !~ /^-?[0-9]/)
			continue
		if (index(list[i], "<=") ? value + 0 > parts[2] + 0 : value + 0 < parts[2] + 0)
			return 0
		result = 1
	}
	return result
}
