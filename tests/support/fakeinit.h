/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fake init for tests of code that runs in the agent: the process of the test forks an "agent",
 * is the parent and reaper of all processes that this starts with CLONE_PARENT, and speaks
 * lib/initproto.h with it.
 */
#pragma once

/* The body of the agent. init_fd is its end of the socket pair. The return value is the exit
 * status. */
typedef int fakeinit_body(int init_fd, void *data);

/* Runs body in a forked process until it ends. Returns its exit status, 128 + signal if it was
 * killed, or -1 after 200 s. Children that do not end after it either are counted in *leaked
 * (may be NULL), killed and reaped. */
int fakeinit_run(fakeinit_body *body, void *data, int *leaked);

/* As fakeinit_run(), but the end of processes is never reported to the agent, as if none could be
 * killed. */
int fakeinit_run_silent(fakeinit_body *body, void *data);
