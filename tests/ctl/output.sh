# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2016
# Part of tests/check-ctl: logs of containers in the background, and clients that attach to them.

# A container that reads a line here goes on after go_on. The FIFO stays open, so that the line
# waits for its reader, and no reader finds the end of the file.
gate=$scratch/gate
mkfifo "$gate"
exec 7<>"$gate"
go_on() { echo >"$gate"; }
booted()
{
	local name=$1
	shift
	boot --name "$name" "$@" >/dev/null
}
run_dir() { echo "$scratch/run/tatami/$1"; }
logged() { ctl logs "$1" | grep -q "$2"; }
fails_alive()
{
	local text=$1
	shift
	! "$@" >"$scratch/err" 2>&1 </dev/null && said "$text" "$scratch/err"
}

# ---- a client that does not read ----

# It is begun here, and its end is looked for after the other tests.
stall_begins()
{
	mkfifo "$scratch/stalled" && exec 8<>"$scratch/stalled" &&
		booted stalled -- sh -c \
		"read -r x <$gate; head -c 8000000 /dev/zero | tr '\\0' x; echo; exit 6" || return 1
	"$program" attach stalled >"$scratch/stalled" 2>/dev/null </dev/null 8>&- &
	echo $! >"$scratch/stalled_client"
	within 60 attached stalled && go_on
}
# attached NAME: a client of the VM is connected; the second line is the listening socket's
attached() { test "$(grep -c "$(run_dir "$1")/attach.sock" /proc/net/unix)" -ge "${2:-2}"; }
stall_ends()
{
	# The container has ended although the client never read.
	prints 6 ctl wait stalled && test "$(ctl logs -n 1 stalled | wc -c)" -gt 1000000 || return 1
	kill -KILL "$(cat "$scratch/stalled_client")"
	ctl rm stalled
}
passes 'a client that does not read' stall_begins

# ---- logs ----

rotated()
{
	booted turn --log-size 64Ki --log-files 3 -- seq 1 60000 && prints 0 ctl wait turn ||
		return 1
	local file size=0
	for file in "$(run_dir turn)"/container-main.log*; do
		test "$(stat -c %s "$file")" -le 65536 || { ls -l "$(run_dir turn)"; return 1; }
		size=$((size + 1))
	done
	test $size = 3 && ctl logs turn >"$scratch/lines" || { ls -l "$(run_dir turn)"; return 1; }
	test "$(wc -l <"$scratch/lines")" -gt 2000 && sed -i 1d "$scratch/lines" &&
		seq "$(head -n 1 "$scratch/lines")" 60000 | cmp - "$scratch/lines" || return 1
	# The lines are in more than one file.
	ctl logs -n 2200 turn >"$scratch/lines" && seq 57801 60000 | cmp - "$scratch/lines" &&
		ctl rm turn
}
passes 'logs: the files of a log, and their sizes' rotated
one_file()
{
	booted one --log-size 64Ki --log-files 1 -- seq 1 60000 && prints 0 ctl wait one &&
		test "$(ls "$(run_dir one)"/container-main.log*)" = \
		"$(run_dir one)/container-main.log" || return 1
	prints 60000 ctl logs -n 1 one && ctl rm one
}
passes 'logs: a log of one file' one_file
long_line()
{
	booted long -- sh -c "head -c 100000 /dev/zero | tr '\\0' x; echo; printf end" &&
		prints 0 ctl wait long || return 1
	test "$(ctl logs long | head -n 1 | wc -c)" = 100001 && prints end ctl logs -n 1 long &&
		ctl rm long
}
passes 'logs: a line that is longer than a record' long_line
# The file that is read is renamed twice.
followed()
{
	local n pid
	booted follow --log-size 64Ki -- sh -c \
		"while read -r n <$gate; do seq \$((n - 1499)) \$n; done" || return 1
	"$program" logs -f follow >"$scratch/lines" 2>"$scratch/err" &
	pid=$!
	for n in 1500 3000 4500 6000 7500; do
		echo $n >"$gate"
		within 60 last_line $n >/dev/null || { tail -n 1 "$scratch/lines"; return 1; }
	done
	test -e "$(run_dir follow)/container-main.log.1" && ctl stop follow && wait $pid &&
		seq 1 7500 | cmp - "$scratch/lines" && ctl rm follow
}
last_line() { test "$(tail -n 1 "$scratch/lines")" = "$1"; }
passes 'logs --follow through several files' followed
since()
{
	booted since -- sh -c "echo old; read -r x <$gate; echo new" &&
		within 60 logged since old || return 1
	go_on
	prints 0 ctl wait since || return 1
	local at
	at=$(ctl logs -t since | awk '$2 == "new" { print $1 }')
	prints new ctl logs --since "${at%Z}" since && prints new ctl logs --since "$at" since &&
		prints $'old\nnew' ctl logs --since 1h30m since &&
		prints '' ctl logs --since 2999-01-01 since &&
		prints $'old\nnew' ctl logs --since 2000-01-01T00:00:00.5+01:00 since &&
		prints new ctl logs --since 1h -n 1 since &&
		code 2 ctl logs --since yesterday since 2>/dev/null &&
		code 2 ctl logs --since 5 since 2>/dev/null && ctl rm since
}
passes 'logs --since' since
limits()
{
	fails_alive 'at least 64Ki' boot --log-size 1 &&
		fails_alive 'from 1 to 16' boot --log-files 17
}
passes 'logs: limits that make no sense' limits

