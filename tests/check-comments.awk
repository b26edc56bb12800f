# SPDX-License-Identifier: Apache-2.0
#
# For check-comments: prints names in comments that the tree does not have. A name is a word with
# "_", a word before "()", or a file name that ends in .c or .h. In scripts, words in capitals are
# placeholders. The variable "foreign" lists names of the kernel and of libraries, "paths" all files.

# Records every word of TEXT, which is code, as known.
function learn(text) {
	while (match(text, /[A-Za-z_][A-Za-z0-9_]*/)) {
		known[substr(text, RSTART, RLENGTH)] = 1
		text = substr(text, RSTART + RLENGTH)
	}
}

# Notes the names in TEXT, which is part of a comment, for the end.
function note(text,   word, after) {
	while (match(text, /[A-Za-z0-9_.\/:<>%*-]+(\(\))?/)) {
		word = substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
		after = substr(text, 1, 1)
		sub(/[.:-]+$/, "", word)
		if (word ~ /^[A-Za-z0-9_.\/-]+\.[ch]$/ && word !~ /^\//)
			names[++n] = word
		else if (word ~ /^[A-Za-z_][A-Za-z0-9_]*\(\)$/)
			names[++n] = substr(word, 1, length(word) - 2)
		else if (word ~ /^[A-Za-z][A-Za-z0-9_]*_[A-Za-z0-9_]*$/ && after != "*" && after != "(" &&
			 word !~ /_$/ && (in_c || word ~ /[a-z]/))
			names[++n] = word
		else
			continue
		place[n] = FILENAME ":" FNR
	}
}

function c_line(line,   at) {
	while (line != "") {
		if (in_comment) {
			at = match(line, /\*\//)
			note(at ? substr(line, 1, at - 1) : line)
			in_comment = !at
			line = at ? substr(line, at + 2) : ""
		} else if (match(line, /^"([^"\\]|\\.)*"/) || match(line, /^'([^'\\]|\\.)+'/) ||
			   match(line, /^([^"'\/]|\/[^*\/])+/)) {
			at = RLENGTH + 1
			learn(substr(line, 1, RLENGTH))
			line = substr(line, at)
		} else {
			in_comment = line ~ /^\/\*/
			line = substr(line, in_comment ? 3 : 2)
		}
	}
}

BEGIN {
	count = split(foreign, word)
	for (i = 1; i <= count; i++)
		outside[word[i]] = 1
	count = split(paths, word)
	for (i = 1; i <= count; i++) {
		path = word[i]
		files[path] = 1
		while (sub(/^[^\/]*\//, "", path))
			files[path] = 1
	}
}

FNR == 1 {
	in_comment = 0
	in_c = FILENAME ~ /\.[ch]$/
}
in_c { c_line($0); next }
/^[ \t]*#[^di]/ { note($0); next }	# not #define or #include, which a script may write
{ learn($0) }

END {
	for (i = 1; i <= n; i++) {
		name = names[i]
		if (name in known || name in files)
			continue
		if (name in outside) {
			used[name] = 1
			continue
		}
		print place[i] ": " name " is not in the tree"
		bad = 1
	}
	for (name in outside)
		if (!(name in used)) {
			print name " is on the list of foreign names, but no comment needs it"
			bad = 1
		}
	if (!n) {
		print "no name found"
		bad = 1
	}
	exit bad
}
