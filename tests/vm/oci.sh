# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The oci suite in a VM, for several scenarios.

# oci_boot NAME OPTION...: boots a VM with a writable copy of the rootfs
oci_boot()
{
	local name=$1
	shift
	if test ! -d "$work/oci-rootfs"; then
		scripts/demo-rootfs "$work/oci-rootfs" >/dev/null &&
			mkdir -p "$work/oci-rootfs/hostproc" &&
			tests/oci/probe-build "$work/oci-rootfs/bin/oci-probe" &&
			mke2fs -q -t ext4 "$work/oci-disk.ext4" 32M >/dev/null 2>&1 &&
			mke2fs -q -t ext4 "$work/oci-disk2.ext4" 8M >/dev/null 2>&1 || return 1
	fi
	boot "$name" --rootfs "$work/oci-rootfs" --privileged --guest-proc /hostproc --memory 768 \
		--cpus 2 \
		--append "${OCI_APPEND-hugepages=16}" --attach "blk:$work/oci-disk.ext4" \
		--attach "blk:$work/oci-disk2.ext4" "$@" || return 1
	# A permanent quota without effect: when the first one appears and the last one goes, the
	# kernel patches its scheduler, which a guest under TCG with two processors does not always
	# survive (it leaves an int3 behind).
	rpc UpdateContainer \
		'{"container_id":"main","resources":{"CPU":{"Quota":4000000,"Period":1000000}}}'
}

# oci_suite ARGUMENT...: runs the suite and reports its tests as tests of the scenario.
# ROOTFS_CACHE_MS: see oci-suite --help
oci_suite()
{
	local line whole=false
	while IFS= read -r line; do
		case $line in
		'ok '*)
			tests_run=$((tests_run + 1))
			echo "${line/ok - /ok - $kernel $scenario: }" ;;
		'not ok '*)
			tests_run=$((tests_run + 1))
			line=${line#not ok - }
			failed "${line% (*ms)}" '' ;;
		1..*) whole=true ;;
		*) echo "$line" ;;
		esac
	done < <(VM_PIDS=$(pgrep -f "$vmdir/" |
		tr '\n' ' ') ROOTFS="$work/oci-rootfs" GUEST_ROOTFS=$guest_rootfs timeout -k 10 \
		1500 \
		"$BUILD/asan/tests/oci/oci-suite" "$address" "$@" ||
		echo "# oci-suite ended with $?")
	# The suite may have ended early (no answer from the agent) or been stopped (too slow).
	$whole && return
	tests_run=$((tests_run + 1))
	failed 'the suite ran to completion' ''
}
