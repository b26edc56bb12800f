/* SPDX-License-Identifier: Apache-2.0 */
/* The pause container's requests, against servers that are forked here. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/probe.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "tests/support/check.h"

static char port_text[8];

/* Opens a listening socket on a port of its own, on IPv4's or IPv6's loopback address. */
static int
listen_on(int family)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr *address =
		family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t size = family == AF_INET ? sizeof(v4) : sizeof(v6);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	REQUIRE_GE(fd, 0);
	if (bind(fd, address, size) < 0) {
		(void)close(fd);
		return -1;
	}
	REQUIRE_EQ(listen(fd, 8), 0);
	REQUIRE_EQ(getsockname(fd, address, &size), 0);
	(void)snprintf(port_text, sizeof(port_text), "%d",
		       ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port));
	return fd;
}

/* Serves one connection: reads until `end` was seen, then answers. The exit status says whether the
 * request had `expected`. */
static pid_t
serve(int listener, const void *end, size_t n_end, const void *answer, size_t n,
      const char *expected)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	REQUIRE_GE(pid, 0);
	if (pid == 0) {
		char request[4096];
		size_t got = 0;
		int fd = accept(listener, NULL, NULL);

		while (got < sizeof(request) && !memmem(request, got, end, n_end)) {
			ssize_t r = read(fd, request + got, sizeof(request) - got);

			if (r <= 0)
				_exit(9);
			got += (size_t)r;
		}
		(void)write_full(fd, answer, n);
		(void)close(fd);
		_exit(memmem(request, got, expected, strlen(expected)) ? 0 : 8);
	}
	return pid;
}

static int
probe(const char *kind, const char *host, const char *what, const char *header)
{
	const char *argv[] = { "/probe", kind, host, port_text, what, header, NULL };
	int argc = 4 + !!what + !!header;

	return probe_run(argc, (char **)(uintptr_t)argv);
}

static void
check_served(pid_t pid)
{
	int status;

	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

Test(probe, http_status)
{
	static const struct {
		const char *answer;
		int code;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\n\r\n", 0 },
		{ "HTTP/1.0 204 No Content\r\n\r\n", 0 },
		{ "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", 0 },
		{ "HTTP/1.1 399\r\n\r\n", 0 },
		{ "HTTP/1.1 400 Bad\r\n\r\n", 1 },
		{ "HTTP/1.1 503 Busy\r\n\r\n", 1 },
		{ "HTTP/1.1 100 Continue\r\n\r\n", 1 },
		{ "SSH-2.0-x\r\n", 1 },
		{ "", 1 },
	};
	auto_close int fd = listen_on(AF_INET);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		pid_t pid = serve(fd, "\r\n\r\n", 4, rows[i].answer, strlen(rows[i].answer),
				  "GET /healthz HTTP/1.1\r\nHost: localhost\r\n");

		CHECK_EQ(probe("http", "", "/healthz", NULL), rows[i].code, "%s", rows[i].answer);
		check_served(pid);
	}
}

Test(probe, http_headers)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\n\r\n";
	auto_close int fd = listen_on(AF_INET);
	pid_t pid = serve(fd, "\r\n\r\n", 4, ok, sizeof(ok) - 1,
			  "Accept: */*\r\nhost: example.org\r\n");

	CHECK_EQ(probe("http", "127.0.0.1", "/", "host: example.org"), 0);
	check_served(pid);
}

Test(probe, tcp_and_refused)
{
	int fd = listen_on(AF_INET);

	CHECK_EQ(probe("udp", "", "/", NULL), 1, "an unknown kind");
	CHECK_EQ(probe("tcp", "", NULL, NULL), 0);
	CHECK_EQ(probe("tcp", "127.0.0.1", NULL, NULL), 0);
	(void)close(fd);
	CHECK_EQ(probe("tcp", "", NULL, NULL), 1);
	CHECK_EQ(probe("tcp", "127.0.0.1", NULL, NULL), 1);
}

/* A server that listens on IPv6 only is found, too. */
Test(probe, tcp_on_ipv6)
{
	auto_close int fd = listen_on(AF_INET6);

	if (fd < 0)
		return;
	CHECK_EQ(probe("tcp", "", NULL, NULL), 0);
	CHECK_EQ(probe("tcp", "::1", NULL, NULL), 0);
	CHECK_EQ(probe("tcp", "127.0.0.1", NULL, NULL), 1);
}

/* The answer of a server of gRPC: settings, headers, and a message in a frame of data. */
#define GRPC_ANSWER(status)      \
	"\0\0\0\4\0\0\0\0\0"     \
	"\0\0\1\1\4\0\0\0\1\x88" \
	"\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08" status

Test(probe, grpc_health)
{
	static const struct {
		const char *answer;
		size_t n;
		int code;
	} rows[] = {
		{ GRPC_ANSWER("\1"), sizeof(GRPC_ANSWER("\1")) - 1, 0 },
		{ GRPC_ANSWER("\2"), sizeof(GRPC_ANSWER("\2")) - 1, 1 },
		/* Only trailers: the method is not implemented. */
		{ "\0\0\1\1\5\0\0\0\1\x88", 10, 1 },
		{ "\0\0\4\3\0\0\0\0\1\0\0\0\0", 13, 1 },
		{ "HTTP/1.1 400 Bad Request\r\n\r\n", 28, 1 },
		{ "", 0, 1 },
	};
	/* the length, the field and the name of the service */
	static const char end[] = "\0\0\0\0\6\x0a\4live";
	auto_close int fd = listen_on(AF_INET);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		pid_t pid = serve(fd, end, sizeof(end) - 1, rows[i].answer, rows[i].n,
				  "/grpc.health.v1.Health/Check");

		CHECK_EQ(probe("grpc", "", "live", NULL), rows[i].code, "%zu", i);
		check_served(pid);
	}
}

Test(probe, invalid_requests)
{
	const char *short_one[] = { "/probe", "http", "", "80", NULL };

	CHECK_EQ(probe_run(4, (char **)(uintptr_t)short_one), 1);
	(void)snprintf(port_text, sizeof(port_text), "65536");
	CHECK_EQ(probe("tcp", "", NULL, NULL), 1);
}
