# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# only on: ours
# soak: ours
# long
# A Debian userland with nginx, whose root is on each kind of storage that hosts use for it, and
# each format of a volume. After each, the guest is as it was. make test runs each driver with one
# format, make soak all combinations. QEMU discards what is written to the images of the userland.

run=/run/kata-containers
storages=$run/sandbox/storage
page='A page from nginx in a container'
# Read-only roots have directories in memory where nginx writes.
in_memory=(/run /tmp /var/lib/nginx /var/log/nginx)
# As a container engine grants them.
capabilities='["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_KILL","CAP_NET_BIND_SERVICE","CAP_SETGID","CAP_SETUID"]'

# xfs_prototype TREE: prints the prototype of mkfs.xfs(8) for a tree. It has no sticky bits and no
# devices, which a container's /dev hides.
xfs_prototype()
{
	printf '/\n0 0\nd--755 0 0\n'
	find "$1" -mindepth 1 \( -type d -o -type f -o -type l \) \
		-printf '%d\t%y\t%m\t%U\t%G\t%f\t%p\t%l\n' | awk -F '\t' '
		{
			for (; open >= $1; open--)
				print "$"
			special = length($3) > 3 ? substr($3, 1, length($3) - 3) : 0
			mode = sprintf("%03d", substr($3, length($3) > 3 ? length($3) - 2 : 1))
			type = ($2 == "f" ? "-" : $2) (special >= 4 ? "u" : "-") (special % 4 >= 2 ? "g" : "-")
			print $6, type mode, $4, $5, $2 == "f" ? $7 : $2 == "l" ? $8 : ""
			if ($2 == "d")
				open++
		}
		END {
			for (; open >= 0; open--)
				print "$"
		}'
}

# make_image FSTYPE TREE FILE
make_image()
{
	case $1 in
	ext4) mke2fs -q -t ext4 -d "$2" "$3" 300M ;;
	xfs) xfs_prototype "$2" >"$3.prototype" && truncate -s 320M "$3" &&
		mkfs.xfs -q -p "$3.prototype" "$3" ;;
	erofs) mkfs.erofs --quiet "$3" "$2" && verity_append "$3" ;;
	squashfs) mksquashfs "$2" "$3" -quiet -no-progress ;;
	esac
}

