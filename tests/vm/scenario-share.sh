# SPDX-License-Identifier: Apache-2.0
# soak: ours distro
# shellcheck shell=bash disable=SC2046
# All ways to share the rootfs and volumes; hot-plugged disks; a share whose server stops answering.

plug_and_mount()
{
	"$work/bin/qmp" "$vmdir/qmp.sock" \
		'{"execute":"blockdev-add","arguments":{"node-name":"n1","driver":"raw","file":{"driver":"file","filename":"'"$work/plug.ext4"'"}}}' \
		'{"execute":"device_add","arguments":{"driver":"virtio-blk-pci","id":"d1","drive":"n1","bus":"hotplug0"}}' || return 1
	EXTRA_FIELDS=',"storages":[{"driver":"blk","source":"1e/00","fstype":"ext4","mount_point":"/run/kata-containers/sandbox/storage/plug"}]'
	EXTRA_MOUNTS=',{"destination":"/plug","type":"bind","source":"/run/kata-containers/sandbox/storage/plug","options":["rbind"]}'
	rpc CreateContainer \
		"$(spec plug "$guest_rootfs" sh -c \
		'grep -q /plug.ext4 /proc/mounts; echo x >/plug/x && sync')" || return 1
	EXTRA_FIELDS='' EXTRA_MOUNTS=''
	rpc StartContainer '{"container_id":"plug"}' || return 1
	rpc WaitProcess '{"container_id":"plug","exec_id":"plug"}' || return 1
	rpc RemoveContainer '{"container_id":"plug"}' || return 1
	debugfs -R 'ls -l /' "$work/plug.ext4" 2>/dev/null | grep -q ' x$' ||
		{ echo 'the file is not on the disk'; return 1; }
}

missing_disk()
{
	EXTRA_FIELDS=',"storages":[{"driver":"blk","source":"1e/01","fstype":"ext4","mount_point":"/run/kata-containers/sandbox/storage/none"}]'
	rpc CreateContainer "$(spec none "$guest_rootfs" true)"
}

# other_lives: the agent answers, and another container can be created and removed. The caller
# checks that what hangs still does.
other_lives()
{
	EXTRA_FIELDS=''
	rpc Check '{}' &&
		rpc CreateContainer "$(spec other "$guest_rootfs" true)" &&
		rpc StartContainer '{"container_id":"other"}' &&
		rpc WaitProcess '{"container_id":"other","exec_id":"other"}' &&
		rpc RemoveContainer '{"container_id":"other"}'
}

# hang STORAGE-JSON: a CreateContainer that needs the storage hangs
begin_hung()
{
	EXTRA_FIELDS=",\"storages\":[$1]"
	LIMIT=60 rpc CreateContainer "$(spec hung "${2:-$guest_rootfs}" true)" >"$work/hung" 2>&1 &
	hung=$!
	sleep 1
	kill -0 $hung || { echo "it did not hang: $(cat "$work/hung")"; return 1; }
}

hang_virtiofs()
{
	local pid
	pid=$(pgrep -f "shared-dir=$work/stopped" | tr '\n' ' ')
	test -n "$pid" || { echo 'no virtiofsd found'; return 1; }
	# shellcheck disable=SC2086
	kill -STOP $pid
	begin_hung \
		'{"driver":"virtio-fs","source":"share4","fstype":"virtiofs","mount_point":"/run/kata-containers/shared/hung"}' \
		/run/kata-containers/shared/hung || return 1
	other_lives || return 1
	kill -0 $hung || { echo "it ended: $(cat "$work/hung")"; return 1; }
	# The call may be cancelled: the reply comes within bounded time.
	test "$SOAK" = 0 || rpc RemoveContainer '{"container_id":"hung"}' ||
		echo 'RemoveContainer of the hung one failed'
	kill $hung 2>/dev/null
	wait $hung
	test "$SOAK" = 0 || other_lives || return 1
	# Nothing blocks the power-off in that case; make soak shows that it never waits forever.
	# shellcheck disable=SC2086
	test "$SOAK" = 1 || kill -CONT $pid
}

