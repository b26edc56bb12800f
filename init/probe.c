/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a container of a pod; see probe.h. */
#include "init/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"

#define TEXT_MAX 4096
/* Frames of HTTP/2. */
#define FRAME_HEADER     9
#define FRAME_DATA       0
#define FRAME_HEADERS    1
#define FRAME_RESET      3
#define FRAME_SETTINGS   4
#define FRAME_GOAWAY     7
#define FLAG_ACK         1
#define FLAG_END_STREAM  1
#define FLAG_END_HEADERS 4
/* A frame of the largest size that no setting allows to exceed. */
#define FRAME_MAX 16384

static int probe_connect(const char *host, uint16_t port);
static int probe_http(int fd, const char *host, int argc, char **argv);
static int probe_grpc(int fd, const char *service);

int
probe_run(int argc, char **argv)
{
	bool is_tcp = argc >= 4 && strcmp(argv[1], "tcp") == 0;
	bool is_http = argc >= 5 && strcmp(argv[1], "http") == 0;
	bool is_grpc = argc >= 5 && strcmp(argv[1], "grpc") == 0;
	auto_close int fd = -1;
	uint32_t port;

	if ((!is_tcp && !is_http && !is_grpc) || !parse_u32(argv[3], &port) || port > UINT16_MAX) {
		(void)dprintf(STDOUT_FILENO, "invalid request\n");
		return 1;
	}
	fd = probe_connect(argv[2], (uint16_t)port);
	if (fd < 0) {
		(void)dprintf(STDOUT_FILENO, "failed to connect to port %s: %s\n", argv[3],
			      strerror(errno));
		return 1;
	}
	if (is_http)
		return probe_http(fd, argv[2], argc - 4, argv + 4);
	return is_grpc ? probe_grpc(fd, argv[4]) : 0;
}

/* ---- connecting ---- */

static int
probe_try(const struct sockaddr *address, uint16_t port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to = { .any.sa_family = AF_UNSPEC };
	socklen_t size = address->sa_family == AF_INET ? sizeof(to.v4) : sizeof(to.v6);
	auto_close int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(&to, address, size);
	if (address->sa_family == AF_INET)
		to.v4.sin_port = htons(port);
	else
		to.v6.sin6_port = htons(port);
	if (fd < 0 || connect(fd, &to.any, size) < 0)
		return -1;
	return steal_fd(&fd);
}

static int
probe_connect(const char *host, uint16_t port)
{
	struct ifaddrs *list = NULL;
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	int fd = -1, reason = ECONNREFUSED;

	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
		return probe_try((const struct sockaddr *)&v4, port);
	if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
		return probe_try((const struct sockaddr *)&v6, port);
	if (getifaddrs(&list) < 0)
		return -1;
	/* The loopback device is the first. */
	for (const struct ifaddrs *a = list; a && fd < 0; a = a->ifa_next) {
		if (!a->ifa_addr ||
		    (a->ifa_addr->sa_family != AF_INET && a->ifa_addr->sa_family != AF_INET6))
			continue;
		fd = probe_try(a->ifa_addr, port);
		if (fd < 0)
			reason = errno;
	}
	freeifaddrs(list);
	errno = reason;
	return fd;
}

/* ---- HTTP ---- */

static bool
probe_is_header(const char *line, const char *name)
{
	size_t n = strlen(name);

	return strncasecmp(line, name, n) == 0 && line[n] == ':';
}

/* Parses "HTTP/1.1 200 OK". */
static bool
probe_parse_status(char *reply, uint32_t *status)
{
	char *text = strchr(reply, ' ');

	if (strncmp(reply, "HTTP/", 5) != 0 || !text)
		return false;
	text++;
	text[strcspn(text, " \r\n")] = '\0';
	return parse_u32(text, status);
}

