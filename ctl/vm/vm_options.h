/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a VM. Plain data. */
#pragma once

#include <limits.h>
#include <stdbool.h>

#define VM_SHARES_MAX  16
#define VM_PUBLISH_MAX 8
#define VM_QEMU_ARGS   32

/* Addresses of the VM's network card behind QEMU's NAT. */
#define VM_MAC     "02:00:00:00:00:01"
#define VM_ADDRESS "10.0.2.15"
#define VM_GATEWAY "10.0.2.2"
#define VM_DNS     "10.0.2.3"

enum share_kind {
	SHARE_9P,
	SHARE_VIRTIOFS,
	SHARE_BLK,
};

/* A directory or image of the host that is shared with the guest. */
struct vm_share {
	enum share_kind kind;
	/* directory, or image file for blk */
	char path[PATH_MAX];
	bool readonly;
	/* 9p, virtio-fs: the mount tag; blk: PCI path in the guest, filled in by vm_start */
	char tag[32];
	/* blk: detected in the image */
	const char *fstype;
};

struct vm_options {
	const char *kernel, *initrd;
	/* agent to put in the initrd, or NULL */
	const char *agent_binary;
	/* static binary to use as init with agent_binary */
	const char *init_binary;
	/* additional kernel parameters, or NULL */
	const char *append;
	/* disk to boot from, read-only, instead of the initrd; or NULL */
	const char *root_image;
	/* "kvm", "tcg", or NULL to detect it */
	const char *accel;
	/* agent.log, or NULL */
	const char *log_level;
	unsigned int memory_mib, cpus;
	/* maximum with hot-plug; if not above the former, no hot-plug */
	unsigned int max_memory_mib, max_cpus;
	/* derive the guest's time from executed instructions */
	bool icount;
	/* one network card, behind QEMU's NAT */
	bool nic;
	/* TCP ports of the host that are forwarded to the guest */
	struct vm_publish {
		/* numeric IPv4 address */
		char host[16];
		unsigned int host_port, guest_port;
	} publish[VM_PUBLISH_MAX];
	unsigned int n_publish;
	struct vm_share shares[VM_SHARES_MAX];
	unsigned int n_shares;
	/* QEMU's microvm instead of q35: no PCI, devices on virtio-mmio */
	bool microvm;
	/* more arguments for QEMU, after all others */
	const char *qemu_args[VM_QEMU_ARGS];
	unsigned int n_qemu_args;
	/* path of virtiofsd, not NULL if a share is on virtio-fs */
	const char *virtiofsd;
	/* value of virtiofsd's --cache; NULL: "auto" */
	const char *virtiofs_cache;
};
