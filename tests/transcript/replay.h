/* SPDX-License-Identifier: Apache-2.0 */
/* State of a replay: connections, pending calls, and their replies. */
#pragma once

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/ttrpc/frame.h"

#define ANSWER_MS    60000
#define PENDING_MAX  64
#define CONN_MAX     8
#define METADATA_MAX 4

/* Properties of a request apart from its message. */
struct manner {
	/* its number in the transcript */
	unsigned int conn;
	/* 0: none is sent */
	int64_t timeout_ns;
	/* expected size of the frame's body; 0: not compared */
	uint32_t length;
	size_t n_metadata;
	char key[METADATA_MAX][64], value[METADATA_MAX][128];
};

struct pending {
	char name[64];
	const ProtobufCServiceDescriptor *service;
	const ProtobufCMethodDescriptor *method;
	struct manner manner;
	/* stream of the last request */
	uint32_t stream;
	/* request of a read, which is repeated */
	ProtobufCMessage *request;
	ProtobufCMessage *reply;
	struct error failure;
	bool is_answered, is_read, is_used, is_skipped;
	/* the read is no longer repeated */
	bool is_last;
	char *data;
	size_t len;
};

struct conn {
	/* 0: not used */
	unsigned int number;
	int fd;
	uint32_t next_stream;
	struct frame_reader reader;
};

struct replay {
	const char *address, *file, *share, *tag, *host;
	unsigned int line;
	char *const *vars;
	struct conn conns[CONN_MAX];
	struct pending pending[PENDING_MAX];
	/* of `call` */
	struct pending last;
	/* the call failed, and no `fails` has followed yet */
	bool last_unchecked;
	/* the reason why the next call is skipped, or "" */
	char skip[256];
	unsigned int calls, skipped;
};

void die(const struct replay *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* ---- wire.c ---- */

void wire_open(struct replay *r, unsigned int number);
void wire_close(struct replay *r, unsigned int number);
/* Sends p->request. */
void wire_send(struct replay *r, struct pending *p);
/* Handles what arrives within timeout_ms. Returns false if nothing did. */
bool wire_poll(struct replay *r, int timeout_ms);
/* Waits for the end of a call; exits on failure. */
void wire_wait(struct replay *r, const struct pending *p);

/* ---- request.c ---- */

/* Cuts off the first word and returns it. */
char *request_word(const struct replay *r, char **rest);
unsigned int request_number(const struct replay *r, const char *text);
/* Reads [MANNER...] METHOD JSON. */
void request_make(const struct replay *r, char *text, struct pending *p);

/* ---- compare.c ---- */

json_t *compare_parse(const struct replay *r, const char *text);
void compare_reply(const struct replay *r, const struct pending *p, const char *text);
void compare_failure(const struct replay *r, const struct pending *p, const char *text);
/* Returns whether the data read equals `want`, or contains it if it starts with "~". */
bool compare_data(const struct pending *p, const json_t *want);
