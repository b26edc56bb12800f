/* SPDX-License-Identifier: Apache-2.0 */
/* Translating a pod's description to requests. */
#include "ctl/pod/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/pod/files.h"
#include "ctl/pod/message.h"
#include "ctl/pod/security.h"
#include "ctl/spec/network.h"
#include "ctl/spec/spec.h"
#include "ctl/vm/find.h"
#include "ctl/vm/record.h"
#include "lib/cleanup.h"
#include "lib/ttrpc/client.h"

#define FILES       SPEC_SHARED "/kubelet"
#define EMPTY_DIRS  "/run/kata-containers/sandbox/ephemeral"
#define REQUEST_MAX (4u << 20)
#define ID_MAX      160
/* the mounts that each container has: hosts, hostname, resolv.conf, the termination message */
#define OWN_MOUNTS 4

static int podspec_add_share(struct vm_options *vm, enum share_kind kind, const char *path,
			     bool may_be_image, bool readonly, struct error *err);
static int podspec_check_copy(const struct manifest *m, size_t volume, const struct vm_share *share,
			      struct error *err);
static bool podspec_is_shared(const struct manifest_volume *v);
static int podspec_share_volume(struct manifest_volume *v, enum share_kind kind,
				struct vm_options *vm, struct error *err);
static int podspec_make_sandbox(const struct podspec *p, struct arena *a, struct error *err);
static int podspec_start_pause(const struct podspec *p, struct arena *a, struct error *err);
static int podspec_start_request(const struct podspec *p, Grpc__CreateContainerRequest *create,
				 struct error *err);

static int
podspec_call(const struct podspec *p, const char *method, const ProtobufCMessage *request,
	     struct error *err)
{
	if (ttrpc_client_call(p->client, &grpc__agent_service__descriptor, method, request,
			      p->vm->call_timeout_ms, NULL, err) < 0)
		return error_wrap(err, "%s", method);
	return 0;
}

void
podspec_id(const struct podspec *p, size_t i, char *out, size_t size)
{
	(void)snprintf(out, size, "%.63s-%.63s", p->m->name, p->m->containers[i].name);
}

/* ---- images and shares ---- */

/* Returns whether an option's name is that of an image: the same text; or the same without the
 * image's tag and digest; or without its registry, too. */
static bool
podspec_is_image(const struct podspec_image *option, const char *image)
{
	const char *base = strrchr(image, '/');
	const char *colon;
	size_t n = strcspn(image, "@");

	if (strlen(image) == option->n_name && strncmp(image, option->name, option->n_name) == 0)
		return true;
	base = base && base < image + n ? base + 1 : image;
	colon = memchr(base, ':', n - (size_t)(base - image));
	if (colon)
		n = (size_t)(colon - image);
	if (n == option->n_name && strncmp(image, option->name, n) == 0)
		return true;
	n -= (size_t)(base - image);
	return n == option->n_name && strncmp(base, option->name, n) == 0;
}

int
podspec_image_path(const struct podspec_image *options, size_t n, const char *dir,
		   const char *image, char *out, size_t size)
{
	static const char *const prefixes[] = { "oci-archive:", "docker-archive:", "oci:", "dir:",
						"" };
	const char *path = image, *prefix = "";

	for (size_t i = 0; i < n; i++)
		if (podspec_is_image(&options[i], image))
			return (size_t)snprintf(out, size, "%s", options[i].path) < size ? 0 : -1;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (strncmp(image, prefixes[i], strlen(prefixes[i])) == 0) {
			prefix = prefixes[i];
			path = image + strlen(prefix);
			break;
		}
	}
	*out = '\0';
	/* No name in a registry begins with these. */
	if (!*prefix && path[0] != '/' && path[0] != '.')
		return 0;
	return (size_t)snprintf(out, size, "%s%s%s%s", prefix, path[0] == '/' ? "" : dir,
				path[0] == '/' ? "" : "/", path) < size
		       ? 0
		       : -1;
}

