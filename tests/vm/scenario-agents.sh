# SPDX-License-Identifier: Apache-2.0
# once: ours
# shellcheck shell=bash disable=SC2016
# tatamictl with an agent that is not ours (other-agent.c): it has no 9p, learns only of disks that
# are plugged in after its start, and logs in its own way.

other=$work/bin/other-agent
agent_options() \
	{ echo --agent-binary "$other" --kernel "$(kernel_file)" --initrd \
	"$OUT/kernel/$kernel/initrd.img"; }
make_disk() { mke2fs -q -t ext4 -d "$rootfs" "$work/$1.ext4" 64M; }

# The VM also has the devices that the stand-in lacks: a share of 9p, a disk that QEMU starts with.
other_boot()
{
	mkdir -p "$work/data" && echo from the host >"$work/data/file" && make_disk root &&
		make_disk volume && make_disk cold || return 1
	boot_options=$(agent_options) boot other --rootfs "$work/root.ext4" -v "$work/data:/data" \
		-v "type=blk,source=$work/volume.ext4,target=/volume" --attach "9p:$work/data" \
		--qemu-arg=-drive --qemu-arg="if=none,id=cold,format=raw,file=$work/cold.ext4" \
		--qemu-arg=-device --qemu-arg=virtio-blk-pci,drive=cold -- sh -c \
		'echo one; sleep 1; echo two; exec sleep 100000'
}
# The stand-in has removed what it is to lack, and its log says nothing that tatamictl knows.
is_other()
{
	local log=$vmdir/console.log
	! grep -q 'listening on' "$log" && grep -q 'LISTENING ON' "$log" &&
		grep -q 'of virtio_blk removed' "$log" &&
		grep -q 'of 9pnet_virtio removed' "$log" || { cat "$log"; return 1; }
}
volumes() \
	{ is $'from the host\nlost+found\nexit' ctl exec other -- sh -c \
	'cat /data/file; ls -d /volume/lost+found | cut -d / -f 3; echo new >/data/new && touch /volume/new /new && echo exit'; }
terminal()
{
	printf 'echo $((40 + 2))\nexit 5\n' |
		LIMIT=60 script -qec "$OUT/tatamictl exec -it other -- sh" /dev/null >"$work/typed"
	test $? = 5 && grep -q 42 "$work/typed" || { cat "$work/typed"; return 1; }
}
# Each line is written, and the end is reached, before the next is read.
lines() { is "$(seq 2000)" ctl exec other -- seq 2000; }
other_run()
{
	# shellcheck disable=SC2046
	is $'overlay\n3' ctl run $(agent_options) --rootfs "$rootfs" -- sh -c \
		'touch /new; grep " / " /proc/mounts | cut -d " " -f 1; echo 3' &&
		test ! -e "$rootfs/new"
}
# Directories on disks, as where no virtiofsd is found.
other_copy()
{
	# shellcheck disable=SC2046
	is $'from the host\noverlay' ctl run $(agent_options) --share copy --rootfs "$rootfs" \
		-v "$work/data:/data:ro" -- \
		sh -c 'cat /data/file; touch /new; grep " / " /proc/mounts | cut -d " " -f 1' &&
		test ! -e "$rootfs/new"
}
# A ConfigMap on a share; the agent follows it to a tmpfs of its own.
other_config()
{
	mkdir -p "$work/config" && echo value >"$work/config/key" || return 1
	# shellcheck disable=SC2046
	is value ctl run $(agent_options) --rootfs "$rootfs" \
		--volume "type=config,source=$work/config,target=/config" -- cat /config/key
}
other_pod()
{
	cat >"$work/other.yaml" <<-END
	apiVersion: v1
	kind: Pod
	metadata: {name: other-pod}
	spec:
	  restartPolicy: Never
	  volumes: [{name: shared, emptyDir: {}}, {name: host, hostPath: {path: $work/data}}]
	  containers:
	  - name: writer
	    image: demo
	    command: [sh, -c, 'echo written >/shared/file; tty; sleep 100000']
	    tty: true
	    volumeMounts: [{name: shared, mountPath: /shared}]
	  - name: reader
	    image: demo
	    command: [sh, -c, 'until test -s /shared/file; do sleep 0.1; done; cat /shared/file /host/file; sleep 100000']
	    volumeMounts: [{name: shared, mountPath: /shared}, {name: host, mountPath: /host}]
	END
	# shellcheck disable=SC2046
	ctl pod --no-network $(agent_options) --image demo="$rootfs" "$work/other.yaml" &&
		vms+=(other-pod) &&
		within 60 pod_wrote && ctl logs -c writer other-pod | grep /dev/pts
}
pod_wrote() { test "$(ctl logs -c reader other-pod)" = $'written\nfrom the host'; }

if ok 'boot with another agent' other_boot; then
	ok 'that agent lacks what it is to lack' is_other
	ok 'a root, a volume and a share that it can find' volumes
	ok 'exec in a terminal' terminal
	ok 'output of a process that ends at once' lines
	ok 'stop leaves nothing' stop other
fi
ok 'run' other_run
ok 'run, with directories on disks' other_copy
ok 'run, with a followed volume' other_config
ok 'pod' other_pod && ok 'stop leaves nothing of the pod' stop other-pod
