# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2016
# Part of tests/check-ctl: what is remembered of a container in the background.

# is_state NAME WORD: the state that ps prints
is_state() { test "$(ctl ps -a --json | jq -r ".[] | select(.name == \"$1\") | .state")" = "$2"; }

life()
{
	booted one -- sh -c 'echo out; echo err >&2; echo last; exit 3' && prints 3 ctl wait one ||
		return 1
	is_state one exited || { ctl ps -a --json; return 1; }
	prints '' ctl ps -q && prints one ctl ps -aq && ctl ps -a | grep -q 'one .* exited (3)' ||
		return 1
	ctl logs one >"$scratch/out" 2>"$scratch/err" || return 1
	test "$(cat "$scratch/out")" = $'out\nlast' && test "$(cat "$scratch/err")" = err ||
		{ cat "$scratch/out" "$scratch/err"; return 1; }
	ctl logs -t one 2>&1 | grep -qE '^20[0-9-]+T[0-9:.]+Z last$' || return 1
	test "$(ctl inspect one |
		jq -r '.exitCode, .containers[0].exitCode, .containers[0].running, .containers[0].request.OCI.Process.Args[0]')" = $'3\n3\nfalse\nsh' || { ctl inspect one; return 1; }
	fails_alive 'a VM named one already exists' boot --name one -- true || return 1
	fails_alive 'VM one has ended, with exit code 3' ctl exec one -- true || return 1
	# neither sockets nor disks
	test "$(find "$(run_dir one)" -type s)" = '' && ctl rm one && test ! -e "$(run_dir one)" &&
		nothing_left
}
passes 'exit code, log and request of a container are kept until rm' life

stopped()
{
	booted two -- sh -c 'trap "exit 5" TERM; echo up; while :; do sleep 0.1; done' || return 1
	within 60 logged two up && fails_alive 'VM two runs' ctl rm two && ctl stop two &&
		prints 5 ctl wait two || return 1
	prints up ctl logs two && ctl stop two && ctl rm two && prints '' ctl ps -aq && nothing_left
}
logged() { ctl logs "$1" | grep -q "$2"; }
passes 'stop keeps what rm removes' stopped

followed()
{
	local pid
	booted three -i -- sh -c 'echo first; printf part; read -r x; echo " of a line"; exit 0' ||
		return 1
	"$program" logs -f three >"$scratch/out" 2>&1 &
	pid=$!
	within 60 said first "$scratch/out" >/dev/null && echo | ctl attach three >/dev/null &&
		wait $pid || return 1
	test "$(cat "$scratch/out")" = $'first\npart of a line' &&
		prints 'part of a line' ctl logs -n 1 three && prints '' ctl logs -n 0 three &&
		ctl rm three && nothing_left
}
passes 'logs --follow ends with the VM' followed

all()
{
	booted four && booted five || return 1
	test "$(ctl ps -q | sort)" = $'five\nfour' && ctl stop --all && prints '' ctl ps -q ||
		return 1
	booted six && ctl rm --all && prints six ctl ps -aq && ctl rm -f --all &&
		prints '' ctl ps -aq && nothing_left
}
passes 'stop --all, rm --all' all
passes 'rm -f of a VM that does not exist' code 0 ctl rm -f none
passes 'rm of a VM that does not exist' fails 125 'no VM named none' ctl rm none

failed()
{
	booted seven || return 1
	# shellcheck disable=SC2046
	kill -KILL $(machine)
	prints 255 ctl wait seven && is_state seven failed &&
		ctl inspect seven |
		jq -e '.error | test("qemu was killed by signal 9")' >/dev/null && ctl rm seven &&
		nothing_left
}
passes 'a VM whose QEMU was killed' failed
helper_failed()
{
	local why='the VM has ended: vhost-device-vsock was killed by signal 12: fake: one; fake: two'
	booted lost || return 1
	begin ExecProcess exec lost -- sleep 1000 || return 1
	# shellcheck disable=SC2046
	kill -USR2 $(pgrep -f "^$scratch/bin/vhost-device-vsock")
	local status=0
	wait $pid || status=$?
	test $status = 125 && said "VM lost has failed: $why" "$scratch/err" || return 1
	prints 255 ctl wait lost && is_state lost failed && prints "$why" error_of lost &&
		fails_alive "$why" ctl exec lost -- true &&
		said 'fake: two' "$(run_dir lost)/vhost-device-vsock.log" && ctl rm lost &&
		nothing_left
}
error_of() { ctl inspect "$1" | jq -r .error; }
passes 'a VM whose vhost-device-vsock was killed, and an exec in it' helper_failed
dead()
{
	booted eight || return 1
	kill -KILL "$(ctl ps --json | jq '.[0].monitor')"
	within 60 is_state eight dead || { ctl ps -a; return 1; }
	fails_alive 'has no exit code' ctl wait eight && ctl stop eight && is_state eight failed &&
		ctl rm eight && nothing_left
}
passes 'a VM whose monitor was killed' dead

