# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# once: ours
# long
# soak: ours
# The host takes storages away while containers use them: a disk is unplugged, a disk fails, a disk
# and shares stop answering, the server of a share dies. The calls that need them fail within
# bounded time, the containers can be removed, and the agent answers throughout. Then the guest is
# as before, except for what the kernel cannot release: a process that waits for a server that is
# dead.

qmp() { "$work/bin/qmp" "$vmdir/qmp.sock" "$@"; }
# call SECONDS METHOD JSON: as rpc, with the time limit of a host
call() { ctl rpc --timeout "$1" "$address" "${@:2}"; }
storages=/run/kata-containers/sandbox/storage

# plug ID BUS [OPTIONS]: plugs in a disk with an ext4
plug()
{
	mke2fs -q -F -t ext4 "$work/$1.img" 16M >/dev/null &&
		qmp '{"execute":"blockdev-add","arguments":{"node-name":"'"$1"'","driver":"raw","file":{"driver":"blkdebug","node-name":"'"$1"'-file","image":{"driver":"file","filename":"'"$work/$1.img"'"}'"${3-}"'}}}' \
			'{"execute":"device_add","arguments":{"driver":"virtio-blk-pci","id":"d'"$1"'","drive":"'"$1"'","bus":"'"$2"'","rerror":"report","werror":"report"}}'
}
free_node() { qmp '{"execute":"blockdev-del","arguments":{"node-name":"'"$1"'"}}' 2>/dev/null; }
unplug() { qmp '{"execute":"device_del","arguments":{"id":"d'"$1"'"}}' &&
	within 60 free_node "$1"; }

# at POINT: where QEMU does something to a request; it calls that an event, but the log has none of
# these
at() { printf '"%s":"%s"' event "$1"; }

# throttle BYTES: the disk "slow" writes so many bytes a second; 0: all
throttle()
{
	qmp '{"execute":"block_set_io_throttle","arguments":{"id":"/machine/peripheral/dslow/virtio-backend","bps":0,"bps_rd":0,"bps_wr":'"$1"',"iops":0,"iops_rd":0,"iops_wr":0}}'
}

