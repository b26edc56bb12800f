# SPDX-License-Identifier: Apache-2.0
# soak: ours
# shellcheck shell=bash
# long
# only on: ours
# Every field of the OCI spec: the cases of tests/oci in one VM, with what they need of a guest: memory, two
# processors, huge pages, a disk.

# oci_boot NAME OPTION...: a VM whose rootfs is our own copy, writable
oci_boot()
{
	local name=$1
	shift
	if test ! -d "$work/oci-rootfs"; then
		scripts/demo-rootfs "$work/oci-rootfs" >/dev/null && mkdir -p "$work/oci-rootfs/hostproc" &&
			tests/oci/probe-build "$work/oci-rootfs/bin/oci-probe" &&
			mke2fs -q -t ext4 "$work/oci-disk.ext4" 32M >/dev/null 2>&1 &&
			mke2fs -q -t ext4 "$work/oci-disk2.ext4" 8M >/dev/null 2>&1 || return 1
	fi
	boot "$name" --rootfs "$work/oci-rootfs" --privileged --guest-proc /hostproc --memory 768 --cpus 2 \
		--append "${OCI_APPEND-hugepages=16}" --attach "blk:$work/oci-disk.ext4" --attach "blk:$work/oci-disk2.ext4" "$@" || return 1
	# A quota that limits nothing, for ever: when the first comes and the last goes, the kernel patches its scheduler,
	# which a guest under TCG with two processors does not always survive (an int3 stays behind).
	rpc UpdateContainer '{"container_id":"main","resources":{"CPU":{"Quota":4000000,"Period":1000000}}}'
}

# oci_suite ARGUMENT...: its TAP becomes ours
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
	done < <(VM_PIDS=$(pgrep -f "$vmdir/" | tr '\n' ' ') ROOTFS="$work/oci-rootfs" GUEST_ROOTFS=$guest_rootfs timeout -k 10 1500 \
		"$BUILD/asan/tests/oci/oci-suite" "$address" "$@" || echo "# oci-suite ended with $?")
	# it ends early when the agent does not answer, and is ended when it takes too long
	$whole && return
	tests_run=$((tests_run + 1))
	failed 'the suite came to its end' ''
}

# ignored_rows: each row of docs/oci.md against an agent that ignores the field. ROWS=REGEX: only fields that match
ignored_rows()
{
	ignore_agent >"$work/said" 2>&1 && "$OUT/tatami-initrd" --quiet -o "$work/ignore.img" --init "$work/tatami-ignore" ||
		{ cat "$work/said"; echo 'Bail out! the agent that ignores a field cannot be built'; exit 1; }
	tests/oci/rows docs/oci.md | awk -F '\t' -v text="${ROWS-}" -v OFS='\t' '$2 != "no effect" && $1 ~ text { print $1, $3 }' >"$work/rows"
	ok 'boot the agent that ignores a field' oci_boot ignore --initrd "$work/ignore.img" || return
	# each case as in make test: many rows, and their full counts are not what is asked here
	SOAK=0 oci_suite --rows "$work/rows"
	ok 'stop leaves nothing' stop ignore
}

if test "$SOAK" = 1; then
	ignored_rows
elif ok 'boot' oci_boot oci; then
	# OCI_ARGS: for those who work on cases
	# shellcheck disable=SC2086
	oci_suite ${OCI_ARGS-}
	ok 'stop leaves nothing' stop oci
	# in small guests, bombs come to the end of memory before they come to any other limit
	for mib in 192 256; do
		OCI_APPEND='' ok "boot with $mib MiB" oci_boot "oci-$mib" --memory "$mib" || continue
		oci_suite --only 'neighbour of'
		ok 'stop leaves nothing' stop "oci-$mib"
	done
fi
