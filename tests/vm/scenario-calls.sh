# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2016
# only on: ours
# The calls of a container's life, tested by their effect: files written by its processes appear on
# the host, which shares the rootfs; the rest is read through the guest's own /proc and cgroup file
# system. docs/protocol.md names these tests.

# root of the containers on the host
share=$work/calls-rootfs
# root of the guest as seen by container main
guest=/hostproc/1/root

# there FILE [TEXT]: FILE appears on the host, with TEXT in it, within 60 s
there()
{
	within 60 has "$@" && return 0
	echo "$1: $(cat "$share/$1" 2>&1)"
	return 1
}
has() { test -e "$share/$1" && grep -q -- "${2-}" "$share/$1"; }

# not_there FILE: FILE is not on the host (yet)
not_there() { test ! -e "$share/$1" || { echo "$1 is there: $(cat "$share/$1")"; return 1; }; }

# begin ID EXEC SCRIPT [PROCESS]: ExecProcess in container ID; PROCESS: additional fields of the
# process
begin()
{
	local none='{}'
	jq -nc --arg id "$1" --arg exec "$2" --arg script "$3" --argjson more "${4-$none}" \
		'{container_id: $id, exec_id: $exec, process:
		({Args: ["sh", "-c", $script], Env: ["PATH=/bin:/sbin"], Cwd: "/", User: {}} + $more)}' >"$work/exec.json"
	rpc ExecProcess "@$work/exec.json"
}

# look SCRIPT: runs a shell that sees the whole guest, in the pods' cgroup directory; its output
# comes over the share
look()
{
	local caps='["CAP_SYS_PTRACE","CAP_DAC_OVERRIDE","CAP_DAC_READ_SEARCH"]'
	rm -f "$share/looked"
	begin main "look${EPOCHREALTIME/./}" \
		"{ cd $guest/sys/fs/cgroup/pods && $1; } >/looking 2>&1; echo \$? >>/looking; mv /looking /looked" \
		'{"Capabilities":{"Bounding":'"$caps"',"Effective":'"$caps"',"Permitted":'"$caps"'}}' >/dev/null && there looked || return 1
	head -n -1 "$share/looked"
	return "$(tail -n 1 "$share/looked")"
}

serving() { rpc Check '{}' | tee /dev/stderr | jq -e '.status == "SERVING"'; }

block_size()
{
	local told kernel
	told=$(rpc GetGuestDetails '{"mem_block_size":true}' | jq -r .mem_block_size_bytes)
	kernel=$(look "cat $guest/sys/devices/system/memory/block_size_bytes") ||
		{ echo "$kernel"; return 1; }
	echo "told $told, the kernel has 0x$kernel"
	is "$told" printf '%d' "0x$kernel"
}

created()
{
	rpc CreateContainer \
		"$(spec one "$guest_rootfs" sh -c 'echo yes >/one.started; exec sleep 3600')" ||
		return 1
	look 'cat one/cgroup.procs' | tee /dev/stderr | grep -qx '[0-9]*' && not_there one.started
}

started() { rpc StartContainer '{"container_id":"one"}' && there one.started yes; }
executed()
{
	begin one ran 'cat /proc/self/cgroup >/ran.cgroup' && there ran.cgroup '^0::/' &&
		look 'grep -h /one$ /hostproc/[0-9]*/cgroup' | grep -q /one
}

signalled()
{
	begin one sig \
		'trap "echo USR1 >/sig.got" USR1; echo >/sig.ready; while :; do sleep 0.1; done' &&
		there sig.ready || return 1
	not_there sig.got || return 1
	rpc SignalProcess '{"container_id":"one","exec_id":"sig","signal":10}' && there sig.got USR1
}

waited()
{
	begin one wait 'until test -e /wait.go; do sleep 0.1; done; exit 42' || return 1
	rpc WaitProcess '{"container_id":"one","exec_id":"wait"}' >"$work/wait.reply" 2>&1 &
	local waiter=$!
	rpc Check '{}' >/dev/null
	kill -0 $waiter || { echo "answered before the end: $(cat "$work/wait.reply")"; return 1; }
	touch "$share/wait.go"
	wait $waiter
	cat "$work/wait.reply"
	jq -e '.status == 42' "$work/wait.reply"
}

written()
{
	begin one in 'read line; echo $line >/in.got; cat; echo >/in.end' || return 1
	rpc WriteStdin '{"container_id":"one","exec_id":"in","data":"'"$(echo hello | base64)"'"}' \
		&& there in.got '^hello$'
}

closed()
{
	not_there in.end && rpc CloseStdin '{"container_id":"one","exec_id":"in"}' && there in.end
}

resized()
{
	begin one tty \
		'trap "stty size >/tty.size" WINCH; echo >/tty.ready; while :; do sleep 0.1; done' \
		'{"Terminal":true}' &&
		there tty.ready || return 1
	rpc TtyWinResize '{"container_id":"one","exec_id":"tty","row":33,"column":77}' &&
		there tty.size '^33 77$'
}

limited()
{
	rpc UpdateContainer \
		'{"container_id":"one","resources":{"Pids":{"Limit":77},"Memory":{"Limit":16777216}}}' &&
		is $'77\n16777216' look 'cat one/pids.max one/memory.max'
}