/* argv[0] is the path, the others are headers. */
static int
probe_http(int fd, const char *host, int argc, char **argv)
{
	bool has_host = false, has_agent = false, has_accept = false;
	char reply[TEXT_MAX];
	size_t n = 0;
	ssize_t got;
	uint32_t status;

	for (int i = 1; i < argc; i++) {
		has_host |= probe_is_header(argv[i], "Host");
		has_agent |= probe_is_header(argv[i], "User-Agent");
		has_accept |= probe_is_header(argv[i], "Accept");
	}
	(void)dprintf(fd, "GET %s HTTP/1.1\r\n", argv[0]);
	if (!has_host)
		(void)dprintf(fd, "Host: %s\r\n", *host ? host : "localhost");
	if (!has_agent)
		(void)dprintf(fd, "User-Agent: kube-probe/1.0\r\n");
	if (!has_accept)
		(void)dprintf(fd, "Accept: */*\r\n");
	for (int i = 1; i < argc; i++)
		(void)dprintf(fd, "%s\r\n", argv[i]);
	(void)dprintf(fd, "Connection: close\r\n\r\n");
	while (n < sizeof(reply) - 1 && !memchr(reply, '\n', n)) {
		got = RETRY_EINTR(read(fd, reply + n, sizeof(reply) - 1 - n));
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	reply[n] = '\0';
	if (!probe_parse_status(reply, &status)) {
		(void)dprintf(STDOUT_FILENO, "%s: no HTTP reply\n", argv[0]);
		return 1;
	}
	if (status < 200 || status > 399) {
		(void)dprintf(STDOUT_FILENO, "%s: HTTP status %u\n", argv[0], status);
		return 1;
	}
	return 0;
}

/* ---- gRPC ---- */

static int
probe_send_frame(int fd, uint8_t type, uint8_t flags, uint32_t stream, const void *data, size_t n)
{
	const uint8_t header[FRAME_HEADER] = {
		(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, type, flags, 0, 0, 0,
		(uint8_t)stream
	};

	if (write_full(fd, header, sizeof(header)) < 0)
		return -1;
	return write_full(fd, data, n);
}

/* Adds a header to a block without the use of a table or Huffman's code (RFC 7541, 6.2.2). Names
 * and values have less than 127 bytes. */
static size_t
probe_add_header(uint8_t *block, size_t n, const char *name, const char *value)
{
	block[n++] = 0;
	block[n++] = (uint8_t)strlen(name);
	memcpy(block + n, name, strlen(name));
	n += strlen(name);
	block[n++] = (uint8_t)strlen(value);
	memcpy(block + n, value, strlen(value));
	return n + strlen(value);
}

static int
probe_send_check(int fd, const char *service)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	uint8_t block[512], message[5 + 2 + 128] = { 0 };
	size_t n = 0, length = strlen(service);

	if (length > 126)
		return -1;
	n = probe_add_header(block, n, ":method", "POST");
	n = probe_add_header(block, n, ":scheme", "http");
	n = probe_add_header(block, n, ":path", "/grpc.health.v1.Health/Check");
	n = probe_add_header(block, n, ":authority", "localhost");
	n = probe_add_header(block, n, "te", "trailers");
	n = probe_add_header(block, n, "content-type", "application/grpc");
	/* HealthCheckRequest { service = 1 } after gRPC's prefix of five bytes. */
	message[4] = (uint8_t)(length ? length + 2 : 0);
	message[5] = 0x0a;
	message[6] = (uint8_t)length;
	memcpy(message + 7, service, length);
	if (write_full(fd, preface, sizeof(preface) - 1) < 0 ||
	    probe_send_frame(fd, FRAME_SETTINGS, 0, 0, NULL, 0) < 0 ||
	    probe_send_frame(fd, FRAME_HEADERS, FLAG_END_HEADERS, 1, block, n) < 0)
		return -1;
	return probe_send_frame(fd, FRAME_DATA, FLAG_END_STREAM, 1, message,
				length ? length + 7 : 5);
}

static int
probe_grpc(int fd, const char *service)
{
	uint8_t header[FRAME_HEADER], data[FRAME_MAX], message[16];
	size_t n_message = 0;

	if (probe_send_check(fd, service) < 0) {
		(void)dprintf(STDOUT_FILENO, "failed to send the request\n");
		return 1;
	}
	while (read_full(fd, header, sizeof(header)) == sizeof(header)) {
		size_t n = (size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2];

		if (n > sizeof(data) || read_full(fd, data, n) != (ssize_t)n)
			break;
		if (header[3] == FRAME_SETTINGS && !(header[4] & FLAG_ACK) &&
		    probe_send_frame(fd, FRAME_SETTINGS, FLAG_ACK, 0, NULL, 0) < 0)
			break;
		if (header[3] == FRAME_RESET || header[3] == FRAME_GOAWAY)
			break;
		for (size_t i = 0; header[3] == FRAME_DATA && i < n; i++)
			if (n_message < sizeof(message))
				message[n_message++] = data[i];
		/* HealthCheckResponse { status = 1: SERVING is 1 } */
		if (n_message >= 7) {
			if (message[5] == 0x08 && message[6] == 1)
				return 0;
			(void)dprintf(STDOUT_FILENO, "health status %d, not SERVING\n", message[6]);
			return 1;
		}
		if ((header[3] == FRAME_HEADERS || header[3] == FRAME_DATA) &&
		    header[4] & FLAG_END_STREAM)
			break;
	}
	(void)dprintf(STDOUT_FILENO, "no answer to grpc.health.v1.Health/Check\n");
	return 1;
}
