# SPDX-License-Identifier: Apache-2.0
# once: ours
# shellcheck shell=bash disable=SC2046,SC2016
# The host's tool: the default share, every kind of volume and device, and what is plugged into a
# running VM. The agent's part of it has scenarios of its own.

# image NAME: a file system with a file "name"
image()
{
	mkdir -p "$work/image" && echo "$1" >"$work/image/name" || return 1
	rm -f "$work/$1.img"
	mke2fs -q -t ext4 -b 4096 -d "$work/image" "$work/$1.img" 16M >/dev/null
}
# on_disk NAME FILE: prints a file of the image
on_disk() { debugfs -R "cat $2" "$work/$1.img" 2>/dev/null; }

make_files()
{
	local name
	mkdir -p "$work/dir" "$work/config/..v1" && echo of-the-directory >"$work/dir/name" &&
		echo one >"$work/config/..v1/key" && ln -s ..v1 "$work/config/..data" &&
		ln -s ..data/key "$work/config/key" || return 1
	for name in blk scsi pmem dimm hot mmio; do image $name || return 1; done
	for name in raw0 raw1 raw2; do truncate -s 1M "$work/$name.img" &&
		printf %s "$name" | dd of="$work/$name.img" conv=notrunc status=none ||
		return 1; done
}

# Without --share: a share with FIFOs and with files that are used after their removal. An NVDIMM
# that is read-only keeps its content.
default_share()
{
	is $'virtiofs\nby FIFO\nremoved, and used\ndimm\nnot written' ctl run --kernel \
		"$OUT/kernel/$kernel/vmlinuz" --initrd "$OUT/kernel/$kernel/initrd.img" --rootfs \
		"$rootfs" --writable \
		--volume "type=nvdimm,source=$work/dimm.img,target=/dimm,readonly" -- sh -c '
		grep " / " /proc/mounts | cut -d" " -f3
		mkfifo /tmp/fifo && { echo by FIFO >/tmp/fifo & } && cat /tmp/fifo
		exec 3<>/tmp/gone && rm /tmp/gone && echo removed, and used >&3 && cat /proc/self/fd/3
		cat /dimm/name; { echo x >/dimm/name; } 2>/dev/null || echo not written' &&
		test "$(on_disk dimm name)" = dimm
}

# writes NAME TARGET: the volume has the image's file, and what the container writes is on the image
writes()
{
	is "$1" ctl exec ctl -- cat "$2/name" &&
		ctl exec ctl -- sh -c "echo written >$2/data && sync" || return 1
	test "$(on_disk "$1" data)" = written || { echo 'not on the image'; return 1; }
}
bound() { is of-the-directory ctl exec ctl -- cat /dir/name &&
	ctl exec ctl -- sh -c 'echo new >/dir/new' && test "$(cat "$work/dir/new")" = new; }
config_is() { test "$(ctl exec ctl -- cat /config/key)" = "$1"; }
config_changes()
{
	config_is one || return 1
	mkdir "$work/config/..v2" && echo two >"$work/config/..v2/key" &&
		ln -s ..v2 "$work/config/..tmp" &&
		mv -T "$work/config/..tmp" "$work/config/..data" || return 1
	within 30 config_is two && says 'Read-only' ctl exec ctl -- sh -c 'echo x >/config/key'
}
memory_volumes()
{
	ctl exec ctl -- sh -c \
		'grep " /tmpfs tmpfs .*size=8192k.*mode=750" /proc/mounts && echo x >/tmpfs/x &&
		grep " /huge hugetlbfs .*pagesize=2M" /proc/mounts && grep "HugePages_Total: *2" /proc/meminfo' || { ctl exec ctl -- grep ' /tmpfs \| /huge ' /proc/mounts; return 1; }
}
devices()
{
	is 'raw0raw1' ctl exec ctl -- sh -c 'head -c 4 /dev/one; head -c 4 /dev/two' &&
		ctl exec ctl -- sh -c \
		'printf new1 | dd of=/dev/one conv=notrunc,fsync 2>/dev/null' &&
		test "$(head -c 4 "$work/raw0.img")" = new1 &&
		! ctl exec ctl -- sh -c \
		'printf new1 | dd of=/dev/two conv=notrunc,fsync 2>/dev/null' &&
		test "$(head -c 4 "$work/raw1.img")" = raw1
}

