# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# only on: ours
# long
# Disks on every bus that QEMU can plug at run time: virtio-blk behind a root port and behind a
# bridge, virtio-scsi on two controllers, NVDIMM, virtio-pmem. Each is mounted, read and written,
# unmounted and unplugged, after which the guest is as before. On microvm, and for one below an
# expander bridge, the disks are there at boot.

qmp() { "$work/bin/qmp" "$vmdir/qmp.sock" "$@"; }
storages=/run/kata-containers/sandbox/storage

# plug ID FILE DEVICE [FORMAT-OPTIONS]: plugs FILE as a disk; DEVICE is the rest of device_add's
# arguments
plug()
{
	qmp '{"execute":"blockdev-add","arguments":{"node-name":"'"$1"'","driver":"raw","file":{"driver":"file","filename":"'"$2"'"}}}' \
		'{"execute":"device_add","arguments":{"id":"d'"$1"'","drive":"'"$1"'",'"$3"'}}'
}

# unplug ID: asks the guest for the disk, and removes the file once it is given back
unplug()
{
	qmp '{"execute":"device_del","arguments":{"id":"d'"$1"'"}}' || return 1
	within 20 free_node "$1"
}
free_node() { qmp '{"execute":"blockdev-del","arguments":{"node-name":"'"$1"'"}}' 2>/dev/null; }

# disk FSTYPE NAME: makes a file with a file system that holds the file "name" with its name
disk()
{
	local tree=$work/tree-$2 file=$work/$2.img
	mkdir -p "$tree" && echo "$2" >"$tree/name" || return 1
	rm -f "$file"
	case $1 in
	# DAX requires blocks of a page.
	ext4) mke2fs -q -t ext4 -b 4096 -d "$tree" "$file" 16M >/dev/null ;;
	xfs)
		# A prototype of the root directory, as of mkfs.xfs(8).
		printf '/\n0 0\nd--755 0 0\nname ---644 0 0 %s\n$\n' "$tree/name" >"$work/prototype"
		truncate -s 320M "$file" && mkfs.xfs -q -p "$work/prototype" "$file" ;;
	erofs) mkfs.erofs --quiet "$file" "$tree" >/dev/null 2>&1 ;;
	esac || { echo "failed to make $1"; return 1; }
	rm -rf "$tree"
}

# The first process of the container, which may look at the guest, writes down again and again what
# hot-plug may leave behind: disks, nodes, mounts, directories.
# shellcheck disable=SC2016
watches='while :; do { ls /sys/block; ls /hostproc/1/root/dev | grep -E "^(sd|vd|pmem)"; cut -d " " -f 2,3 /hostproc/1/mounts; ls /hostproc/1/root'"$storages"'; } >/dev/shm/new 2>/dev/null; mv /dev/shm/new /dev/shm/look; sleep 0.1; done'
# look FILE: what is written down from now on
look() { ctl exec disks -- rm -f /dev/shm/look && within 20 look_into "$1"; }
look_into() { ctl exec disks -- cat /dev/shm/look 2>/dev/null >"$1"; }
as_before() { within 20 equals_before || { diff "$work/before" "$work/after"; return 1; }; }
equals_before() { look "$work/after" && cmp -s "$work/before" "$work/after"; }

# use ID DRIVER SOURCE FSTYPE OPTIONS NAME MODE: a container with a volume reads the file "name",
# and writes to it or fails to
use()
{
	local volume=$storages/$1 command
	case $7 in
	rw) command="test \"\$(cat /vol/name)\" = '$6' && echo written >/vol/data && sync && test \"\$(cat /vol/data)\" = written && grep ' /vol $4 ' /proc/mounts" ;;
	ro) command="test \"\$(cat /vol/name)\" = '$6' && ! echo x 2>/dev/null >/vol/data && grep ' /vol $4 ro' /proc/mounts" ;;
	esac
	EXTRA_FIELDS=',"storages":[{"driver":"'$2'","source":"'$3'","fstype":"'$4'","options":['${5:+\"$5\"}'],"mount_point":"'$volume'"}]'
	EXTRA_MOUNTS=',{"destination":"/vol","type":"bind","source":"'$volume'","options":["rbind"]}'
	rpc CreateContainer \
		"$(spec "use-$1" "$guest_rootfs" sh -c "$(sed 's/"/\\"/g' <<<"$command")")" ||
		return 1
	EXTRA_FIELDS='' EXTRA_MOUNTS=''
	rpc StartContainer '{"container_id":"use-'"$1"'"}' || return 1
	ended "use-$1"
}

