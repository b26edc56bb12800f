/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Termination messages of containers. Each run of a container has a file of its own in the
 * directory that the pod shares with its guest, bound to terminationMessagePath; the guest may have
 * replaced it by anything when it is read. May block, but not for as long as the guest likes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"

/* Limits of a kubelet, in bytes: of one message, of all of a pod, and of one that is the end of the
 * output, which has at most so many lines. */
#define MESSAGE_MAX        4096
#define MESSAGE_POD_MAX    (12u << 10)
#define MESSAGE_TAIL_MAX   2048
#define MESSAGE_TAIL_LINES 80

/* The end of a container's output. */
struct message_tail {
	char text[MESSAGE_TAIL_MAX];
	size_t n;
};

/* Writes the name of the file of a container's run in the shared directory. */
void message_name(const char *container, unsigned int run, char *out, size_t size);

/* Creates the empty file in the directory `dir`. Returns 0, or -1 and err. */
int message_make(const char *dir, const char *name, struct error *err);

/* Reads the last `max` bytes of the file as a text, and removes it. Writes "" if it is not a plain
 * file. `out` has max + 1 bytes. */
void message_take(const char *dir, const char *name, char *out, size_t max);

/* Adds output to the end that is kept. */
void message_add_output(struct message_tail *tail, const void *data, size_t n);

/* Writes the last lines of the output, at most `max` bytes. */
void message_from_output(const struct message_tail *tail, char *out, size_t max);

/* Replaces what a terminal could take for commands by blanks. */
void message_make_printable(char *text);
