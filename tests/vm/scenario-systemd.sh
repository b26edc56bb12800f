# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2016,SC2046
# once: distro
# Debian on a read-only disk: with systemd as PID 1, the agent as its service and the kernel command
# line used by Kata; and with our init.

kata_parameters='tsc=reliable no_timer_check rcupdate.rcu_expedited=1 i8042.direct=1 i8042.dumbkbd=1 i8042.nopnp=1 i8042.noaux=1'
kata_parameters="$kata_parameters noreplace-smp reboot=k cryptomgr.notests net.ifnames=0 pci=lastbus=0 quiet panic=1 nr_cpus=1"
kata_parameters="$kata_parameters systemd.show_status=false selinux=0 scsi_mod.scan=none cgroup_no_v1=all"
kata_parameters="$kata_parameters systemd.unified_cgroup_hierarchy=1 systemd.unit=kata-containers.target"
kata_parameters="$kata_parameters systemd.mask=systemd-networkd.service systemd.mask=systemd-networkd.socket"

# make_image_of_debian FILE OPTION...: an image of the Debian userland with the agent
make_image_of_debian()
{
	local file=$1 tree
	shift
	tree=$(tests/support/userland systemd) &&
		"$OUT/tatami-rootfs" --quiet --init "$OUT/tatami" --from "dir:$tree" --keep-owners \
			--format disk --filesystem ext4 --partitions mbr --no-sbom "$@" \
			--output "$work/$file"
}

# run_in FILE: prints the names of PID 1 and of the agent, and the container's cgroup
run_in()
{
	ctl run $(disk_options) --root-image "$work/$1" --append "$kata_parameters" \
		--verbose \
		--rootfs "$rootfs" --privileged --guest-proc /tmp -- \
		sh -c 'cat /tmp/1/comm; cat /tmp/[0-9]*/comm | grep -x kata-agent; cat /proc/self/cgroup'
}

systemd_container()
{
	run_in systemd.img >"$work/systemd.txt" || return 1
	cat "$work/systemd.txt"
	test "$(sed -n 1,2p "$work/systemd.txt")" = $'systemd\nkata-agent'
}

# The same packages; our program is PID 1 and the agent.
own_container()
{
	ctl run $(disk_options) --root-image "$work/debian.img" --verbose \
		--rootfs "$rootfs" --privileged --guest-proc /tmp -- \
		sh -c 'readlink /tmp/1/exe; . /tmp/1/root/etc/os-release; echo $ID' >"$work/debian.txt" ||
		return 1
	cat "$work/debian.txt"
	test "$(cat "$work/debian.txt")" = $'/usr/bin/kata-agent\ndebian'
}

if ok 'make a disk with systemd and the agent' make_image_of_debian systemd.img --keep-init; then
	ok 'a container in a guest whose PID 1 is systemd' systemd_container
fi
if ok 'make a Debian disk with our init' make_image_of_debian debian.img; then
	ok 'a container in a Debian guest whose PID 1 is ours' own_container
fi
rm -f "$work/systemd.img" "$work/debian.img"
