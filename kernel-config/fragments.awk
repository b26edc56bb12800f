# SPDX-License-Identifier: Apache-2.0
#
# Reads the files of a profile (see kernel-config/profile) for one kernel version and prints one
# line per request: SYMBOL <tab> VALUE <tab> ask|assert <tab> FILE:LINE <tab> OTHER, OTHER being the
# symbol of "or", else "-". Used by kernel-config/build and kernel-config/check. Faults of the input
# are printed on stderr, with exit status 1. Variables: version=6.12 (wanted; "6.12.95" will do).

# Grammar, one request a line:   CONFIG_NAME=VALUE # [assert] [since V] [until V:] [or CONFIG_OTHER:] REASON
# Lines that start with "#" and empty lines are ignored. A profile is a file with lines "profile NAME"
# and "fragment NAME"; its requests override those of the fragments.

function fault(text)
{
	print FILENAME ":" FNR ": " text >"/dev/stderr"
	faults++
}

# number("6.12.95") = 6012: major and minor only.
function number(v,  p)
{
	split(v, p, ".")
	return p[1] * 1000 + p[2]
}

# range(): takes "since V" and "until V" off the front of `rest`; 1 if this kernel is meant.
function range(  meant, word)
{
	meant = 1
	while (match(rest, /^(since|until) [0-9]+\.[0-9]+:?( |$)/)) {
		word = substr(rest, 1, RLENGTH)
		rest = substr(rest, RLENGTH + 1)
		if (word ~ /^since/ && number(version) < number(substr(word, 7)))
			meant = 0
		if (word ~ /^until/ && number(version) > number(substr(word, 7)))
			meant = 0
	}
	return meant
}

# may_follow(): reports a request for a symbol that was requested before, unless it overrides it.
function may_follow()
{
	if (FILENAME == profile && index(where[symbol], profile ":") != 1) {
		if (seen[symbol] != value)
			return 1
		fault(symbol "=" value " overrides nothing: " where[symbol] " asks for the same")
	} else if (seen[symbol] == value) {
		fault(symbol " was asked for before, in " where[symbol])
	} else {
		fault(symbol "=" value " contradicts =" seen[symbol] " in " where[symbol])
	}
	return 0
}

BEGIN {
	if (version !~ /^[0-9]+\.[0-9]+/) {
		print "fragments.awk: no version given" >"/dev/stderr"
		exit faults = 1
	}
}

/^[ \t]*(#.*)?$/ { next }

/^(profile|fragment) [a-z0-9-]+$/ {
	profile = FILENAME
	next
}

!/^CONFIG_[A-Za-z0-9_]+=([ymn]|-?[0-9]+|0x[0-9a-fA-F]+|"[^"]*")[ \t]+#[ \t]*[^ \t]/ {
	fault("not of the form CONFIG_NAME=VALUE # reason: " $0)
	next
}

{
	symbol = substr($0, 1, index($0, "=") - 1)
	rest = substr($0, index($0, "=") + 1)
	match(rest, /^("[^"]*"|[^ \t]+)/)
	value = substr(rest, 1, RLENGTH)
	rest = substr(rest, RLENGTH + 1)
	sub(/^[ \t]+#[ \t]*/, "", rest)
	kind = "ask"
	if (sub(/^assert(:? |$)/, "", rest))
		kind = "assert"
	if (!range())
		next
	other = "-"
	if (match(rest, /^or CONFIG_[A-Za-z0-9_]+:?( |$)/)) {
		other = substr(rest, 4, RLENGTH - 3)
		sub(/:? ?$/, "", other)
		rest = substr(rest, RLENGTH + 1)
	}
	if (rest !~ /[A-Za-z]/)
		fault(symbol " has no reason")
	if (symbol in seen) {
		if (!may_follow())
			next
	} else {
		if (FILENAME == profile)
			fault(symbol "=" value " overrides nothing: no fragment of the profile asks for it")
		order[++requests] = symbol
	}
	seen[symbol] = value
	where[symbol] = FILENAME ":" FNR
	line[symbol] = symbol "\t" value "\t" kind "\t" where[symbol] "\t" other
}

END {
	for (i = 1; i <= requests; i++)
		print line[order[i]]
	exit faults > 0
}
