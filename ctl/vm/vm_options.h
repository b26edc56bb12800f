/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a VM. Plain data. */
#pragma once

#include <limits.h>
#include <stdbool.h>

/* a container's root, its volumes and devices, and the disk of its writable layer */
#define VM_SHARES_MAX  17
#define VM_PUBLISH_MAX 8
#define VM_QEMU_ARGS   32
#define VM_PORTS_MAX   8

/* vsock port of the agent's debug console, as Kata's runtimes use it */
#define DEBUG_CONSOLE_PORT 1026

/* Addresses of the VM's network card behind the NAT of QEMU or passt. */
#define VM_MAC      "02:00:00:00:00:01"
#define VM_ADDRESS  "10.0.2.15"
#define VM_GATEWAY  "10.0.2.2"
#define VM_DNS      "10.0.2.3"
#define VM_ADDRESS6 "fec0::15"
#define VM_GATEWAY6 "fec0::2"

enum share_kind {
	SHARE_9P,
	SHARE_VIRTIOFS,
	/* disks: virtio-blk (on virtio-mmio with microvm), virtio-scsi, NVDIMM, virtio-pmem */
	SHARE_BLK,
	SHARE_SCSI,
	SHARE_NVDIMM,
	SHARE_PMEM,
};

/* Architectures of guests. */
enum vm_arch {
	/* QEMU's machine q35 or microvm */
	VM_X86_64,
	/* QEMU's machine virt */
	VM_AARCH64,
};

/* The programs that connect a VM's network card to the host's network, without root. */
enum vm_network {
	/* QEMU itself, by its user network */
	VM_NETWORK_USER,
	VM_NETWORK_PASST,
};

/* A directory or image of the host that is shared with the guest. */
struct vm_share {
	enum share_kind kind;
	/* directory, or image of a disk */
	char path[PATH_MAX];
	bool readonly;
	/* filled in by vm_start or vm_plug_disks: the mount tag, or the disk's address in the
	 * protocol */
	char tag[32];
	/* file system of a disk that a container mounts, or NULL */
	const char *fstype;
	/* size of an NVDIMM or virtio-pmem, filled in by vm_start */
	unsigned long long size;
	/* bytes of a scratch disk, 0: not one. vm_start makes a file without a name, which has an
	 * empty file system, and fills in path. */
	unsigned long long scratch;
	/* nothing that tatamictl makes uses it: the VM outlives its server */
	bool is_optional;
	/* kind is SHARE_BLK, path that of a directory: vm_start makes a disk with a copy of it, and
	 * fills in path and fstype */
	bool is_copied;
	/* copy only this file of the directory; "": all */
	char copied_file[NAME_MAX + 1];
	/* requests have the disk's name alone: the agent may have missed the event of its device,
	 * or know no events of its kind; filled in by vm_start */
	bool is_named;
};

struct vm_options {
	enum vm_arch arch;
	const char *kernel, *initrd;
	/* agent to put in the initrd, or NULL */
	const char *agent_binary;
	/* static binary to use as init with agent_binary */
	const char *init_binary;
	/* the agent offers its debug console at DEBUG_CONSOLE_PORT */
	bool debug_console;
	/* the VM waits for gdb, at the socket gdb.sock in its directory */
	bool gdb;
	/* additional kernel parameters, or NULL */
	const char *append;
	/* disk to boot from, read-only, instead of the initrd; or NULL */
	const char *root_image;
	/* kernel parameters for it, or NULL for those of an ext4 partition */
	const char *root_parameters;
	/* it is an NVDIMM, not a disk; its size, filled in by vm_start */
	bool root_nvdimm;
	unsigned long long root_size;
	/* "kvm", "tcg", or NULL to detect it */
	const char *accel;
	/* agent.log, or NULL */
	const char *log_level;
	/* time for the agent to answer and, of a pod, for its containers to be ready; time for the
	 * reply to each call that creates something; -1: no limit */
	int boot_timeout_ms, call_timeout_ms;
	unsigned int memory_mib, cpus;
	/* maximum with hot-plug; if not above the former, no hot-plug */
	unsigned int max_memory_mib, max_cpus;
	/* empty root ports for hot-plugged devices, at least 1 */
	unsigned int hotplug_ports;
	/* derive the guest's time from executed instructions */
	bool icount;
	/* one network card, behind a NAT, and whether its addresses and routes are set */
	bool nic, configure_nic;
	enum vm_network network;
	/* TCP ports of the host that are forwarded to the guest */
	struct vm_publish {
		/* numeric address; an IPv6 address only with passt */
		char host[46];
		unsigned int host_port, guest_port;
	} publish[VM_PUBLISH_MAX];
	unsigned int n_publish;
	struct vm_share shares[VM_SHARES_MAX];
	unsigned int n_shares;
	/* disks on virtio-blk and virtio-scsi are plugged in by vm_plug_disks(), once the agent
	 * runs */
	bool late_disks;
	/* QEMU's microvm instead of q35: no PCI, devices on virtio-mmio */
	bool microvm;
	/* more arguments for QEMU, after all others */
	const char *qemu_args[VM_QEMU_ARGS];
	unsigned int n_qemu_args;
	/* path of virtiofsd, not NULL if a share is on virtio-fs */
	const char *virtiofsd;
	/* value of virtiofsd's --cache; NULL: "auto" */
	const char *virtiofs_cache;
	/* the guest's agent is not ours: agent_binary, or one in root_image */
	bool other_agent;
};
