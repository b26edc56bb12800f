/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a Debian release. Two things are kept in the cache directory:
 *
 *   debian/apt-KEY/     the package lists and packages of these archives (KEY: archives and
 *                       architecture), filled by a private apt, which checks signatures
 *   debian/root-KEY.tar.zst
 *                       the root that mmdebstrap made of them (KEY: the archives' signed files,
 *                       the packages, and all else that it depends on)
 *
 * The same request with the same lists is therefore only read again. The root itself is not pruned:
 * that happens in the image, after its packages have been read.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "rootfs-builder/build.h"
#include "rootfs-builder/guest/arch.h"
#include "rootfs-builder/guest/prune.h"
#include "rootfs-builder/input/debian_apt.h"
#include "rootfs-builder/input/debian_bootstrap.h"
#include "rootfs-builder/work/hash.h"
#include "rootfs-builder/work/tool.h"

/* Roots that are kept in the cache. */
#define ROOTS_MAX   6
#define STORE_CHUNK ((size_t)256 << 10)

struct debian {
	struct build *build;
	/* Parts of the source. */
	char *suite, *variant;
	struct debian_apt apt;
	/* The root in the cache. */
	char *root;
};

static int debian_parse(struct debian *d, const char *source, struct error *err);
static int debian_check_arch(struct debian *d, struct error *err);
static int debian_name_root(struct debian *d, struct error *err);
static int debian_make_root(struct debian *d, struct error *err);
static int debian_store(const char *from, const char *to, struct error *err);
static int debian_set_files(struct debian *d, struct error *err);
static int debian_lock(struct debian *d, struct error *err);
static void debian_drop_old_roots(struct debian *d);

static int
debian_nomem(struct error *err)
{
	return error_nomem(err, "making a Debian root");
}

static const char *
debian_etc(void)
{
	const char *etc = getenv("TATAMI_DEBIAN_ETC");

	return etc ? etc : "/etc/apt";
}

/* Returns the codename of this system, or "". */
static char *
debian_own_suite(void)
{
	FILE *file = fopen("/etc/os-release", "re");
	char *line = NULL, *suite = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "VERSION_CODENAME=", 17) && !suite)
			suite = strdup(line + 17);
	}
	free(line);
	if (file)
		(void)fclose(file);
	return suite ? suite : strdup("");
}

static int
debian_read(struct build *build, const char *source, struct error *err)
{
	struct debian d = { .build = build, .apt = { .build = build } };
	auto_free char *own = debian_own_suite();
	int lock = -1, r = -1;

	if (!own) {
		debian_nomem(err);
	} else if (debian_parse(&d, source, err) == 0 && debian_check_arch(&d, err) == 0 &&
		   debian_sources_find(&d.apt.sources, debian_etc(), d.suite, own,
				       build->spec->mirrors, err) == 0 &&
		   (lock = debian_lock(&d, err)) >= 0 && debian_apt_update(&d.apt, err) == 0 &&
		   debian_name_root(&d, err) == 0 && d.root) {
		r = access(d.root, R_OK) == 0 ? 0 : debian_make_root(&d, err);
		/* The time says when it was used last. */
		if (r == 0)
			(void)utimensat(AT_FDCWD, d.root, NULL, 0);
		if (r == 0)
			r = input_tar.read(build, d.root, err);
		if (r == 0)
			r = debian_set_files(&d, err);
		debian_drop_old_roots(&d);
	}
	close_fd(&lock);
	debian_apt_release(&d.apt);
	free(d.suite);
	free(d.root);
	return r;
}

/* "SUITE[:VARIANT]": names, because they become arguments. */
static int
debian_parse(struct debian *d, const char *source, struct error *err)
{
	static const char *const variants[] = { "essential", "custom",    "apt",      "required",
						"minbase",   "important", "standard", "buildd" };
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789.+-";
	const char *const *packages = d->build->spec->packages;

	d->suite = strdup(source);
	if (!d->suite)
		return debian_nomem(err);
	d->variant = strchr(d->suite, ':');
	if (d->variant)
		*d->variant++ = '\0';
	else
		d->variant = "essential";
	d->apt.suite = d->suite;
	if (!*d->suite || d->suite[strspn(d->suite, letters)] || strchr("-.+", d->suite[0]))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid Debian suite \"%s\": expected a name such as bookworm",
				 d->suite);
	for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
		if (!strcmp(variants[i], d->variant))
			goto found;
	}
	return error_set(err, ERROR_INVALID_ARGUMENT,
			 "invalid variant \"%s\": not essential, custom, apt, required, minbase, "
			 "important, standard or buildd",
			 d->variant);