# limited: a limit on the size of files is smaller than the log's
limited()
{
	(ulimit -f 40 && booted limit --log-size 1Mi -- sh -c 'seq 1 20000; exit 3') &&
		prints 3 ctl wait limit && prints 20000 ctl logs -n 1 limit && ctl rm limit
}
passes 'logs: RLIMIT_FSIZE' limited

# full_dir COMMAND...: the VM's directory is on a file system that is full when the container
# writes; the command is run before it writes again
full_dir()
{
	mkdir -p "$scratch/full" && mount -t tmpfs -o size=512k,mode=700 tmpfs "$scratch/full" ||
		return 1
	export XDG_RUNTIME_DIR=$scratch/full
	rm -f "$scratch/written"
	booted full --log-size 4Mi -- sh -c \
		"seq 1 100; read -r x <$gate; seq 101 30000; : >$scratch/written; read -r x <$gate; echo last; exit 4" && within 60 logged full '^100$' || return 1
	cat /dev/zero >"$scratch/full/filler" 2>/dev/null
	go_on
	within 60 test -e "$scratch/written" && prints hello ctl exec full -- echo hello &&
		test "$(stat -f -c %a "$scratch/full")" = 0 || { df "$scratch/full"; return 1; }
	"$@"
	go_on
	prints 4 ctl wait full && ctl ps -a | grep -q 'exited (4)' || { ctl ps -a; return 1; }
	test "$1" != rm ||
		{ ctl logs full 2>&1 |
		grep -q 'bytes of output were not logged: No space left on device' &&
		prints last ctl logs -n 1 full; } || { ctl logs full | tail; return 1; }
	ctl rm full
}
# in_mounts COMMAND...: in a mount namespace of its own
in_mounts()
{
	local -a unshare=(unshare -m)
	test "$(id -u)" = 0 || unshare=(unshare -rm)
	export program scratch gate
	"${unshare[@]}" bash -c "$(declare -p vm); $(declare -f); $*"
}
if in_mounts mount -t tmpfs tmpfs "$scratch/root" 2>/dev/null; then
	passes 'logs: a full file system' in_mounts full_dir rm "$scratch/full/filler"
	passes 'logs: a file system that stays full' in_mounts full_dir true
else
	skips 'logs: a full file system' 'no mount namespace'
fi

