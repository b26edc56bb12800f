/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the protocol as plain functions. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/spec/spec.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "tests/rpc/harness.h"

#define CALL_TIMEOUT_MS 30000

static char *
str(const char *s)
{
	return (char *)(uintptr_t)s;
}

int
call(struct harness *h, const char *method, const void *request, ProtobufCMessage **reply,
     struct error *err)
{
	return ttrpc_client_call(h->client, &grpc__agent_service__descriptor, method, request,
				 CALL_TIMEOUT_MS, reply, err);
}

int
check_health(struct ttrpc_client *client, struct error *err)
{
	Grpc__CheckRequest q = GRPC__CHECK_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	int r = ttrpc_client_call(client, &grpc__health__descriptor, "Check", &q.base,
				  CALL_TIMEOUT_MS, &reply, err);

	if (r == 0 && ((Grpc__HealthCheckResponse *)reply)->status !=
			      GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING)
		r = error_set(err, ERROR_INTERNAL, "not SERVING");
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
	return r;
}

Grpc__CreateContainerRequest *
make_create(struct harness *h, struct arena *a, const char *id, const char *const *args,
	    bool terminal)
{
	static const char *const env[] = { "PATH=/bin:/sbin:/usr/bin" };
	struct vm_share no_share = { .kind = SHARE_9P };
	struct container_options o = {
		.id = id,
		.hostname = "pod",
		.args = (char *const *)(uintptr_t)args,
		.env = env,
		.n_env = 1,
		.cwd = "/",
		.terminal = terminal,
		.shares = &no_share,
	};
	Grpc__CreateContainerRequest *q = spec_container(a, &o);

	if (q) {
		q->n_storages = 0;
		q->oci->root->path = h->rootfs;
	}
	return q;
}

static int
create_with(struct harness *h, const char *id, const char *const *args, bool terminal,
	    struct error *err)
{
	struct arena a;
	Grpc__CreateContainerRequest *q;
	int r;

	arena_init(&a, 1 << 20);
	q = make_create(h, &a, id, args, terminal);
	r = q ? call(h, "CreateContainer", q, NULL, err) : error_nomem(err, "making a request");
	arena_release(&a);
	return r;
}

int
create(struct harness *h, const char *id, const char *const *args, struct error *err)
{
	return create_with(h, id, args, false, err);
}

int
start(struct harness *h, const char *id, struct error *err)
{
	Grpc__StartContainerRequest q = GRPC__START_CONTAINER_REQUEST__INIT;

	q.container_id = str(id);
	return call(h, "StartContainer", &q, NULL, err);
}

int
create_start(struct harness *h, const char *id, const char *const *args, struct error *err)
{
	return create_with(h, id, args, false, err) < 0 ? -1 : start(h, id, err);
}

int
create_start_tty(struct harness *h, const char *id, const char *const *args, struct error *err)
{
	return create_with(h, id, args, true, err) < 0 ? -1 : start(h, id, err);
}

int
exec(struct harness *h, const char *id, const char *exec_id, const char *const *args, bool terminal,
     struct error *err)
{
	static const char *const env[] = { "PATH=/bin:/sbin:/usr/bin" };
	struct container_options o = { .args = (char *const *)(uintptr_t)args,
				       .env = env,
				       .n_env = 1,
				       .cwd = "/",
				       .terminal = terminal };
	Grpc__ExecProcessRequest q = GRPC__EXEC_PROCESS_REQUEST__INIT;
	struct arena a;
	int r;

	arena_init(&a, 1 << 20);
	q.container_id = str(id);
	q.exec_id = str(exec_id);
	q.process = spec_process(&a, &o);
	r = q.process ? call(h, "ExecProcess", &q, NULL, err)
		      : error_nomem(err, "making a request");
	arena_release(&a);
	return r;
}

int
remove_container(struct harness *h, const char *id, struct error *err)
{
	Grpc__RemoveContainerRequest q = GRPC__REMOVE_CONTAINER_REQUEST__INIT;

	q.container_id = str(id);
	return call(h, "RemoveContainer", &q, NULL, err);
}

int
kill_process(struct harness *h, const char *id, const char *exec_id, int sig, struct error *err)
{
	Grpc__SignalProcessRequest q = GRPC__SIGNAL_PROCESS_REQUEST__INIT;

	q.container_id = str(id);
	q.exec_id = str(exec_id);
	q.signal = (uint32_t)sig;
	return call(h, "SignalProcess", &q, NULL, err);
}

int
wait_process(struct harness *h, const char *id, const char *exec_id, struct error *err)
{
	Grpc__WaitProcessRequest q = GRPC__WAIT_PROCESS_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	int status;

	q.container_id = str(id);
	q.exec_id = str(exec_id);
	if (call(h, "WaitProcess", &q, &reply, err) < 0)
		return -1;
	status = ((Grpc__WaitProcessResponse *)reply)->status;
	protobuf_c_message_free_unpacked(reply, NULL);
	return status;
}

