/* SPDX-License-Identifier: Apache-2.0 */
/* See config.h. Where the protocol does not distinguish 0 from unset, the member is left out. */
#include "tests/diff/config.h"

#include <stdlib.h>

#include "lib/json_put.h"

#define CONFIG_MAX (1u << 20)

static void
put_text_if(struct json_put *w, const char *key, const char *s)
{
	if (*s)
		json_put_text(w, key, s);
}

static void
put_i64_if(struct json_put *w, const char *key, int64_t value)
{
	if (value)
		json_put_i64(w, key, value);
}

static void
put_list(struct json_put *w, const char *key, char *const *list, size_t n)
{
	json_put_begin(w, key, '[');
	for (size_t i = 0; i < n; i++)
		json_put_text(w, NULL, list[i]);
	json_put_end(w, ']');
}

static void
put_list_if(struct json_put *w, const char *key, char *const *list, size_t n)
{
	if (n)
		put_list(w, key, list, n);
}

/* ---- process ---- */

static void
put_user(struct json_put *w, const Grpc__User *u)
{
	json_put_begin(w, "user", '{');
	json_put_u64(w, "uid", u->uid);
	json_put_u64(w, "gid", u->gid);
	if (u->n_additionalgids) {
		json_put_begin(w, "additionalGids", '[');
		for (size_t i = 0; i < u->n_additionalgids; i++)
			json_put_u64(w, NULL, u->additionalgids[i]);
		json_put_end(w, ']');
	}
	json_put_end(w, '}');
}

static void
put_caps(struct json_put *w, const Grpc__LinuxCapabilities *c)
{
	json_put_begin(w, "capabilities", '{');
	put_list(w, "bounding", c->bounding, c->n_bounding);
	put_list(w, "effective", c->effective, c->n_effective);
	put_list(w, "inheritable", c->inheritable, c->n_inheritable);
	put_list(w, "permitted", c->permitted, c->n_permitted);
	put_list(w, "ambient", c->ambient, c->n_ambient);
	json_put_end(w, '}');
}

static void
put_process(struct json_put *w, const Grpc__Process *p)
{
	json_put_begin(w, "process", '{');
	json_put_bool(w, "terminal", p->terminal);
	if (p->user)
		put_user(w, p->user);
	put_list(w, "args", p->args, p->n_args);
	put_list(w, "env", p->env, p->n_env);
	json_put_text(w, "cwd", p->cwd);
	if (p->capabilities)
		put_caps(w, p->capabilities);
	json_put_begin(w, "rlimits", '[');
	for (size_t i = 0; i < p->n_rlimits; i++) {
		json_put_begin(w, NULL, '{');
		json_put_text(w, "type", p->rlimits[i]->type);
		json_put_u64(w, "hard", p->rlimits[i]->hard);
		json_put_u64(w, "soft", p->rlimits[i]->soft);
		json_put_end(w, '}');
	}
	json_put_end(w, ']');
	json_put_bool(w, "noNewPrivileges", p->nonewprivileges);
	put_text_if(w, "apparmorProfile", p->apparmorprofile);
	put_text_if(w, "selinuxLabel", p->selinuxlabel);
	/* 0 is a value of its own here. */
	json_put_i64(w, "oomScoreAdj", p->oomscoreadj);
	json_put_end(w, '}');
}

/* ---- linux.resources ---- */

static void
put_throttles(struct json_put *w, const char *key, Grpc__LinuxThrottleDevice *const *list, size_t n)
{
	if (!n)
		return;
	json_put_begin(w, key, '[');
	for (size_t i = 0; i < n; i++) {
		json_put_begin(w, NULL, '{');
		json_put_i64(w, "major", list[i]->major);
		json_put_i64(w, "minor", list[i]->minor);
		json_put_u64(w, "rate", list[i]->rate);
		json_put_end(w, '}');
	}
	json_put_end(w, ']');
}

static void
put_block_io(struct json_put *w, const Grpc__LinuxBlockIO *b)
{
	json_put_begin(w, "blockIO", '{');
	if (b->weight)
		json_put_u64(w, "weight", b->weight);
	put_throttles(w, "throttleReadBpsDevice", b->throttlereadbpsdevice,
		      b->n_throttlereadbpsdevice);
	put_throttles(w, "throttleWriteBpsDevice", b->throttlewritebpsdevice,
		      b->n_throttlewritebpsdevice);
	put_throttles(w, "throttleReadIOPSDevice", b->throttlereadiopsdevice,
		      b->n_throttlereadiopsdevice);
	put_throttles(w, "throttleWriteIOPSDevice", b->throttlewriteiopsdevice,
		      b->n_throttlewriteiopsdevice);
	json_put_end(w, '}');
}

