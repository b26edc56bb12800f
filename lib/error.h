/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct error: what failed, as plain data. Made at the failing call, wrapped with context on the
 * way up, sent through a worker's socket as it is, and turned into a ttrpc Status in one place.
 * A function that takes `struct error *err` (always last, never NULL) returns 0 or -1 (or NULL).
 */
#pragma once

#include <stdarg.h>

/* Values are those of google.rpc.Code, as they go over the wire. */
enum error_code {
	ERROR_OK = 0,
	ERROR_CANCELLED = 1,
	ERROR_UNKNOWN = 2,
	ERROR_INVALID_ARGUMENT = 3,
	ERROR_DEADLINE_EXCEEDED = 4,
	ERROR_NOT_FOUND = 5,
	ERROR_ALREADY_EXISTS = 6,
	ERROR_PERMISSION_DENIED = 7,
	ERROR_RESOURCE_EXHAUSTED = 8,
	ERROR_FAILED_PRECONDITION = 9,
	ERROR_ABORTED = 10,
	ERROR_OUT_OF_RANGE = 11,
	ERROR_UNIMPLEMENTED = 12,
	ERROR_INTERNAL = 13,
	ERROR_UNAVAILABLE = 14,
	ERROR_DATA_LOSS = 15,
	ERROR_UNAUTHENTICATED = 16,
};

#define ERROR_MSG_MAX 512

/* No heap, no pointers: may be copied, and sent between our own processes. */
struct error {
	enum error_code code;
	int errnum;              /* errno of the failing call, 0 if none */
	char msg[ERROR_MSG_MAX]; /* outermost context first; valid UTF-8, no control characters */
};

#define ERROR_INIT ((struct error){ .code = ERROR_OK })

/* Sets code and message (printf format). Always returns -1, so that failing is one line. */
int error_set(struct error *err, enum error_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set with ERROR_INTERNAL (RESOURCE_EXHAUSTED if errno is a lack of memory, space or descriptors), appending
 * ": " and the text of errno. Returns -1 and keeps errno. */
int error_sys(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As error_sys, with a given code in place of those two, unless it is ERROR_INTERNAL. */
int error_sys_code(struct error *err, enum error_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the message; code and errnum stay. Returns -1. */
int error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "out of memory while <doing>", RESOURCE_EXHAUSTED. Returns -1. */
int error_nomem(struct error *err, const char *doing);

/* The name of a code as hosts print it ("INVALID_ARGUMENT"). Never NULL. */
const char *error_code_name(enum error_code code);
