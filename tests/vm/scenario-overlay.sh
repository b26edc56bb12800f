# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A container whose root is an overlay: read-only layers on disks of their own (erofs, ext4) or on
# partitions of one disk, checked by dm-verity, and a writable one on a disk or in the guest's
# memory.

run=/run/kata-containers
layers=$run/virtual-volumes

# The first layer of the list is the top one.
make_layers()
{
	# The other kernel may have run in this lane before.
	rm -rf "$work/top" "$work/bottom"
	mkdir -p "$work/top/etc" "$work/top/bin" &&
		echo 'from the top layer' >"$work/top/etc/layer" &&
		echo one >"$work/top/etc/only-top" &&
		userland "$work/bottom" && mkdir -p "$work/bottom/etc" &&
		echo 'from the bottom layer' >"$work/bottom/etc/layer" &&
		echo two >"$work/bottom/etc/only-bottom" &&
		belongs_to_all "$work"/top{,/etc,/etc/layer} "$work/bottom/etc" &&
		mkfs.erofs "$work/top.erofs" "$work/top" &&
		mke2fs -q -t ext4 -d "$work/bottom" "$work/bottom.ext4" 32M &&
		mke2fs -q -t ext4 -O ^has_journal "$work/rw.ext4" 16M &&
		mke2fs -q -t ext4 -O ^has_journal "$work/upper.ext4" 16M || return 1
	mkfs.erofs "$work/bottom.erofs" "$work/bottom" && verity_append "$work/top.erofs" &&
		verity_append "$work/bottom.erofs" ||
		return 1
	# The boot code is free for the magic that tatamictl looks for.
	truncate -s 32M "$work/parts" &&
		printf 'label: gpt\nstart=2048, size=8192\nstart=10240, size=40960\n' |
		sfdisk -q "$work/parts" || return 1
	printf XFSB | dd of="$work/parts" conv=notrunc &&
		dd if="$work/top.erofs" of="$work/parts" bs=512 seek=2048 conv=notrunc &&
		dd if="$work/bottom.erofs" of="$work/parts" bs=512 seek=10240 conv=notrunc
}

# part NUMBER NAME ID [HASH]: a partition as a layer, as the Rust runtime describes it
part()
{
	echo '{"driver":"erofs.multi-layer","source":"0c","fstype":"erofs","mount_point":"'"$run/$3/rootfs"'","options":["ro","X-kata.overlay-lower",
		"X-kata.multi-layer=true","X-kata.gpt-partitioned=true","X-kata.partition-number='"$1"'",'"$(verity_options "$work/$2.erofs" "${4-}")"']}'
}

# layer SLOT FSTYPE NAME: a disk as the storage of a layer
layer()
{
	echo '{"driver":"blk","source":"'"$1"'","fstype":"'"$2"'","mount_point":"'"$layers/$3"'","options":["ro"]}'
}

# stacked ID OPTIONS DRIVER_OPTIONS [STORAGES]: the storages of a container whose root is an overlay
stacked()
{
	echo "[$(layer 09 erofs top),$(layer 0a ext4 bottom)${4-},"'
		{"driver":"overlayfs","source":"none","fstype":"overlay","mount_point":"'"$run/$1/rootfs"'",
		 "options":["lowerdir='"$layers/top:$layers/bottom"'"'"$2"'],"driver_options":['"$3"']}]'
}

# started ID STORAGES COMMAND...: creates and starts a container with these storages
started()
{
	local id=$1
	EXTRA_FIELDS=",\"storages\":$2"
	shift 2
	rpc CreateContainer "$(spec "$id" "$run/$id/rootfs" "$@")" || return 1
	EXTRA_FIELDS=''
	rpc StartContainer '{"container_id":"'"$id"'"}'
}

# look COMMAND: in the root of the guest
look() { ctl exec --privileged overlay -- sh -c "cd /hostproc/1/root && $1"; }
state() { look "cut -d' ' -f5,9- /hostproc/1/mountinfo; ls -A .$run; ls /hostproc/1/fd sys/block"; }
as_before()
{
	state >"$work/after"
	diff "$work/before" "$work/after"
}

