/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Environment variables of Kubernetes' SR-IOV device plugin, in which hosts send the addresses that
 * PCI functions have on the host:
 *
 *   PCIDEVICE_<RESOURCE>=0000:3b:02.1,0000:3b:02.3
 *   PCIDEVICE_<RESOURCE>_INFO={"0000:3b:02.1":{"generic":{"deviceID":"0000:3b:02.1"}},...}
 *
 * Pure.
 */
#pragma once

#include <stddef.h>

#include "agent/device/pci.h"

/* A PCI function that the host has plugged in: its addresses on the host and in the guest. */
struct pci_pair {
	char host[PCI_NAME_LENGTH + 1];
	/* "": not known. */
	char guest[PCI_NAME_LENGTH + 1];
};

/* Receives the name of a variable that was left as it is, and the address in it that no pair
 * has. */
typedef void pci_env_unknown_fn(const char *name, const char *address, void *data);

/* Replaces the host's addresses in the n_env variables by the guest's, in place, each one once. A
 * variable with an address that no pair has is not changed, and neither is its _INFO; unknown
 * (may be NULL) is called for it. Values that are not lists of PCI addresses stay as they are. */
void pci_env_rewrite(char *const *env, size_t n_env, const struct pci_pair *pairs, size_t n_pairs,
		     pci_env_unknown_fn *unknown, void *data);