# ---- attach ----

attach_io()
{
	booted io -i -- sh -c \
		'read -r a; echo "out $a"; read -r a; echo "err $a" >&2; read -r a; exit 7' ||
		return 1
	# The input of the container outlives that of a client.
	"$program" attach io >"$scratch/out" 2>"$scratch/err" < <(echo one) &
	pid=$!
	within 60 said 'out one' "$scratch/out" >/dev/null && kill -0 $pid || return 1
	code_of 7 ctl attach io >"$scratch/out2" 2>"$scratch/err2" < <(printf 'two\nthree\n') ||
		return 1
	local status=0
	wait $pid || status=$?
	# Both have seen the end.
	test $status = 7 && said 'err two' "$scratch/err2" && said 'err two' "$scratch/err" &&
		test ! -s "$scratch/out2" || { echo "exit code $status"; return 1; }
	test "$(ctl logs io 2>/dev/null)" = 'out one' &&
		fails_alive 'VM io has ended' ctl attach io && ctl rm io
}
# code_of WANT COMMAND...: as code, with the caller's input
code_of()
{
	local want=$1 got=0
	shift
	"$@" || got=$?
	test "$got" = "$want" || { echo "exit code $got, not $want: $*"; return 1; }
}
passes 'attach: two clients, input, output, exit code' attach_io
close_stdin()
{
	booted eof -i -- wc -c && prints 6 ctl attach --close-stdin eof < <(printf 123456) &&
		ctl rm eof
}
passes 'attach --close-stdin' close_stdin
without_input()
{
	booted closed -- sh -c "cat; read -r x <$gate; echo end" || return 1
	"$program" attach --no-stdin closed >"$scratch/out" </dev/zero &
	pid=$!
	within 60 attached closed && go_on && wait $pid && test "$(cat "$scratch/out")" = end &&
		ctl rm closed
}
passes 'attach --no-stdin, without -i' without_input

# in_terminal COMMAND: in a pty, between two prints of its settings; the input of the pty is a FIFO
in_terminal()
{
	rm -f "$scratch/keys" "$scratch/typescript" && mkfifo "$scratch/keys" &&
		exec 9<>"$scratch/keys" || return 1
	script -qec "stty rows 31 cols 71; stty -a; $1; echo code \$?; stty -a" /dev/null \
		>"$scratch/typescript" <"$scratch/keys" 9>&- &
	pid=$!
}
# types TEXT WANT: types, and waits for what the terminal shows
types() { printf "$1" >&9 && within 60 said "$2" "$scratch/typescript" >/dev/null ||
	{ cat -v "$scratch/typescript"; return 1; }; }
# restored: the settings before and after are the same
restored()
{
	local lines
	exec 9>&-
	wait $pid
	lines=$(tr -d '\r' <"$scratch/typescript" | grep -E '^-?(parenb|ignbrk|opost|isig)')
	test "$(head -n 4 <<<"$lines")" = "$(tail -n 4 <<<"$lines")" &&
		test "$(wc -l <<<"$lines")" -ge 4 || { cat -v "$scratch/typescript"; return 1; }
}
terminal()
{
	booted tty -it -- sh && in_terminal "$program attach tty" &&
		types 'stty size; echo $((40 + 2))\n' '31 71' && types '' 42 &&
		types '\020\021' 'detached from tty' && types '' 'code 0' && restored || return 1
	# Other keys.
	in_terminal "$program attach --detach-keys ctrl-a,x tty" && types 'echo $((50 + 5))\n' 55 &&
		types '\001x' 'detached from tty' && restored || return 1
	# Ctrl-C goes to what runs on the terminal.
	in_terminal "$program attach tty" && types "sleep 1000.$$\n" sleep &&
		within 60 pgrep -f "^sleep 1000.$$$" >/dev/null &&
		types '\003echo $((60 + 6))\n' 66 && types 'exit 5\n' 'code 5' && restored ||
		return 1
	prints 5 ctl wait tty && ctl rm tty
}
passes_on_terminal 'attach: a terminal, its size, detach keys, Ctrl-C, exit code' terminal
detach_keys()
{
	booted keys -i -- cat || return 1
	# The first ctrl-p is not part of the keys.
	"$program" attach keys >"$scratch/out" 2>"$scratch/err" < <(printf 'a\n\020\020\021b\n') &&
		said 'detached from keys' "$scratch/err" || return 1
	fails_alive 'expected at most 8 keys' ctl attach --detach-keys ctrl-pp keys &&
		fails_alive 'expected at most 8 keys' ctl attach --detach-keys a,b,c,d,e,f,g,h,i \
		keys || return 1
	prints 'ctrl' ctl attach --detach-keys '' --close-stdin keys < <(printf ctrl) &&
		test "$(ctl logs keys | cat -v)" = $'a\n^Pctrl' && ctl rm keys
}
passes 'attach --detach-keys' detach_keys