# The VM, and with --rm all that is known of it, is gone before the clients print its code.
waited()
{
	local gate=$scratch/wait-gate pids=() name
	mkfifo "$gate" || return 1
	exec 6<>"$gate"
	booted ends --rm -- sh -c "read -r x <$gate; exit 6" || return 1
	booted stays -- sh -c "read -r x <$gate; exit 7" || return 1
	for name in ends stays; do
		"$program" wait $name >"$scratch/waited-$name" 2>&1 &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do within 60 polls "$pid" >/dev/null || return 1; done
	printf 'x\nx\n' >&6
	exec 6>&-
	wait "${pids[0]}" && wait "${pids[1]}" || { cat "$scratch"/waited-*; return 1; }
	test "$(cat "$scratch/waited-ends" "$scratch/waited-stays")" = $'6\n7' ||
		{ cat "$scratch"/waited-*; return 1; }
	# gone, never there, and one that has ended
	fails_alive 'no VM named ends' ctl wait ends || return 1
	code 125 ctl wait never && prints $'7\n7' ctl wait stays stays || return 1
	test "$(ctl wait never stays ends 2>"$scratch/err")" = 7 &&
		said 'no VM named never' "$scratch/err" &&
		said 'no VM named ends' "$scratch/err" && code 125 ctl wait never stays || return 1
	code 125 ctl logs ends && code 125 ctl logs never && code 2 ctl logs stays stays &&
		code 2 ctl wait && code 2 ctl logs || return 1
	fails_alive 'stays has no log of container other' ctl logs stays/other || return 1
	code 125 eval 'ctl wait stays >/dev/full' && ctl rm stays && nothing_left
}
# polls PID: the process waits in poll(2) for something to happen, and not for its turn
polls() { test "$(cat "/proc/$1/wchan" 2>/dev/null)" != 0 && ls -l "/proc/$1/fd" | grep -q pidfd; }
passes 'wait and logs: several, gone, with --rm' waited
removed()
{
	local pid
	booted taken -- sleep 1000 || return 1
	"$program" wait taken >"$scratch/out" 2>&1 &
	pid=$!
	within 60 polls $pid >/dev/null && ctl rm -f taken && wait $pid ||
		{ cat "$scratch/out"; return 1; }
	test "$(cat "$scratch/out")" = 143 || { cat "$scratch/out"; return 1; }
	nothing_left
}
passes 'wait for a VM that rm -f ends' removed

inherits()
{
	booted nine -e FROM=container -e BOTH=container -w /usr -- sleep 1000 || return 1
	prints $'container exec /usr' ctl exec -e BOTH=exec nine -- sh -c \
		'echo "$FROM $BOTH $(pwd)"' &&
		prints / ctl exec -w / nine -- pwd || return 1
	prints SERVING ctl_status nine && fails_alive 'no VM named nobody' ctl rpc nobody Check ||
		return 1
	test "$(ctl stats nine | awk 'NR == 2 { print $2, $3, $4, $5, $6, $7 }')" = \
		'1.50 3.0 MiB 256.0 MiB 2' || { ctl stats nine; return 1; }
	ctl stats --json nine | jq -e '.cgroup_stats.pids_stats.current == 2' >/dev/null &&
		ctl rm -f nine && nothing_left
}
ctl_status() { ctl rpc --compact "$1" Check | jq -r .status; }
passes 'exec inherits environment and directory; rpc and stats by name' inherits
inherits_on_terminal()
{
	booted nine -e FROM=container -e BOTH=container -- sleep 1000 || return 1
	prints $'container container xterm' ctl exec -t nine -- sh -c \
		'printf "%s" "$FROM $BOTH $TERM"'
	local status=$?
	ctl rm -f nine && nothing_left && return $status
}
passes_on_terminal 'exec inherits the environment on a terminal' inherits_on_terminal
