# SPDX-License-Identifier: Apache-2.0
#
# Makes a row of samples: lines of round, "ours" or "floor", and value. A round without a value of
# ours is an error, and so is text in place of a number. "-" stands for a row without a floor.

function sort(v, n,	i, j, x)
{
	for (i = 2; i <= n; i++) {
		x = v[i]
		for (j = i - 1; j > 0 && v[j] > x; j--)
			v[j + 1] = v[j]
		v[j + 1] = x
	}
}

# The value that `percent` of the n sorted values are not worse than.
function percentile(v, n, percent,	i)
{
	i = int((n - 1) * percent / 100) + 1
	return v[good == "low" ? i : n + 1 - i]
}

function fail(text)
{
	print "bench: " name ": " text >"/dev/stderr"
	failed = 1
	exit 1
}

$3 == "-" && $2 == "floor" { next }
$3 !~ /^-?[0-9.]+(e[-+]?[0-9]+)?$/ { fail($2 " gave no value: \"" $3 "\"") }
{
	count[$2]++
	all[$2, count[$2]] = $3 + 0
	in_round[$2, $1]++
	value[$2, $1, in_round[$2, $1]] = $3 + 0
	if ($1 > rounds)
		rounds = $1
}

function side(which,	i, r, v, n, min, max, p50)
{
	for (r = 1; r <= rounds; r++) {
		n = in_round[which, r]
		if (!n)
			fail("round " r " has no value of " which)
		split("", v)
		for (i = 1; i <= n; i++)
			v[i] = value[which, r, i]
		sort(v, n)
		median[which, r] = percentile(v, n, 50)
		if (r == 1 || median[which, r] < min)
			min = median[which, r]
		if (r == 1 || median[which, r] > max)
			max = median[which, r]
	}
	split("", v)
	for (i = 1; i <= count[which]; i++)
		v[i] = all[which, i]
	sort(v, count[which])
	p50 = percentile(v, count[which], 50)
	p50_of[which] = p50
	return sprintf("%.10g\t%.10g\t%.10g\t%.10g", p50, percentile(v, count[which], 99), min, max)
}

END {
	if (failed)
		exit 1
	if (!count["ours"])
		fail("no samples")
	ours = side("ours")
	bare = "-\t-\t-\t-"
	ratio = min = max = "-"
	if (count["floor"])
		bare = side("floor")
	if (p50_of["floor"] > 0) {
		split("", v)
		for (r = 1; r <= rounds; r++)
			v[r] = median["floor", r] ? median["ours", r] / median["floor", r] : 0
		sort(v, rounds)
		ratio = sprintf("%.4g", v[int((rounds - 1) / 2) + 1])
		min = sprintf("%.4g", v[1])
		max = sprintf("%.4g", v[rounds])
	}
	print name, unit, good, ours, floor, bare, ratio, min, max, warm_up, rounds, count["ours"]
}
