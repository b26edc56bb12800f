# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2046
# The guest's root on a read-only disk instead of an initrd. The sandbox's files for name resolution
# are bound over the guest's own.

make_disk()
{
	TATAMI_INITRD=$OUT/tatami-initrd rootfs-builder/mkdisk -o "$work/root.ext4" \
		-- --init "$OUT/tatami"
}

mkdir -p "$rootfs/hostproc"
if ok 'make the disk image' make_disk; then
	ok 'a container on a guest whose root is a read-only disk' is \
		$'hello\npod-two\n127.0.1.1\tpod-two' \
		ctl run $(disk_options) --root-image "$work/root.ext4" \
		--verbose --rootfs "$rootfs" --privileged --guest-proc /hostproc \
		--hostname pod-two -- sh -c \
		'echo hello; cd /hostproc/1/root/etc; cat hostname; grep pod-two hosts'
fi