ssize_t
read_stream(struct harness *h, bool from_stderr, const char *id, const char *exec_id, void *buf,
	    size_t size, struct error *err)
{
	Grpc__ReadStreamRequest q = GRPC__READ_STREAM_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	const ProtobufCBinaryData *data;
	ssize_t n;

	q.container_id = str(id);
	q.exec_id = str(exec_id);
	q.len = (uint32_t)size;
	if (call(h, from_stderr ? "ReadStderr" : "ReadStdout", &q, &reply, err) < 0)
		return -1;
	data = &((Grpc__ReadStreamResponse *)reply)->data;
	if (data->len > size) {
		n = error_set(err, ERROR_INTERNAL, "received %zu bytes, asked for at most %zu",
			      data->len, size);
	} else {
		n = (ssize_t)data->len;
		if (n)
			memcpy(buf, data->data, data->len);
	}
	protobuf_c_message_free_unpacked(reply, NULL);
	return n;
}

ssize_t
read_all(struct harness *h, bool from_stderr, const char *id, const char *exec_id, char *buf,
	 size_t size, struct error *err)
{
	size_t done = 0;

	for (;;) {
		char sink[4096];
		size_t room = size - 1 - done;
		ssize_t n = read_stream(h, from_stderr, id, exec_id, room ? buf + done : sink,
					room ? room : sizeof(sink), err);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		if (room)
			done += (size_t)n;
	}
	buf[done] = '\0';
	return (ssize_t)done;
}

int
write_stdin(struct harness *h, const char *id, const char *exec_id, const void *data, size_t n,
	    struct error *err)
{
	Grpc__WriteStreamRequest q = GRPC__WRITE_STREAM_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	uint32_t len;

	q.container_id = str(id);
	q.exec_id = str(exec_id);
	q.data.data = (uint8_t *)(uintptr_t)data;
	q.data.len = n;
	if (call(h, "WriteStdin", &q, &reply, err) < 0)
		return -1;
	len = ((Grpc__WriteStreamResponse *)reply)->len;
	protobuf_c_message_free_unpacked(reply, NULL);
	return len == n ? 0 : error_set(err, ERROR_INTERNAL, "wrote %u of %zu bytes", len, n);
}

int
close_stdin(struct harness *h, const char *id, const char *exec_id, struct error *err)
{
	Grpc__CloseStdinRequest q = GRPC__CLOSE_STDIN_REQUEST__INIT;

	q.container_id = str(id);
	q.exec_id = str(exec_id);
	return call(h, "CloseStdin", &q, NULL, err);
}

int
run_container(struct harness *h, const char *id, const char *const *args, char *out, size_t size,
	      struct error *err)
{
	struct error ignored = ERROR_INIT;
	int code = -1;

	if (create_start(h, id, args, err) == 0 && read_all(h, false, id, id, out, size, err) >= 0)
		code = wait_process(h, id, id, err);
	if (remove_container(h, id, code < 0 ? &ignored : err) < 0)
		return -1;
	return code;
}

/* Creates hooks in the guest's image for every container of the next sandbox; each appends a
 * line to a file. */
void
make_guest_hooks(struct harness *h)
{
	static const char *const names[] = { "prestart/b", "prestart/a", "poststop/note",
					     "prestart/x" };
	char path[512];

	(void)snprintf(h->guest_hooks, sizeof(h->guest_hooks), "%s/guest-hooks-%d", h->rootfs,
		       (int)getpid());
	CHECK_EQ(mkdir(h->guest_hooks, 0755), 0, "%s", strerror(errno));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		FILE *f;

		(void)snprintf(path, sizeof(path), "%s/%.8s", h->guest_hooks, names[i]);
		CHECK(mkdir(path, 0755) == 0 || errno == EEXIST, "%s", strerror(errno));
		(void)snprintf(path, sizeof(path), "%s/%s", h->guest_hooks, names[i]);
		f = fopen(path, "we");
		CHECK(f &&
			      fprintf(f,
				      "#!/bin/sh\necho ${0##*/} $1 $(cat | grep -c '\"id\":\"') "
				      ">>%s/said\n",
				      h->guest_hooks) > 0 &&
			      fclose(f) == 0,
		      "%s", path);
		/* the last is not executable */
		CHECK_EQ(chmod(path, i + 1 < ARRAY_LEN(names) ? 0755 : 0644), 0, "%s", path);
	}
}

/* Checks the hooks after two containers were created, one started and both removed. */
void
check_guest_hooks(struct harness *h)
{
	char path[512], said[256] = "";

	(void)snprintf(path, sizeof(path), "%s/said", h->guest_hooks);
	(void)read_text_at(AT_FDCWD, path, said, sizeof(said));
	CHECK_STR(said,
		  "a prestart 1\nb prestart 1\na prestart 1\nb prestart 1\n"
		  "note poststop 1\nnote poststop 1",
		  "guest hooks said %s", said);
}
