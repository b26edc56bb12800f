# SPDX-License-Identifier: Apache-2.0
#
# For check-banned: prints every banned call in C files. Comments and string literals are removed
# first; then the code is checked statement by statement, because a flag may be on a later line than
# the call. A call is a name before "(" that is neither a member nor part of a declaration.

# strip LINE: removes comments and the content of strings, except short ones (modes of fopen)
function strip(line,   out, c, two, text) {
	out = ""
	while (line != "") {
		two = substr(line, 1, 2)
		if (in_comment) {
			if (!match(line, /\*\//))
				return out
			line = substr(line, RSTART + 2)
			in_comment = 0
			continue
		}
		c = substr(line, 1, 1)
		if (two == "/*") {
			in_comment = 1
			line = substr(line, 3)
		} else if (two == "//") {
			return out
		} else if (c == "\"" && match(line, /^"([^"\\]|\\.)*"/)) {
			text = substr(line, 1, RLENGTH)
			out = out (RLENGTH <= 5 ? text : "\"\"")
			line = substr(line, RLENGTH + 1)
		} else if (c == "'" && match(line, /^'([^'\\]|\\[^'])*'/)) {
			out = out "0"
			line = substr(line, RLENGTH + 1)
		} else {
			out = out c
			line = substr(line, 2)
		}
	}
	return out
}

function finding(name, why) {
	key = FILENAME ":" name
	if (key in allowed || (FILENAME ":*") in allowed) {
		used[key in allowed ? key : FILENAME ":*"] = 1
		return
	}
	printf "%s:%d: %s: %s\n", FILENAME, started, name, why
	bad = 1
}

# arguments TEXT: returns the beginning of TEXT from "(" to the matching ")"
function arguments(text,   i, depth, c) {
	for (i = 1; i <= length(text); i++) {
		c = substr(text, i, 1)
		if (c == "(")
			depth++
		else if (c == ")" && --depth == 0)
			return substr(text, 1, i)
	}
	return text
}

function look(text,   name, before, args) {
	while (match(text, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
		name = substr(text, RSTART, RLENGTH)
		before = substr(text, 1, RSTART - 1)
		text = substr(text, RSTART + RLENGTH - 1)
		sub(/[ \t]*\($/, "", name)
		if (before ~ /(\.|->)[ \t]*$/)
			continue		# a member
		args = arguments(text)
		if (name in never)
			finding(name, never[name])
		else if (name in needs && args !~ needs[name])
			finding(name, "without " needs[name])
		else if ((name in path_call) && FILENAME ~ /^(agent|lib)\//)
			finding(name, "a path by name; lib/path.c is for that")
		text = substr(text, 2)
	}
}

BEGIN {
	n = split("strcpy strcat stpcpy strncpy sprintf vsprintf gets strtok system popen alloca " \
		"atoi atol atoll atof mktemp tmpnam tempnam tmpfile rand srand longjmp " \
		"setjmp assert sleep usleep", word)
	for (i = 1; i <= n; i++)
		never[word[i]] = "is banned"
	n = split("strtol strtoul strtoll strtoull strtoimax strtoumax sscanf", word)
	for (i = 1; i <= n; i++)
		never[word[i]] = "numbers are read by lib/parse.c"
	n = split("pipe dup dup2 accept epoll_create inotify_init creat", word)
	for (i = 1; i <= n; i++)
		never[word[i]] = "has no close-on-exec form"
	needs["open"] = needs["openat"] = needs["open_by_handle_at"] = "O_CLOEXEC"
	needs["pipe2"] = needs["dup3"] = "O_CLOEXEC"
	needs["socket"] = needs["socketpair"] = needs["accept4"] = "SOCK_CLOEXEC"
	needs["epoll_create1"] = "EPOLL_CLOEXEC"
	needs["inotify_init1"] = "IN_CLOEXEC"
	needs["eventfd"] = "EFD_CLOEXEC"
	needs["timerfd_create"] = "TFD_CLOEXEC"
	needs["signalfd"] = "SFD_CLOEXEC"
	needs["memfd_create"] = "MFD_CLOEXEC"
	needs["fopen"] = needs["fdopen"] = needs["freopen"] = "\"[rwa]b?[+]?b?e\""
	needs["signal"] = "SIG_(DFL|IGN)"
	needs["recvmsg"] = "MSG_CMSG_CLOEXEC"
	n = split("mount umount umount2 mkdir symlink unlink rmdir rename link remove chown lchown " \
		"chmod mknod mkfifo stat lstat access readlink truncate open opendir realpath " \
		"chdir chroot statfs statvfs utimes fopen setxattr lsetxattr getxattr listxattr", word)
	for (i = 1; i <= n; i++)
		path_call[word[i]] = 1
	n = split(exceptions, line, "\n")
	for (i = 1; i <= n; i++) {
		split(line[i], word)
		sub(/^[ \t]*/, "", word[1])
		if (word[1] != "")
			allowed[word[1]] = 1
	}
}

FNR == 1 {
	files++
	in_comment = 0
	statement = ""
}

/^[ \t]*#/ && !in_comment { next }

{
	code = strip($0)
	# A line with a name in column 0 is the head of a definition, or a prototype.
	if (statement ~ /^[ \t]*$/) {
		statement = ""
		started = FNR
	}
	statement = statement " " code
	if (code ~ /[;{}][ \t]*$/ || code ~ /:[ \t]*$/) {
		look(statement)
		statement = ""
	}
}

END {
	for (key in allowed)
		if (!(key in used)) {
			print key " is on the list of exceptions and need not be"
			bad = 1
		}
	if (!files) {
		print "no file found"
		bad = 1
	}
	exit bad
}
