# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2016,SC2046
# once: distro
# Debian on a read-only disk: with systemd as PID 1, the agent as its service and the kernel command
# line used by Kata; and with our init. The end of the agent's service ends the VM.

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

# boot_systemd NAME: boots the disk with systemd; the container's first process obeys privileged(),
# and
# SIGTERM, for which systemd waits 90 s before it powers off.
boot_systemd()
{
	boot_options="$(disk_options) --root-image $work/systemd.img" boot "$1" --append \
		"$kata_parameters" \
		--rootfs "$rootfs" --privileged --guest-proc /hostproc -- sh -c \
		"trap exit TERM; $obeys"
}

processes()
{
	is $'systemd\nkata-agent' privileged systemd \
		'cat /hostproc/1/comm; cat /hostproc/[0-9]*/comm | grep -x kata-agent | uniq'
}

# powers_off COMMAND...: the VM powers itself off after the command. Its monitor is stopped
# meanwhile, because it would end the VM itself.
powers_off()
{
	local monitor status
	monitor=$(jq -r .monitor "$vmdir/state.json")
	kill -STOP "$monitor" || return 1
	"$@"
	within 180 powered_off
	status=$?
	tail -n 3 "$vmdir/console.log"
	kill -CONT "$monitor"
	return $status
}

powered_off()
{
	grep -aq 'reboot: Power down' "$vmdir/console.log" &&
		! pgrep -f -r R,S,D "qemu-system.*$vmdir/" >/dev/null
}

gone() { within 60 nothing_left && ctl rm "${vmdir##*/}" && vms=(); }
nothing_left() { no_process "$vmdir/" && test "$(jq .finished "$vmdir/state.json")" -gt 0; }

# The same packages; our program is PID 1 and the agent.
own_container()
{
	ctl run $(disk_options) --root-image "$work/debian.img" --verbose \
		--rootfs "$rootfs" --privileged --guest-proc /tmp -- \
		sh -c 'readlink /tmp/1/exe; . /tmp/1/root/etc/os-release; echo $ID' \
		>"$work/debian.txt" ||
		return 1
	cat "$work/debian.txt"
	test "$(cat "$work/debian.txt")" = $'/usr/bin/kata-agent\ndebian'
}

if ok 'make a disk with systemd and the agent' make_image_of_debian systemd.img --keep-init; then
	if ok 'a container in a guest whose PID 1 is systemd' boot_systemd systemd; then
		ok 'systemd and the agent' processes
		ok 'the VM ends with its sandbox' powers_off ctl rpc "$address" DestroySandbox '{}'
		ok 'nothing is left of it' gone
	fi
fi
if ok 'make a Debian disk with our init' make_image_of_debian debian.img; then
	ok 'a container in a Debian guest whose PID 1 is ours' own_container
fi
rm -f "$work/systemd.img" "$work/debian.img"
