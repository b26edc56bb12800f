/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a VM's containers. */
#include "ctl/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/json.h"

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
	(void)snprintf(file, sizeof(file), "%.160s.request.json", r->container_id);
	return record_write(dir, file, j, err);
}

Grpc__CreateContainerRequest *
record_read_request(const char *dir, const char *id)
{
	struct error ignored = ERROR_INIT;
	char path[PATH_MAX + 256];
	ProtobufCMessage *r = NULL;
	json_t *j;

	(void)snprintf(path, sizeof(path), "%s/%.160s.request.json", dir, id);
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

void
record_id(const struct vm_state *state, const char *name, char *out, size_t size)
{
	if (name && state->pod[0])
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
	(void)snprintf(out, size, "%s/%.160s.log", state->dir, name);
}
