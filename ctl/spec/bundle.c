/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OCI bundle.
 *
 *	config.json -> bundle_leave_out_...(): what is of the host -> bundle_add_volumes(): shares
 */
#include "ctl/spec/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/json/json.h"
#include "lib/cleanup.h"

/* Majors of character devices that have the same number in each kernel: memory, terminals, misc. */
enum {
	MAJOR_MEMORY = 1,
	MAJOR_TERMINAL = 5,
	MAJOR_MISC = 10,
};

static int bundle_find_root(struct bundle *b, const char *dir, struct error *err);
static int bundle_find_sources(struct bundle *b, const char *dir, struct error *err);
static void bundle_leave_out_hooks(struct bundle *b);
static void bundle_leave_out_devices(struct bundle *b);
static void bundle_leave_out_limits(struct bundle *b);
static int bundle_set_namespaces(struct bundle *b, struct error *err);

static int
bundle_invalid(const struct bundle *b, struct error *err)
{
	err->code = ERROR_INVALID_ARGUMENT;
	return error_wrap(err, "%s", b->file);
}

int
bundle_open(struct bundle *out, const char *dir, struct error *err)
{
	char absolute[PATH_MAX];
	json_t *json;
	int r;

	*out = (struct bundle){ 0 };
	if (!realpath(dir, absolute))
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to look up bundle %s",
				      dir);
	if ((size_t)snprintf(out->file, sizeof(out->file), "%s/config.json", absolute) >=
	    sizeof(out->file))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is too long a path", dir);
	json = json_read_file(out->file, err);
	if (!json)
		return -1;
	r = oci_config_read(&out->config, json, err);
	json_decref(json);
	if (r < 0)
		return bundle_invalid(out, err);
	if (!out->config.spec->process || !out->config.spec->linux) {
		error_set(err, ERROR_INVALID_ARGUMENT, "%s is missing",
			  out->config.spec->process ? "linux" : "process");
		return bundle_invalid(out, err);
	}
	bundle_leave_out_hooks(out);
	bundle_leave_out_devices(out);
	bundle_leave_out_limits(out);
	if (bundle_set_namespaces(out, err) < 0 || bundle_find_root(out, absolute, err) < 0 ||
	    bundle_find_sources(out, absolute, err) < 0)
		return bundle_invalid(out, err);
	return 0;
}

/* Writes a path that may be relative to the bundle. */
static int
bundle_path(const char *dir, const char *path, char *out, struct error *err)
{
	bool is_absolute = path[0] == '/';

	if ((size_t)snprintf(out, PATH_MAX, "%s%s%s", is_absolute ? "" : dir,
			     is_absolute ? "" : "/", path) >= PATH_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "too long a path");
	return 0;
}

static int
bundle_find_root(struct bundle *b, const char *dir, struct error *err)
{
	const Grpc__Root *root = b->config.spec->root;
	struct stat st;

	if (!root || !root->path[0])
		return error_set(err, ERROR_INVALID_ARGUMENT, "root.path is missing");
	if (bundle_path(dir, root->path, b->root, err) < 0)
		return error_wrap(err, "root.path");
	if (stat(b->root, &st) < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT,
				      "root.path: failed to look up %.200s", b->root);
	return 0;
}

/* ---- what is of the host ---- */

#define LEAVE_OUT_LIST(b, field, list, n)                                          \
	do {                                                                       \
		if ((n) > 0)                                                       \
			oci_config_ignore(&(b)->config, field);                    \
		for (size_t i_ = 0; i_ < (n); i_++)                                \
			protobuf_c_message_free_unpacked(&(list)[i_]->base, NULL); \
		(n) = 0;                                                           \
	} while (0)

/* Those of startContainer are programs of the container. */
static void
bundle_leave_out_hooks(struct bundle *b)
{
	Grpc__Hooks *h = b->config.spec->hooks;

	if (!h)
		return;
	LEAVE_OUT_LIST(b, "hooks.prestart", h->prestart, h->n_prestart);
	LEAVE_OUT_LIST(b, "hooks.createRuntime", h->createruntime, h->n_createruntime);
	LEAVE_OUT_LIST(b, "hooks.createContainer", h->createcontainer, h->n_createcontainer);
	LEAVE_OUT_LIST(b, "hooks.poststart", h->poststart, h->n_poststart);
	LEAVE_OUT_LIST(b, "hooks.poststop", h->poststop, h->n_poststop);
}

