/* SPDX-License-Identifier: Apache-2.0 */
/* Failures return the right code and a text that names the object, and leave nothing. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/log.h"
#include "lib/log_event.h"
#include "tests/rpc/harness.h"
#include "tests/rpc/raw.h"

static void
unknown_containers(struct harness *h)
{
	struct error err = ERROR_INIT;
	char buf[8], text[64];
	int r[8];
	struct error errs[8];

	for (size_t i = 0; i < ARRAY_LEN(errs); i++)
		errs[i] = err;
	r[0] = start(h, "nobody", &errs[0]);
	r[1] = remove_container(h, "nobody", &errs[1]);
	r[2] = kill_process(h, "nobody", "", SIGTERM, &errs[2]);
	r[3] = wait_process(h, "nobody", "", &errs[3]);
	r[4] = (int)read_stream(h, false, "nobody", "", buf, 1, &errs[4]);
	r[5] = write_stdin(h, "nobody", "", "x", 1, &errs[5]);
	r[6] = close_stdin(h, "nobody", "", &errs[6]);
	r[7] = exec(h, "nobody", "e", SH("true"), false, &errs[7]);
	(void)snprintf(text, sizeof(text), TEXT_CONTAINER_NOT_FOUND, "nobody");
	for (size_t i = 0; i < ARRAY_LEN(errs); i++) {
		CHECK_LT(r[i], 0, "call %zu succeeded", i);
		CHECK_EQ(errs[i].code, ERROR_INVALID_ARGUMENT, "call %zu: code %d", i,
			 errs[i].code);
		CHECK_HAS(errs[i].msg, text, "call %zu: %s", i, errs[i].msg);
	}
}

static void
unknown_processes(struct harness *h)
{
	struct error err = ERROR_INIT;
	char buf[8], text[64];

	(void)snprintf(text, sizeof(text), TEXT_PROCESS_NOT_FOUND_IN, "nope", "c1");
	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	CHECK_FAILS(kill_process(h, "c1", "nope", SIGTERM, &err), &err, ERROR_NOT_FOUND, "",
		    "%d %s", err.code, err.msg);
	CHECK_FAILS(wait_process(h, "c1", "nope", &err), &err, ERROR_NOT_FOUND, "", "%d %s",
		    err.code, err.msg);
	CHECK_HAS(err.msg, text);
	CHECK_FAILS(read_stream(h, true, "c1", "nope", buf, 1, &err), &err, ERROR_NOT_FOUND, "",
		    "%d %s", err.code, err.msg);
	CHECK_FAILS(write_stdin(h, "c1", "nope", "x", 1, &err), &err, ERROR_NOT_FOUND, "", "%d %s",
		    err.code, err.msg);
	CHECK_FAILS(kill_process(h, "c1", "", 65, &err), &err, ERROR_INVALID_ARGUMENT, "",
		    "signal 65: %d %s", err.code, err.msg);
	CHECK_OK(kill_process(h, "c1", "", 0, &err), &err, "signal 0");
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

/* Changes one field of a valid request. */
struct bad_create {
	const char *name;
	void (*spoil)(Grpc__CreateContainerRequest *q, struct arena *a);
	enum error_code code;
	/* expected in the message */
	const char *text;
};

static void
missing_rootfs(Grpc__CreateContainerRequest *q, struct arena *a)
{
	(void)a;
	q->oci->root->path = (char *)"/no/such/rootfs";
}

static void
missing_binary(Grpc__CreateContainerRequest *q, struct arena *a)
{
	(void)a;
	q->oci->process->args[0] = (char *)"/no/such/binary";
}

static void
bad_mount_option(Grpc__CreateContainerRequest *q, struct arena *a)
{
	Grpc__Mount *m = q->oci->mounts[1];

	m->options = arena_zalloc(a, 1, sizeof(char *));
	m->options[0] = (char *)"nosuchoption=17";
	m->n_options = 1;
}

static void
unknown_driver(Grpc__CreateContainerRequest *q, struct arena *a)
{
	Grpc__Storage *s = arena_zalloc(a, 1, sizeof(*s));

	grpc__storage__init(s);
	s->driver = (char *)"floppy";
	s->mount_point = (char *)"/run/kata-containers/floppy";
	q->storages = arena_zalloc(a, 1, sizeof(*q->storages));
	q->storages[0] = s;
	q->n_storages = 1;
}

