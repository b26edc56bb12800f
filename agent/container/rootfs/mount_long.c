/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting of file systems with long options. fsconfig(2) limits a value to 255 bytes, while
 * mount(2) accepts a page of options but cannot make a detached mount. A file system with a long
 * value is therefore mounted with mount(2) in a private directory and cloned from there.
 */
#include "agent/container/rootfs/mount_long.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/container/rootfs/mount_attr.h"
#include "agent/container/rootfs/mount_plan.h"
#include "lib/cleanup.h"
#include "lib/mountopt.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "lib/unmount.h"

/* The kernel's limit on a value of FSCONFIG_SET_STRING (fsconfig(2)), in bytes. */
#define VALUE_MAX 255

static int mount_long_collect(const Grpc__Mount *spec, const char *label, struct mountopts *o,
			      struct error *err);
static int mount_long_in(int under, const Grpc__Mount *spec, const struct mountopts *o,
			 const char *aside, struct error *err);

bool
mount_is_long(const Grpc__Mount *spec)
{
	for (size_t i = 0; i < spec->n_options; i++) {
		const char *equals = strchr(spec->options[i], '=');

		if (equals && strlen(equals + 1) > VALUE_MAX)
			return true;
	}
	return strlen(spec->source) > VALUE_MAX;
}

int
mount_long_fs(const Grpc__Mount *spec, const char *label, uint64_t attrs, const char *aside,
	      struct error *err)
{
	struct mountopts o = { 0 };
	auto_close int under = -1;
	auto_close int tree = -1;

	if (mount_long_collect(spec, label, &o, err) < 0)
		return -1;
	/* A read-only tmpfs is filled first. */
	if (!(attrs & MOUNT_ATTR_RDONLY))
		o.flags &= ~(unsigned long)MS_RDONLY;
	under = openat(AT_FDCWD, aside, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (under < 0)
		return error_sys(err, "failed to open %s", aside);
	tree = mount_long_in(under, spec, &o, aside, err);
	if (tree < 0 || mount_set(tree, attrs, 0, 0, false, err) < 0)
		return -1;
	return steal_fd(&tree);
}

/* Collects flags and data for mount(2). */
static int
mount_long_collect(const Grpc__Mount *spec, const char *label, struct mountopts *o,
		   struct error *err)
{
	struct container_mount scratch = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->n_options; i++) {
		const char *word = spec->options[i];

		/* The superblock flags are flags of mount(2). Propagation and attributes of the
		 * mount are set later. */
		if (mountopt_find(word) || mount_word_add(&scratch, word) == MOUNT_WORD_DATA)
			r = mountopts_add(o, word, NULL);
	}
	if (r == 0 && label) {
		char word[4096];
		int n = snprintf(word, sizeof(word), "context=\"%s\"", label);

		r = n < 0 || (size_t)n >= sizeof(word) ? -1 : mountopts_add(o, word, NULL);
	}
	if (r < 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "the options for %s are longer than one page", spec->type);
	return 0;
}

static int
mount_long_in(int under, const Grpc__Mount *spec, const struct mountopts *o, const char *aside,
	      struct error *err)
{
	const char *source = *spec->source ? spec->source : spec->type;
	char target[64];
	auto_close int top = -1;
	int tree = -1;

	if (mount(source, path_of_fd(under, target), spec->type, o->flags, o->data) < 0)
		return error_sys_code(err,
				      errno == EINVAL ? ERROR_INVALID_ARGUMENT : ERROR_INTERNAL,
				      "failed to mount %.128s (type %s, %zu bytes of options)",
				      source, spec->type, strlen(o->data));
	top = openat(AT_FDCWD, aside, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0) {
		error_sys(err, "failed to open %s", aside);
	} else {
		tree = sys_open_tree(top, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		if (tree < 0)
			error_sys(err, "failed to clone the mount of %.128s", source);
	}
	if (unmount_upon(under, 0, MNT_DETACH) < 0) {
		close_fd(&tree);
		return error_sys(err, "failed to detach the mount of %.128s", source);
	}
	return tree;
}
