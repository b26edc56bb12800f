/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct error describes a failure as plain data. It is set at the failing call, wrapped with
 * context on the way up, sent through the socket of a worker unchanged, and converted to a ttrpc
 * Status in one place. A function with a parameter `struct error *err` (always last, never NULL)
 * returns 0 or -1, or a pointer or NULL.
 */
#pragma once

#include <stdarg.h>

/* Values of google.rpc.Code, as sent to the host. */
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

/* Has no pointers, so it can be copied and sent between processes. */
struct error {
	enum error_code code;
	/* errno of the failing call, or 0. */
	int errnum;
	/* Outermost context first. Valid UTF-8 without control characters. */
	char msg[ERROR_MSG_MAX];
};

#define ERROR_INIT ((struct error){ .code = ERROR_OK })

/* Sets code and message (printf format). Always returns -1, so that a failure is one statement. */
int error_set(struct error *err, enum error_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set() with ERROR_INTERNAL (RESOURCE_EXHAUSTED if errno means a lack of memory, space or
 * descriptors). Appends ": " and the text of errno. Returns -1 and preserves errno. */
int error_sys(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As error_sys(), but with `code` unless that is ERROR_INTERNAL. */
int error_sys_code(struct error *err, enum error_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Prepends "context: " to the message and keeps code and errnum. Returns -1. */
int error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sets RESOURCE_EXHAUSTED and "out of memory while <doing>". Returns -1. */
int error_nomem(struct error *err, const char *doing);

/* As error_nomem(), with "<task>: out of memory", for the name of a task ("add swap"). */
int error_nomem_for(struct error *err, const char *task);

/* Returns the name of a code as hosts print it ("INVALID_ARGUMENT"). Never NULL. */
const char *error_code_name(enum error_code code);
