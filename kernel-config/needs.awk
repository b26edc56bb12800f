# SPDX-License-Identifier: Apache-2.0
#
# Compares a kernel's configuration, on stdin, with the table of needs, for kernel-config/check.
# Variables: needs and file (their names), version (or that which the configuration begins with),
# all (1: report symbols that are there, too). Exit status: 0, 1 if a required symbol is missing, 2
# if the table or the configuration is invalid.

function invalid(text)
{
	print "kernel-config/check: " text >"/dev/stderr"
	bad = 1
}

# number("6.12.95") = 6012: major and minor only.
function number(v,  p)
{
	split(v, p, ".")
	return p[1] * 1000 + p[2]
}

# take_ranges(): takes "since V", "until V" and ARCH off `names`; 1 if this kernel is meant.
function take_ranges(  meant, n, word, i)
{
	meant = 1
	n = split(names, word, " ")
	names = word[1]
	for (i = 2; i <= n; i++) {
		if (word[i] == "since" && word[i + 1] ~ /^[0-9]+\.[0-9]+$/) {
			if (number(version) < number(word[++i]))
				meant = 0
		} else if (word[i] == "until" && word[i + 1] ~ /^[0-9]+\.[0-9]+$/) {
			if (number(version) > number(word[++i]))
				meant = 0
		} else if (word[i] ~ /^(x86_64|aarch64)$/) {
			if (word[i] != arch)
				meant = 0
		} else {
			return -1
		}
	}
	return meant
}

# value(name): "y", "m", or "" if the kernel has no such symbol, or not as it is needed.
function value(name,  built_in, v)
{
	built_in = sub(/=y$/, "", name)
	v = final[name]
	if (v == "m" && (built_in || final["CONFIG_MODULES"] != "y"))
		return ""
	return v == "y" || v == "m" ? v : ""
}

# is_there(): whether the kernel has one of `names`; prefers a built-in one.
function is_there(  n, name, i, v, best)
{
	n = split(names, name, "|")
	best = ""
	for (i = 1; i <= n; i++) {
		v = value(name[i])
		if (v == "y" || best == "")
			best = v
	}
	return best
}

function report(level, got, effect)
{
	gsub(/CONFIG_/, "", names)
	gsub(/\|/, " or ", names)
	sub(/=y/, " (built in)", names)
	gsub(/=y/, "", names)
	printf "%-11s %-3s %s: %s\n", level, got, names, effect
}

/^# Linux\/[^ ]+ [0-9]+\.[0-9]+[^ ]* Kernel Configuration/ && version == "" {
	version = $3
}

/^CONFIG_[A-Za-z0-9_]+=/ {
	i = index($0, "=")
	final[substr($0, 1, i - 1)] = substr($0, i + 1)
	values++
}

END {
	arch = final["CONFIG_X86_64"] == "y" ? "x86_64" : final["CONFIG_ARM64"] == "y" ? "aarch64" : "other"
	if (!values)
		invalid(file " holds no configuration")
	else if (version !~ /^[0-9]+\.[0-9]+/)
		invalid(file " does not begin with the version of its kernel: give it with --version")
	while (!bad && (getline line <needs) > 0) {
		row++
		if (line ~ /^[ \t]*(#.*)?$/)
			continue
		if (line !~ /^(required|feature|recommended) CONFIG_[A-Za-z0-9_]+(=y)?(\|CONFIG_[A-Za-z0-9_]+(=y)?)*[^:|]*: [^ ]/) {
			invalid(needs ":" row ": not of the form LEVEL CONFIG_NAME: effect: " line)
			break
		}
		level = substr(line, 1, index(line, " ") - 1)
		names = substr(line, length(level) + 2)
		effect = substr(names, index(names, ": ") + 2)
		names = substr(names, 1, index(names, ": ") - 1)
		meant = take_ranges()
		if (meant < 0)
			invalid(needs ":" row ": not of the form LEVEL CONFIG_NAME: effect: " line)
		if (meant != 1)
			continue
		if (row_of[names]++)
			invalid(needs ":" row ": " names " is needed twice")
		asked[level]++
		got = is_there()
		if (got != "") {
			held[level]++
			modules += got == "m"
		}
		if (got == "" || all)
			report(level, got == "" ? "-" : got, effect)
	}
	if (!bad && !asked["required"])
		invalid(needs " needs nothing")
	if (bad)
		exit 2
	missing = asked["required"] - held["required"]
	printf "%s (Linux %s, %s): %d of %d required, %d of %d features, %d of %d recommended\n", file, \
		version, arch, held["required"], asked["required"], held["feature"], asked["feature"], \
		held["recommended"], asked["recommended"]
	if (modules)
		print modules " of them are modules, which the initrd must hold (tatami-initrd --modules)"
	print missing ? "This kernel will not do: " missing " required missing" : "This kernel will do"
	exit missing > 0
}
