/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seccomp profile RuntimeDefault. Kubernetes leaves its content to the container engine. The
 * facts in the table are those of Moby's default profile (github.com/moby/profiles, seccomp/
 * default.json, as of August 2026), from which containerd's contrib/seccomp differs by a few calls:
 * which calls are allowed, to whom, and with which arguments. Every other call fails with EPERM.
 * The profile there may depend on the kernel; each guest kernel is new enough for all of its rules.
 */
#include <errno.h>
#include <linux/personality.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "ctl/pod/seccomp.h"
#include "lib/cleanup.h"

#define CLONE_NEW                                                                                  \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | \
	 CLONE_NEWCGROUP)
/* Asks for the current personality. */
#define PERSONALITY_QUERY 0xffffffff

struct seccomp_row {
	/* separated by blanks */
	const char *calls;
	/* only with, or only without this capability in the bounding set */
	const char *with, *without;
	/* Docker's name of the only architecture; or of one on which the row does not count */
	const char *arch, *not_arch;
	/* condition on an argument, if there is an operator */
	const char *op;
	uint64_t arg, value;
	/* 0: the calls are allowed */
	uint32_t errnum;
};

static const struct seccomp_row rows[] = {
	/* processes and threads */
	{ .calls = "arch_prctl modify_ldt", .arch = "amd64" },
	{ .calls = "execve execveat exit exit_group fork vfork wait4 waitid waitpid prctl "
		   "set_tid_address set_thread_area get_thread_area set_robust_list "
		   "get_robust_list rseq restart_syscall membarrier seccomp getpid getppid gettid "
		   "getpgid getpgrp setpgid getsid setsid getrlimit ugetrlimit setrlimit prlimit64 "
		   "getrusage times umask uname sysinfo getcpu uretprobe riscv_hwprobe "
		   "landlock_add_rule landlock_create_ruleset landlock_restrict_self" },
	{ .calls = "ptrace process_vm_readv process_vm_writev process_mrelease pidfd_open "
		   "pidfd_send_signal" },
	{ .calls = "sched_getaffinity sched_setaffinity sched_getattr sched_setattr "
		   "sched_getparam sched_setparam sched_getscheduler sched_setscheduler "
		   "sched_get_priority_max sched_get_priority_min sched_rr_get_interval "
		   "sched_rr_get_interval_time64 sched_yield getpriority setpriority ioprio_get "
		   "ioprio_set" },
	/* credentials */
	{ .calls = "getuid getuid32 geteuid geteuid32 getresuid getresuid32 getgid getgid32 "
		   "getegid getegid32 getresgid getresgid32 getgroups getgroups32 setuid setuid32 "
		   "setreuid setreuid32 setresuid setresuid32 setfsuid setfsuid32 setgid setgid32 "
		   "setregid setregid32 setresgid setresgid32 setfsgid setfsgid32 setgroups "
		   "setgroups32 capget capset" },
	/* signals */
	{ .calls = "kill tkill tgkill pause sigaltstack sigprocmask sigreturn signalfd signalfd4 "
		   "rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn "
		   "rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo" },
	/* time */
	{ .calls = "time gettimeofday adjtimex clock_adjtime clock_adjtime64 clock_getres "
		   "clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep "
		   "clock_nanosleep_time64 nanosleep alarm getitimer setitimer timer_create "
		   "timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime "
		   "timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 "
		   "timerfd_settime timerfd_settime64" },
	/* memory */
	{ .calls = "brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 "
		   "mlockall munlock munlockall mseal remap_file_pages map_shadow_stack "
		   "memfd_create memfd_secret pkey_alloc pkey_free pkey_mprotect cachestat" },
	/* synchronisation between processes */
	{ .calls = "futex futex_time64 futex_wait futex_waitv futex_wake futex_requeue ipc semget "
		   "semctl semop semtimedop semtimedop_time64 shmget shmat shmctl shmdt msgget "
		   "msgctl msgrcv msgsnd mq_open mq_unlink mq_notify mq_getsetattr mq_timedsend "
		   "mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64" },
	/* file descriptors */
	{ .calls = "read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek "
		   "_llseek close close_range dup dup2 dup3 fcntl fcntl64 ioctl flock pipe pipe2 "
		   "splice tee vmsplice sendfile sendfile64 copy_file_range readahead fadvise64 "
		   "fadvise64_64 fallocate truncate truncate64 ftruncate ftruncate64 fsync "
		   "fdatasync sync syncfs sync_file_range eventfd eventfd2" },
	{ .calls = "poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 "
		   "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old "
		   "epoll_pwait epoll_pwait2 inotify_init inotify_init1 inotify_add_watch "
		   "inotify_rm_watch fanotify_mark io_setup io_submit io_cancel io_destroy "
		   "io_getevents io_pgetevents io_pgetevents_time64" },
	/* files by their names */
	{ .calls = "open openat openat2 creat access faccessat faccessat2 stat stat64 lstat "
		   "lstat64 fstat fstat64 newfstatat fstatat64 statx statfs statfs64 fstatfs "
		   "fstatfs64 statmount listmount getcwd chdir fchdir getdents getdents64 readlink "
		   "readlinkat name_to_handle_at" },
	{ .calls = "mkdir mkdirat rmdir mknod mknodat link linkat symlink symlinkat unlink "
		   "unlinkat rename renameat renameat2 chmod fchmod fchmodat fchmodat2 chown "
		   "chown32 lchown lchown32 fchown fchown32 fchownat utime utimes futimesat "
		   "utimensat utimensat_time64" },
	{ .calls = "getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr "
		   "setxattrat listxattr llistxattr flistxattr listxattrat removexattr "
		   "lremovexattr fremovexattr removexattrat" },
	/* sockets: all families but AF_ALG and AF_VSOCK */
	{ .calls = "socketpair socketcall bind connect listen accept accept4 shutdown getsockname "
		   "getpeername getsockopt setsockopt send sendto sendmsg sendmmsg recv recvfrom "
		   "recvmsg recvmmsg recvmmsg_time64 getrandom" },
	{ .calls = "socket", .op = "SCMP_CMP_LT", .value = AF_ALG },
	{ .calls = "socket", .op = "SCMP_CMP_EQ", .value = AF_NFC },
	{ .calls = "socket", .op = "SCMP_CMP_GT", .value = AF_VSOCK },
	/* personalities that programs need to run at all */
	{ .calls = "personality", .op = "SCMP_CMP_EQ", .value = PER_LINUX },
	{ .calls = "personality", .op = "SCMP_CMP_EQ", .value = PER_LINUX32 },
	{ .calls = "personality", .op = "SCMP_CMP_EQ", .value = UNAME26 },
	{ .calls = "personality", .op = "SCMP_CMP_EQ", .value = UNAME26 | PER_LINUX32 },
	{ .calls = "personality", .op = "SCMP_CMP_EQ", .value = PERSONALITY_QUERY },
	/* New processes, but no new namespaces. The flags of clone3 are in memory that a filter
	 * does not see: it seems to be missing, so that libraries call clone. */
	{ .calls = "clone",
	  .without = "CAP_SYS_ADMIN",
	  .not_arch = "s390x",
	  .op = "SCMP_CMP_MASKED_EQ",
	  .value = CLONE_NEW },
	{ .calls = "clone",
	  .without = "CAP_SYS_ADMIN",
	  .arch = "s390x",
	  .op = "SCMP_CMP_MASKED_EQ",
	  .arg = 1,
	  .value = CLONE_NEW },
	{ .calls = "clone3", .without = "CAP_SYS_ADMIN", .errnum = ENOSYS },
	/* the calls that a capability adds */
	{ .calls = "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie "
		   "lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr "
		   "move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname "
		   "sethostname setns syslog umount umount2 unshare",
	  .with = "CAP_SYS_ADMIN" },
	{ .calls = "open_by_handle_at", .with = "CAP_DAC_READ_SEARCH" },
	{ .calls = "reboot", .with = "CAP_SYS_BOOT" },
	{ .calls = "chroot", .with = "CAP_SYS_CHROOT" },
	{ .calls = "init_module finit_module delete_module", .with = "CAP_SYS_MODULE" },
	{ .calls = "acct", .with = "CAP_SYS_PACCT" },
	{ .calls = "kcmp pidfd_getfd process_madvise", .with = "CAP_SYS_PTRACE" },
	{ .calls = "iopl ioperm", .with = "CAP_SYS_RAWIO" },
	{ .calls = "settimeofday stime clock_settime clock_settime64", .with = "CAP_SYS_TIME" },
	{ .calls = "vhangup", .with = "CAP_SYS_TTY_CONFIG" },
	{ .calls = "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
	  .with = "CAP_SYS_NICE" },
	{ .calls = "syslog", .with = "CAP_SYSLOG" },
	{ .calls = "bpf", .with = "CAP_BPF" },
	{ .calls = "perf_event_open", .with = "CAP_PERFMON" },
	/* the calls that an architecture adds */
	{ .calls = "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush "
		   "set_tls",
	  .arch = "arm64" },
	{ .calls = "sync_file_range2 swapcontext", .arch = "ppc64le" },
	{ .calls = "riscv_flush_icache", .arch = "riscv64" },
	{ .calls = "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr", .arch = "s390x" },
};

