/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/guest/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/parse.h"
#include "rootfs-builder/guest/initrd_paths.h"
#include "rootfs-builder/guest/modules.h"

/* Entries of every image unless a tree has them: mount points for init, and files that hosts and
 * image checkers look for. */
static const struct {
	const char *path;
	uint32_t mode;
	/* Content of a regular file. */
	const char *text;
} base[] = {
	{ "/dev", S_IFDIR | 0755, NULL },
	{ "/etc", S_IFDIR | 0755, NULL },
	{ "/etc/hostname", S_IFREG | 0644, "localhost\n" },
	{ "/etc/hosts", S_IFREG | 0644,
	  "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" },
	{ "/etc/machine-id", S_IFREG | 0444, "" },
	/* A regular file, because the resolv.conf of the sandbox is bind-mounted over it. */
	{ "/etc/resolv.conf", S_IFREG | 0644, "" },
	{ "/mnt", S_IFDIR | 0755, NULL },
	{ "/proc", S_IFDIR | 0555, NULL },
	{ "/root", S_IFDIR | 0700, NULL },
	{ "/run", S_IFDIR | 0755, NULL },
	{ "/sys", S_IFDIR | 0555, NULL },
	{ "/tmp", S_IFDIR | 01777, NULL },
	{ "/usr/bin", S_IFDIR | 0755, NULL },
	{ "/var", S_IFDIR | 0755, NULL },
};

static int layout_add_base(struct image *image, struct error *err);
static int layout_add_programs(const struct layout *layout, struct image *image, struct error *err);
static int layout_add_modules(const struct layout *layout, struct image *image, size_t *count,
			      struct error *err);
static int layout_plan_modules(const struct layout *layout, struct modtree *modules,
			       struct error *err);

int
layout_add(const struct layout *layout, struct image *image, size_t *modules, struct error *err)
{
	*modules = 0;
	if (layout_add_base(image, err) < 0 || layout_add_programs(layout, image, err) < 0)
		return -1;
	return layout_add_modules(layout, image, modules, err);
}

static int
layout_add_base(struct image *image, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(base); i++) {
		int r;

		if (image_find(image, base[i].path))
			continue;
		if (base[i].text)
			r = image_add_data(image, base[i].path, base[i].mode, base[i].text,
					   strlen(base[i].text), err);
		else
			r = image_add_dir(image, base[i].path, base[i].mode, err);
		if (r < 0)
			return -1;
	}
	/* The kernel opens /dev/console for init before anything is mounted. */
	if (image_add_node(image, "/dev/console", S_IFCHR | 0600, 5, 1, err) < 0)
		return -1;
	return image_add_node(image, "/dev/null", S_IFCHR | 0666, 1, 3, err);
}

static int
layout_add_programs(const struct layout *layout, struct image *image, struct error *err)
{
	const char *own = layout->agent ? INITRD_OWN_PATH : INITRD_AGENT_PATH;

	if (image_add_file(image, own, 0755, layout->init, err) < 0)
		return error_wrap(err, "failed to add the init program");
	if (layout->agent && image_add_file(image, INITRD_AGENT_PATH, 0755, layout->agent, err) < 0)
		return error_wrap(err, "failed to add the agent");
	/* kata-agent keeps namespaces below /var/run, and a disk is mounted read-only. */
	if (layout->agent && !image_find(image, "/var/run") &&
	    image_add_symlink(image, "/var/run", "/run", err) < 0)
		return -1;
	if (!layout->agent && image_add_symlink(image, INITRD_OWN_PATH, "kata-agent", err) < 0)
		return -1;
	if (layout->keep_init)
		return image_find(image, "/init")
			       ? 0
			       : image_add_symlink(image, "/init", "sbin/init", err);
	if (image_add_symlink(image, "/init", own, err) < 0)
		return -1;
	return image_add_symlink(image, "/sbin/init", own, err);
}

static int
layout_add_modules(const struct layout *layout, struct image *image, size_t *count,
		   struct error *err)
{
	struct modtree *modules;
	int r;

	if (!layout->modules_dir)
		return 0;
	modules = modules_open(layout->modules_dir, err);
	if (!modules)
		return error_wrap(err, "failed to read the modules in %s", layout->modules_dir);
	r = layout_plan_modules(layout, modules, err);
	if (r == 0)
		r = modules_add(modules, image, layout->modules_as_is, layout->machine, err);
	while (r == 0 && modtree_planned(modules, *count))
		(*count)++;
	modtree_free(modules);
	return r;
}

static int
layout_plan_modules(const struct layout *layout, struct modtree *modules, struct error *err)
{
	const struct modules_default *d = modules_defaults;

	for (; d->name && !layout->no_default_modules; d++) {
		char text[160];

		if (modtree_want(modules, d->name, err) == 0)
			continue;
		if (!d->optional || err->code != ERROR_NOT_FOUND)
			return -1;
		(void)snprintf(text, sizeof(text), "kernel module %s (%s) not found: skipped",
			       d->name, d->why);
		if (layout->note)
			layout->note(text, layout->note_data);
	}
	for (const char *const *name = layout->modules; name && *name; name++) {
		if (modtree_want(modules, *name, err) < 0)
			return -1;
	}
	return 0;
}

int
layout_set_owner(struct image *image, const char *row, struct error *err)
{
	auto_free char *copy = strdup(row);
	char *rest = copy, *uid_text, *gid_text;
	uint32_t uid, gid;

	if (!copy)
		return error_nomem(err, "reading an owner");
	uid_text = strsep(&rest, ":");
	gid_text = strsep(&rest, ":");
	if (!gid_text || !rest || !parse_u32(uid_text, &uid) || !parse_u32(gid_text, &gid))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid owner \"%s\": not UID:GID:PATH", row);
	return image_set_owner(image, rest, uid, gid, err);
}
