# SPDX-License-Identifier: Apache-2.0
# once: ours
# shellcheck shell=bash
# A VM is stopped and saved to a file by QEMU, and the file is restored twice, each time with its
# own generation id: the container continues, and each copy gets its own random numbers, the host's
# time and another network identity. vhost-user devices cannot be saved, so the agent listens on
# tcp:// and the container's root is on virtio-blk.

snap=$work/snapshot

# An initrd that configures the card before the agent starts, because no host can request it
# otherwise.
make_initrd()
{
	local tree=$snap/tree built modules=()
	if test "$kernel" = distro; then
		built=$(scripts/fetch-kernel) || return 1
		modules=(--modules "$(echo "$built"/lib/modules/*)" --module virtio_net --module \
			virtio_blk --module ext4)
	fi
	mkdir -p "$tree/bin" && "$OUT/tatami-initrd" --quiet -o "$snap/base.img" \
		--init "$OUT/tatami" ${modules[@]+"${modules[@]}"} || return 1
	cp "$rootfs/bin/busybox" "$tree/bin/busybox" || return 1
	cat >"$tree/init" <<-'END'
	#!/bin/busybox sh
	export PATH=/bin
	busybox mkdir -p /dev /proc /sys
	busybox mount -t devtmpfs dev /dev
	test ! -e /etc/tatami/modules || while read -r module parameters; do busybox insmod $module $parameters; done </etc/tatami/modules
	until busybox ip link set eth0 up 2>/dev/null; do busybox usleep 10000; done
	busybox ip address add 10.0.2.15/24 dev eth0
	busybox ip route add default via 10.0.2.2
	exec /sbin/init
	END
	chmod 755 "$tree/init"
	initrd_join "$snap/base.img" "$tree" "$snap/initrd.img" || return 1
	mke2fs -q -t ext4 -d "$rootfs" "$snap/root.ext4" 32M
}

free_port()
{
	local port
	for port in $(shuf -i 20000-29999 -n 50); do
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
}

# start NAME OPTION...: starts QEMU in the background; sets $vm to its pid and $address to the
# agent's address
start()
{
	local name=$1 port
	shift
	port=$(free_port)
	qmp=$snap/$name.qmp console=$snap/$name.console address=tcp://127.0.0.1:$port
	test -f "$snap/$name.ext4" || cp "$snap/root.ext4" "$snap/$name.ext4"
	qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -M q35 \
		-accel tcg,thread=single -cpu max -m 256 -smp 1 \
		-kernel "$OUT/kernel/$kernel/vmlinuz" -initrd "$snap/initrd.img" \
		-append 'console=ttyS0 loglevel=6 panic=-1 no_timer_check agent.server_addr=tcp://0.0.0.0:1024' \
		-chardev "file,id=console,path=$console" -serial chardev:console \
		-qmp "unix:$qmp,server=on,wait=off" \
		-netdev "user,id=net0,ipv6=off,hostfwd=tcp:127.0.0.1:$port-10.0.2.15:1024" \
		-device virtio-net-pci,netdev=net0,mac=02:00:00:00:00:01,romfile=,addr=0x6 \
		-device virtio-rng-pci,addr=0x3 \
		-drive "if=none,id=d0,format=raw,file=$snap/$name.ext4" \
		-device virtio-blk-pci,drive=d0,addr=0x7 \
		-device vmgenid,guid=auto "$@" >"$snap/$name.log" 2>&1 &
	vm=$!
}

end_vm()
{
	test -z "${vm-}" || { kill -9 "$vm"; wait "$vm"; } 2>/dev/null
	vm=
}

# ask METHOD JSON: makes one call to the agent
ask() { timeout 60 "$OUT/tatamictl" rpc --compact --timeout 40 "$address" "$@"; }

