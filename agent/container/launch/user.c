/* SPDX-License-Identifier: Apache-2.0 */
/* Resolution of users and change of credentials. Runs in the new process, before execve. */
#include "agent/container/launch/user.h"

#include <grp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/container/launch/accounts.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

#define PASSWD         "etc/passwd"
#define GROUP          "etc/group"
#define NAME_MAX_BYTES 256
/* Limit on the groups that list a user. */
#define MEMBERSHIPS_MAX 1024

/* The parts of a username "user:group". */
struct names {
	/* An empty group is not given. */
	char user[NAME_MAX_BYTES], group[NAME_MAX_BYTES];
};

static int user_split_name(const char *username, struct names *out, struct error *err);
static int user_find(int root_fd, const char *name, struct account *out, bool *named,
		     struct error *err);
static int user_find_groups(int root_fd, const Grpc__User *spec, const struct names *names,
			    bool named, struct user *out, struct error *err);
static int user_join_groups(const Grpc__User *spec, const struct accounts *group, const char *name,
			    struct user *out, struct error *err);

int
user_resolve(int root_fd, const Grpc__User *spec, struct user *out, struct error *err)
{
	struct account account;
	struct names names;
	bool named;

	*out = (struct user){ 0 };
	if (!spec)
		return 0;
	out->uid = spec->uid;
	out->gid = spec->gid;
	out->groups = spec->additionalgids;
	out->n_groups = spec->n_additionalgids;
	if (!*spec->username)
		return 0;
	if (user_split_name(spec->username, &names, err) < 0 ||
	    user_find(root_fd, names.user, &account, &named, err) < 0)
		return -1;
	if (spec->uid && spec->uid != account.uid)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"process.user: uid %u does not match username %.64s, which has %u in /%s",
			spec->uid, names.user, account.uid, PASSWD);
	out->uid = account.uid;
	out->gid = account.gid;
	if (user_find_groups(root_fd, spec, &names, named, out, err) < 0)
		return -1;
	if (spec->gid)
		out->gid = spec->gid;
	return 0;
}

static int
user_split_name(const char *username, struct names *out, struct error *err)
{
	size_t n = strcspn(username, ":");
	const char *group = username[n] ? username + n + 1 : "";

	if (!n || (username[n] && !*group) || strchr(group, ':'))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid process.user.username \"%.64s\": not user or user:group",
				 username);
	if (n >= sizeof(out->user) || strlen(group) >= sizeof(out->group))
		return error_set(err, ERROR_INVALID_ARGUMENT, "process.user.username: too long");
	memcpy(out->user, username, n);
	out->user[n] = '\0';
	memcpy(out->group, group, strlen(group) + 1);
	return 0;
}

static int
user_unknown(const char *what, const char *name, const char *file, const struct accounts *a,
	     struct error *err)
{
	return error_set(err, ERROR_INVALID_ARGUMENT,
			 "process.user.username: %s \"%.64s\" was not found in %s%s", what, name,
			 a->cut ? "the first MiB of /" : "/", file);
}

/* Finds the user's line. A number without a line is a uid with group 0 and no name. */
static int
user_find(int root_fd, const char *name, struct account *out, bool *named, struct error *err)
{
	struct error why = ERROR_INIT;
	struct accounts passwd;
	uint32_t uid;
	bool numeric = parse_u32(name, &uid) && uid != UINT32_MAX;
	int result = 0;

	if (accounts_read(root_fd, PASSWD, &passwd, &why) < 0 && !numeric) {
		*err = why;
		return error_wrap(err, "process.user.username: user \"%.64s\"", name);
	}
	*named = accounts_by_name(&passwd, name, out);
	if (!*named && numeric) {
		if (!accounts_by_uid(&passwd, uid, out))
			*out = (struct account){ .uid = uid };
	} else if (!*named) {
		result = user_unknown("user", name, PASSWD, &passwd, err);
	}
	accounts_release(&passwd);
	return result;
}

/* Looks up the named group and the user's other groups in the group file. */
static int
user_find_groups(int root_fd, const Grpc__User *spec, const struct names *names, bool named,
		 struct user *out, struct error *err)
{
	struct accounts group;
	struct error why = ERROR_INIT;
	bool numeric =
		!*names->group || (parse_u32(names->group, &out->gid) && out->gid != UINT32_MAX);
	int result = 0;

	/* A missing file is an error only if a group must be looked up in it. */
	if (accounts_read(root_fd, GROUP, &group, &why) < 0 && !numeric) {
		*err = why;
		return error_wrap(err, "process.user.username: group \"%.64s\"", names->group);
	}
	if (*names->group && !accounts_group(&group, names->group, &out->gid) && !numeric)
		result = user_unknown("group", names->group, GROUP, &group, err);
	if (result == 0 && named)
		result = user_join_groups(spec, &group, names->user, out, err);
	accounts_release(&group);
	return result;
}

/* Joins the spec's groups and those that list the user, without duplicates. */
static int
user_join_groups(const Grpc__User *spec, const struct accounts *group, const char *name,
		 struct user *out, struct error *err)
{
	size_t n = spec->n_additionalgids, found, total = n;
	uint32_t *all = calloc(n + MEMBERSHIPS_MAX, sizeof(*all));

	if (!all)
		return error_nomem(err, "listing groups");
	if (n)
		memcpy(all, spec->additionalgids, n * sizeof(*all));
	found = accounts_groups_of(group, name, all + n, MEMBERSHIPS_MAX);
	for (size_t i = n; found <= MEMBERSHIPS_MAX && i < n + found; i++) {
		size_t j = 0;

		while (j < total && all[j] != all[i])
			j++;
		if (j == total)
			all[total++] = all[i];
	}
	out->groups = all;
	out->n_groups = total;
	if (found > MEMBERSHIPS_MAX)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"process.user.username: \"%.64s\" is in more than %d groups of /%s", name,
			MEMBERSHIPS_MAX, GROUP);
	return 0;
}

void
user_home(int root_fd, uint32_t uid, char *out, size_t size)
{
	struct error why = ERROR_INIT;
	struct accounts passwd;
	struct account account;

	memcpy(out, "/", 2);
	/* A missing or invalid file is not an error. */
	if (accounts_read(root_fd, PASSWD, &passwd, &why) < 0)
		return;
	if (accounts_by_uid(&passwd, uid, &account) && *account.home && strlen(account.home) < size)
		memcpy(out, account.home, strlen(account.home) + 1);
	accounts_release(&passwd);
}

int
user_become_root(struct error *err)
{
	if (setgroups(0, NULL) < 0)
		return error_sys(err, "failed to drop groups");
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return error_sys(err, "failed to become root of the user namespace");
	return 0;
}

int
user_become(const struct user *user, struct error *err)
{
	_Static_assert(sizeof(gid_t) == sizeof(uint32_t),
		       "groups are passed to setgroups() unchanged");

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_sys(err, "failed to keep capabilities");
	if (setgroups(user->n_groups, user->groups) < 0)
		return error_sys(err, "failed to set %zu additional groups", user->n_groups);
	if (setresgid(user->gid, user->gid, user->gid) < 0)
		return error_sys(err, "failed to set group id %u", user->gid);
	if (setresuid(user->uid, user->uid, user->uid) < 0)
		return error_sys(err, "failed to set user id %u", user->uid);
	return 0;
}
