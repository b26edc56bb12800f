/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a VM's containers. */
#include "ctl/vm/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/json/json.h"
#include "ctl/streams/log.h"
#include "lib/cleanup.h"

/* Records of containers that were added and have ended. */
#define ADDED_KEPT 16
#define REQUEST    ".request.json"
#define STATUS     ".status.json"

static void record_prune(const char *dir);
static bool record_is_added(const struct vm_state *state, const char *name);

static int
record_write(const char *dir, const char *file, json_t *j, struct error *err)
{
	char path[PATH_MAX + 256], made[PATH_MAX + 256];
	int r;

	(void)snprintf(path, sizeof(path), "%s/%.200s", dir, file);
	(void)snprintf(made, sizeof(made), "%s/.%.200s", dir, file);
	r = j ? json_dump_file(j, made, JSON_INDENT(1)) : -1;
	json_decref(j);
	if (r < 0 || rename(made, path) < 0)
		return error_sys(err, "failed to write %s", path);
	return 0;
}

int
record_request(const char *dir, const Grpc__CreateContainerRequest *r, struct error *err)
{
	json_t *j = json_from_message(&r->base, err);
	char file[200];

	if (!j)
		return -1;
	(void)snprintf(file, sizeof(file), "%.160s" REQUEST, r->container_id);
	return record_write(dir, file, j, err);
}

Grpc__CreateContainerRequest *
record_read_request(const char *dir, const char *id)
{
	struct error ignored = ERROR_INIT;
	char path[PATH_MAX + 256];
	ProtobufCMessage *r = NULL;
	json_t *j;

	(void)snprintf(path, sizeof(path), "%s/%.160s" REQUEST, dir, id);
	j = json_load_file(path, 0, NULL);
	if (j)
		r = json_to_message(&grpc__create_container_request__descriptor, j, &ignored);
	json_decref(j);
	return (Grpc__CreateContainerRequest *)r;
}

int
record_single(const char *dir, const char *name, bool is_running, int exit_code, struct error *err)
{
	return record_write(dir, "status.json",
			    json_pack("{s:[{s:s, s:s, s:b, s:b, s:i, s:i}]}", "containers", "name",
				      name, "id", name, "running", is_running, "ready", is_running,
				      "restarts", 0, "exitCode", exit_code),
			    err);
}

int
record_added(const char *dir, const char *id, bool is_running, int exit_code, struct error *err)
{
	char file[200];

	(void)snprintf(file, sizeof(file), "%.160s" STATUS, id);
	if (record_write(dir, file,
			 json_pack("{s:s, s:s, s:b, s:b, s:i, s:i, s:b}", "name", id, "id", id,
				   "running", is_running, "ready", is_running, "restarts", 0,
				   "exitCode", exit_code, "added", 1),
			 err) < 0)
		return -1;
	if (!is_running)
		record_prune(dir);
	return 0;
}

void
record_remove_added(const char *dir, const char *id)
{
	static const char *const ends[] = { REQUEST, STATUS };
	char path[PATH_MAX + 256];

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		(void)snprintf(path, sizeof(path), "%s/%.160s%s", dir, id, ends[i]);
		(void)unlink(path);
	}
}

/* Calls fn with each container that was added. */
static void
record_each_added(const char *dir, void (*fn)(json_t *container, const struct stat *st, void *data),
		  void *data)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		size_t n = strlen(e->d_name), n_end = strlen(STATUS);
		char path[PATH_MAX + 256];
		struct stat st;
		json_t *c;

		if (e->d_name[0] == '.' || n <= n_end || strcmp(e->d_name + n - n_end, STATUS) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%.250s", dir, e->d_name);
		c = json_load_file(path, 0, NULL);
		if (c && stat(path, &st) == 0)
			fn(c, &st, data);
		json_decref(c);
	}
	if (d)
		(void)closedir(d);
}

struct record_oldest {
	char id[160];
	struct timespec written;
	unsigned int n;
};

static void
record_note_oldest(json_t *c, const struct stat *st, void *data)
{
	struct record_oldest *o = data;
	const char *id = json_string_value(json_object_get(c, "id"));

	if (!id || json_is_true(json_object_get(c, "running")))
		return;
	if (o->n++ > 0 &&
	    (st->st_mtim.tv_sec > o->written.tv_sec || (st->st_mtim.tv_sec == o->written.tv_sec &&
							st->st_mtim.tv_nsec >= o->written.tv_nsec)))
		return;
	o->written = st->st_mtim;
	(void)snprintf(o->id, sizeof(o->id), "%s", id);
}

/* Removes the oldest records of added containers: a VM that lives long may see any number. */
static void
record_prune(const char *dir)
{
	for (;;) {
		struct record_oldest o = { .n = 0 };

		record_each_added(dir, record_note_oldest, &o);
		if (o.n <= ADDED_KEPT)
			return;
		record_remove_added(dir, o.id);
	}
}

static void
record_append(json_t *c, const struct stat *st, void *data)
{
	(void)st;
	(void)json_array_append(data, c);
}

json_t *
record_containers(const char *dir)
{
	json_t *status = state_read_status(dir);
	json_t *list = json_incref(json_object_get(status, "containers"));

	json_decref(status);
	if (!json_is_array(list)) {
		json_decref(list);
		list = json_array();
	}
	if (list)
		record_each_added(dir, record_append, list);
	return list;
}

/* ---- names ---- */

int
record_find(const char *text, const char *container, bool must_run, struct record_ref *out,
	    struct error *err)
{
	const char *slash = strchr(text, '/');
	char vm[64];

	(void)snprintf(vm, sizeof(vm), "%.*s", (int)(slash ? slash - text : 60), text);
	if (slash && container)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s: the container is named by --container, too", text);
	container = slash ? slash + 1 : container;
	if (container && (!container[0] || strchr(container, '/') || container[0] == '.'))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid container name \"%s\"",
				 container);
	if (must_run ? state_read_alive(vm, &out->state, err) < 0
		     : state_read(vm, &out->state, err) < 0)
		return -1;
	(void)snprintf(out->container, sizeof(out->container), "%.90s", container ? container : "");
	record_id(&out->state, container, out->id, sizeof(out->id));
	return 0;
}

/* Returns whether a container was added to the VM. */
static bool
record_is_added(const struct vm_state *state, const char *name)
{
	char path[PATH_MAX + 256];

	(void)snprintf(path, sizeof(path), "%s/%.160s" STATUS, state->dir, name);
	return access(path, F_OK) == 0;
}

void
record_id(const struct vm_state *state, const char *name, char *out, size_t size)
{
	/* Those of a pod have its name before theirs. */
	if (name && state->pod[0] && !record_is_added(state, name))
		(void)snprintf(out, size, "%s-%.63s", state->pod, name);
	else
		(void)snprintf(out, size, "%.159s", name ? name : state->container);
}

void
record_log(const struct vm_state *state, const char *name, char *out, size_t size)
{
	size_t n = strlen(state->pod);

	/* Without the pod's name, which the id begins with. */
	if (!name)
		name = n && strncmp(state->container, state->pod, n) == 0 &&
				       state->container[n] == '-'
			       ? state->container + n + 1
			       : state->container;
	log_path(state->dir, name, out, size);
}
