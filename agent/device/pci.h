/* SPDX-License-Identifier: Apache-2.0 */
/* PCI paths as hosts write them ("02/05", "SS[.F]/SS[.F]/..."), and where they lie in sysfs. */
#pragma once

#include <stddef.h>

#include "lib/error.h"

#define PCI_PATH_DEPTH 8

struct pci_path {
	unsigned int root; /* bus number of the root complex: 0, or 0x20..0xff for a pxb */
	unsigned int n;
	struct {
		unsigned int slot, function; /* 0-31, 0-7 */
	} hops[PCI_PATH_DEPTH];              /* from the root bus to the device */
};

/* Slots and functions are hexadecimal. INVALID_ARGUMENT on anything else. Never blocks. */
int pci_path_parse(const char *text, struct pci_path *out, struct error *err);

/* Finds the device's directory, relative to sysfs. 0; 1 if it is not there (yet); -1 and err if a bridge on the way
 * has no single bus behind it. Reads sysfs only: never blocks. */
int pci_path_resolve(int sysfd, const struct pci_path *path, char *out, size_t size,
		     struct error *err);
