/* SPDX-License-Identifier: Apache-2.0 */
/* Queues of s390x's cryptographic adapters by their APQN, "xx.xxxx": adapter and domain in
 * hexadecimal. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/device/kind.h"
#include "lib/io.h"

static int
ap_parse(const char *text, struct device_address *out, struct error *err)
{
	static const char digits[] = "0123456789abcdefABCDEF";

	if (strlen(text) != strlen("xx.xxxx") || text[2] != '.' || strspn(text, digits) != 2 ||
	    strspn(text + 3, digits) != 4)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid AP queue \"%.64s\": expected xx.xxxx in hexadecimal",
				 text);
	/* sysfs writes lower case. */
	for (size_t i = 0; text[i]; i++)
		out->name[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] | 0x20 : text[i]);
	return 0;
}

static int
ap_look(const struct roots *roots, const struct device_address *a, char name[DEVICE_NODE_MAX],
	struct error *err)
{
	char path[128];
	struct stat st;

	(void)err;
	memcpy(name, a->name, DEVICE_NODE_MAX);
	(void)snprintf(path, sizeof(path), "bus/ap/devices/%s", a->name);
	return fstatat(roots->sys, path, &st, 0) < 0;
}

static int
ap_scan(const struct roots *roots, const struct device_address *a, struct error *err)
{
	if (write_text_at(roots->sys, "bus/ap/scans", "1") < 0)
		return error_sys(err, "failed to scan the AP bus for %s", a->text);
	return 0;
}

const struct device_kind device_ap = {
	.what = "AP queue",
	.parse = ap_parse,
	.look = ap_look,
	.scan = ap_scan,
};
