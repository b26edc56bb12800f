# SPDX-License-Identifier: Apache-2.0
#
# Columns of out/bench.tsv, for the awk programs here (awk -f columns.awk -f …);
# with -v header=1 it prints their names. min and max are
# those of the rounds' medians; ratio is the median of the rounds' ratios, with their minimum and
# maximum.
BEGIN {
	FS = OFS = "\t"
	n_columns = split("name unit good p50 p99 min max floor floor_p50 floor_p99 floor_min " \
		"floor_max ratio ratio_min ratio_max warm_up rounds samples", column_names, " ")
	for (i = 1; i <= n_columns; i++)
		at[column_names[i]] = i
	if (header) {
		for (i = 1; i <= n_columns; i++)
			printf "%s%s", column_names[i], i < n_columns ? " " : "\n"
		exit
	}
}
