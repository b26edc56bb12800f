# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# only on: ours
# Services of the guest as a whole, each checked from inside and not from the agent's replies: the
# shell is in the VM's main container, privileged, and inspects the guest through its /proc.

inside() { ctl exec services -- sh -c "$1"; }

# A time in 2031, far from the host's clock.
set_time()
{
	local before after
	before=$(inside 'cat /proc/uptime; date +%s')
	rpc SetGuestDateTime '{"Sec":"1930000000","Usec":"250000"}' || return 1
	after=$(inside 'date +%s; cut -d. -f1 /proc/uptime')
	echo "before: $before; after: $after"
	test "${after%%$'\n'*}" -ge 1930000000 && test "${after%%$'\n'*}" -lt 1930000060
}

# Elapsed time is unaffected: a pending timeout does not expire, and calls are answered.
time_passes_as_before()
{
	rpc Check '{}' && is 7 ctl exec services -- sh -c 'sleep 0.2; echo 7'
}

# This guest trusts neither the processor's random numbers nor the host's device: its random number
# generator is not ready until it is seeded.
entropy() { inside 'cat /proc/sys/kernel/random/entropy_avail'; }
reseed()
{
	local before
	before=$(entropy)
	echo "before: $before"
	test "$before" -lt 256 || return 1
	rpc ReseedRandomDev "{\"data\":\"$(head -c 64 /dev/urandom | base64 -w 0)\"}" || return 1
	echo "after: $(entropy)"
	test "$(entropy)" = 256
}

# Every family, and one number of each kind that the shell can check.
scrape()
{
	rpc GetMetrics '{}' | sed 's/^ *"metrics": "//; s/\\n/\n/g; s/\\"/"/g' >"$work/metrics"
}
value() { sed -n "s|^$1 ||p" "$work/metrics"; }
metrics()
{
	local family total pages load
	scrape || return 1
	for family in agent_scrape_count agent_threads agent_total_time agent_total_vm \
		agent_total_rss agent_proc_status \
		agent_io_stat agent_proc_stat guest_load guest_tasks guest_cpu_time guest_vm_stat \
		guest_netdev_stat \
		guest_meminfo guest_pressure_percent guest_cgroup_memory_bytes guest_cgroup_cpu \
		guest_cgroup_tasks \
		guest_diskstat guest_filesystem_bytes guest_filesystem_inodes; do
		grep -q "^kata_$family[{ ]" "$work/metrics" || { echo "no kata_$family"; return 1; }
	done
	total=$(inside "awk '/^MemTotal/ { print \$2 * 1024 }' /proc/meminfo")
	test "$(value 'kata_guest_meminfo{item="mem_total"}')" = "$total" ||
		{ echo "mem_total is not $total"; return 1; }
	pages=$(inside "df -k / | awk 'END { print \$(NF - 4) * 1024 }'")
	value 'kata_guest_filesystem_bytes{mount="[^"]*",device="/dev/vda",item="total"}' |
		grep -qx "$pages" ||
		{ echo "the disk has $pages bytes"; grep filesystem "$work/metrics"; return 1; }
	load=$(inside 'cat /proc/sys/kernel/random/entropy_avail')
	test "$(value kata_guest_entropy_bits)" = "$load"
}

# The pods' usage grows by what a container takes.
pods_total()
{
	local before after
	scrape
	before=$(value 'kata_guest_cgroup_memory_bytes{cgroup="pods",item="current"}')
	inside 'dd if=/dev/zero of=/dev/shm/ballast bs=1M count=24 2>/dev/null' || return 1
	scrape
	after=$(value 'kata_guest_cgroup_memory_bytes{cgroup="pods",item="current"}')
	inside 'rm /dev/shm/ballast'
	echo "before $before, after $after"
	test $((after - before)) -ge $((24 << 20)) && test "$(value kata_agent_scrape_count)" = 3
}

