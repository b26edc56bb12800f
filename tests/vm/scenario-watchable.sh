# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ConfigMaps and Secrets (watchable-bind) on virtio-fs, on 9p and on a file system of the guest:
# updates as a kubelet makes them, seen by a program that reads and watches all the time; what
# following costs an idle guest; a share that hangs.

containers=/run/kata-containers/shared/containers

# publish DIRECTORY N: updates (or makes) a volume
publish()
{
	local dir=$1 n=$2 old key
	mkdir -p "$dir" && old=$(readlink "$dir/..data")
	mkdir "$dir/..v$n" || return 1
	for key in a b c; do echo "version $n" >"$dir/..v$n/$key" || return 1; done
	ln -s "..v$n" "$dir/..data_tmp" && mv -T "$dir/..data_tmp" "$dir/..data" || return 1
	for key in a b c; do test -L "$dir/$key" || ln -s "..data/$key" "$dir/$key"; done
	test -z "$old" || rm -r "${dir:?}/$old"
}

# share_of KIND: its storage
share_of()
{
	case $1 in
	virtio-fs) echo \
		'{"driver":"virtio-fs","source":"share1","fstype":"virtiofs","mount_point":"/run/kata-containers/shared/virtio-fs"}' ;;
	9p) echo '{"driver":"9p","source":"share2","fstype":"9p","options":["trans=virtio","version=9p2000.L"],"mount_point":"/run/kata-containers/shared/9p"}' ;;
	esac
}

# watchable SHARE: the directory of the mount points; the Rust runtime has its own
watchable() { case $1 in 9p) echo $containers/passthrough/watchable ;; *) echo \
	$containers/watchable ;; esac; }

# with_volume ID SHARE VOLUME COMMAND...: starts a container with the volume at /cfg, and the
# directory "out" of the share at /out
with_volume()
{
	local id=$1 share=$2 volume=$3 at=/run/kata-containers/shared/$2 point
	point=$(watchable "$2")/$1-cfg
	shift 3
	EXTRA_FIELDS=',"storages":['$(share_of \
		"$share")',{"driver":"watchable-bind","source":"'$at/$volume'","fstype":"bind",
		"options":["rbind","rprivate","ro"],"mount_point":"'$point'"}]'
	EXTRA_MOUNTS=',{"destination":"/cfg","type":"bind","source":"'$point'","options":["rbind","rprivate","ro"]},
		{"destination":"/out","type":"bind","source":"'$at/out'","options":["rbind"]}'
	rpc CreateContainer "$(spec "$id" "$guest_rootfs" "$@")" || return 1
	EXTRA_FIELDS='' EXTRA_MOUNTS=''
	rpc StartContainer '{"container_id":"'"$id"'"}'
}

remove() { rpc RemoveContainer '{"container_id":"'"$1"'"}'; }

# followed SHARE: the program sees each of the last updates completely, and receives an inotify
# event for each
followed()
{
	local log=$work/$1/out/log volume=$work/$1/cfg n begin
	publish "$volume" 1 || return 1
	with_volume "probe-$1" "$1" cfg /watch-probe /cfg /out/log || return 1
	within 20 grep -qx 'version 1' "$log" || return 1
	for n in $(seq 2 40); do
		publish "$volume" "$n" || return 1
		sleep "0.0$((n * 7 % 10))"
	done
	within 20 grep -qx 'version 40' "$log" || { tail "$log"; return 1; }
	# The guest is idle again.
	sleep 4
	begin=${EPOCHREALTIME/./}
	publish "$volume" 41 || return 1
	within 20 grep -qx 'version 41' "$log" || { tail "$log"; return 1; }
	echo "$1: an update was seen after $(((${EPOCHREALTIME/./} - begin) / 1000)) ms" \
		>>"$work/measured"
	within 20 sh -c 'tail -n 1 "$1" | grep -qx deleted' sh "$log" || { tail "$log"; return 1; }
	grep -qx 'moved ..data' "$log" || { cat "$log"; return 1; }
	! grep fault "$log"
}

# A key is added, another removed; modes stay.
keys_change()
{
	local dir=$work/$1/cfg
	echo "version 42" >"$dir/..v41/new" && chmod 0640 "$dir/..v41/new" &&
		ln -s ..data/new "$dir/new" && rm "$dir/c" "$dir/..v41/c" || return 1
	within 10 is $'..data ..v41 a b new\n640' in_guest "$1" || { in_guest "$1"; return 1; }
}
in_guest() \
	{ ctl exec --privileged watch -- sh -c \
	"cd /hostproc/1/root$(watchable "$1")/probe-$1-cfg && echo \$(ls -A) && stat -L -c %a new" \
	2>&1; }

follower() \
	{ ctl exec watch -- sh -c \
	'for d in /hostproc/[0-9]*; do test "$(cat $d/comm 2>/dev/null)" != kata-follow || echo ${d##*/}; done'; }