/* The second storage cannot be mounted: the first must be unmounted. */
static void
second_storage_fails(Grpc__CreateContainerRequest *q, struct arena *a)
{
	q->storages = arena_zalloc(a, 2, sizeof(*q->storages));
	q->n_storages = 2;
	for (int i = 0; i < 2; i++) {
		Grpc__Storage *s = arena_zalloc(a, 1, sizeof(*s));

		grpc__storage__init(s);
		s->driver = (char *)"bind";
		s->fstype = (char *)"bind";
		s->source = (char *)(i ? "/no/such/source" : "/tmp");
		s->mount_point =
			(char *)(i ? "/run/kata-containers/b/two" : "/run/kata-containers/a/one");
		q->storages[i] = s;
	}
}

/* A volume of the pod, which outlives containers, is removed with a container that was never
 * created. */
static void
missing_binary_beside_a_volume(Grpc__CreateContainerRequest *q, struct arena *a)
{
	Grpc__Storage *s = arena_zalloc(a, 1, sizeof(*s));

	grpc__storage__init(s);
	s->driver = (char *)"ephemeral";
	s->fstype = (char *)"tmpfs";
	s->source = (char *)"tmpfs";
	s->mount_point = (char *)"/run/kata-containers/sandbox/ephemeral/volume";
	q->storages = arena_zalloc(a, 1, sizeof(*q->storages));
	q->storages[0] = s;
	q->n_storages = 1;
	missing_binary(q, a);
}

static void
no_process(Grpc__CreateContainerRequest *q, struct arena *a)
{
	(void)a;
	q->oci->process = NULL;
}

static void
no_spec(Grpc__CreateContainerRequest *q, struct arena *a)
{
	(void)a;
	q->oci = NULL;
}

static void
no_args(Grpc__CreateContainerRequest *q, struct arena *a)
{
	(void)a;
	q->oci->process->n_args = 0;
}

static void
unknown_rlimit(Grpc__CreateContainerRequest *q, struct arena *a)
{
	Grpc__POSIXRlimit *limit = arena_zalloc(a, 1, sizeof(*limit));

	grpc__posixrlimit__init(limit);
	limit->type = (char *)"RLIMIT_FUN";
	q->oci->process->rlimits = arena_zalloc(a, 1, sizeof(limit));
	q->oci->process->rlimits[0] = limit;
	q->oci->process->n_rlimits = 1;
}

static void
unknown_namespace(Grpc__CreateContainerRequest *q, struct arena *a)
{
	(void)a;
	q->oci->linux->namespaces[0]->type = (char *)"dream";
}

static void
escaping_cgroup(Grpc__CreateContainerRequest *q, struct arena *a)
{
	(void)a;
	q->oci->linux->cgroupspath = (char *)"/../../escape";
}

static void
relative_cwd(Grpc__CreateContainerRequest *q, struct arena *a)
{
	(void)a;
	q->oci->process->cwd = (char *)"not/absolute";
}

static void
bad_id(Grpc__CreateContainerRequest *q, struct arena *a)
{
	(void)a;
	q->container_id = (char *)"../evil";
}

static void
unknown_device(Grpc__CreateContainerRequest *q, struct arena *a)
{
	Grpc__Device *d = arena_zalloc(a, 1, sizeof(*d));

	grpc__device__init(d);
	d->id = (char *)"x";
	d->type = (char *)"teleporter";
	d->container_path = (char *)"/dev/x";
	q->devices = arena_zalloc(a, 1, sizeof(*q->devices));
	q->devices[0] = d;
	q->n_devices = 1;
}

