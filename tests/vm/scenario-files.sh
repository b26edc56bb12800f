# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2016
# only on: ours
# Files that the host copies in, and calls on volumes: checked through the guest's own /proc (the
# root of its init is the guest's), with statfs(2) in a shell in the guest, and on the disks, from
# the host's side. docs/protocol.md names these tests.

# root of the guest as seen by container main
guest=/hostproc/1/root
containers=/run/kata-containers/shared/containers
volume=/run/kata-containers/sandbox/storage/vol

# look SCRIPT: runs a shell that sees the whole guest
look() { ctl exec --privileged files -- sh -c "cd $guest && { $1; }"; }

# copy PATH MODE SIZE OFFSET DATA [FIELDS]: one CopyFile
copy()
{
	rpc CopyFile \
		'{"path":"'"$1"'","file_mode":'"$((8#$2))"',"dir_mode":488,"uid":1000,"gid":2000,"file_size":'"$3"',"offset":'"$4"',
		"data":"'"$(printf %s "$5" | base64 -w0)"'"'"${6-}"'}'
}

# Three parts out of order; a directory; a link that replaces another.
copied()
{
	copy $containers/in/conf/app.yaml 100640 9 0 abc &&
		copy $containers/in/conf/app.yaml 100640 9 6 ghi || return 1
	look "test ! -e .$containers/in/conf/app.yaml" ||
		{ echo 'there before it is complete'; return 1; }
	copy $containers/in/conf/app.yaml 100640 9 3 def && copy $containers/in/dir 042750 0 0 '' &&
		copy $containers/in/link 120777 0 0 first &&
		copy $containers/in/link 120777 0 0 conf || return 1
	is "640 1000 2000 abcdefghi
2750 1000 2000
conf
app.yaml dir link" look "cd .$containers/in && echo \$(stat -c '%a %u %g' conf/app.yaml) \$(cat conf/app.yaml) &&
		stat -c '%a %u %g' dir && readlink link && echo \$(cd link && echo *) dir link"
}

# Attacks by a host, or by a container that writes to the directory: each has no effect other than
# an error.
hostile()
{
	local before
	before=$(look \
		'find run/kata-containers etc -xdev ! -path "*/in/*" | sort | md5sum; md5sum etc/* 2>/dev/null') || return 1
	copy $containers/in/out 120777 0 0 / || return 1
	says 'has a symlink in its path' copy $containers/in/out/etc/evil 100644 4 0 evil ||
		return 1
	says 'has a symlink in its path' copy $containers/in/out/run/evil 040755 0 0 '' || return 1
	says 'contains . or ..' copy $containers/in/../../../../etc/evil 100644 4 0 evil || return 1
	says 'not below' copy /etc/evil 100644 4 0 evil || return 1
	says 'not a file, a directory or a symlink' copy $containers/in/dev 060600 4 0 evil ||
		return 1
	is "$before" look \
		'find run/kata-containers etc -xdev ! -path "*/in/*" | sort | md5sum; md5sum etc/* 2>/dev/null'
}

# bytes: total and available bytes of the volume according to the guest's kernel
bytes()
{
	look "set -- \$(stat -f -c '%b %a %S %f %c %d' .$volume); echo \$((\$1 * \$3)) \$((\$2 * \$3)) \$(((\$1 - \$4) * \$3)) \$5 \$6"
}

# A disk with ext4 is plugged in, and a container uses it.
with_volume()
{
	mke2fs -q -t ext4 "$work/vol.ext4" 16M >/dev/null 2>&1 || return 1
	"$work/bin/qmp" "$vmdir/qmp.sock" \
		'{"execute":"blockdev-add","arguments":{"node-name":"n1","driver":"raw","file":{"driver":"file","filename":"'"$work/vol.ext4"'"}}}' \
		'{"execute":"device_add","arguments":{"driver":"virtio-blk-pci","id":"d1","drive":"n1","bus":"hotplug0"}}' || return 1
	EXTRA_FIELDS=',"storages":[{"driver":"blk","source":"1e/00","fstype":"ext4","mount_point":"'$volume'"}]'
	EXTRA_MOUNTS=',{"destination":"/vol","type":"bind","source":"'$volume'","options":["rbind"]}'
	rpc CreateContainer "$(spec vol "$guest_rootfs" sleep 3600)" || return 1
	EXTRA_FIELDS='' EXTRA_MOUNTS=''
	rpc StartContainer '{"container_id":"vol"}'
}

