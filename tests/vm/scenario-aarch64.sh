# SPDX-License-Identifier: Apache-2.0
# once: ours
# soak: ours
# shellcheck shell=bash
# A guest of another architecture, emulated by QEMU: what `make ARCH=aarch64 image` made boots on
# the machine virt and runs containers. The guest's files are in $OUT/aarch64 (scripts/test). The
# kernel is our own if it is built, else the distribution's. `make soak` builds ours, and boots it
# unless `make test` has booted the same kernel and initrd.

aarch64_kernel=distro
test ! -f "$OUT/aarch64/kernel/ours/vmlinuz" || aarch64_kernel=ours
aarch64_dir=$OUT/aarch64/kernel/$aarch64_kernel
aarch64_rootfs=$work/rootfs-aarch64
aarch64_sum() { cat "$aarch64_dir/vmlinuz" "$aarch64_dir/initrd.img" | sha256sum; }

up()
{
	ctl boot --name arm --share 9p --kernel "$aarch64_dir/vmlinuz" --initrd \
		"$aarch64_dir/initrd.img" \
		--rootfs "$aarch64_rootfs" || return 1
	vms+=(arm)
	vmdir=${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/tatami}
	vmdir=${vmdir:-/tmp/tatami-vms-$(id -u)}/arm
	address=$(sed -n 's/.*"address": "\(.*\)".*/\1/p' "$vmdir/state.json")
	test -n "$address"
}

streams() { ctl exec arm -- sh -c 'echo out; echo err >&2' 2>&1 | sort; }
input() { ctl exec -i arm -- cat <"$work/typed"; }

# limited: a container with limits has them, and ends
limited()
{
	EXTRA_FIELDS='' spec small "$guest_rootfs" sleep 3600 |
		sed 's|"CgroupsPath"|"Resources":{"Memory":{"Limit":33554432},"Pids":{"Limit":7}},&|' >"$work/request"
	rpc CreateContainer "$(cat "$work/request")" &&
		rpc StartContainer '{"container_id":"small"}' &&
		rpc StatsContainer '{"container_id":"small"}' | tee "$work/stats" &&
		tr -d ' \n' <"$work/stats" | grep -q '"limit":"\?33554432' &&
		tr -d ' \n' <"$work/stats" | grep -q '"limit":"\?7\b' &&
		rpc SignalProcess '{"container_id":"small","exec_id":"small","signal":9}' &&
		rpc WaitProcess '{"container_id":"small","exec_id":"small"}' | grep -q 137 &&
		rpc RemoveContainer '{"container_id":"small"}'
}

test $aarch64_kernel = ours || skip 'the kernel "ours" boots on the machine virt' \
	'not built: make soak builds it, or make ARCH=aarch64 kernel'
if test "$SOAK" = 1 && test "$(aarch64_sum)" = "$(cat "$aarch64_dir/booted" 2>/dev/null)"; then
	skip "the kernel \"$aarch64_kernel\" boots on the machine virt" 'booted by make test'
elif ARCH=aarch64 scripts/demo-rootfs "$aarch64_rootfs" &&
     ok "the kernel \"$aarch64_kernel\" boots on the machine virt" up; then
	ok 'the kernel is that one' is "$(cat "$aarch64_dir/release")" ctl exec arm -- uname -r
	ok 'the container is of aarch64' is aarch64 ctl exec arm -- uname -m
	ok 'stdout and stderr' is $'err\nout' streams
	echo 'typed text' >"$work/typed"
	ok 'stdin' is 'typed text' input
	ok 'exit status' code 42 ctl exec arm -- sh -c 'exit 42'
	ok 'limits of a container, stats, SIGKILL' limited
	ok 'stop leaves nothing' stop arm
	test -n "$failures" || aarch64_sum >"$aarch64_dir/booted"
fi
