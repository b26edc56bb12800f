/* SPDX-License-Identifier: Apache-2.0 */
/* Output and exit code of `tatamictl rpc` against a server with three canned replies. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "ctl/commands/cmd_rpc.h"
#include "health.pb-c.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/ttrpc/envelope.h"
#include "lib/ttrpc/frame.h"
#include "tests/support/check.h"
#include "ttrpc.pb-c.h"

static int listener = -1;
static char address[128];

static void
answer(int fd, const struct frame_header *h, const Ttrpc__Request *request)
{
	Grpc__VersionCheckResponse version = GRPC__VERSION_CHECK_RESPONSE__INIT;
	Grpc__ReadStreamResponse stream = GRPC__READ_STREAM_RESPONSE__INIT;
	struct error failure = ERROR_INIT;
	struct buf out;
	int rc;

	buf_init(&out, 65536);
	version.grpc_version = (char *)"0.0.1";
	version.agent_version = (char *)"1.2.3";
	stream.data.data = (uint8_t *)"raw\n";
	stream.data.len = 4;
	error_set(&failure, ERROR_NOT_FOUND, "container c1 not found");
	if (strcmp(request->method, "Version") == 0)
		rc = envelope_append_reply(&out, h->stream, &version.base, &failure);
	else if (strcmp(request->method, "ReadStdout") == 0)
		rc = envelope_append_reply(&out, h->stream, &stream.base, &failure);
	else
		rc = envelope_append_failure(&out, h->stream, &failure);
	/* The server closes the connection instead of replying to DestroySandbox. */
	if (rc == 0 && strcmp(request->method, "DestroySandbox") != 0)
		(void)write_full(fd, buf_head(&out), buf_len(&out));
	buf_release(&out);
}

/* Serves one request on one connection. */
static void *
serve(void *data)
{
	auto_close int fd = accept(listener, NULL, NULL);
	uint8_t head[FRAME_HEADER_SIZE], body[1024];
	struct frame_header h;
	Ttrpc__Request *request;

	(void)data;
	if (read_full(fd, head, sizeof(head)) != sizeof(head))
		return NULL;
	frame_header_decode(&h, head);
	if (h.length > sizeof(body) || read_full(fd, body, h.length) != (ssize_t)h.length)
		return NULL;
	request = ttrpc__request__unpack(NULL, h.length, body);
	if (request)
		answer(fd, &h, request);
	ttrpc__request__free_unpacked(request, NULL);
	return NULL;
}

static void
setup(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int n = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "tatami-rpc-%d", (int)getpid());

	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	REQUIRE_EQ(bind(listener, (struct sockaddr *)&un, (socklen_t)(sizeof(sa_family_t) + 1 + n)),
		   0);
	REQUIRE_EQ(listen(listener, 4), 0);
	snprintf(address, sizeof(address), "unix://@%s", un.sun_path + 1);
	cr_redirect_stdout();
	cr_redirect_stderr();
}

static void
teardown(void)
{
	close(listener);
}

TestSuite(rpc, .init = setup, .fini = teardown);

static int
run(const char *a, const char *b, const char *c, const char *d, bool with_server)
{
	const char *argv[] = { "rpc", a, b, c, d, NULL };
	int argc = 1, rc;
	pthread_t thread;

	while (argv[argc])
		argc++;
	if (with_server)
		REQUIRE_EQ(pthread_create(&thread, NULL, serve, NULL), 0);
	rc = cmd_rpc(argc, (char **)argv);
	if (with_server)
		pthread_join(thread, NULL);
	fflush(stdout);
	fflush(stderr);
	return rc;
}

Test(rpc, reply)
{
	CHECK_EQ(run("--compact", address, "Version", NULL, true), 0);
	cr_expect_stdout_eq_str("{\"grpc_version\":\"0.0.1\",\"agent_version\":\"1.2.3\"}\n");
}

Test(rpc, service_named)
{
	CHECK_EQ(run(address, "grpc.Health/Version", "{\"service\": \"x\"}", NULL, true), 0);
	cr_expect_stdout_eq_str(
		"{\n  \"grpc_version\": \"0.0.1\",\n  \"agent_version\": \"1.2.3\"\n}\n");
}

Test(rpc, raw)
{
	CHECK_EQ(run("--raw", address, "ReadStdout", "{\"container_id\": \"c1\"}", true), 0);
	cr_expect_stdout_eq_str("raw\n");
}

Test(rpc, status)
{
	CHECK_EQ(run(address, "StartContainer", "{\"container_id\": \"c1\"}", NULL, true), 1);
	cr_expect_stderr_eq_str("tatamictl: StartContainer: NOT_FOUND: container c1 not found\n");
}

Test(rpc, server_closes_connection)
{
	CHECK_EQ(run(address, "DestroySandbox", NULL, NULL, true), 125);
	cr_expect_stderr_eq_str("tatamictl: server closed the connection\n");
}

Test(rpc, no_server)
{
	CHECK_EQ(run("unix:///nonexistent/agent.sock", "Check", NULL, NULL, false), 125);
	cr_expect_stderr_eq_str(
		"tatamictl: failed to connect to unix:///nonexistent/agent.sock: No such file or "
		"directory\n");
}

struct usage_row {
	const char *a, *b, *c;
};

static const struct usage_row usage_rows[] = {
	{ NULL, NULL, NULL },
	{ "unix:///x", NULL, NULL },
	{ "nowhere://x", "Check", NULL },
	{ "unix:///x", "Chek", NULL },
	{ "unix:///x", "grpc.AgentService/Check", NULL },
	{ "unix:///x", "Check", "{" },
	{ "unix:///x", "Check", "{\"service\": \"a\", \"service\": \"b\"}" },
	{ "unix:///x", "Check", "{\"nosuch\": 1}" },
	{ "unix:///x", "Check", "@/nonexistent" },
	{ "--timeout=0", "unix:///x", "Check" },
	{ "--nosuch", "unix:///x", "Check" },
	{ "--list", "nosuch", NULL },
};

Test(rpc, usage)
{
	for (size_t i = 0; i < ARRAY_LEN(usage_rows); i++) {
		const struct usage_row *row = &usage_rows[i];

		CHECK_EQ(run(row->a, row->b, row->c, NULL, false), 2, "row %zu", i);
	}
}

Test(rpc, list)
{
	char line[256];
	int n = 0;
	FILE *out;

	CHECK_EQ(run("--list", NULL, NULL, NULL, false), 0);
	out = cr_get_redirected_stdout();
	while (fgets(line, sizeof(line), out))
		n += strstr(line, " -> ") != NULL;
	CHECK_EQ(n, 44, "%d methods listed", n);
}

Test(rpc, list_one)
{
	CHECK_EQ(run("--list", "AddSwap", NULL, NULL, false), 0);
	cr_expect_stdout_eq_str("grpc.AgentService/AddSwap\n"
				"request grpc.AddSwapRequest\n"
				"  PCIPath: uint32[]\n"
				"response google.protobuf.Empty\n");
}