usage()
{
	local want
	want=$(bytes) || return 1
	is "$want" sh -c \
		'echo "$1" | jq -r "[.usage[0].total, .usage[0].available, .usage[0].used, .usage[1].total, .usage[1].available] | map(tostring) | join(\" \")"' \
		sh "$(rpc GetVolumeStats '{"volume_guest_path":"'$volume'"}')" || return 1
	says NOT_FOUND rpc GetVolumeStats '{"volume_guest_path":"/no/such/volume"}'
}

resize_disk()
{
	"$work/bin/qmp" "$vmdir/qmp.sock" \
		'{"execute":"block_resize","arguments":{"node-name":"n1","size":'"$1"'}}'
}

# Grown to a size, then to the whole disk; the file system then holds more than before, and is
# consistent.
resized()
{
	local total rest
	says OUT_OF_RANGE rpc ResizeVolume '{"volume_guest_path":"'$volume'","size":67108864}' ||
		return 1
	says 'cannot shrink' rpc ResizeVolume '{"volume_guest_path":"'$volume'","size":1048576}' ||
		return 1
	resize_disk 100663296 && rpc ResizeVolume \
		'{"volume_guest_path":"'$volume'","size":67108864}' || return 1
	read -r total rest < <(bytes)
	echo "asked for 67108864: $total ($rest)"
	test "$total" -gt 50000000 && test "$total" -le 67108864 || return 1
	rpc ResizeVolume '{"volume_guest_path":"'$volume'"}' || return 1
	read -r total rest < <(bytes)
	echo "asked for all: $total ($rest)"
	test "$total" -gt 80000000 || return 1
	look "dd if=/dev/zero of=.$volume/large bs=1M count=64 2>/dev/null && sync" || return 1
	rpc RemoveContainer '{"container_id":"vol"}' && e2fsck -fn "$work/vol.ext4"
}

# The sandbox's own /dev/shm: a new size, the same flags and content.
remounted()
{
	local shm=/run/kata-containers/sandbox/shm storage
	storage='{"driver":"ephemeral","source":"shm","fstype":"tmpfs","mount_point":"'$shm'","options":["remount","size=9M"]}'
	look "echo kept >.$shm/file && dd if=/dev/zero of=.$shm/large bs=1M count=4 2>/dev/null" ||
		return 1
	rpc UpdateEphemeralMounts '{"storages":['"$storage"']}' || return 1
	is $'9437184\nkept' look \
		"set -- \$(stat -f -c '%b %S' .$shm); echo \$((\$1 * \$2)); cat .$shm/file" ||
		return 1
	look "grep ' $shm ' /hostproc/1/mounts" | tee /dev/stderr | grep -q 'nosuid,nodev,noexec' ||
		return 1
	says 'Too small a size' rpc UpdateEphemeralMounts "{\"storages\":[${storage/9M/1M}]}" ||
		return 1
	says 'only ephemeral' rpc UpdateEphemeralMounts \
		"{\"storages\":[${storage/\"ephemeral\"/\"local\"}]}" || return 1
	rpc UpdateEphemeralMounts '{"storages":[]}'
}

# mkfs of the guest's image formats an empty disk, without a journal.
formatted()
{
	EXTRA_FIELDS=',"storages":[{"driver":"blk","source":"0d","fstype":"ext4","mount_point":"'$containers'/made","driver_options":["create_filesystem"]}]'
	rpc CreateContainer "$(spec made "$guest_rootfs" true)" || return 1
	EXTRA_FIELDS=''
	look "grep ' $containers/made ext4 ' /hostproc/1/mounts && echo data >.$containers/made/file" || return 1
	rpc RemoveContainer '{"container_id":"made"}' && e2fsck -fn "$work/empty" &&
		is data debugfs -R 'cat /file' "$work/empty" &&
		! dumpe2fs -h "$work/empty" | grep -q has_journal
}