static int
podspec_open_image(struct image *image, const struct podspec_image *options, size_t n,
		   const char *dir, const char *arch, const char *name, unsigned int pull,
		   struct error *err)
{
	char path[PATH_MAX + 16];

	*image = (struct image){ .lock = -1 };
	if (podspec_image_path(options, n, dir, name, path, sizeof(path)) < 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "the path is too long");
	if (path[0])
		return image_open(image, path, arch, err);
	if (cache_is_reference(name))
		return image_open(image, name, arch, err);
	if (image_open_named(image, name, arch, (enum image_pull)pull, err) == 0)
		return 0;
	return error_wrap(err, "not given by --image%s",
			  pull == IMAGE_PULL_NEVER ? ", and imagePullPolicy is Never" : "");
}

int
podspec_open_images(struct manifest *m, const struct podspec_image *options, size_t n,
		    const char *dir, const char *arch, struct image *images, struct error *err)
{
	for (size_t i = 0; i < m->n_containers; i++) {
		struct manifest_container *c = &m->containers[i];

		if (podspec_open_image(&images[i], options, n, dir, arch, c->image, c->pull, err) <
			    0 ||
		    podspec_apply_image(m, c, &images[i], err) < 0) {
			err->code = ERROR_INVALID_ARGUMENT;
			return error_wrap(err, "line %u: spec.%s[%zu].image", c->line,
					  c->is_init ? "initContainers" : "containers",
					  c->is_init ? i : i - m->n_init);
		}
	}
	for (size_t i = 0; i < m->n_volumes; i++) {
		struct manifest_volume *v = &m->volumes[i];
		struct image *image = &images[m->n_containers + i];

		if (v->kind != VOLUME_IMAGE)
			continue;
		if (podspec_open_image(image, options, n, dir, arch, v->path, v->pull, err) < 0) {
			err->code = ERROR_INVALID_ARGUMENT;
			return error_wrap(err, "line %u: spec.volumes[%zu].image.reference",
					  v->line, i);
		}
		v->path = image->path;
	}
	return 0;
}

int
podspec_take_over(struct manifest *m, const struct manifest *former, const struct image *images,
		  struct error *err)
{
	for (size_t i = 0; i < m->n_containers; i++)
		if (podspec_apply_image(m, &m->containers[i], &images[i], err) < 0)
			return -1;
	for (size_t i = 0; i < m->n_volumes; i++) {
		m->volumes[i].path = former->volumes[i].path;
		memcpy(m->volumes[i].file, former->volumes[i].file, sizeof(m->volumes[i].file));
	}
	return 0;
}

/* Counts the entries of a list that ends with NULL, or is NULL. */
static size_t
podspec_count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* Sets user and groups as a kubelet and containerd do: the image's user counts unless there is
 * runAsUser, but the group in "USER:GROUP" does not. The image's files say which groups a user
 * has. */
static int
podspec_apply_user(struct manifest_container *c, const struct image *image, struct error *err)
{
	const char *name = image->has_config ? image->config.user : "";
	struct account account;
	char user[256];

	if (c->uid >= 0)
		(void)snprintf(user, sizeof(user), "%lld", (long long)c->uid);
	else
		(void)snprintf(user, sizeof(user), "%.*s", (int)strcspn(name, ":"), name);
	if (image_find_user(image, user, &account, err) < 0)
		return -1;
	c->uid = account.uid;
	c->gid = c->gid < 0 ? (int64_t)account.gid : c->gid;
	memcpy(c->image_groups, account.groups, account.n_groups * sizeof(c->image_groups[0]));
	c->n_image_groups = account.n_groups;
	return 0;
}

int
podspec_apply_image(struct manifest *m, struct manifest_container *c, const struct image *image,
		    struct error *err)
{
	const struct image_config *config = &image->config;
	size_t n = c->n_env;

