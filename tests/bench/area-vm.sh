# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Areas that boot VMs: an idle guest, crun in the same VM, the boot, and disks plugged one after
# another.

# vm_boot NAME OPTIONS: boots a VM, and sets $vm and $address; $vm_agent are options for the agent
vm_boot()
{
	vm=bench-$1-$$
	shift
	vm_agent=()
	test -z "${AGENT-}" || vm_agent=(--agent-binary "$agent")
	# a directory of its own, to find the address in
	XDG_RUNTIME_DIR=$work "$OUT/tatamictl" boot --name "$vm" \
		--kernel "$OUT/kernel/$kernel/vmlinuz" "$@" ${vm_agent[@]+"${vm_agent[@]}"} \
		>/dev/null || { fail "the VM $vm did not boot"; vm=; return 1; }
	address=$(sed -n 's/.*"address": "\(.*\)".*/\1/p' "$work/tatami/$vm/state.json")
	# for the header: what runs a VM whose instructions are not counted
	test "${2-}" = tcg ||
		accelerator=$(sed -n 's/.*"accelerator": "\([a-z]*\)".*/\1/p' \
			"$work/tatami/$vm/state.json")
}

vm_stop()
{
	XDG_RUNTIME_DIR=$work "$OUT/tatamictl" stop "$vm" >/dev/null 2>&1
	vm=
}

# ---- idle ----

area_idle()
{
	local idle=${IDLE:-60} options=()
	say "bench: an idle VM with the $kernel kernel, $idle seconds"
	test -z "${AGENT-}" || options=(--agent-binary "$agent")
	cp -a "$OUT/rootfs" "$work/guest"
	mkdir -p "$work/guest/hostproc"
	sed "s/IDLE/$idle/" tests/bench/idle.sh >"$work/guest/idle.sh"
	# one container alone: it waits while nothing else happens, and writes what it saw
	"$OUT/tatamictl" run --share 9p --kernel "$OUT/kernel/$kernel/vmlinuz" \
		--initrd "$OUT/kernel/$kernel/initrd.img" ${options[@]+"${options[@]}"} \
		--rootfs "$work/guest" --writable --privileged --guest-proc /hostproc \
		-- sh /idle.sh >"$work/idle" || { fail 'the idle VM failed'; return; }
	cat "$work/idle" >&2
	exact 'idle PSS of init and agent' KiB low "$(vm_value pss)" \
		'busybox sh in the guest' "$(vm_value busybox)"
	exact 'wake-ups when idle, all threads and processes' 'a minute' low \
		"$(vm_value wakeups)" none -
}

# vm_value NAME: prints a value that idle.sh has printed
vm_value()
{
	awk -v name="$1" '$1 == name { print $2 }' "$work/idle"
}

# ---- next to crun, in a VM whose initrd has crun, too ----

area_crun()
{
	say 'bench: in a VM next to crun; takes some minutes without KVM'
	tests/diff/image "$work/crun.img" || { fail 'no initrd with crun'; return; }
	cat "$OUT/kernel/$kernel/initrd.img" "$work/crun.img" >"$work/crun-initrd.img"
	vm_boot crun --share 9p --memory 1536 --cpus 1 --initrd "$work/crun-initrd.img" \
		--rootfs "$OUT/rootfs" --writable || return 0
	"$BUILD/bench/tests/bench/bench-vm" "$address" "${CONTAINERS:-500}" >>"$raw" ||
		fail 'bench-vm failed'
	vm_stop
}

# ---- the boot ----

# vm_ready: prints the instructions in millions from PID 1 until the agent listens, and until it has
# answered the first Check. The guest's clock goes on while the guest waits, so that the latter
# depends on the host, too.
vm_ready()
{
	local options=()
	test -z "${AGENT-}" || options=(--agent-binary "$agent")
	"$OUT/tatamictl" run --timing --accel tcg --icount \
		--kernel "$OUT/kernel/$kernel/vmlinuz" \
		--initrd "$OUT/kernel/$kernel/initrd.img" ${options[@]+"${options[@]}"} \
		--rootfs "$OUT/rootfs" --writable -- true 2>"$work/icount" ||
		{ cat "$work/icount" >&2; return 1; }
	awk '/guest: PID 1/ { a = $(NF - 1) }
		/guest: agent listening/ { b = $(NF - 1) }
		/guest: first Check/ { printf "%.3f %.3f", b - a, $(NF - 1) - a }' "$work/icount"
}

# Instructions are counted, so that noise is what the guest does differently, not what the machine
# does otherwise.
area_boot()
{
	local before file=$OUT/kernel/$kernel/vmlinux round listens ready
	say "bench: the boot, in guest instructions, $ROUNDS times"
	test -f "$file" || file=$OUT/kernel/$kernel/vmlinuz
	# The guest's clock is exact once the kernel has chosen one (docs/boot.md).
	before=$(kernel-config/measure --initrd "$OUT/kernel/$kernel/initrd.img" "kernel=$file" |
		awk '$1 == "kernel" { print $5 }')
	for ((round = 1; round <= ROUNDS; round++)); do
		read -r listens ready < <(vm_ready)
		printf '%s\tours\t%s\n%s\tfloor\t%s\n' \
			"$round" "$listens" "$round" "$before" >>"$work/listens"
		printf '%s\tours\t%s\n%s\tfloor\t%s\n' \
			"$round" "$ready" "$round" "$before" >>"$work/boots"
	done
	! want 'PID 1 to listening' || samples 'PID 1 to listening' 'M instructions' low \
		'machine to PID 1' 0 <"$work/listens"
	! want 'PID 1 to the first Check' || samples 'PID 1 to the first Check' 'M instructions' \
		low 'machine to PID 1' 0 <"$work/boots"
}

# ---- 100 disks, plugged one after another: guest time from device_add to the mount ----

area_plug()
{
	local text='from device_add to' which found mounted state
	say 'bench: plugging 100 disks'
	cp -a "$OUT/rootfs" "$work/plug" && mkdir -p "$work/plug/hostproc" "$work/tree" &&
		echo DISK-MARK >"$work/tree/name" &&
		"$(scripts/deps)/bin/musl-cc" -std=c17 -D_GNU_SOURCE -O1 -static \
			tests/vm/mount-probe.c -o "$work/plug/bin/mount-probe" &&
		mke2fs -q -t ext4 -d "$work/tree" "$work/disk.img" 8M >/dev/null 2>&1 ||
		{ fail 'the disk was not made'; return; }
	vm_boot plug --accel tcg --icount --initrd "$OUT/kernel/$kernel/initrd.img" \
		--rootfs "$work/plug" --writable --append agent.hotplug_timeout=120 || return 0
	state=$work/tatami/$vm
	if "$BUILD/bench/tests/vm/disk-suite" "$address" "$state/qmp.sock" "$work/disk.img" \
		"$work" blk 100 >"$work/disks"; then
		for which in p50 p90 max; do
			found=$(sed -n "s/^$text the uevent: .*$which \([0-9.]*\) ms.*/\1/p" \
				"$work/disks")
			mounted=$(sed -n "s/^$text mounted: .*$which \([0-9.]*\) ms.*/\1/p" \
				"$work/disks")
			exact "a disk of 100, device_add to mounted, $which" 'ms of guest time' \
				low "$mounted" "$text the uevent" "$found"
		done
	else
		fail 'disk-suite failed'
	fi
	vm_stop
}
