# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# only on: ours
# Disks that are plugged, used and unplugged one after another, and the guest time from device_add
# to the mount (tests/vm/disks.c). PLUG_COUNT=N: that many; make bench plugs 100.

# plug_disks KIND COUNT
plug_disks()
{
	timeout 900 "$BUILD/asan/tests/vm/disk-suite" "$address" "$vmdir/qmp.sock" \
		"$work/plug.img" "$work" "$1" "$2" >"$work/plug-$1" ||
		return 1
	grep -q ' to mounted: p50 ' "$work/plug-$1"
}

plug_count=${PLUG_COUNT:-20}
mkdir -p "$work/plug-tree" && echo DISK-MARK >"$work/plug-tree/name" &&
	mke2fs -q -t ext4 -d "$work/plug-tree" "$work/plug.img" 8M >/dev/null 2>&1
userland "$work/plug" && mkdir -p "$work/plug/hostproc" &&
	cp "$work/bin/mount-probe" "$work/plug/bin"
if ok 'boot with time that counts instructions' boot plug --accel tcg --icount --cpus 1 --rootfs \
	"$work/plug" --append agent.hotplug_timeout=120 \
	--qemu-arg -device --qemu-arg virtio-scsi-pci,id=scsi0,bus=pcie.0,addr=0x1a; then
	ok "$plug_count virtio-blk disks in a row" plug_disks blk "$plug_count"
	ok "$((plug_count / 4)) virtio-scsi disks in a row" plug_disks scsi "$((plug_count / 4))"
	sed "s/^/# $kernel $scenario: /" "$work"/plug-blk "$work"/plug-scsi
	ok 'stop leaves nothing' stop plug
fi
rm -rf "$work/plug" "$work/plug-tree"
