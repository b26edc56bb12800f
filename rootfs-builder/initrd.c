/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/initrd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/parse.h"
#include "rootfs-builder/cpio.h"
#include "rootfs-builder/elffile.h"
#include "rootfs-builder/hostfile.h"
#include "rootfs-builder/image.h"
#include "rootfs-builder/modules.h"
#include "rootfs-builder/verify.h"

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

static int initrd_fill(const struct initrd_spec *spec, struct image *image, uint16_t machine,
		       size_t *modules, struct error *err);
static int initrd_add_base(struct image *image, struct error *err);
static int initrd_add_programs(const struct initrd_spec *spec, struct image *image,
			       struct error *err);
static int initrd_add_modules(const struct initrd_spec *spec, struct image *image, uint16_t machine,
			      size_t *count, struct error *err);
static int initrd_plan_modules(const struct initrd_spec *spec, struct modtree *modules,
			       struct error *err);
static int initrd_set_owner(struct image *image, const char *row, struct error *err);
static int initrd_write_out(const struct initrd_spec *spec, struct image *image, uint16_t machine,
			    struct initrd_result *result, struct error *err);

int
initrd_build(const struct initrd_spec *spec, struct initrd_result *result, struct error *err)
{
	struct initrd_result sizes = { 0 };
	struct image image = IMAGE_INIT;
	uint16_t machine;
	int r;

	if (!spec->init || !spec->output)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "init program or output file not set");
	if (elf_machine(spec->arch, &machine, err) < 0)
		return -1;
	r = initrd_fill(spec, &image, machine, &sizes.modules, err);
	if (r == 0)
		r = initrd_write_out(spec, &image, machine, &sizes, err);
	sizes.entries = image.n;
	image_release(&image);
	if (r < 0)
		return error_wrap(err, "failed to create %s", spec->output);
	if (result)
		*result = sizes;
	return 0;
}

static int
initrd_fill(const struct initrd_spec *spec, struct image *image, uint16_t machine, size_t *modules,
	    struct error *err)
{
	for (const char *const *tree = spec->trees; tree && *tree; tree++) {
		if (image_add_tree(image, *tree, spec->keep_owners, err) < 0)
			return -1;
	}
	if (initrd_add_base(image, err) < 0 || initrd_add_programs(spec, image, err) < 0 ||
	    initrd_add_modules(spec, image, machine, modules, err) < 0)
		return -1;
	for (const char *const *row = spec->owners; row && *row; row++) {
		if (initrd_set_owner(image, *row, err) < 0)
			return -1;
	}
	return 0;
}

static int
initrd_add_base(struct image *image, struct error *err)
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
initrd_add_programs(const struct initrd_spec *spec, struct image *image, struct error *err)
{
	const char *own = spec->agent ? INITRD_OWN_PATH : INITRD_AGENT_PATH;

	if (image_add_file(image, own, 0755, spec->init, err) < 0)
		return error_wrap(err, "failed to add the init program");
	if (spec->agent && image_add_file(image, INITRD_AGENT_PATH, 0755, spec->agent, err) < 0)
		return error_wrap(err, "failed to add the agent");
	if (!spec->agent && image_add_symlink(image, INITRD_OWN_PATH, "kata-agent", err) < 0)
		return -1;
	if (spec->keep_init)
		return image_find(image, "/init")
			       ? 0
			       : image_add_symlink(image, "/init", "sbin/init", err);
	if (image_add_symlink(image, "/init", own, err) < 0)
		return -1;
	return image_add_symlink(image, "/sbin/init", own, err);
}

static int
initrd_add_modules(const struct initrd_spec *spec, struct image *image, uint16_t machine,
		   size_t *count, struct error *err)
{
	struct modtree *modules;
	int r;

	if (!spec->modules_dir)
		return 0;
	modules = modules_open(spec->modules_dir, err);
	if (!modules)
		return error_wrap(err, "failed to read the modules in %s", spec->modules_dir);
	r = initrd_plan_modules(spec, modules, err);
	if (r == 0)
		r = modules_add(modules, image, spec->modules_as_is, machine, err);
	while (r == 0 && modtree_planned(modules, *count))
		(*count)++;
	modtree_free(modules);
	return r;
}

static int
initrd_plan_modules(const struct initrd_spec *spec, struct modtree *modules, struct error *err)
{
	const struct modules_default *d = modules_defaults;

	for (; d->name && !spec->no_default_modules; d++) {
		char text[160];

		if (modtree_want(modules, d->name, err) == 0)
			continue;
		if (!d->optional || err->code != ERROR_NOT_FOUND)
			return -1;
		(void)snprintf(text, sizeof(text), "kernel module %s (%s) not found: skipped",
			       d->name, d->why);
		if (spec->note)
			spec->note(text, spec->note_data);
	}
	for (const char *const *name = spec->modules; name && *name; name++) {
		if (modtree_want(modules, *name, err) < 0)
			return -1;
	}
	return 0;
}

/* Sets one owner: "UID:GID:PATH". */
static int
initrd_set_owner(struct image *image, const char *row, struct error *err)
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

static int
initrd_pack(const struct initrd_spec *spec, struct image *image, int fd,
	    struct initrd_result *result, struct error *err)
{
	struct packer *packer = packer_new(fd, spec->format, err);
	int r;

	if (!packer)
		return -1;
	r = cpio_write(image, spec->epoch, packer, err);
	if (r == 0)
		r = packer_finish(packer, &result->raw_size, &result->size, err);
	packer_free(packer);
	return r;
}

static int
initrd_write_out(const struct initrd_spec *spec, struct image *image, uint16_t machine,
		 struct initrd_result *result, struct error *err)
{
	struct hostfile file;
	int r;

	if (hostfile_create(&file, spec->output, err) < 0)
		return -1;
	r = initrd_pack(spec, image, file.fd, result, err);
	if (r == 0)
		r = verify_archive(file.fd, image, spec->epoch, machine, !spec->keep_init, err);
	if (r == 0 && spec->max_size && result->size > spec->max_size)
		r = error_set(err, ERROR_RESOURCE_EXHAUSTED,
			      "image of %llu bytes exceeds the limit of %llu",
			      (unsigned long long)result->size, (unsigned long long)spec->max_size);
	if (r == 0)
		r = hostfile_commit(&file, err);
	hostfile_discard(&file);
	return r;
}
