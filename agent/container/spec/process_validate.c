/* SPDX-License-Identifier: Apache-2.0 */
/* Validation of a process, of a spec or an exec. Pure. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "agent/container/launch/rlimits.h"
#include "agent/container/spec/validate.h"

/* The kernel's NGROUPS_MAX. */
#define GROUPS_MAX 65536

static int process_validate_user(const Grpc__User *user, struct error *err);

int
process_validate(const Grpc__Process *p, struct error *err)
{
	if (!p->n_args || !*p->args[0])
		return error_set(err, ERROR_INVALID_ARGUMENT, "process.args: must not be empty");
	if (*p->cwd && *p->cwd != '/')
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "process.cwd: \"%.128s\" is not absolute", p->cwd);
	if (strlen(p->cwd) >= PATH_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "process.cwd: too long");
	if (p->oomscoreadj < -1000 || p->oomscoreadj > 1000)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "process.oomScoreAdj: %" PRId64 " is out of range",
				 p->oomscoreadj);
	if (process_validate_user(p->user, err) < 0)
		return -1;
	return rlimits_validate(p->rlimits, p->n_rlimits, err);
}

static int
process_validate_user(const Grpc__User *user, struct error *err)
{
	if (!user)
		return 0;
	/* setresuid(2) takes -1 as "unchanged": the process would stay root. */
	if (user->uid == UINT32_MAX || user->gid == UINT32_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "process.user: %s is out of range",
				 user->uid == UINT32_MAX ? "uid" : "gid");
	if (user->n_additionalgids > GROUPS_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "process.user.additionalGids: more than %d", GROUPS_MAX);
	for (size_t i = 0; i < user->n_additionalgids; i++) {
		if (user->additionalgids[i] == UINT32_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "process.user.additionalGids: gid is out of range");
	}
	return 0;
}
