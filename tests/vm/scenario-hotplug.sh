# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A VM that starts with one processor and 256 MiB grows to two and 1 GiB while a running container
# sees the growth, and shrinks again. On our kernel, network cards and VFIO, too.

# Linux 6.12, unlike 6.1, reserves no processors for hot-plug unless it knows its hypervisor
# (acpi_is_processor_usable()). It does not know TCG, so QEMU answers as VMware does, of whose
# interface it has as much as the kernel looks for.
known_hypervisor='-cpu max,-hypervisor -machine vmport=on -smbios type=1,serial=VMware-0'

inside() { ctl exec plug -- sh -c "$1"; }
processors() { inside 'grep -c ^processor /proc/cpuinfo'; }
mebibytes() { inside "awk '/^MemTotal/ { print int(\$2 / 1024) }' /proc/meminfo"; }
pods_limit()
{
	privileged plug 'echo $(($(cat /hostproc/1/root/sys/fs/cgroup/pods/memory.max) >> 20))'
}
# grown_to MIB PODS_MIB: memory is at least MIB, and the pods may use PODS_MIB
grown_to()
{
	echo "MemTotal $(mebibytes) MiB, pods $(pods_limit) MiB"
	test "$(mebibytes)" -ge "$1" && test "$(pods_limit)" -ge "$2"
}
qmp() { "$work/bin/qmp" "$vmdir/qmp.sock" "$@"; }

# plug_memory ID MIB: plugs memory in on the host's side
plug_memory()
{
	qmp '{"execute":"object-add","arguments":{"qom-type":"memory-backend-memfd","id":"m'"$1"'","size":'$(($2 << 20))',"share":true}}' \
		'{"execute":"device_add","arguments":{"driver":"pc-dimm","id":"dimm'"$1"'","memdev":"m'"$1"'"}}'
}

plug_cpu()
{
	qmp '{"execute":"device_add","arguments":{"driver":"max-x86_64-cpu","id":"c'"$1"'","socket-id":'"$1"',"core-id":0,"thread-id":0}}'
}

# unplug ID: asks the guest for a device, and waits until it has given it back
unplug()
{
	qmp '{"execute":"device_del","arguments":{"id":"'"$1"'"}}' && within 60 gone "$1"
}
gone() { says 'not found' qmp \
	'{"execute":"qom-list","arguments":{"path":"/machine/peripheral/'"$1"'"}}'; }

# The call comes first and waits for the processor's event, without polling.
cpu()
{
	test "$(processors)" = 1 || return 1
	rpc OnlineCPUMem '{"nb_cpus":2,"cpu_only":true}' >"$work/online" 2>&1 &
	local waiting=$!
	for _ in 1 2 3 4 5 6 7 8 9 10; do rpc Check '{}' >/dev/null || return 1; done
	kill -0 $waiting || { echo "it did not wait: $(cat "$work/online")"; return 1; }
	plug_cpu 1 || return 1
	wait $waiting || { cat "$work/online"; return 1; }
	test "$(processors)" = 2
}

# A container given both processors from the start gets the second one as soon as it exists: the
# kernel propagates it from the root.
cpuset()
{
	inside 'cat /sys/fs/cgroup/cpuset.cpus.effective; grep Cpus_allowed_list /proc/self/status'
}
set_cpuset()
{
	rpc UpdateContainer '{"container_id":"main","resources":{"CPU":{"Cpus":"0-1"}}}' &&
		test "$(inside 'cat /sys/fs/cgroup/cpuset.cpus.effective')" = 0
}

# Memory that the kernel leaves offline (memhp_default_state=offline) is onlined on its event,
# without a call.
memory_by_itself()
{
	local before
	before=$(mebibytes)
	plug_memory 1 256 || return 1
	test "$before" -lt 250 && within 60 grown_to 380 250
}

memory_by_call()
{
	plug_memory 2 512 && rpc OnlineCPUMem '{}' || return 1
	within 60 grown_to 890 780
}

# All limits derived from memory: NAME VALUE; sizes of file systems in MiB.
limits()
{
	inside 'for f in kernel/threads-max fs/epoll/max_user_watches fs/inotify/max_user_instances user/max_mnt_namespaces \
		user/max_net_namespaces user/max_user_namespaces; do echo $f $(cat /proc/sys/$f); done' &&
		privileged plug \
		'cd /hostproc/1/root; for f in pids.max memory.max memory.high; do echo pods/$f $(cat sys/fs/cgroup/pods/$f); done; for f in run tmp dev/shm; do echo /$f $(stat -f -c %b $f); done; echo init-signals $(awk "/pending signals/ { print \$4 }" /hostproc/1/limits)' &&
		inside 'echo own-signals $(awk "/pending signals/ { print \$4 }" /proc/self/limits)'
}