found:
	for (; packages && *packages; packages++) {
		if (!**packages || (*packages)[strspn(*packages, letters)] ||
		    strchr("-.+", **packages))
			return error_set(err, ERROR_INVALID_ARGUMENT, "invalid package name \"%s\"",
					 *packages);
	}
	return 0;
}

/* Scripts of packages run when they are installed. */
static int
debian_check_arch(struct debian *d, struct error *err)
{
	const char *want = d->build->spec->arch;
	auto_free char *handler = NULL;
	struct utsname here;

	if (uname(&here) < 0)
		return error_sys(err, "failed to read the name of this machine");
	d->apt.arch = arch_find(want)->debian;
	if (!strcmp(want, here.machine))
		return 0;
	if (asprintf(&handler, "/proc/sys/fs/binfmt_misc/qemu-%s", want) < 0) {
		handler = NULL;
		return debian_nomem(err);
	}
	if (access(handler, F_OK) == 0)
		return 0;
	return error_set(err, ERROR_UNAVAILABLE,
			 "the packages of %s run scripts when they are installed, and this machine "
			 "(%s) cannot run its programs: install the packages qemu-user-static and "
			 "binfmt-support, or give a tar of such a root with --from tar:FILE",
			 want, here.machine);
}

/* Returns a descriptor that holds the lock of this part of the cache, or -1. */
static int
debian_lock(struct debian *d, struct error *err)
{
	auto_free char *dir = NULL, *path = NULL;
	int fd;

	if (!d->build->spec->cache)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "no cache directory: set HOME or give --cache");
	if (asprintf(&dir, "%s/debian", d->build->spec->cache) < 0) {
		dir = NULL;
		return debian_nomem(err);
	}
	if (asprintf(&path, "%s/.lock", dir) < 0) {
		path = NULL;
		return debian_nomem(err);
	}
	if (debian_apt_mkdir(dir, err) < 0)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_sys(err, "failed to open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		report_step(d->build->report, "waiting for another build that uses %s", dir);
		while (flock(fd, LOCK_EX) < 0) {
			if (errno == EINTR && work_check(err) == 0)
				continue;
			if (errno != EINTR)
				error_sys(err, "failed to lock %s", path);
			(void)close(fd);
			return -1;
		}
	}
	return fd;
}

static int
debian_name_root(struct debian *d, struct error *err)
{
	const char *const *packages = d->build->spec->packages;
	static const char *const argv[] = { "mmdebstrap", "--version", NULL };
	auto_free char *version = tool_version(argv);
	struct sha256_ctx hash;
	char key[DEBIAN_KEY_LEN + 1], epoch[16];

	sha256_init(&hash);
	hash_text(&hash, "root 2");
	hash_text(&hash, version ? version : "");
	hash_text(&hash, d->suite);
	hash_text(&hash, d->variant);
	hash_text(&hash, d->apt.arch);
	(void)snprintf(epoch, sizeof(epoch), "%u", d->build->spec->epoch);
	hash_text(&hash, epoch);
	for (; packages && *packages; packages++)
		hash_text(&hash, *packages);
	if (debian_apt_hash(&d->apt, &hash, err) < 0)
		return -1;
	hash_hex(&hash, DEBIAN_KEY_LEN / 2, key);
	if (asprintf(&d->root, "%s/debian/root-%s.tar.zst", d->build->spec->cache, key) < 0) {
		d->root = NULL;
		return debian_nomem(err);
	}
	return 0;
}