on_a_disk()
{
	local rw='{"driver":"blk","source":"0b","fstype":"ext4","mount_point":"'"$layers/rw"'"}'
	local make='"io.katacontainers.volume.overlayfs.create_directory='$layers/rw
	state >"$work/before"
	started one \
		"$(stacked one ',"upperdir='"$layers/rw/upper"'","workdir='"$layers/rw/work"'"' \
		"$make/upper\",$make/work\"" ",$rw")" \
		sh -c 'cd /etc; cat layer only-top only-bottom >said; rm only-bottom; echo written >layer; echo done >>said; sleep 3600' || return 1
	within 20 look "grep -q done .$run/one/rootfs/etc/said" || return 1
	rpc RemoveContainer '{"container_id":"one"}' || return 1
	state >"$work/after"
	diff "$work/before" "$work/after" || return 1
	is $'from the top layer\none\ntwo\ndone' debugfs -R 'cat /upper/etc/said' "$work/rw.ext4" ||
		return 1
	is written debugfs -R 'cat /upper/etc/layer' "$work/rw.ext4" && e2fsck -fn "$work/rw.ext4"
}

in_memory()
{
	state >"$work/before"
	started two "$(stacked two ',"io.katacontainers.fs-opt.overlay-rw"' '')" \
		sh -c 'cd /etc; cat layer >said; dd if=/dev/zero of=/large bs=1M count=8; echo done >>said; sleep 3600' || return 1
	within 20 look "grep -q done .$run/two/rootfs/etc/said" || return 1
	is 'from the top layer' look "head -n 1 .$run/two/upper/etc/said" || return 1
	rpc RemoveContainer '{"container_id":"two"}' || return 1
	as_before
}

verified()
{
	local upper='{"driver":"blk","source":"0d","fstype":"ext4","mount_point":"'"$run/four/rootfs"'","options":["rw","X-kata.overlay-upper","X-kata.multi-layer=true"]}'
	state >"$work/before"
	started four "[$upper,$(part 2 bottom four),$(part 1 top four)]" \
		sh -c 'cd /etc; cat layer only-top only-bottom >said; echo done >>said; sleep 3600' || return 1
	within 20 look "grep -q done .$run/four/rootfs/etc/said" || return 1
	is $'dm-0\ndm-1' look 'ls sys/block | grep dm' || return 1
	rpc RemoveContainer '{"container_id":"four"}' || return 1
	within 10 as_before >/dev/null || return 1
	is $'from the top layer\none\ntwo\ndone' debugfs -R 'cat /upper/etc/said' \
		"$work/upper.ext4" && e2fsck -fn "$work/upper.ext4"
}

tampered()
{
	state >"$work/before"
	EXTRA_FIELDS=",\"storages\":[$(part 1 top five),$(part 2 bottom five \
		"$(cat "$work/top.erofs.hash")")]"
	says 'multi-layer/lower-1' rpc CreateContainer "$(spec five "$run/five/rootfs" true)" ||
		return 1
	within 10 as_before >/dev/null || return 1
	EXTRA_FIELDS=",\"storages\":[$(part 3 top five)]"
	says 'partition 3' rpc CreateContainer "$(spec five "$run/five/rootfs" true)" || return 1
	EXTRA_FIELDS=''
	as_before
}

# A failure leaves nothing, whichever layer is missing.
missing_layer()
{
	local storages
	state >"$work/before"
	storages=$(stacked three '' '')
	EXTRA_FIELDS=",\"storages\":${storages/top:/missing:}"
	says "$layers/missing" rpc CreateContainer "$(spec three "$run/three/rootfs" true)" ||
		return 1
	EXTRA_FIELDS=",\"storages\":${storages/09/1c}"
	says '1c' rpc CreateContainer "$(spec three "$run/three/rootfs" true)" || return 1
	EXTRA_FIELDS=''
	as_before
}

if ok 'make the layers' make_layers &&
	ok 'boot with five disks' boot overlay --rootfs "$rootfs" \
	--privileged --guest-proc /hostproc --append 'agent.hotplug_timeout=1' \
	--attach "blk:$work/top.erofs" --attach "blk:$work/bottom.ext4" \
	--attach "blk:$work/rw.ext4" \
	--attach "blk:$work/parts" --attach "blk:$work/upper.ext4"; then
	ok 'overlayfs: two read-only layers and a writable one on a disk' on_a_disk
	ok 'overlayfs: a writable layer in the memory of the guest' in_memory
	ok 'overlayfs: a missing layer fails and leaves nothing' missing_layer
	if test "$kernel" = ours; then
		ok 'erofs.multi-layer: partitions with dm-verity, and an upper layer on a disk' \
			verified
		ok 'erofs.multi-layer: a layer that does not match its hash is refused' tampered
	else
		skip 'erofs.multi-layer: partitions with dm-verity' 'the initrd has no dm-verity'
	fi
	ok 'stop' stop overlay
fi
