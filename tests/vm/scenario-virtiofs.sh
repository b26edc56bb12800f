# SPDX-License-Identifier: Apache-2.0
# soak: ours
# shellcheck shell=bash
# only on: ours
# The cases of tests/oci with a root file system on virtio-fs, as on Kata's hosts: device nodes
# cannot be opened there, and owners and modes are the host's. make test runs the cases that concern
# the root; make soak runs all.
#
# The guest caches programs that it has read: under emulation they occasionally crash if they are
# read again (tatamictl(1), --virtiofs-cache). Cases in which the host changes files that the guest
# has seen use the default cache.

. tests/vm/oci.sh

changes=('a hostile passwd' 'an exec being set up has no access to the guest' \
	'an exec being set up cannot be inspected')

if ok 'boot' oci_boot virtiofs --share virtio-fs --virtiofs-cache always; then
	without=(--without 'a traced exec being set up discloses nothing')
	# Each of their rounds replaces files that the guest has cached.
	without+=(--without 'hooks in a shared pid namespace, traced'
		--without 'hooks and user namespace in a shared pid namespace, traced')
	for title in "${changes[@]}"; do without+=(--without "$title"); done
	# Fork bombs take minutes here and do not concern the root.
	if test "$SOAK" = 1 || test -n "${OCI_ARGS-}"; then
		# shellcheck disable=SC2086
		SOAK=0 oci_suite "${without[@]}" --without bomb ${OCI_ARGS-}
	else
		oci_suite "${without[@]}" --only root --only link --only 'no disk' \
			--only 'seccomp operators'
	fi
	ok 'stop leaves nothing' stop virtiofs
fi
if ok 'boot with the default cache' oci_boot virtiofs --share virtio-fs; then
	# The guest caches a file's state for a second; allow some more.
	ROOTFS_CACHE_MS=1200 oci_suite --only "${changes[0]}" --only "${changes[1]}" \
		--only "${changes[2]}"
	ok 'stop leaves nothing, again' stop virtiofs
fi