/* The number of another device means nothing to the guest's kernel, or a disk of the VM. */
static bool
bundle_device_is_common(const Grpc__LinuxDevice *d)
{
	if (strcmp(d->type, "p") == 0)
		return true;
	return (strcmp(d->type, "c") == 0 || strcmp(d->type, "u") == 0) &&
	       (d->major == MAJOR_MEMORY || d->major == MAJOR_TERMINAL || d->major == MAJOR_MISC);
}

static void
bundle_leave_out_devices(struct bundle *b)
{
	Grpc__Linux *l = b->config.spec->linux;
	size_t kept = 0;

	for (size_t i = 0; i < l->n_devices; i++) {
		if (bundle_device_is_common(l->devices[i])) {
			l->devices[kept++] = l->devices[i];
			continue;
		}
		oci_config_ignore(&b->config, "linux.devices[%zu]", i);
		grpc__linux_device__free_unpacked(l->devices[i], NULL);
	}
	l->n_devices = kept;
}

static void
bundle_leave_out_text(struct bundle *b, const char *field, char **text)
{
	if (!(*text)[0])
		return;
	oci_config_ignore(&b->config, "%s", field);
	(*text)[0] = '\0';
}

/* Processors, disks and cards have other numbers in the guest. */
static void
bundle_leave_out_limits(struct bundle *b)
{
	Grpc__Linux *l = b->config.spec->linux;
	Grpc__LinuxResources *r = l->resources;

	if (l->intelrdt) {
		oci_config_ignore(&b->config, "linux.intelRdt");
		grpc__linux_intel_rdt__free_unpacked(l->intelrdt, NULL);
		l->intelrdt = NULL;
	}
	if (r && r->network) {
		oci_config_ignore(&b->config, "linux.resources.network");
		grpc__linux_network__free_unpacked(r->network, NULL);
		r->network = NULL;
	}
	if (r && r->cpu) {
		bundle_leave_out_text(b, "linux.resources.cpu.cpus", &r->cpu->cpus);
		bundle_leave_out_text(b, "linux.resources.cpu.mems", &r->cpu->mems);
	}
	if (r && r->blockio) {
		Grpc__LinuxBlockIO *io = r->blockio;

		LEAVE_OUT_LIST(b, "linux.resources.blockIO.weightDevice", io->weightdevice,
			       io->n_weightdevice);
		LEAVE_OUT_LIST(b, "linux.resources.blockIO.throttleReadBpsDevice",
			       io->throttlereadbpsdevice, io->n_throttlereadbpsdevice);
		LEAVE_OUT_LIST(b, "linux.resources.blockIO.throttleWriteBpsDevice",
			       io->throttlewritebpsdevice, io->n_throttlewritebpsdevice);
		LEAVE_OUT_LIST(b, "linux.resources.blockIO.throttleReadIOPSDevice",
			       io->throttlereadiopsdevice, io->n_throttlereadiopsdevice);
		LEAVE_OUT_LIST(b, "linux.resources.blockIO.throttleWriteIOPSDevice",
			       io->throttlewriteiopsdevice, io->n_throttlewriteiopsdevice);
	}
}

/* The VM is what isolates the network and, between pods, processes; agents have namespaces of their
 * own for the latter. What the container shares with its host are the VM's, so that those without
 * which agents make no container are added. */
static int
bundle_set_namespaces(struct bundle *b, struct error *err)
{
	static const char *const needed[] = { "mount", "ipc", "uts" };
	Grpc__Linux *l = b->config.spec->linux;
	Grpc__LinuxNamespace **more;
	size_t kept = 0;

	for (size_t i = 0; i < l->n_namespaces; i++) {
		Grpc__LinuxNamespace *n = l->namespaces[i];

		if (n->path[0]) {
			oci_config_ignore(&b->config, "linux.namespaces[%zu].path", i);
			n->path[0] = '\0';
		}
		if (strcmp(n->type, "network") == 0 || strcmp(n->type, "pid") == 0)
			grpc__linux_namespace__free_unpacked(n, NULL);
		else
			l->namespaces[kept++] = n;
	}
	l->n_namespaces = kept;
	more = realloc(l->namespaces, (kept + ARRAY_LEN(needed)) * sizeof(*more));
	if (!more)
		return error_nomem(err, "reading a bundle");
	l->namespaces = more;
	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		Grpc__LinuxNamespace *n;
		size_t k = 0;

		while (k < kept && strcmp(more[k]->type, needed[i]) != 0)
			k++;
		if (k < kept)
			continue;
		n = malloc(sizeof(*n));
		if (!n)
			return error_nomem(err, "reading a bundle");
		grpc__linux_namespace__init(n);
		more[l->n_namespaces++] = n;
		n->type = strdup(needed[i]);
		if (!n->type)
			return error_nomem(err, "reading a bundle");
	}
	return 0;
}

