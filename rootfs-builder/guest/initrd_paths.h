/* SPDX-License-Identifier: Apache-2.0 */
/* The paths of the programs in an initrd. */
#pragma once

#define INITRD_AGENT_PATH "/usr/bin/kata-agent"
#define INITRD_OWN_PATH   "/usr/bin/tatami"
