# SPDX-License-Identifier: Apache-2.0
# soak: ours
# shellcheck shell=bash
# long
# only on: ours
# Every field of the OCI spec: the cases of tests/oci in one VM, with the memory, two processors,
# huge pages and disk that they need.

. tests/vm/oci.sh

# ignored_rows: runs each row of docs/oci.md against an agent that ignores the field. ROWS=REGEX:
# only fields that match
ignored_rows()
{
	ignore_agent >"$work/said" 2>&1 &&
		"$OUT/tatami-initrd" --quiet -o "$work/ignore.img" --init "$work/tatami-ignore" ||
		{ cat "$work/said"; echo \
		'Bail out! the agent that ignores a field cannot be built'; exit 1; }
	tests/oci/rows docs/oci.md |
		awk -F '\t' -v text="${ROWS-}" -v OFS='\t' \
		'$2 != "no effect" && $1 ~ text { print $1, $3 }' | sample >"$work/rows"
	ok 'boot the agent that ignores a field' oci_boot ignore --initrd "$work/ignore.img" ||
		return
	# Each case with the counts of make test: there are many rows, and full counts are not
	# needed here.
	SOAK=0 oci_suite --rows "$work/rows"
	ok 'stop leaves nothing' stop ignore
}

if test "$SOAK" = 1; then
	ignored_rows
elif ok 'boot' oci_boot oci; then
	# OCI_ARGS: for work on single cases
	# shellcheck disable=SC2086
	oci_suite ${OCI_ARGS-}
	ok 'stop leaves nothing' stop oci
	# In small guests, bombs exhaust memory before they reach any other limit.
	for mib in 192 256; do
		OCI_APPEND='' ok "boot with $mib MiB" oci_boot "oci-$mib" --memory "$mib" ||
			continue
		oci_suite --only 'neighbour of'
		ok 'stop leaves nothing' stop "oci-$mib"
	done
fi