# signalled SIGNAL WANT: a client that gets it ends, and leaves the container alone
signalled()
{
	local status=0
	"$program" attach --no-stdin killed >"$scratch/out" 2>"$scratch/err" &
	pid=$!
	within 60 attached killed || return 1
	kill "-$1" $pid
	wait $pid || status=$?
	test $status = "$2" && is_up killed || { echo "exit code $status after SIG$1"; return 1; }
}
is_up() { ctl ps -q | grep -qx "$1"; }
client_killed()
{
	booted killed -it -- sh -c \
		"trap 'echo signal' HUP TERM INT; while :; do read -r x <$gate && echo \"\$x\"; done" || return 1
	signalled KILL 137 && signalled TERM 130 && signalled HUP 130 || return 1
	go_on
	in_terminal "$program attach killed" && within 60 attached killed &&
		kill -TERM "$(pgrep -f "^$program attach killed")" && types '' 'code 130' &&
		restored || return 1
	! ctl logs killed | grep signal || return 1
	ctl rm -f killed
}
passes_on_terminal 'attach: a client that is killed' client_killed
passed_on()
{
	booted signal -- sh -c "trap 'echo caught; exit 9' INT; while :; do sleep 0.1; done" ||
		return 1
	"$program" attach signal >"$scratch/out" 2>&1 &
	pid=$!
	within 60 attached signal || return 1
	# bash starts it with SIGINT ignored, which is no hindrance
	kill -INT $pid
	local status=0
	wait $pid || status=$?
	test $status = 9 && said caught "$scratch/out" && ctl rm signal
}
passes 'attach: SIGINT is passed on' passed_on
attach_piped()
{
	booted piped -i -- sh -c \
		"read -r x; seq 1 1000; read -r x <$gate; seq 1 1000; read -r x <$gate; exit 8" ||
		return 1
	# shellcheck disable=SC2216
	printf '\n' | ctl attach piped 2>"$scratch/err" | head -n 1 >"$scratch/read" &
	pid=$!
	within 60 logged piped '^1000$' && go_on || return 1
	wait $pid
	test $? = 141 && test ! -s "$scratch/err" && is_up piped && go_on &&
		prints 8 ctl wait piped && ctl rm piped
}
passes 'attach | head' attach_piped
stopped_client()
{
	booted slow -- sh -c \
		"read -r x <$gate; head -c 4000000 /dev/zero | tr '\\0' y; : >$scratch/ended; read -r x <$gate" || return 1
	"$program" attach slow >"$scratch/out" </dev/null &
	pid=$!
	within 60 attached slow && kill -STOP $pid && go_on || return 1
	within 60 logged slow y >/dev/null
	kill -CONT $pid
	within 60 test -e "$scratch/ended" && go_on && wait $pid &&
		test "$(wc -c <"$scratch/out")" = 4000000 && ctl rm slow
}
passes 'attach: a client that is stopped loses nothing' stopped_client
attach_dead()
{
	booted dead -- sleep 1000 || return 1
	"$program" attach dead >"$scratch/out" 2>"$scratch/err" </dev/null &
	pid=$!
	within 60 attached dead || return 1
	# shellcheck disable=SC2046
	kill -KILL $(pgrep -f "^$scratch/bin/qemu.*$(run_dir dead)/")
	local status=0
	wait $pid || status=$?
	test $status = 125 && said 'qemu was killed by signal 9' "$scratch/err" && ctl rm dead
}
passes 'attach: QEMU dies' attach_dead
attach_errors()
{
	booted other -- sleep 1000 &&
		fails_alive 'container nothing has no output to attach to' ctl attach \
		other/nothing && fails_alive 'no VM named nobody' ctl attach nobody &&
		fails_alive 'is named by --container, too' ctl attach -c main other/main &&
		fails_alive 'invalid container name' ctl attach other/../x && ctl rm -f other
}
passes 'attach: what is not there' attach_errors