# After growth from 256 MiB to 1 GiB, each is at least three times as large.
limits_follow()
{
	limits >"$work/limits-after" || return 1
	paste -d ' ' "$work/limits-before" "$work/limits-after"
	test "$(wc -l <"$work/limits-after")" -eq 14 &&
		paste -d ' ' "$work/limits-before" "$work/limits-after" |
		awk '$1 != $3 || $4 < 3 * $2 { bad = 1; print "not grown: " $0 } END { exit bad }'
}

# The values that systemd sets in Kata's own image.
files()
{
	test "$(inside 'echo $(cat /proc/sys/fs/nr_open /proc/sys/fs/file-max)')" = \
		'1073741816 9223372036854775807'
}

# 240 MiB in one process, more than there was before.
use_it() { inside 'dd if=/dev/zero of=/dev/null bs=240M count=1'; }

# shrunk_to MIB PODS_MIB: memory is at most MIB, and the pods may use at most PODS_MIB
shrunk_to()
{
	echo "MemTotal $(mebibytes) MiB, pods $(pods_limit) MiB"
	test "$(mebibytes)" -le "$1" && test "$(pods_limit)" -le "$2"
}
# The request is repeated, since the kernel refuses it while a page of this memory is in use for
# I/O.
gives_back() { gone "$1" ||
	{ qmp '{"execute":"device_del","arguments":{"id":"'"$1"'"}}'; false; }; }
memory_goes()
{
	within 60 gives_back dimm2 && qmp '{"execute":"object-del","arguments":{"id":"m2"}}' &&
		within 60 shrunk_to 500 450
}

# A processor leaves the guest and its containers, and is brought back by the call. It stays plugged
# in: QEMU with one thread for all processors ends when one is unplugged.
cpu_leaves()
{
	privileged plug 'echo 0 >/hostproc/1/root/sys/devices/system/cpu/cpu1/online' &&
		is 1 processors &&
		is $'0\nCpus_allowed_list:\t0' cpuset &&
		rpc OnlineCPUMem '{"nb_cpus":2,"cpu_only":true}' || return 1
	is 2 processors && is $'0-1\nCpus_allowed_list:\t0-1' cpuset
}

# resize MIB: sets the size of virtio-mem that the guest shall have
resize() { qmp \
	'{"execute":"qom-set","arguments":{"path":"/machine/peripheral/vmem0","property":"requested-size","value":'$(($1 << 20))'}}'; }
# resized MIB: the guest has taken or given back all of it
resized() \
	{ is '{"return": '$(($1 << 20))'}' qmp \
	'{"execute":"qom-get","arguments":{"path":"/machine/peripheral/vmem0","property":"size"}}'; }
# The kernel tries again after 50 seconds if some of it was in use for I/O.
virtio_mem()
{
	local before
	before=$(mebibytes)
	resize 512 && within 60 resized 512 && rpc OnlineCPUMem '{}' || return 1
	within 60 grown_to $((before + 500)) $(((before + 500) * 8 / 10)) || return 1
	use_it && resize 0 && within 200 resized 0 &&
		within 60 shrunk_to $((before + 8)) $((before + 8))
}

# nic NUMBER DEVICE PATH: plugs in a network card where DEVICE says, while UpdateInterface waits for
# it by its PCI path; a container uses it, and it is unplugged. No trace of it is left, so that the
# next one may have its address.
nic()
{
	local mac=02:00:00:00:00:0$1 call
	rpc UpdateInterface \
		'{"interface":{"name":"pod'"$1"'","device":"pod'"$1"'","hwAddr":"'$mac'","devicePath":"'"$3"'","mtu":1400,
		"IPAddresses":[{"address":"10.0.2.15","mask":"24"}]}}' >"$work/plugged" 2>&1 &
	call=$!
	rpc Check '{}' >/dev/null || return 1
	qmp '{"execute":"netdev_add","arguments":{"type":"user","id":"n'"$1"'"}}' \
		'{"execute":"device_add","arguments":{"driver":"virtio-net-pci","id":"nic'"$1"'","netdev":"n'"$1"'","mac":"'$mac'","romfile":"",'"$2"'}}' || return 1
	wait $call || { cat "$work/plugged"; return 1; }
	inside "ip addr show dev pod$1" | tee "$work/nic"
	grep -q "inet 10.0.2.15/24" "$work/nic" && grep -q 'mtu 1400' "$work/nic" &&
		inside 'ping -c 1 -W 20 10.0.2.2' || return 1
	listed "pod$1 $3" || return 1
	unplug "nic$1" && qmp '{"execute":"netdev_del","arguments":{"id":"n'"$1"'"}}' &&
		! listed "pod$1 $3" && ! inside "ip link show dev pod$1"
}
listed() { rpc ListInterfaces '{}' | jq -r '.Interfaces[] | "\(.name) \(.devicePath)"' |
	grep -x "$1"; }

# The function behind the root port: its driver, and the number of its IOMMU group
function_driver() \
	{ inside 'cd /sys/devices/pci0000:00/0000:00:1e.0/0000:??:??.?/driver && basename "$(pwd -P)"'; }
