# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Bulk data over vsock: the agent, and the bare server in a container of the same guest. A container
# shares the guest's vsock; the server has no seccomp filter, and its files are on a tmpfs like
# those of CopyFile.

bulk_root=/run/kata-containers/shared/containers/main/rootfs
bulk_port=1025

bulk_request()
{
	cat <<-END
	{"container_id":"bare","OCI":{"Version":"1.1.0","Root":{"Path":"$bulk_root"},
	"Process":{"Args":["/bench-bare","vsock://any:$bulk_port","/bin/busybox","/bare","28672"],
		"Env":["PATH=/bin"],"Cwd":"/","User":{},"Capabilities":{}},
	"Mounts":[{"destination":"/proc","type":"proc","source":"proc"},
		{"destination":"/bare","type":"tmpfs","source":"tmpfs"},
		{"destination":"/dev","type":"tmpfs","source":"tmpfs",
			"options":["nosuid","mode=755"]}],
	"Linux":{"CgroupsPath":"/bare",
		"Namespaces":[{"Type":"mount"},{"Type":"ipc"},{"Type":"uts"}]}}}
	END
}

area_bulk()
{
	say "bench: bulk data over vsock, in a VM with the $kernel kernel"
	cp -a "$OUT/rootfs" "$work/bulk" && mkdir -p "$work/bulk/bare" &&
		cp "$bare" "$work/bulk/bench-bare" || { fail 'no root for the VM'; return; }
	vm_boot bulk --share 9p --initrd "$OUT/kernel/$kernel/initrd.img" \
		--rootfs "$work/bulk" --writable || return 0
	"$OUT/tatamictl" rpc "$address" CreateContainer "$(bulk_request)" >/dev/null &&
		"$OUT/tatamictl" rpc "$address" StartContainer '{"container_id":"bare"}' \
			>/dev/null &&
		"$BUILD/bench/tests/bench/bench-bulk-vm" "$address" \
			"${address%:*}:$bulk_port" "$bulk_root" >>"$raw" ||
		fail 'bulk data in the VM were not measured'
	test ! -e "$work/bulk/large" || fail 'CopyFile wrote to the share'
	vm_stop
}

# Two VMs, since a guest has one agent. The idle one takes no time.
area_old()
{
	local new_vm new_address status=0
	say "bench: bulk data over vsock, this agent and $OLD_AGENT"
	cp -a "$OUT/rootfs" "$work/old" || { fail 'no root for the VMs'; return; }
	vm_boot new --share 9p --initrd "$OUT/kernel/$kernel/initrd.img" \
		--rootfs "$work/old" || return 0
	new_vm=$vm new_address=$address
	if AGENT=$OLD_AGENT agent=$(realpath "$OLD_AGENT") vm_boot old --share 9p \
		--initrd "$OUT/kernel/$kernel/initrd.img" --rootfs "$work/old"; then
		"$BUILD/bench/tests/bench/bench-bulk-vm" "$new_address" "$address" \
			"$bulk_root" agents >>"$raw" || status=1
		vm_stop
	fi
	vm=$new_vm
	vm_stop
	test "$status" = 0 || fail 'bulk data of two agents were not measured'
}