# ---- containers of a pod, and added ones ----

pod()
{
	cat >"$scratch/pod.yaml" <<-END
	apiVersion: v1
	kind: Pod
	metadata: {name: pair}
	spec:
	  restartPolicy: Never
	  terminationGracePeriodSeconds: 1
	  containers:
	  - {name: one, image: any, command: [sh, -c, 'read -r x <$gate; echo out; echo err >&2; exit 3'], env: [{name: WHERE, value: first}], workingDir: /usr}
	  - {name: two, image: any, stdin: true, tty: true, command: [sh], env: [{name: WHERE, value: second}]}
	END
	# Its directory has the program of the pause container.
	cp "$program" "$scratch/tatamictl" && : >"$scratch/tatami" && chmod +x "$scratch/tatami" ||
		return 1
	"$scratch/tatamictl" pod --share 9p --accel tcg --kernel "$scratch/kernel" --initrd \
		"$scratch/kernel" --no-network --image "any=$scratch/root" "$scratch/pod.yaml" \
		>/dev/null || return 1
	prints $'first\n/usr' ctl exec pair -- sh -c 'echo $WHERE; pwd' &&
		prints second ctl exec pair/two -- sh -c 'echo $WHERE' &&
		prints second ctl exec -c two pair -- sh -c 'echo $WHERE' || return 1
	"$program" attach pair >"$scratch/out" 2>"$scratch/err" </dev/null &
	pid=$!
	within 60 attached pair && go_on || return 1
	local status=0
	wait $pid || status=$?
	test $status = 3 && test "$(cat "$scratch/out" "$scratch/err")" = $'out\nerr' ||
		{ echo "exit code $status"; cat "$scratch/err"; return 1; }
	test "$(ctl logs pair/one 2>/dev/null)" = out &&
		test "$(ctl logs -t -c one pair 2>&1 >/dev/null |
		grep -cE '^20[0-9-]+T[0-9:.]+Z err$')" = 1 || return 1
	within 60 listed 'pair/one .*exited (3)' && listed 'pair/two .*up' &&
		ctl inspect pair |
		jq -e '.containers | map(.request.OCI.Process.Args[0]) == ["sh", "sh"]' >/dev/null \
		|| { ctl ps -ac; return 1; }
	in_terminal "$program attach pair/two" && types 'echo $((70 + 7))\n' 77 &&
		types '\020\021' 'detached from pair/two' && restored || return 1
	ctl run --in pair --name extra -e WHERE=extra -- sh -c "echo in; read -r x <$gate; exit 4" \
		>"$scratch/out" 2>&1 &
	pid=$!
	within 60 listed 'pair/extra .*up' &&
		prints extra ctl exec pair/extra -- sh -c 'echo $WHERE' && go_on || return 1
	status=0
	wait $pid || status=$?
	test $status = 4 && listed 'pair/extra .*exited (4)' &&
		ctl run --rm --in pair --name brief -- true && ! listed pair/brief &&
		listed pair/two && ! ctl ps -c | grep -q pair/one && ctl rm -f pair
}
listed() { ctl ps -ac | grep -q "^$1"; }
passes_on_terminal 'a pod: logs, attach, exec in each container, and in one that was added' pod
# A hook that outlasts the grace period is killed. The container is asked to end nevertheless, and has
# time for it.
long_hook()
{
	cat >"$scratch/pod.yaml" <<-END
	apiVersion: v1
	kind: Pod
	metadata: {name: hook}
	spec:
	  restartPolicy: Never
	  terminationGracePeriodSeconds: 1
	  containers:
	  - name: one
	    image: any
	    command: [sh, -c, 'trap "echo asked; exit 7" TERM; echo up; while :; do sleep 0.1; done']
	    lifecycle: {preStop: {exec: {command: [sh, -c, 'echo hook >$scratch/hook; exec sleep 1000']}}}
	END
	"$scratch/tatamictl" pod --share 9p --accel tcg --kernel "$scratch/kernel" --initrd \
		"$scratch/kernel" --no-network --image "any=$scratch/root" "$scratch/pod.yaml" \
		>/dev/null || return 1
	within 60 logged hook/one up && ctl stop hook && test "$(cat "$scratch/hook")" = hook &&
		prints $'up\nasked' ctl logs hook/one &&
		test "$(ctl inspect hook | jq '.containers[0].exitCode')" = 7 && ctl rm hook ||
		{ ctl inspect hook; return 1; }
}
passes 'a pod: a preStop hook that outlasts the grace period' long_hook
# Containers whose names are those of the VM's own logs.
pod_of_programs()
{
	cat >"$scratch/pod.yaml" <<-END
	apiVersion: v1
	kind: Pod
	metadata: {name: logs}
	spec:
	  restartPolicy: Never
	  terminationGracePeriodSeconds: 1
	  containers:
	  - {name: console, image: any, command: [echo, from the container]}
	  - {name: qemu, image: any, command: [echo, from another]}
	END
	"$scratch/tatamictl" pod --share 9p --accel tcg --kernel "$scratch/kernel" \
		--initrd "$scratch/kernel" --no-network --image "any=$scratch/root" \
		"$scratch/pod.yaml" >/dev/null && ctl wait logs >/dev/null || return 1
	prints 'from the container' ctl logs logs/console &&
		prints 'from another' ctl logs logs/qemu &&
		! ctl console logs | grep 'from the container' &&
		! grep 'from another' "$(run_dir logs)/qemu.log" && ctl rm logs
}
passes "a pod: containers with the names of the VM's logs" pod_of_programs
many()
{
	booted many -- sleep 1000 || return 1
	for _ in {1..18}; do ctl run --in many -- true || return 1; done
	test "$(ctl ps -acq | grep -c ^many/)" = 17 || { ctl ps -ac; return 1; }
	 ctl rm -f many
}
passes 'records of added containers are limited in number' many

# ---- the end ----

removed()
{
	booted gone --rm -- sh -c "read -r x <$gate; exit 3" && is_up gone && go_on &&
		within 60 test ! -e "$(run_dir gone)" && prints stalled ctl ps -aq &&
		boot --rm --name gone -- sleep 1000 >/dev/null && ctl stop gone &&
		test ! -e "$(run_dir gone)"
}
passes 'boot --rm' removed
detached()
{
	prints box run -d -i --name box -- cat &&
		prints hello ctl attach --close-stdin box < <(printf hello) &&
		prints 0 ctl wait box && ctl rm box &&
		fails_alive '--name is for a VM in the background' run --name box -- true &&
		fails_alive 'cannot be detached' ctl run -d --in box -- true
}
passes 'run -d' detached
passes 'a client that does not read holds nothing up' stall_ends
passes 'nothing is left' nothing_left
