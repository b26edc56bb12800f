# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2046
# once: ours
# The end of a guest: a crash of the agent, a tatamictl that is stopped or killed.

# gone MARK: no process has MARK in its command line, and no directory is left
gone()
{
	within 60 no_process "$1" >/dev/null && return 0
	echo 'left:'
	pgrep -af "$1"
	return 1
}

# run_dir: prints the directory of the run $pid
run_dir()
{
	dir=$(pgrep -P $pid -a 2>/dev/null |
		sed -n 's/.*path=\(\/tmp\/tatami-[^/]*\)\/console.log.*/\1/p')
	test -n "$dir"
}

# begin_run: starts a run in the background and waits until QEMU runs; sets $pid and $dir
begin_run()
{
	"$OUT/tatamictl" run $(vm_options) --rootfs "$rootfs" -- sleep 3600 2>"$work/said-run" &
	pid=$!
	within 60 run_dir && return 0
	kill -KILL $pid
	echo 'QEMU was not started'
	return 1
}

interrupted()
{
	local status=0
	begin_run || return 1
	kill -TERM $pid
	wait $pid || status=$?
	echo "exit code $status: $(cat "$work/said-run")"
	test $status = 130 || return 1
	test ! -e "$dir" || { echo "$dir is left"; return 1; }
	gone "$dir/"
}

killed_run()
{
	local old
	begin_run || return 1
	old=$dir
	kill -KILL $pid
	wait $pid 2>/dev/null
	gone "$old/" || return 1
	# The next start removes what it could not.
	begin_run || return 1
	kill -TERM $pid
	wait $pid
	test ! -e "$old" || { echo "$old is still there"; return 1; }
}

printf 'int main(void) { volatile int *p = 0; return *p; }\n' >"$work/crash.c"
cc -O0 -static -w "$work/crash.c" -o "$work/crash"

ok 'a crash of the agent is reported with its cause, and the VM powers off' \
	says 'killed by signal 11' ctl run $(vm_options) --rootfs "$rootfs" \
	--agent-binary "$work/crash" -- true
if test "$kernel" = ours; then
	# the file that another agent reads as the configuration of a confidential guest
	mke2fs -q -t ext4 "$work/initdata.img" 1M >/dev/null 2>&1 &&
		printf initdata | dd of="$work/initdata.img" conv=notrunc status=none
	ok 'a disk with initdata is reported, and the guest does not start' \
		says 'holds initdata: confidential guests are not supported' ctl run $(vm_options) \
		--rootfs "$rootfs" --attach "blk:$work/initdata.img" -- true
	ok 'configured guest components are reported, and the guest does not start' \
		says 'guest_components_procs is configured' ctl run $(vm_options) \
		--rootfs "$rootfs" --append agent.guest_components_procs=attestation-agent -- true
fi
ok 'an interrupted run leaves nothing' interrupted
ok 'a killed run leaves no process, and the next start removes its directory' killed_run
