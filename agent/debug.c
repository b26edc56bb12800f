/* SPDX-License-Identifier: Apache-2.0 */
/* Debugging aids, which can be left out of a build (-Ddebug_console=false). */
#include "agent/debug.h"

#include <stdio.h>

#include "agent/agent.h"
#ifndef TATAMI_NO_CONSOLE
#include "agent/console/console.h"
#endif
#include "lib/log.h"
#include "lib/log_event.h"

void
debug_start(struct agent *agent)
{
#ifdef TATAMI_NO_CONSOLE
	if (agent->config.debug_console)
		log_event(LOG_LEVEL_WARN, "agent", EVENT_CONSOLE_LEFT_OUT, NULL, 0,
			  "agent.debug_console: this build has no debug console");
#else
	char address[32];
	struct console_spec spec = {
		.loop = agent->loop,
		.jobs = agent->jobs,
		.init = agent->init,
		.roots = &agent->roots,
	};
	struct error err = ERROR_INIT;

	if (!agent->config.debug_console)
		return;
	if (agent->config.debug_console_vport > 0) {
		(void)snprintf(address, sizeof(address), "vsock://-1:%u",
			       agent->config.debug_console_vport);
		spec.address = address;
	}
	agent->console = console_new(&spec, &err);
	if (agent->console)
		log_info("agent", "debug console on %s",
			 spec.address ? spec.address : "/dev/console");
	else
		log_error("agent", "failed to start the debug console: %s", err.msg);
#endif
}

void
debug_stop(struct agent *agent)
{
#ifndef TATAMI_NO_CONSOLE
	console_free(agent->console);
#endif
	agent->console = NULL;
}