# ended ID: the container exits with 0; prints its output and removes it
ended()
{
	local status
	status=$(rpc WaitProcess '{"container_id":"'"$1"'","exec_id":"'"$1"'"}' |
		jq -r '.status // 0')
	rpc ReadStdout '{"container_id":"'"$1"'","exec_id":"'"$1"'","len":4096}' 2>/dev/null |
		jq -r '.data // ""' | base64 -d
	rpc ReadStderr '{"container_id":"'"$1"'","exec_id":"'"$1"'","len":4096}' 2>/dev/null |
		jq -r '.data // ""' | base64 -d
	rpc RemoveContainer '{"container_id":"'"$1"'"}' || return 1
	test "$status" = 0 || { echo "exit status $status"; return 1; }
}

# cycle ID DEVICE DRIVER SOURCE FSTYPE OPTIONS MODE: plugs, uses and unplugs a disk
cycle()
{
	local file=$work/$1.img
	disk "$5" "$1" && plug "$1" "$file" "$2" && use "$1" "$3" "$4" "$5" "$6" "$1" "$7" &&
		unplug "$1" || return 1
	case $5:$7 in
	ext4:rw) debugfs -R 'cat data' "$file" 2>/dev/null | grep -qx written ||
		{ echo 'the data are not on the disk'; return 1; } ;;
	esac
	rm -f "$file"
	as_before
}

# Sixteen disks of one container: half of them are plugged before the call, half of them after it.
at_once()
{
	local n list='' mounts='' check=''
	for n in $(seq 0 15); do
		disk ext4 "once$n" || return 1
		list="$list${list:+,}"'{"driver":"scsi","source":"'$n':0","fstype":"ext4","options":["noatime"],"mount_point":"'$storages/once$n'"}'
		mounts="$mounts"',{"destination":"/vol'$n'","type":"bind","source":"'$storages/once$n'","options":["rbind"]}'
		check="$check${check:+ && }test \$(cat /vol$n/name) = once$n && grep -q ' /vol$n ext4 .*noatime' /proc/mounts"
	done
	for n in $(seq 0 7); do
		plug "once$n" "$work/once$n.img" \
			'"driver":"scsi-hd","bus":"scsi'$((n % 2))'.0","scsi-id":'"$n"',"lun":0' ||
			return 1
	done
	EXTRA_FIELDS=',"storages":['$list']' EXTRA_MOUNTS=$mounts
	rpc CreateContainer "$(spec once "$guest_rootfs" sh -c "$check")" >"$work/create" 2>&1 &
	EXTRA_FIELDS='' EXTRA_MOUNTS=''
	rpc Check '{}' >/dev/null || return 1
	for n in $(seq 8 15); do
		plug "once$n" "$work/once$n.img" \
			'"driver":"scsi-hd","bus":"scsi'$((n % 2))'.0","scsi-id":'"$n"',"lun":0' ||
			return 1
	done
	wait $! || { cat "$work/create"; return 1; }
	rpc StartContainer '{"container_id":"once"}' && ended once || return 1
	for n in $(seq 0 15); do unplug "once$n" && rm -f "$work/once$n.img" || return 1; done
	as_before
}

