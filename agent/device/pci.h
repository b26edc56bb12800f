/* SPDX-License-Identifier: Apache-2.0 */
/* PCI paths as runtimes write them ("02/05", in general "SS[.F]/SS[.F]/..."), and their place in
 * sysfs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"

#define PCI_PATH_DEPTH 8

struct pci_path {
	/* bus number of the root complex: 0, or 0x20..0xff for a PCI expander bridge (pxb) */
	unsigned int root;
	unsigned int n;
	struct {
		/* 0-31, 0-7 */
		unsigned int slot, function;
	} hops[PCI_PATH_DEPTH];
};

/* Parses a PCI path; slots and functions are hexadecimal, from the root bus to the device. Returns
 * 0, or -1 and INVALID_ARGUMENT. */
int pci_path_parse(const char *text, struct pci_path *out, struct error *err);

/* Finds the device's directory, relative to sysfs. Returns 0 and fills out, 1 if the device does
 * not exist yet, or -1 and sets err if a bridge on the way leads to several buses. Reads sysfs
 * only: never blocks. */
int pci_path_resolve(int sysfd, const struct pci_path *path, char *out, size_t size,
		     struct error *err);

/* Length of a function's name in sysfs, "0000:01:00.0": domain, bus, slot and function. */
#define PCI_NAME_LENGTH 12

/* Returns whether text begins with such a name. Pure. */
bool pci_is_name(const char *text);
