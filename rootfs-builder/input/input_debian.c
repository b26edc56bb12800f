/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a Debian release. Three things are kept in the cache directory:
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
#include <pwd.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "rootfs-builder/build.h"
#include "rootfs-builder/input/debian_sources.h"
#include "rootfs-builder/guest/arch.h"
#include "rootfs-builder/guest/prune.h"
#include "rootfs-builder/work/tool.h"

/* Lists are read again after a day. */
#define LISTS_AGE_S 86400
/* Roots that are kept in the cache. */
#define ROOTS_MAX 6
/* Memory that must be available for a root in memory. */
#define MEMORY_KIB      ((uint64_t)2 << 20)
#define SUBORDINATE_IDS 65536
/* Part of a SHA-256 in file names. */
#define KEY_LEN     24
#define STORE_CHUNK ((size_t)256 << 10)

struct debian {
	struct build *build;
	/* Parts of the source. */
	char *suite, *variant;
	/* As Debian names it. */
	const char *arch;
	struct debian_sources sources;
	/* Directory of the private apt. */
	char *apt;
	/* The root in the cache. */
	char *root;
	/* mmdebstrap works in a mount namespace of its own. */
	bool has_namespace;
};

static int debian_parse(struct debian *d, const char *source, struct error *err);
static int debian_check_arch(struct debian *d, struct error *err);
static int debian_check_user(struct debian *d, struct error *err);
static int debian_make_apt(struct debian *d, struct error *err);
static int debian_update(struct debian *d, struct error *err);
static int debian_name_root(struct debian *d, struct error *err);
static int debian_bootstrap(struct debian *d, struct error *err);
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
	struct debian d = { .build = build };
	auto_free char *own = debian_own_suite();
	int lock = -1, r = -1;

	if (!own) {
		debian_nomem(err);
	} else if (debian_parse(&d, source, err) == 0 && debian_check_arch(&d, err) == 0 &&
		   debian_sources_find(&d.sources, debian_etc(), d.suite, own, build->spec->mirrors,
				       err) == 0 &&
		   (lock = debian_lock(&d, err)) >= 0 && debian_make_apt(&d, err) == 0 && d.apt &&
		   debian_update(&d, err) == 0 && debian_name_root(&d, err) == 0 && d.root) {
		r = access(d.root, R_OK) == 0 ? 0 : debian_bootstrap(&d, err);
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
	debian_sources_release(&d.sources);
	free(d.suite);
	free(d.apt);
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
	d->arch = arch_find(want)->debian;
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

/* Returns whether unshare(2) works with these flags, tried in a child. */
static bool
debian_can_unshare(int flags)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(flags) == 0 ? 0 : 1);
	return pid > 0 && RETRY_EINTR(waitpid(pid, &status, 0)) == pid && status == 0;
}

/* Checks that a user has enough subordinate ids in a file: "NAME:FIRST:COUNT". */
static int
debian_check_ids(const char *file, const char *user, const char *option, struct error *err)
{
	FILE *ids = fopen(file, "re");
	uint64_t found = 0;
	char *line = NULL;
	size_t size = 0;

	while (ids && !found && getline(&line, &size, ids) > 0) {
		char *rest = line, *name = strsep(&rest, ":"), *first = strsep(&rest, ":");

		if (!rest || !first || strcmp(name, user) != 0)
			continue;
		rest[strcspn(rest, "\n")] = '\0';
		(void)parse_u64(rest, &found);
	}
	free(line);
	if (ids)
		(void)fclose(ids);
	if (found >= SUBORDINATE_IDS)
		return 0;
	return error_set(err, ERROR_FAILED_PRECONDITION,
			 "the user %s has no %d subordinate ids in %s, which the owners of files "
			 "need: run, as root, usermod %s 100000-165535 %s",
			 user, SUBORDINATE_IDS, file, option, user);
}

