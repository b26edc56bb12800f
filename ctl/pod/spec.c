/* SPDX-License-Identifier: Apache-2.0 */
/* Translating a pod's description to requests. */
#include "ctl/pod/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent.pb-c.h"
#include "ctl/network.h"
#include "ctl/pod/files.h"
#include "ctl/spec.h"
#include "ctl/vm/find.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/ttrpc/client.h"

#define FILES           SPEC_SHARED "/kubelet"
#define CALL_TIMEOUT_MS 60000
#define REQUEST_MAX     (4u << 20)
#define ID_MAX          160

static int podspec_add_share(struct vm_options *vm, enum share_kind kind, const char *path,
			     bool may_be_image, struct error *err);
static int podspec_make_sandbox(const struct podspec *p, struct arena *a, struct error *err);
static int podspec_start_pause(const struct podspec *p, struct arena *a, struct error *err);
static void podspec_place_volume(const struct podspec *p, struct arena *a,
				 const struct manifest_volume *v, struct spec_bind *bind,
				 struct spec_storage *storage);
static int podspec_create_and_start(const struct podspec *p, struct arena *a,
				    const struct container_options *o, struct error *err);

static int
podspec_call(const struct podspec *p, const char *method, const ProtobufCMessage *request,
	     struct error *err)
{
	if (ttrpc_client_call(p->client, &grpc__agent_service__descriptor, method, request,
			      CALL_TIMEOUT_MS, NULL, err) < 0)
		return error_wrap(err, "%s", method);
	return 0;
}

static char *
podspec_text(const char *s)
{
	return (char *)(uintptr_t)s;
}

void
podspec_id(const struct podspec *p, size_t i, char *out, size_t size)
{
	(void)snprintf(out, size, "%.63s-%.63s", p->m->name, p->m->containers[i].name);
}

int
podspec_shares(const struct manifest *m, const char *files, enum share_kind kind,
	       struct vm_options *vm, struct error *err)
{
	for (size_t i = 0; i < m->n_containers; i++)
		if (podspec_add_share(vm, kind, m->containers[i].image, true, err) < 0)
			return error_wrap(err, "image of container %s", m->containers[i].name);
	if (podspec_add_share(vm, kind, files, false, err) < 0)
		return -1;
	for (size_t i = 0; i < m->n_volumes; i++)
		if (m->volumes[i].kind == VOLUME_HOST_PATH &&
		    podspec_add_share(vm, kind, m->volumes[i].path, false, err) < 0)
			return error_wrap(err, "volume %s", m->volumes[i].name);
	return 0;
}

static int
podspec_add_share(struct vm_options *vm, enum share_kind kind, const char *path, bool may_be_image,
		  struct error *err)
{
	struct vm_share *s = &vm->shares[vm->n_shares];
	struct stat st;

	if (vm->n_shares == VM_SHARES_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "too many shares: at most %d",
				 VM_SHARES_MAX);
	if (!realpath(path, s->path) || stat(s->path, &st) < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to look up %s", path);
	if (!S_ISDIR(st.st_mode) && !(may_be_image && S_ISREG(st.st_mode)))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not a directory%s", path,
				 may_be_image ? " or an image" : "");
	s->kind = S_ISDIR(st.st_mode) ? kind : SHARE_BLK;
	if (s->kind == SHARE_BLK) {
		s->fstype = find_fstype(s->path, err);
		if (!s->fstype)
			return -1;
	}
	vm->n_shares++;
	return 0;
}

/* ---- the sandbox ---- */

int
podspec_sandbox(const struct podspec *p, struct error *err)
{
	struct arena a;
	int r;

	arena_init(&a, REQUEST_MAX);
	r = network_configure(p->client, p->vm, err) < 0 || podspec_make_sandbox(p, &a, err) < 0 ||
			    podspec_start_pause(p, &a, err) < 0
		    ? -1
		    : 0;
	arena_release(&a);
	return r;
}

static int
podspec_make_sandbox(const struct podspec *p, struct arena *a, struct error *err)
{
	const struct manifest *m = p->m;
	const struct vm_share *shares = &p->vm->shares[m->n_containers];
	const char *points[1 + MANIFEST_VOLUMES_MAX] = { FILES };
	const char *dns[MANIFEST_WORDS_MAX + 1];
	size_t n = 1, n_dns = 0;
	Grpc__CreateSandboxRequest *r = spec_sandbox(a, m->name, m->hostname);

	for (size_t i = 0; i < m->n_volumes; i++)
		if (m->volumes[i].kind == VOLUME_HOST_PATH)
			points[n++] = arena_printf(a, SPEC_SHARED "/host-%s", m->volumes[i].name);
	for (size_t i = 0; i < m->n_servers; i++)
		dns[n_dns++] = arena_printf(a, "nameserver %s", m->servers[i]);
	if (!r || spec_sandbox_add(a, r, shares, points, n, dns, n_dns) < 0 ||
	    network_add_dns(a, p->vm, r) < 0)
		return error_nomem(err, "building the requests");
	r->sandbox_pidns = m->share_pids;
	return podspec_call(p, "CreateSandbox", &r->base, err);
}

