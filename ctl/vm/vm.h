/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM and the helper programs of its devices, as children of this process. Everything that is started here is
 * killed and removed by vm_stop(), and by the kernel if this process dies (PR_SET_PDEATHSIG). May block.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"

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

enum vm_child {
	VM_QEMU,
	VM_VSOCK,
	VM_VIRTIOFSD, /* the first of them */
	VM_CHILDREN = VM_VIRTIOFSD + VM_SHARES_MAX,
};

struct vm {
	char dir[PATH_MAX];     /* private directory of sockets and logs; removed by vm_stop */
	char address[256];      /* of the agent, as lib/ttrpc/address.h takes it */
	char console[PATH_MAX]; /* file with what the guest's console printed */
	pid_t children[VM_CHILDREN];
	unsigned int n_children;
	uint64_t started_ns; /* monotonic */
	int lock;            /* of a temporary directory, -1 else */
};

/* Makes the directory (mode 0700) `dir`, or a temporary one if NULL, starts everything, and returns once QEMU runs.
 * On failure nothing is left. */
int vm_start(struct vm *vm, struct vm_options *options, const char *dir, struct error *err);

/* Has the VM ended? Reaps. exit_text (may be NULL) gets the reason. Never blocks. */
bool vm_has_ended(struct vm *vm, char *exit_text, size_t size);

/* A pidfd of QEMU for a poll loop, -1 if it cannot be had. The caller's. */
int vm_pidfd(const struct vm *vm);

/* Waits up to grace_ms for the guest to power off, then kills everything, reaps it and removes the directory. */
void vm_stop(struct vm *vm, int grace_ms);

/* The last lines of the guest's console, for error messages. */
void vm_console_tail(const struct vm *vm, char *out, size_t size);
