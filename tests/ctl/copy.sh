# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2016
# Part of tests/check-ctl: files from and to containers. A container sees the files of this machine.

# tree DIR: a directory with a file of each kind
tree()
{
	mkdir -p "$1/sub/empty" "$1/-dash" && echo text >"$1/file" &&
		echo '#!/bin/sh' >"$1/sub/program" && ln -s ../file "$1/sub/link" &&
		ln -s /nowhere "$1/dangling" &&
		ln "$1/file" "$1/hard" && head -c 3000000 /dev/urandom >"$1/large" &&
		: >"$1/-dash/$(printf 'n%.0s' {1..220})" && mkfifo "$1/fifo" &&
		chmod 640 "$1/file" && chmod 4755 "$1/sub/program" && chmod 1777 "$1/sub/empty" &&
		chmod 750 "$1/sub" && touch -d '2001-02-03 04:05:06' "$1/file" "$1/sub"
}
# list DIR: what a copy has to have
list() { (cd "$1" && find . -printf '%P %y %m %l %n %Ts\n' | sort | sed 's/\(program f \)4/\1/' &&
	find . -type f -exec sha256sum {} + | sort); }
# same A B: the directories have the same files; times of the top directory apart
same() { diff <(list "$1" | sed 1d) <(list "$2" | sed 1d); }
copies=$scratch/copies
fresh() { rm -rf "$copies" && mkdir "$copies"; }

begin_copies() { tree "$scratch/tree" && boot --name copy -- sleep 100000 >/dev/null; }
passes 'cp: a container' begin_copies

from()
{
	fresh && ctl cp copy:"$scratch/tree" "$copies/new" && same "$scratch/tree" "$copies/new" &&
		ctl cp copy:"$scratch/tree/" "$copies" && same "$scratch/tree" "$copies/tree" ||
		return 1
	ctl cp copy/main:"$scratch/tree/." "$copies/content" &&
		same "$scratch/tree" "$copies/content" &&
		ctl cp -c main copy:"$scratch/tree/." "$copies/content" &&
		test ! -e "$copies/content/tree" &&
		cmp "$scratch/tree/large" "$copies/content/large" || return 1
	ctl cp copy:"$scratch/tree/file" "$copies" &&
		ctl cp copy:"$scratch/tree/file" "$copies/named" &&
		cmp "$copies/file" "$copies/named" &&
		test "$(stat -c %a%Y "$copies/named")" = "640$(stat -c %Y "$scratch/tree/file")" ||
		return 1
	ctl cp copy:"$scratch/tree/sub/link" "$copies/link" &&
		test "$(readlink "$copies/link")" = ../file &&
		(cd "$copies" && ctl cp "copy:$scratch/tree/file" here &&
		ctl cp "copy:$scratch/tree/-dash" .) && test -f "$copies/here" &&
		test -d "$copies/-dash"
}
passes 'cp: from a container' from
to()
{
	fresh && ctl cp "$scratch/tree" copy:"$copies/new" && same "$scratch/tree" "$copies/new" &&
		ctl cp "$scratch/tree/" copy:"$copies" && same "$scratch/tree" "$copies/tree" ||
		return 1
	ctl cp "$scratch/tree/." copy/main:"$copies/new" && test ! -e "$copies/new/tree" &&
		cmp "$scratch/tree/large" "$copies/new/large" || return 1
	ctl cp "$scratch/tree/file" copy:"$copies/" &&
		ctl cp "$scratch/tree/file" copy:"$copies/named" &&
		cmp "$copies/file" "$copies/named" &&
		test "$(stat -c %a%Y "$copies/named")" = "640$(stat -c %Y "$scratch/tree/file")" ||
		return 1
	ctl cp "$scratch/tree/sub/link" copy:"$copies" &&
		test "$(readlink "$copies/link")" = ../file &&
		(cd "$scratch/tree" && ctl cp ./-dash copy:"$copies" &&
		ctl cp . copy:"$copies/dot" && ctl cp file copy:"$copies/here") &&
		test -d "$copies/-dash" && same "$scratch/tree" "$copies/dot" &&
		test -f "$copies/here"
}
passes 'cp: to a container' to
archive()
{
	fresh && ctl cp copy:"$scratch/tree" - | tar -C "$copies" -xpf - &&
		chmod 755 "$copies/tree/sub/program" && chmod 4755 "$copies/tree/sub/program" &&
		same "$scratch/tree" "$copies/tree" || return 1
	mkdir "$copies/in" && tar -C "$scratch/tree" -cf - . | ctl cp - copy:"$copies/in" &&
		same "$scratch/tree" "$copies/in"
}
passes 'cp: an archive on standard output and input' archive
owners()
{
	fresh && mkdir "$copies/own" && echo x >"$copies/own/file" &&
		chown 1234:4321 "$copies/own/file" && chmod 4755 "$copies/own/file" || return 1
	ctl cp copy:"$copies/own" "$copies/without" &&
		ctl cp -a copy:"$copies/own" "$copies/with" &&
		test "$(stat -c %u:%g:%a "$copies/without/file" "$copies/with/file")" = \
		$'0:0:755\n1234:4321:4755' || { ls -lR "$copies"; return 1; }
	ctl cp "$copies/own" copy:"$copies/to" && ctl cp -a "$copies/own" copy:"$copies/to-with" &&
		test "$(stat -c %u:%g "$copies/to/file" "$copies/to-with/file")" = $'0:0\n1234:4321'
}
if test "$(id -u)" = 0; then
	passes 'cp --archive: owners' owners
else
	skips 'cp --archive: owners' 'for root only'