/* ---- mounts ---- */

static bool
bundle_has_option(const Grpc__Mount *m, const char *option)
{
	for (size_t i = 0; i < m->n_options; i++)
		if (strcmp(m->options[i], option) == 0)
			return true;
	return false;
}

static bool
bundle_is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (!path[n] || path[n] == '/');
}

/* Returns whether the source of a bind mount is a file of the host. Kernel file systems and devices
 * are the guest's. */
static bool
bundle_is_shared(const char *source)
{
	if (bundle_is_below(source, "/dev/shm"))
		return true;
	return !bundle_is_below(source, "/proc") && !bundle_is_below(source, "/sys") &&
	       !bundle_is_below(source, "/dev");
}

static bool
bundle_is_bind(const Grpc__Mount *m)
{
	return strcmp(m->type, "bind") == 0 || bundle_has_option(m, "bind") ||
	       bundle_has_option(m, "rbind");
}

/* Makes the sources of bind mounts absolute. Other file systems are the guest's. */
static int
bundle_find_sources(struct bundle *b, const char *dir, struct error *err)
{
	const Grpc__Spec *spec = b->config.spec;
	char path[PATH_MAX];

	for (size_t i = 0; i < spec->n_mounts; i++) {
		Grpc__Mount *m = spec->mounts[i];

		if (!bundle_is_bind(m)) {
			if (m->source[0] == '/' && bundle_is_shared(m->source))
				return error_set(err, ERROR_INVALID_ARGUMENT,
						 "mounts[%zu]: %.200s of the host cannot be "
						 "mounted as %.40s: only bind mounts can",
						 i, m->source, m->type);
			continue;
		}
		if (!m->source[0])
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "mounts[%zu].source is missing", i);
		if (bundle_path(dir, m->source, path, err) < 0)
			return error_wrap(err, "mounts[%zu].source", i);
		if (m->source[0] == '/')
			continue;
		free(m->source);
		m->source = strdup(path);
		if (!m->source)
			return error_nomem(err, "reading a bundle");
	}
	return 0;
}

int
bundle_add_volumes(struct bundle *b, struct volume *list, size_t *n, struct error *err)
{
	const Grpc__Spec *spec = b->config.spec;
	size_t given = *n;

	b->volumes = calloc(spec->n_mounts + 1, sizeof(*b->volumes));
	if (!b->volumes)
		return error_nomem(err, "reading a bundle");
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const Grpc__Mount *m = spec->mounts[i];
		size_t k = 0;

		while (k < given && strcmp(list[k].target, m->destination) != 0)
			k++;
		b->volumes[i] = k < given ? SPEC_MOUNT_REPLACED : SPEC_MOUNT_AS_IT_IS;
		if (k < given || !bundle_is_bind(m) || !bundle_is_shared(m->source))
			continue;
		if (*n == SPEC_VOLUMES_MAX) {
			error_set(err, ERROR_INVALID_ARGUMENT,
				  "mounts[%zu]: too many volumes and devices: at most %d", i,
				  SPEC_VOLUMES_MAX);
			return bundle_invalid(b, err);
		}
		if (volume_bind(&list[*n], m->source, m->destination, bundle_has_option(m, "ro"),
				err) < 0) {
			error_wrap(err, "mounts[%zu]", i);
			return bundle_invalid(b, err);
		}
		b->volumes[i] = (int)(*n)++;
	}
	return 0;
}

void
bundle_release(struct bundle *b)
{
	oci_config_release(&b->config);
	free(b->volumes);
	b->volumes = NULL;
}
