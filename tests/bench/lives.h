/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "tests/rpc/harness.h"

/* Measures containers and execs from creation to removal against what the kernel alone takes
 * (floor.h), and the agent's file descriptors for a running container. */
void bench_lives(struct harness *h);

/* Returns a request in the arena with the default spec and containers' default profile. */
Grpc__CreateContainerRequest *bench_container(struct harness *h, struct arena *a, const char *id,
					      const char *const *args);
