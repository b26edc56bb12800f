/* SPDX-License-Identifier: Apache-2.0 */
/* Variables with the host's PCI addresses. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent/device/pci_env.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

/* The first two functions have exchanged their addresses. */
static const struct pci_pair pairs[] = {
	{ "0000:3b:02.1", "0000:3b:02.3" },
	{ "0000:3b:02.3", "0000:3b:02.1" },
	{ "0000:af:00.0", "0000:01:00.0" },
	{ "0000:b0:00.0", "" },
};

static char unknown[256];

static void
on_unknown(const char *name, const char *address, void *data)
{
	(void)data;
	(void)snprintf(unknown + strlen(unknown), sizeof(unknown) - strlen(unknown), "%s:%s;", name,
		       address);
}

struct row {
	const char *before[2], *after[2];
	/* the variables that are reported */
	const char *unknown;
};

static const struct row rows[] = {
	/* each address once, although the result is another's address */
	{ { "PCIDEVICE_A_B=0000:3b:02.1,0000:3b:02.3,0000:af:00.0" },
	  { "PCIDEVICE_A_B=0000:3b:02.3,0000:3b:02.1,0000:01:00.0" },
	  "" },
	{ { "PCIDEVICE_X=0000:AF:00.0" }, { "PCIDEVICE_X=0000:01:00.0" }, "" },
	{ { "PCIDEVICE_X=0000:af:00.0", "PCIDEVICE_Y=0000:3b:02.1" },
	  { "PCIDEVICE_X=0000:01:00.0", "PCIDEVICE_Y=0000:3b:02.3" },
	  "" },
	/* all or nothing */
	{ { "PCIDEVICE_X=0000:af:00.0,0000:af:00.1" },
	  { "PCIDEVICE_X=0000:af:00.0,0000:af:00.1" },
	  "PCIDEVICE_X:0000:af:00.1;" },
	{ { "PCIDEVICE_X=0000:b0:00.0" },
	  { "PCIDEVICE_X=0000:b0:00.0" },
	  "PCIDEVICE_X:0000:b0:00.0;" },
	/* other variables and values */
	{ { "PCIDEVICE_X=", "PCIDEVICE_Y" }, { "PCIDEVICE_X=", "PCIDEVICE_Y" }, "" },
	{ { "PCIDEVICE_X=eth0" }, { "PCIDEVICE_X=eth0" }, "" },
	{ { "PCIDEVICE_X=0000:af:00.0," }, { "PCIDEVICE_X=0000:af:00.0," }, "" },
	{ { "PCIDEVICE_X=0000:af:00.00" }, { "PCIDEVICE_X=0000:af:00.00" }, "" },
	{ { "pcidevice_x=0000:af:00.0", "XPCIDEVICE_X=0000:af:00.0" },
	  { "pcidevice_x=0000:af:00.0", "XPCIDEVICE_X=0000:af:00.0" },
	  "" },
	/* the JSON follows its list, wherever it stands */
	{ { "PCIDEVICE_X_INFO={\"0000:3b:02.1\":{\"id\":\"0000:3b:02.1\",\"n\":\"0000:3b:02.3\"}}",
	    "PCIDEVICE_X=0000:3b:02.1,0000:3b:02.3" },
	  { "PCIDEVICE_X_INFO={\"0000:3b:02.3\":{\"id\":\"0000:3b:02.3\",\"n\":\"0000:3b:02.1\"}}",
	    "PCIDEVICE_X=0000:3b:02.3,0000:3b:02.1" },
	  "" },
	{ { "PCIDEVICE_X=0000:af:00.1", "PCIDEVICE_X_INFO={\"0000:af:00.0\":{}}" },
	  { "PCIDEVICE_X=0000:af:00.1", "PCIDEVICE_X_INFO={\"0000:af:00.0\":{}}" },
	  "PCIDEVICE_X:0000:af:00.1;" },
	{ { "PCIDEVICE_X_INFO={\"0000:af:00.0\":{}}" },
	  { "PCIDEVICE_X_INFO={\"0000:af:00.0\":{}}" },
	  "" },
	{ { "PCIDEVICE_X=0000:af:00.0",
	    "PCIDEVICE_X_INFO={\"10000:af:00.0\":1,\"a0000:af:00.0\":2,\"0000:af:00.0x\":3}" },
	  { "PCIDEVICE_X=0000:01:00.0",
	    "PCIDEVICE_X_INFO={\"10000:af:00.0\":1,\"a0000:af:00.0\":2,\"0000:af:00.0x\":3}" },
	  "" },
};

Test(pci_env, variables)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[2][256];
		char *env[2] = { text[0], text[1] };
		size_t n = rows[i].before[1] ? 2 : 1;

		for (size_t k = 0; k < n; k++)
			(void)snprintf(text[k], sizeof(text[k]), "%s", rows[i].before[k]);
		unknown[0] = '\0';
		pci_env_rewrite(env, n, pairs, ARRAY_LEN(pairs), on_unknown, NULL);
		for (size_t k = 0; k < n; k++)
			CHECK_STR(text[k], rows[i].after[k], "row %zu", i);
		CHECK_STR(unknown, rows[i].unknown, "row %zu", i);
	}
}

Test(pci_env, without_functions_nothing_is_unknown)
{
	char text[] = "PCIDEVICE_X=0000:af:00.0";
	char *env[] = { text };

	unknown[0] = '\0';
	pci_env_rewrite(env, 1, pairs, 0, on_unknown, NULL);
	CHECK_STR(text, "PCIDEVICE_X=0000:af:00.0");
	CHECK_STR(unknown, "");
}