# one ID SOURCE DESTINATION SCRIPT: runs a container with SOURCE of the guest at DESTINATION, where
# it writes its termination message
one()
{
	EXTRA_MOUNTS=",{\"destination\":\"$3\",\"type\":\"bind\",\"source\":\"$2\",\"options\":[\"bind\",\"rw\"]}"
	rpc CreateContainer "$(spec "$1" "$guest_rootfs" sh -c "$4" |
		sed 's|"Linux":{|"Annotations":{"io.kubernetes.container.terminationMessagePath":"'"$3"'"},&|')" || return 1
	EXTRA_MOUNTS=''
	rpc StartContainer "{\"container_id\":\"$1\"}" &&
		rpc WaitProcess "{\"container_id\":\"$1\",\"exec_id\":\"$1\"}"
}

# Another container creates the file; some of the messages are not text.
last_words()
{
	one maker /run/kata-containers/sandbox /sandbox 'true >/sandbox/words' &&
		one sayer /run/kata-containers/sandbox/words /last-words \
		'printf it-ended-\\\\377-badly >/last-words' || return 1
	rpc GetDiagnosticData '{"log_type":"termination_log","container_id":"sayer"}' |
		tee /dev/stderr |
		grep -q "$(printf '"data": "it-ended-\357\277\275-badly"')" || return 1
	says 'not a regular file' rpc GetDiagnosticData \
		'{"log_type":"termination_log","container_id":"maker"}' &&
		says 'container nobody not found' rpc GetDiagnosticData \
		'{"log_type":"termination_log","container_id":"nobody"}' &&
		says 'no mount' rpc GetDiagnosticData \
		'{"log_type":"termination_log","container_id":"main"}' &&
		rpc RemoveContainer '{"container_id":"maker"}' &&
		rpc RemoveContainer '{"container_id":"sayer"}'
}

# A container whose memory is full of page cache that it does not read again; nothing else would
# reclaim it.
file_bytes() { inside "awk '/^file / { print \$2 }' /sys/fs/cgroup/memory.stat"; }
file_below() { test "$(file_bytes)" -lt "$1"; }
reclaim()
{
	local before
	inside 'dd if=/dev/zero of=/ballast bs=1M count=32 2>/dev/null; sync; cat /ballast >/dev/null'
	before=$(file_bytes)
	rpc MemAgentMemcgSet \
		'{"period_secs":"1","period_psi_percent_limit":100,"eviction_psi_percent_limit":100,"eviction_run_aging_count_min":"1"}' || return 1
	test "$before" -gt $((24 << 20)) && within 60 file_below $((before / 2)) || return 1
	echo "of the file $((before >> 10)) KiB were in memory, $(($(file_bytes) >> 10)) KiB are"
	rpc MemAgentMemcgSet '{"disabled":true}' &&
		says 'invalid swappiness_max 201' rpc MemAgentMemcgSet '{"swappiness_max":201}'
}

# A container that reads a file repeatedly with too little memory for it: it waits for memory, and
# reclaim ends that.
stopped()
{
	rpc GetMetrics '{}' | sed 's/\\n/\n/g' |
		sed -n 's/^kata_agent_mem_agent{item=.*reclaim_stopped.*} //p'
}
was_stopped() { test "$(stopped)" -gt 0; }
pressure()
{
	rpc UpdateContainer '{"container_id":"main","resources":{"Memory":{"Limit":25165824}}}' ||
		return 1
	inside 'while test ! -e /enough; do cat /ballast >/dev/null; done' &
	local reader=$!
	rpc MemAgentMemcgSet \
		'{"disabled":false,"period_secs":"1","period_psi_percent_limit":100,"eviction_psi_percent_limit":0}' || return 1
	within 60 was_stopped
	inside ': >/enough'
	wait $reader
	rpc UpdateContainer '{"container_id":"main","resources":{"Memory":{"Limit":-1}}}' ||
		return 1
	echo "stopped $(stopped) times"
	was_stopped && rpc MemAgentMemcgSet '{"disabled":true}'
}

# Number of memory compactions counted by the kernel.
compactions()
{
	inside "awk '/^compact_(migrate|free)_scanned/ { n += \$2 } END { print n + 0 }' /proc/vmstat"
}
scanned_more_than() { test "$(compactions)" -gt "$1"; }
compact()
{
	local before
	before=$(compactions)
	rpc MemAgentCompactSet \
		'{"period_secs":"1","period_psi_percent_limit":100,"compact_psi_percent_limit":100,"compact_threshold":"0"}' || return 1
	within 60 scanned_more_than "$before" || return 1
	echo "scanned before: $before, after: $(compactions)"
	rpc MemAgentCompactSet '{"disabled":true}'
}