# Images of the userland, kept in the cache with the userland that they are made of. Sets $images.
cached_images()
{
	local tree key format
	tree=$(tests/support/userland web) || return 1
	key=$(declare -f xfs_prototype make_image verity_append | sha256sum | cut -c1-16)
	images=${tree%/*}/images-$key
	test ! -d "$images" || return 0
	find "${tree%/*}" -maxdepth 1 -name 'images-*' -mtime +0 -exec rm -r {} +
	mkdir "$images.$$" || return 1
	for format in ext4 xfs erofs; do
		make_image $format "$tree" "$images.$$/root.$format" || return 1
	done
	# Another run may have been faster.
	mv -T "$images.$$" "$images" || { rm -r "$images.$$" && test -d "$images"; }
}

make_images()
{
	local tree format
	rm -rf "$work/shared" "$work/top" "$work/small"
	cached_images && tree=$(tests/support/userland web) || return 1
	# A share is written to.
	mkdir "$work/shared" && cp -a --reflink=auto "$tree" "$work/shared/rootfs" || return 1
	mkdir "$work/small" && echo text >"$work/small/file" || return 1
	for format in squashfs erofs; do
		rm -f "$work/volume.$format"
		make_image $format "$work/small" "$work/volume.$format" || return 1
	done
	for format in ext4 xfs btrfs; do
		rm -f "$work/volume.$format"
		truncate -s 320M "$work/volume.$format" || return 1
	done
	# The page of a root in layers comes from the top one.
	rm -f "$work/upper.ext4" "$work/top.erofs"
	mkdir -p "$work/top/var/www/html" &&
		echo "<p>$page of layers." >"$work/top/var/www/html/index.html" &&
		make_image erofs "$work/top" "$work/top.erofs" &&
		mke2fs -q -t ext4 "$work/upper.ext4" 64M
}

# The guest's image has the programs that make file systems, and the kernel's modules, none of which
# is loaded at boot.
make_initrd()
{
	local tree=$work/mkfs program
	for program in mkfs.ext4 mkfs.xfs mkfs.btrfs; do
		copy_program "$tree" "/sbin/$program" || return 1
	done
	mkdir -p "$tree/lib" && cp -a "$(kernel-config/build --cached)/lib/modules" "$tree/lib/" &&
		initrd_with "$tree" "$work/mkfs.img"
}

# disk ID FILE DRIVER [PROPERTY=VALUE...]: adds a disk to QEMU's configuration; "snapshot" as the
# first property: what is written is discarded
disk()
{
	local id=$1 file=$2 driver=$3 property
	shift 3
	printf '[drive "%s"]\nif = "none"\nformat = "raw"\nfile = "%s"\n' "$id" "$file"
	test "${1-}" != snapshot || { shift; printf 'snapshot = "on"\n'; }
	printf '[device "d%s"]\ndriver = "%s"\ndrive = "%s"\n' "$id" "$driver" "$id"
	for property; do printf '%s = "%s"\n' "${property%%=*}" "${property#*=}"; done
}

# look COMMAND: in the root of the guest
look() { ctl exec --privileged main -- sh -c "cd /hostproc/1/root && $1"; }
# state FILE: notes what a container must not leave: mounts, files of the agent, disks, cgroups,
# processes; and, as FILE.amounts, what it may take temporarily: memory, and open files of init and
# agent
# shellcheck disable=SC2016
state()
{
	look 'cut -d" " -f5,9- /hostproc/1/mountinfo; find .'$run' -xdev | sort; ls sys/block; find sys/fs/cgroup -type d | sort
		files=0
		for p in /hostproc/[0-9]*; do
			read -r name 2>/dev/null <$p/comm && case $name in *agent | init | tatami) files=$((files + $(ls $p/fd | wc -l))) ;; nginx) echo nginx ;; esac
		done
		grep -e ^Shmem: -e ^MemAvailable: /hostproc/meminfo
		echo files: $files kB' >"$1.all" || return 1
	grep -v ' kB$' "$1.all" >"$1"
	awk '/ kB$/ { print $2 }' "$1.all" | paste -s -d ' ' >"$1.amounts"
}
# The kernel may keep as much, far less than a leaked layer in memory takes.
KEPT_KIB=16384
baseline() { state "$work/before"; }
as_before() { within 20 is_as_before >"$work/differences" ||
	{ tail -n 25 "$work/differences"; return 1; }; }
# File systems and programs keep caches that the kernel can free, but not at once. The files of an
# earlier call may still be open when the state before is noted.
is_as_before()
{
	local available shmem files available_now shmem_now files_now
	state "$work/after" || return 1
	cmp -s "$work/before" "$work/after" || { diff "$work/before" "$work/after"; return 1; }
	read -r available shmem files <"$work/before.amounts" &&
		read -r available_now shmem_now files_now <"$work/after.amounts" || return 1
	test "$shmem_now" -le $((shmem + 512)) &&
		test "$available_now" -ge $((available - KEPT_KIB)) &&
		test "$files_now" -le "$files" ||
		{ echo "MemAvailable $available -> $available_now, Shmem $shmem -> $shmem_now, open files $files -> $files_now"; return 1; }
}

# execute ID EXEC SCRIPT: runs one more process in the container; prints its output if it fails
execute()
{
	local status stream
	jq -nc --arg id "$1" --arg exec "$2" --arg script "$3" '{container_id: $id, exec_id: $exec,
		process: {Args: ["sh", "-c", $script], Env: ["PATH=/bin:/sbin:/usr/bin:/usr/sbin"], Cwd: "/", User: {}}}' >"$work/exec.json"
	rpc ExecProcess "@$work/exec.json" >/dev/null || return 1
	status=$(rpc WaitProcess '{"container_id":"'"$1"'","exec_id":"'"$2"'"}' |
		jq -r '.status // 0')
	test "$status" != 0 || return 0
	for stream in Stdout Stderr; do
		rpc Read$stream '{"container_id":"'"$1"'","exec_id":"'"$2"'","len":4096}' \
			2>/dev/null | jq -r '.data // ""' | base64 -d
	done
	echo "exit status $status"
	return 1
}

# serves ID ROOT FSTYPE rw|ro STORAGE...: a container with this root serves a page, which another
# process in it fetches
serves()
{
	local id=$1 root=$2 fstype=$3 mode=$4 list directory writes
	shift 4
	list=$(IFS=,; echo "$*")
	baseline || return 1
	EXTRA_FIELDS=",\"storages\":[$list]"
	EXTRA_MOUNTS=
	test "$mode" = rw || for directory in "${in_memory[@]}"; do
		EXTRA_MOUNTS=$EXTRA_MOUNTS',{"destination":"'$directory'","type":"tmpfs","source":"tmpfs"}'
	done
	spec "$id" "$root" nginx -g 'daemon off;' |
		jq -c --argjson capabilities "$capabilities" --argjson ro \
		"$(test "$mode" = ro && echo true || echo false)" \
		'.OCI.Root.Readonly = $ro | .OCI.Process.Capabilities = {Bounding: $capabilities, Effective: $capabilities, Permitted: $capabilities}' >"$work/create.json"
	EXTRA_FIELDS='' EXTRA_MOUNTS=''
	rpc CreateContainer "@$work/create.json" &&
		rpc StartContainer '{"container_id":"'"$id"'"}' || return 1
	case $mode in
	rw) writes='echo written >/srv/file && sync && test "$(cat /srv/file)" = written && mv /srv/file /srv/moved && rm /srv/moved' ;;
	ro) writes='! echo written 2>/dev/null >/srv/file' ;;
	esac
	# nginx may still be starting.
	execute "$id" fetch '
		set -e
		grep -q "^[^ ]* / '"$fstype $mode"'[, ]" /proc/mounts || { grep " / " /proc/mounts; exit 1; }
		. /etc/os-release
		test "$ID" = debian
		n=0
		until curl -sS -o /tmp/page http://127.0.0.1/; do n=$((n + 1)); test $n -lt 100; sleep 0.2; done 2>/tmp/errors || { cat /tmp/errors; exit 1; }
		grep "'"$page$PAGE"'" /tmp/page
		ps -C nginx -o user= | sort -u | paste -s -d " " | grep -x "root www-data"
		'"$writes" || return 1
	rpc SignalProcess '{"container_id":"'"$id"'","exec_id":"'"$id"'","signal":15}' || return 1
	rpc WaitProcess '{"container_id":"'"$id"'","exec_id":"'"$id"'"}' |
		jq -e '(.status // 0) == 0' || return 1
	rpc RemoveContainer '{"container_id":"'"$id"'"}' && as_before
}
PAGE=

# on_disk DRIVER SOURCE FSTYPE: the root is a disk. erofs is read-only even without the option.
on_disk()
{
	local mode=rw root=$run/shared/containers/disk/rootfs
	test "$3" != erofs || mode=ro
	serves disk "$root" "$3" $mode \
		'{"driver":"'"$1"'","source":"'"$2"'","fstype":"'"$3"'","mount_point":"'$root'"}'
}

# on_share DRIVER TAG FSTYPE OPTIONS: the root is a directory of a share
on_share()
{
	local at=$run/shared/containers/share
	serves share $at/rootfs "$3" rw \
		'{"driver":"'"$1"'","source":"'"$2"'","fstype":"'"$3"'","options":['"$4"'],"mount_point":"'$at'"}'
}

# layer SLOT FILE MOUNT_POINT: a disk as a layer with dm-verity
layer()
{
	echo '{"driver":"erofs.multi-layer","source":"'"$1"'","fstype":"erofs","mount_point":"'"$3"'",
		"options":["ro","X-kata.overlay-lower","X-kata.multi-layer=true",'"$(verity_options "$2")"']}'
}

# The Rust runtime's way: the agent makes an overlay of the layers.
on_layers()
{
	local root=$run/layers/rootfs
	PAGE=' of layers' serves layers $root overlay rw \
		'{"driver":"erofs.multi-layer","source":"15","fstype":"ext4","mount_point":"'$root'","options":["rw","X-kata.overlay-upper","X-kata.multi-layer=true"]}' \
		"$(layer 16 "$work/top.erofs" $root)" "$(layer 12 "$images/root.erofs" $root)"
}

# The Go runtime's way: each layer is a storage, and so is the overlay; the upper layer is in
# memory.
on_overlay()
{
	local root=$run/overlay/rootfs at=$run/virtual-volumes
	PAGE=' of layers' serves overlay $root overlay rw \
		'{"driver":"blk","source":"16","fstype":"erofs","mount_point":"'$at/top'","options":["ro",'"$(verity_options "$work/top.erofs")"']}' \
		'{"driver":"blk","source":"12","fstype":"erofs","mount_point":"'$at/bottom'","options":["ro",'"$(verity_options "$images/root.erofs")"']}' \
		'{"driver":"overlayfs","source":"none","fstype":"overlay","mount_point":"'$root'",
		 "options":["lowerdir='$at/top:$at/bottom'","io.katacontainers.fs-opt.overlay-rw"]}'
}

# with_volume STORAGE PROCESS SCRIPT: a container with a volume at /vol runs a script, then sleeps
with_volume()
{
	EXTRA_FIELDS=',"storages":['$1']'
	EXTRA_MOUNTS=',{"destination":"/vol","type":"bind","source":"'$storages/vol'","options":["rbind"]}'
	spec vol "$guest_rootfs" sh -c SCRIPT |
		jq -c --arg script "$3" --argjson process "$2" \
		'.OCI.Process.Args[2] = $script | .OCI.Process *= $process' >"$work/create.json"
	EXTRA_FIELDS='' EXTRA_MOUNTS=''
	rpc CreateContainer "@$work/create.json" && rpc StartContainer '{"container_id":"vol"}'
}

# volume_ended: the container has exited with 0
volume_ended()
{
	rpc WaitProcess '{"container_id":"vol","exec_id":"vol"}' | jq -e '(.status // 0) == 0' &&
		return 0
	rpc ReadStderr '{"container_id":"vol","exec_id":"vol","len":4096}' 2>/dev/null |
		jq -r '.data // ""' | base64 -d
	return 1
}

volume_bytes() { look "set -- \$(stat -f -c '%b %S' .$storages/vol); echo \$((\$1 * \$2))"; }

# A format that the agent makes, mounts, gives to a group, and grows.
format()
{
	local fstype=$1 driver=$2 source=$3 id=$4 storage before after
	storage='{"driver":"'$driver'","source":"'$source'","fstype":"'$fstype'","mount_point":"'$storages/vol'"'
	baseline || return 1
	with_volume "$storage"',"driver_options":["create_filesystem"]}' '{}' \
		"grep ' /vol $fstype rw' /proc/mounts && mkdir -m 700 /vol/d && echo data >/vol/d/f && chmod 600 /vol/d/f" &&
		volume_ended && rpc RemoveContainer '{"container_id":"vol"}' || return 1
	# Another user, who belongs to the group
	with_volume "$storage"',"fs_group":{"group_id":3000}}' \
		'{"User":{"UID":1000,"GID":1000,"AdditionalGids":[3000]}}' \
		'test "$(cat /vol/d/f)" = data && echo more >>/vol/d/f && echo new >/vol/d/new && test "$(stat -c "%a %g" /vol/d /vol/d/f /vol/d/new | paste -s -d " ")" = "2770 3000 660 3000 644 3000" && exec sleep 3600; stat /vol/d /vol/d/* >&2; exit 1' || return 1
	within 20 look "test -e .$storages/vol/d/new" || return 1
	before=$(volume_bytes)
	"$work/bin/qmp" "$vmdir/qmp.sock" \
		'{"execute":"block_resize","arguments":{"device":"'"$id"'","size":536870912}}' &&
		rpc ResizeVolume '{"volume_guest_path":"'$storages/vol'"}' || return 1
	after=$(volume_bytes)
	echo "$before bytes, then $after"
	test "$after" -gt $((before + 180000000)) || return 1
	rpc SignalProcess '{"container_id":"vol","exec_id":"vol","signal":9}' &&
		rpc WaitProcess '{"container_id":"vol","exec_id":"vol"}' || return 1
	rpc RemoveContainer '{"container_id":"vol"}' && as_before || return 1
	case $fstype in
	ext4) e2fsck -fn "$work/volume.ext4" &&
		is $'data\nmore' debugfs -R 'cat /d/f' "$work/volume.ext4" ;;
	xfs) xfs_repair -n "$work/volume.xfs" ;;
	btrfs) btrfs check "$work/volume.btrfs" ;;
	esac
}

# Formats that are never written: fs_group changes nothing.
read_only()
{
	baseline || return 1
	with_volume \
		'{"driver":"blk","source":"'"$2"'","fstype":"'"$1"'","mount_point":"'$storages/vol'","fs_group":{"group_id":3000}}' '{}' \
		"grep ' /vol $1 ro' /proc/mounts && test \"\$(cat /vol/file)\" = text && test \"\$(stat -c %g /vol/file)\" = $(id -g) && ! echo x 2>/dev/null >/vol/x" &&
		volume_ended && rpc RemoveContainer '{"container_id":"vol"}' && as_before
}

# The disks of the first VM
pci_disks()
{
	disk blk-ext4 "$images/root.ext4" virtio-blk-pci snapshot addr=0x10
	disk blk-xfs "$images/root.xfs" virtio-blk-pci snapshot addr=0x11
	disk blk-erofs "$images/root.erofs" virtio-blk-pci snapshot addr=0x12
	disk upper "$work/upper.ext4" virtio-blk-pci snapshot addr=0x15
	disk top "$work/top.erofs" virtio-blk-pci snapshot addr=0x16
	disk squashfs "$work/volume.squashfs" virtio-blk-pci snapshot addr=0x18
	disk erofs "$work/volume.erofs" virtio-blk-pci snapshot addr=0x19
	disk vol-ext4 "$work/volume.ext4" virtio-blk-pci addr=0x1a
	disk vol-btrfs "$work/volume.btrfs" virtio-blk-pci addr=0x1b
	printf '[device "scsi0"]\ndriver = "virtio-scsi-pci"\naddr = "0x1c"\n'
	disk scsi-ext4 "$images/root.ext4" scsi-hd snapshot bus=scsi0.0 scsi-id=1
	disk scsi-xfs "$images/root.xfs" scsi-hd snapshot bus=scsi0.0 scsi-id=2
	disk scsi-erofs "$images/root.erofs" scsi-hd snapshot bus=scsi0.0 scsi-id=3
	disk vol-xfs "$work/volume.xfs" scsi-hd bus=scsi0.0 scsi-id=4
}

# and of the second one
mmio_disks()
{
	local format
	for format in ext4 xfs erofs; do disk $format "$images/root.$format" virtio-blk-device \
		snapshot; done
}

owned='nginx does not start from files that belong to the user'
mkdir -p "$rootfs/hostproc"
soak() { test "$SOAK" = 1 || test -n "${ALL_ROOTS-}"; }
# Under emulation a program on virtio-fs may crash where the guest's memory held another one before
# (tatamictl(1)): such a root comes first, is cached, and memory is plenty.
if ok 'make the images' make_images && pci_disks >"$work/disks" &&
	ok 'make an initrd with mkfs and modules' make_initrd &&
	ok 'boot with disks and shares' boot main --initrd "$work/mkfs.img" --rootfs "$rootfs" \
	--privileged --guest-proc /hostproc --memory 1024 \
		--attach "virtio-fs:$work/shared" --attach "9p:$work/shared" --virtiofs-cache \
		always \
		--qemu-arg -readconfig --qemu-arg "$work/disks"; then
	ok_as_root 'nginx on virtio-fs' "$owned" on_share virtio-fs share1 virtiofs ''
	ok 'nginx on virtio-blk with ext4' on_disk blk 10 ext4
	ok 'nginx on virtio-scsi with xfs' on_disk scsi 2:0 xfs
	ok 'nginx on layers of erofs with dm-verity' on_layers
	ok_as_root 'nginx on 9p' "$owned" on_share 9p share2 9p \
		'"trans=virtio,version=9p2000.L,cache=mmap","nodev","msize=8192"'
	if soak; then
		ok 'nginx on virtio-blk with xfs' on_disk blk 11 xfs
		ok 'nginx on virtio-blk with erofs' on_disk blk 12 erofs
		ok 'nginx on virtio-scsi with ext4' on_disk scsi 1:0 ext4
		ok 'nginx on virtio-scsi with erofs' on_disk scsi 3:0 erofs
		ok 'nginx on an overlay of erofs disks with dm-verity' on_overlay
	fi
	ok 'ext4: made, given to a group, grown' format ext4 blk 1a vol-ext4
	ok 'xfs: made, given to a group, grown' format xfs scsi 4:0 vol-xfs
	# The module stays, with memory for compression that it frees after minutes.
	KEPT_KIB=65536 ok 'btrfs, a module that is not loaded: made, given to a group, grown' \
		format btrfs blk 1b vol-btrfs
	ok 'erofs: read-only, whatever the group' read_only erofs 19
	ok 'squashfs: read-only, whatever the group' read_only squashfs 18
	ok 'stop leaves nothing' stop main
fi

if test -n "${images-}" && mmio_disks >"$work/disks" &&
	ok 'boot microvm with disks' boot main --machine microvm --rootfs "$rootfs" --privileged \
	--guest-proc /hostproc --memory 512 \
	--qemu-arg -readconfig --qemu-arg "$work/disks"; then
	ok 'nginx on virtio-mmio with erofs' on_disk mmioblk /dev/vdc erofs
	if soak; then
		ok 'nginx on virtio-mmio with ext4' on_disk mmioblk /dev/vda ext4
		ok 'nginx on virtio-mmio with xfs' on_disk mmioblk /dev/vdb xfs
	fi
	ok 'microvm: stop leaves nothing' stop main
fi
rm -rf "$work/shared" "$work"/volume.* "$work"/top* "$work/upper.ext4" "$work/small" "$work"/mkfs*
