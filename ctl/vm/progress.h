/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line on standard error that tells the step of a boot and the time since its begin, and is
 * erased at its end. A process of its own draws it, so that no wait elsewhere has to: it ends with
 * the last process that holds the other end of its socket.
 */
#pragma once

/* Begins the line if standard error is a terminal that can erase a line. */
void progress_begin(void);

/* Shows a step. Like the next one, does nothing without a line, and may be called by a child of the
 * process that began it. */
void progress_step(const char *step);

/* Shows a remark after the step. */
void progress_remark(const char *remark);

/* Erases the line and waits until it is erased: for whatever is printed next. Idempotent. */
void progress_end(void);
