/* SPDX-License-Identifier: Apache-2.0 */
/* A message of the kernel about a device: action, path and subsystem lie within it, and only one
 * '@' of it is modified. */
#include <string.h>

#include "agent/device/device.h"
#include "tests/fuzz/target.h"

static bool
is_within(const char *s, const char *text, size_t n)
{
	return *s == '\0' || (s >= text && s + strlen(s) <= text + n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct device_event event;
	size_t changed = 0;

	MUST(text);
	memcpy(text, data, size);
	text[size] = '\0';
	device_event_parse(text, size, &event);
	MUST(is_within(event.action, text, size));
	MUST(is_within(event.path, text, size));
	MUST(is_within(event.subsystem, text, size));
	MUST(event.action == text && !strchr(event.action, '@'));
	MUST(!*event.subsystem ||
	     memcmp(event.subsystem - strlen("SUBSYSTEM="), "SUBSYSTEM=", 10) == 0);
	for (size_t i = 0; i < size; i++)
		changed += text[i] != (char)data[i];
	MUST(changed <= 1 && (changed == 0 || memchr(data, '@', size)));
	free(text);
	return 0;
}
