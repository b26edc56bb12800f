/* SPDX-License-Identifier: Apache-2.0 */
/* The session keyring of a container. Called by a new process in its namespaces, before it drops
 * privileges. */
#include "agent/container/launch/keyring.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/sys.h"

/* Permissions of a key (the kernel's linux/key.h): all for its possessors; the owner may search
 * it, which joining by name requires, but neither view nor read it. */
#define KEY_POS_ALL    0x3f000000u
#define KEY_USR_SEARCH 0x00080000u

static long
keyctl(int operation, unsigned long a, unsigned long b)
{
	return syscall(SYS_keyctl, operation, a, b, 0UL, 0UL);
}

void
keyring_make_name(char name[KEYRING_NAME_SIZE])
{
	uint64_t random[2];

	sys_random(random, sizeof(random));
	(void)snprintf(name, KEYRING_NAME_SIZE, "_ses.%016llx%016llx",
		       (unsigned long long)random[0], (unsigned long long)random[1]);
}

int
keyring_join(const char *name, struct error *err)
{
	long key = keyctl(KEYCTL_JOIN_SESSION_KEYRING, (unsigned long)(uintptr_t)name, 0);

	if (key < 0 && (errno == EDQUOT || errno == ENOMEM)) {
		/* Containers share the quota of their user. The first anonymous session keyring
		 * of a process is not limited by it. */
		if (keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0) < 0)
			return error_sys(err, "failed to create an anonymous session keyring");
		return 0;
	}
	if (key < 0)
		return errno == ENOSYS ? 0
				       : error_sys(err, "failed to join session keyring %s", name);
	/* Succeeds for a new keyring; for an existing one the container may have dropped the
	 * permission. */
	(void)keyctl(KEYCTL_SETPERM, (unsigned long)key, KEY_POS_ALL | KEY_USR_SEARCH);
	return 0;
}
