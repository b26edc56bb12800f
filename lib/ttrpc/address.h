/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a ttrpc server is:
 *   unix:///PATH, unix://@NAME  a unix socket, @: in the abstract namespace
 *   vsock://CID:PORT            AF_VSOCK; CID -1 or "any" to listen on
 *   tcp://HOST:PORT             HOST numeric ([…] for IPv6) or localhost
 *   hvsock:///PATH:PORT         a guest's vsock port behind a unix socket of the VMM: CONNECT PORT\n,
 *                               answered OK N\n
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/error.h"

struct address {
	struct sockaddr_storage addr;
	socklen_t len;
	bool hybrid;    /* say CONNECT first */
	uint32_t port;  /* of hybrid and vsock addresses */
	char text[256]; /* as given, for messages */
};

/* 0, or -1 and INVALID_ARGUMENT. Never blocks. */
int address_parse(const char *text, struct address *out, struct error *err)
	__attribute__((warn_unused_result));

/*
 * Connects, with the handshake where there is one. The fd (CLOEXEC, O_NONBLOCK) is the caller's; -1 and
 * UNAVAILABLE (errnum tells) or DEADLINE_EXCEEDED. Blocks for timeout_ms at most (-1: for ever).
 *
 * Be generous with the time of a hybrid address: vhost-device-vsock (0.3.0) dies of an answer from the guest to
 * somebody who has hung up (vsock_conn.rs: the "OK" is written with unwrap()), and serves nobody from then on.
 */
int address_connect(const struct address *address, int timeout_ms, struct error *err)
	__attribute__((warn_unused_result));

/* As address_connect(), but CANCELLED once stop_fd (-1: none) is readable. */
int address_connect_unless(const struct address *address, int timeout_ms, int stop_fd,
			   struct error *err) __attribute__((warn_unused_result));

/* As address_connect(), again every 10 ms until somebody answers or timeout_ms have passed: for a
 * server that is just starting. The error is that of the last attempt. */
int address_dial(const struct address *address, int timeout_ms, struct error *err)
	__attribute__((warn_unused_result));
