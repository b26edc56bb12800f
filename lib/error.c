/* SPDX-License-Identifier: Apache-2.0 */
/* Construction and wrapping of struct error. Allocates nothing, so it works without memory. */
#include "lib/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void error_format(struct error *err, enum error_code code, int errnum, const char *fmt,
			 va_list ap);
static void error_sanitise(char *s);
static enum error_code error_code_of(int errnum);

int
error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_format(err, code, 0, fmt, ap);
	va_end(ap);
	return -1;
}

static void
error_format(struct error *err, enum error_code code, int errnum, const char *fmt, va_list ap)
{
	char msg[ERROR_MSG_MAX];
	size_t len;

	/* Formatted in a local buffer because an argument may be err->msg itself. */
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	len = strlen(msg);
	memcpy(err->msg, msg, len + 1);
	err->code = code;
	err->errnum = errnum;
	if (errnum)
		(void)snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", strerror(errnum));
	error_sanitise(err->msg);
}

/* Messages are sent to other processes and to the host. Control characters and truncated UTF-8
 * sequences are replaced, so that names chosen by a peer cannot forge log lines or break the host's
 * decoder. */
static void
error_sanitise(char *s)
{
	unsigned char *p = (unsigned char *)s;

	while (*p) {
		size_t n = 1;

		if (*p >= 0xf0 && *p < 0xf5)
			n = 4;
		else if (*p >= 0xe0)
			n = *p < 0xf0 ? 3 : 0;
		else if (*p >= 0xc2)
			n = 2;
		else if (*p >= 0x80)
			n = 0;
		if (n == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)))
			n = 0;
		if (n == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)))
			n = 0;
		for (size_t i = 1; i < n; i++)
			if ((p[i] & 0xc0) != 0x80)
				n = 0;
		if (n == 0 || (n == 1 && (*p < 0x20 || *p == 0x7f))) {
			*p = '?';
			n = 1;
		}
		p += n;
	}
}

int
error_sys(struct error *err, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	va_start(ap, fmt);
	error_format(err, error_code_of(saved), saved, fmt, ap);
	va_end(ap);
	errno = saved;
	return -1;
}

/* Failures for which a host may free resources and retry. */
static enum error_code
error_code_of(int errnum)
{
	switch (errnum) {
	case ENOMEM:
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
		return ERROR_RESOURCE_EXHAUSTED;
	default:
		return ERROR_INTERNAL;
	}
}

int
error_sys_code(struct error *err, enum error_code code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	va_start(ap, fmt);
	error_format(err, code == ERROR_INTERNAL ? error_code_of(saved) : code, saved, fmt, ap);
	va_end(ap);
	errno = saved;
	return -1;
}

int
error_wrap(struct error *err, const char *fmt, ...)
{
	char msg[ERROR_MSG_MAX];
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	len = strlen(msg);
	if (len + 2 < sizeof(msg)) {
		size_t room = sizeof(msg) - len - 3, n = strlen(err->msg);

		memcpy(msg + len, ": ", 2);
		if (n > room)
			n = room;
		memcpy(msg + len + 2, err->msg, n);
		msg[len + 2 + n] = '\0';
	}
	memcpy(err->msg, msg, strlen(msg) + 1);
	error_sanitise(err->msg);
	return -1;
}

int
error_nomem(struct error *err, const char *doing)
{
	error_set(err, ERROR_RESOURCE_EXHAUSTED, "out of memory while %s", doing);
	err->errnum = ENOMEM;
	return -1;
}

int
error_nomem_for(struct error *err, const char *task)
{
	error_set(err, ERROR_RESOURCE_EXHAUSTED, "%s: out of memory", task);
	err->errnum = ENOMEM;
	return -1;
}

const char *
error_code_name(enum error_code code)
{
	static const char *const names[] = {
		[ERROR_OK] = "OK",
		[ERROR_CANCELLED] = "CANCELLED",
		[ERROR_UNKNOWN] = "UNKNOWN",
		[ERROR_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
		[ERROR_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
		[ERROR_NOT_FOUND] = "NOT_FOUND",
		[ERROR_ALREADY_EXISTS] = "ALREADY_EXISTS",
		[ERROR_PERMISSION_DENIED] = "PERMISSION_DENIED",
		[ERROR_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
		[ERROR_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
		[ERROR_ABORTED] = "ABORTED",
		[ERROR_OUT_OF_RANGE] = "OUT_OF_RANGE",
		[ERROR_UNIMPLEMENTED] = "UNIMPLEMENTED",
		[ERROR_INTERNAL] = "INTERNAL",
		[ERROR_UNAVAILABLE] = "UNAVAILABLE",
		[ERROR_DATA_LOSS] = "DATA_LOSS",
		[ERROR_UNAUTHENTICATED] = "UNAUTHENTICATED",
	};

	if ((unsigned int)code >= sizeof(names) / sizeof(names[0]))
		return "UNKNOWN";
	return names[code];
}