function_group() \
	{ inside 'cd /sys/devices/pci0000:00/0000:00:1e.0/0000:??:??.?/iommu_group && basename "$(pwd -P)"'; }
has_function() { inside 'ls -d /sys/devices/pci0000:00/0000:00:1e.0/0000:??:??.?'; }

# vfio TYPE DEVICES COMMAND: a container that has this function as a device of TYPE, and DEVICES in
# its spec, runs COMMAND
vfio()
{
	local request status
	request=$(EXTRA_FIELDS=',"devices":[{"type":"'$1'","id":"vfio77","container_path":"/dev/vfio/77","options":["0000:3b:00.0=1e/00"]}]' \
		spec vfio "$guest_rootfs" sh -c COMMAND |
		jq -c --argjson devices "$2" --arg command "$3" '.OCI.Process.Args[2] = $command
		| .OCI.Linux.Devices = $devices | .OCI.Linux.Resources.Devices = [{"Type":"a","Major":-1,"Minor":-1,"Access":"rwm"},
		{"Allow":true,"Type":"c","Major":500,"Minor":7,"Access":"rw"}]') &&
		rpc CreateContainer "$request" && rpc StartContainer '{"container_id":"vfio"}' ||
		return 1
	status=$(rpc WaitProcess '{"container_id":"vfio","exec_id":"vfio"}' | jq -r '.status // 0')
	rpc ReadStderr '{"container_id":"vfio","exec_id":"vfio","len":4096}' 2>/dev/null |
		jq -r '.data // ""' | base64 -d
	rpc RemoveContainer '{"container_id":"vfio"}' && test "$status" = 0
}

# The guest's kernel keeps the function; then the container gets its group, and may open it.
vfio_pci()
{
	local group
	qmp '{"execute":"device_add","arguments":{"driver":"virtio-rng-pci","id":"rng1","bus":"hotplug0"}}' && within 20 has_function || return 1
	vfio vfio-pci-gk '[]' 'test ! -e /dev/vfio' && within 10 is virtio-pci function_driver &&
		group=$(function_group) || return 1
	vfio vfio-pci '[{"Path":"/dev/vfio/77","Type":"c","Major":500,"Minor":7,"FileMode":384}]' \
		"test \"\$(ls /dev/vfio)\" = $group && exec 3<>/dev/vfio/$group" &&
		is vfio-pci function_driver || return 1
	unplug rng1 && ! has_function && is vfio privileged plug 'ls /hostproc/1/root/dev/vfio'
}

userland "$work/plug"
mkdir -p "$work/plug/hostproc"
more=()
if test "$kernel" = ours; then
	for argument in $known_hypervisor \
		-object memory-backend-memfd,id=vmem,size=1G,share=on,reserve=off \
		-device virtio-mem-pci,id=vmem0,memdev=vmem,bus=pcie.0,addr=0x1b,requested-size=0 \
		-device intel-iommu \
		-device pci-bridge,id=bridge0,chassis_nr=3,bus=pcie.0,addr=0x1d \
		-device pxb-pcie,id=pxb0,bus_nr=0x40,bus=pcie.0,addr=0x1c \
		-device pcie-root-port,id=pxbport0,bus=pxb0,chassis=4,slot=4,addr=0x0; do
		more+=(--qemu-arg "$argument")
	done
fi
if ok 'boot with one processor and 256 MiB' boot plug --rootfs "$work/plug" \
	--privileged --guest-proc /hostproc --cpus 1 --max-cpus 2 \
	--memory 256 --max-memory 4096 --append 'memhp_default_state=offline movable_node' \
	"${more[@]}" -- sh -c "$obeys"; then
	ok 'the number of open files is unlimited' files
	limits >"$work/limits-before"
	ok 'a container may be assigned an absent processor' set_cpuset
	ok 'OnlineCPUMem waits for the second processor, and the container sees it' cpu
	ok 'the container may use both processors' is $'0-1\nCpus_allowed_list:\t0-1' cpuset
	ok 'a processor goes offline, and OnlineCPUMem brings it back' cpu_leaves
	ok 'memory is brought online by its event' memory_by_itself
	ok 'OnlineCPUMem brings the rest online: 1 GiB, usable by the pods' memory_by_call
	ok 'every limit derived from memory has grown' limits_follow
	ok 'a container uses the new memory' use_it
	ok 'memory is unplugged, and the limits shrink with it' memory_goes
	if test "$kernel" = ours; then
		ok 'virtio-mem grows and shrinks' virtio_mem
		ok 'a network card behind a root port' nic 1 '"bus":"hotplug0"' 1e/00
		ok 'a network card behind a bridge, with the same address' nic 2 \
			'"bus":"bridge0","addr":"5"' 1d/05
		ok 'a network card below an expander bridge' nic 3 '"bus":"pxbport0"' 40/00/00
		ok 'a PCI function for the guest, then for a container by vfio-pci' vfio_pci
	fi
	ok 'stop leaves nothing' stop plug
fi
rm -rf "$work/plug"
