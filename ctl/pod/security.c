/* SPDX-License-Identifier: Apache-2.0 */
/* Security contexts; see security.h. */
#include "ctl/pod/security.h"

#include <errno.h>
#include <string.h>

#include "ctl/spec.h"
#include "lib/cleanup.h"

/* System calls that RuntimeDefault refuses with EPERM: those that the profile of container engines
 * leaves out because they change the whole machine, or have had many holes. */
static const char *const denied[] = {
	"acct",
	"add_key",
	"bpf",
	"clock_adjtime",
	"clock_settime",
	"create_module",
	"delete_module",
	"finit_module",
	"fsconfig",
	"fsmount",
	"fsopen",
	"fspick",
	"get_mempolicy",
	"init_module",
	"ioperm",
	"iopl",
	"kcmp",
	"kexec_file_load",
	"kexec_load",
	"keyctl",
	"lookup_dcookie",
	"mbind",
	"mount",
	"mount_setattr",
	"move_mount",
	"move_pages",
	"name_to_handle_at",
	"nfsservctl",
	"open_by_handle_at",
	"open_tree",
	"perf_event_open",
	"pivot_root",
	"process_vm_readv",
	"process_vm_writev",
	"query_module",
	"quotactl",
	"reboot",
	"request_key",
	"set_mempolicy",
	"setns",
	"settimeofday",
	"swapoff",
	"swapon",
	"umount2",
	"unshare",
	"userfaultfd",
	"vhangup",
};

static bool
security_has(const char *const *words, const char *word)
{
	for (; words && *words; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

int
security_apply_process(const struct manifest *m, const struct manifest_container *c,
		       struct arena *a, Grpc__Process *process)
{
	Grpc__LinuxCapabilities *caps = process->capabilities;
	size_t n_all, n = 0;
	const char *const *all = spec_all_caps(&n_all);
	char **list;

	process->nonewprivileges = c->no_new_privileges;
	process->user->additionalgids =
		arena_memdup(a, m->groups, (m->n_groups ? m->n_groups : 1) * sizeof(m->groups[0]));
	process->user->n_additionalgids = m->n_groups;
	list = arena_zalloc(a, n_all + 1, sizeof(*list));
	if (!process->user->additionalgids || !list || !caps)
		return -1;
	for (size_t i = 0; i < n_all; i++) {
		bool has = c->privileged;

		for (size_t k = 0; k < caps->n_bounding; k++)
			has |= strcmp(caps->bounding[k], all[i]) == 0;
		/* A capability that is added by name remains with "drop: [ALL]". */
		if (security_has(c->drop_caps, "ALL") || security_has(c->drop_caps, all[i]))
			has = false;
		if (security_has(c->add_caps, "ALL") && !security_has(c->drop_caps, all[i]))
			has = true;
		if (security_has(c->add_caps, all[i]) || c->privileged)
			has = true;
		if (has)
			list[n++] = (char *)(uintptr_t)all[i];
	}
	caps->bounding = caps->effective = caps->permitted = list;
	caps->n_bounding = caps->n_effective = caps->n_permitted = n;
	return 0;
}

int
security_apply_seccomp(const struct manifest_container *c, struct arena *a, Grpc__Linux *linux_part)
{
	Grpc__LinuxSeccomp *seccomp;
	Grpc__LinuxSyscall *call;

	/* As in container engines, a privileged container has none. */
	if (c->seccomp != SECCOMP_RUNTIME_DEFAULT || c->privileged ||
	    security_has(c->add_caps, "CAP_SYS_ADMIN") || security_has(c->add_caps, "ALL"))
		return 0;
	seccomp = arena_alloc(a, sizeof(*seccomp));
	call = arena_alloc(a, sizeof(*call));
	if (!seccomp || !call)
		return -1;
	grpc__linux_seccomp__init(seccomp);
	grpc__linux_syscall__init(call);
	call->names = (char **)(uintptr_t)denied;
	call->n_names = ARRAY_LEN(denied);
	call->action = (char *)(uintptr_t) "SCMP_ACT_ERRNO";
	seccomp->defaultaction = (char *)(uintptr_t) "SCMP_ACT_ALLOW";
	seccomp->syscalls = arena_zalloc(a, 1, sizeof(*seccomp->syscalls));
	if (!seccomp->syscalls)
		return -1;
	seccomp->syscalls[0] = call;
	seccomp->n_syscalls = 1;
	linux_part->seccomp = seccomp;
	return 0;
}