hang_9p()
{
	local hang=0
	mkdir -p "$work/mnt/sub"
	"$work/bin/hangfs" "$work/mnt/sub" &
	hangfs=$!
	within 60 grep -q " $work/mnt/sub fuse" /proc/mounts
	begin_hung \
		'{"driver":"9p","source":"share5","fstype":"9p","options":["trans=virtio","version=9p2000.L"],"mount_point":"/run/kata-containers/shared/nine"}' \
		/run/kata-containers/shared/nine/sub || hang=1
	test $hang = 0 && { other_lives || hang=1; }
	test $hang = 0 && { kill -0 $hung || { echo "it ended: $(cat "$work/hung")"; hang=1; }; }
	kill $hung 2>/dev/null
	wait $hung
	kill -KILL $hangfs
	wait $hangfs 2>/dev/null
	umount -l "$work/mnt/sub" 2>/dev/null
	return $hang
}

# A container whose rootfs is the disk in slot 0e (the seventh share).
disk_rootfs()
{
	EXTRA_FIELDS=',"storages":[{"driver":"blk","source":"0e","fstype":"ext4","mount_point":"/run/kata-containers/shared/containers/disk/rootfs"}]'
	rpc CreateContainer \
		"$(spec disk /run/kata-containers/shared/containers/disk/rootfs grep -q ' / ext4 ' \
		/proc/mounts)" || return 1
	EXTRA_FIELDS=''
	rpc StartContainer '{"container_id":"disk"}' || return 1
	rpc WaitProcess '{"container_id":"disk","exec_id":"disk"}' | tee /dev/stderr |
		grep -q '"status": *0' || return 1
	rpc RemoveContainer '{"container_id":"disk"}'
}

guest_mounts() { ctl exec shares -- cat /hostproc/1/mounts; }
no_more_mounts()
{
	test "$(guest_mounts)" = "$mounts_before" ||
		{ guest_mounts | diff - <(echo "$mounts_before")
	}
}
written()
{
	ctl exec shares -- sh -c 'echo to-the-host >/data/new' &&
		test "$(cat "$work/vol/new")" = to-the-host
}

mkdir -p "$work/vol" "$work/mnt" "$work/stopped" "$rootfs/hostproc"
belongs_to_all "$work/vol"
echo from-the-host >"$work/vol/file"
mke2fs -q -t ext4 -d "$rootfs" "$work/rootfs.ext4" 64M >/dev/null 2>&1
mke2fs -q -t ext4 "$work/plug.ext4" 8M >/dev/null 2>&1

if ok 'boot with a rootfs and volumes on virtio-fs, disks and more shares' boot shares \
	--rootfs "$rootfs" --share virtio-fs \
	-v "$work/vol:/data" -v "$work/vol:/ro:ro" -v "$work/vol/file:/etc/one" \
	--privileged --guest-proc /hostproc \
	--attach "virtio-fs:$work/stopped" --attach "9p:$work/mnt" \
	--attach "blk:$work/rootfs.ext4"; then
	mounts_before=$(guest_mounts)
	ok 'the rootfs is virtio-fs' is virtiofs ctl exec shares -- sh \
		-c "grep ' / ' /proc/mounts | cut -d' ' -f3"
	ok 'a volume' is from-the-host ctl exec shares -- cat /data/file
	ok 'data written to a volume arrives on the host' written
	ok 'a read-only volume' says 'Read-only file system' ctl exec shares -- sh \
		-c 'echo x >/ro/new'
	ok 'a volume of a single file' is from-the-host ctl exec shares -- cat /etc/one
	ok 'a rootfs on virtio-blk' disk_rootfs
	ok 'a hot-plugged disk is mounted by its PCI path' plug_and_mount
	ok 'a missing disk fails the call in bounded time' says '1e/01' missing_disk
	ok 'no mount is left' no_more_mounts
	ok 'Check and other containers work while a virtio-fs mount hangs' hang_virtiofs
	ok_as_root 'Check and other containers work while a 9p walk hangs' \
		'a mount of FUSE is for root only' hang_9p
	ok 'stop leaves nothing despite hung mounts' stop shares
fi
if test "$SOAK" = 1; then
	ok 'run with a virtio-blk rootfs and a 9p volume' is $'ext4\nfrom-the-host' \
		ctl run $(vm_options) --writable --rootfs "$work/rootfs.ext4" -v \
		"$work/vol:/data:ro" -- sh \
		-c "grep ' / ' /proc/mounts | cut -d' ' -f3; cat /data/file"
fi
