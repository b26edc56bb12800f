# SPDX-License-Identifier: Apache-2.0
#
# The comparison of kernel-config/check: requests (as fragments.awk prints them) on stdin, against
# the file `config`, less the file `exceptions`; no name outside the file `symbols`, unless that is
# empty. Requests that do not hold are written to the file `unmet`. It reports every fault, and exits 1
# if there is one or if `faults`, the exit status of what read the fragments, is not 0.

function number(v,  p)
{
	split(v, p, ".")
	return p[1] * 1000 + p[2]
}

function fault(text)
{
	print "kernel-config: " text
	found++
}

# knows(name): this kernel has that symbol; without a list of all, its configuration tells.
function knows(name)
{
	return checked ? name in exists : name in known
}

# load_config(): the final values; a symbol that is not set, or not there, is "n".
function load_config(  line, name, word, values, status)
{
	while ((status = (getline line <config)) > 0) {
		if (line ~ /^CONFIG_[A-Za-z0-9_]+=/) {
			name = substr(line, 1, index(line, "=") - 1)
			final[name] = substr(line, index(line, "=") + 1)
			known[name] = 1
			values++
		} else if (line ~ /^# CONFIG_[A-Za-z0-9_]+ is not set$/) {
			split(line, word, " ")
			known[word[2]] = 1
		}
	}
	if (status < 0 || values == 0)
		fault(config " holds no configuration")
}

# load_exceptions(): lines NAME [since V] [until V] REASON.
function load_exceptions(  line, name, meant, row)
{
	while ((getline line <exceptions) > 0) {
		row++
		if (line ~ /^[ \t]*(#.*)?$/)
			continue
		if (line !~ /^CONFIG_[A-Za-z0-9_]+[ \t]+[^ \t]/) {
			fault(exceptions ":" row ": not of the form CONFIG_NAME reason: " line)
			continue
		}
		name = line
		sub(/[ \t].*/, "", name)
		sub(/^[^ \t]+[ \t]+/, "", line)
		meant = 1
		while (match(line, /^(since|until) [0-9]+\.[0-9]+:?([ \t]|$)/)) {
			if (line ~ /^since/ && number(version) < number(substr(line, 7)))
				meant = 0
			if (line ~ /^until/ && number(version) > number(substr(line, 7)))
				meant = 0
			line = substr(line, RLENGTH + 1)
		}
		if (line !~ /[A-Za-z]/)
			fault(exceptions ":" row ": " name " has no reason")
		if (!meant)
			continue
		if (name in excepted)
			fault(exceptions ":" row ": " name " is excepted twice")
		excepted[name] = row
	}
}

BEGIN {
	FS = "\t"
	printf "" >unmet
	while ((getline line <symbols) > 0) {
		exists[line] = 1
		checked = 1
	}
	load_config()
	load_exceptions()
}

NF == 5 {
	asked++
	# Renamed: the line of the other name speaks for this kernel.
	if ($5 != "-" && !knows($1) && knows($5))
		next
	if (checked && !($1 in exists) && !($1 in excepted)) {
		fault($4 ": this kernel knows no " $1)
		next
	}
	got = ($1 in final) ? final[$1] : "n"
	if (got == $2 && (!checked || $1 in exists))
		next
	if ($1 in excepted) {
		used[$1] = 1
		next
	}
	print $1 "=" $2 >unmet
	fault($4 ": " $1 "=" $2 " was " ($3 == "assert" ? "expected" : "asked for") \
		", the final configuration has " \
		($1 in known || $1 in exists ? got : "no such symbol"))
}

END {
	for (name in excepted)
		if (!(name in used))
			fault(exceptions ":" excepted[name] ": nothing needs the exception of " name)
	if (asked == 0)
		fault("the fragments ask for nothing")
	if (found || faults)
		exit 1
	print "kernel-config: " asked " requests hold"
}
