/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a crash handler: the signals that a fault of the program raises, a separate stack, a
 * line that describes the fault, and the kernel log. The reaction is up to the program. All
 * functions except crash_catch() and crash_open_kmsg() are async-signal-safe.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

/* The signals that a fault raises: SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS and SIGABRT. */
#define CRASH_SIGNALS 6
extern const int crash_signals[CRASH_SIGNALS];

/* Fills `set` with them. */
void crash_fill_set(sigset_t *set);

typedef void crash_fn(int sig, siginfo_t *info, void *context);

/* Installs `fn` as the handler of fatal signals, on a separate stack, with the others blocked
 * unless `flags` contains SA_NODEFER. `flags` are those of sigaction(2) in addition to SA_SIGINFO
 * and SA_ONSTACK. */
void crash_catch(crash_fn *fn, int flags);

#define CRASH_LINE_MAX 160

/* Writes "NAME: fatal signal 11 code 1 address 0x0", `end` and a NUL to line, and returns line.
 * NAME and `end` together have at most 64 bytes. */
const char *crash_describe(char line[CRASH_LINE_MAX], const char *name, int sig,
			   const siginfo_t *info, const char *end);

/* Opens /dev/kmsg for crash_kmsg() and crash_say(), which write to no kernel log without it. */
void crash_open_kmsg(void);

/* Writes a line, which ends with a newline, to the kernel log with the priority "critical": the
 * console shows it even with `quiet`. Returns false if there is no log. */
bool crash_kmsg(const char *line);

/* Writes a line to the kernel log, or to standard error if there is no log. */
void crash_say(const char *line);
