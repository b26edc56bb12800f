# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2016
# Part of tests/check-ctl: how a command ends.

passes 'run: output' prints out run -- sh -c 'echo out; echo err >&2'
passes 'run: the exit code' code 7 run -- sh -c 'exit 7'
passes 'run: of a process killed by a signal' code 137 run -- sh -c 'kill -9 $$'

passes 'run: a program that was not found' fails 127 'the file no-such-program was not found' run \
	-- no-such-program
echo text >"$scratch/text"
passes 'run: a file that cannot be executed' fails 126 'Permission denied' run -- "$scratch/text"

# ---- output and input ----

# piped WANT READER WRITER...: run into a pipe whose reader ends first
piped()
{
	local want=$1 reader=$2 status
	shift 2
	# shellcheck disable=SC2216
	run -- "$@" 2>"$scratch/err" | $reader >"$scratch/read"
	status=${PIPESTATUS[0]}
	test "$status" = "$want" ||
		{ echo "exit code $status, not $want"; cat "$scratch/err"; return 1; }
	test ! -s "$scratch/err" || { cat "$scratch/err"; return 1; }
	nothing_left
}
passes 'run | head' piped 141 'head -n 2' yes
passes 'run | head, of a process that ignores SIGPIPE' piped 137 'head -n 2' sh -c \
	'trap "" PIPE; while :; do echo y 2>/dev/null; sleep 0.1; done'
passes 'run | true' piped 141 true yes

full()
{
	local status=0
	run -- "$@" >/dev/full 2>"$scratch/err" || status=$?
	test $status = 125 || { echo "exit code $status"; cat "$scratch/err"; return 1; }
	said 'No space left on device' "$scratch/err" && nothing_left
}
passes 'run >/dev/full' full yes
listing_full()
{
	ctl --help >/dev/full 2>"$scratch/err"
	test $? = 125 && said 'No space left on device' "$scratch/err"
}
passes 'a listing >/dev/full' listing_full

# A page no longer fits into the pipe.
is_full() { ! dd if=/dev/zero of="$1" oflag=nonblock bs=4096 count=1 2>/dev/null; }
# A reader that does not read keeps no signal from being passed on.
stalled()
{
	local status=0 pid
	mkfifo "$scratch/fifo"
	# both ends, so that opening does not wait
	exec 7<>"$scratch/fifo"
	"$program" run "${vm[@]}" -- yes >"$scratch/fifo" 2>"$scratch/err" 7>&- &
	pid=$!
	within 60 grep -qs ReadStdout "$calls" >/dev/null || return 1
	within 60 is_full "$scratch/fifo" || return 1
	kill -TERM $pid
	# The pipe is full, so that only reading it lets the end of the output through.
	within 60 grep -q 'main 15' "$calls" || { kill -KILL $pid; return 1; }
	cat "$scratch/fifo" >"$scratch/read" 2>/dev/null 7>&- &
	exec 7>&-
	wait $pid || status=$?
	test $status = 143 || { echo "exit code $status"; cat "$scratch/err"; return 1; }
	nothing_left
}
passes 'SIGTERM while the reader of the output does not read' stalled

input()
{
	head -c 67108864 /dev/zero | prints 67108864 run -i -- wc -c && nothing_left
}
passes '64 MiB through standard input' input
passes 'a process that does not read its input' code 0 run -i -- true

closed()
{
	local status=0
	ctl run "${vm[@]}" -i -- sh -c 'echo out; echo err >&2; cat; exit 3' <&- >&- 2>&- ||
		status=$?
	test $status = 3 || { echo "exit code $status"; return 1; }
	nothing_left
}
passes 'closed standard input, output and error' closed

terminal()
{
	local status=0
	printf 'echo $((40 + 2)); stty size\nexit 5\n' |
		script -qec "stty rows 31 cols 71; exec $program run ${vm[*]} -t -i -- sh" \
		/dev/null >"$scratch/typescript" || status=$?
	test $status = 5 || { echo "exit code $status"; cat "$scratch/typescript"; return 1; }
	said 42 "$scratch/typescript" && said '31 71' "$scratch/typescript" && nothing_left
}
passes_on_terminal 'a terminal: size, input, exit code' terminal
passes_on_terminal 'a terminal whose input ends' prints xyxy run -t -i -- cat < <(printf xy)
many() { prints "$(seq 5000)" run -- sh -c \
	'i=0; while test $i -lt 5000; do i=$((i + 1)); echo $i; done' && nothing_left; }
