# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2046,SC2016
# only on: ours
# gdb as docs/debugging.md shows it: on the kernel from its first instruction on, and on the agent
# in a VM that runs. Nothing is timed out by the stop but calls of the host.

gdb=(timeout -k 5 120 gdb -nx -batch)

# kernel_address SYMBOL: prints it, as of the map of this kernel, which has no symbols itself
kernel_address()
{
	local map
	map=$(kernel-config/build --cached)/System.map
	awk -v name="$1" '$3 == name { print "0x" $1 }' "$map"
}

in_kernel()
{
	local pid line status=0 at
	at=$(kernel_address start_kernel)
	rm -f "$work/said"
	LIMIT=180 ctl run $(vm_options) --append nokaslr --gdb --rootfs "$rootfs" -- echo went on \
		>"$work/out" 2>"$work/said" &
	pid=$!
	within 60 grep -q "^gdb -ex 'target remote " "$work/said" || return 1
	# The command that is printed, as it is.
	line=$(grep '^gdb ' "$work/said")
	eval "timeout -k 5 120 $line -nx -batch -ex 'hbreak *$at' -ex continue -ex 'info registers rip' \
		-ex delete -ex detach" >"$work/gdb" 2>&1
	wait $pid || status=$?
	cat "$work/gdb"
	grep -q "^rip *$at " "$work/gdb" && test "$status-$(cat "$work/out")" = '0-went on'
}

# on_port PORT: whether something listens on it
on_port() { grep -q "^ *[0-9]*: 0100007F:$(printf %04X "$1") .* 0A " /proc/net/tcp; }
in_agent()
{
	local at port pid
	at=$(ctl exec --privileged gdb -- sh -c 'for p in /guest/[0-9]*; do
		grep -q kata-agent $p/comm && grep -m 1 " /$" $p/maps; done' | head -n 1)
	test -n "$at" || { echo 'no map of the agent'; return 1; }
	for port in $(seq 4711 4811); do on_port "$port" || break; done
	qmp '{"execute":"human-monitor-command","arguments":{"command-line":"gdbserver tcp:127.0.0.1:'"$port"'"}}' &&
		within 20 on_port "$port" || return 1
	rm -f "$work/gdb"
	"${gdb[@]}" -ex "symbol-file $BUILD/product/tatami -o 0x${at%%-*}" \
		-ex "target remote 127.0.0.1:$port" -ex 'hbreak exec_process' -ex continue -ex \
		'backtrace 1' \
		-ex delete -ex detach >"$work/gdb" 2>&1 &
	pid=$!
	within 60 grep -q '^Hardware assisted breakpoint 1 at' "$work/gdb" ||
		{ cat "$work/gdb"; return 1; }
	is called ctl exec gdb -- echo called || { cat "$work/gdb"; return 1; }
	wait $pid
	grep -q '^#0 *exec_process (' "$work/gdb" || { cat "$work/gdb"; return 1; }
}
qmp() { "$work/bin/qmp" "$vmdir/qmp.sock" "$1"; }

if ! command -v gdb >/dev/null; then
	skip 'a breakpoint in the kernel' 'there is no gdb'
	skip 'a breakpoint in the agent' 'there is no gdb'
else
	ok 'a breakpoint in the kernel' in_kernel
	if ok 'boot' boot gdb --rootfs "$rootfs" --guest-proc /guest --append norandmaps; then
		ok 'a breakpoint in the agent' in_agent
		ok 'stop' stop gdb
	fi
fi
