/* SPDX-License-Identifier: Apache-2.0 */
/* A container's session keyring. Called by a new process in its namespaces, before it gives anything up. */
#include "agent/container/keyring.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/parse.h"

#define KEY_USR_SEARCH 0x00080000u /* linux/key.h of the kernel: the owner may search */
#define NAME_MAX_LEN   160

static long
keyctl(int operation, unsigned long a, unsigned long b, unsigned long c)
{
	return syscall(SYS_keyctl, operation, a, b, c, 0UL);
}

/* "type;uid;gid;perm;description", perm in hexadecimal (keyctl_describe(3)). */
static bool
permissions_of(unsigned long key, uint32_t *out)
{
	char text[NAME_MAX_LEN + 64], *field = text;
	uint64_t value;
	long n = keyctl(KEYCTL_DESCRIBE, key, (unsigned long)(uintptr_t)text, sizeof(text) - 1);

	if (n <= 0 || (size_t)n >= sizeof(text))
		return false;
	text[n] = '\0';
	for (int i = 0; i < 3 && field; i++)
		field = strchr(field, ';') ? strchr(field, ';') + 1 : NULL;
	if (!field)
		return false;
	field[strcspn(field, ";")] = '\0';
	if (!parse_hex(field, &value) || value > UINT32_MAX)
		return false;
	*out = (uint32_t)value;
	return true;
}

int
keyring_join(const char *id, int init, struct error *err)
{
	char name[NAME_MAX_LEN];
	uint32_t permissions;
	long key;

	(void)snprintf(name, sizeof(name), "_ses.%s.%d", id, init);
	key = keyctl(KEYCTL_JOIN_SESSION_KEYRING, (unsigned long)(uintptr_t)name, 0, 0);
	if (key < 0)
		return errno == ENOSYS ? 0 : error_sys(err, "join session keyring %s", name);
	if (!permissions_of((unsigned long)key, &permissions))
		return error_sys(err, "look at session keyring %s", name);
	if (permissions & KEY_USR_SEARCH)
		return 0;
	if (keyctl(KEYCTL_SETPERM, (unsigned long)key, permissions | KEY_USR_SEARCH, 0) < 0)
		return error_sys(err, "set permissions of session keyring %s", name);
	return 0;
}