passes 'all output of a process, from an agent that drops the rest at WaitProcess' many

# ---- interrupts and the end of the VM ----

# ends WANT TEXT: the command begun ends with this code
ends()
{
	local status=0
	wait $pid || status=$?
	test $status = "$1" || { echo "exit code $status, not $1"; cat "$scratch/err"; return 1; }
	said "$2" "$scratch/err" && nothing_left
}

thrice()
{
	begin ReadStdout run "${vm[@]}" -- sh -c 'trap "" INT; while :; do sleep 0.1; done' ||
		return 1
	local i
	for i in 1 2; do
		kill -INT $pid
		within 60 forwarded $i || return 1
	done
	kill -INT $pid
	ends 130 'interrupted 3 times'
}
forwarded() { test "$(grep -c 'main 2$' "$calls")" = "$1"; }
passes 'the third Ctrl-C' thrice

killed_under_run()
{
	begin ReadStdout run "${vm[@]}" -- sleep 1000 || return 1
	# shellcheck disable=SC2046
	kill -KILL $(machine)
	ends 125 'qemu was killed by signal 9'
}
passes 'QEMU dies under run' killed_under_run
# The programs that QEMU needs. Their kinds: name, arguments of run, name in messages.
helper() { pgrep -f "^$scratch/bin/$1"; }
helper_killed()
{
	begin ReadStdout run "${vm[@]}" "${@:3}" -- sleep 1000 || return 1
	# shellcheck disable=SC2046
	kill -USR2 $(helper "$1")
	ends 125 "the VM has ended: $2 was killed by signal 12: fake: one; fake: two"
}
passes 'vhost-device-vsock dies under run' helper_killed vhost-device-vsock vhost-device-vsock
passes 'virtiofsd dies under run' helper_killed virtiofsd virtiofsd-0 --share virtio-fs \
	--virtiofsd "$scratch/bin/virtiofsd"
# Nothing in the VM needs a share that is only attached.
spare_killed()
{
	begin ReadStdout run "${vm[@]}" --attach "virtio-fs:$scratch" --virtiofsd \
		"$scratch/bin/virtiofsd" -- sh -c \
		'while test ! -e "$0"; do sleep 0.05; done; exit 3' "$scratch/goes-on" || return 1
	kill -KILL "$(helper virtiofsd)" && within 60 gone virtiofsd && touch "$scratch/goes-on" &&
		code 3 wait $pid && nothing_left
}
gone() { ! helper "$1" >/dev/null; }
passes 'the virtiofsd of an attached share dies under run' spare_killed
killed_in_call()
{
	FAKE_HANG=CreateContainer begin CreateContainer run "${vm[@]}" -- true || return 1
	# shellcheck disable=SC2046
	kill -KILL $(machine)
	ends 125 'qemu was killed by signal 9'
}
passes 'QEMU dies while the container is made' killed_in_call
crash()
{
	FAKE_BOOT=crash begin / "$1" "${vm[@]}" -- true || return 1
	ends 125 'fake crash'
}
passes 'QEMU dies under run, before the agent answers' crash run
passes 'QEMU dies under boot' crash boot

# interrupted SIGNAL COMMAND: while the guest boots
interrupted()
{
	FAKE_BOOT=silent begin / "$2" "${vm[@]}" -- true || return 1
	kill "-$1" $pid
	ends 130 interrupted
}
for command in run boot; do
	for signal in INT TERM HUP QUIT; do
		test "$signal$command" = QUITrun || continue
		passes "$command: SIG$signal during the boot" interrupted $signal $command
	done
	passes "$command: SIGINT during the boot" interrupted INT $command
	passes "$command: SIGTERM during the boot" interrupted TERM $command
done
interrupted_in_call()
{
	FAKE_HANG=$2 begin "$2" "$1" "${vm[@]}" -- true || return 1
	kill -INT $pid
	ends 130 interrupted
}
passes 'run: Ctrl-C while an agent does not answer Check' interrupted_in_call run Check
passes 'boot: Ctrl-C while the container is made' interrupted_in_call boot CreateContainer
killed_boot()
{
	local status=0
	FAKE_BOOT=silent begin / "$1" "${vm[@]}" -- true || return 1
	kill -KILL $pid
	wait $pid
	within 60 no_process >/dev/null || { pgrep -af "$scratch/bin/"; return 1; }
	test "$1" = run || nothing_left
}
passes 'a killed boot leaves nothing' killed_boot boot