/* Root needs a mount namespace at most. Any other user needs a user namespace with many ids. */
static int
debian_check_user(struct debian *d, struct error *err)
{
	const struct passwd *user;

	if (tool_need("mmdebstrap", "mmdebstrap", err) < 0)
		return -1;
	if (geteuid() == 0) {
		d->has_namespace = debian_can_unshare(CLONE_NEWNS);
		return 0;
	}
	d->has_namespace = true;
	user = getpwuid(getuid());
	if (!user)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "the user %u has no name in /etc/passwd, by which subordinate ids "
				 "are given",
				 getuid());
	if (tool_need("newuidmap", "uidmap", err) < 0 ||
	    debian_check_ids("/etc/subuid", user->pw_name, "--add-subuids", err) < 0 ||
	    debian_check_ids("/etc/subgid", user->pw_name, "--add-subgids", err) < 0)
		return -1;
	if (!debian_can_unshare(CLONE_NEWUSER))
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "this machine lets ordinary users make no user namespaces (see "
				 "user_namespaces(7), and the sysctls user.max_user_namespaces and "
				 "kernel.unprivileged_userns_clone)");
	return 0;
}

/* Creates a directory with its parents. */
static int
debian_mkdir(const char *path, struct error *err)
{
	auto_free char *copy = strdup(path);

	if (!copy)
		return debian_nomem(err);
	for (char *slash = copy + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return error_sys(err, "failed to create %s", copy);
	}
	if (mkdir(copy, 0755) < 0 && errno != EEXIST)
		return error_sys(err, "failed to create %s", copy);
	return 0;
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
	if (debian_mkdir(dir, err) < 0)
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

static void
debian_hash_text(struct sha256_ctx *hash, const char *text)
{
	sha256_update(hash, strlen(text) + 1, (const uint8_t *)text);
}

static void
debian_key(struct sha256_ctx *hash, char out[KEY_LEN + 1])
{
	uint8_t sum[SHA256_DIGEST_SIZE];

	sha256_digest(hash, sizeof(sum), sum);
	for (size_t i = 0; i < KEY_LEN / 2; i++)
		(void)snprintf(out + i * 2, 3, "%02x", sum[i]);
}

static int
debian_put_text(const char *dir, const char *name, const char *text, struct error *err)
{
	auto_free char *path = NULL;
	auto_close int fd = -1;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return debian_nomem(err);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write_full(fd, text, strlen(text)) < 0)
		return error_sys(err, "failed to write %s", path);
	return 0;
}

/* Prepares the private apt: its configuration does not touch that of this system. */
static int
debian_make_apt(struct debian *d, struct error *err)
{
	auto_free char *config = NULL, *lines = strdup(""), *lists = NULL, *archives = NULL;
	struct sha256_ctx hash;
	char key[KEY_LEN + 1];

	sha256_init(&hash);
	debian_hash_text(&hash, d->arch);
	for (size_t i = 0; lines && i < d->sources.n; i++) {
		char *joined;

		debian_hash_text(&hash, d->sources.lines[i]);
		if (asprintf(&joined, "%s%s\n", lines, d->sources.lines[i]) < 0)
			joined = NULL;
		free(lines);
		lines = joined;
	}
	debian_key(&hash, key);
	if (!lines || asprintf(&d->apt, "%s/debian/apt-%s", d->build->spec->cache, key) < 0) {
		d->apt = NULL;
		return debian_nomem(err);
	}
	if (asprintf(&lists, "%s/state/lists/partial", d->apt) < 0)
		lists = NULL;
	if (asprintf(&archives, "%s/cache/archives/partial", d->apt) < 0)
		archives = NULL;
	if (asprintf(&config,
		     "Dir::State \"%s/state\";\n"
		     "Dir::State::status \"%s/status\";\n"
		     "Dir::Cache \"%s/cache\";\n"
		     "Dir::Etc::sourcelist \"%s/sources.list\";\n"
		     "Dir::Etc::sourceparts \"/dev/null\";\n"
		     "APT::Architecture \"%s\";\n"
		     "#clear APT::Architectures;\n"
		     "APT::Architectures { \"%s\"; };\n"
		     "APT::Sandbox::User \"root\";\n"
		     "Acquire::AllowInsecureRepositories \"false\";\n"
		     "Acquire::AllowWeakRepositories \"false\";\n"
		     "Acquire::Languages \"none\";\n"
		     "Acquire::Retries \"3\";\n"
		     "Acquire::GzipIndexes \"false\";\n"
		     "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
		     "#clear APT::Update::Pre-Invoke;\n"
		     "#clear APT::Update::Post-Invoke;\n"
		     "#clear APT::Update::Post-Invoke-Success;\n",
		     d->apt, d->apt, d->apt, d->apt, d->arch, d->arch) < 0)
		config = NULL;
	if (!lists || !archives || !config)
		return debian_nomem(err);
	if (debian_mkdir(lists, err) < 0 || debian_mkdir(archives, err) < 0 ||
	    debian_put_text(d->apt, "apt.conf", config, err) < 0 ||
	    debian_put_text(d->apt, "sources.list", lines, err) < 0 ||
	    debian_put_text(d->apt, "status", "", err) < 0)
		return -1;
	return 0;
}