	c->has_read_only_image = image->has_config;
	if (image->has_config) {
		/* As in Kubernetes, a command also replaces the arguments of the image. */
		if (!c->command) {
			if (!c->args && podspec_count(config->cmd))
				c->args = (const char **)(uintptr_t)config->cmd;
			if (podspec_count(config->entrypoint))
				c->command = (const char **)(uintptr_t)config->entrypoint;
		}
		c->env = (char **)(uintptr_t)image_env(config, (const char *const *)c->env, &n,
						       &m->texts);
		if (!c->env)
			return error_nomem(err, "reading an image");
		c->n_env = n;
		if (!c->cwd && config->cwd[0])
			c->cwd = config->cwd;
		if (!c->stop_signal && config->stop_signal[0])
			c->stop_signal = image_signal(config->stop_signal);
	}
	if (podspec_apply_user(c, image, err) < 0)
		return -1;
	if (c->run_as_non_root && c->uid == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "runAsNonRoot, but its user is 0");
	if (!c->command && (!image->has_config || !c->args))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%.100s names no program, and command is missing", c->image);
	c->image = image->path;
	return 0;
}

int
podspec_shares(struct manifest *m, const char *files, enum share_kind kind, bool writable,
	       struct vm_options *vm, struct error *err)
{
	for (size_t i = 0; i < m->n_containers; i++) {
		bool readonly = !writable || m->containers[i].has_read_only_image;

		if (podspec_add_share(vm, kind, m->containers[i].image, true, readonly, err) < 0)
			return error_wrap(err, "image of container %s", m->containers[i].name);
		if (vm->shares[i].is_copied && !readonly)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "--writable: the image of container %s would be copied "
					 "to a disk",
					 m->containers[i].name);
	}
	if (podspec_add_share(vm, kind, files, false, false, err) < 0)
		return -1;
	for (size_t i = 0; i < m->n_volumes; i++)
		if (podspec_is_shared(&m->volumes[i]) &&
		    (podspec_share_volume(&m->volumes[i], kind, vm, err) < 0 ||
		     podspec_check_copy(m, i, &vm->shares[vm->n_shares - 1], err) < 0))
			return error_wrap(err, "line %u: volume %s", m->volumes[i].line,
					  m->volumes[i].name);
	return 0;
}

/* Checks that nothing is written to a directory that is copied: the host would not see it. */
static int
podspec_check_copy(const struct manifest *m, size_t volume, const struct vm_share *share,
		   struct error *err)
{
	for (size_t i = 0; share->is_copied && i < m->n_containers; i++)
		for (size_t k = 0; k < m->containers[i].n_mounts; k++)
			if (m->containers[i].mounts[k].volume == volume &&
			    !m->containers[i].mounts[k].read_only && !m->volumes[volume].read_only)
				return error_set(err, ERROR_INVALID_ARGUMENT,
						 "%s would be copied to a disk, which is possible "
						 "only with readOnly",
						 m->volumes[volume].path);
	return 0;
}

/* Returns whether a volume is a share of the host. */
static bool
podspec_is_shared(const struct manifest_volume *v)
{
	return v->kind == VOLUME_HOST_PATH || v->kind == VOLUME_IMAGE;
}

static int
podspec_add_share(struct vm_options *vm, enum share_kind kind, const char *path, bool may_be_image,
		  bool readonly, struct error *err)
{
	struct vm_share *s = &vm->shares[vm->n_shares];
	struct stat st;

	if (vm->n_shares == VM_SHARES_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "too many containers and volumes of the host: at most %d",
				 VM_SHARES_MAX - 1);
	if (!realpath(path, s->path) || stat(s->path, &st) < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to look up %s", path);
	if (!S_ISDIR(st.st_mode) && !(may_be_image && S_ISREG(st.st_mode)))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not a directory%s", path,
				 may_be_image ? " or an image" : "");
	s->kind = S_ISDIR(st.st_mode) ? kind : SHARE_BLK;
	s->readonly = readonly;
	s->is_copied = s->kind == SHARE_BLK && S_ISDIR(st.st_mode);
	if (s->kind == SHARE_BLK && !s->is_copied) {
		s->fstype = find_fstype(s->path, err);
		if (!s->fstype)
			return -1;
		if (strcmp(s->fstype, "erofs") == 0 || strcmp(s->fstype, "squashfs") == 0)
			s->readonly = true;
	}
	vm->n_shares++;
	return 0;
}

