/* SPDX-License-Identifier: Apache-2.0 */
/* See link.h. */
#include "tests/diff/link.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/spec/spec.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

#define RUN_MS      60000
#define DIAL_MS     30000
#define ARENA_BYTES (1u << 20)
#define HEAD_MAX    64

/* Gives the container all capabilities, no masked paths, and the guest's /proc at /hostproc. */
static Grpc__CreateContainerRequest *
make_tools(struct arena *a)
{
	static const char *const env[] = { "PATH=/" };
	struct vm_share no_share = { .kind = SHARE_9P };
	struct container_options o = {
		.id = LINK_CONTAINER,
		.hostname = "pod",
		.args = (char *const *)(uintptr_t)ARGS("/guest"),
		.env = env,
		.n_env = ARRAY_LEN(env),
		.cwd = "/",
		.privileged = true,
		.guest_proc = "/hostproc",
		.shares = &no_share,
	};
	Grpc__CreateContainerRequest *q = spec_container(a, &o);

	if (q) {
		q->n_storages = 0;
		q->oci->root->path = (char *)(uintptr_t) "/diff/tools";
	}
	return q;
}

int
link_open(struct link *l, struct harness *h, const char *address, struct error *err)
{
	Grpc__CreateContainerRequest *q;
	struct arena a;
	int r;

	*l = (struct link){ .h = h };
	h->client = ttrpc_client_dial(address, DIAL_MS, err);
	if (!h->client)
		return -1;
	arena_init(&a, ARENA_BYTES);
	q = make_tools(&a);
	r = q ? call(h, "CreateContainer", q, NULL, err) : error_nomem(err, "making a request");
	arena_release(&a);
	if (r < 0 || start(h, LINK_CONTAINER, err) < 0)
		return error_wrap(err, "start guest.c");
	return link_read(l, "/proc/self/comm", err);
}

void
link_close(struct link *l)
{
	struct error err = ERROR_INIT;

	(void)remove_container(l->h, LINK_CONTAINER, &err);
	ttrpc_client_free(l->h->client);
	l->h->client = NULL;
	free(l->answer);
	l->answer = NULL;
}

static int
write_all(struct link *l, const void *data, size_t n, struct error *err)
{
	const char *p = data;

	while (n) {
		size_t part = n < 65536 ? n : 65536;

		if (write_stdin(l->h, LINK_CONTAINER, LINK_CONTAINER, p, part, err) < 0)
			return -1;
		p += part;
		n -= part;
	}
	return 0;
}

int
link_send(struct link *l, const char *head, const void *payload, size_t n, struct error *err)
{
	auto_free char *line = malloc(strlen(head) + HEAD_MAX + n);
	int len;

	if (!line)
		return error_nomem(err, "sending a command");
	len = snprintf(line, strlen(head) + HEAD_MAX, "%s %zu\n", head, n);
	if (n)
		memcpy(line + len, payload, n);
	return write_all(l, line, (size_t)len + n, err);
}

/* Reads the error message of guest.c after it has failed. */
static int
gone(struct link *l, struct error *err)
{
	char text[512];
	ssize_t n = read_stream(l->h, true, LINK_CONTAINER, LINK_CONTAINER, text, sizeof(text) - 1,
				err);

	if (n < 0)
		return -1;
	text[n] = '\0';
	return error_set(err, ERROR_INTERNAL, "guest.c ended: %s", text);
}

static int
read_some(struct link *l, char *buf, size_t size, size_t *have, struct error *err)
{
	ssize_t n = read_stream(l->h, false, LINK_CONTAINER, LINK_CONTAINER, buf + *have,
				size - *have, err);

	if (n <= 0)
		return n < 0 ? -1 : gone(l, err);
	*have += (size_t)n;
	return 0;
}

int
link_take(struct link *l, struct error *err)
{
	char head[4096];
	size_t have = 0, len, rest;
	char *end;
	int status;

	do {
		if (read_some(l, head, sizeof(head), &have, err) < 0)
			return -1;
		end = memchr(head, '\n', have);
	} while (!end && have < HEAD_MAX);
	if (!end || sscanf(head, "%d %zu", &status, &len) != 2)
		return error_set(err, ERROR_INTERNAL, "guest.c: invalid answer");
	end++;
	free(l->answer);
	l->answer = malloc(len + 1);
	if (!l->answer)
		return error_nomem(err, "an answer");
	rest = have - (size_t)(end - head);
	memcpy(l->answer, end, rest);
	while (rest < len)
		if (read_some(l, l->answer, len, &rest, err) < 0)
			return -1;
	l->answer[len] = '\0';
	l->answer_len = len;
	return status;
}

static int
send_args(struct link *l, const char *head, const char *const *args, struct error *err)
{
	char payload[65536];
	size_t n = 0;

	for (; *args; args++) {
		size_t len = strlen(*args) + 1;

		if (len > sizeof(payload) - n)
			return error_set(err, ERROR_INVALID_ARGUMENT, "arguments too long");
		memcpy(payload + n, *args, len);
		n += len;
	}
	return link_send(l, head, payload, n, err);
}

int
link_send_run(struct link *l, const char *cgroup, const char *const *args, struct error *err)
{
	char head[256];

	(void)snprintf(head, sizeof(head), "run %d %s", RUN_MS, cgroup);
	return send_args(l, head, args, err);
}

int
link_run(struct link *l, const char *cgroup, const char *const *args, struct error *err)
{
	return link_send_run(l, cgroup, args, err) < 0 ? -1 : link_take(l, err);
}

int
link_write(struct link *l, const char *path, const void *data, size_t n, struct error *err)
{
	char head[4200];
	int status;

	(void)snprintf(head, sizeof(head), "write %s", path);
	status = link_send(l, head, data, n, err) < 0 ? -1 : link_take(l, err);
	if (status > 0)
		return error_set(err, ERROR_INTERNAL, "write %s: %s", path, strerror(status));
	return status;
}

int
link_read(struct link *l, const char *path, struct error *err)
{
	char head[4200];
	int status;

	(void)snprintf(head, sizeof(head), "read %s", path);
	status = link_send(l, head, NULL, 0, err) < 0 ? -1 : link_take(l, err);
	if (status > 0)
		return error_set(err, ERROR_INTERNAL, "read %s: %s", path, l->answer);
	return status;
}

int
link_times(struct link *l, unsigned int rounds, const char *cgroup, const char *const *args,
	   uint64_t *ns, struct error *err)
{
	char head[256];

	(void)snprintf(head, sizeof(head), "times %s", cgroup);
	/* One round per command, because each call must be answered in bounded time. */
	for (unsigned int i = 0; i < rounds; i++) {
		int status = send_args(l, head, args, err) < 0 ? -1 : link_take(l, err);

		if (status < 0)
			return -1;
		l->answer[strcspn(l->answer, "\n")] = '\0';
		if (status || !parse_u64(l->answer, &ns[i]))
			return error_set(err, ERROR_INTERNAL, "%s failed with %d in round %u",
					 args[0], status, i);
	}
	return 0;
}

int
link_cpu_us(struct link *l, const char *cgroup, uint64_t *us, struct error *err)
{
	char path[256];
	unsigned long long value;

	(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/cpu.stat", cgroup);
	if (link_read(l, path, err) < 0)
		return -1;
	if (sscanf(l->answer, "usage_usec %llu", &value) != 1)
		return error_set(err, ERROR_INTERNAL, "%s: no usage_usec", path);
	*us = value;
	return 0;
}
