/* SPDX-License-Identifier: Apache-2.0 */
/* Generates mounts, devices, masked and read-only paths, and the root. tests/diff/image creates the
 * sources of binds and the targets in the guest. */
#include <string.h>

#include "lib/cleanup.h"
#include "tests/diff/generate.h"

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define VOLUME    "/diff/vol"

static Grpc__Mount *
add_mount(struct gen *g, const char *target, const char *type, const char *source)
{
	Grpc__Mount *m = make(g, 1, sizeof(*m));

	grpc__mount__init(m);
	m->destination = (char *)(uintptr_t)target;
	m->type = (char *)(uintptr_t)type;
	m->source = (char *)(uintptr_t)source;
	push(g, &g->spec->mounts, &g->spec->n_mounts, m);
	return m;
}

static void
option(struct gen *g, Grpc__Mount *m, const char *word)
{
	push(g, &m->options, &m->n_options, word);
}

/* Groups of mount options; a mount gets at most one option of each, in any order. */
static void
flags(struct gen *g, Grpc__Mount *m, unsigned int percent)
{
	static const char *const groups[][5] = {
		{ "ro", "rw" },
		{ "nosuid", "suid" },
		{ "nodev", "dev" },
		{ "noexec", "exec" },
		{ "noatime", "relatime", "strictatime" },
		{ "nodiratime", "diratime" },
	};
	uint32_t first = roll(g, ARRAY_LEN(groups));

	for (uint32_t i = 0; i < ARRAY_LEN(groups); i++)
		if (chance(g, percent))
			option(g, m, pick(g, groups[(first + i) % ARRAY_LEN(groups)]));
}

/* The mounts of container engines: most of them, mostly unchanged. */
static void
default_mounts(struct gen *g)
{
	static const struct {
		unsigned int percent;
		const char *target, *type, *source;
		/* options */
		const char *needed[4], *usual[5];
	} list[] = {
		{ 96, "/proc", "proc", "proc", { NULL }, { "nosuid", "noexec", "nodev" } },
		{ 96,
		  "/dev",
		  "tmpfs",
		  "tmpfs",
		  { "mode=755" },
		  { "nosuid", "strictatime", "size=65536k" } },
		{ 90,
		  "/dev/pts",
		  "devpts",
		  "devpts",
		  { "newinstance", "ptmxmode=0666", "mode=0620" },
		  { "nosuid", "noexec", "gid=5" } },
		{ 90,
		  "/dev/shm",
		  "tmpfs",
		  "shm",
		  { "mode=1777" },
		  { "nosuid", "noexec", "nodev", "size=65536k" } },
		{ 80,
		  "/dev/mqueue",
		  "mqueue",
		  "mqueue",
		  { NULL },
		  { "nosuid", "noexec", "nodev" } },
		{ 90, "/sys", "sysfs", "sysfs", { NULL }, { "nosuid", "noexec", "nodev", "ro" } },
		{ 90,
		  "/sys/fs/cgroup",
		  "cgroup",
		  "cgroup",
		  { NULL },
		  { "ro", "nosuid", "noexec", "nodev" } },
	};

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		Grpc__Mount *m;

		if (!chance(g, list[i].percent))
			continue;
		/* A mount below a missing file system has no mount point. */
		if (strncmp(list[i].target, "/sys/", 5) == 0 &&
		    (!g->spec->n_mounts ||
		     strcmp(g->spec->mounts[g->spec->n_mounts - 1]->destination, "/sys") != 0))
			continue;
		m = add_mount(g, list[i].target, list[i].type, list[i].source);
		for (const char *const *word = list[i].needed; *word; word++)
			option(g, m, *word);
		if (chance(g, 25)) {
			flags(g, m, 30);
			continue;
		}
		for (const char *const *word = list[i].usual; *word; word++)
			option(g, m, *word);
	}
}

static void
tmpfs_mount(struct gen *g)
{
	const char *target =
		pick(g, LIST("/data", "/data/dir", "/new/a/b", "/link/dir", "/mnt", "/root"));
	Grpc__Mount *m = add_mount(g, target, "tmpfs", pick(g, LIST("tmpfs", "none")));

	flags(g, m, 30);
	if (chance(g, 40))
		option(g, m, pick(g, LIST("size=64k", "size=1m", "size=10%")));
	if (chance(g, 40))
		option(g, m, pick(g, LIST("mode=700", "mode=1777", "mode=0555")));
	if (chance(g, 20))
		option(g, m, "nr_inodes=100");
	if (chance(g, 10))
		option(g, m, pick(g, LIST("uid=1000", "gid=5")));
	if (chance(g, 15) && strncmp(target, "/data", 5) == 0)
		option(g, m, "tmpcopyup");
	ask(g, "path=", target);
}