static void
put_device_rules(struct json_put *w, Grpc__LinuxDeviceCgroup *const *rules, size_t n)
{
	if (!n)
		return;
	json_put_begin(w, "devices", '[');
	for (size_t i = 0; i < n; i++) {
		json_put_begin(w, NULL, '{');
		json_put_bool(w, "allow", rules[i]->allow);
		put_text_if(w, "type", rules[i]->type);
		if (rules[i]->major >= 0)
			json_put_i64(w, "major", rules[i]->major);
		if (rules[i]->minor >= 0)
			json_put_i64(w, "minor", rules[i]->minor);
		put_text_if(w, "access", rules[i]->access);
		json_put_end(w, '}');
	}
	json_put_end(w, ']');
}

static void
put_memory(struct json_put *w, const Grpc__LinuxMemory *m)
{
	json_put_begin(w, "memory", '{');
	put_i64_if(w, "limit", m->limit);
	put_i64_if(w, "reservation", m->reservation);
	put_i64_if(w, "swap", m->swap);
	json_put_end(w, '}');
}

static void
put_cpu(struct json_put *w, const Grpc__LinuxCPU *c)
{
	json_put_begin(w, "cpu", '{');
	if (c->shares)
		json_put_u64(w, "shares", c->shares);
	put_i64_if(w, "quota", c->quota);
	if (c->period)
		json_put_u64(w, "period", c->period);
	put_text_if(w, "cpus", c->cpus);
	put_text_if(w, "mems", c->mems);
	json_put_end(w, '}');
}

static void
put_resources(struct json_put *w, const Grpc__LinuxResources *r)
{
	json_put_begin(w, "resources", '{');
	put_device_rules(w, r->devices, r->n_devices);
	if (r->memory)
		put_memory(w, r->memory);
	if (r->cpu)
		put_cpu(w, r->cpu);
	if (r->pids) {
		json_put_begin(w, "pids", '{');
		json_put_i64(w, "limit", r->pids->limit);
		json_put_end(w, '}');
	}
	if (r->blockio)
		put_block_io(w, r->blockio);
	json_put_begin(w, "hugepageLimits", '[');
	for (size_t i = 0; i < r->n_hugepagelimits; i++) {
		json_put_begin(w, NULL, '{');
		json_put_text(w, "pageSize", r->hugepagelimits[i]->pagesize);
		json_put_u64(w, "limit", r->hugepagelimits[i]->limit);
		json_put_end(w, '}');
	}
	json_put_end(w, ']');
	json_put_end(w, '}');
}

/* ---- the rest of linux ---- */

static void
put_mappings(struct json_put *w, const char *key, Grpc__LinuxIDMapping *const *map, size_t n)
{
	if (!n)
		return;
	json_put_begin(w, key, '[');
	for (size_t i = 0; i < n; i++) {
		json_put_begin(w, NULL, '{');
		json_put_u64(w, "hostID", map[i]->hostid);
		json_put_u64(w, "containerID", map[i]->containerid);
		json_put_u64(w, "size", map[i]->size);
		json_put_end(w, '}');
	}
	json_put_end(w, ']');
}

static void
put_devices(struct json_put *w, Grpc__LinuxDevice *const *list, size_t n)
{
	json_put_begin(w, "devices", '[');
	for (size_t i = 0; i < n; i++) {
		json_put_begin(w, NULL, '{');
		json_put_text(w, "path", list[i]->path);
		json_put_text(w, "type", list[i]->type);
		json_put_i64(w, "major", list[i]->major);
		json_put_i64(w, "minor", list[i]->minor);
		if (list[i]->filemode)
			json_put_u64(w, "fileMode", list[i]->filemode);
		json_put_u64(w, "uid", list[i]->uid);
		json_put_u64(w, "gid", list[i]->gid);
		json_put_end(w, '}');
	}
	json_put_end(w, ']');
}

