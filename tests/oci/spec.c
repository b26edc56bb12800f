/* SPDX-License-Identifier: Apache-2.0 */
/* Creates and modifies specs in the arena of the running case. See oci.h. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/spec/spec.h"
#include "tests/oci/oci.h"

static void *
must(void *p)
{
	if (!p) {
		printf("Bail out! no memory for a spec\n");
		exit(1);
	}
	return p;
}

void *
oci_zalloc(struct oci *t, size_t n, size_t size)
{
	return must(arena_zalloc(&t->arena, n ? n : 1, size));
}

static char *
format(struct oci *t, const char *fmt, va_list args)
{
	char *text = NULL, *copy;

	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	copy = must(arena_strdup(&t->arena, must(text)));
	free(text);
	return copy;
}

char *
oci_str(struct oci *t, const char *fmt, ...)
{
	va_list args;
	char *s;

	va_start(args, fmt);
	s = format(t, fmt, args);
	va_end(args);
	return s;
}

void *
oci_grow(struct oci *t, void *list, size_t *n, void *item)
{
	void **grown = oci_zalloc(t, *n + 1, sizeof(void *));

	if (*n)
		memcpy(grown, list, *n * sizeof(void *));
	grown[(*n)++] = item;
	return grown;
}

void
oci_append(struct oci *t, char ***list, size_t *n, const char *text)
{
	*list = oci_grow(t, *list, n, oci_str(t, "%s", text));
}

char **
oci_strings(struct oci *t, size_t *n, const char *const *strings)
{
	char **list = NULL;

	*n = 0;
	while (*strings)
		oci_append(t, &list, n, *strings++);
	return list;
}

char **
oci_words(struct oci *t, const char *text, size_t *n)
{
	char *copy = oci_str(t, "%s", text), *save = NULL;
	char **list = NULL;

	*n = 0;
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save))
		oci_append(t, &list, n, w);
	return list;
}

Grpc__Spec *
oci_spec(struct oci *t, const char *const *args)
{
	Grpc__CreateContainerRequest *q = must(make_create(&t->h, &t->arena, "c", args, false));

	/* The id is not known yet, so fields derived from it are left empty. */
	q->oci->linux->cgroupspath = oci_str(t, "%s", "");
	q->oci->root->path = oci_str(t, "%s", t->h.rootfs);
	return q->oci;
}

Grpc__Spec *
oci_sh(struct oci *t, const char *fmt, ...)
{
	va_list args;
	char *script;

	va_start(args, fmt);
	script = format(t, fmt, args);
	va_end(args);
	return oci_spec(t, ARGS("/bin/sh", "-c", script));
}

Grpc__Process *
oci_process(struct oci *t, const char *const *args)
{
	Grpc__Process *p = oci_zalloc(t, 1, sizeof(*p));

	grpc__process__init(p);
	p->args = oci_strings(t, &p->n_args, args);
	p->env = oci_strings(t, &p->n_env, ARGS("PATH=/bin:/sbin:/usr/bin"));
	p->cwd = oci_str(t, "/");
	(void)OCI_MSG(t, p->user, grpc__user__init);
	return p;
}

Grpc__Mount *
oci_mount(struct oci *t, Grpc__Spec *spec, const char *destination, const char *type,
	  const char *source, const char *options)
{
	Grpc__Mount *m = OCI_ADD(t, spec->mounts, spec->n_mounts, grpc__mount__init);

	m->destination = oci_str(t, "%s", destination);
	m->type = oci_str(t, "%s", type);
	m->source = oci_str(t, "%s", source);
	m->options = oci_words(t, options, &m->n_options);
	return m;
}

Grpc__Mount *
oci_mount_find(Grpc__Spec *spec, const char *destination)
{
	for (size_t i = 0; i < spec->n_mounts; i++) {
		if (strcmp(spec->mounts[i]->destination, destination) == 0)
			return spec->mounts[i];
	}
	return NULL;
}

void
oci_mount_drop(Grpc__Spec *spec, const char *destination)
{
	size_t n = 0;

	for (size_t i = 0; i < spec->n_mounts; i++) {
		if (strcmp(spec->mounts[i]->destination, destination) != 0)
			spec->mounts[n++] = spec->mounts[i];
	}
	spec->n_mounts = n;
}

void
oci_namespace_drop(Grpc__Spec *spec, const char *type)
{
	Grpc__Linux *l = spec->linux;
	size_t n = 0;

	for (size_t i = 0; i < l->n_namespaces; i++) {
		if (strcmp(l->namespaces[i]->type, type) != 0)
			l->namespaces[n++] = l->namespaces[i];
	}
	l->n_namespaces = n;
}

