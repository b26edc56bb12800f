/* SPDX-License-Identifier: Apache-2.0 */
/* See spec.h. */
#include "tests/unit/agent/container/spec.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/cleanup.h"

/* All specs of a test. */
static struct arena memory = { .cap = 64u << 20 };

void
spec_release_all(void)
{
	arena_release(&memory);
}

static void *
need(void *p)
{
	if (!p)
		abort();
	return p;
}

#define NEW(type, init)                                                 \
	({                                                              \
		type *new_ = need(arena_alloc(&memory, sizeof(*new_))); \
		init(new_);                                             \
		new_;                                                   \
	})

/* Appends to one of protobuf-c's arrays. */
#define APPEND(array, n, item)                                                    \
	do {                                                                      \
		void *old_ = (array);                                             \
		(array) = need(arena_zalloc(&memory, (n) + 1, sizeof(*(array)))); \
		if (n)                                                            \
			memcpy((array), old_, (n) * sizeof(*(array)));            \
		(array)[(n)++] = (item);                                          \
	} while (0)

static char *
copy(const char *s)
{
	return need(arena_strdup(&memory, s));
}

/* Appends the words of a comma-separated list. */
static void
append_words(char ***array, size_t *n, const char *list)
{
	char *rest = copy(list), *word;

	while ((word = strsep(&rest, ",")))
		if (*word)
			APPEND(*array, *n, word);
}

char **
spec_names(size_t *n, ...)
{
	char **names = NULL;
	const char *name;
	va_list ap;

	*n = 0;
	va_start(ap, n);
	while ((name = va_arg(ap, const char *)))
		APPEND(names, *n, copy(name));
	va_end(ap);
	return names;
}

void
spec_args(Grpc__Process *p, ...)
{
	const char *arg;
	va_list ap;

	p->args = NULL;
	p->n_args = 0;
	va_start(ap, p);
	while ((arg = va_arg(ap, const char *)))
		APPEND(p->args, p->n_args, copy(arg));
	va_end(ap);
}

void
spec_sh(Grpc__Process *p, const char *script)
{
	spec_args(p, "/bin/sh", "-c", script, NULL);
}

void
spec_env(Grpc__Process *p, const char *entry)
{
	APPEND(p->env, p->n_env, copy(entry));
}

Grpc__Mount *
spec_mount(Grpc__Spec *s, const char *dest, const char *type, const char *source,
	   const char *options)
{
	Grpc__Mount *m = NEW(Grpc__Mount, grpc__mount__init);

	m->destination = copy(dest);
	m->type = copy(type);
	m->source = copy(source);
	append_words(&m->options, &m->n_options, options);
	APPEND(s->mounts, s->n_mounts, m);
	return m;
}

void
spec_unmount(Grpc__Spec *s, const char *dest)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_mounts; i++) {
		if (strcmp(s->mounts[i]->destination, dest) != 0)
			s->mounts[n++] = s->mounts[i];
	}
	s->n_mounts = n;
}

void
spec_namespace(Grpc__Spec *s, const char *type, const char *path)
{
	Grpc__LinuxNamespace *ns = NEW(Grpc__LinuxNamespace, grpc__linux_namespace__init);

	ns->type = copy(type);
	ns->path = copy(path);
	APPEND(s->linux->namespaces, s->linux->n_namespaces, ns);
}

Grpc__LinuxDevice *
spec_device(Grpc__Spec *s, const char *path, const char *type, int major, int minor)
{
	Grpc__LinuxDevice *d = NEW(Grpc__LinuxDevice, grpc__linux_device__init);

	d->path = copy(path);
	d->type = copy(type);
	d->major = major;
	d->minor = minor;
	APPEND(s->linux->devices, s->linux->n_devices, d);
	return d;
}

void
spec_sysctl(Grpc__Spec *s, const char *key, const char *value)
{
	Grpc__Linux__SysctlEntry *e =
		NEW(Grpc__Linux__SysctlEntry, grpc__linux__sysctl_entry__init);

	e->key = copy(key);
	e->value = copy(value);
	APPEND(s->linux->sysctl, s->linux->n_sysctl, e);
}

void
spec_rlimit(Grpc__Process *p, const char *type, uint64_t soft, uint64_t hard)
{
	Grpc__POSIXRlimit *l = NEW(Grpc__POSIXRlimit, grpc__posixrlimit__init);

	l->type = copy(type);
	l->soft = soft;
	l->hard = hard;
	APPEND(p->rlimits, p->n_rlimits, l);
}

static Grpc__LinuxIDMapping *
mapping(uint32_t outside)
{
	Grpc__LinuxIDMapping *m = NEW(Grpc__LinuxIDMapping, grpc__linux_idmapping__init);

	m->hostid = outside;
	m->size = 65536;
	return m;
}

