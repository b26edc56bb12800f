/* SPDX-License-Identifier: Apache-2.0 */
/* Hot-plugging of devices into a running VM, by QMP. Blocks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctl/vm/qmp.h"
#include "ctl/vm/vm_options.h"
#include "lib/error.h"

struct attached {
	/* "disk0", "nic1", ...: name for attach_remove() */
	char id[32];
	/* address of a disk or network card in the protocol: a PCI path or SCSI address; "" for
	 * memory and processors */
	char address[32];
	/* processors: number that the VM has now */
	unsigned int total;
};

/* Plugs an image in as a disk: SHARE_BLK (into a free root port) or SHARE_SCSI (on a controller,
 * which is plugged in first if the VM has none). On failure, nothing of the disk is left. */
int attach_disk(struct qmp *q, enum share_kind bus, const char *image, bool readonly,
		struct attached *out, struct error *err);

/* Plugs in a network card behind QEMU's NAT. */
int attach_nic(struct qmp *q, const char *mac, struct attached *out, struct error *err);

/* Plugs in memory or one processor, which the guest then has to bring online. */
int attach_memory(struct qmp *q, uint64_t bytes, struct attached *out, struct error *err);
int attach_cpu(struct qmp *q, struct attached *out, struct error *err);

/* Asks the guest to release a device, waits until it has, and removes what belongs to it on the
 * host. Returns 0, or -1 and err: NOT_FOUND, FAILED_PRECONDITION (the guest refused) or
 * DEADLINE_EXCEEDED. */
int attach_remove(struct qmp *q, const char *id, int timeout_ms, struct error *err);

/* Calls fn with the id and QEMU's type of each device that was plugged in. */
int attach_list(struct qmp *q, void (*fn)(const char *id, const char *type, void *data), void *data,
		struct error *err);