static int
debian_apt_get(struct debian *d, const char *command, const char *option, struct error *err)
{
	auto_free char *config = NULL;
	const char *argv[] = { "apt-get", "-q", "-c", NULL, "-o", option ? option : "Quiet=1",
			       command,   NULL };
	const struct tool tool = {
		.argv = argv,
		.package = "apt",
		.epoch = d->build->spec->epoch,
	};

	if (asprintf(&config, "%s/apt.conf", d->apt) < 0) {
		config = NULL;
		return debian_nomem(err);
	}
	argv[3] = config;
	return tool_run(&tool, err);
}

/* Reads the package lists, at most once a day. Old ones are better than none. */
static int
debian_update(struct debian *d, struct error *err)
{
	const struct build_spec *spec = d->build->spec;
	auto_free char *stamp = NULL;
	bool has_lists;
	struct stat st;
	int r;

	if (asprintf(&stamp, "%s/updated", d->apt) < 0) {
		stamp = NULL;
		return debian_nomem(err);
	}
	has_lists = stat(stamp, &st) == 0;
	if (has_lists && (spec->offline || (!spec->refresh && st.st_mtime <= time(NULL) &&
					    time(NULL) - st.st_mtime < LISTS_AGE_S)))
		return 0;
	if (spec->offline)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "the package lists of %s are not in the cache %s: build once "
				 "without --offline",
				 d->suite, spec->cache);
	report_step(d->build->report, "reading the package lists of %s", d->suite);
	r = debian_apt_get(d, "update", NULL, err);
	/* A mirror that is frozen, such as a snapshot, has expired lists. Their signature is
	 * still checked, and packages are checked against them. */
	if (r < 0 && err->code != ERROR_ABORTED && strstr(err->msg, "expired")) {
		report_warn(d->build->report, "the package lists of this mirror have expired");
		r = debian_apt_get(d, "update", "Acquire::Check-Valid-Until=false", err);
	}
	if (r < 0 && has_lists && err->code == ERROR_FAILED_PRECONDITION) {
		report_warn(d->build->report,
			    "failed to read the package lists, using old ones: %s", err->msg);
		return 0;
	}
	if (r < 0)
		return error_wrap(err, "failed to read the package lists of %s", d->suite);
	/* Packages that the lists no longer have. */
	(void)debian_apt_get(d, "autoclean", NULL, err);
	return debian_put_text(d->apt, "updated", "", err);
}

/* Adds the signed file of each archive. */
static int
debian_hash_lists(struct debian *d, struct sha256_ctx *hash, struct error *err)
{
	auto_free char *pattern = NULL;
	glob_t found = { 0 };
	uint8_t bytes[16384];
	int r = 0;

	if (asprintf(&pattern, "%s/state/lists/*Release", d->apt) < 0) {
		pattern = NULL;
		return debian_nomem(err);
	}
	if (glob(pattern, 0, NULL, &found) != 0)
		return error_set(err, ERROR_NOT_FOUND, "no package lists of %s in %s", d->suite,
				 d->apt);
	for (size_t i = 0; r == 0 && i < found.gl_pathc; i++) {
		auto_close int fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : 1;

		debian_hash_text(hash, found.gl_pathv[i] + strlen(d->apt));
		while (n > 0) {
			n = read_full(fd, bytes, sizeof(bytes));
			if (n > 0)
				sha256_update(hash, (size_t)n, bytes);
		}
		if (n < 0)
			r = error_sys(err, "failed to read %s", found.gl_pathv[i]);
	}
	globfree(&found);
	return r;
}