static int
debian_make_root(struct debian *d, struct error *err)
{
	auto_free char *to = work_path(d->build->work, "debian.tar", err), *part = NULL;
	int r;

	if (!to)
		return -1;
	if (asprintf(&part, "%s.part", d->root) < 0) {
		part = NULL;
		return debian_nomem(err);
	}
	if (debian_bootstrap(&d->apt, d->variant, to, err) < 0)
		return -1;
	r = debian_store(to, part, err);
	if (r == 0 && rename(part, d->root) < 0)
		r = error_sys(err, "failed to rename %s", part);
	if (r < 0)
		(void)unlink(part);
	(void)unlink(to);
	return r;
}

/* Compresses a file into the cache. */
static int
debian_store(const char *from, const char *to, struct error *err)
{
	auto_close int in = open(from, O_RDONLY | O_CLOEXEC);
	auto_close int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	auto_free uint8_t *bytes = malloc(STORE_CHUNK);
	struct packer *packer;
	ssize_t n = -1;
	int r = -1;

	if (in < 0 || out < 0 || !bytes)
		return error_sys(err, "failed to copy the root to %s", to);
	packer = packer_new(out, PACK_ZSTD, err);
	if (!packer)
		return -1;
	packer_set_fast(packer);
	while (work_check(err) == 0 && (n = read_full(in, bytes, STORE_CHUNK)) > 0 &&
	       packer_write(packer, bytes, (size_t)n, err) == 0)
		;
	if (n == 0)
		r = packer_finish(packer, NULL, NULL, err);
	else if (n < 0 && !work_interrupted())
		error_sys(err, "failed to read %s", from);
	packer_free(packer);
	return r;
}

/* Removes or replaces what mmdebstrap takes from this machine, and what must differ between
 * guests. */
static int
debian_set_files(struct debian *d, struct error *err)
{
	static const struct {
		const char *path;
		uint32_t perm;
		const char *text;
	} rows[] = {
		{ "etc/hostname", 0644, "localhost\n" },
		/* A regular file, because that of the sandbox is mounted over it. */
		{ "etc/resolv.conf", 0644, "" },
		{ "etc/machine-id", 0444, "" },
	};

	/* The root must not depend on how it was built. */
	static const struct prune_rule options[] = {
		{ "etc/*/99mmdebstrap", false, "options of mmdebstrap" },
		/* Owned by _apt only if that user can reach the cache of this build. */
		{ "var/cache/apt/archives/partial", false, "made by apt when it needs it" },
		{ "var/lib/apt/lists/partial", false, "made by apt when it needs it" },
		{ NULL, false, NULL },
	};

	(void)prune_image(&d->build->image, options);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (image_add_data(&d->build->image, rows[i].path, rows[i].perm, rows[i].text,
				   strlen(rows[i].text), err) < 0)
			return -1;
	}
	d->build->prune = !d->build->spec->no_prune;
	return 0;
}

/* Removes the roots that were not used for the longest time. */
static void
debian_drop_old_roots(struct debian *d)
{
	auto_free char *pattern = NULL;
	glob_t found = { 0 };

	if (asprintf(&pattern, "%s/debian/root-*.tar.zst", d->build->spec->cache) < 0) {
		pattern = NULL;
		return;
	}
	if (glob(pattern, 0, NULL, &found) != 0)
		return;
	for (size_t left = found.gl_pathc; left > ROOTS_MAX; left--) {
		struct stat st, least = { .st_mtim = { .tv_sec = INT64_MAX } };
		size_t oldest = 0;

		for (size_t i = 0; i < found.gl_pathc; i++) {
			if (stat(found.gl_pathv[i], &st) == 0 &&
			    (st.st_mtim.tv_sec < least.st_mtim.tv_sec ||
			     (st.st_mtim.tv_sec == least.st_mtim.tv_sec &&
			      st.st_mtim.tv_nsec < least.st_mtim.tv_nsec))) {
				least = st;
				oldest = i;
			}
		}
		if (unlink(found.gl_pathv[oldest]) < 0)
			break;
	}
	globfree(&found);
}

const struct input_kind input_debian = {
	.name = "debian",
	.help = "SUITE[:VARIANT]: a Debian release by mmdebstrap (variant: essential)",
	.read = debian_read,
};
