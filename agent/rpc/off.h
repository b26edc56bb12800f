/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Only in a build of the tests (-Dignore_fields=true), which is never shipped: an agent whose handlers can be switched
 * off. With it `make soak` sees that each method's test in docs/protocol.md fails when the method does nothing.
 */
#pragma once

#include "agent/rpc/rpc.h"

/* Replaces the handlers of the methods that /etc/tatami/test-off in the guest names, one a line, by one that does nothing
 * and replies with an empty message. At start only. */
void off_methods(struct rpc_table *table);
