# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The agent natively on a unix socket: its own rows, and those of many interfaces and routes.

# native_program NAME: runs a program of the bench build next to a rootfs, and takes its rows
native_program()
{
	test -e "$work/rootfs" || scripts/demo-rootfs "$work/rootfs" >/dev/null 2>&1
	ROOTFS=$work/rootfs AGENT_LOG=$work/agent.log AGENT=$agent BARE=$bare \
		"$BUILD/bench/tests/bench/$1" >>"$raw" || fail "$1 failed"
}

area_native()
{
	say 'bench: the agent natively, on a unix socket'
	native_program bench
}

area_network()
{
	say 'bench: many interfaces and routes'
	native_program bench-network
}

area_many()
{
	say 'bench: Check under load, and up to 1,000 containers'
	native_program bench-load
}