void
spec_user_namespace(Grpc__Spec *s, uint32_t outside)
{
	spec_namespace(s, "user", "");
	APPEND(s->linux->uidmappings, s->linux->n_uidmappings, mapping(outside));
	APPEND(s->linux->gidmappings, s->linux->n_gidmappings, mapping(outside));
}

void
spec_mask(Grpc__Spec *s, const char *path)
{
	if (!*path)
		s->linux->n_maskedpaths = 0;
	else
		APPEND(s->linux->maskedpaths, s->linux->n_maskedpaths, copy(path));
}

void
spec_readonly(Grpc__Spec *s, const char *path)
{
	if (!*path)
		s->linux->n_readonlypaths = 0;
	else
		APPEND(s->linux->readonlypaths, s->linux->n_readonlypaths, copy(path));
}

/* The capabilities that containerd grants by default. */
static Grpc__LinuxCapabilities *
default_capabilities(void)
{
	static const char list[] =
		"CAP_CHOWN,CAP_DAC_OVERRIDE,CAP_FSETID,CAP_FOWNER,CAP_MKNOD,CAP_NET_RAW,CAP_SETGID,"
		"CAP_SETUID,CAP_SETFCAP,CAP_SETPCAP,CAP_NET_BIND_SERVICE,CAP_SYS_CHROOT,CAP_KILL,"
		"CAP_AUDIT_WRITE";
	Grpc__LinuxCapabilities *c = NEW(Grpc__LinuxCapabilities, grpc__linux_capabilities__init);

	append_words(&c->bounding, &c->n_bounding, list);
	append_words(&c->effective, &c->n_effective, list);
	append_words(&c->permitted, &c->n_permitted, list);
	return c;
}

static void
default_mounts(Grpc__Spec *s)
{
	spec_mount(s, "/proc", "proc", "proc", "nosuid,noexec,nodev");
	spec_mount(s, "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k");
	spec_mount(s, "/dev/pts", "devpts", "devpts",
		   "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5");
	spec_mount(s, "/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k");
	spec_mount(s, "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev");
	spec_mount(s, "/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro");
	spec_mount(s, "/run", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k");
}

Grpc__Spec *
spec_new(const char *root)
{
	static const char *const masked[] = {
		"/proc/acpi",          "/proc/asound",     "/proc/kcore",       "/proc/keys",
		"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
		"/sys/firmware",       "/proc/scsi",
	};
	static const char *const readonly[] = {
		"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
	};
	Grpc__Spec *s = NEW(Grpc__Spec, grpc__spec__init);

	s->version = copy("1.0.2");
	s->root = NEW(Grpc__Root, grpc__root__init);
	s->root->path = copy(root);
	s->process = NEW(Grpc__Process, grpc__process__init);
	s->process->cwd = copy("/");
	s->process->nonewprivileges = true;
	s->process->user = NEW(Grpc__User, grpc__user__init);
	s->process->capabilities = default_capabilities();
	spec_args(s->process, "/bin/busybox", "true", NULL);
	spec_env(s->process, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	s->linux = NEW(Grpc__Linux, grpc__linux__init);
	spec_namespace(s, "pid", "");
	spec_namespace(s, "ipc", "");
	spec_namespace(s, "uts", "");
	spec_namespace(s, "mount", "");
	default_mounts(s);
	for (size_t i = 0; i < ARRAY_LEN(masked); i++)
		spec_mask(s, masked[i]);
	for (size_t i = 0; i < ARRAY_LEN(readonly); i++)
		spec_readonly(s, readonly[i]);
	return s;
}

Grpc__Process *
spec_exec(void)
{
	Grpc__Process *p = NEW(Grpc__Process, grpc__process__init);

	spec_env(p, "PATH=/bin");
	return p;
}

Grpc__LinuxSeccomp *
spec_seccomp(const char *default_action)
{
	Grpc__LinuxSeccomp *p = NEW(Grpc__LinuxSeccomp, grpc__linux_seccomp__init);

	p->defaultaction = copy(default_action);
	return p;
}

Grpc__LinuxSyscall *
spec_seccomp_rule(Grpc__LinuxSeccomp *p, const char *action, const char *names)
{
	Grpc__LinuxSyscall *rule = NEW(Grpc__LinuxSyscall, grpc__linux_syscall__init);

	rule->action = copy(action);
	append_words(&rule->names, &rule->n_names, names);
	APPEND(p->syscalls, p->n_syscalls, rule);
	return rule;
}

void
spec_seccomp_arg(Grpc__LinuxSyscall *rule, uint64_t index, const char *op, uint64_t value,
		 uint64_t value_two)
{
	Grpc__LinuxSeccompArg *a = NEW(Grpc__LinuxSeccompArg, grpc__linux_seccomp_arg__init);

	a->index = index;
	a->op = copy(op);
	a->value = value;
	a->valuetwo = value_two;
	APPEND(rule->args, rule->n_args, a);
}