void
oci_namespace(struct oci *t, Grpc__Spec *spec, const char *type, const char *path)
{
	Grpc__LinuxNamespace *ns;

	oci_namespace_drop(spec, type);
	ns = OCI_ADD(t, spec->linux->namespaces, spec->linux->n_namespaces,
		     grpc__linux_namespace__init);
	ns->type = oci_str(t, "%s", type);
	ns->path = oci_str(t, "%s", path);
}

void
oci_userns(struct oci *t, Grpc__Spec *spec, uint32_t first, uint32_t size)
{
	Grpc__Linux *l = spec->linux;
	Grpc__LinuxIDMapping *uid =
		OCI_ADD(t, l->uidmappings, l->n_uidmappings, grpc__linux_idmapping__init);
	Grpc__LinuxIDMapping *gid =
		OCI_ADD(t, l->gidmappings, l->n_gidmappings, grpc__linux_idmapping__init);

	uid->hostid = gid->hostid = first;
	uid->size = gid->size = size;
	oci_namespace(t, spec, "user", "");
}

void
oci_annotation(struct oci *t, Grpc__Spec *spec, const char *key, const char *value)
{
	Grpc__Spec__AnnotationsEntry *e = OCI_ADD(t, spec->annotations, spec->n_annotations,
						  grpc__spec__annotations_entry__init);

	e->key = oci_str(t, "%s", key);
	e->value = oci_str(t, "%s", value);
}

void
oci_sysctl(struct oci *t, Grpc__Spec *spec, const char *key, const char *value)
{
	Grpc__Linux__SysctlEntry *e = OCI_ADD(t, spec->linux->sysctl, spec->linux->n_sysctl,
					      grpc__linux__sysctl_entry__init);

	e->key = oci_str(t, "%s", key);
	e->value = oci_str(t, "%s", value);
}

Grpc__LinuxResources *
oci_resources(struct oci *t, Grpc__Spec *spec)
{
	return OCI_MSG(t, spec->linux->resources, grpc__linux_resources__init);
}

Grpc__LinuxMemory *
oci_memory(struct oci *t, Grpc__Spec *spec)
{
	Grpc__LinuxResources *r = oci_resources(t, spec);

	return OCI_MSG(t, r->memory, grpc__linux_memory__init);
}

Grpc__LinuxCPU *
oci_cpu(struct oci *t, Grpc__Spec *spec)
{
	Grpc__LinuxResources *r = oci_resources(t, spec);

	return OCI_MSG(t, r->cpu, grpc__linux_cpu__init);
}

void
oci_pids(struct oci *t, Grpc__Spec *spec, int64_t limit)
{
	Grpc__LinuxResources *r = oci_resources(t, spec);

	OCI_MSG(t, r->pids, grpc__linux_pids__init)->limit = limit;
}

void
oci_rlimit(struct oci *t, Grpc__Process *p, const char *type, uint64_t soft, uint64_t hard)
{
	Grpc__POSIXRlimit *r = OCI_ADD(t, p->rlimits, p->n_rlimits, grpc__posixrlimit__init);

	r->type = oci_str(t, "%s", type);
	r->soft = soft;
	r->hard = hard;
}

void
oci_caps(struct oci *t, Grpc__Process *p, const char *names)
{
	Grpc__LinuxCapabilities *c = OCI_MSG(t, p->capabilities, grpc__linux_capabilities__init);

	c->bounding = oci_words(t, names, &c->n_bounding);
	c->effective = oci_words(t, names, &c->n_effective);
	c->inheritable = oci_words(t, names, &c->n_inheritable);
	c->permitted = oci_words(t, names, &c->n_permitted);
	c->ambient = oci_words(t, names, &c->n_ambient);
}

Grpc__LinuxSyscall *
oci_seccomp(struct oci *t, Grpc__Spec *spec, const char *names, const char *action)
{
	Grpc__LinuxSeccomp *s = OCI_MSG(t, spec->linux->seccomp, grpc__linux_seccomp__init);
	Grpc__LinuxSyscall *rule;

	if (!*s->defaultaction)
		s->defaultaction = oci_str(t, "SCMP_ACT_ALLOW");
	if (!s->n_architectures)
		s->architectures = oci_strings(t, &s->n_architectures, ARGS("SCMP_ARCH_X86_64"));
	rule = OCI_ADD(t, s->syscalls, s->n_syscalls, grpc__linux_syscall__init);
	rule->names = oci_words(t, names, &rule->n_names);
	rule->action = oci_str(t, "%s", action);
	return rule;
}
