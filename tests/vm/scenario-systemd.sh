# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2046
# once: distro
# systemd as PID 1 on a read-only disk, with the agent as its service and the kernel command line
# used by Kata.

kata_parameters='tsc=reliable no_timer_check rcupdate.rcu_expedited=1 i8042.direct=1 i8042.dumbkbd=1 i8042.nopnp=1 i8042.noaux=1'
kata_parameters="$kata_parameters noreplace-smp reboot=k cryptomgr.notests net.ifnames=0 pci=lastbus=0 quiet panic=1 nr_cpus=1"
kata_parameters="$kata_parameters systemd.show_status=false selinux=0 scsi_mod.scan=none cgroup_no_v1=all"
kata_parameters="$kata_parameters systemd.unified_cgroup_hierarchy=1 systemd.unit=kata-containers.target"
kata_parameters="$kata_parameters systemd.mask=systemd-networkd.service systemd.mask=systemd-networkd.socket"

make_systemd()
{
	local tree
	test ! -f "$work/systemd.img" || return 0
	tree=$(scripts/debian-rootfs systemd) &&
		TATAMI_INITRD=$OUT/tatami-initrd rootfs-builder/mkdisk -o "$work/systemd.img" -- \
			--init "$OUT/tatami" --keep-init --tree "$tree" \
			--tree rootfs-builder/systemd
}

run_in_systemd()
{
	ctl run $(disk_options) --root-image "$work/systemd.img" --append "$kata_parameters" \
		--verbose \
		--rootfs "$rootfs" --privileged --guest-proc /tmp -- \
		sh -c 'cat /tmp/1/comm; cat /tmp/[0-9]*/comm | grep -x kata-agent; cat /proc/self/cgroup'
}

systemd_container()
{
	run_in_systemd >"$work/systemd.txt" || return 1
	cat "$work/systemd.txt"
	test "$(sed -n 1,2p "$work/systemd.txt")" = $'systemd\nkata-agent'
}

if ok 'make a disk with systemd and the agent' make_systemd; then
	ok 'a container in a guest whose PID 1 is systemd' systemd_container
fi