fi
cp_errors()
{
	fresh
	! ctl cp copy:/no/such/file "$copies" >"$scratch/err" 2>&1 &&
		said 'tar in the container failed' "$scratch/err" || return 1
	! ctl cp copy:"$scratch/tree" "$copies/no/such/directory" >"$scratch/err" 2>&1 &&
		said 'No such file or directory' "$scratch/err" || return 1
	! ctl cp "$scratch/nothing" copy:"$copies" >"$scratch/err" 2>&1 &&
		said 'failed to open' "$scratch/err" || return 1
	! ctl cp "$scratch/tree/file" copy:"$copies/none/" >"$scratch/err" 2>&1 &&
		said 'no such directory in the container' "$scratch/err" || return 1
	echo text >"$copies/tree" &&
		! ctl cp copy:"$scratch/tree" "$copies/tree" >"$scratch/err" 2>&1 &&
		said 'is not a directory' "$scratch/err" && test "$(cat "$copies/tree")" = text ||
		return 1
	! ctl cp copy:"$scratch/tree" - >/dev/full 2>"$scratch/err" &&
		said 'No space left' "$scratch/err" || return 1
	code 2 ctl cp copy:/a copy:/b 2>/dev/null && code 2 ctl cp /a /b 2>/dev/null &&
		code 2 ctl cp /a 2>/dev/null && code 2 ctl cp copy:/a/.. /b 2>/dev/null &&
		code 125 ctl cp none:/a /b 2>/dev/null
}
passes 'cp: errors' cp_errors
no_tar()
{
	boot --name bare -e PATH=/nowhere -- /bin/sleep 100000 >/dev/null && fresh &&
		! ctl cp bare:"$scratch/tree" "$copies" >"$scratch/err" 2>&1 &&
		said 'container main has no tar' "$scratch/err" && ctl rm -f bare
}
passes 'cp: a container without tar' no_tar

# ---- an archive that is not what it should be ----

# The container's tar prints what lies at evil.tar.
mkdir -p "$scratch/evil" "$scratch/outside"
printf '#!/bin/sh\ncat "%s/evil.tar"\n' "$scratch" >"$scratch/evil/tar"
chmod +x "$scratch/evil/tar"
# made ARGUMENT...: an archive with these arguments of tar, of a directory x with a file in it
made()
{
	fresh && rm -rf "$scratch/made" && mkdir -p "$scratch/made/x/dir" &&
		echo bad >"$scratch/made/x/file" &&
		ln "$scratch/made/x/file" "$scratch/made/x/link" &&
		echo bad >"$scratch/made/x/dir/file" &&
		tar -P -C "$scratch/made" "$@" -cf "$scratch/evil.tar" ./x
}
# refused TEXT: extracting fails with this text, and writes to nowhere but the destination
refused()
{
	! ctl cp evil:/x "$copies/to" >"$scratch/err" 2>&1 && said "$1" "$scratch/err" ||
		{ cat "$scratch/err"; ls -lR "$copies"; return 1; }
	test -z "$(ls -A "$scratch/outside")" && test "$(ls "$copies")" = to -o -z "$(ls "$copies")"
}
evil()
{
	boot --name evil -e PATH="$scratch/evil:$PATH" -- sleep 100000 >/dev/null || return 1
	# as it should be
	made && ctl cp evil:/x "$copies/to" && same "$scratch/made/x" "$copies/to" || return 1
	made --transform "flags=r;s,^./x/file$,./x/../../outside/file," &&
		refused "contains '..'" || return 1
	made --transform "flags=r;s,^./x/file$,$scratch/outside/file," &&
		refused 'not a part of the source' || return 1
	made --transform "flags=r;s,^./x/file$,./y/file," && refused 'not a part of the source' ||
		return 1
	echo secret >"$scratch/secret"
	made --transform "flags=h;s,.*,$scratch/secret," && refused 'not a part of the source' ||
		return 1
	made --transform "flags=h;s,.*,./x/../../secret," && refused "'..'" || return 1
	# A member that lies below a symbolic link, which is the source itself, or in it.
	made && mkdir -p "$scratch/made/links" &&
		ln -s "$scratch/outside" "$scratch/made/links/x" &&
		tar -C "$scratch/made/links" -cf "$scratch/evil.tar" ./x &&
		tar -C "$scratch/made" -rf "$scratch/evil.tar" ./x/file && refused 'symlink' ||
		return 1
	fresh && rm "$scratch/made/links/x" && mkdir "$scratch/made/links/x" &&
		ln -s "$scratch/outside" "$scratch/made/links/x/dir" &&
		tar -C "$scratch/made/links" -cf "$scratch/evil.tar" ./x &&
		tar -C "$scratch/made" -rf "$scratch/evil.tar" ./x/dir/file && refused 'symlink' ||
		return 1
	# A file takes the place of a link of the host that has its name, and is not written through
	# it.
	made && echo safe >"$scratch/outside/safe" &&
		tar -C "$scratch/made" --transform 's,^./x/file$,./x,' -cf "$scratch/evil.tar" \
		./x/file && ln -s "$scratch/outside/safe" "$copies/to" &&
		ctl cp evil:/x "$copies/to" && test ! -L "$copies/to" &&
		test "$(cat "$scratch/outside/safe")" = safe && rm "$scratch/outside/safe" ||
		return 1
	made && head -c 1000 "$scratch/evil.tar" >"$scratch/half" &&
		mv "$scratch/half" "$scratch/evil.tar" && refused 'failed to read the archive' ||
		return 1
	fresh && echo 'no archive' >"$scratch/evil.tar" && refused 'failed to read the archive' ||
		return 1
	ctl rm -f evil
}
passes 'cp: an archive that reaches out of its destination' evil
end_copies() { ctl rm -f copy && nothing_left; }
passes 'cp: nothing is left' end_copies
