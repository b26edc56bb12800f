# SPDX-License-Identifier: Apache-2.0
#
# Makes a page of the rows: tables in Markdown, one per area, with a bar of each ratio. A full bar
# is twice the floor; it ends in ">" if the ratio is more.

function number(x)
{
	if (x !~ /^-?[0-9]/)
		return x
	x += 0
	if (x == int(x) && x < 1e7 && x > -1e7)
		return sprintf("%d", x)
	return sprintf(x >= 100 || x <= -100 ? "%.0f" : x >= 10 || x <= -10 ? "%.1f" : "%.2f", x)
}

function bar(ratio,	n, s)
{
	if (ratio !~ /^[0-9]/)
		return ""
	n = int(ratio * 10 + 0.5)
	for (; n > 0 && length(s) < 20; n--)
		s = s "#"
	return s (n > 0 ? ">" : "")
}

function range(min, max)
{
	return min == max ? "" : number(min) "…" number(max)
}

FNR == NR {
	if (!/^#/) {
		area[$2] = $1
		goal[$2] = $3
	}
	next
}
FNR == 1 { print "# Measurements\n" }
/^# columns/ { next }
/^#/ { print "    " substr($0, 3); next }
area[$1] != last {
	last = area[$1]
	print "\n## " last "\n"
	print "| row | good | p50 | p99 | noise | floor | floor p50 | floor p99 | ratio | noise |" \
		" bar | goal |"
	print "|---|---|---|---|---|---|---|---|---|---|---|---|"
}
{
	kept = keeps(goal[$1])
	printf "| %s | %s | %s %s | %s | %s | %s | %s | %s | %s | %s | `%s` | %s |\n", $1,
		$at["good"], number($at["p50"]), $at["unit"], number($at["p99"]),
		range($at["min"], $at["max"]), $at["floor"], number($at["floor_p50"]),
		number($at["floor_p99"]), number($at["ratio"]),
		range($at["ratio_min"], $at["ratio_max"]), bar($at["ratio"]),
		goal[$1] == "-" ? "" : goal[$1] (kept == "0" ? ": missed" : kept == "1" ? ": met" : "")
}
