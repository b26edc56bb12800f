# SPDX-License-Identifier: Apache-2.0
# soak: ours
# shellcheck shell=bash
# only on: ours
# The cases of tests/oci with a root file system on virtio-fs, as Kata's own hosts have it: what the guest knows of a file it
# keeps for a second, device nodes cannot be opened there, and owners and modes are the host's. In make test those that
# have to do with the root; make soak has all.

. tests/vm/oci.sh

# what virtiofsd's cache=auto allows, and some more
export ROOTFS_CACHE_MS=1200

if ok 'boot' oci_boot virtiofs --share virtio-fs; then
	# those that start programs without end take minutes here, and have nothing to do with the root
	if test "$SOAK" = 1 || test -n "${OCI_ARGS-}"; then
		# shellcheck disable=SC2086
		SOAK=0 oci_suite --without bomb ${OCI_ARGS-}
	else
		oci_suite --only root --only link --only passwd --only 'being set up' --only 'no disk' --only 'seccomp operators'
	fi
	ok 'stop leaves nothing' stop virtiofs
fi
unset ROOTFS_CACHE_MS
