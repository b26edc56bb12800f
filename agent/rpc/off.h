/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exists only in a build for tests (-Dignore_fields=true), which is never shipped: an agent whose
 * handlers can be switched off. With it, `make soak` verifies that the test of each method in
 * docs/protocol.md fails if the method does nothing.
 */
#pragma once

#include "agent/rpc/rpc.h"

/* Replaces the handlers of the methods named in the guest's /etc/tatami/test-off, one per line, by
 * a handler that replies with an empty message. Called at start only; blocks on the file. */
void off_methods(struct rpc_table *table);
