/* SPDX-License-Identifier: Apache-2.0 */
/* A transcript that is replayed: its connections, the calls that are under way, and what they were answered. */
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

/* How a request is sent, apart from its message. */
struct manner {
	unsigned int conn;  /* its number in the transcript */
	int64_t timeout_ns; /* 0: none is sent */
	uint32_t length;    /* the frame's body has so many bytes; 0: not compared */
	size_t n_metadata;
	char key[METADATA_MAX][64], value[METADATA_MAX][128];
};

struct pending {
	char name[64];
	const ProtobufCServiceDescriptor *service;
	const ProtobufCMethodDescriptor *method;
	struct manner manner;
	uint32_t stream;           /* of the request that was sent last */
	ProtobufCMessage *request; /* of a read: sent again and again */
	ProtobufCMessage *reply;
	struct error failure;
	bool is_answered, is_read, is_used, is_skipped;
	bool is_last; /* a read that is not repeated any more */
	char *data;
	size_t len;
};

struct conn {
	unsigned int number; /* 0: not used */
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
	struct pending last; /* of `call` */
	bool last_unchecked; /* it failed, and nobody has said that it shall */
	char skip[256];      /* the reason why the next call is left out; "": it is not */
	unsigned int calls, skipped;
};

void die(const struct replay *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* ---- wire.c ---- */

void wire_open(struct replay *r, unsigned int number);
void wire_close(struct replay *r, unsigned int number);
/* Sends p->request. */
void wire_send(struct replay *r, struct pending *p);
/* Handles what arrives within timeout_ms; false when nothing did. */
bool wire_poll(struct replay *r, int timeout_ms);
/* Waits for the end of a call, or dies. */
void wire_wait(struct replay *r, const struct pending *p);

/* ---- request.c ---- */

/* Cuts the first word off. */
char *request_word(const struct replay *r, char **rest);
unsigned int request_number(const struct replay *r, const char *text);
/* Reads [MANNER...] METHOD JSON. */
void request_make(const struct replay *r, char *text, struct pending *p);

/* ---- compare.c ---- */

json_t *compare_parse(const struct replay *r, const char *text);
void compare_reply(const struct replay *r, const struct pending *p, const char *text);
void compare_failure(const struct replay *r, const struct pending *p, const char *text);
/* Is `want` what was read, or with "~" before it, a part of that? */
bool compare_data(const struct pending *p, const json_t *want);