/* Architectures of guests, with the others whose programs their kernels run. */
static const struct {
	const char *machine, *name;
	const char *archs[3];
} machines[] = {
	{ "x86_64", "amd64", { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32" } },
	{ "aarch64", "arm64", { "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM" } },
	{ "ppc64le", "ppc64le", { "SCMP_ARCH_PPC64LE" } },
	{ "riscv64", "riscv64", { "SCMP_ARCH_RISCV64" } },
	{ "s390x", "s390x", { "SCMP_ARCH_S390X", "SCMP_ARCH_S390" } },
};

static bool seccomp_counts(const struct seccomp_row *row, const struct seccomp_target *target);
static Grpc__LinuxSyscall *seccomp_rule(struct arena *a, const struct seccomp_row *row);

Grpc__LinuxSeccomp *
seccomp_default(struct arena *a, const struct seccomp_target *target)
{
	Grpc__LinuxSeccomp *out = arena_alloc(a, sizeof(*out));

	if (!out)
		return NULL;
	grpc__linux_seccomp__init(out);
	out->defaultaction = (char *)(uintptr_t) "SCMP_ACT_ERRNO";
	out->architectures = arena_zalloc(a, ARRAY_LEN(machines[0].archs), sizeof(char *));
	out->syscalls = arena_zalloc(a, ARRAY_LEN(rows), sizeof(*out->syscalls));
	if (!out->architectures || !out->syscalls)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(machines); i++)
		for (size_t k = 0; k < ARRAY_LEN(machines[i].archs); k++)
			if (strcmp(machines[i].machine, target->arch) == 0 && machines[i].archs[k])
				out->architectures[out->n_architectures++] =
					(char *)(uintptr_t)machines[i].archs[k];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!seccomp_counts(&rows[i], target))
			continue;
		out->syscalls[out->n_syscalls] = seccomp_rule(a, &rows[i]);
		if (!out->syscalls[out->n_syscalls++])
			return NULL;
	}
	return out;
}

