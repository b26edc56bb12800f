/* SPDX-License-Identifier: Apache-2.0 */
/* See config.h. Where the protocol cannot tell 0 from unset, unset is written. */
#include "tests/diff/config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes JSON: a comma comes before what is not the first thing inside its brackets. */
struct writer {
	FILE *f;
	bool needs_comma;
};

static void
text(struct writer *w, const char *s)
{
	(void)fputc('"', w->f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			(void)fprintf(w->f, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			(void)fprintf(w->f, "\\u%04x", (unsigned int)*s);
		else
			(void)fputc(*s, w->f);
	}
	(void)fputc('"', w->f);
}

/* A comma if one is due, and "key": if there is one. */
static void
begin(struct writer *w, const char *key)
{
	if (w->needs_comma)
		(void)fputc(',', w->f);
	w->needs_comma = true;
	if (key) {
		text(w, key);
		(void)fputc(':', w->f);
	}
}

static void
open_with(struct writer *w, const char *key, char bracket)
{
	begin(w, key);
	(void)fputc(bracket, w->f);
	w->needs_comma = false;
}

static void
close_with(struct writer *w, char bracket)
{
	(void)fputc(bracket, w->f);
	w->needs_comma = true;
}

static void
put_text(struct writer *w, const char *key, const char *s)
{
	begin(w, key);
	text(w, s);
}

static void
put_text_if(struct writer *w, const char *key, const char *s)
{
	if (*s)
		put_text(w, key, s);
}

static void
put_bool(struct writer *w, const char *key, bool value)
{
	begin(w, key);
	(void)fputs(value ? "true" : "false", w->f);
}

static void
put_i64(struct writer *w, const char *key, int64_t value)
{
	begin(w, key);
	(void)fprintf(w->f, "%" PRId64, value);
}

static void
put_u64(struct writer *w, const char *key, uint64_t value)
{
	begin(w, key);
	(void)fprintf(w->f, "%" PRIu64, value);
}

static void
put_i64_if(struct writer *w, const char *key, int64_t value)
{
	if (value)
		put_i64(w, key, value);
}

static void
put_list(struct writer *w, const char *key, char *const *list, size_t n)
{
	open_with(w, key, '[');
	for (size_t i = 0; i < n; i++)
		put_text(w, NULL, list[i]);
	close_with(w, ']');
}

static void
put_list_if(struct writer *w, const char *key, char *const *list, size_t n)
{
	if (n)
		put_list(w, key, list, n);
}

/* ---- process ---- */

static void
put_user(struct writer *w, const Grpc__User *u)
{
	open_with(w, "user", '{');
	put_u64(w, "uid", u->uid);
	put_u64(w, "gid", u->gid);
	if (u->n_additionalgids) {
		open_with(w, "additionalGids", '[');
		for (size_t i = 0; i < u->n_additionalgids; i++)
			put_u64(w, NULL, u->additionalgids[i]);
		close_with(w, ']');
	}
	close_with(w, '}');
}

static void
put_caps(struct writer *w, const Grpc__LinuxCapabilities *c)
{
	open_with(w, "capabilities", '{');
	put_list(w, "bounding", c->bounding, c->n_bounding);
	put_list(w, "effective", c->effective, c->n_effective);
	put_list(w, "inheritable", c->inheritable, c->n_inheritable);
	put_list(w, "permitted", c->permitted, c->n_permitted);
	put_list(w, "ambient", c->ambient, c->n_ambient);
	close_with(w, '}');
}

static void
put_process(struct writer *w, const Grpc__Process *p)
{
	open_with(w, "process", '{');
	put_bool(w, "terminal", p->terminal);
	if (p->user)
		put_user(w, p->user);
	put_list(w, "args", p->args, p->n_args);
	put_list(w, "env", p->env, p->n_env);
	put_text(w, "cwd", p->cwd);
	if (p->capabilities)
		put_caps(w, p->capabilities);
	open_with(w, "rlimits", '[');
	for (size_t i = 0; i < p->n_rlimits; i++) {
		open_with(w, NULL, '{');
		put_text(w, "type", p->rlimits[i]->type);
		put_u64(w, "hard", p->rlimits[i]->hard);
		put_u64(w, "soft", p->rlimits[i]->soft);
		close_with(w, '}');
	}
	close_with(w, ']');
	put_bool(w, "noNewPrivileges", p->nonewprivileges);
	put_text_if(w, "apparmorProfile", p->apparmorprofile);
	put_text_if(w, "selinuxLabel", p->selinuxlabel);
	/* here 0 means 0 */
	put_i64(w, "oomScoreAdj", p->oomscoreadj);
	close_with(w, '}');
}

/* ---- linux.resources ---- */

static void
put_throttles(struct writer *w, const char *key, Grpc__LinuxThrottleDevice *const *list, size_t n)
{
	if (!n)
		return;
	open_with(w, key, '[');
	for (size_t i = 0; i < n; i++) {
		open_with(w, NULL, '{');
		put_i64(w, "major", list[i]->major);
		put_i64(w, "minor", list[i]->minor);
		put_u64(w, "rate", list[i]->rate);
		close_with(w, '}');
	}
	close_with(w, ']');
}

static void
put_block_io(struct writer *w, const Grpc__LinuxBlockIO *b)
{
	open_with(w, "blockIO", '{');
	if (b->weight)
		put_u64(w, "weight", b->weight);
	put_throttles(w, "throttleReadBpsDevice", b->throttlereadbpsdevice,
		      b->n_throttlereadbpsdevice);
	put_throttles(w, "throttleWriteBpsDevice", b->throttlewritebpsdevice,
		      b->n_throttlewritebpsdevice);
	put_throttles(w, "throttleReadIOPSDevice", b->throttlereadiopsdevice,
		      b->n_throttlereadiopsdevice);
	put_throttles(w, "throttleWriteIOPSDevice", b->throttlewriteiopsdevice,
		      b->n_throttlewriteiopsdevice);
	close_with(w, '}');
}

static void
put_device_rules(struct writer *w, Grpc__LinuxDeviceCgroup *const *rules, size_t n)
{
	if (!n)
		return;
	open_with(w, "devices", '[');
	for (size_t i = 0; i < n; i++) {
		open_with(w, NULL, '{');
		put_bool(w, "allow", rules[i]->allow);
		put_text_if(w, "type", rules[i]->type);
		if (rules[i]->major >= 0)
			put_i64(w, "major", rules[i]->major);
		if (rules[i]->minor >= 0)
			put_i64(w, "minor", rules[i]->minor);
		put_text_if(w, "access", rules[i]->access);
		close_with(w, '}');
	}
	close_with(w, ']');
}

static void
put_memory(struct writer *w, const Grpc__LinuxMemory *m)
{
	open_with(w, "memory", '{');
	put_i64_if(w, "limit", m->limit);
	put_i64_if(w, "reservation", m->reservation);
	put_i64_if(w, "swap", m->swap);
	close_with(w, '}');
}

static void
put_cpu(struct writer *w, const Grpc__LinuxCPU *c)
{
	open_with(w, "cpu", '{');
	if (c->shares)
		put_u64(w, "shares", c->shares);
	put_i64_if(w, "quota", c->quota);
	if (c->period)
		put_u64(w, "period", c->period);
	put_text_if(w, "cpus", c->cpus);
	put_text_if(w, "mems", c->mems);
	close_with(w, '}');
}

static void
put_resources(struct writer *w, const Grpc__LinuxResources *r)
{
	open_with(w, "resources", '{');
	put_device_rules(w, r->devices, r->n_devices);
	if (r->memory)
		put_memory(w, r->memory);
	if (r->cpu)
		put_cpu(w, r->cpu);
	if (r->pids) {
		open_with(w, "pids", '{');
		put_i64(w, "limit", r->pids->limit);
		close_with(w, '}');
	}
	if (r->blockio)
		put_block_io(w, r->blockio);
	open_with(w, "hugepageLimits", '[');
	for (size_t i = 0; i < r->n_hugepagelimits; i++) {
		open_with(w, NULL, '{');
		put_text(w, "pageSize", r->hugepagelimits[i]->pagesize);
		put_u64(w, "limit", r->hugepagelimits[i]->limit);
		close_with(w, '}');
	}
	close_with(w, ']');
	close_with(w, '}');
}

/* ---- the rest of linux ---- */

static void
put_mappings(struct writer *w, const char *key, Grpc__LinuxIDMapping *const *map, size_t n)
{
	if (!n)
		return;
	open_with(w, key, '[');
	for (size_t i = 0; i < n; i++) {
		open_with(w, NULL, '{');
		put_u64(w, "hostID", map[i]->hostid);
		put_u64(w, "containerID", map[i]->containerid);
		put_u64(w, "size", map[i]->size);
		close_with(w, '}');
	}
	close_with(w, ']');
}

static void
put_devices(struct writer *w, Grpc__LinuxDevice *const *list, size_t n)
{
	open_with(w, "devices", '[');
	for (size_t i = 0; i < n; i++) {
		open_with(w, NULL, '{');
		put_text(w, "path", list[i]->path);
		put_text(w, "type", list[i]->type);
		put_i64(w, "major", list[i]->major);
		put_i64(w, "minor", list[i]->minor);
		if (list[i]->filemode)
			put_u64(w, "fileMode", list[i]->filemode);
		put_u64(w, "uid", list[i]->uid);
		put_u64(w, "gid", list[i]->gid);
		close_with(w, '}');
	}
	close_with(w, ']');
}

static void
put_syscall(struct writer *w, const Grpc__LinuxSyscall *s)
{
	open_with(w, NULL, '{');
	put_list(w, "names", s->names, s->n_names);
	put_text(w, "action", s->action);
	if (s->errno_ret_case == GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET)
		put_u64(w, "errnoRet", s->errnoret);
	open_with(w, "args", '[');
	for (size_t i = 0; i < s->n_args; i++) {
		open_with(w, NULL, '{');
		put_u64(w, "index", s->args[i]->index);
		put_u64(w, "value", s->args[i]->value);
		put_u64(w, "valueTwo", s->args[i]->valuetwo);
		put_text(w, "op", s->args[i]->op);
		close_with(w, '}');
	}
	close_with(w, ']');
	close_with(w, '}');
}

static void
put_seccomp(struct writer *w, const Grpc__LinuxSeccomp *s)
{
	open_with(w, "seccomp", '{');
	put_text(w, "defaultAction", s->defaultaction);
	put_list_if(w, "architectures", s->architectures, s->n_architectures);
	put_list_if(w, "flags", s->flags, s->n_flags);
	open_with(w, "syscalls", '[');
	for (size_t i = 0; i < s->n_syscalls; i++)
		put_syscall(w, s->syscalls[i]);
	close_with(w, ']');
	close_with(w, '}');
}

static void
put_linux(struct writer *w, const Grpc__Linux *l, const struct config_place *place)
{
	open_with(w, "linux", '{');
	put_mappings(w, "uidMappings", l->uidmappings, l->n_uidmappings);
	put_mappings(w, "gidMappings", l->gidmappings, l->n_gidmappings);
	open_with(w, "sysctl", '{');
	for (size_t i = 0; i < l->n_sysctl; i++)
		put_text(w, l->sysctl[i]->key, l->sysctl[i]->value);
	close_with(w, '}');
	if (l->resources)
		put_resources(w, l->resources);
	put_text(w, "cgroupsPath", place->cgroups_path);
	open_with(w, "namespaces", '[');
	for (size_t i = 0; i < l->n_namespaces; i++) {
		open_with(w, NULL, '{');
		put_text(w, "type", l->namespaces[i]->type);
		put_text_if(w, "path", l->namespaces[i]->path);
		close_with(w, '}');
	}
	close_with(w, ']');
	put_devices(w, l->devices, l->n_devices);
	if (l->seccomp)
		put_seccomp(w, l->seccomp);
	put_text_if(w, "rootfsPropagation", l->rootfspropagation);
	put_list_if(w, "maskedPaths", l->maskedpaths, l->n_maskedpaths);
	put_list_if(w, "readonlyPaths", l->readonlypaths, l->n_readonlypaths);
	put_text_if(w, "mountLabel", l->mountlabel);
	close_with(w, '}');
}

char *
config_json(const Grpc__Spec *spec, const struct config_place *place)
{
	char *out = NULL;
	size_t size;
	struct writer w = { .f = open_memstream(&out, &size) };

	if (!w.f)
		return NULL;
	open_with(&w, NULL, '{');
	put_text(&w, "ociVersion", "1.0.2");
	put_process(&w, spec->process);
	open_with(&w, "root", '{');
	put_text(&w, "path", place->root);
	put_bool(&w, "readonly", spec->root->readonly);
	close_with(&w, '}');
	put_text_if(&w, "hostname", spec->hostname);
	open_with(&w, "mounts", '[');
	for (size_t i = 0; i < spec->n_mounts; i++) {
		open_with(&w, NULL, '{');
		put_text(&w, "destination", spec->mounts[i]->destination);
		put_text_if(&w, "type", spec->mounts[i]->type);
		put_text_if(&w, "source", spec->mounts[i]->source);
		put_list(&w, "options", spec->mounts[i]->options, spec->mounts[i]->n_options);
		close_with(&w, '}');
	}
	close_with(&w, ']');
	put_linux(&w, spec->linux, place);
	close_with(&w, '}');
	if (fclose(w.f) != 0) {
		free(out);
		return NULL;
	}
	return out;
}