/* Shares an image, a directory of the host, or that of a file. */
static int
podspec_share_volume(struct manifest_volume *v, enum share_kind kind, struct vm_options *vm,
		     struct error *err)
{
	char dir[PATH_MAX], name[PATH_MAX];
	struct stat st;

	if (v->kind == VOLUME_IMAGE)
		return podspec_add_share(vm, kind, v->path, true, true, err);
	if (v->make && v->is_directory && mkdir(v->path, 0755) < 0 && errno != EEXIST)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to create %s", v->path);
	if (v->make && v->is_file) {
		auto_close int fd = open(v->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

		if (fd < 0)
			return error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to create %s",
					      v->path);
	}
	if (stat(v->path, &st) < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to look up %s", v->path);
	if ((v->is_file && !S_ISREG(st.st_mode)) || (v->is_directory && !S_ISDIR(st.st_mode)))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not a %s", v->path,
				 v->is_file ? "file" : "directory");
	if (!S_ISREG(st.st_mode) || v->may_be_disk)
		return podspec_add_share(vm, kind, v->path, v->may_be_disk, v->read_only, err);
	(void)snprintf(dir, sizeof(dir), "%s", v->path);
	(void)snprintf(name, sizeof(name), "%s", v->path);
	(void)snprintf(v->file, sizeof(v->file), "%.255s", basename(name));
	if (podspec_add_share(vm, kind, dirname(dir), false, false, err) < 0)
		return -1;
	(void)snprintf(vm->shares[vm->n_shares - 1].copied_file, sizeof(v->file), "%s", v->file);
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

/* Gives the disks of claims to the pod's group. Directories of the host are left alone. Returns -1
 * if out of memory. */
static int
podspec_give_disks(const struct podspec *p, struct arena *a, Grpc__CreateSandboxRequest *r)
{
	const struct manifest *m = p->m;
	const struct vm_share *share = &p->vm->shares[m->n_containers + 1];
	/* The last storages are those of the volumes. */
	size_t at = r->n_storages;

	for (size_t i = 0; i < m->n_volumes; i++)
		at -= podspec_is_shared(&m->volumes[i]);
	for (size_t i = 0; i < m->n_volumes; i++) {
		Grpc__FSGroup *group;

		if (!podspec_is_shared(&m->volumes[i]))
			continue;
		if (share->kind >= SHARE_BLK && !share->is_copied && !share->readonly &&
		    m->fs_group >= 0) {
			group = arena_alloc(a, sizeof(*group));
			if (!group)
				return -1;
			grpc__fsgroup__init(group);
			group->group_id = (uint32_t)m->fs_group;
			if (m->fs_group_on_mismatch)
				group->group_change_policy =
					TYPES__FSGROUP_CHANGE_POLICY__OnRootMismatch;
			r->storages[at]->fs_group = group;
		}
		share++;
		at++;
	}
	return 0;
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
		if (podspec_is_shared(&m->volumes[i]))
			points[n++] = arena_printf(a, SPEC_SHARED "/host-%s", m->volumes[i].name);
	if (!m->has_own_dns && p->vm->nic && p->vm->configure_nic)
		dns[n_dns++] = "nameserver " VM_DNS;
	for (size_t i = 0; i < m->n_dns; i++)
		dns[n_dns++] = m->dns[i];
	if (!r || spec_sandbox_add(a, r, shares, points, n, dns, n_dns) < 0 ||
	    podspec_give_disks(p, a, r) < 0)
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

	Grpc__CreateContainerRequest *create = spec_container(a, &o);

	if (!create || podspec_set_sysctls(p->m, a, create->oci->linux) < 0)
		return error_nomem(err, "building the requests");
	return podspec_start_request(p, create, err) < 0 ? error_wrap(err, "pause container") : 0;
}

int
podspec_set_sysctls(const struct manifest *m, struct arena *a, Grpc__Linux *linux)
{
	linux->sysctl = arena_zalloc(a, m->n_sysctls + 1, sizeof(*linux->sysctl));
	if (!linux->sysctl)
		return -1;
	for (size_t i = 0; i < m->n_sysctls; i++) {
		Grpc__Linux__SysctlEntry *e = arena_alloc(a, sizeof(*e));

		if (!e)
			return -1;
		grpc__linux__sysctl_entry__init(e);
		e->key = (char *)(uintptr_t)m->sysctls[i].name;
		e->value = (char *)(uintptr_t)m->sysctls[i].value;
		linux->sysctl[linux->n_sysctl++] = e;
	}
	return 0;
}

/* ---- a container ---- */

bool
podspec_is_live(const struct podspec *p)
{
	return !p->vm->shares[p->m->n_containers].is_copied;
}

int
podspec_start(const struct podspec *p, size_t i, unsigned int run, struct error *err)
{
	Grpc__CreateContainerRequest *create;
	struct arena a;
	char name[128];
	int r;

	arena_init(&a, REQUEST_MAX);
	create = podspec_container(p, &a, i, run);
	message_name(p->m->containers[i].name, run, name, sizeof(name));
	/* `exec` and `attach` start from the record. */
	if ((podspec_is_live(p) && message_make(p->files, name, err) < 0) ||
	    (create && p->dir && record_request(p->dir, create, err) < 0))
		r = -1;
	else
		r = podspec_start_request(p, create, err);
	arena_release(&a);
	return r < 0 ? error_wrap(err, "container %s", p->m->containers[i].name) : 0;
}

/* Adds a storage to the request, unless it is there already. */
static void
podspec_add_storage(struct spec_pod *pod, struct spec_storage *storages, const char *driver,
		    const char *fstype, const char *options, const char *point)
{
	for (size_t i = 0; i < pod->n_storages; i++)
		if (point && strcmp(storages[i].mount_point, point) == 0)
			return;
	storages[pod->n_storages++] =
		(struct spec_storage){ driver, fstype, fstype, options, point ? point : "" };
}

/* Returns the directory of the pod's files in the guest, or NULL. */
static const char *
podspec_files(const struct podspec *p, struct arena *a)
{
	return p->number ? arena_printf(a, FILES "/pod-%u", p->number) : FILES;
}

/* Translates a volume of the pod to a mount of one of its containers, and to storages of that which
 * do not belong to the sandbox. Returns -1 if out of memory. */
static int
podspec_place_volume(const struct podspec *p, struct arena *a, const struct manifest_mount *mount,
		     struct spec_pod *pod, struct spec_bind *bind, struct spec_storage *storages)
{
	const struct manifest_volume *v = &p->m->volumes[mount->volume];
	const char *sub = mount->sub_path;
	const char *slash = *sub ? "/" : "";
	const char *group = "", *base, *options, *files = podspec_files(p, a);
	/* An empty directory of one pod is not that of the next. */
	const char *number = p->number ? arena_printf(a, "-%u", p->number) : "";