static void
bad_creates(struct harness *h)
{
	static const struct bad_create rows[] = {
		{ "missing rootfs", missing_rootfs, ERROR_INVALID_ARGUMENT, "/no/such/rootfs" },
		{ "missing binary", missing_binary, ERROR_INVALID_ARGUMENT, "/no/such/binary" },
		{ "missing binary with a volume", missing_binary_beside_a_volume,
		  ERROR_INVALID_ARGUMENT, "/no/such/binary" },
		{ "bad mount option", bad_mount_option, ERROR_INVALID_ARGUMENT, "nosuchoption=17" },
		{ "unknown driver", unknown_driver, ERROR_INVALID_ARGUMENT, "floppy" },
		{ "second storage fails", second_storage_fails, ERROR_INTERNAL, "/no/such/source" },
		{ "no process", no_process, ERROR_INVALID_ARGUMENT, "rocess" },
		{ "no spec", no_spec, ERROR_INVALID_ARGUMENT, "OCI" },
		{ "no args", no_args, ERROR_INVALID_ARGUMENT, "rgs" },
		{ "unknown rlimit", unknown_rlimit, ERROR_INVALID_ARGUMENT, "RLIMIT_FUN" },
		{ "unknown namespace", unknown_namespace, ERROR_INVALID_ARGUMENT, "dream" },
		{ "escaping cgroup", escaping_cgroup, ERROR_INVALID_ARGUMENT, "escape" },
		{ "relative cwd", relative_cwd, ERROR_INVALID_ARGUMENT, "not/absolute" },
		{ "bad id", bad_id, ERROR_INVALID_ARGUMENT, "evil" },
		{ "unknown device", unknown_device, ERROR_INVALID_ARGUMENT, "teleporter" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;
		struct arena a;
		Grpc__CreateContainerRequest *q;
		char out[64];

		arena_init(&a, 1 << 20);
		q = make_create(h, &a, "c1", ARGS("/bin/true"), false);
		rows[i].spoil(q, &a);
		CHECK_LT(call(h, "CreateContainer", q, NULL, &err), 0, "%s: succeeded",
			 rows[i].name);
		CHECK_EQ(err.code, rows[i].code, "%s: code %d: %s", rows[i].name, err.code,
			 err.msg);
		CHECK_HAS(err.msg, rows[i].text, "%s: the text does not name it: %s", rows[i].name,
			  err.msg);
		arena_release(&a);
		/* the id is free again at once */
		CHECK_EQ(run_container(h, "c1", ARGS("/bin/true"), out, sizeof(out), &err), 0,
			 "%s: afterwards: %s", rows[i].name, err.msg);
	}
}

/* Returns the number of records of an event in the agent's log that have all of these fields. */
static unsigned int
count_records(const char *event, const struct log_field *fields, size_t n_fields)
{
	FILE *log = fopen(getenv("AGENT_LOG"), "re");
	char text[160], *line = NULL;
	size_t size = 0;
	unsigned int n = 0;

	while (log && getline(&line, &size, log) > 0) {
		bool has_all;

		(void)snprintf(text, sizeof(text), "\"event\":\"%s\"", event);
		has_all = strstr(line, text) != NULL;
		for (size_t i = 0; has_all && i < n_fields; i++) {
			(void)snprintf(text, sizeof(text), "\"%s\":\"%s\"", fields[i].key,
				       fields[i].value);
			has_all = strstr(line, text) != NULL;
		}
		n += has_all;
	}
	free(line);
	if (log)
		(void)fclose(log);
	return n;
}

/* Each takes milliseconds; the limit of records starts anew after a second. */
#define RECORD_TRIES 10000

/* All records about a container, an exec or a sandbox carry its id, whether the loop or a worker
 * writes them. */
static void
records_of_a_call_name_it(struct harness *h)
{
	const struct log_field create_failed[] = { { "method", "CreateContainer" },
						   { "container-id", "broken-1" },
						   { "sandbox", "sb1" },
						   { "code", "INVALID_ARGUMENT" } };
	const struct log_field exec_failed[] = { { "method", "ExecProcess" },
						 { "container-id", "logged-1" },
						 { "exec-id", "exec-logged-1" },
						 { "sandbox", "sb1" } };
	const struct log_field by_worker[] = { { "method", "CreateContainer" },
					       { "container-id", "logged-1" },
					       { "sandbox", "sb1" },
					       { "capabilities", "CAP_FLY" } };
	Grpc__CreateContainerRequest *q;
	Grpc__LinuxCapabilities *c;
	struct error err = ERROR_INIT;
	unsigned int n = 0;
	struct arena a;

	arena_init(&a, 1 << 20);
	/* The agent writes a limited number of records about failed calls per second, and the
	 * tests before this one have made many fail. */
	for (int i = 0; i < RECORD_TRIES && n == 0; i++) {
		CHECK_LT(create(h, "broken-1", ARGS("/no/such/program"), &err), 0,
			 "it was created");
		n = count_records(EVENT_CALL_FAILED, create_failed, ARRAY_LEN(create_failed));
	}
	CHECK_EQ(n, 1, "CreateContainer: %u records of: %d %s", n, err.code, err.msg);

	/* the worker's record of a call that succeeds */
	q = make_create(h, &a, "logged-1", SH("sleep 3600"), false);
	c = q->oci->process->capabilities;
	c->bounding[0] = c->permitted[0] = c->effective[0] = (char *)"CAP_FLY";
	CHECK_OK(call(h, "CreateContainer", q, NULL, &err), &err);
	CHECK_OK(start(h, "logged-1", &err), &err);
	CHECK_EQ(count_records(EVENT_CAPABILITY_LEFT_OUT, by_worker, ARRAY_LEN(by_worker)), 1,
		 "no record of the worker");

	CHECK_LT(exec(h, "logged-1", "exec-logged-1", ARGS("/no/such/program"), false, &err), 0,
		 "it was executed");
	CHECK_EQ(count_records(EVENT_CALL_FAILED, exec_failed, ARRAY_LEN(exec_failed)), 1,
		 "ExecProcess: %d %s", err.code, err.msg);
	CHECK_OK(remove_container(h, "logged-1", &err), &err);
	arena_release(&a);
}

/* An unknown capability does not fail the container: the runtime specification wants a warning. */
static void
an_unknown_capability_is_left_out(struct harness *h)
{
	const struct log_field warned[] = { { "container-id", "caps" },
					    { "capabilities", "CAP_FLY" } };
	struct arena a;
	struct error err = ERROR_INIT;
	Grpc__CreateContainerRequest *q;
	Grpc__LinuxCapabilities *c;

	arena_init(&a, 1 << 20);
	q = make_create(h, &a, "caps", SH("grep -q 'CapBnd:.*[02468ace]$' /proc/self/status"),
			false);
	c = q->oci->process->capabilities;
	/* in the place of CAP_CHOWN, bit 0 */
	CHECK_HAS(c->bounding[0], "CHOWN");
	c->bounding[0] = c->permitted[0] = c->effective[0] = (char *)"CAP_FLY";
	CHECK_OK(call(h, "CreateContainer", q, NULL, &err), &err);
	CHECK_OK(start(h, "caps", &err), &err);
	CHECK_OK(wait_process(h, "caps", "", &err), &err);
	CHECK_OK(remove_container(h, "caps", &err), &err);
	CHECK_EQ(count_records(EVENT_CAPABILITY_LEFT_OUT, warned, ARRAY_LEN(warned)), 1,
		 "%u warnings",
		 count_records(EVENT_CAPABILITY_LEFT_OUT, warned, ARRAY_LEN(warned)));
	arena_release(&a);
}

static void
every_method_has_a_handler(struct harness *h)
{
	const ProtobufCServiceDescriptor *s = &grpc__agent_service__descriptor;
	struct raw *raw = malloc(sizeof(*raw));
	struct error err = ERROR_INIT;

	CHECK(raw && raw_open(raw, h->address, &err) == 0, "%s", err.msg);
	for (unsigned int i = 0; i < s->n_methods; i++)
		CHECK(raw_has_handler(raw, 2 * i + 1, s->name, s->methods[i].name), "%s",
		      s->methods[i].name);
	CHECK(!raw_has_handler(raw, 2 * s->n_methods + 1, s->name, "NoSuchMethod"),
	      "one that there is not");
	raw_close(raw);
	free(raw);
}

static void
a_second_sandbox_is_refused(struct harness *h)
{
	Grpc__CreateSandboxRequest q = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	struct error err = ERROR_INIT;

	q.sandbox_id = (char *)"sb2";
	CHECK_LT(call(h, "CreateSandbox", &q, NULL, &err), 0, "made twice");
}

const struct test tests_errors[] = {
	{ "unknown containers", unknown_containers },
	{ "unknown processes", unknown_processes },
	{ "invalid CreateContainer requests", bad_creates },
	{ "an unknown capability is left out with a warning", an_unknown_capability_is_left_out },
	{ "log records carry the ids of their call", records_of_a_call_name_it },
	{ "every method has a handler", every_method_has_a_handler },
	{ "a second sandbox is refused", a_second_sandbox_is_refused },
};
const size_t n_tests_errors = ARRAY_LEN(tests_errors);