static bool
seccomp_counts(const struct seccomp_row *row, const struct seccomp_target *target)
{
	const char *arch = seccomp_arch_name(target);

	return (!row->with || seccomp_has_cap(target, row->with)) &&
	       (!row->without || !seccomp_has_cap(target, row->without)) &&
	       (!row->arch || strcmp(row->arch, arch) == 0) &&
	       (!row->not_arch || strcmp(row->not_arch, arch) != 0);
}

/* Returns the rule of a row, or NULL if memory is exhausted. */
static Grpc__LinuxSyscall *
seccomp_rule(struct arena *a, const struct seccomp_row *row)
{
	Grpc__LinuxSyscall *call = arena_alloc(a, sizeof(*call));
	char *rest = arena_strdup(a, row->calls), *name;
	size_t n = 1;

	for (const char *c = row->calls; *c; c++)
		n += *c == ' ';
	if (!call || !rest)
		return NULL;
	grpc__linux_syscall__init(call);
	call->names = arena_zalloc(a, n, sizeof(*call->names));
	if (!call->names)
		return NULL;
	while ((name = strsep(&rest, " ")))
		call->names[call->n_names++] = name;
	call->action = (char *)(uintptr_t)(row->errnum ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW");
	if (row->errnum) {
		call->errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
		call->errnoret = row->errnum;
	}
	if (row->op) {
		Grpc__LinuxSeccompArg *arg = arena_alloc(a, sizeof(*arg));

		call->args = arena_zalloc(a, 1, sizeof(*call->args));
		if (!arg || !call->args)
			return NULL;
		grpc__linux_seccomp_arg__init(arg);
		arg->index = row->arg;
		arg->op = (char *)(uintptr_t)row->op;
		/* The mask: the bits in it must be 0. */
		arg->value = row->value;
		call->args[call->n_args++] = arg;
	}
	return call;
}

bool
seccomp_has_cap(const struct seccomp_target *target, const char *name)
{
	for (size_t i = 0; i < target->n_caps; i++)
		if (strcmp(target->caps[i], name) == 0)
			return true;
	return false;
}

const char *
seccomp_arch_name(const struct seccomp_target *target)
{
	for (size_t i = 0; i < ARRAY_LEN(machines); i++)
		if (strcmp(machines[i].machine, target->arch) == 0)
			return machines[i].name;
	return target->arch;
}