	if (!files || !number)
		return -1;
	*bind = (struct spec_bind){ .target = mount->path,
				    .type = "bind",
				    .readonly = mount->read_only || v->read_only };
	switch (v->kind) {
	case VOLUME_FILES:
		bind->readonly = true;
		bind->source =
			*sub ? arena_printf(a,
					    "%s/" PODFILES_VOLUME "%s/" PODFILES_GENERATION "/%s",
					    files, v->name, sub)
			     : arena_printf(a, "%s/" PODFILES_VOLUME "%s", files, v->name);
		return bind->source ? 0 : -1;
	case VOLUME_IMAGE:
		bind->no_exec = true;
		/* fall through */
	case VOLUME_HOST_PATH:
		bind->source = arena_printf(a, SPEC_SHARED "/host-%s%s%s%s%s", v->name,
					    v->file[0] ? "/" : "", v->file, slash, sub);
		return bind->source ? 0 : -1;
	case VOLUME_EMPTY_DIR:
		break;
	}
	if (p->m->fs_group >= 0)
		group = arena_printf(a, "fsgid=%lld", (long long)p->m->fs_group);
	if (!group)
		return -1;
	if (v->in_memory) {
		base = arena_printf(a, EMPTY_DIRS "/%s%s", v->name, number);
		options = v->size ? arena_printf(a, "size=%llu%s%s", (unsigned long long)v->size,
						 *group ? "," : "", group)
				  : group;
		podspec_add_storage(pod, storages, "ephemeral", "tmpfs", options, base);
	} else {
		base = arena_printf(a, SPEC_SHARED "/%s/rootfs/local/%s%s", p->m->name, v->name,
				    number);
		options = arena_printf(a, "mode=0777%s%s", *group ? "," : "", group);
		bind->type = "local";
		podspec_add_storage(pod, storages, "local", "local", options, base);
	}
	bind->source = base && options ? arena_printf(a, "%s%s%s", base, slash, sub) : NULL;
	if (!bind->source)
		return -1;
	/* The directory in the volume is made if it is missing. */
	if (*sub)
		podspec_add_storage(pod, storages, "local", "local",
				    *group ? arena_printf(a, "mode=0755,%s", group) : "mode=0755",
				    bind->source);
	return 0;
}

/* Fills the options that describe a process of a container. Returns -1 if out of memory. */
static int
podspec_describe(const struct podspec *p, struct arena *a, size_t i, struct container_options *o)
{
	const struct manifest_container *c = &p->m->containers[i];
	const char **args = arena_zalloc(a, PODSPEC_ARGS_MAX + 1, sizeof(*args));
	const char **env = arena_zalloc(a, c->n_env + 3, sizeof(*env));
	char *id = arena_alloc(a, ID_MAX);
	size_t n = 0;

	if (!args || !env || !id)
		return -1;
	podspec_id(p, i, id, ID_MAX);
	for (const char **word = c->command; word && *word; word++)
		args[n++] = *word;
	for (const char **word = c->args; word && *word; word++)
		args[n++] = *word;
	*o = (struct container_options){
		.id = id,
		.hostname = p->m->hostname,
		.args = (char *const *)(uintptr_t)args,
		.env = env,
		.cwd = c->cwd ? c->cwd : "/",
		.uid = c->uid >= 0 ? (uint32_t)c->uid : 0,
		.gid = c->gid >= 0 ? (uint32_t)c->gid : 0,
		.terminal = c->terminal,
		.read_only = c->read_only,
		.privileged = c->privileged,
		.has_layer = !p->writable || c->has_read_only_image,
		.shares = &p->vm->shares[i],
	};
	env[o->n_env++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	env[o->n_env] = arena_printf(a, "HOSTNAME=%s", p->m->hostname);
	if (!env[o->n_env++])
		return -1;
	/* Of several with one name, programs may take any: only the last remains. */
	for (size_t k = 0; k < c->n_env; k++) {
		size_t length = strcspn(c->env[k], "=") + 1, at = 0;

		while (at < o->n_env && strncmp(env[at], c->env[k], length) != 0)
			at++;
		env[at] = c->env[k];
		o->n_env += at == o->n_env;
	}
	return 0;
}

Grpc__CreateContainerRequest *
podspec_container(const struct podspec *p, struct arena *a, size_t i, unsigned int run)
{
	const struct manifest_container *c = &p->m->containers[i];
	struct spec_bind *binds = arena_zalloc(a, MANIFEST_MOUNTS_MAX + OWN_MOUNTS, sizeof(*binds));
	/* A mount of a directory in a volume has two. */
	struct spec_storage *storages =
		arena_zalloc(a, (size_t)2 * MANIFEST_MOUNTS_MAX, sizeof(*storages));
	struct spec_pod pod = {
		.sandbox = p->m->name,
		.name = c->name,
		.share_pids = p->m->share_pids,
		.memory = c->memory,
		.milli = c->milli,
		.binds = binds,
		.storages = storages,
	};
	Grpc__CreateContainerRequest *create;
	struct container_options o;
	const char *files = podspec_files(p, a);
	const char *message, *hosts, *hostname;
	char name[128];

	message_name(c->name, run, name, sizeof(name));
	message = files ? arena_printf(a, "%s/%s", files, name) : NULL;
	hosts = files ? arena_printf(a, "%s/hosts", files) : NULL;
	hostname = files ? arena_printf(a, "%s/hostname", files) : NULL;
	if (!binds || !storages || !message || !hosts || !hostname ||
	    podspec_describe(p, a, i, &o) < 0)
		return NULL;
	o.pod = &pod;
	binds[pod.n_binds++] = (struct spec_bind){ "/etc/hosts", "bind", hosts, c->read_only };
	binds[pod.n_binds++] =
		(struct spec_bind){ "/etc/hostname", "bind", hostname, c->read_only };
	if (p->m->n_dns || (p->vm->nic && p->vm->configure_nic))
		binds[pod.n_binds++] = (struct spec_bind){ "/etc/resolv.conf", "bind",
							   NETWORK_RESOLV_CONF, c->read_only };
	for (size_t v = 0; v < c->n_mounts; v++)
		if (podspec_place_volume(p, a, &c->mounts[v], &pod, &binds[pod.n_binds++],
					 storages) < 0)
			return NULL;
	/* As with a kubelet, the last one: the path may be in a volume. */
	if (podspec_is_live(p))
		binds[pod.n_binds++] =
			(struct spec_bind){ c->message_path, "bind", message, false };
	create = spec_container(a, &o);
	if (!create || security_apply_process(p->m, c, a, create->oci->process) < 0)
		return NULL;
	/* That of the sandbox is the first pod's. */
	if (p->number)
		create->oci->hostname = (char *)(uintptr_t)p->m->hostname;
	create->oci->linux->seccomp = c->seccomp.profile;
	if (c->has_unmasked_proc)
		create->oci->linux->n_maskedpaths = create->oci->linux->n_readonlypaths = 0;
	if (c->requested_milli)
		create->oci->linux->resources->cpu->shares =
			(c->requested_milli * 1024ull + 999) / 1000;
	return create;
}

static int
podspec_start_request(const struct podspec *p, Grpc__CreateContainerRequest *create,
		      struct error *err)
{
	Grpc__StartContainerRequest start = GRPC__START_CONTAINER_REQUEST__INIT;

	if (!create)
		return error_nomem(err, "building the requests");
	start.container_id = create->container_id;
	if (podspec_call(p, "CreateContainer", &create->base, err) < 0)
		return -1;
	return podspec_call(p, "StartContainer", &start.base, err);
}

Grpc__ExecProcessRequest *
podspec_exec(const struct podspec *p, struct arena *a, size_t i,
	     const struct manifest_action *action, const char *exec_id)
{
	const struct manifest_container *c = &p->m->containers[i];
	Grpc__ExecProcessRequest *r = arena_alloc(a, sizeof(*r));
	struct container_options o;

	if (!r || podspec_describe(p, a, i, &o) < 0)
		return NULL;
	grpc__exec_process_request__init(r);
	r->container_id = arena_strdup(a, action->is_request ? p->m->name : o.id);
	r->exec_id = arena_strdup(a, exec_id);
	o.args = (char *const *)(uintptr_t)action->args;
	o.terminal = false;
	if (action->is_request) {
		o.cwd = "/";
		o.uid = o.gid = 65535;
		o.n_env = 0;
	}
	r->process = spec_process(a, &o);
	if (!r->process || !r->container_id || !r->exec_id)
		return NULL;
	if (action->is_request)
		r->process->capabilities = NULL;
	else if (security_apply_process(p->m, c, a, r->process) < 0)
		return NULL;
	return r;
}
