/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups of an image, by its own /etc/passwd and /etc/group. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define ACCOUNT_GROUPS_MAX 64

struct account {
	uint32_t uid, gid;
	/* the groups in which the user is a member, in addition to gid */
	uint32_t groups[ACCOUNT_GROUPS_MAX];
	size_t n_groups;
};

/* Finds "USER[:GROUP]", each a name or a number; "" is user 0. A number need not be in the files;
 * with GROUP there are no other groups. `passwd` and `group` are the contents of the files. Returns
 * 0, or -1 and err (NOT_FOUND). */
int account_find(const char *text, const char *passwd, const char *group, struct account *out,
		 struct error *err);