# A directory replaces a file and vice versa, even where two names cannot be exchanged atomically:
# on 9p.
copied_to_9p()
{
	local at=$containers/nine
	EXTRA_FIELDS=',"storages":[{"driver":"9p","source":"share6","fstype":"9p","mount_point":"'$at'","options":["trans=virtio","version=9p2000.L"]}]'
	rpc CreateContainer "$(spec nine "$guest_rootfs" true)" || return 1
	EXTRA_FIELDS=''
	copy $at/thing 100644 3 0 abc && is abc cat "$work/nine/thing" || return 1
	copy $at/thing 040755 0 0 '' && copy $at/thing/file 100644 3 0 def &&
		is def cat "$work/nine/thing/file" || return 1
	copy $at/thing 100644 3 0 ghi && is ghi cat "$work/nine/thing" &&
		is thing ls -A "$work/nine" || return 1
	rpc RemoveContainer '{"container_id":"nine"}'
}

# An emptyDir with an fsGroup as a runtime sends it, in memory and on disk: its group, its mode and
# its other options.
for_a_group()
{
	local at=$containers/group
	EXTRA_FIELDS=',"storages":[{"driver":"ephemeral","source":"tmpfs","fstype":"tmpfs","mount_point":"'$at'/memory","options":["size=1M","noexec","mode=0750","fsgid=3000"]},
		{"driver":"local","mount_point":"'$at'/directory","options":["fsgid=3000","mode=0770"]}]'
	rpc CreateContainer "$(spec group "$guest_rootfs" true)" || return 1
	EXTRA_FIELDS=''
	is $'2750 0 3000\n2770 0 3000\n1048576' look \
		"cd .$at && stat -c '%a %u %g' memory directory && set -- \$(stat -f -c '%b %S' memory) && echo \$((\$1 * \$2))" || return 1
	look "grep ' $at/memory ' /hostproc/1/mounts" | tee /dev/stderr | grep -q noexec || return 1
	rpc RemoveContainer '{"container_id":"group"}'
}

# pages: number of 2 MiB huge pages reserved in the guest
pages() { look 'cat sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages'; }

# huge_volume NAME SIZE [OPTIONS]: a volume of huge pages as a runtime describes it, in one word
huge_volume()
{
	echo '{"driver":"ephemeral","source":"nodev","fstype":"hugetlbfs","mount_point":"'$containers/huge/"$1"'",
		"options":["pagesize=2097152,size='"$2${3-}"'"]}'
}

# Each volume reserves its own pages and no more; a failed mount leaves none.
huge()
{
	local before
	before=$(pages) || return 1
	EXTRA_FIELDS=",\"storages\":[$(huge_volume one 4194304),$(huge_volume two 2097152)]"
	EXTRA_MOUNTS=',{"destination":"/huge","type":"bind","source":"'$containers'/huge/one","options":["rbind"]}'
	rpc CreateContainer \
		"$(spec huge "$guest_rootfs" sh -c \
		'exec >/huge.said; stat -f -c %S:%b /huge; fallocate -l 4194304 /huge/a && ! fallocate -l 2097152 /huge/b && echo full; sleep 3600')" || return 1
	EXTRA_FIELDS='' EXTRA_MOUNTS=''
	rpc StartContainer '{"container_id":"huge"}' && is $((before + 3)) pages || return 1
	within 60 look 'grep -q full /huge.said' && is $'2097152:2\nfull' look 'cat /huge.said' ||
		return 1
	EXTRA_FIELDS=",\"storages\":[$(huge_volume three 4194304 ,bogus=1)]"
	says "$containers/huge/three" rpc CreateContainer "$(spec huge3 "$guest_rootfs" true)" ||
		return 1
	EXTRA_FIELDS=",\"storages\":[$(huge_volume four 1099511627776)]"
	says 'reserve 524288 huge pages' rpc CreateContainer "$(spec huge4 "$guest_rootfs" true)" ||
		return 1
	# mounted, but unmounted again because a later storage fails
	EXTRA_FIELDS=",\"storages\":[$(huge_volume five 4194304),$(huge_volume six 2097152 \
		,bogus=1)]"
	says "$containers/huge/six" rpc CreateContainer "$(spec huge5 "$guest_rootfs" true)" ||
		return 1
	EXTRA_FIELDS=''
	is $((before + 3)) pages && rpc RemoveContainer '{"container_id":"huge"}'
}

