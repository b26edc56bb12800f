# SPDX-License-Identifier: Apache-2.0
# soak: ours
# shellcheck shell=bash
# only on: ours
# The cases of tests/oci with a root file system on virtio-fs, as Kata's own hosts have it: device nodes cannot be opened there,
# and owners and modes are the host's. In make test those that have to do with the root; make soak has all.
#
# The guest keeps programs that it has read: under emulation they crash now and then if they are read again (tatamictl(1),
# --virtiofs-cache). The cases in which the host changes what the guest has seen have the usual cache.

. tests/vm/oci.sh

changes=('a hostile passwd' 'an exec being set up holds nothing of the guest' 'an exec being set up cannot be looked at')

if ok 'boot' oci_boot virtiofs --share virtio-fs --virtiofs-cache always; then
	without=(--without 'an exec being set up is traced for nothing')
	for title in "${changes[@]}"; do without+=(--without "$title"); done
	# those that start programs without end take minutes here, and have nothing to do with the root
	if test "$SOAK" = 1 || test -n "${OCI_ARGS-}"; then
		# shellcheck disable=SC2086
		SOAK=0 oci_suite "${without[@]}" --without bomb ${OCI_ARGS-}
	else
		oci_suite "${without[@]}" --only root --only link --only 'no disk' --only 'seccomp operators'
	fi
	ok 'stop leaves nothing' stop virtiofs
fi
if ok 'boot with the usual cache' oci_boot virtiofs --share virtio-fs; then
	# what the guest knows of a file it keeps for a second, and some more
	ROOTFS_CACHE_MS=1200 oci_suite --only "${changes[0]}" --only "${changes[1]}" --only "${changes[2]}"
	ok 'stop leaves nothing, again' stop virtiofs
fi
