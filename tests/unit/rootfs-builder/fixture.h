/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers for the tests of the rootfs builder: a scratch directory, fake programs and trees, and
 * running a program. Each aborts the test on failure.
 */
#pragma once

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "lib/error.h"
#include "tests/support/check.h"

/* Returns a new directory for this test below `parent`, or below the default place for temporary
 * files if that is NULL. Removed by scratch_fini(). */
const char *scratch_dir(const char *parent);
void scratch_fini(void);

/* Returns dir/name, valid until the test ends. */
char *path_in(const char *dir, const char *name);

/* Writes a file and creates its parent directories. */
void put_file(const char *path, const void *bytes, size_t n, mode_t mode);
void put_text(const char *path, const char *text);

/* Returns the content of a file followed by NUL, valid until the test ends. */
uint8_t *get_file(const char *path, size_t *n);

/* Writes a program for `machine` that consists of headers only, with an interpreter if not NULL. */
void put_elf(const char *path, uint16_t machine, const char *interp);

/* Runs a program (argv ends with NULL) in `dir`, with stdin from a file unless NULL, and returns
 * its exit status. Its output is stored in *out, unless NULL. */
int run_program(const char *dir, const char *input, char *const argv[], char **out);

/* Expects an error with this code and a message that contains this text. */
#define expect_error(err, want, text) CHECK_FAILS(-1, err, want, text)
