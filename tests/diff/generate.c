/* SPDX-License-Identifier: Apache-2.0 */
/* See generate.h. Generates the process and its namespaces; helpers of all parts. */
#include "tests/diff/generate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

/* ids of a user namespace */
#define INHERITED_MAX 65536

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

uint32_t
roll(struct gen *g, uint32_t n)
{
	uint64_t z = (g->state += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ z >> 31) >> 11) % n;
}

bool
chance(struct gen *g, unsigned int percent)
{
	return roll(g, 100) < percent;
}

const char *
pick(struct gen *g, const char *const *list)
{
	uint32_t n = 0;

	while (list[n])
		n++;
	return list[roll(g, n)];
}

void *
make(struct gen *g, size_t n, size_t size)
{
	void *p = arena_zalloc(g->a, n, size);

	if (!p) {
		(void)fprintf(stderr, "diff: no memory for a spec\n");
		exit(125);
	}
	return p;
}

void
push(struct gen *g, void *list, size_t *n, const void *item)
{
	void ***at = list;
	void **grown = make(g, *n + 1, sizeof(*grown));

	if (*n)
		memcpy(grown, *at, *n * sizeof(*grown));
	grown[(*n)++] = (void *)(uintptr_t)item;
	*at = grown;
}

void
ask(struct gen *g, const char *what, const char *path)
{
	Grpc__Process *p = g->spec->process;
	char *arg = make(g, strlen(what) + strlen(path) + 1, 1);

	memcpy(arg, what, strlen(what));
	memcpy(arg + strlen(what), path, strlen(path) + 1);
	push(g, &p->args, &p->n_args, arg);
}

bool
has_namespace(const struct gen *g, const char *type)
{
	for (size_t i = 0; i < g->spec->linux->n_namespaces; i++)
		if (strcmp(g->spec->linux->namespaces[i]->type, type) == 0)
			return true;
	return false;
}

/* ---- process ---- */

static uint32_t
some_id(struct gen *g)
{
	static const uint32_t ids[] = { 0, 0, 0, 1, 5, 1000, 1000, 12345, 65534, 4000000 };
	uint32_t id = ids[roll(g, ARRAY_LEN(ids))];

	return has_namespace(g, "user") ? id % INHERITED_MAX : id;
}

static Grpc__User *
user(struct gen *g)
{
	Grpc__User *u = make(g, 1, sizeof(*u));

	grpc__user__init(u);
	u->uid = some_id(g);
	u->gid = some_id(g);
	u->n_additionalgids = chance(g, 40) ? roll(g, 5) : 0;
	u->additionalgids = make(g, 5, sizeof(*u->additionalgids));
	for (size_t i = 0; i < u->n_additionalgids; i++)
		u->additionalgids[i] = some_id(g);
	return u;
}

static const char *const cap_names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

#define ALL_CAPS ((1ull << ARRAY_LEN(cap_names)) - 1)
/* The default set of container engines, as indices of the list above, which are the kernel's
 * numbers. */
#define DEFAULT_CAPS 0xa80425fbull

static void
put_caps(struct gen *g, uint64_t set, char ***list, size_t *n)
{
	for (size_t i = 0; i < ARRAY_LEN(cap_names); i++)
		if (set >> i & 1)
			push(g, list, n, cap_names[i]);
}

static uint64_t
random_set(struct gen *g, uint64_t of)
{
	return of & ((uint64_t)roll(g, 1u << 31) << 20 ^ roll(g, 1u << 31));
}

static Grpc__LinuxCapabilities *
caps(struct gen *g)
{
	Grpc__LinuxCapabilities *c = make(g, 1, sizeof(*c));
	uint64_t bounding = DEFAULT_CAPS, permitted, effective, inheritable = 0, ambient = 0;

	grpc__linux_capabilities__init(c);
	if (chance(g, 50))
		bounding = chance(g, 20) ? ALL_CAPS : chance(g, 20) ? 0 : random_set(g, ALL_CAPS);
	permitted = effective = bounding;
	if (chance(g, 30)) {
		permitted = random_set(g, bounding);
		effective = random_set(g, permitted);
	}
	if (chance(g, 30))
		inheritable = random_set(g, permitted);
	if (chance(g, 50))
		ambient = random_set(g, inheritable);
	put_caps(g, bounding, &c->bounding, &c->n_bounding);
	put_caps(g, permitted, &c->permitted, &c->n_permitted);
	put_caps(g, effective, &c->effective, &c->n_effective);
	put_caps(g, inheritable, &c->inheritable, &c->n_inheritable);
	put_caps(g, ambient, &c->ambient, &c->n_ambient);
	return c;
}

