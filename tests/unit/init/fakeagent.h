/* SPDX-License-Identifier: Apache-2.0 */
/* Building blocks of agents that speak lib/initproto.h with the loop under test. On failure each
 * exits. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/initproto.h"

void agent_tell(int fd, uint32_t type, int32_t pid, int32_t value);
struct initproto_msg agent_hear(int fd);

/* Expects the first message, with main_ns 12345. */
void agent_expect_boot(int fd, bool is_pid1);

/* Creates a process that exits with code once all write ends of the gate are closed. */
pid_t agent_quick_start(int flags, int code, const int gate[2]);

/* Creates a child of our parent that exits with code once *gate is closed. */
pid_t agent_sibling(int code, int *gate);

/* Registers pid, and records its exit code for agent_take_exit(). */
void agent_register(int fd, pid_t pid, int code);

/* Receives one INITPROTO_EXIT, checks process and code, and acknowledges it. */
void agent_take_exit(int fd);

/* Starts a sibling that ends with code i % 256 as soon as it is registered. */
pid_t agent_start_one(int fd, int i);
