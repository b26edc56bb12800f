/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of ttrpc servers:
 *   unix:///PATH, unix://@NAME  a unix socket, @: in the abstract namespace
 *   vsock://CID:PORT            AF_VSOCK; CID -1 or "any" to listen on
 *   tcp://HOST:PORT             HOST numeric ([…] for IPv6) or localhost
 *   hvsock:///PATH:PORT         a vsock port of a guest through a unix socket of the VMM:
 *                               CONNECT PORT\n, answered by OK N\n
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/error.h"

struct address {
	struct sockaddr_storage addr;
	socklen_t len;
	/* The connection starts with a CONNECT handshake. */
	bool hybrid;
	/* Port of hybrid and vsock addresses. */
	uint32_t port;
	/* The address as given, for messages. */
	char text[256];
};

/* Parses an address. Returns 0, or -1 and INVALID_ARGUMENT. Never blocks. */
int address_parse(const char *text, struct address *out, struct error *err)
	__attribute__((warn_unused_result));

/*
 * Connects, including the handshake if there is one. Returns a close-on-exec, non-blocking fd, or
 * -1 and UNAVAILABLE (with errnum) or DEADLINE_EXCEEDED. Blocks for at most timeout_ms (-1: no
 * limit). The time limit of a hybrid address should be generous: vhost-device-vsock 0.3.0 crashes
 * if the guest answers after the client has disconnected.
 */
int address_connect(const struct address *address, int timeout_ms, struct error *err)
	__attribute__((warn_unused_result));

/* As address_connect(), but fails with CANCELLED once stop_fd (-1: none) is readable. */
int address_connect_unless(const struct address *address, int timeout_ms, int stop_fd,
			   struct error *err) __attribute__((warn_unused_result));

/* As address_connect(), but retries every 10 ms until it succeeds or timeout_ms have passed, for a
 * server that is starting. The error is that of the last attempt. */
int address_dial(const struct address *address, int timeout_ms, struct error *err)
	__attribute__((warn_unused_result));
