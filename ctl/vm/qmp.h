/* SPDX-License-Identifier: Apache-2.0 */
/* Client of QEMU's machine protocol, on the socket of a VM. Blocks. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "lib/error.h"

struct qmp {
	int fd;
	/* received bytes that are not a whole line yet */
	char *buf;
	size_t n;
	/* device that the guest refused to release, or "" */
	char refused[64];
};

/* Connects to the VM in directory `dir`. Returns -1 and err: UNAVAILABLE (no VM, or another client
 * is connected). qmp_close() in both cases. */
int qmp_open(struct qmp *q, const char *dir, struct error *err);
void qmp_close(struct qmp *q);

/* Executes a command; `arguments` (NULL: out of memory) is released. Returns the member "return" of
 * the reply, which the caller json_decref()s, or NULL and err, with QEMU's text. */
json_t *qmp_call(struct qmp *q, const char *command, json_t *arguments, struct error *err);

/* As qmp_call(), for a command whose reply does not matter. Returns 0, or -1 and err. */
int qmp_do(struct qmp *q, const char *command, json_t *arguments, struct error *err);

/* Waits up to timeout_ms for an event, and sets `refused` if it is about that. Returns -1 and err
 * if the connection has ended. */
int qmp_wait_event(struct qmp *q, int timeout_ms, struct error *err);
