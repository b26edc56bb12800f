/* SPDX-License-Identifier: Apache-2.0 */
/* Calls made by cases, built on those of tests/rpc, and checks of their results. See oci.h. */
#include <string.h>

#include "tests/oci/oci.h"

#define IGNORE_KEY "tatami.test.ignore"

static void
remember(struct oci *t, const char *id)
{
	for (size_t i = 0; i < OCI_IDS; i++) {
		if (!t->ids[i][0]) {
			(void)snprintf(t->ids[i], sizeof(t->ids[i]), "%s", id);
			return;
		}
	}
	CHECK(false, "more than %d containers in a case", OCI_IDS);
}

static void
forget(struct oci *t, const char *id)
{
	for (size_t i = 0; i < OCI_IDS; i++) {
		if (strcmp(t->ids[i], id) == 0)
			t->ids[i][0] = '\0';
	}
}

Grpc__CreateContainerRequest *
oci_request(struct oci *t, const char *id, Grpc__Spec *spec)
{
	Grpc__CreateContainerRequest *q = oci_zalloc(t, 1, sizeof(*q));

	grpc__create_container_request__init(q);
	q->container_id = oci_str(t, "%s", id);
	q->exec_id = q->container_id;
	q->oci = spec;
	return q;
}

int
oci_create_request(struct oci *t, const Grpc__CreateContainerRequest *q)
{
	if (t->ignore)
		oci_annotation(t, q->oci, IGNORE_KEY, t->ignore);
	oci_rootfs_settle(t);
	if (call(&t->h, "CreateContainer", q, NULL, &t->err) < 0)
		return -1;
	remember(t, q->container_id);
	return 0;
}

int
oci_create(struct oci *t, const char *id, Grpc__Spec *spec)
{
	return oci_create_request(t, oci_request(t, id, spec));
}

int
oci_start(struct oci *t, const char *id)
{
	oci_rootfs_settle(t);
	return start(&t->h, id, &t->err);
}

int
oci_launch(struct oci *t, const char *id, Grpc__Spec *spec)
{
	return oci_create(t, id, spec) < 0 ? -1 : oci_start(t, id);
}

int
oci_exec(struct oci *t, const char *id, const char *exec_id, Grpc__Process *p)
{
	Grpc__ExecProcessRequest q = GRPC__EXEC_PROCESS_REQUEST__INIT;

	q.container_id = oci_str(t, "%s", id);
	q.exec_id = oci_str(t, "%s", exec_id);
	q.process = p;
	oci_rootfs_settle(t);
	return call(&t->h, "ExecProcess", &q, NULL, &t->err);
}

int
oci_kill(struct oci *t, const char *id, const char *exec_id, int sig)
{
	return kill_process(&t->h, id, exec_id, sig, &t->err);
}

static const char *
process_of(const char *id, const char *exec_id)
{
	return *exec_id ? exec_id : id;
}

int
oci_wait(struct oci *t, const char *id, const char *exec_id)
{
	return wait_process(&t->h, id, process_of(id, exec_id), &t->err);
}

ssize_t
oci_read(struct oci *t, const char *id, const char *exec_id, char *out, size_t size)
{
	out[0] = '\0';
	return read_all(&t->h, false, id, process_of(id, exec_id), out, size, &t->err);
}

ssize_t
oci_read_err(struct oci *t, const char *id, const char *exec_id, char *out, size_t size)
{
	out[0] = '\0';
	return read_all(&t->h, true, id, process_of(id, exec_id), out, size, &t->err);
}

int
oci_read_line(struct oci *t, const char *id, const char *exec_id, const char *line)
{
	char seen[512];
	size_t n = 0;

	for (;;) {
		char c;
		ssize_t r = read_stream(&t->h, false, id, process_of(id, exec_id), &c, 1, &t->err);

		if (r < 0)
			return -1;
		if (r == 0)
			return error_set(&t->err, ERROR_NOT_FOUND,
					 "the output of %s ended without a line \"%s\"", id, line);
		if (c != '\n') {
			if (n < sizeof(seen) - 1)
				seen[n++] = c;
			continue;
		}
		n -= n > 0 && seen[n - 1] == '\r';
		seen[n] = '\0';
		if (strcmp(seen, line) == 0)
			return 0;
		n = 0;
	}
}