static void
rlimits(struct gen *g, Grpc__Process *p)
{
	/* The minimum that the probe and a runtime need. */
	static const struct {
		const char *type;
		uint64_t least;
	} list[] = {
		{ "RLIMIT_CPU", 60 },        { "RLIMIT_FSIZE", 1 << 20 },
		{ "RLIMIT_DATA", 64 << 20 }, { "RLIMIT_STACK", 1 << 20 },
		{ "RLIMIT_CORE", 0 },        { "RLIMIT_RSS", 1 << 20 },
		{ "RLIMIT_NPROC", 1000 },    { "RLIMIT_NOFILE", 256 },
		{ "RLIMIT_MEMLOCK", 0 },     { "RLIMIT_AS", 128 << 20 },
		{ "RLIMIT_LOCKS", 1 },       { "RLIMIT_SIGPENDING", 100 },
		{ "RLIMIT_MSGQUEUE", 0 },    { "RLIMIT_NICE", 0 },
		{ "RLIMIT_RTPRIO", 0 },      { "RLIMIT_RTTIME", 1000000 },
	};

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		Grpc__POSIXRlimit *r;

		if (!chance(g, 12))
			continue;
		r = make(g, 1, sizeof(*r));
		grpc__posixrlimit__init(r);
		r->type = (char *)(uintptr_t)list[i].type;
		r->soft = list[i].least + roll(g, 32);
		r->hard = r->soft + roll(g, 3);
		/* The kernel's default maximum of open files is a million. */
		if (chance(g, 20) && strcmp(r->type, "RLIMIT_NOFILE") != 0)
			r->hard = UINT64_MAX;
		if (r->hard == UINT64_MAX && chance(g, 40))
			r->soft = UINT64_MAX;
		push(g, &p->rlimits, &p->n_rlimits, r);
	}
}

static void
environment(struct gen *g, Grpc__Process *p)
{
	static const char *const pool[] = { "HOME=/data",       "A=1",
					    "B=two words",      "EMPTY=",
					    "TERM=xterm",       "EQUALS=a=b=c",
					    "LANG=de_AT.UTF-8", "\303\244=\303\266",
					    "container=oci",    "HOSTNAME=x" };

	for (size_t i = 0; i < ARRAY_LEN(pool); i++)
		if (chance(g, 15))
			push(g, &p->env, &p->n_env, pool[i]);
	if (!chance(g, 95)) {
		p->args[0] = (char *)(uintptr_t) "/bin/probe";
		return;
	}
	push(g, &p->env, &p->n_env,
	     pick(g, LIST("PATH=/bin", "PATH=/usr/bin:/bin", "PATH=/nowhere:/bin")));
}

static void
process(struct gen *g)
{
	static const int scores[] = { 0, 0, 0, -1000, -999, -1, 1, 100, 999, 1000 };
	Grpc__Process *p = make(g, 1, sizeof(*p));

	grpc__process__init(p);
	g->spec->process = p;
	push(g, &p->args, &p->n_args, chance(g, 70) ? "probe" : "/bin/probe");
	if (chance(g, 20))
		push(g, &p->args, &p->n_args,
		     pick(g, LIST("", "two words", "\"quoted\"", "\303\244")));
	environment(g, p);
	p->cwd = (char *)(uintptr_t)pick(
		g, LIST("/", "/", "/", "/tmp", "/data/dir", "/data/new", "/new/er", "/link/dir"));
	p->user = user(g);
	p->capabilities = caps(g);
	p->nonewprivileges = chance(g, 60);
	p->oomscoreadj = scores[roll(g, ARRAY_LEN(scores))];
	rlimits(g, p);
}

/* ---- namespaces ---- */

static void
add_namespace(struct gen *g, const char *type)
{
	Grpc__LinuxNamespace *ns = make(g, 1, sizeof(*ns));

	grpc__linux_namespace__init(ns);
	ns->type = (char *)(uintptr_t)type;
	push(g, &g->spec->linux->namespaces, &g->spec->linux->n_namespaces, ns);
}

static Grpc__LinuxIDMapping *
mapping(struct gen *g, uint32_t container, uint32_t host, uint32_t size)
{
	Grpc__LinuxIDMapping *m = make(g, 1, sizeof(*m));

	grpc__linux_idmapping__init(m);
	m->containerid = container;
	m->hostid = host;
	m->size = size;
	return m;
}

static void
namespaces(struct gen *g)
{
	static const struct {
		const char *type;
		unsigned int percent;
	} list[] = {
		{ "mount", 100 },  { "pid", 90 },    { "ipc", 80 },  { "uts", 80 },
		{ "network", 35 }, { "cgroup", 80 }, { "user", 12 },
	};
	Grpc__Linux *l = g->spec->linux;

	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		if (chance(g, list[i].percent))
			add_namespace(g, list[i].type);
	if (!has_namespace(g, "user"))
		return;
	push(g, &l->uidmappings, &l->n_uidmappings, mapping(g, 0, 100000, INHERITED_MAX));
	push(g, &l->gidmappings, &l->n_gidmappings, mapping(g, 0, 100000, INHERITED_MAX));
	if (chance(g, 30))
		push(g, &l->uidmappings, &l->n_uidmappings, mapping(g, 100000, 300000, 1000));
}

Grpc__Spec *
generate(struct arena *a, uint64_t seed, uint32_t number)
{
	struct gen g = { .a = a, .state = seed * 1000003 + number };
	Grpc__Spec *spec = make(&g, 1, sizeof(*spec));

	grpc__spec__init(spec);
	g.spec = spec;
	spec->version = (char *)(uintptr_t) "1.0.2";
	spec->root = make(&g, 1, sizeof(*spec->root));
	grpc__root__init(spec->root);
	spec->linux = make(&g, 1, sizeof(*spec->linux));
	grpc__linux__init(spec->linux);
	namespaces(&g);
	process(&g);
	if (has_namespace(&g, "uts") && chance(&g, 50))
		spec->hostname = (char *)(uintptr_t)pick(&g, LIST("box", "a.b.example", "x1"));
	generate_files(&g);
	generate_resources(&g);
	return spec;
}