# Retried, because a process may start or exit in between.
counted() { within 60 counts_agree; }
counts_agree()
{
	local told kernel
	told=$(rpc StatsContainer '{"container_id":"one"}' |
		jq -r '.cgroup_stats.pids_stats | "\(.current) \(.limit)"')
	kernel=$(look 'echo $(cat one/pids.current one/pids.max)')
	echo "told $told, the cgroup says $kernel"
	test "$told" = "$kernel"
}

ticks() { stat -c %s "$share/ticks" 2>/dev/null || echo 0; }

moves()
{
	local before
	before=$(ticks)
	within 60 ticked_since "$before"
}
ticked_since() { test "$(ticks)" -gt "$1"; }

paused()
{
	local before
	begin one tick 'exec >>/ticks; while :; do echo; sleep 0.05; done' && moves || return 1
	rpc PauseContainer '{"container_id":"one"}' || return 1
	look 'cat one/cgroup.events' | tee /dev/stderr | grep -qx 'frozen 1' || return 1
	before=$(ticks)
	look 'sleep 1' && is "$before" ticks
}

resumed()
{
	rpc ResumeContainer '{"container_id":"one"}' && moves &&
		look 'cat one/cgroup.events' | grep -qx 'frozen 0'
}

out_of_memory()
{
	LIMIT=60 rpc GetOOMEvent '{}' >"$work/oom.reply" 2>&1 &
	local waiter=$!
	begin one eat 'tail /dev/zero' && wait $waiter
	cat "$work/oom.reply"
	jq -e '.container_id == "one"' "$work/oom.reply" &&
		look 'cat one/memory.events' | tee /dev/stderr | grep -q '^oom_kill [1-9]'
}

# policy FILE: SetPolicy with the text of FILE
policy() { jq -Rsc '{policy: .}' "$1" >"$work/policy.json" && rpc SetPolicy "@$work/policy.json"; }

# A policy that cannot be enforced leaves the previous one in force.
refused()
{
	policy tests/data/policy/no-exec.rego || return 1
	says 'ExecProcessRequest is blocked by policy' begin one denied 'echo >/denied' || return 1
	printf 'package agent_policy\nExecProcessRequest if { input.x }\n' >"$work/rich.rego"
	says 'policy, line 2' policy "$work/rich.rego" &&
		says 'is blocked by policy' begin one denied 'echo >/denied' || return 1
	policy tests/data/policy/allow-all.rego && begin one allowed 'echo >/allowed' &&
		there allowed && not_there denied
}

removed()
{
	rpc RemoveContainer '{"container_id":"one"}' || return 1
	look 'test ! -e one && ! grep -h /one$ /hostproc/[0-9]*/cgroup' &&
		{ before=$(ticks); look 'sleep 0.3'; is "$before" ticks; }
}

# The VM's monitor is stopped meanwhile, because it would end the VM after the container; only the
# guest must be able to do so.
destroyed()
{
	local monitor
	monitor=$(jq -r .monitor "$vmdir/state.json")
	kill -STOP "$monitor" || return 1
	rpc DestroySandbox '{}' && within 60 powered_off
	local status=$?
	tail -n 3 "$vmdir/console.log"
	kill -CONT "$monitor"
	return $status
}

powered_off()
{
	has_event power-off "$vmdir/console.log" cause=asked &&
		! pgrep -f -r R,S,D "qemu-system.*$vmdir/" >/dev/null
}

gone()
{
	within 60 nothing_left && ctl rm "${vmdir##*/}" && vms=() && return 0
	pgrep -af "$vmdir/"
	return 1
}
nothing_left() { no_process "$vmdir/" && test "$(jq .finished "$vmdir/state.json")" -gt 0; }

userland "$share"
mkdir -p "$share/hostproc"
if ok 'boot' boot calls --rootfs "$share" --privileged --guest-proc /hostproc; then
	ok 'Check reports SERVING' serving
	ok 'GetGuestDetails reports the memory block size of the kernel' block_size
	ok 'CreateContainer: the first process waits in its own cgroup' created
	ok 'StartContainer: the program runs' started
	ok 'ExecProcess: a process in the container' executed
	ok 'SignalProcess: the handler runs' signalled
	ok 'WaitProcess returns the exit code after the process has exited' waited
	ok 'WriteStdin: the bytes arrive' written
	ok 'CloseStdin: the reader gets end of file' closed
	ok 'TtyWinResize: the program is notified of the new size' resized
	ok 'UpdateContainer: the limit is set in the cgroup' limited
	ok 'StatsContainer reports the counters of the cgroup' counted
	ok 'PauseContainer: no process runs' paused
	ok 'ResumeContainer: the processes continue' resumed
	ok 'GetOOMEvent names the container that ran out of memory' out_of_memory
	ok 'SetPolicy: a denied call has no effect' refused
	ok 'RemoveContainer: processes and cgroup are gone' removed
	ok 'DestroySandbox: the guest powers off by itself' destroyed
	ok 'nothing of the VM is left' gone
fi
rm -rf "$share"