bad_input()
{
	local run=(run --rootfs "$rootfs") v
	while IFS='|' read -r text v; do
		case $v in --in*) run=(run) ;; esac
		# shellcheck disable=SC2086
		usage_error "$text" "${run[@]}" $v -- true || return 1
	done <<-END
	--volume|-v type=nfs,source=$work/dir,target=/x
	unknown key "sauce"|-v type=blk,sauce=$work/blk.img,target=/x
	target is missing|-v type=blk,source=$work/blk.img
	type tmpfs does not take source|-v type=tmpfs,source=$work/dir,target=/x
	invalid target|-v type=tmpfs,target=/x/../y
	invalid size|-v type=tmpfs,target=/x,size=much
	no supported file system|-v type=blk,source=$work/raw2.img,target=/x
	used twice|-v type=blk,source=$work/blk.img,target=/x --device $work/blk.img:/dev/y
	have the target /x|-v type=tmpfs,target=/x -v $work/dir:/x
	a whole number of 2 MiB|--device type=pmem,source=$work/raw2.img,target=/dev/x
	not an image|--device $work/dir:/dev/x
	cannot be used together|-v type=pmem,source=$work/pmem.img,target=/x -v type=nvdimm,source=$work/dimm.img,target=/y
	no memory devices|--machine microvm -v type=pmem,source=$work/pmem.img,target=/x
	when the VM boots|--in ctl -v $work/dir:/x
	it must be an image|--in ctl --rootfs $work/dir
	END
}
usage_error()
{
	local text=$1 got status=0
	shift
	got=$(ctl "$@" 2>&1 </dev/null) || status=$?
	case $status:$got in 2:*"$text"*) return 0 ;; esac
	echo "exit code $status, printed: $got, not: $text"
	return 1
}