# The host removes a directory of a share in which the guest has a mount: the mount goes as well.
stale()
{
	local at=$containers/stale
	EXTRA_FIELDS=',"storages":[{"driver":"virtio-fs","source":"share1","fstype":"virtiofs","mount_point":"'$at'"},
		{"driver":"ephemeral","source":"tmpfs","fstype":"tmpfs","mount_point":"'$at/gone'"},
		{"driver":"ephemeral","source":"tmpfs","fstype":"tmpfs","mount_point":"'$at/stays'"}]'
	rpc CreateContainer "$(spec stale "$guest_rootfs" sleep 3600)" || return 1
	EXTRA_FIELDS=''
	is 3 look "grep -c ' $at' /hostproc/1/mounts" || return 1
	rmdir "$work/share/gone" || return 1
	# the guest may cache the old state for this long
	sleep 1.1
	is 3 look "grep -c ' $at' /hostproc/1/mounts" || return 1
	rpc RemoveStaleVirtiofsShareMounts '{}' || return 1
	is "$at $at/stays" look "echo \$(grep ' $at' /hostproc/1/mounts | cut -d' ' -f2)" ||
		return 1
	rpc RemoveContainer '{"container_id":"stale"}'
}

swaps() { look "cut -d' ' -f1 /hostproc/swaps | tail -n +2"; }

# The disk in slot 0a; repeating the call succeeds, and a disk without a signature fails.
swap_by_pci()
{
	rpc AddSwap '{"PCIPath":[10]}' && rpc AddSwap '{"PCIPath":[10]}' || return 1
	is "/dev/$(look 'ls /sys/bus/pci/devices/0000:00:0a.0/virtio*/block')" swaps || return 1
	says 'no swap signature' rpc AddSwap '{"PCIPath":[12]}' || return 1
	says '05/00' rpc AddSwap '{"PCIPath":[5,0]}'
}

swap_by_path()
{
	local node
	node=/dev/$(look 'ls /sys/bus/pci/devices/0000:00:0b.0/virtio*/block')
	rpc AddSwapPath '{"path":"'"$node"'"}' && swaps | tee /dev/stderr | grep -qx "$node"
}

mkdir -p "$work/share/gone" "$work/share/stays" "$work/nine" "$rootfs/hostproc"
for n in swap1 swap2 noswap empty; do
	truncate -s 16M "$work/$n"
	test $n = noswap || test $n = empty || mkswap "$work/$n" >/dev/null 2>&1
	# tatamictl attaches file systems only; the contents do not matter to swap.
	printf XFSB | dd of="$work/$n" conv=notrunc 2>/dev/null
done

with_mkfs()
{
	copy_program "$work/mkfs" /sbin/mkfs.ext4 && initrd_with "$work/mkfs" "$work/mkfs.img"
}

if ok 'an initrd with mkfs.ext4' with_mkfs &&
	ok 'boot with a share and disks' boot files --initrd "$work/mkfs.img" --rootfs "$rootfs" \
	--privileged --guest-proc /hostproc --attach "virtio-fs:$work/share" \
	--attach "blk:$work/swap1" --attach "blk:$work/swap2" --attach "blk:$work/noswap" \
	--attach "blk:$work/empty" --attach "9p:$work/nine"; then
	ok 'CopyFile: a file in parts, a directory and a link, with owners and modes' copied
	ok 'CopyFile: paths outside the shared directory are refused without effect' hostile
	ok_as_root 'CopyFile: on 9p, a file replaces a directory and vice versa' \
		'files of a share cannot be given to another user' copied_to_9p
	ok 'a hot-plugged volume' with_volume
	ok 'GetVolumeStats: the numbers of statfs in the guest' usage
	ok 'ResizeVolume: ext4 grows while it is used' resized
	ok 'UpdateEphemeralMounts: a tmpfs is resized and keeps its flags' remounted
	ok 'a file system is created on an empty disk' formatted
	ok 'group, mode and size of volumes with an fsGroup' for_a_group
	ok 'volumes of huge pages: each reserves its own, a failed mount none' huge
	ok 'RemoveStaleVirtiofsShareMounts: a mount on a removed directory is unmounted' stale
	ok 'AddSwap: the guest swaps to the disk in that slot' swap_by_pci
	ok 'AddSwapPath: the guest swaps to that disk' swap_by_path
	ok 'stop' stop files
fi