static int
debian_name_root(struct debian *d, struct error *err)
{
	const char *const *packages = d->build->spec->packages;
	static const char *const argv[] = { "mmdebstrap", "--version", NULL };
	auto_free char *version = tool_version(argv);
	struct sha256_ctx hash;
	char key[KEY_LEN + 1], epoch[16];

	sha256_init(&hash);
	debian_hash_text(&hash, "root 2");
	debian_hash_text(&hash, version ? version : "");
	debian_hash_text(&hash, d->suite);
	debian_hash_text(&hash, d->variant);
	debian_hash_text(&hash, d->arch);
	(void)snprintf(epoch, sizeof(epoch), "%u", d->build->spec->epoch);
	debian_hash_text(&hash, epoch);
	for (; packages && *packages; packages++)
		debian_hash_text(&hash, *packages);
	if (debian_hash_lists(d, &hash, err) < 0)
		return -1;
	debian_key(&hash, key);
	if (asprintf(&d->root, "%s/debian/root-%s.tar.zst", d->build->spec->cache, key) < 0) {
		d->root = NULL;
		return debian_nomem(err);
	}
	return 0;
}

/* Arguments of mmdebstrap. */
struct arguments {
	const char *items[96];
	char *owned[96];
	size_t n, n_owned;
	bool has_failed;
};

static void
debian_arg(struct arguments *a, const char *text)
{
	if (a->n + 1 == ARRAY_LEN(a->items)) {
		a->has_failed = true;
		return;
	}
	a->items[a->n++] = text;
	a->items[a->n] = NULL;
}

static void __attribute__((format(printf, 2, 3)))
debian_argf(struct arguments *a, const char *format, ...)
{
	va_list list;
	char *text;
	int n;

	va_start(list, format);
	n = vasprintf(&text, format, list);
	va_end(list);
	if (n < 0 || a->n_owned == ARRAY_LEN(a->owned)) {
		if (n >= 0)
			free(text);
		a->has_failed = true;
		return;
	}
	a->owned[a->n_owned++] = text;
	debian_arg(a, text);
}

/* Returns the memory that programs can get without swapping. */
static uint64_t
debian_free_memory_kib(void)
{
	static const char name[] = "MemAvailable:";
	FILE *file = fopen("/proc/meminfo", "re");
	uint64_t kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		char *value = line + strlen(name);

		if (strncmp(line, name, strlen(name)) != 0)
			continue;
		value += strspn(value, " ");
		value[strcspn(value, " ")] = '\0';
		(void)parse_u64(value, &kib);
		break;
	}
	if (file)
		(void)fclose(file);
	return kib;
}

/* Returns whether other users may search a directory and all of its parents. */
static bool
debian_is_reachable(const char *dir)
{
	auto_free char *copy = strdup(dir);
	char *slash;

	while (copy && (slash = strrchr(copy, '/')) && slash != copy) {
		struct stat st;

		if (stat(copy, &st) < 0 || !(st.st_mode & S_IXOTH))
			return false;
		*slash = '\0';
	}
	return copy != NULL;
}