# Everything that a storage may leave: file descriptors of the agent, mounts, directories, cgroups,
# workers.
# shellcheck disable=SC2016
look='agents=; for p in $(ls /hostproc | grep "^[0-9]" | sort -n); do
	case $(tr "\0" " " </hostproc/$p/cmdline) in *kata-agent*) test $p = 1 || agents="$agents $p" ;; esac;
	done;
	set -- $agents; echo "fds $(ls /hostproc/$1/fd | wc -l)"; echo "workers $#";
	cut -d " " -f 2,3 /hostproc/1/mounts; cd /hostproc/1/root; ls -d run/kata-containers/* run/kata-containers/sandbox/storage/*;
	find sys/fs/cgroup/pods -type d | sort'
look() { privileged yank "{ $(tr '\n\t' '  ' <<<"$look"); } 2>/dev/null" >"$1" &&
	grep -q '^fds [1-9]' "$1"; }
equals() { look "$work/after" && cmp -s "$work/$1" "$work/after"; }
# as FILE: the guest is as it was when FILE was written. A Check that is being answered has a
# descriptor.
as() { within 60 equals "$1" || { diff "$work/$1" "$work/after"; return 1; }; }

# with ID STORAGE COMMAND: starts a container with a volume that runs a shell command
with()
{
	local mount=$storages/$1
	EXTRA_FIELDS=',"storages":[{'"$2"',"mount_point":"'$mount'"}]'
	EXTRA_MOUNTS=',{"destination":"/vol","type":"bind","source":"'$mount'","options":["rbind"]}'
	call 60 CreateContainer "$(spec "$1" "$guest_rootfs" sh -c "$3")" &&
		rpc StartContainer '{"container_id":"'"$1"'"}'
	local result=$?
	EXTRA_FIELDS='' EXTRA_MOUNTS=''
	return $result
}
disk() { echo '"driver":"blk","source":"'"$1"'/00","fstype":"ext4"'; }
virtio_fs() { echo '"driver":"virtio-fs","source":"'"$1"'","fstype":"virtiofs"'; }
nine_p() { echo \
	'"driver":"9p","source":"'"$1"'","fstype":"9p","options":["trans=virtio","version=9p2000.L"]'; }

# Writes until it fails; each write reaches the host.
writes='while echo x >/vol/n && sync -f /vol/n; do :; done; exit 7'
remove() { call 60 RemoveContainer '{"container_id":"'"$1"'"}'; }
stats() { call 60 GetVolumeStats '{"volume_guest_path":"'$storages/"$1"'"}'; }
# ends ID: the container's program has ended because a write failed
ends() { call 60 WaitProcess '{"container_id":"'"$1"'","exec_id":"'"$1"'"}' |
	grep -q '"status": 7'; }
# stalls ID: the container uses no processor time: it waits for a storage
stalls() { privileged yank \
	'set -- /hostproc/1/root/sys/fs/cgroup/pods/'"$1"'/cpu.stat; read -r a <$1; sleep 0.5; read -r b <$1; test "$a" = "$b"'; }

# Check is called all the time; each call that fails or takes long is noted.
watch()
{
	while test -d "$work" && test ! -e "$work/enough"; do
		timeout 20 "$OUT/tatamictl" rpc "$address" Check '{}' >/dev/null 2>>"$work/missed" \
			|| echo 'Check was not answered' >>"$work/missed"
		echo >>"$work/checked"
		sleep 0.1
	done
}
answered()
{
	touch "$work/enough"
	wait "$watcher"
	test -s "$work/checked" && test ! -s "$work/missed" || { cat "$work/missed"; return 1; }
}

# ---- disks ----

unplugged()
{
	plug gone hotplug0 && with gone "$(disk 1e)" "$writes" && sleep 0.5 &&
		qmp '{"execute":"device_del","arguments":{"id":"dgone"}}' &&
		ends gone || return 1
	says 'failed' call 60 ResizeVolume \
		'{"volume_guest_path":"'$storages/gone'","size":33554432}' || return 1
	remove gone && within 60 free_node gone && as before
}

fails()
{
	plug bad hotplug1 \
		',"set-state":[{"state":1,"new_state":2,'"$(at \
		flush_to_disk)"'}],"inject-error":[{"state":2,"errno":5,'"$(at write_aio)"'}]' &&
		with bad "$(disk 1d)" \
		"${writes%exit*}until ! echo y >/vol/m; do sync -f /vol; done; exit 7" &&
		ends bad || return 1
	stats bad | tee /dev/stderr | grep -q '"abnormal": true' || return 1
	remove bad && unplug bad && as before
}

# The disk answers again later. Until then the container is not removed: its data may still arrive,
# and the host would give the disk to another guest.
throttled()
{
	plug slow hotplug2 && with slow "$(disk 1c)" "$writes" && throttle 1 &&
		within 60 stalls slow || return 1
	says 'does not complete its writes' remove slow || return 1
	throttle 0 && within 60 remove slow && unplug slow && as before
}

# ---- shares ----

pids_of() { pgrep -f "shared-dir=$work/$1( |\$)" | tr '\n' ' '; }

yank_shares()
{
	local pids id
	# shellcheck disable=SC2016
	with stopped "$(virtio_fs share1)" "$writes" &&
		with killed "$(virtio_fs share2)" "$writes" &&
		with idle "$(virtio_fs share2)" 'sleep 1000' || return 1
	if test -n "$hung"; then
		with hung "$(nine_p share3)" \
			'while echo x >/vol/n && ls /vol/sub >/dev/null; do :; done; exit 7' ||
			return 1
		"$work/bin/hangfs" "$work/hung/sub" &
		hangfs=$!
	fi
	pids=$(pids_of killed)
	# shellcheck disable=SC2086
	kill -KILL $pids && kill -STOP $(pids_of stopped) || return 1
	for id in stopped killed $hung; do within 60 stalls $id || return 1; done
}

# refused TEXT COMMAND...: the command fails with this text; to run several at a time
begin() { local name=$1; shift; says "$@" >"$work/said-$name" 2>&1 & begun+=($!); }
all_begun()
{
	local pid result=0
	for pid in "${begun[@]}"; do wait "$pid" || result=1; done
	test $result = 0 || cat "$work"/said-*
	begun=()
	return $result
}

calls_fail()
{
	local id
	for id in stopped killed; do
		begin "stats-$id" "failed to stat volume $storages/$id: timed out" stats $id
		begin "resize-$id" 'DEADLINE_EXCEEDED' call 20 ResizeVolume \
			'{"volume_guest_path":"'$storages/$id'","size":33554432}'
		begin "create-$id" 'DEADLINE_EXCEEDED' create_on "$id" "$storages/$id/n"
	done
	for id in $hung; do
		begin stats-hung "failed to stat volume $storages/hung/sub: timed out" stats hung/sub
		begin create-hung 'DEADLINE_EXCEEDED' create_on hung "$storages/hung/sub/x"
	done
	test "$SOAK" = 0 ||
		begin unlimited \
		"failed to mount storage $storages/again (driver bind): timed out after 120000 ms" \
		create_unlimited
	all_begun
}
# create_on ID SOURCE: needs a file of a share
create_on()
{
	EXTRA_FIELDS=',"storages":[{"driver":"bind","source":"'$2'","fstype":"bind","options":["rbind"],"mount_point":"'$storages/on-$1'"}]'
	call 20 CreateContainer "$(spec "on-$1" "$guest_rootfs" true)"
}
create_unlimited()
{
	EXTRA_FIELDS=',"storages":[{"driver":"bind","source":"'$storages/killed/n'","fstype":"bind","options":["rbind"],"mount_point":"'$storages/again'"}]'
	rpc CreateContainer "$(spec again "$guest_rootfs" true)"
}

removed_all()
{
	local id pid pids=() result=0
	for id in stopped killed idle $hung; do remove $id & pids+=($!); done
	for pid in "${pids[@]}"; do wait "$pid" || result=1; done
	for id in stopped killed $hung; do
		has_event process-left "$vmdir/console.log" "container-id=$id" ||
			{ echo "no event for $id"; result=1; }
	done
	return $result
}

# Another container can be created and removed.
other_lives() \
	{ with other \
	'"driver":"bind","source":"/run/kata-containers/sandbox/shm","fstype":"bind","options":["rbind"]' 'ls /vol' && remove other; }

# The servers answer again: their processes end, and the next removal takes their cgroups away. One
# server stays dead.
answer_again()
{
	# shellcheck disable=SC2046
	kill -CONT $(pids_of stopped)
	if test -n "$hung"; then
		kill -KILL $hangfs
		wait $hangfs 2>/dev/null
		umount -l "$work/hung/sub" 2>/dev/null
	fi
	within 60 as_before_but_killed
}
count() { sed -n "s/^$1 //p" "$work/$2"; }
as_before_but_killed()
{
	other_lives && look "$work/after" || return 1
	sed '/pods\/killed$/d;/^workers/d;/^fds/d' "$work/after" >"$work/rest"
	sed '/^workers/d;/^fds/d' "$work/before" | diff - "$work/rest" || return 1
	# The agent holds two descriptors at most for a worker that hangs, and one for a Check.
	test $(($(count fds after) - $(count fds before))) -le \
		$((2 * ($(count workers after) - $(count workers before)) + 1)) ||
		{ grep -h '^fds\|^workers' "$work/before" "$work/after"; return 1; }
}
# A container cannot have the cgroup of such a process.
cgroup_taken() \
	{ says 'that hang in the kernel' with killed \
	'"driver":"ephemeral","source":"tmpfs","fstype":"tmpfs"' true; }

mkdir -p "$work/stopped" "$work/killed" "$work/hung/sub" "$rootfs/hostproc"
begun=()
hung=hung
if test "$(id -u)" != 0; then
	hung=''
	skip 'a 9p share of which a directory hangs on the host' 'a mount of FUSE is for root only'
fi
rm -f "$work/enough" "$work/missed" "$work/checked"
# shellcheck disable=SC2154
if ok 'boot with shares and ports for disks' boot yank --rootfs "$rootfs" --privileged \
	--guest-proc /hostproc --memory 512 \
	--attach "virtio-fs:$work/stopped" --attach "virtio-fs:$work/killed" --attach \
	"9p:$work/hung" \
	--qemu-arg -device --qemu-arg pcie-root-port,id=hotplug1,chassis=2,slot=2,addr=0x1d \
	--qemu-arg -device --qemu-arg pcie-root-port,id=hotplug2,chassis=3,slot=3,addr=0x1c \
	-- sh -c "$obeys" && other_lives && ok 'look at the guest' look "$work/before"; then
	watch &
	watcher=$!
	ok 'a disk is unplugged while it is written to' unplugged
	ok 'a disk that fails' fails
	ok 'a disk that stalls keeps its container until it answers' throttled
	ok 'shares stop answering' yank_shares
	ok 'calls that need them fail in bounded time' calls_fail
	ok 'their containers can be removed' removed_all
	ok 'another container lives meanwhile' other_lives
	ok 'the guest is as before when the servers answer again, except for one that is dead' \
		answer_again
	ok 'the cgroup of a process that hangs is not used again' cgroup_taken
	ok 'Check was answered all the time' answered
	ok 'stop leaves nothing' stop yank
fi
rm -rf "$work/stopped" "$work/killed" "$work/hung" "$work"/{gone,bad,slow}.img