followers() { follower | wc -l; }

# The context switches and the time of the workers in 20 idle seconds
cost()
{
	local what
	test "$(followers)" = 1 || { echo "$(followers) workers"; return 1; }
	# The worker looks more often for 3 s after a change.
	sleep 8
	what=$(ctl exec --privileged watch -- sh -c 'p='"$(follower) at=$(watchable "$1")"'
		look() { awk "/ctxt_switches/ { n += \$2 } END { print n }" /hostproc/$p/status; cut -d" " -f1 /hostproc/$p/schedstat; }
		set -- $(look); sleep 20; set -- "$@" $(look)
		echo $(($3 - $1)) wake-ups, $((($4 - $2) / 1000)) us of processor time in 20 s, for $(ls -d /hostproc/1/root$at/*-cfg | wc -l) volumes') || return 1
	echo "$1: $what" >>"$work/measured"
	test "${what%% *}" -ge 5 && test "${what%% *}" -le 30 || { echo "$what"; return 1; }
}

# large SHARE: 10,000 files, and one of 100 MiB, which does not fit and is bound
large()
{
	local dir=$work/$1/large i begin=${EPOCHREALTIME/./}
	mkdir -p "$dir/many" "$dir/one" || return 1
	(cd "$dir/many" && seq 10000 | xargs touch && echo text >10000) || return 1
	truncate -s 100M "$dir/one/large" && echo end >>"$dir/one/large" || return 1
	with_volume many "$1" large/many sh -c \
		'while :; do echo $(ls /cfg | wc -l) $(cat /cfg/10000) >/out/many; sleep 1; done' ||
		return 1
	echo "$1: a container with 10,000 files was started in $(((${EPOCHREALTIME/./} - begin) / 1000)) ms" >>"$work/measured"
	with_volume one "$1" large/one sh -c \
		'while :; do tail -c 8 /cfg/large >/out/one; sleep 1; done' || return 1
	has_event volume-not-copied "$work/console-watch" \
		"source=/run/kata-containers/shared/$1/large/one" || return 1
	within 20 grep -qx '10000 text' "$work/$1/out/many" &&
		within 20 grep -qx 'end' "$work/$1/out/one" || return 1
	echo changed >"$dir/many/10000" && rm "$dir/many/1" && echo last >>"$dir/one/large" ||
		return 1
	within 120 grep -qx '9999 changed' "$work/$1/out/many" ||
		{ cat "$work/$1/out/many"; return 1; }
	within 20 grep -qx 'last' "$work/$1/out/one" || { cat "$work/$1/out/one"; return 1; }
	remove many && remove one
}

# The server of the share stops. The container's own root is on another share.
hangs()
{
	local pid
	publish "$work/virtio-fs/stuck" 1 && publish "$work/9p/alive" 1 || return 1
	with_volume stuck virtio-fs stuck sleep 3600 &&
		with_volume alive 9p alive /watch-probe /cfg /out/alive || return 1
	pid=$(pgrep -f "shared-dir=$work/virtio-fs" | tr '\n' ' ')
	# shellcheck disable=SC2086
	kill -STOP $pid
	sleep 3
	publish "$work/9p/alive" 2
	within 20 grep -qx 'version 2' "$work/9p/out/alive" && LIMIT=10 rpc Check '{}' >/dev/null &&
		LIMIT=60 remove stuck && remove alive
	local result=$?
	# shellcheck disable=SC2086
	kill -CONT $pid
	return $result
}

# A volume on a tmpfs of the guest, as without a shared file system: bound, and nothing follows it.
copy_link() \
	{ rpc CopyFile \
	'{"path":"'"$containers/local/$1"'","file_mode":41471,"dir_mode":493,"file_size":0,"data":"'"$(printf %s "$2" | base64 -w0)"'"}'; }
copy_version()
{
	local key
	for key in a b c; do
		rpc CopyFile \
			'{"path":"'"$containers/local/..v$1/$key"'","file_mode":33188,"dir_mode":493,"file_size":10,"data":"'"$(printf 'version %s\n' "$1" | base64 -w0)"'"}' || return 1
	done
	copy_link ..data "..v$1"
}
on_tmpfs()
{
	local begin
	copy_version 1 && copy_link a ..data/a || return 1
	EXTRA_FIELDS=',"storages":['$(share_of \
		virtio-fs)',{"driver":"watchable-bind","source":"'$containers/local'","fstype":"bind",
		"options":["rbind","rprivate","ro"],"mount_point":"'$containers/watchable/local-cfg'"}]'
	EXTRA_MOUNTS=',{"destination":"/cfg","type":"bind","source":"'$containers/watchable/local-cfg'","options":["rbind","rprivate","ro"]},
		{"destination":"/out","type":"bind","source":"/run/kata-containers/shared/virtio-fs/out","options":["rbind"]}'
	rpc CreateContainer "$(spec local "$guest_rootfs" /watch-probe /cfg /out/local)" &&
		rpc StartContainer '{"container_id":"local"}' || return 1
	within 20 grep -qx 'version 1' "$work/virtio-fs/out/local" && copy_version 2 || return 1
	begin=${EPOCHREALTIME/./}
	within 2 grep -qx 'version 2' "$work/virtio-fs/out/local" &&
		grep -qx 'moved ..data' "$work/virtio-fs/out/local" || return 1
	echo "tmpfs: an update was seen at most $(((${EPOCHREALTIME/./} - begin) / 1000)) ms later" >>"$work/measured"
	! grep fault "$work/virtio-fs/out/local" && test "$(followers)" = 0 && remove local ||
		return 1
	EXTRA_MOUNTS=$EXTRA_MOUNTS',{"destination":"/hostproc","type":"bind","source":"/proc","options":["rbind","ro"]}'
	rpc CreateContainer "$(spec local "$guest_rootfs" sh /idle.sh)" &&
		rpc StartContainer '{"container_id":"local"}' || return 1
	EXTRA_FIELDS='' EXTRA_MOUNTS=''
}

# Init and agent sleep while a container with such a volume does.
sleeps()
{
	within 40 grep -q . "$work/virtio-fs/out/idle" &&
		is 'wake-ups 0' cat "$work/virtio-fs/out/idle"
}
measure_idle()
{
	cat <<-'END'
	pids=1
	for d in /hostproc/[0-9]*; do
		case ${d##*/}:$(tr '\0' ' ' <$d/cmdline) in 1:*) ;; *:kata-agent* | */kata-agent*) pids="$pids ${d##*/}" ;; esac
	done
	switches() { for p in $pids; do awk '/ctxt_switches/ { print $2 }' /hostproc/$p/status; done | awk '{ n += $1 } END { print n }'; }
	sleep 8
	before=$(switches)
	sleep 10
	echo wake-ups $(($(switches) - before)) >/out/idle
	sleep 3600
	END
}

