/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound ownership: `auto_close int fd = -1;`, `auto_free char *s = NULL;`. Ownership leaves a
 * scope only through steal_fd() or steal_ptr().
 */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void
cleanup_close(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	errno = saved;
}

static inline void
cleanup_free(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

#define auto_close __attribute__((cleanup(cleanup_close)))
#define auto_free  __attribute__((cleanup(cleanup_free)))

/* Returns the fd and sets *fd to -1. */
static inline int
steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Returns the pointer and sets the variable to NULL. */
#define steal_ptr(pp)                             \
	({                                        \
		__typeof__(*(pp)) taken_ = *(pp); \
		*(pp) = NULL;                     \
		taken_;                           \
	})

/* Closes *fd unless it is negative, and sets it to -1. Preserves errno. */
static inline void
close_fd(int *fd)
{
	cleanup_close(fd);
	*fd = -1;
}

/* Closes each of the n fds that is one, leaves -1 behind. */
static inline void
close_fds(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close_fd(&fds[i]);
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
