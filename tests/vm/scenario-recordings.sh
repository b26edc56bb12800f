# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# once: distro
# long
# Recorded calls of real clients (tests/transcript) that need a share, limits, disks or a network
# card. One VM for all: its init is a shell that starts one agent after another, each for one
# transcript, from the first call to the last.

share=$work/recordings

# The guest's init moves to a tmpfs, because a container cannot leave an initramfs by pivot_root,
# and starts agents.
guest_init()
{
	cat >"$1/init" <<-'END'
	#!/bin/busybox sh
	busybox mkdir -p /new
	busybox mount -t tmpfs -o mode=755 new /new
	busybox cp -a /agents /bin /etc /hooks /kata-agent /lib* /usr /new/
	exec busybox switch_root /new /agents
	END
	cat >"$1/agents" <<-'END'
	#!/bin/busybox sh
	export PATH=/bin KATA_AGENT_SERVER_ADDR=vsock://-1:1024
	busybox mkdir -p /proc /sys /dev /run /tmp /sbin
	busybox mount -t proc proc /proc
	busybox mount -t sysfs sysfs /sys
	busybox mount -t devtmpfs dev /dev
	busybox mount -t cgroup2 cgroup2 /sys/fs/cgroup
	while read -r module parameters; do busybox insmod $module $parameters; done </etc/tatami/modules
	busybox ip link set lo up
	while :; do
		for card in /sys/class/net/eth*; do
			test -e "$card" || continue
			busybox ip addr flush dev ${card##*/}
			busybox ip link set ${card##*/} down
		done
		busybox unshare -m -u -i busybox sh -c 'busybox mount -t tmpfs run /run; exec /kata-agent'
		echo "an agent has ended: $?"
	done
	END
	chmod 755 "$1/init" "$1/agents"
}

# make_disks: builds the disks of the recorded host: two with a root file system, and a volume of
# 64 MiB
make_disks()
{
	mkdir -p "$work/volume" && echo on-disk >"$work/volume/f" &&
		mke2fs -q -t ext4 -d "$work/userland" "$work/disk05" 64M &&
		cp "$work/disk05" "$work/disk06" &&
		mke2fs -q -t ext4 -d "$work/volume" "$work/disk07" 64M &&
		cp "$work/disk07" "$work/volume.ext4"
}

# grow_volume: makes the volume's disk a new one of 100 MiB, on which the file system is as before
grow_volume()
{
	dd if="$work/volume.ext4" of="$work/disk07" bs=1M conv=notrunc status=none &&
		qmp '{"execute":"block_resize","arguments":{"device":"disk07","size":104857600}}'
}

# at_slot SLOT: the options for a disk at this slot of the root bus, its PCI path in the recordings
at_slot()
{
	echo --qemu-arg -drive --qemu-arg "if=none,id=disk$1,format=raw,file=$work/disk$1" \
		--qemu-arg -device --qemu-arg "virtio-blk-pci,drive=disk$1,addr=0x$1"
}

# The guest's image: iptables, hooks, and a kernel module that is not loaded.
make_guest()
{
	local tree=$work/guest built release modules=()
	mkdir -p "$tree/hooks/prestart" "$tree/etc" "$share"
	if test "$kernel" = distro; then
		built=$(scripts/fetch-kernel) || return 1
		release=$(cat "$built/release")
		modules=(--modules "$built/lib/modules/$release" --module iptable_filter --module \
			ip6table_filter --module xt_tcpudp)
	fi
	"$OUT/tatami-initrd" --quiet -o "$work/base.img" --init "$OUT/tatami" \
		${modules[@]+"${modules[@]}"} || return 1
	if test -n "$release"; then
		for file in modules.dep modules.builtin kernel/drivers/block/loop.ko; do
			mkdir -p "$(dirname "$tree/lib/modules/$release/$file")" &&
				cp "$built/lib/modules/$release/$file" \
				"$tree/lib/modules/$release/$file" || return 1
		done
	fi
	iptables_into "$tree" && cp -a "$rootfs/bin/." "$tree/bin/" &&
		ln -s /usr/bin/kata-agent "$tree/kata-agent" && guest_init "$tree" &&
		printf '#!/bin/sh\necho ran >/run/hook\n' >"$tree/hooks/prestart/hook" &&
		chmod 755 "$tree/hooks/prestart/hook" &&
		initrd_join "$work/base.img" "$tree" "$work/recordings.img"
}

# The network card makes room for the disks.
boot_guest()
{
	# shellcheck disable=SC2046
	ctl boot --name recordings --kernel "$OUT/kernel/$kernel/vmlinuz" \
		--initrd "$work/recordings.img" --no-container --memory 768 \
		--max-memory 2048 --max-cpus 2 --attach "9p:$share" --attach "virtio-fs:$share" \
		$(at_slot 05) $(at_slot 06) $(at_slot 07) \
		--qemu-arg -netdev --qemu-arg user,id=net0,ipv6=off --qemu-arg -device --qemu-arg \
		virtio-net-pci,netdev=net0,mac=02:00:00:00:00:01,romfile=,addr=0xd || return 1
	vms+=(recordings)
	vmdir=${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/tatami}
	vmdir=${vmdir:-/tmp/tatami-vms-$(id -u)}/recordings
	address=$(sed -n 's/.*"address": "\(.*\)".*/\1/p' "$vmdir/state.json")
	test -n "$address"
}

# The recorded host's actions between calls, for replay --host.
make_host()
{
	cat >"$work/host" <<-END
	#!/bin/sh -e
	test "\$1" = change-volumes
	# like the kubelet: a new directory that ..data is switched to
	for volume in "$share"/*-cfg "$share"/*-sec; do
		mkdir "\$volume/..new"
		echo v2 >"\$volume/..new/key"
		ln -s ..new "\$volume/..data_tmp"
		mv -T "\$volume/..data_tmp" "\$volume/..data"
		ln -s ..data/key "\$volume/key_tmp"
		mv -T "\$volume/key_tmp" "\$volume/key"
	done
	END
	chmod 755 "$work/host"
}

replay_recording()
{
	case $1 in *-06d-*) grow_volume || return 1 ;; *-07-*) plug_card ||
		return 1 ;; *-08a-*) plug_cpu_and_memory || return 1 ;; esac
	rm -rf "${share:?}"/*
	prepare "$1" "$share" "$work/userland" || return 1
	LSAN_OPTIONS=detect_leaks=0 timeout -k 5 150 "$BUILD/asan/tests/transcript/replay" \
		--tag share1 --host "$work/host" "$address" "$1" && return 0
	tail -n 12 "$vmdir/console.log" | cut -c1-300
	# the next transcript creates its own sandbox
	rpc DestroySandbox '{}' >/dev/null
	return 1
}

qmp() { "$work/bin/qmp" "$vmdir/qmp.sock" "$@"; }

# Devices that the host has plugged in before the calls.
plug_card()
{
	qmp '{"execute":"netdev_add","arguments":{"type":"user","id":"n1"}}' \
		'{"execute":"device_add","arguments":{"driver":"virtio-net-pci","id":"nic1","netdev":"n1","bus":"hotplug0","mac":"02:00:00:00:00:02","romfile":""}}'
}

plug_cpu_and_memory()
{
	qmp '{"execute":"device_add","arguments":{"driver":"max-x86_64-cpu","id":"c1","socket-id":1,"core-id":0,"thread-id":0}}' \
		'{"execute":"object-add","arguments":{"qom-type":"memory-backend-memfd","id":"m1","size":268435456,"share":true}}' \
		'{"execute":"device_add","arguments":{"driver":"pc-dimm","id":"dimm1","memdev":"m1"}}'
}

# replay_all PATTERN...: replays the transcripts with a matching name
replay_all()
{
	local pattern recording
	for pattern; do
		for recording in tests/transcript/*$pattern*.transcript; do
			grep -qx '#vm' "$recording" || continue
			case $(id -u):$recording in
			0:*) ;;
			*/rs-02-*)
				skip 'recording: rs-02-drive-vm' \
					'an ordinary user cannot give files of a share to root'
				continue ;;
			esac
			ok "recording: $(basename "$recording" .transcript)" replay_recording \
				"$recording"
		done
	done
}

# shellcheck source=tests/transcript/prepare.sh
. tests/transcript/prepare.sh
if pod_userland "$work/userland" 2>/dev/null && make_host && ok 'make disks' make_disks &&
	ok 'make a guest that starts agents' make_guest && ok 'boot the guest' boot_guest; then
	# Plugged-in devices stay, so these come last.
	replay_all go-0[1-6] go-07 go-08[cd] go-09 go-1 rs-
	if test "$kernel" = distro; then
		replay_all go-08[ab]
	else
		skip 'recording: go-08a, go-08b' 'this kernel reserves no processors for hot-plug'
	fi
	ok 'stop leaves nothing' stop recordings
fi
rm -rf "$share" "$work/guest" "$work/userland" "$work/volume" "$work"/volume.ext4 "$work"/disk0[567]