# The address that plug prints is what a storage takes.
by_hand()
{
	local said id point=/run/kata-containers/sandbox/storage/hand
	said=$(ctl plug ctl "type=$1,source=$work/hot.img") || return 1
	id=${said%% *}
	EXTRA_FIELDS=',"storages":[{"driver":"'$1'","source":"'${said#* }'","fstype":"ext4","mount_point":"'$point'"}]'
	EXTRA_MOUNTS=',{"destination":"/vol","type":"bind","source":"'$point'","options":["rbind"]}'
	rpc CreateContainer "$(spec hand "$guest_rootfs" sh -c 'test $(cat /vol/name) = hot')" ||
		return 1
	EXTRA_FIELDS='' EXTRA_MOUNTS=''
	rpc StartContainer '{"container_id":"hand"}' &&
		rpc WaitProcess '{"container_id":"hand","exec_id":"hand"}' >"$work/status" ||
		return 1
	! jq -e '.status // 0 | . != 0' "$work/status" || return 1
	ctl plug --list ctl | tee /dev/stderr | grep -q "^$id " &&
		rpc RemoveContainer '{"container_id":"hand"}' &&
		ctl unplug ctl "$id" && says "no device $id was attached" ctl unplug ctl "$id"
}

# A second container, with a disk of each kind that is attached for it, and detached after it.
run_in()
{
	is $'hot\nraw2' ctl run --in ctl -v "type=$1,source=$work/hot.img,target=/hot" --device \
		"type=scsi,source=$work/raw2.img,target=/dev/hot" -- \
		sh -c 'cat /hot/name; echo "$0" >/hot/data; head -c 4 /dev/hot' "$1" || return 1
	test "$(on_disk hot data)" = "$1" && nothing_attached || return 1
	code 7 ctl run --in ctl -v "type=$1,source=$work/hot.img,target=/hot,ro" -- sh -c \
		'! { echo x >/hot/x; } 2>/dev/null && exit 7' && nothing_attached
}
nothing_attached() { is '' ctl plug --list ctl; }

# The life of a container in the background, command by command.
chain()
{
	local follower status=0
	is chain ctl run -d -i --name chain $(vm_options) --rootfs "$rootfs" -- sh -c \
		'trap "echo stopped; exit 5" TERM; echo begun; exec 3<&0; cat <&3 & wait' ||
		return 1
	vms+=(chain)
	ctl ps | grep -q '^chain .* up ' && within 30 logged chain begun || return 1
	ctl logs -f chain >"$work/followed" 2>&1 &
	follower=$!
	is /tmp ctl exec -w /tmp chain -- pwd &&
		echo typed | ctl attach --detach-keys y,p,e chain && within 30 logged chain t ||
		return 1
	rm -rf "$work/copied" && ctl cp chain:/etc "$work/copied" &&
		cmp "$work/copied/group" "$rootfs/etc/group" &&
		ctl cp "$work/dir/name" chain:/tmp/there &&
		is of-the-directory ctl exec chain -- cat /tmp/there || return 1
	ctl stop chain && is 5 ctl wait chain && test "$(ctl inspect chain | jq .exitCode)" = 5 &&
		wait $follower && test "$(cat "$work/followed")" = $'begun\ntstopped' ||
		{ cat "$work/followed"; return 1; }
	stop chain && ! ctl ps -aq | grep -qx chain
}
logged() { ctl logs "$1" | grep -q "$2"; }

# An image is the root of the second container, which writes to a layer, with --writable to the
# image.
run_in_image()
{
	local before
	rm -f "$work/root.img" && mke2fs -q -t ext4 -d "$rootfs" "$work/root.img" 32M >/dev/null &&
		before=$(sha256sum <"$work/root.img") &&
		is overlay ctl run --in ctl --rootfs "$work/root.img" -- sh -c \
		'echo x >/new && cat /new >/dev/null && grep " / " /proc/mounts | cut -d" " -f3' &&
		nothing_attached && test "$(sha256sum <"$work/root.img")" = "$before" &&
		is ext4 ctl run --in ctl --rootfs "$work/root.img" --writable -- sh -c \
		'echo written >/new && grep " / " /proc/mounts | cut -d" " -f3' &&
		nothing_attached && test "$(on_disk root new)" = written
}

ports_end()
{
	local id other
	id=$(ctl plug ctl "type=blk,source=$work/hot.img") &&
		other=$(ctl plug ctl "type=blk,source=$work/mmio.img,readonly") || return 1
	says 'no free port: the VM has 2' ctl plug ctl "type=blk,source=$work/raw2.img" &&
		says "failed to attach $work/hot.img: QEMU refused" ctl plug ctl \
		"type=scsi,source=$work/hot.img" &&
		ctl unplug ctl "${id%% *}" && ctl unplug ctl "${other%% *}" && nothing_attached
}

card()
{
	local said
	said=$(ctl plug ctl type=nic,mac=02:00:00:00:00:07) || return 1
	rpc UpdateInterface \
		'{"interface":{"device":"eth9","name":"eth9","mtu":1500,"hwAddr":"02:00:00:00:00:07","devicePath":"'"${said#* }"'"}}' &&
		ctl exec ctl -- grep -qx 02:00:00:00:00:07 /sys/class/net/eth9/address &&
		ctl unplug ctl "${said%% *}" && nothing_attached
}
mebibytes() { ctl exec ctl -- awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo; }
memory()
{
	local before
	before=$(mebibytes)
	is memory0 ctl plug ctl type=memory,size=128Mi && within 60 grown_to $((before + 110))
}
grown_to() { test "$(mebibytes)" -ge "$1"; }

# The layer is on a disk, which takes what does not fit into the guest's memory. It has the mount
# points, too.
microvm()
{
	local before
	before=$(ls -lR --time-style=full-iso "$rootfs") &&
		is $'mmio\noverlay\nraw2' ctl run $(vm_options) --machine microvm --rootfs \
		"$rootfs" --scratch 200Mi -v "type=blk,source=$work/mmio.img,target=/vol" --device \
		"type=scsi,source=$work/raw2.img,target=/dev/two" -- \
			sh -c 'cat /vol/name; echo written >/vol/data; rm /bin/vi && echo x >/etc/passwd && dd if=/dev/zero of=/big bs=1M count=140 2>/dev/null && sync && grep " / " /proc/mounts | cut -d" " -f3; head -c 4 /dev/two' &&
		test "$(on_disk mmio data)" = written &&
		test "$(ls -lR --time-style=full-iso "$rootfs")" = "$before"
}

# typed ROWS COLUMNS COMMAND...: runs the command on a terminal, typing the script on standard
# input.
# The echo of a line differs from what the line prints, so that only the latter is expected.
typed() { "$work/bin/pty" "$@" 2>&1; }
# A shell on a terminal, as in the first steps of every tutorial.
tutorial()
{
	typed 31 71 "$OUT/tatamictl" run -it $(vm_options) --rootfs "$rootfs" -- sh <<-'END' \
		|| return 1
	expect / #
	send stty size\r
	expect 31 71
	expect / #
	resize 40 100
	send until test "$(stty size)" = "40 100"; do :; done; echo size=$((1 + 1))\r
	expect size=2
	expect / #
	send sh -c 'trap "echo res""ized" WINCH; echo ar""med; while :; do sleep 0.1; done'\r
	expect armed
	resize 41 100
	expect resized
	send \x03
	expect / #
	send sh -c 'echo at''work; exec sleep 1000'\r
	expect atwork
	send \x03
	expect / #
	send echo code=$?\r
	expect code=130
	expect / #
	send sh -c 'trap "echo cont""inued" CONT; echo at""work; while :; do sleep 0.1; done'\r
	expect atwork
	send \x1a
	expect Stopped
	expect / #
	send fg\r
	expect continued
	send \x03
	expect / #
	send echo code=$?\r
	expect code=130
	expect / #
	send vi /tmp/new\r
	expect 1/1 100%
	send i
	expect I /tmp/new
	send hello from vi
	expect hello from vi
	send \e
	expect - /tmp/new
	send :wq\r
	expect / #
	send echo bytes=$(wc -c </tmp/new)\r
	expect bytes=14
	expect / #
	send sh -c 'echo at""work; cat'\r
	expect atwork
	send input\r
	expect input
	expect input
	send \x04
	expect / #
	send exit 5\r
	exit 5
	END
	within 60 no_process "$TMPDIR/tatami" >/dev/null ||
		{ pgrep -af "$TMPDIR/tatami"; return 1; }
}
# The reader of a pipe ends, and a write fails for lack of space.
pipes()
{
	local got
	# shellcheck disable=SC2216
	is 141 eval 'ctl exec ctl -- yes | head -n 2 >/dev/null; echo ${PIPESTATUS[0]}' &&
		is 141 eval 'ctl exec ctl -- yes | true; echo ${PIPESTATUS[0]}' || return 1
	got=$(ctl exec ctl -- yes 2>&1 >/dev/full; echo $?)
	case $got in *'No space left on device'*125) ;; *) echo "printed: $got"; return 1 ;; esac
	within 60 no_yes
}
no_yes() { ! ctl exec ctl -- pidof yes; }
# The client is killed, or its terminal is closed: its process ends, too.
client_gone()
{
	local end
	for end in 'kill 9' hangup; do
		typed 24 80 "$OUT/tatamictl" exec -it ctl -- sh -c \
			'echo at""work; exec yes >/dev/null' <<-END || return 1
		expect atwork
		$end
		exit $(test "$end" = hangup && echo 129 || echo 137)
		END
		within 60 no_yes || return 1
	done
}