# refused TEXT DRIVER SOURCE FSTYPE [OPTIONS]: CreateContainer fails with this text and leaves
# nothing
refused()
{
	EXTRA_FIELDS=',"storages":[{"driver":"'$2'","source":"'$3'","fstype":"'$4'","options":['${5:+\"$5\"}'],"mount_point":"'$storages/refused'"}]'
	says "$1" rpc CreateContainer "$(spec refused "$guest_rootfs" true)" || return 1
	EXTRA_FIELDS=''
	as_before
}

# Two controllers have a disk at 5:0, so that the address is ambiguous.
ambiguous()
{
	local i
	for i in 0 1; do
		disk ext4 "same$i" &&
			plug "same$i" "$work/same$i.img" \
			'"driver":"scsi-hd","bus":"scsi'$i'.0","scsi-id":5,"lun":0' || return 1
	done
	within 10 two_disks || return 1
	EXTRA_FIELDS=',"storages":[{"driver":"scsi","source":"5:0","fstype":"ext4","mount_point":"'$storages/refused'"}]'
	says '2 SCSI controllers have a device 5:0' rpc CreateContainer \
		"$(spec refused "$guest_rootfs" true)" || return 1
	EXTRA_FIELDS=''
	for i in 0 1; do unplug "same$i" && rm -f "$work/same$i.img" || return 1; done
	as_before
}
two_disks() { test "$(ctl exec disks -- ls /sys/block | grep -c '^sd')" = 2; }

# pmem NAME NODE OFFSET DEVICE: plugs a file as memory, with the file system at OFFSET MiB, mounts
# it with
# DAX, and finds the data in the file. QEMU cannot unplug such memory.
pmem()
{
	local file=$work/$1.memory
	disk ext4 "$1" && truncate -s 32M "$file" &&
		dd if="$work/$1.img" of="$file" bs=1M seek="$3" conv=notrunc status=none || return 1
	test "$3" = 0 || "$work/bin/pmem-header" "$file" || return 1
	qmp '{"execute":"object-add","arguments":{"qom-type":"memory-backend-file","id":"m'"$1"'","mem-path":"'"$file"'","size":33554432,"share":true}}' \
		'{"execute":"device_add","arguments":{"id":"d'"$1"'","memdev":"m'"$1"'",'"$4"'}}' ||
		return 1
	use "$1" nvdimm "$2" ext4 dax "$1" rw >"$work/mount" || { cat "$work/mount"; return 1; }
	grep -q dax=always "$work/mount" || { cat "$work/mount"; return 1; }
	dd if="$file" of="$work/$1.img" bs=1M skip="$3" status=none
	debugfs -R 'cat data' "$work/$1.img" 2>/dev/null | grep -qx written ||
		{ echo 'the data are not in the file'; return 1; }
	within 20 no_mount "$1"
}

no_mount() { look "$work/after" && ! grep -q "$storages\|^$1$" "$work/after"; }

# The guest does not learn that the disk goes, either: it stays plugged in.
unannounced()
{
	disk ext4 unannounced &&
		plug unannounced "$work/unannounced.img" \
		'"driver":"scsi-hd","bus":"scsi2.0","scsi-id":6,"lun":2' || return 1
	# An announced disk is there within milliseconds.
	sleep 1
	! ctl exec disks -- ls /sys/bus/scsi/devices | grep ':0:6:2$' ||
		{ echo 'the disk was announced'; return 1; }
	use unannounced scsi 6:2 ext4 '' unannounced rw
}

# The disk is there at boot: no uevent announces it.
cold()
{
	use cold blk 40/00/00 ext4 '' cold rw && as_before || return 1
	debugfs -R 'cat data' "$work/cold.img" 2>/dev/null | grep -qx written ||
		{ echo 'the data are not on the disk'; return 1; }
}

# Two disks whose numbers on the host are each other's in the guest, with a rule each; then an
# update that denies everything, as hosts send it.
exchanged()
{
	local i check
	for i in 0 1; do
		truncate -s 1M "$work/raw$i.img" &&
			printf 'RAW%s' $i | dd of="$work/raw$i.img" conv=notrunc status=none ||
			return 1
		plug "raw$i" "$work/raw$i.img" \
			'"driver":"scsi-hd","bus":"scsi'$i'.0","scsi-id":'$i',"lun":0' || return 1
		within 10 block_disk "sd$(printf %b "\\x6$((i + 1))")" || return 1
	done
	# shellcheck disable=SC2016
	check='check() { test "$(head -c 4 /dev/zero-zero)" = RAW0 && test "$(head -c 4 /dev/one-zero)" = RAW1 && test "$(stat -c %t:%T /dev/zero-zero /dev/one-zero | paste -s -d " ")" = "8:0 8:10" && printf NEW0 | dd of=/dev/zero-zero conv=notrunc,fsync 2>&1; }; trap "check; exit" USR1; check || exit 1; echo ready; while :; do sleep 0.1; done'
	EXTRA_FIELDS=',"devices":[{"type":"scsi","id":"0:0","container_path":"/dev/zero-zero"},{"type":"scsi","id":"1:0","container_path":"/dev/one-zero"}]'
	rpc CreateContainer \
		"$(spec raw "$guest_rootfs" sh -c CHECK |
		jq -c --arg check "$check" '.OCI.Process.Args[2] = $check
		| .OCI.Linux.Devices = [{"Path":"/dev/zero-zero","Type":"b","Major":8,"Minor":16,"FileMode":384},{"Path":"/dev/one-zero","Type":"b","Major":8,"FileMode":384}]
		| .OCI.Linux.Resources.Devices = [{"Type":"a","Major":-1,"Minor":-1,"Access":"rwm"},{"Allow":true,"Type":"b","Major":8,"Minor":16,"Access":"rw"},{"Allow":true,"Type":"b","Major":8,"Access":"r"}]')" || return 1
	EXTRA_FIELDS=''
	rpc StartContainer '{"container_id":"raw"}' || return 1
	within 10 says_ready raw || return 1
	# The write is seen by the second check, which fails unless the first content is there
	# again.
	printf RAW0 | dd of="$work/raw0.img" conv=notrunc status=none
	rpc UpdateContainer '{"container_id":"raw","resources":{"Devices":[{"Access":"rwm"}]}}' ||
		return 1
	rpc SignalProcess '{"container_id":"raw","exec_id":"raw","signal":10}' && ended raw ||
		return 1
	test "$(head -c 4 "$work/raw0.img")" = NEW0 &&
		test "$(head -c 4 "$work/raw1.img")" = RAW1 ||
		{ echo 'the disks were mixed up'; return 1; }
	for i in 0 1; do unplug "raw$i" && rm -f "$work/raw$i.img" || return 1; done
	as_before
}
block_disk() { ctl exec disks -- test -e "/sys/block/$1"; }
says_ready() { rpc ReadStdout '{"container_id":"'"$1"'","exec_id":"'"$1"'","len":4096}' |
	jq -r '.data // ""' | base64 -d | grep -q ready; }

# The disk is there, but the spec has no entry for it.
without_entry()
{
	disk ext4 entry &&
		plug entry "$work/entry.img" '"driver":"virtio-blk-pci","bus":"hotplug0"' ||
		return 1
	EXTRA_FIELDS=',"devices":[{"type":"blk","id":"1e/00","container_path":"/dev/x"}]'
	says 'Missing devices in OCI spec' rpc CreateContainer \
		"$(spec refused "$guest_rootfs" true)" || return 1
	EXTRA_FIELDS=''
	unplug entry && rm -f "$work/entry.img" && as_before
}

mkdir -p "$work/disks" && cp -a "$rootfs/." "$work/disks" && mkdir -p "$work/disks/hostproc"
disk ext4 cold
if ok 'boot with bridges and two SCSI controllers' boot disks --rootfs "$work/disks" --privileged \
	--guest-proc /hostproc --memory 512 --max-memory 2048 --append agent.hotplug_timeout=10 \
	--qemu-arg -machine --qemu-arg nvdimm=on \
	--qemu-arg -device --qemu-arg pci-bridge,id=bridge0,chassis_nr=3,bus=pcie.0,addr=0x1d \
	--qemu-arg -device --qemu-arg pxb-pcie,id=pxb0,bus_nr=0x40,bus=pcie.0,addr=0x1c \
	--qemu-arg -device --qemu-arg \
	pcie-root-port,id=pxbport0,bus=pxb0,chassis=4,slot=4,addr=0x0 \
	--qemu-arg -device --qemu-arg \
	pcie-root-port,id=pxbport1,bus=pxb0,chassis=5,slot=5,addr=0x1 \
	--qemu-arg -drive --qemu-arg "if=none,id=cold,format=raw,file=$work/cold.img" \
	--qemu-arg -device --qemu-arg virtio-blk-pci,drive=cold,bus=pxbport0 \
	--qemu-arg -device --qemu-arg virtio-scsi-pci,id=scsi0,bus=pcie.0,addr=0x1a \
	--qemu-arg -device --qemu-arg virtio-scsi-pci,id=scsi1,bus=pcie.0,addr=0x1b \
	--qemu-arg -device --qemu-arg virtio-scsi-pci,id=scsi2,bus=pcie.0,addr=0x19,hotplug=off \
	-- sh -c "$watches" && ok 'look at the guest' look "$work/before"; then
	ok 'virtio-blk behind a root port' cycle root '"driver":"virtio-blk-pci","bus":"hotplug0"' \
		blk 1e/00 ext4 noatime rw
	ok 'virtio-blk behind a bridge' cycle bridge \
		'"driver":"virtio-blk-pci","bus":"bridge0","addr":"5"' blk 1d/05 ext4 '' rw
	ok 'virtio-blk below an expander bridge, there at boot' cold
	ok 'virtio-blk below an expander bridge, plugged in' cycle expander \
		'"driver":"virtio-blk-pci","bus":"pxbport1"' blk 40/01/00 ext4 '' rw
	ok 'virtio-scsi on the first controller' cycle first \
		'"driver":"scsi-hd","bus":"scsi0.0","scsi-id":0,"lun":1' scsi 0:1 ext4 '' rw
	ok 'xfs with the option that hosts add' cycle xfs \
		'"driver":"virtio-blk-pci","bus":"hotplug0"' blk 1e/00 xfs nouuid,noatime rw
	ok 'virtio-scsi on the second controller' cycle second \
		'"driver":"scsi-hd","bus":"scsi1.0","scsi-id":3,"lun":300' scsi 3:300 ext4 '' rw
	ok 'a read-only erofs on virtio-scsi, without "ro"' cycle image \
		'"driver":"scsi-hd","bus":"scsi1.0","scsi-id":1,"lun":0' scsi 1:0 erofs '' ro
	ok 'an address that two controllers have is refused' ambiguous
	ok 'sixteen disks at once' at_once
	ok 'a disk that does not come' refused 'failed to find SCSI disk 9:9: not there after' \
		scsi 9:9 ext4
	ok 'a file system that the kernel does not have' refused \
		'does not support file system f2fs' blk 40/00/00 f2fs
	ok 'two devices that exchange their numbers, and an update that denies all' exchanged
	ok 'a device without an entry in the spec' without_entry
	ok 'a controller that does not announce its disks is scanned' unannounced
	ok 'an NVDIMM, with DAX' pmem dimm /dev/pmem0 2 '"driver":"nvdimm"'
	ok 'virtio-pmem, with DAX' pmem dax /dev/pmem1 0 \
		'"driver":"virtio-pmem-pci","bus":"hotplug0"'
	ok 'stop leaves nothing' stop disks
fi
rm -rf "$work/disks"

# Firecracker's way: disks on virtio-mmio that are there at boot, by their node and by the name of
# their platform device.
platform_disk() \
	{ ctl exec micro -- sh -c \
	'for d in /sys/bus/platform/devices/*/virtio*/block/'"$1"'; do d=${d%/virtio*}; echo ${d##*/}; done'; }
mmio()
{
	local device
	use node mmioblk /dev/vda ext4 '' one rw || return 1
	device=$(platform_disk vdb)
	echo "vdb is $device"
	use platform mmioblk "$device" ext4 ro two ro
}

if disk ext4 one && disk ext4 two &&
	ok 'boot microvm with disks' boot micro --machine microvm --rootfs "$rootfs" \
		--attach "blk:$work/one.img" --attach "blk:$work/two.img"; then
	ok 'virtio-mmio by node and by platform device' mmio
	ok 'microvm: stop leaves nothing' stop micro
fi
