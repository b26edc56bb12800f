/* SPDX-License-Identifier: Apache-2.0 */
/* Checks labels of security modules that the guest's kernel lacks. Called for each new container
 * and exec. */
#include "agent/sandbox/sandbox_internal.h"

#include "lib/log.h"

static void
labels_warn_once(bool missing, bool *warned, const char *module)
{
	if (missing && !*warned)
		log_warn("sandbox",
			 "the kernel has no %s: processes run without their labels "
			 "(agent.strict_lsm refuses them)",
			 module);
	*warned |= missing;
}

int
sandbox_check_labels(struct sandbox *s, const Grpc__Process *process, const char *mount_label,
		     struct error *err)
{
	struct lsm_missing missing = lsm_missing(&s->parts.lsm, process, mount_label);

	if (s->parts.strict_lsm && missing.apparmor)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "process.apparmorProfile: the guest's kernel has no AppArmor");
	if (s->parts.strict_lsm && missing.selinux)
		return error_set(
			err, ERROR_FAILED_PRECONDITION, "%s: the guest's kernel has no SELinux",
			*process->selinuxlabel ? "process.selinuxLabel" : "linux.mountLabel");
	labels_warn_once(missing.apparmor, &s->warned.apparmor, "AppArmor");
	labels_warn_once(missing.selinux, &s->warned.selinux, "SELinux");
	return 0;
}