# answers: the agent answers within a minute while QEMU runs
answers()
{
	local i
	for i in $(seq 120); do
		timeout 10 "$OUT/tatamictl" rpc --timeout 5 "$address" Check '{}' >/dev/null 2>&1 &&
			return 0
		kill -0 "$vm" || break
		sleep 0.5
	done
	cat "$snap"/*.log
	tail -n 20 "$console"
	return 1
}

# in_guest COMMAND: prints the output of COMMAND in the container
in_guest()
{
	local id=x$RANDOM$RANDOM part
	ask ExecProcess \
		"{\"container_id\":\"box\",\"exec_id\":\"$id\",\"process\":{\"Args\":[\"sh\",\"-c\",\"$1\"],\"Env\":[\"PATH=/bin\"],\"Cwd\":\"/\",\"User\":{}}}" >/dev/null || return 1
	while part=$(ask ReadStdout "{\"container_id\":\"box\",\"exec_id\":\"$id\",\"len\":4096}") \
		&& test "$part" != '{"data":""}'; do
		part=${part#*:\"}
		base64 -d <<<"${part%\"*}"
	done
	ask WaitProcess "{\"container_id\":\"box\",\"exec_id\":\"$id\"}" | grep -q '"status":0'
}

qmp_says()
{
	printf '{"execute":"qmp_capabilities"}\n{"execute":"%s"}\n' "$1" |
		timeout 5 socat -t 2 - "UNIX-CONNECT:$qmp" | grep -q "$2"
}

counting()
{
	start first && answers || return 1
	ask CreateSandbox '{"sandbox_id":"sb","hostname":"before"}' || return 1
	EXTRA_FIELDS=',"storages":[{"driver":"blk","source":"07","fstype":"ext4","mount_point":"/run/kata-containers/shared/containers/box/rootfs"}]' \
		spec box /run/kata-containers/shared/containers/box/rootfs sh \
		-c 'n=0; while :; do n=$((n+1)); echo $n >/tmp/next; mv /tmp/next /tmp/count; sleep 0.1; done' >"$snap/create.json"
	ask CreateContainer @"$snap/create.json" && ask StartContainer '{"container_id":"box"}' &&
		in_guest 'until test -s /tmp/count; do sleep 0.1; done'
}

saved()
{
	in_guest 'cat /tmp/count' >"$snap/count" || return 1
	"$work/bin/qmp" "$qmp" '{"execute":"stop"}' \
		"{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"exec:cat >$snap/state\"}}" ||
		return 1
	within 60 qmp_says query-migrate '"completed"' || return 1
	saved_at=$(date +%s)
	end_vm
}

# restored NAME ADDRESS: restores the VM with the saved disk; the host then requests everything that
# must change
restored()
{
	local i
	cp "$snap/first.ext4" "$snap/$1.ext4"
	start "$1" -incoming "exec:cat $snap/state" || return 1
	within 60 qmp_says query-status '"paused"' || return 1
	# long enough to notice a clock that merely continued
	while test $(($(date +%s) - saved_at)) -lt 8; do sleep 0.2; done
	"$work/bin/qmp" "$qmp" '{"execute":"cont"}' && answers || return 1
	i=$(in_guest 'date +%s') && test $(($(date +%s) - i)) -ge 5 ||
		{ echo "the clock is right already: $i"; return 1; }
	# Copies of one snapshot differ before any request: the kernel was notified by vmgenid.
	in_guest 'head -c 16 /dev/urandom | md5sum' >"$snap/$1.random" || return 1
	ask SetGuestDateTime "{\"Sec\":$(date +%s),\"Usec\":0}" &&
		ask ReseedRandomDev "{\"data\":\"$(head -c 64 /dev/urandom | base64 -w 0)\"}" &&
		ask UpdateInterface \
		"{\"interface\":{\"device\":\"eth0\",\"name\":\"eth0\",\"hwAddr\":\"02:00:00:00:00:01\",\"mtu\":1400,\"type\":\"veth\",
			\"IPAddresses\":[{\"family\":\"v4\",\"address\":\"10.0.2.15\",\"mask\":\"24\"},{\"family\":\"v4\",\"address\":\"$2\",\"mask\":\"24\"}]}}"
}

goes_on()
{
	local before now
	before=$(in_guest 'cat /tmp/count') || { echo "cat failed: $before"; return 1; }
	sleep 1
	now=$(in_guest 'cat /tmp/count') || { echo "cat failed: $now"; return 1; }
	echo "$(cat "$snap/count"), restored $before, then $now"
	test "$before" -ge "$(cat "$snap/count")" && test "$now" -gt "$before"
}

reseeded()
{
	grep -q 'crng reseeded due to virtual machine fork' "$console" ||
		{ tail "$console"; return 1; }
}

right_time()
{
	local guest
	guest=$(in_guest 'date +%s') && echo "guest $guest host $(date +%s)" &&
		test $(($(date +%s) - guest)) -le 3 && test $(($(date +%s) - guest)) -ge -3
}

identity()
{
	in_guest 'ip address show eth0' | tee "$snap/shown" && grep -q "$1/24" "$snap/shown" &&
		grep -q 'mtu 1400' "$snap/shown"
}
differ()
{
	cat "$snap/one.random" "$snap/two.random" && ! cmp "$snap/one.random" "$snap/two.random"
}
still_works() { ask RemoveContainer '{"container_id":"box"}' && ask DestroySandbox '{}'; }

mkdir -p "$snap"
vm=
if ok 'make an initrd that configures the card, and a disk' make_initrd &&
	ok 'start a container that counts' counting && ok 'save the VM to a file' saved; then
	if ok 'restore the VM' restored one 10.0.2.21; then
		ok 'the container continues' goes_on
		ok 'the kernel was notified of the new generation id' reseeded
		ok 'the time equals that of the host' right_time
		ok 'the card has its new address' identity 10.0.2.21
	fi
	end_vm
	if ok 'restore the VM again' restored two 10.0.2.22; then
		ok 'the two copies have different random numbers' differ
		ok 'the time equals that of the host' right_time
		ok 'the card has the other address' identity 10.0.2.22
		ok 'the container and the sandbox can be removed' still_works
	fi
fi
end_vm
rm -rf "$snap"
