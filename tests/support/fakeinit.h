/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for init, for tests of what runs in the agent: the test's own process forks an "agent", is the
 * parent and reaper of all that this starts with CLONE_PARENT, and speaks lib/initproto.h with it.
 */
#pragma once

/* What the agent runs: init_fd is its end of the pair. Its return value becomes the exit status. */
typedef int fakeinit_body(int init_fd, void *data);

/* Runs body in a forked process until it ends. Returns its exit status, 128+signal if it was killed,
 * or -1 when it took longer than 60 s; children it left behind are counted in *leaked (may be NULL), killed
 * and reaped. */
int fakeinit_run(fakeinit_body *body, void *data, int *leaked);

/* As fakeinit_run(), but of the processes that it starts the agent never hears: as if none could be killed. */
int fakeinit_run_silent(fakeinit_body *body, void *data);