# nothing_left: mounts, copies and workers are as before
guest_mounts() { ctl exec watch -- cat /hostproc/1/mounts; }
nothing_left()
{
	within 10 is 0 followers || return 1
	test "$(guest_mounts)" = "$mounts_before" ||
		{ guest_mounts | diff - <(echo "$mounts_before"); return 1; }
	ctl exec --privileged watch -- sh -c \
		"cd /hostproc/1/root$containers && ! ls -d watchable/* && ! ls -d passthrough"
}

# The other kernel may have run in this lane before.
rm -rf "$work/virtio-fs" "$work/9p"
mkdir -p "$work/virtio-fs/out" "$work/9p/out" "$rootfs/hostproc"
belongs_to_all "$work"/{virtio-fs,9p}/out
# measured NAME COMMAND...: a test that waits to see what an idle guest does. That is the same with
# each kernel: if there are two, ours is the one.
measured()
{
	if test "$kernel" = distro && test -f "$OUT/kernel/ours/vmlinuz"; then
		skip "$1" 'measured with our kernel'
	else
		ok "$@"
	fi
}

cp "$work/bin/watch-probe" "$rootfs/watch-probe"
measure_idle >"$rootfs/idle.sh"
: >"$work/measured"
if ok 'boot with two shares' boot watch --rootfs "$rootfs" --memory 1024 --attach \
	"virtio-fs:$work/virtio-fs" --attach "9p:$work/9p" \
	--privileged --guest-proc /hostproc; then
	mounts_before=$(guest_mounts)
	ok 'on virtio-fs: updates are seen whole, and reported' followed virtio-fs
	ok 'on virtio-fs: keys come and go' keys_change virtio-fs
	measured 'on virtio-fs: what following costs' cost virtio-fs
	ok 'on virtio-fs: the volume is released' remove probe-virtio-fs
	ok 'nothing is left' nothing_left
	ok 'on 9p: updates are seen whole, and reported' followed 9p
	ok 'on 9p: keys come and go' keys_change 9p
	measured 'on 9p: what following costs' cost 9p
	ok 'on 9p: the volume is released' remove probe-9p
	ok 'nothing is left of that' nothing_left
	ok 'on virtio-fs: 10,000 files, and one of 100 MiB' large virtio-fs
	ok 'on a tmpfs: updates are reported at once, and nothing follows' on_tmpfs
	measured 'on a tmpfs: nothing wakes up' sleeps
	ok 'the volume on the tmpfs is released' remove local
	ok 'a share that hangs stalls only its own volumes' hangs
	ok 'nothing is left at the end' nothing_left
	sed 's/^/# /' "$work/measured"
	ok 'stop leaves nothing' stop watch
fi
rm -f "$rootfs/watch-probe" "$rootfs/idle.sh"