int
oci_remove(struct oci *t, const char *id)
{
	int r = remove_container(&t->h, id, &t->err);

	if (r == 0)
		forget(t, id);
	return r;
}

int
oci_call(struct oci *t, const char *method, const void *request, ProtobufCMessage **reply)
{
	return call(&t->h, method, request, reply, &t->err);
}

void
oci_calls_end(struct oci *t)
{
	for (size_t i = 0; i < OCI_IDS; i++) {
		char id[sizeof(t->ids[i])];

		memcpy(id, t->ids[i], sizeof(id));
		if (*id)
			CHECK_EQ(oci_remove(t, id), 0, "removing %s after the case: %s", id,
				 t->err.msg);
		t->ids[i][0] = '\0';
	}
}

int
oci_run(struct oci *t, Grpc__Spec *spec, char *out, size_t size)
{
	int code = -1;

	out[0] = '\0';
	if (oci_create(t, "c1", spec) < 0)
		return -1;
	if (oci_start(t, "c1") == 0 && oci_read(t, "c1", "", out, size) >= 0)
		code = oci_wait(t, "c1", "");
	if (code < 0) {
		struct error why = t->err;

		(void)oci_remove(t, "c1");
		t->err = why;
		return -1;
	}
	return oci_remove(t, "c1") < 0 ? -1 : code;
}

int
oci_exec_run(struct oci *t, const char *id, Grpc__Process *p, char *out, size_t size)
{
	out[0] = '\0';
	if (oci_exec(t, id, "x1", p) < 0 || oci_read(t, id, "x1", out, size) < 0)
		return -1;
	return oci_wait(t, id, "x1");
}

/* Checks the exit code and the output of a container. */
static void
judge(struct oci *t, const char *file, int line, int code, const char *out, enum oci_match match,
      const char *text)
{
	bool has = strstr(out, text) != NULL;

	if (code != 0)
		check_goes_on(file, line, "exit code 0", " %d%s%s; it printed \"%s\"", code,
			      code < 0 ? ": " : "", code < 0 ? t->err.msg : "", out);
	else if (match == OCI_IS && strcmp(out, text) != 0)
		check_goes_on(file, line, "what it prints", " \"%s\", not \"%s\"", out, text);
	else if (match == OCI_HAS && !has)
		check_goes_on(file, line, "what it prints", " no \"%s\" in \"%s\"", text, out);
	else if (match == OCI_HAS_NOT && has)
		check_goes_on(file, line, "what it prints", " \"%s\" is in \"%s\"", text, out);
}

void
oci_prints(struct oci *t, const char *file, int line, Grpc__Spec *spec, enum oci_match match,
	   const char *text)
{
	char *out = oci_zalloc(t, OCI_OUT, 1);
	int code = oci_run(t, spec, out, OCI_OUT);

	judge(t, file, line, code, out, match, text);
}

void
oci_exec_prints(struct oci *t, const char *file, int line, const char *id, Grpc__Process *p,
		const char *text)
{
	char *out = oci_zalloc(t, OCI_OUT, 1);
	int code = oci_exec_run(t, id, p, out, OCI_OUT);

	judge(t, file, line, code, out, OCI_IS, text);
}

void
oci_refused(struct oci *t, const char *file, int line, Grpc__Spec *spec, enum error_code code,
	    const char *part)
{
	if (oci_create(t, "c1", spec) == 0) {
		check_goes_on(file, line, "a refusal", " it was created; wanted: %s", part);
		(void)oci_remove(t, "c1");
		return;
	}
	if (t->err.code != code)
		check_goes_on(file, line, "the code of a refusal", " %s, not %s: %s",
			      error_code_name(t->err.code), error_code_name(code), t->err.msg);
	if (!strstr(t->err.msg, part))
		check_goes_on(file, line, "the text of a refusal", " no \"%s\" in: %s", part,
			      t->err.msg);
}