static int
podspec_start_pause(const struct podspec *p, struct arena *a, struct error *err)
{
	static char *const args[] = { (char *)(uintptr_t) "/pause", NULL };
	const struct spec_pod pod = { .sandbox = p->m->name };
	const struct container_options o = {
		.id = p->m->name,
		.hostname = p->m->hostname,
		.args = args,
		.cwd = "/",
		.uid = 65535,
		.gid = 65535,
		.read_only = true,
		.root = FILES "/" PODFILES_PAUSE,
		.pod = &pod,
	};

	return podspec_create_and_start(p, a, &o, err) < 0 ? error_wrap(err, "pause container") : 0;
}

/* ---- a container ---- */

int
podspec_start(const struct podspec *p, size_t i, struct error *err)
{
	const struct manifest_container *c = &p->m->containers[i];
	struct spec_bind binds[MANIFEST_MOUNTS_MAX];
	struct spec_storage storages[MANIFEST_MOUNTS_MAX];
	const char *env[MANIFEST_WORDS_MAX + 1];
	char id[ID_MAX];
	struct spec_pod pod = {
		.sandbox = p->m->name,
		.name = c->name,
		.share_pids = p->m->share_pids,
		.memory = c->memory,
		.milli = c->milli,
		.binds = binds,
		.storages = storages,
	};
	const struct container_options o = {
		.id = id,
		.hostname = p->m->hostname,
		.args = (char *const *)(uintptr_t)c->command,
		.env = env,
		.n_env = podspec_env(c, env),
		.cwd = c->cwd,
		.uid = (uint32_t)c->uid,
		.gid = (uint32_t)c->gid,
		.read_only = c->read_only,
		.privileged = c->privileged,
		.shares = &p->vm->shares[i],
		.pod = &pod,
	};
	struct arena a;
	int r;

	podspec_id(p, i, id, sizeof(id));
	arena_init(&a, REQUEST_MAX);
	for (size_t v = 0; v < c->n_mounts; v++) {
		struct spec_bind *bind = &binds[pod.n_binds++];

		*bind = (struct spec_bind){ .target = c->mounts[v].path };
		podspec_place_volume(p, &a, &p->m->volumes[c->mounts[v].volume], bind,
				     &storages[pod.n_storages]);
		bind->readonly |= c->mounts[v].read_only;
		pod.n_storages += storages[pod.n_storages].driver != NULL;
	}
	r = podspec_create_and_start(p, &a, &o, err);
	arena_release(&a);
	return r < 0 ? error_wrap(err, "container %s", c->name) : 0;
}

size_t
podspec_env(const struct manifest_container *c, const char *env[MANIFEST_WORDS_MAX + 1])
{
	env[0] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	memcpy(env + 1, c->env, c->n_env * sizeof(*env));
	return c->n_env + 1;
}

/* Translates a volume of the pod to a mount and a storage of one of its containers.
 * *storage->driver is NULL if the storage belongs to the sandbox. */
static void
podspec_place_volume(const struct podspec *p, struct arena *a, const struct manifest_volume *v,
		     struct spec_bind *bind, struct spec_storage *storage)
{
	*storage = (struct spec_storage){ 0 };
	bind->type = "bind";
	switch (v->kind) {
	case VOLUME_CONFIG_MAP:
	case VOLUME_SECRET:
		bind->source = arena_printf(a, FILES "/%s", v->name);
		bind->readonly = true;
		return;
	case VOLUME_HOST_PATH:
		bind->source = arena_printf(a, SPEC_SHARED "/host-%s", v->name);
		return;
	case VOLUME_EMPTY_DIR:
		break;
	}
	if (v->in_memory) {
		bind->source =
			arena_printf(a, "/run/kata-containers/sandbox/ephemeral/%s", v->name);
		*storage = (struct spec_storage){ "ephemeral", "tmpfs", "tmpfs", "", bind->source };
		if (v->size)
			storage->options =
				arena_printf(a, "size=%llu", (unsigned long long)v->size);
		return;
	}
	bind->source = arena_printf(a, SPEC_SHARED "/%s/rootfs/local/%s", p->m->name, v->name);
	bind->type = "local";
	*storage = (struct spec_storage){ "local", "local", "local", "mode=0777", bind->source };
}

static int
podspec_create_and_start(const struct podspec *p, struct arena *a,
			 const struct container_options *o, struct error *err)
{
	Grpc__CreateContainerRequest *create = spec_container(a, o);
	Grpc__StartContainerRequest start = GRPC__START_CONTAINER_REQUEST__INIT;

	if (!create)
		return error_nomem(err, "building the requests");
	start.container_id = podspec_text(o->id);
	if (podspec_call(p, "CreateContainer", &create->base, err) < 0)
		return -1;
	return podspec_call(p, "StartContainer", &start.base, err);
}
