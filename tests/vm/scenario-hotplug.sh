# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# only on: distro
# A VM that starts with one processor and 256 MiB grows to two and 1 GiB while a running container
# sees the growth. Not on our kernel: recent kernels reserve no processors for hot-plug unless they
# know their hypervisor (acpi_is_processor_usable()), and TCG is not a known one.

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
		privileged plug 'cd /hostproc/1/root; for f in pids.max memory.max memory.high; do echo pods/$f $(cat sys/fs/cgroup/pods/$f); done; for f in run tmp dev/shm; do echo /$f $(stat -f -c %b $f); done; echo init-signals $(awk "/pending signals/ { print \$4 }" /hostproc/1/limits)' &&
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

cp -a "$rootfs" "$work/plug"
mkdir -p "$work/plug/hostproc"
if ok 'boot with one processor and 256 MiB' boot plug --rootfs "$work/plug" \
	--privileged --guest-proc /hostproc --cpus 1 --max-cpus 2 \
	--memory 256 --max-memory 2048 --append 'memhp_default_state=offline' \
	-- sh -c "$obeys"; then
	ok 'the number of open files is unlimited' files
	limits >"$work/limits-before"
	ok 'a container may be assigned an absent processor' set_cpuset
	ok 'OnlineCPUMem waits for the second processor, and the container sees it' cpu
	ok 'the container may use both processors' is $'0-1\nCpus_allowed_list:\t0-1' cpuset
	ok 'memory is brought online by its event' memory_by_itself
	ok 'OnlineCPUMem brings the rest online: 1 GiB, usable by the pods' memory_by_call
	ok 'every limit derived from memory has grown' limits_follow
	ok 'a container uses the new memory' use_it
	ok 'stop leaves nothing' stop plug
fi
rm -rf "$work/plug"
