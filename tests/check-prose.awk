# SPDX-License-Identifier: Apache-2.0
#
# For check-prose: prints lines with a phrase of the variable "phrases", whose rows are "PATTERN<tab>
# what to write instead". Patterns are matched in lower case, as whole words.

BEGIN {
	rows = split(phrases, row, "\n")
	for (i = 1; i <= rows; i++)
		if (split(row[i], part, "\t+") == 2) {
			pattern[++n] = "(^|[^a-z0-9_])(" part[1] ")([^a-z0-9_]|$)"
			advice[n] = part[2]
		}
}

# The beginning of a comment, which in C may be on the line after the opening.
FNR == 1 { opened = 0 }
{
	text = tolower($0)
	if (text ~ /(\/\*|^[ \t]*#|^\.\\")[ \t]+(what|who|whose|all but|of an?|of the|which|how|where|when) / ||
	    opened && text ~ /^[ \t]*\*[ \t]+(what|who|whose|all but|of an?|of the|which|how) /)
		report("a comment that begins without a subject")
	opened = text ~ /^[ \t]*\/\*$/
	gsub(/there (is|are|was|were) no(ne)?/, "", text)
	for (i = 1; i <= n; i++)
		if (text ~ pattern[i])
			report(advice[i])
}

function report(what) {
	print FILENAME ":" FNR ": " what
	bad = 1
}

END { exit bad }
