/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the process of the pause bundle. */
#include "agent/sandbox/create_pause.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/container/spec/validate.h"
#include "agent/storage/image_request.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json_scan.h"
#include "lib/path.h"

#define CONFIG IMAGE_PAUSE_BUNDLE "/config.json"

/* The decoded strings so far. */
struct create_pause_text {
	char *at;
	size_t left;
};

static ssize_t create_pause_read(const struct roots *roots, char *config, struct error *err);
static int create_pause_take(struct create_pause *p, struct json_value process, struct error *err);

bool
create_pause_is_wanted(const struct storage_spec *storages, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (image_request_is_pause(&storages[i]))
			return true;
	return false;
}

int
create_pause_fill(struct create_pause *p, const struct roots *roots, const Grpc__Spec *spec,
		  struct error *err)
{
	char config[CREATE_PAUSE_CONFIG];
	struct json_value all, process;
	ssize_t n = create_pause_read(roots, config, err);

	if (n < 0)
		return -1;
	p->spec = *spec;
	p->process = *spec->process;
	if (p->process.user)
		p->user = *p->process.user;
	else
		grpc__user__init(&p->user);
	p->spec.process = &p->process;
	p->process.user = &p->user;
	if (!json_scan(config, (size_t)n, &all) || !json_scan_member(all, "process", &process))
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "invalid " CONFIG " in the guest's image: no process");
	if (create_pause_take(p, process, err) < 0 || process_validate(&p->process, err) < 0)
		return error_wrap(err, "invalid " CONFIG " in the guest's image");
	return 0;
}

/* Returns the number of bytes, or -1 and err. */
static ssize_t
create_pause_read(const struct roots *roots, char *config, struct error *err)
{
	auto_close int path = roots_open_path(roots, CONFIG);
	auto_close int fd = -1;
	struct stat st;
	ssize_t n;

	if (path < 0)
		return error_sys_code(
			err, errno == ENOENT ? ERROR_FAILED_PRECONDITION : ERROR_INTERNAL,
			"the guest's image has no pause image: failed to open " CONFIG);
	if (fstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size >= CREATE_PAUSE_CONFIG)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 CONFIG " is not a regular file of at most 64 KiB");
	fd = path_reopen(path, O_RDONLY);
	n = fd < 0 ? -1 : read_full(fd, config, CREATE_PAUSE_CONFIG);
	return n < 0 ? error_sys(err, "failed to read " CONFIG) : n;
}

/* Decodes a list of strings. Returns their number, or -1 and err. */
static ssize_t
create_pause_strings(struct create_pause_text *t, struct json_value process, const char *key,
		     char *out[static CREATE_PAUSE_STRINGS], struct error *err)
{
	struct json_value list, item = { 0 };
	size_t n = 0;

	if (!json_scan_member(process, key, &list))
		return 0;
	while (json_scan_item(list, &item)) {
		ssize_t len = json_scan_string(item, t->at, t->left);

		if (len < 0 || n == CREATE_PAUSE_STRINGS)
			return error_set(err, ERROR_FAILED_PRECONDITION, "invalid process.%s", key);
		out[n++] = t->at;
		t->at += len + 1;
		t->left -= (size_t)len + 1;
	}
	return (ssize_t)n;
}

static int
create_pause_user(struct create_pause *p, struct json_value user, struct error *err)
{
	struct json_value value, item = { 0 };

	p->user.uid = p->user.gid = 0;
	p->user.n_additionalgids = 0;
	p->user.additionalgids = p->gids;
	if (json_scan_member(user, "uid", &value) && !json_scan_u32(value, &p->user.uid))
		return error_set(err, ERROR_FAILED_PRECONDITION, "invalid process.user.uid");
	if (json_scan_member(user, "gid", &value) && !json_scan_u32(value, &p->user.gid))
		return error_set(err, ERROR_FAILED_PRECONDITION, "invalid process.user.gid");
	if (!json_scan_member(user, "additionalGids", &value))
		return 0;
	while (json_scan_item(value, &item))
		if (p->user.n_additionalgids == CREATE_PAUSE_STRINGS ||
		    !json_scan_u32(item, &p->gids[p->user.n_additionalgids++]))
			return error_set(err, ERROR_FAILED_PRECONDITION,
					 "invalid process.user.additionalGids");
	return 0;
}

static int
create_pause_take(struct create_pause *p, struct json_value process, struct error *err)
{
	struct create_pause_text t = { .at = p->text, .left = sizeof(p->text) };
	struct json_value value;
	ssize_t args = create_pause_strings(&t, process, "args", p->args, err);
	ssize_t env = args < 0 ? -1 : create_pause_strings(&t, process, "env", p->env, err);

	if (env < 0)
		return -1;
	p->process.args = p->args;
	p->process.n_args = (size_t)args;
	p->process.env = p->env;
	p->process.n_env = (size_t)env;
	p->process.cwd = (char *)"/";
	if (json_scan_member(process, "cwd", &value)) {
		if (json_scan_string(value, t.at, t.left) < 0)
			return error_set(err, ERROR_FAILED_PRECONDITION, "invalid process.cwd");
		p->process.cwd = t.at;
	}
	return json_scan_member(process, "user", &value) ? create_pause_user(p, value, err) : 0;
}
