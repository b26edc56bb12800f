/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the rootfs builder share: a scratch directory, made-up programs and trees,
 * and running a program. Everything aborts the test when it cannot do what it should.
 */
#pragma once

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "lib/error.h"

/* A directory of its own for this test (each runs in a process of its own), below `parent` or, if
 * that is NULL, the system's place for such; "" without a leading path. Removed by scratch_fini. */
const char *scratch_dir(const char *parent);
void scratch_fini(void);

/* dir/name, in memory that lives as long as the test. */
char *path_in(const char *dir, const char *name);

/* Writes a file, making its parent directories. */
void put_file(const char *path, const void *bytes, size_t n, mode_t mode);
void put_text(const char *path, const char *text);

/* The whole of a file, NUL behind it; for the test's life. */
uint8_t *get_file(const char *path, size_t *n);

/* A program of `machine` whose only sections are its headers, with an interpreter if not NULL. */
void put_elf(const char *path, uint16_t machine, const char *interp);

/* Runs a program (argv ends with NULL) in `dir`, stdin from a file, if not NULL; its exit status.
 * What it prints goes to *out, if not NULL. */
int run_program(const char *dir, const char *input, char *const argv[], char **out);

/* The error has this code, and its message contains this text. */
#define expect_error(err, want, text)                                                           \
	do {                                                                                    \
		cr_expect((err)->code == (want), "code %s, not %s: %s",                         \
			  error_code_name((err)->code), error_code_name(want), (err)->msg);     \
		cr_expect(strstr((err)->msg, (text)), "\"%s\" does not say \"%s\"", (err)->msg, \
			  (text));                                                              \
	} while (0)