static void
bind_mount(struct gen *g)
{
	bool is_file = chance(g, 25), recursive;
	const char *target =
		is_file ? pick(g, LIST("/etc/file", "/etc/group", "/new/file"))
			: pick(g, LIST("/vol", "/data", "/data/dir", "/new/vol", "/link/dir"));
	Grpc__Mount *m = add_mount(g, target, pick(g, LIST("bind", "bind", "none", "")),
				   is_file ? VOLUME "/file" : VOLUME);

	/* crun treats the r of a propagation option as that of rbind. */
	recursive = chance(g, 60);
	option(g, m, recursive ? "rbind" : "bind");
	flags(g, m, 20);
	if (chance(g, 15))
		option(g, m, pick(g, LIST("rro", "rnosuid", "rnodev", "rnoexec", "rnoatime")));
	if (chance(g, 40))
		option(g, m,
		       recursive ? pick(g, LIST("rprivate", "rslave", "rshared"))
				 : pick(g, LIST("private", "slave", "shared", "unbindable")));
	ask(g, "path=", target);
	if (!is_file)
		ask(g, "path=", strcmp(target, "/vol") == 0 ? "/vol/sub" : "/data/sub");
}

/* ---- devices ---- */

static void
devices(struct gen *g)
{
	static const struct {
		const char *path, *type;
		int64_t major, minor;
	} list[] = {
		{ "/dev/fuse", "c", 10, 229 }, { "/dev/sub/null", "c", 1, 3 },
		{ "/dev/loop7", "b", 7, 7 },   { "/dev/pipe", "p", 0, 0 },
		{ "/dev/kmsg", "c", 1, 11 },   { "/dev/net/tun", "c", 10, 200 },
		{ "/dev/a/b/c", "u", 1, 5 },
	};
	static const uint32_t modes[] = { 0666, 0600, 0640, 0444, 0666 };
	Grpc__Linux *l = g->spec->linux;

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		Grpc__LinuxDevice *d;

		if (!chance(g, 8))
			continue;
		d = make(g, 1, sizeof(*d));
		grpc__linux_device__init(d);
		d->path = (char *)(uintptr_t)list[i].path;
		d->type = (char *)(uintptr_t)list[i].type;
		d->major = list[i].major;
		d->minor = list[i].minor;
		d->filemode = modes[roll(g, ARRAY_LEN(modes))];
		d->uid = chance(g, 30) ? 1000 : 0;
		d->gid = chance(g, 30) ? 5 : 0;
		push(g, &l->devices, &l->n_devices, d);
	}
}

/* ---- masked and read-only paths, the root ---- */

static void
some_paths(struct gen *g, const char *const *list, unsigned int percent, char ***out, size_t *n)
{
	for (; *list; list++) {
		if (!chance(g, percent))
			continue;
		push(g, out, n, *list);
		ask(g, "path=", *list);
	}
}

static void
paths(struct gen *g)
{
	static const char *const masked[] = { "/proc/acpi",
					      "/proc/asound",
					      "/proc/kcore",
					      "/proc/keys",
					      "/proc/latency_stats",
					      "/proc/timer_list",
					      "/proc/timer_stats",
					      "/proc/sched_debug",
					      "/proc/scsi",
					      "/sys/firmware",
					      NULL };
	static const char *const readonly[] = { "/proc/bus",           "/proc/fs",
						"/proc/irq",           "/proc/sys",
						"/proc/sysrq-trigger", NULL };
	Grpc__Linux *l = g->spec->linux;

	if (chance(g, 80))
		some_paths(g, masked, 90, &l->maskedpaths, &l->n_maskedpaths);
	if (chance(g, 30))
		some_paths(g, LIST("/masked/file", "/masked/dir", "/masked/none", "/masked"), 40,
			   &l->maskedpaths, &l->n_maskedpaths);
	if (chance(g, 80))
		some_paths(g, readonly, 90, &l->readonlypaths, &l->n_readonlypaths);
	if (chance(g, 30))
		some_paths(g, LIST("/data", "/etc/group", "/none", "/root"), 40, &l->readonlypaths,
			   &l->n_readonlypaths);
}

void
generate_files(struct gen *g)
{
	Grpc__Linux *l = g->spec->linux;

	default_mounts(g);
	while (chance(g, 45))
		chance(g, 50) ? tmpfs_mount(g) : bind_mount(g);
	devices(g);
	paths(g);
	g->spec->root->readonly = chance(g, 30);
	if (chance(g, 30))
		l->rootfspropagation = (char *)(uintptr_t)pick(
			g, LIST("private", "rprivate", "slave", "rslave", "shared", "rshared"));
	ask(g, "path=", "/data/dir");
	ask(g, "path=", "/etc/group");
	ask(g, "path=", "/root");
}
