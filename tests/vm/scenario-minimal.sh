# SPDX-License-Identifier: Apache-2.0
# once: ours
# shellcheck shell=bash
# A container on our smallest kernel (profile minimal), on microvm: its root, its volume and its
# network card are on virtio-mmio. There is no share, no PCI, no ACPI and no module. make kernel
# PROFILE=minimal builds that kernel.

make_images()
{
	rm -f "$work"/minimal-*.img
	mkdir -p "$work/minimal" && echo minimal >"$work/minimal/name" &&
		mke2fs -q -t ext4 -d "$rootfs" "$work/minimal-root.img" 32M &&
		mke2fs -q -t ext4 -d "$work/minimal" "$work/minimal-vol.img" 8M
}

# on_minimal IMAGE: prints the options of both VMs.
on_minimal() \
	{ echo --machine microvm --share none --rootfs "$work/minimal-root.img" --kernel \
	"$minimal/$1" --initrd "$OUT/kernel/ours/initrd.img"; }

# packed: vmlinuz, which also contains the code that unpacks it, runs a container
# shellcheck disable=SC2046
packed() { code 42 ctl run $(on_minimal vmlinuz) -- sh -c 'test "$(uname -r)" = "$1" && exit 42' \
	sh "$(cat "$minimal/release")"; }

# is_minimal: the guest has the configuration of the profile, and no part that it leaves out
is_minimal()
{
	ctl exec minimal -- sh -c 'zcat /proc/config.gz' >"$work/config" &&
		cmp "$work/config" "$minimal/config" &&
		is $'no\nno\nno' ctl exec minimal -- sh -c \
		'for f in /proc/modules /sys/bus/pci /sys/firmware/acpi; do test -e $f && echo $f || echo no; done'
}

volume()
{
	is $'ext4\nminimal' ctl exec minimal -- sh -c \
		'echo data >/vol/data && sync && grep " /vol " /proc/mounts | cut -d" " -f3 && cat /vol/name'
}
streams() { ctl exec minimal -- sh -c 'echo out; echo err >&2' 2>&1 | sort; }

card()
{
	is 02:00:00:00:00:01 ctl exec minimal -- cat /sys/class/net/eth0/address &&
		rpc UpdateInterface \
		'{"interface":{"device":"eth0","name":"eth0","mtu":1400,"hwAddr":"02:00:00:00:00:01",
			"IPAddresses":[{"address":"10.0.2.15","mask":"24"}]}}' && is 1400 ctl exec minimal -- cat /sys/class/net/eth0/mtu &&
		ctl exec minimal -- ping -c 1 -w 60 10.0.2.2
}

# limited: limits of every controller that a specification can set without huge pages, a rule for
# devices, a filter for system calls, namespaces of its own. The container ends early if the filter
# is not there.
limited()
{
	local value
	spec small "$guest_rootfs" sh -c \
		'! mkdir /small 2>/dev/null && echo x >/dev/null && exec sleep 3600' |
		jq -c '.OCI.Linux += {
		Resources: {Memory: {Limit: 33554432}, Pids: {Limit: 7}, CPU: {Shares: 512, Quota: 50000, Period: 100000, Cpus: "0"},
			BlockIO: {ThrottleReadBpsDevice: [{Major: 254, Minor: 0, Rate: 1000000}]},
			Devices: [{Allow: false, Access: "rwm"}, {Allow: true, Type: "c", Major: 1, Minor: 3, Access: "rwm"}]},
		Seccomp: {DefaultAction: "SCMP_ACT_ALLOW", Architectures: ["SCMP_ARCH_X86_64"], Syscalls: [{Names: ["mkdir"], Action: "SCMP_ACT_ERRNO"}]}}
		| .OCI.Linux.Namespaces += [{Type: "pid"}, {Type: "network"}]' >"$work/minimal-small.json"
	rpc CreateContainer "@$work/minimal-small.json" &&
		rpc StartContainer '{"container_id":"small"}' || return 1
	value=$(rpc StatsContainer '{"container_id":"small"}') &&
		jq -e '.cgroup_stats | .memory_stats.usage.limit == "33554432" or .memory_stats.usage.limit == 33554432' <<<"$value" || return 1
	rpc SignalProcess '{"container_id":"small","exec_id":"small","signal":9}' &&
		rpc WaitProcess '{"container_id":"small","exec_id":"small"}' | grep -q 137 &&
		rpc RemoveContainer '{"container_id":"small"}'
}

if ! minimal=$(kernel-config/build --cached --profile minimal 2>/dev/null); then
	skip 'containers on the smallest kernel' 'it is not built'
elif ok 'make images' make_images; then
	ok 'vmlinuz runs a container' packed
	# shellcheck disable=SC2046
	if ok 'boot vmlinux on microvm' boot minimal $(on_minimal vmlinux) --nic -v \
		"type=blk,source=$work/minimal-vol.img,target=/vol"; then
		ok 'it is the smallest kernel' is_minimal
		ok 'stdout and stderr' is $'err\nout' streams
		ok 'exit status' code 42 ctl exec minimal -- sh -c 'exit 42'
		ok 'a volume on a disk' volume
		ok 'a network card' card
		ok 'limits of a container, stats, SIGKILL' limited
		ok 'stop leaves nothing' stop minimal
		ok 'the volume was written' is data debugfs -R 'cat /data' "$work/minimal-vol.img"
	fi
fi
rm -rf "$work/minimal" "$work"/minimal-*