static void
put_syscall(struct json_put *w, const Grpc__LinuxSyscall *s)
{
	json_put_begin(w, NULL, '{');
	put_list(w, "names", s->names, s->n_names);
	json_put_text(w, "action", s->action);
	if (s->errno_ret_case == GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET)
		json_put_u64(w, "errnoRet", s->errnoret);
	json_put_begin(w, "args", '[');
	for (size_t i = 0; i < s->n_args; i++) {
		json_put_begin(w, NULL, '{');
		json_put_u64(w, "index", s->args[i]->index);
		json_put_u64(w, "value", s->args[i]->value);
		json_put_u64(w, "valueTwo", s->args[i]->valuetwo);
		json_put_text(w, "op", s->args[i]->op);
		json_put_end(w, '}');
	}
	json_put_end(w, ']');
	json_put_end(w, '}');
}

static void
put_seccomp(struct json_put *w, const Grpc__LinuxSeccomp *s)
{
	json_put_begin(w, "seccomp", '{');
	json_put_text(w, "defaultAction", s->defaultaction);
	put_list_if(w, "architectures", s->architectures, s->n_architectures);
	put_list_if(w, "flags", s->flags, s->n_flags);
	json_put_begin(w, "syscalls", '[');
	for (size_t i = 0; i < s->n_syscalls; i++)
		put_syscall(w, s->syscalls[i]);
	json_put_end(w, ']');
	json_put_end(w, '}');
}

static void
put_linux(struct json_put *w, const Grpc__Linux *l, const struct config_place *place)
{
	json_put_begin(w, "linux", '{');
	put_mappings(w, "uidMappings", l->uidmappings, l->n_uidmappings);
	put_mappings(w, "gidMappings", l->gidmappings, l->n_gidmappings);
	json_put_begin(w, "sysctl", '{');
	for (size_t i = 0; i < l->n_sysctl; i++)
		json_put_text(w, l->sysctl[i]->key, l->sysctl[i]->value);
	json_put_end(w, '}');
	if (l->resources)
		put_resources(w, l->resources);
	json_put_text(w, "cgroupsPath", place->cgroups_path);
	json_put_begin(w, "namespaces", '[');
	for (size_t i = 0; i < l->n_namespaces; i++) {
		json_put_begin(w, NULL, '{');
		json_put_text(w, "type", l->namespaces[i]->type);
		put_text_if(w, "path", l->namespaces[i]->path);
		json_put_end(w, '}');
	}
	json_put_end(w, ']');
	put_devices(w, l->devices, l->n_devices);
	if (l->seccomp)
		put_seccomp(w, l->seccomp);
	put_text_if(w, "rootfsPropagation", l->rootfspropagation);
	put_list_if(w, "maskedPaths", l->maskedpaths, l->n_maskedpaths);
	put_list_if(w, "readonlyPaths", l->readonlypaths, l->n_readonlypaths);
	put_text_if(w, "mountLabel", l->mountlabel);
	json_put_end(w, '}');
}

char *
config_json(const Grpc__Spec *spec, const struct config_place *place)
{
	struct json_put w = { 0 };
	struct buf out;

	buf_init(&out, CONFIG_MAX);
	w.buf = &out;
	json_put_begin(&w, NULL, '{');
	json_put_text(&w, "ociVersion", "1.0.2");
	put_process(&w, spec->process);
	json_put_begin(&w, "root", '{');
	json_put_text(&w, "path", place->root);
	json_put_bool(&w, "readonly", spec->root->readonly);
	json_put_end(&w, '}');
	put_text_if(&w, "hostname", spec->hostname);
	json_put_begin(&w, "mounts", '[');
	for (size_t i = 0; i < spec->n_mounts; i++) {
		json_put_begin(&w, NULL, '{');
		json_put_text(&w, "destination", spec->mounts[i]->destination);
		put_text_if(&w, "type", spec->mounts[i]->type);
		put_text_if(&w, "source", spec->mounts[i]->source);
		put_list(&w, "options", spec->mounts[i]->options, spec->mounts[i]->n_options);
		json_put_end(&w, '}');
	}
	json_put_end(&w, ']');
	put_linux(&w, spec->linux, place);
	json_put_end(&w, '}');
	if (w.has_failed || buf_append(&out, "", 1) < 0) {
		buf_release(&out);
		return NULL;
	}
	/* Nothing was consumed, so the memory begins with the text. */
	return (char *)out.data;
}
