/* SPDX-License-Identifier: Apache-2.0 */
/* A container's session keyring. Called by a new process in its namespaces, before it gives anything up. */
#include "agent/container/launch/keyring.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/sys.h"

/* Permissions of a key, linux/key.h of the kernel: everything for its holders; the owner may search it, which is what
 * joining by name asks for, but neither see its name nor read it. */
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
		/* Containers share the quota of their user. The kernel makes the first anonymous session keyring of a
		 * process regardless of it. */
		if (keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0) < 0)
			return error_sys(err, "make an anonymous session keyring");
		return 0;
	}
	if (key < 0)
		return errno == ENOSYS ? 0 : error_sys(err, "join session keyring %s", name);
	/* cannot fail for a new one; of one that is there, the container may have given away the right to do so */
	(void)keyctl(KEYCTL_SETPERM, (unsigned long)key, KEY_POS_ALL | KEY_USR_SEARCH);
	return 0;
}
