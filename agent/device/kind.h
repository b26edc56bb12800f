/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface of a kind of address by which hosts name a device. Each kind is a file that defines
 * one const struct device_kind; bus.c has the table of those that lead to disks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/device/pci.h"
#include "agent/roots.h"
#include "lib/error.h"

/* Size of the longest "/dev/<name>", including its NUL. */
#define DEVICE_NODE_MAX 64
/* Size of the longest text of an address, including its NUL. */
#define DEVICE_TEXT_MAX 96

/* A parsed address. */
struct device_address {
	const struct device_kind *kind;
	/* As the host wrote it, for messages. */
	char text[DEVICE_TEXT_MAX];
	/* The parts that the kind needs. */
	union {
		struct pci_path pci;
		struct {
			unsigned int target, lun;
		} scsi;
		char name[DEVICE_NODE_MAX];
	};
};

struct device_kind {
	/* For messages: "block device". */
	const char *what;
	/* Fills in what the kind needs. Returns 0, or -1 and INVALID_ARGUMENT. Pure. */
	int (*parse)(const char *text, struct device_address *out, struct error *err);
	/* Looks for the device. Returns 0 and its name, 1 if it does not exist yet, or -1 and err
	 * if it cannot be told which device is meant. Reads sysfs and stats nodes: never blocks. */
	int (*look)(const struct roots *roots, const struct device_address *a,
		    char name[DEVICE_NODE_MAX], struct error *err);
	/* Has the kernel look for a device that it does not find by itself. NULL: it always does.
	 * Worker only: may block. */
	int (*scan)(const struct roots *roots, const struct device_address *a, struct error *err);
	/* The name is that of a block device in /dev. */
	bool is_disk;
};

/* Disks. */

/* A node in /dev. */
extern const struct device_kind device_node;
/* The PCI path of a virtio-blk device. */
extern const struct device_kind device_pci_disk;
/* The platform device of a virtio-mmio disk. */
extern const struct device_kind device_mmio;
/* "TARGET:LUN" of a disk on any SCSI controller. */
extern const struct device_kind device_scsi;
/* "0.SET.NUMBER" of a virtio-blk device on the channel subsystem of s390x. */
extern const struct device_kind device_ccw;

/* Other devices. */

/* The PCI path of a function, whatever its driver is. */
extern const struct device_kind device_pci_function;
/* The number of a VFIO group. */
extern const struct device_kind device_vfio_group;
/* "xx.xxxx", a queue of a cryptographic adapter of s390x. */
extern const struct device_kind device_ap;
