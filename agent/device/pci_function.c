/* SPDX-License-Identifier: Apache-2.0 */
/* PCI functions by their PCI path, with or without a driver. Their name is that in sysfs,
 * "0000:01:00.0". */
#include <stdio.h>
#include <string.h>

#include "agent/device/kind.h"

static int
pci_function_parse(const char *text, struct device_address *out, struct error *err)
{
	return pci_path_parse(text, &out->pci, err);
}

static int
pci_function_look(const struct roots *roots, const struct device_address *a,
		  char name[DEVICE_NODE_MAX], struct error *err)
{
	char dir[512];
	int r = pci_path_resolve(roots->sys, &a->pci, dir, sizeof(dir), err);

	if (r == 0)
		(void)snprintf(name, DEVICE_NODE_MAX, "%.15s", strrchr(dir, '/') + 1);
	return r;
}

const struct device_kind device_pci_function = {
	.what = "PCI function",
	.parse = pci_function_parse,
	.look = pci_function_look,
};
