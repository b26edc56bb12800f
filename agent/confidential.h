/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusal of confidential guests. They need parts that this agent does not have (guest components,
 * initdata that is bound to a measurement, a policy engine), so a host that asks for one gets an
 * error, and never a guest that only looks confidential. Requests of containers (sealed secrets,
 * trusted storage) are refused by agent/container/spec/sealed.c.
 */
#pragma once

#include "agent/config/config.h"
#include "agent/roots.h"
#include "lib/error.h"

/*
 * Checks whether a confidential guest is asked for: by a block device /dev/vd* or /dev/sd* that
 * begins with "initdata", by guest components in the configuration, by guest components in the
 * image that would be started by default, or by an extension for them. Returns 0 if it is not, or
 * -1 and FAILED_PRECONDITION naming the cause: the agent must not serve. Called at start only: may
 * block on the devices.
 */
int confidential_refuse(const struct config *config, const struct roots *roots, struct error *err);
