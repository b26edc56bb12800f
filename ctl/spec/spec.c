/* SPDX-License-Identifier: Apache-2.0 */
/* The OCI spec that `tatamictl run` sends: the one containerd writes for a plain container,
 * without the parts that a Kata runtime removes. */
#include "ctl/spec/spec.h"

#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"

/* A driver option of overlayfs: a directory that the agent creates first. */
#define CREATE_OPTION "io.katacontainers.volume.overlayfs.create_directory="

/* Default capabilities of container engines. */
static const char *const default_caps[] = {
	"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
	"CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
	"CAP_KILL",    "CAP_AUDIT_WRITE",
};
static const char *const all_caps[] = {
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
static const char *const masked[] = {
	"/proc/acpi",          "/proc/asound",     "/proc/kcore",       "/proc/keys",
	"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
	"/proc/scsi",          "/sys/firmware",
};
static const char *const readonly[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

/* Default mounts; options are separated by commas. */
static const struct {
	const char *target, *type, *source, *options;
} default_mounts[] = {
	{ "/proc", "proc", "proc", "nosuid,noexec,nodev" },
	{ "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k" },
	{ "/dev/pts", "devpts", "devpts",
	  "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5" },
	{ "/dev/shm", "bind", "/run/kata-containers/sandbox/shm", "rbind" },
	{ "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev" },
	{ "/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro" },
	{ "/sys/fs/cgroup", "cgroup", "cgroup", "ro,nosuid,noexec,nodev" },
};

/* Requests are allocated in an arena; a failed allocation is recorded and reported at the end. */
struct maker {
	struct arena *arena;
	bool failed;
};

static Grpc__Process *spec_new_process(struct maker *m, const struct container_options *o);
static Grpc__Linux *spec_new_linux(struct maker *m, const struct container_options *o);
static void spec_take_bundle(struct maker *m, const struct container_options *o, Grpc__Spec *spec);
static void spec_add_mounts(struct maker *m, const struct container_options *o, Grpc__Spec *spec);
static void spec_add_volume_mount(struct maker *m, const struct container_options *o, size_t i,
				  Grpc__Spec *spec);
static char *spec_volume_point(struct maker *m, const char *id, size_t i);
static char *spec_watched_point(struct maker *m, const char *id, size_t i);
static void spec_join_pod(struct maker *m, const struct spec_pod *pod,
			  Grpc__CreateContainerRequest *r);

static void *
spec_make(struct maker *m, size_t n, size_t size)
{
	void *p = arena_zalloc(m->arena, n ? n : 1, size);

	if (!p)
		m->failed = true;
	return p;
}

static char *
spec_copy(struct maker *m, const char *s)
{
	char *p = arena_strdup(m->arena, s);

	if (!p)
		m->failed = true;
	return p;
}

static char **
spec_copy_list(struct maker *m, const char *const *list, size_t n, size_t *n_out)
{
	char **out = spec_make(m, n, sizeof(*out));

	*n_out = out ? n : 0;
	for (size_t i = 0; out && i < n; i++)
		out[i] = spec_copy(m, list[i]);
	return out;
}

static char **
spec_split(struct maker *m, const char *text, size_t *n_out)
{
	const char *parts[16];
	size_t n = 0;
	char *s = spec_copy(m, text);

	*n_out = 0;
	if (!s)
		return NULL;
	for (char *save = NULL, *part = strtok_r(s, ",", &save); part && n < ARRAY_LEN(parts);
	     part = strtok_r(NULL, ",", &save))
		parts[n++] = part;
	return spec_copy_list(m, parts, n, n_out);
}

#define NEW(m, type, init_fn)                                 \
	({                                                    \
		type *new_ = spec_make((m), 1, sizeof(type)); \
		if (new_)                                     \
			init_fn(new_);                        \
		new_;                                         \
	})

static Grpc__Storage *
spec_new_storage(struct maker *m, const char *driver, const char *source, const char *fstype,
		 const char *options, const char *mount_point)
{
	Grpc__Storage *s = NEW(m, Grpc__Storage, grpc__storage__init);

	if (!s)
		return NULL;
	s->driver = spec_copy(m, driver);
	s->source = spec_copy(m, source);
	s->fstype = spec_copy(m, fstype);
	s->mount_point = spec_copy(m, mount_point);
	s->options = spec_split(m, options, &s->n_options);
	return s;
}

/* Returns the name of the storage driver and type of device of a disk. */
static const char *
spec_disk_driver(const struct vm_share *s)
{
	switch (s->kind) {
	case SHARE_SCSI:
		return "scsi";
	case SHARE_NVDIMM:
	case SHARE_PMEM:
		return "nvdimm";
	default:
		return s->tag[0] == '/' ? "mmioblk" : "blk";
	}
}

/* Returns the storage that mounts a share in the guest. */
static Grpc__Storage *
spec_share_storage(struct maker *m, const struct vm_share *s, const char *mount_point)
{
	switch (s->kind) {
	case SHARE_9P:
		return spec_new_storage(
			m, "9p", s->tag, "9p",
			s->readonly
				? "trans=virtio,version=9p2000.L,msize=512000,cache=mmap,nodev,ro"
				: "trans=virtio,version=9p2000.L,msize=512000,cache=mmap,nodev",
			mount_point);
	case SHARE_VIRTIOFS:
		return spec_new_storage(m, "virtio-fs", s->tag, "virtiofs",
					s->readonly ? "nodev,ro" : "nodev", mount_point);
	case SHARE_BLK:
	case SHARE_SCSI:
	case SHARE_NVDIMM:
	case SHARE_PMEM:
		return spec_new_storage(m, s->is_named ? "blk" : spec_disk_driver(s), s->tag,
					s->fstype ? s->fstype : "", s->readonly ? "ro" : "",
					mount_point);
	}
	return NULL;
}

/* Adds the storages that become the container's root, and the last of which is mounted there. */
static void
spec_add_root_storages(struct maker *m, const struct container_options *o, const char *root,
		       Grpc__CreateContainerRequest *r)
{
	const char *lower = arena_printf(m->arena, SPEC_SHARED "/%s/lower", o->id);
	const char *scratch = arena_printf(m->arena, SPEC_SHARED "/%s/scratch", o->id);
	/* The container's own directory in the guest's memory, which is removed with it. */
	const char *layer =
		o->scratch ? scratch : arena_printf(m->arena, SPEC_CONTAINERS "/%s", o->id);
	Grpc__Storage *overlay;
	const char *options;

	if (!o->has_layer) {
		r->storages[r->n_storages++] = spec_share_storage(m, &o->shares[0], root);
		return;
	}
	/* The option for a layer in memory is no choice: some agents pass it on to the kernel. */
	options = lower && layer
			  ? arena_printf(m->arena, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work",
					 lower, layer, layer)
			  : NULL;
	if (!scratch || !options) {
		m->failed = true;
		return;
	}
	r->storages[r->n_storages++] = spec_share_storage(m, &o->shares[0], lower);
	if (o->scratch)
		r->storages[r->n_storages++] = spec_share_storage(m, o->scratch, scratch);
	overlay = spec_new_storage(m, "overlayfs", "overlay", "overlay", options, root);
	r->storages[r->n_storages++] = overlay;
	if (!overlay)
		return;
	overlay->driver_options = spec_make(m, 2, sizeof(*overlay->driver_options));
	for (size_t i = 0; overlay->driver_options && i < 2; i++) {
		char *option = arena_printf(m->arena, CREATE_OPTION "%s/%s", layer,
					    i == 0 ? "upper" : "work");

		overlay->driver_options[i] = option;
		overlay->n_driver_options = i + 1;
		m->failed |= !option;
	}
}

/* Adds the storages of volume i to the request. */
static void
spec_add_volume_storages(struct maker *m, const struct container_options *o, size_t i,
			 Grpc__CreateContainerRequest *r)
{
	const struct volume *v = &o->volumes[i];
	char *point = spec_volume_point(m, o->id, i);
	Grpc__Storage *s;

	if (!point || v->kind == VOLUME_TMPFS || v->kind == VOLUME_DEVICE)
		return;
	if (v->kind == VOLUME_HUGE_PAGES) {
		r->storages[r->n_storages++] =
			spec_new_storage(m, "ephemeral", "nodev", "hugetlbfs", v->options, point);
		return;
	}
	s = spec_share_storage(m, &o->shares[v->share], point);
	r->storages[r->n_storages++] = s;
	if (s && v->kind == VOLUME_ON_DISK) {
		const char *options =
			arena_printf(m->arena, "%s%s%s", v->readonly ? "ro" : "",
				     v->readonly && v->options[0] ? "," : "", v->options);

		s->fstype = spec_copy(m, v->fstype);
		s->options = spec_split(m, options ? options : "", &s->n_options);
	}
	if (v->kind == VOLUME_WATCHED)
		r->storages[r->n_storages++] =
			spec_new_storage(m, "watchable-bind", point, "bind", "rbind,rprivate,ro",
					 spec_watched_point(m, o->id, i));
}

/* Adds the device of volume i to the request and the spec. */
static void
spec_add_device(struct maker *m, const struct container_options *o, size_t i,
		Grpc__CreateContainerRequest *r)
{
	const struct volume *v = &o->volumes[i];
	const struct vm_share *s = &o->shares[v->share];
	Grpc__Device *d = NEW(m, Grpc__Device, grpc__device__init);
	Grpc__LinuxDevice *l = NEW(m, Grpc__LinuxDevice, grpc__linux_device__init);

	if (!d || !l || !r->oci->linux)
		return;
	d->type = spec_copy(m, spec_disk_driver(s));
	if (s->tag[0] == '/')
		d->vm_path = spec_copy(m, s->tag);
	else
		d->id = spec_copy(m, s->tag);
	d->container_path = spec_copy(m, v->target);
	r->devices[r->n_devices++] = d;
	l->path = spec_copy(m, v->target);
	l->type = spec_copy(m, "b");
	/* The number on the host, which an image does not have: only different ones are needed. */
	l->major = 259;
	l->minor = (int64_t)i;
	l->filemode = 0600;
	l->uid = o->uid;
	l->gid = o->gid;
	r->oci->linux->devices[r->oci->linux->n_devices++] = l;
}

/* ---- the sandbox ---- */

Grpc__CreateSandboxRequest *
spec_sandbox(struct arena *a, const char *id, const char *hostname)
{
	struct maker m = { .arena = a };
	Grpc__CreateSandboxRequest *r =
		NEW(&m, Grpc__CreateSandboxRequest, grpc__create_sandbox_request__init);

	if (!r)
		return NULL;
	r->sandbox_id = spec_copy(&m, id);
	r->hostname = spec_copy(&m, hostname);
	r->storages = spec_make(&m, 1, sizeof(*r->storages));
	if (m.failed)
		return NULL;
	r->storages[0] = spec_new_storage(&m, "ephemeral", "shm", "tmpfs",
					  "noexec,nosuid,nodev,mode=1777,size=67108864",
					  "/run/kata-containers/sandbox/shm");
	r->n_storages = 1;
	return m.failed ? NULL : r;
}

int
spec_sandbox_add(struct arena *a, Grpc__CreateSandboxRequest *r, const struct vm_share *shares,
		 const char *const *points, size_t n, const char *const *dns, size_t n_dns)
{
	struct maker m = { .arena = a };
	Grpc__Storage **storages = spec_make(&m, r->n_storages + n, sizeof(*storages));

	if (!storages)
		return -1;
	memcpy(storages, r->storages, r->n_storages * sizeof(*storages));
	for (size_t i = 0; i < n; i++)
		storages[r->n_storages + i] = spec_share_storage(&m, &shares[i], points[i]);
	r->storages = storages;
	r->n_storages += n;
	r->dns = spec_copy_list(&m, dns, n_dns, &r->n_dns);
	return m.failed ? -1 : 0;
}

/* ---- a container ---- */

Grpc__CreateContainerRequest *
spec_container(struct arena *a, const struct container_options *o)
{
	struct maker m = { .arena = a };
	Grpc__CreateContainerRequest *r =
		NEW(&m, Grpc__CreateContainerRequest, grpc__create_container_request__init);
	Grpc__Spec *spec = NEW(&m, Grpc__Spec, grpc__spec__init);
	Grpc__LinuxDevice **devices;
	char *rootfs = o->root ? arena_strdup(a, o->root)
			       : arena_printf(a, SPEC_SHARED "/%s/rootfs", o->id);

	if (!r || !spec || !rootfs)
		return NULL;
	r->container_id = spec_copy(&m, o->id);
	r->exec_id = spec_copy(&m, o->id);
	r->oci = spec;
	spec->version = spec_copy(&m, "1.1.0");
	spec->root = NEW(&m, Grpc__Root, grpc__root__init);
	if (spec->root) {
		spec->root->path = rootfs;
		spec->root->readonly = o->read_only;
	}
	if (o->bundle) {
		spec_take_bundle(&m, o, spec);
	} else {
		spec->process = spec_new_process(&m, o);
		spec->linux = spec_new_linux(&m, o);
	}
	spec_add_mounts(&m, o, spec);
	/* Some volumes have two, and the root up to three. */
	r->storages = spec_make(&m, 3 + 2 * o->n_volumes + (o->pod ? o->pod->n_storages : 0),
				sizeof(*r->storages));
	r->devices = spec_make(&m, o->n_volumes, sizeof(*r->devices));
	if (m.failed)
		return NULL;
	devices = spec_make(&m, spec->linux->n_devices + o->n_volumes, sizeof(*devices));
	if (!devices)
		return NULL;
	if (spec->linux->n_devices)
		memcpy(devices, spec->linux->devices, spec->linux->n_devices * sizeof(*devices));
	spec->linux->devices = devices;
	if (!o->root)
		spec_add_root_storages(&m, o, rootfs, r);
	for (size_t i = 0; i < o->n_volumes; i++) {
		if (o->volumes[i].kind == VOLUME_DEVICE)
			spec_add_device(&m, o, i, r);
		else
			spec_add_volume_storages(&m, o, i, r);
	}
	if (o->pod)
		spec_join_pod(&m, o->pod, r);
	return m.failed ? NULL : r;
}

Grpc__Process *
spec_process(struct arena *a, const struct container_options *o)
{
	struct maker m = { .arena = a };
	Grpc__Process *p = spec_new_process(&m, o);

	return m.failed ? NULL : p;
}

static Grpc__LinuxCapabilities *
spec_new_caps(struct maker *m, bool privileged)
{
	Grpc__LinuxCapabilities *c =
		NEW(m, Grpc__LinuxCapabilities, grpc__linux_capabilities__init);
	const char *const *list = privileged ? all_caps : default_caps;
	size_t n = privileged ? ARRAY_LEN(all_caps) : ARRAY_LEN(default_caps);

	if (!c)
		return NULL;
	c->bounding = spec_copy_list(m, list, n, &c->n_bounding);
	c->effective = spec_copy_list(m, list, n, &c->n_effective);
	c->permitted = spec_copy_list(m, list, n, &c->n_permitted);
	return c;
}

const char *const *
spec_all_caps(size_t *n)
{
	*n = ARRAY_LEN(all_caps);
	return all_caps;
}

const char *const *
spec_default_caps(size_t *n)
{
	*n = ARRAY_LEN(default_caps);
	return default_caps;
}

static Grpc__Process *
spec_new_process(struct maker *m, const struct container_options *o)
{
	Grpc__Process *p = NEW(m, Grpc__Process, grpc__process__init);
	size_t n_args = 0;

	if (!p)
		return NULL;
	while (o->args[n_args])
		n_args++;
	p->terminal = o->terminal;
	p->user = NEW(m, Grpc__User, grpc__user__init);
	if (p->user) {
		p->user->uid = o->uid;
		p->user->gid = o->gid;
		p->user->additionalgids =
			spec_make(m, o->n_groups, sizeof(*p->user->additionalgids));
		p->user->n_additionalgids = p->user->additionalgids ? o->n_groups : 0;
		for (size_t i = 0; i < p->user->n_additionalgids; i++)
			p->user->additionalgids[i] = o->groups[i];
	}
	p->args = spec_copy_list(m, (const char *const *)o->args, n_args, &p->n_args);
	p->env = spec_copy_list(m, o->env, o->n_env, &p->n_env);
	p->cwd = spec_copy(m, o->cwd);
	p->capabilities = spec_new_caps(m, o->privileged);
	p->nonewprivileges = !o->privileged;
	return p;
}

static Grpc__Linux *
spec_new_linux(struct maker *m, const struct container_options *o)
{
	static const char *const kinds[] = { "mount", "ipc", "uts", "cgroup" };
	Grpc__Linux *l = NEW(m, Grpc__Linux, grpc__linux__init);

	if (!l)
		return NULL;
	l->cgroupspath = arena_printf(m->arena, "/%s", o->id);
	l->namespaces = spec_make(m, ARRAY_LEN(kinds), sizeof(*l->namespaces));
	for (size_t i = 0; l->namespaces && i < ARRAY_LEN(kinds); i++) {
		l->namespaces[i] = NEW(m, Grpc__LinuxNamespace, grpc__linux_namespace__init);
		if (l->namespaces[i])
			l->namespaces[i]->type = spec_copy(m, kinds[i]);
		l->n_namespaces = i + 1;
	}
	if (!o->privileged) {
		l->maskedpaths = spec_copy_list(m, masked, ARRAY_LEN(masked), &l->n_maskedpaths);
		l->readonlypaths =
			spec_copy_list(m, readonly, ARRAY_LEN(readonly), &l->n_readonlypaths);
	}
	if (!l->cgroupspath)
		m->failed = true;
	return l;
}

/* Fills the spec from the bundle's, but for the mounts; its messages are not changed. */
static void
spec_take_bundle(struct maker *m, const struct container_options *o, Grpc__Spec *spec)
{
	const struct spec_bundle *b = o->bundle;
	Grpc__Root *root = spec->root;
	Grpc__Process *own = spec_new_process(m, o), *p;
	Grpc__Linux *l;

	*spec = *b->spec;
	spec->mounts = NULL;
	spec->n_mounts = 0;
	spec->root = root;
	p = arena_memdup(m->arena, spec->process, sizeof(*p));
	l = arena_memdup(m->arena, spec->linux, sizeof(*l));
	if (!own || !p || !l || !root) {
		m->failed = true;
		return;
	}
	spec->process = p;
	spec->linux = l;
	root->readonly |= b->spec->root->readonly;
	if (b->has_hostname)
		spec->hostname = spec_copy(m, o->hostname);
	p->terminal = own->terminal;
	p->args = own->args;
	p->n_args = own->n_args;
	p->env = own->env;
	p->n_env = own->n_env;
	p->cwd = own->cwd;
	if (b->has_user)
		p->user = own->user;
	if (o->privileged) {
		p->capabilities = own->capabilities;
		p->nonewprivileges = false;
		l->n_maskedpaths = 0;
		l->n_readonlypaths = 0;
	}
	if (!l->cgroupspath[0])
		l->cgroupspath = arena_printf(m->arena, "/%s", o->id);
	if (!l->cgroupspath)
		m->failed = true;
}

static Grpc__Mount *
spec_new_mount(struct maker *m, const char *target, const char *type, const char *source,
	       const char *options)
{
	Grpc__Mount *mount = NEW(m, Grpc__Mount, grpc__mount__init);

	if (!mount)
		return NULL;
	mount->destination = spec_copy(m, target);
	mount->type = spec_copy(m, type);
	mount->source = spec_copy(m, source);
	mount->options = spec_split(m, options, &mount->n_options);
	return mount;
}

static void
spec_add_mounts(struct maker *m, const struct container_options *o, Grpc__Spec *spec)
{
	const Grpc__Spec *base = o->bundle ? o->bundle->spec : NULL;
	size_t n_base = base ? base->n_mounts : ARRAY_LEN(default_mounts);
	size_t n_binds = o->pod ? o->pod->n_binds : 0;
	uint32_t placed = 0;

	_Static_assert(SPEC_VOLUMES_MAX < 32, "bits of `placed`");
	spec->mounts = spec_make(m, n_base + o->n_volumes + n_binds + 1, sizeof(*spec->mounts));
	if (!spec->mounts)
		return;
	for (size_t i = 0; !base && i < n_base; i++)
		spec->mounts[spec->n_mounts++] =
			spec_new_mount(m, default_mounts[i].target, default_mounts[i].type,
				       default_mounts[i].source, default_mounts[i].options);
	for (size_t i = 0; base && i < n_base; i++) {
		int volume = o->bundle->volumes[i];

		if (volume == SPEC_MOUNT_AS_IT_IS) {
			spec->mounts[spec->n_mounts++] = base->mounts[i];
		} else if (volume >= 0) {
			Grpc__Mount *mount;

			spec_add_volume_mount(m, o, (size_t)volume, spec);
			mount = spec->mounts[spec->n_mounts - 1];
			if (mount) {
				mount->options = base->mounts[i]->options;
				mount->n_options = base->mounts[i]->n_options;
			}
			placed |= 1u << volume;
		}
	}
	for (size_t i = 0; i < o->n_volumes; i++)
		if (o->volumes[i].kind != VOLUME_DEVICE && !(placed & 1u << i))
			spec_add_volume_mount(m, o, i, spec);
	for (size_t i = 0; i < n_binds; i++) {
		const struct spec_bind *b = &o->pod->binds[i];

		spec->mounts[spec->n_mounts++] =
			spec_new_mount(m, b->target, b->type, b->source,
				       b->no_exec    ? "rbind,rprivate,ro,noexec"
				       : b->readonly ? "rbind,rprivate,ro"
						     : "rbind,rprivate,rw");
	}
	if (o->guest_proc)
		spec->mounts[spec->n_mounts++] =
			spec_new_mount(m, o->guest_proc, "bind", "/proc", "rbind");
}

/* Adds the mount of volume i. Devices have none. */
static void
spec_add_volume_mount(struct maker *m, const struct container_options *o, size_t i,
		      Grpc__Spec *spec)
{
	const struct volume *v = &o->volumes[i];
	const char *source = v->kind == VOLUME_WATCHED ? spec_watched_point(m, o->id, i)
						       : spec_volume_point(m, o->id, i);

	if (v->kind == VOLUME_TMPFS) {
		const char *options =
			arena_printf(m->arena, "%s%s", v->options, v->readonly ? ",ro" : "");

		spec->mounts[spec->n_mounts++] =
			spec_new_mount(m, v->target, "tmpfs", "tmpfs", options ? options : "");
		return;
	}
	if (v->is_file && source)
		source = arena_printf(m->arena, "%s%s", source, strrchr(v->source, '/'));
	spec->mounts[spec->n_mounts++] = spec_new_mount(m, v->target, "bind", source ? source : "",
							v->readonly ? "rbind,ro" : "rbind");
}

/* Returns the mount point of volume i in the guest. */
static char *
spec_volume_point(struct maker *m, const char *id, size_t i)
{
	char *s = arena_printf(m->arena, SPEC_SHARED "/%s-volume%zu", id, i);

	if (!s)
		m->failed = true;
	return s;
}

/* Returns the mount point of a volume whose changes cause events. */
static char *
spec_watched_point(struct maker *m, const char *id, size_t i)
{
	char *s = arena_printf(m->arena, SPEC_WATCHABLE "/%s-volume%zu", id, i);

	if (!s)
		m->failed = true;
	return s;
}

/* Returns the limits that a kubelet would set. */
static Grpc__LinuxResources *
spec_new_resources(struct maker *m, const struct spec_pod *pod)
{
	Grpc__LinuxResources *r = NEW(m, Grpc__LinuxResources, grpc__linux_resources__init);

	if (!r)
		return NULL;
	r->memory = NEW(m, Grpc__LinuxMemory, grpc__linux_memory__init);
	r->cpu = NEW(m, Grpc__LinuxCPU, grpc__linux_cpu__init);
	if (m->failed)
		return NULL;
	r->memory->limit = (int64_t)pod->memory;
	r->cpu->shares = pod->milli ? (pod->milli * 1024ull + 999) / 1000 : 2;
	if (pod->milli) {
		r->cpu->period = 100000;
		r->cpu->quota = (int64_t)pod->milli * 100;
	}
	return r;
}

static void
spec_add_annotation(struct maker *m, Grpc__Spec *spec, const char *key, const char *value)
{
	Grpc__Spec__AnnotationsEntry *e =
		NEW(m, Grpc__Spec__AnnotationsEntry, grpc__spec__annotations_entry__init);

	if (!e || !spec->annotations)
		return;
	e->key = spec_copy(m, key);
	e->value = spec_copy(m, value);
	spec->annotations[spec->n_annotations++] = e;
}

/* Adds the annotations, namespaces, mounts and storages of a pod's container. */
static void
spec_join_pod(struct maker *m, const struct spec_pod *pod, Grpc__CreateContainerRequest *r)
{
	Grpc__Spec *spec = r->oci;
	size_t n = r->n_storages;

	spec->annotations = spec_make(m, 3, sizeof(*spec->annotations));
	spec_add_annotation(m, spec, "io.kubernetes.cri.container-type",
			    pod->name ? "container" : "sandbox");
	spec_add_annotation(m, spec, "io.kubernetes.cri.sandbox-id", pod->sandbox);
	if (pod->name)
		spec_add_annotation(m, spec, "io.kubernetes.cri.container-name", pod->name);
	spec->linux->cgroupspath = arena_printf(m->arena, "/kubepods/burstable/pod-%s/%s",
						pod->sandbox, r->container_id);
	spec->linux->resources = spec_new_resources(m, pod);
	r->sandbox_pidns = pod->share_pids;
	for (size_t i = 0; i < pod->n_storages; i++) {
		const struct spec_storage *s = &pod->storages[i];

		r->storages[n + i] = spec_new_storage(m, s->driver, s->source, s->fstype,
						      s->options, s->mount_point);
	}
	r->n_storages = n + pod->n_storages;
}

void
spec_env_default(const char **env, size_t *n, const char *entry)
{
	memmove(env + 1, env, *n * sizeof(*env));
	env[0] = entry;
	++*n;
}
