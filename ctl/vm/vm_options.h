/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM shall be. Plain data. */
#pragma once

#include <limits.h>
#include <stdbool.h>

#define VM_SHARES_MAX  16
#define VM_PUBLISH_MAX 8

/* The network card of a VM that has one: QEMU's own NAT. */
#define VM_MAC     "02:00:00:00:00:01"
#define VM_ADDRESS "10.0.2.15"
#define VM_GATEWAY "10.0.2.2"
#define VM_DNS     "10.0.2.3"

enum share_kind {
	SHARE_9P,
	SHARE_VIRTIOFS,
	SHARE_BLK,
};

/* Something of the host that the guest shall see. */
struct vm_share {
	enum share_kind kind;
	char path[PATH_MAX]; /* directory, or image file for blk */
	bool readonly;
	char tag[32]; /* 9p, virtio-fs: the mount tag; blk: PCI path in the guest, filled in by vm_start */
	const char *fstype; /* blk: found in the image */
};

struct vm_options {
	const char *kernel, *initrd;
	const char *agent_binary; /* another agent in our initrd, or NULL */
	const char *init_binary;  /* our static binary, for agent_binary */
	const char *append;       /* more kernel parameters, or NULL */
	const char *root_image; /* boot from this disk, read-only, instead of the initrd; or NULL */
	const char *accel;      /* "kvm", "tcg" or NULL: find out */
	const char *log_level;  /* agent.log, or NULL */
	unsigned int memory_mib, cpus;
	/* once all is plugged in; not above the former: nothing */
	unsigned int max_memory_mib, max_cpus;
	bool icount; /* count guest instructions: guest time = instructions */
	bool nic;    /* one network card, behind QEMU's NAT */
	/* TCP ports of the host that lead to the card */
	struct vm_publish {
		char host[16]; /* numeric IPv4 address */
		unsigned int host_port, guest_port;
	} publish[VM_PUBLISH_MAX];
	unsigned int n_publish;
	struct vm_share shares[VM_SHARES_MAX];
	unsigned int n_shares;
	const char *virtiofs_cache; /* what virtiofsd's --cache takes; NULL: "auto" */
};