static int
debian_add_arguments(struct debian *d, struct arguments *a, const char *to, struct error *err)
{
	const struct build_spec *spec = d->build->spec;
	/* The root is made in memory: it is faster, and goes away with the namespace, whatever
	 * becomes of mmdebstrap. */
	static const char in_memory[] =
		"--setup-hook=t=\"$1/.tatami\"; mkdir \"$t\" && "
		"if mount -t tmpfs -o mode=0755 tmpfs \"$t\"; then "
		"(cd \"$1\" && tar -c --exclude=./.tatami .) | tar -x -p -C \"$t\" && "
		"mount --bind \"$t\" \"$1\"; else rmdir \"$t\"; fi";

	debian_arg(a, "mmdebstrap");
	debian_argf(a, "--mode=%s", d->has_namespace ? "unshare" : "root");
	debian_argf(a, "--variant=%s", d->variant);
	debian_argf(a, "--architectures=%s", d->arch);
	debian_arg(a, "--format=tar");
	debian_arg(a, "--skip=update");
	debian_arg(a, "--skip=check/signed-by");
	debian_arg(a, "--skip=download/empty");
	debian_arg(a, "--skip=essential/unlink");
	for (const char *const *package = spec->packages; package && *package; package++)
		debian_argf(a, "--include=%s", *package);
	debian_arg(a, "--aptopt=Acquire::Languages \"none\"");
	debian_arg(a, "--aptopt=Acquire::Retries \"3\"");
	if (spec->offline) {
		debian_arg(a, "--aptopt=Acquire::http::Proxy \"http://127.0.0.1:9\"");
		debian_arg(a, "--aptopt=Acquire::https::Proxy \"http://127.0.0.1:9\"");
		debian_arg(a, "--aptopt=Acquire::Retries \"0\"");
	}
	debian_arg(a, "--dpkgopt=force-unsafe-io");
	if (d->has_namespace && debian_free_memory_kib() >= MEMORY_KIB)
		debian_arg(a, in_memory);
	debian_arg(a, "--setup-hook=mkdir -p \"$1/var/cache/apt/archives\" "
		      "\"$1/var/lib/apt/lists\"");
	debian_argf(a, "--setup-hook=sync-in %s/cache/archives /var/cache/apt/archives", d->apt);
	debian_argf(a, "--setup-hook=sync-in %s/state/lists /var/lib/apt/lists", d->apt);
	debian_argf(a, "--customize-hook=sync-out /var/cache/apt/archives %s/cache/archives",
		    d->apt);
	/* sync-in gave them the owners and modes of the cache. */
	debian_arg(a,
		   "--customize-hook=for d in cache/apt cache/apt/archives lib/apt lib/apt/lists; "
		   "do chown 0:0 \"$1/var/$d\" && chmod 0755 \"$1/var/$d\" || exit 1; done");
	debian_arg(a, d->suite);
	debian_arg(a, to);
	for (size_t i = 0; i < d->sources.n; i++)
		debian_arg(a, d->sources.lines[i]);
	return a->has_failed ? error_set(err, ERROR_INVALID_ARGUMENT,
					 "too many packages or mirrors for mmdebstrap")
			     : 0;
}

/* Shows what mmdebstrap does: "I: extracting archives...". */
static void
debian_progress(const char *text, void *data)
{
	struct debian *d = data;
	size_t len = strlen(text);

	if (!strncmp(text, "I: ", 3) && len > 6 && !strcmp(text + len - 3, "..."))
		report_step(d->build->report, "%.*s", (int)(len - 6 < 80 ? len - 6 : 80), text + 3);
}

static int
debian_bootstrap(struct debian *d, struct error *err)
{
	const char *dir = work_dir(d->build->work), *env[2] = { NULL };
	auto_free char *to = NULL, *part = NULL;
	struct arguments a = { .n = 0 };
	int r;

	if (strpbrk(d->apt, " \t\"'$\\`%"))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "the cache directory %s has characters in its path that a hook of "
				 "mmdebstrap cannot have",
				 d->build->spec->cache);
	if (debian_check_user(d, err) < 0)
		return -1;
	to = work_path(d->build->work, "debian.tar", err);
	if (!to)
		return -1;
	if (asprintf(&part, "%s.part", d->root) < 0) {
		part = NULL;
		return debian_nomem(err);
	}
	/* The subordinate ids need access to the directory with the root. */
	if (chmod(dir, 0711) < 0 || !debian_is_reachable(dir))
		env[0] = "TMPDIR=/tmp";
	if (debian_add_arguments(d, &a, to, err) == 0) {
		const struct tool tool = {
			.argv = a.items,
			.package = "mmdebstrap",
			.env = env,
			.epoch = d->build->spec->epoch,
			.line = debian_progress,
			.line_data = d,
		};

		report_step(d->build->report, "making a root of Debian %s", d->suite);
		r = tool_run(&tool, err);
		if (r < 0 && d->build->spec->offline && err->code == ERROR_FAILED_PRECONDITION)
			error_wrap(err, "packages that are not in the cache cannot be downloaded "
					"with --offline");
	} else {
		r = -1;
	}
	for (size_t i = 0; i < a.n_owned; i++)
		free(a.owned[i]);
	if (r < 0)
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

	/* Options of the build, which the root must not depend on. */
	static const struct prune_rule options[] = {
		{ "etc/*/99mmdebstrap", false, "options of mmdebstrap" },
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
