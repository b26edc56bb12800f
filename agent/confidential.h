/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A confidential guest needs parts that this agent does not have (guest components, initdata that is bound to a
 * measurement, a policy engine). Whoever asks for one is told so and gets no guest at all: never one that only looks
 * like it. What a container asks for (sealed secrets, trusted storage) is refused by agent/container/spec/sealed.c.
 */
#pragma once

#include "agent/config/config.h"
#include "agent/roots.h"
#include "lib/error.h"

/*
 * 0: nobody asks. -1 and FAILED_PRECONDITION, which names what was found: the agent must not serve. That is a block device
 * /dev/vd* or /dev/sd* that begins with "initdata"; guest components that the configuration names, or that lie in the
 * image and would be started by default; an extension for them. At start only: may block on the devices.
 */
int confidential_refuse(const struct config *config, const struct roots *roots, struct error *err);
