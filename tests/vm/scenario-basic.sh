# SPDX-License-Identifier: Apache-2.0
# soak: ours
# shellcheck shell=bash disable=SC2046
# First steps of a user, with busybox over 9p: one VM made and removed by `run`, one that stays.

run_uname()
{
	local out status=0
	out=$(ctl run $(vm_options) --rootfs "$rootfs" -- sh -c \
		'uname -r; echo to-stderr >&2; exit 42' 2>"$work/stderr") || status=$?
	echo "exit code $status, printed: $out"
	cat "$work/stderr"
	test $status = 42 && test -n "$out" && test "$out" != "$(uname -r)" &&
		grep -qx to-stderr "$work/stderr"
}

both_streams()
{
	# shellcheck disable=SC2016
	ctl exec basic -- sh -c \
		'i=0; while test $i -lt 100; do seq $((i * 100)) $((i * 100 + 99)); seq $((i * 100)) $((i * 100 + 99)) >&2; i=$((i + 1)); done' \
		>"$work/out" 2>"$work/err" || return 1
	seq 0 9999 >"$work/want"
	cmp "$work/out" "$work/want" && cmp "$work/err" "$work/want"
}

terminal()
{
	# A shell on a terminal: it echoes, knows the window size, and exits on ^D.
	printf 'stty size\nexit 3\n' >"$work/typed"
	local status=0
	script -qec "stty rows 33 cols 77; exec timeout 60 $OUT/tatamictl exec -t -i basic -- sh" \
		/dev/null <"$work/typed" >"$work/tty" || status=$?
	cat "$work/tty"
	test $status = 3 && tr -d '\r' <"$work/tty" | grep -q '^33 77$' &&
		grep -q 'stty size' "$work/tty"
}

details()
{
	rpc GetGuestDetails '{"mem_block_size":true,"mem_hotplug_probe":true}' | tee /dev/stderr |
		grep -q '"init_daemon": *true'
}
shm()
{
	ctl exec basic -- grep ' /dev/shm ' /proc/mounts | tee /dev/stderr |
		grep 'nosuid,nodev,noexec' | grep -q size=65536k
}
controllers() { ctl exec basic -- cat /sys/fs/cgroup/cgroup.controllers | grep -q 'memory.*pids'; }
checksum() { ctl exec -i basic -- cat <"$work/random" | sha256sum; }
streams() { ctl exec basic -- sh -c 'echo out; echo err >&2' 2>&1 | sort; }
version() { rpc Version '{}' | tee /dev/stderr | grep -q '"grpc_version": *"0.0.1"'; }
listed() { "$OUT/tatamictl" ps | grep -q '^basic *up'; }

# killed: sends the container's main process a signal that `exec` cannot send: 137 through the
# protocol
killed()
{
	rpc CreateContainer "$(spec sleeper "$guest_rootfs" sleep 3600)" &&
		rpc StartContainer '{"container_id":"sleeper"}' &&
		rpc SignalProcess '{"container_id":"sleeper","exec_id":"sleeper","signal":9}' ||
		return 1
	rpc WaitProcess '{"container_id":"sleeper","exec_id":"sleeper"}' | tee /dev/stderr |
		grep -q '"status": *137' || return 1
	rpc RemoveContainer '{"container_id":"sleeper"}'
}

ok 'run: guest kernel, separate streams, exit code' run_uname
cp "$work/bin/vsock-probe" "$rootfs/bin/vsock-probe"
if ok 'boot' boot basic --rootfs "$rootfs"; then
	ok 'exec runs in the container' is 'tatami' ctl exec basic -- hostname
	ok 'exec returns the exit code' code 7 ctl exec basic -- sh -c 'exit 7'
	ok 'exec passes on stdout and stderr' is $'err\nout' streams
	ok 'a missing binary is reported by name' says '/no/such/binary' ctl exec basic \
		-- /no/such/binary
	mib=$((SOAK ? 1024 : 16))
	head -c ${mib}M /dev/urandom >"$work/random"
	LIMIT=1500 ok "$mib MiB of random bytes through cat arrive with their checksum" is \
		"$(sha256sum <"$work/random")" checksum
	rm -f "$work/random"
	ok '10,000 lines on stdout and stderr at once arrive complete' both_streams
	ok 'a shell on a terminal: echo, window size, exit code' terminal
	ok 'exit code 137 of a killed process' killed
	ok 'exit code 137 of a process that kills itself' code 137 ctl exec basic -- sh \
		-c 'kill -9 $$; sleep 3600'
	ok 'the container has cgroup v2 with controllers' controllers
	ok 'the agent answers Version' version
	ok 'GetGuestDetails' details
	ok 'the shm of the sandbox has the right size and flags' shm
	ok 'a write to a read-only path of /proc fails' code 1 ctl exec basic -- sh \
		-c 'echo b >/proc/sysrq-trigger'
	ok 'a container cannot reach the agent over vsock' code 0 ctl exec basic -- vsock-probe \
		1024 1025
	ok 'ps lists the VM' listed
	ok 'stop leaves nothing' stop basic
fi
rm -f "$rootfs/bin/vsock-probe"
