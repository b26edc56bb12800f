# SPDX-License-Identifier: Apache-2.0
#
# Holds the rows to the ceilings of tests/bench/rows (its fourth column), and fails for each that is
# passed.
/^#/ { next }
FNR == NR { ceiling[$2] = $4; next }
keeps(ceiling[$1]) == "0" {
	bad = 1
	printf "bench: %s: p50 %s, p99 %s, ratio %s; its ceiling is %s\n",
		$1, $at["p50"], $at["p99"], $at["ratio"], ceiling[$1]
}
END { exit bad }