# A processor that exists but was not started (maxcpus=1). scenario-hotplug tests plugging one in.
processors() { inside 'grep -c ^processor /proc/cpuinfo'; }
online()
{
	test "$(processors)" = 1 && rpc OnlineCPUMem '{"nb_cpus":2,"cpu_only":true}' &&
		is 2 processors
}

# The kernel knows two memory blocks (mem=256M). The first exists; those after them can be added
# only on a kernel with the probe interface.
mebibytes() { inside "awk '/^MemTotal/ { print int(\$2 / 1024) }' /proc/meminfo"; }
has_probe() { inside 'test -e /sys/devices/system/memory/probe'; }
probe()
{
	local before memory=/sys/devices/system/memory start=$((256 << 20))
	is 8000000 inside "cat $memory/block_size_bytes" &&
		is online inside "cat $memory/memory1/state" || return 1
	before=$(mebibytes)
	says 'not aligned to a memory block' rpc MemHotplugByProbe \
		"{\"memHotplugProbeAddr\":[\"$((start + 1))\"]}" &&
		rpc MemHotplugByProbe "{\"memHotplugProbeAddr\":[\"$((128 << 20))\",\"0\"]}" &&
		is "$before" mebibytes || return 1
	if has_probe; then
		rpc MemHotplugByProbe "{\"memHotplugProbeAddr\":[\"$start\"]}" &&
			within 60 is $((before + 128)) mebibytes &&
			is online inside "cat $memory/memory2/state"
	else
		says 'does not support probing memory' rpc MemHotplugByProbe \
			"{\"memHotplugProbeAddr\":[\"$start\"]}"
	fi
}

details()
{
	rpc GetGuestDetails '{"mem_block_size":true,"mem_hotplug_probe":true}' >"$work/details" ||
		return 1
	cat "$work/details"
	local block probe=false
	! has_probe || probe=true
	block=$(inside 'cat /sys/devices/system/memory/block_size_bytes')
	grep -q "\"mem_block_size_bytes\": \"*$((0x$block))\"*" "$work/details" &&
		grep -q '"device_handlers"' "$work/details" &&
		grep -q '"init_daemon": true' "$work/details" &&
		grep -q "\"support_mem_hotplug_probe\": $probe" "$work/details"
}

userland "$work/services"
mkdir -p "$work/services/hostproc"
mke2fs -q -t ext4 -d "$work/services" "$work/services.ext4" 64M >/dev/null 2>&1
if ok 'boot' boot services --rootfs "$work/services.ext4" --privileged --guest-proc /hostproc \
	--append 'random.trust_cpu=off random.trust_bootloader=off rng_core.default_quality=0 agent.mem_agent_enable=true maxcpus=1 mem=256M' \
	--memory 512 --cpus 2 -- sh -c "$obeys"; then
	ok 'SetGuestDateTime sets the clock' set_time
	ok 'timeouts are independent of the clock' time_passes_as_before
	ok 'ReseedRandomDev makes the random number generator ready' reseed
	ok 'the host provides random numbers' is virtio_rng.0 inside \
		'cat /sys/class/misc/hw_random/rng_current'
	ok 'ReseedRandomDev without data' says 'missing entropy data' rpc ReseedRandomDev '{}'
	ok 'GetMetrics has every family with correct values' metrics
	ok 'GetMetrics has the total memory of all pods' pods_total
	ok 'GetGuestDetails' details
	ok 'OnlineCPUMem: a second processor runs' online
	ok 'MemHotplugByProbe accepts a present block and refuses others with the reason' probe
	ok 'GetDiagnosticData returns the termination message of a container' last_words
	ok 'MemAgentMemcgSet: unused memory is reclaimed' reclaim
	grep 'of the file' "$work/said" | sed 's/^/# /'
	ok 'pressure stops the reclaim' pressure
	ok 'MemAgentCompactSet: free memory is compacted' compact
	ok 'stop leaves nothing' stop services
fi
rm -rf "$work/services"
