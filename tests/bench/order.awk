# SPDX-License-Identifier: Apache-2.0
#
# Prints the measured rows in the order of the list (name, area). A row of the list
# without a value is an error, and so is a row that the list does not have.
FNR == NR { order[++n] = $1; listed[$1] = 1; next }
!listed[$1] { fail($1 ": not in tests/bench/rows"); next }
row[$1] != "" { fail($1 ": measured twice"); next }
NF != n_columns || $at["p50"] !~ /^-?[0-9]/ { fail($1 ": not a row: " $0); next }
{ row[$1] = $0 }
function fail(text) { print "bench: " text >"/dev/stderr"; bad = 1 }
END {
	for (i = 1; i <= n; i++)
		if (row[order[i]] != "")
			print row[order[i]]
		else
			fail(order[i] ": no value")
	exit bad
}
