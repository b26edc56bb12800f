# SPDX-License-Identifier: Apache-2.0
#
# Compares two results: -f columns.awk -f compare.awk OLD NEW. A row has changed if the noise of
# both does not overlap. Ratios are compared, because the machine's own speed cancels out in them,
# or values if a row has no floor. A figure without rounds has changed if it differs at all (a
# count, a size) or by more than a tenth (all others). The exit status is 1 if a row is worse.

function changed(old_min, old_max, min, max)
{
	return min + 0 > old_max + 0 || max + 0 < old_min + 0
}

# Returns whether two figures without rounds differ.
function differs(old, new, unit,	slack)
{
	slack = unit ~ /^(bytes|fds|a minute)$/ ? 0 : 0.1
	return new > old * (1 + slack) || new < old * (1 - slack)
}

# Returns the column to be compared, "ratio" or "p50".
function basis(line,	f)
{
	split(line, f, FS)
	return f[at["ratio"]] ~ /^[0-9]/ && f[at["rounds"]] > 1 ? "ratio" : "p50"
}

function circumstances(line,	word, n, i, parts)
{
	n = split(substr(line, 3), word, " ")
	for (i = 1; i <= n; i++)
		if (split(word[i], parts, "=") != 2)
			continue
		if (which == 1)
			was[parts[1]] = parts[2]
		else if (was[parts[1]] != parts[2] &&
			parts[1] ~ /^(.*kernel|accelerator|processors|agent)$/)
			printf "%s differs: %s before, %s now\n", parts[1], was[parts[1]], parts[2]
}

function compare(name,	o, n, by, low, high, percent, better, is_other)
{
	split(old[name], o, FS)
	split(row[name], n, FS)
	by = basis(row[name])
	if (basis(old[name]) != by)
		by = "p50"
	low = by == "ratio" ? "ratio_min" : "min"
	high = by == "ratio" ? "ratio_max" : "max"
	if (n[at["rounds"]] > 1 && o[at["rounds"]] > 1)
		is_other = changed(o[at[low]], o[at[high]], n[at[low]], n[at[high]])
	else
		is_other = differs(o[at["p50"]] + 0, n[at["p50"]] + 0, n[at["unit"]])
	if (!is_other)
		return
	better = (n[at[by]] + 0 < o[at[by]] + 0) == (n[at["good"]] == "low")
	percent = o[at[by]] + 0 ? sprintf("%+.1f %%", (n[at[by]] / o[at[by]] - 1) * 100) : "from 0"
	printf "%s: %s: %s %s -> %s (%s; noise %s to %s, before %s to %s)\n",
		better ? "better" : "worse", name, by == "ratio" ? "ratio" : n[at["unit"]],
		o[at[by]], n[at[by]], percent, n[at[low]], n[at[high]], o[at[low]], o[at[high]]
	n_changed++
	worse += !better
}

FNR == 1 { which++ }
/^#/ { circumstances($0); next }
NF != n_columns {
	printf "bench-compare: %s: line %d: not a row of this version\n", FILENAME,
		FNR >"/dev/stderr"
	bad = 1
	exit 2
}
which == 1 { old[$1] = $0; old_order[++n_old] = $1; next }
{ row[$1] = $0; order[++n_new] = $1 }

END {
	if (bad)
		exit 2
	if (!n_old || !n_new) {
		print "bench-compare: no rows" >"/dev/stderr"
		exit 2
	}
	for (i = 1; i <= n_new; i++)
		if (order[i] in old) {
			n_compared++
			compare(order[i])
		} else {
			print "new: " order[i]
		}
	for (i = 1; i <= n_old; i++)
		if (!(old_order[i] in row))
			print "not measured: " old_order[i]
	printf "%d rows compared, %d changed beyond the noise, %d of them for the worse\n",
		n_compared, n_changed, worse
	exit worse > 0
}