ok 'make files' make_files
ok_on_terminal 'a terminal: a shell, resizing, Ctrl-C, Ctrl-Z, vi, Ctrl-D, the exit code' tutorial
if test "$(id -u)" = 0; then
	ok 'run: virtio-fs is the default share; an NVDIMM' default_share
else
	skip 'run: virtio-fs is the default share; an NVDIMM' 'it is for root only'
fi
if ok 'boot with a volume of each kind' boot ctl --share virtio-fs --rootfs "$rootfs" --memory 384 \
	--max-memory 1024 --hotplug-ports 2 \
	-v "$work/dir:/dir" -v "type=config,source=$work/config,target=/config" -v \
	"type=blk,source=$work/blk.img,target=/blk" \
	-v "type=scsi,source=$work/scsi.img,target=/scsi" -v \
	"type=pmem,source=$work/pmem.img,target=/pmem,dax" \
	-v type=tmpfs,target=/tmpfs,size=8Mi,mode=750 -v type=hugepages,target=/huge,size=4Mi \
	--device "$work/raw0.img:/dev/one" --device \
	"type=scsi,source=$work/raw1.img,target=/dev/two,readonly"; then
	ok 'pipes whose reader ends, a full disk' pipes
	ok_on_terminal 'the client is killed, or its terminal is closed' client_gone
	ok 'a directory' bound
	ok 'a directory that is followed' config_changes
	ok 'a disk on virtio-blk' writes blk /blk
	ok 'a disk on virtio-scsi' writes scsi /scsi
	ok 'virtio-pmem with DAX' writes pmem /pmem
	ok 'tmpfs and huge pages' memory_volumes
	ok 'block devices' devices
	ok 'invalid volumes and devices' bad_input
	ok 'plug in a disk on virtio-blk, use it by its address, unplug it' by_hand blk
	ok 'the same on virtio-scsi' by_hand scsi
	ok 'a second container with a disk on virtio-blk' run_in blk
	ok 'a second container with a disk on virtio-scsi' run_in scsi
	ok 'a second container with an image as its root' run_in_image
	ok 'a card' card
	ok 'no more ports, an image that is in use' ports_end
	ok 'memory' memory
	ok 'no more processors' says 'see --max-cpus' ctl plug ctl type=cpu
	ok 'stop leaves nothing' stop ctl
fi
ok 'run -d, ps, logs, exec, attach, cp, stop, wait, inspect, rm' chain
ok 'microvm: disks on virtio-mmio and virtio-scsi, a layer on a disk' microvm