# ---- exec ----

executed()
{
	boot --name box && prints hello ctl exec box -- echo hello &&
		code 7 ctl exec box -- sh -c 'exit 7'
}
passes 'exec' executed
passes 'exec: a program that was not found' code 127 ctl exec box -- no-such-program
passes 'exec: a file that cannot be executed' code 126 ctl exec box -- "$scratch/text"
# as WANT USER: uid and gid of an exec by this user
as()
{
	ctl exec -u "$2" box -- true || return 1
	test "$(grep '^[ug]id' "$calls" | tail -n 2 | tr '\n' ' ')" = "$1" ||
		{ echo "$2: $(grep '^[ug]id' "$calls" | tail -n 2)"; return 1; }
}
users()
{
	local name uid gid
	IFS=: read -r name _ uid gid _ < <(grep -m 1 -v ':0:' /etc/passwd)
	as "uid $uid gid $gid " "$name" && as "uid $uid gid $gid " "$uid" &&
		as "uid $uid gid 12345 " "$name:12345" &&
		as "uid $uid gid $gid " \
		"$name:$(awk -F: -v g="$gid" '$3 == g { print $1; exit }' /etc/group)" &&
		as 'uid 23456 gid ' 23456 || return 1
	: >"$calls"
	as 'uid 7 gid 8 ' 7:8 && test "$(grep -c ExecProcess "$calls")" = 1 || return 1
	code 125 ctl exec -u no-such-user box -- true 2>"$scratch/err" &&
		said '--user: no user no-such-user in /etc/passwd' "$scratch/err" &&
		code 125 ctl exec -u "$name:no-such-group" box -- true 2>"$scratch/err" &&
		said 'no group no-such-group' "$scratch/err" &&
		code 2 ctl exec -u "$name:" box -- true 2>"$scratch/err" &&
		said 'invalid user' "$scratch/err"
}
passes 'exec --user by name' users
exec_piped()
{
	# shellcheck disable=SC2216
	ctl exec box -- yes 2>"$scratch/err" | head -n 1 >"$scratch/read"
	test "${PIPESTATUS[0]}" = 141 && test ! -s "$scratch/err"
}
passes 'exec | head' exec_piped

# sleeper N: a process with this number of seconds in its command line
sleeper() { pgrep -f "^sleep $1" >/dev/null; }
no_sleeper() { ! sleeper "$1"; }
# killed_exec N OPTION... -- COMMAND...: the client is killed
killed_exec()
{
	"$program" exec "$@" >"$scratch/out" 2>&1 &
	pid=$!
	within 60 sleeper "$number" || return 1
	kill -KILL $pid
	wait $pid
	true
}
hung_up() { number=$((RANDOM + 100000)); killed_exec box -- sleep $number &&
	within 60 no_sleeper $number; }
passes 'a process ends when its client was killed' hung_up
hung_up_kill()
{
	number=$((RANDOM + 200000))
	killed_exec box -- sh -c "trap '' HUP; exec sleep $number" && within 30 no_sleeper $number
}
passes 'a process that ignores SIGHUP, too' hung_up_kill
kept()
{
	number=$((RANDOM + 300000))
	killed_exec --keep box -- sleep $number || return 1
	# as long as it takes for the other way
	killed_exec_other=$number
	hung_up && sleeper "$killed_exec_other" && pkill -f "^sleep $killed_exec_other"
}
passes '--keep' kept
full_exec()
{
	number=$((RANDOM + 400000))
	ctl exec box -- sh -c "echo x; exec sleep $number" >/dev/full 2>"$scratch/err"
	test $? = 125 && within 60 no_sleeper $number
}
passes 'exec >/dev/full' full_exec
dead_vm()
{
	begin ReadStdout exec box -- sleep 1000 || return 1
	# shellcheck disable=SC2046
	kill -KILL $(machine)
	local status=0
	wait $pid || status=$?
	test $status = 125 || { echo "exit code $status"; return 1; }
	ctl rm -f box && nothing_left
}
passes 'QEMU dies under exec' dead_vm
