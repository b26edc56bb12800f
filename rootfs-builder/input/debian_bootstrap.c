/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/input/debian_bootstrap.h"

#include <pwd.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "rootfs-builder/work/tool.h"

/* Memory that must be available for a root in memory. */
#define MEMORY_KIB      ((uint64_t)2 << 20)
#define SUBORDINATE_IDS 65536

/* Arguments of mmdebstrap. */
struct arguments {
	const char *items[96];
	char *owned[96];
	size_t n, n_owned;
	bool has_failed;
};

static int bootstrap_check_user(bool *has_namespace, struct error *err);
static bool bootstrap_is_reachable(const char *dir);
static int bootstrap_add_arguments(const struct debian_apt *apt, const char *variant,
				   bool has_namespace, struct arguments *a, const char *to,
				   struct error *err);
static void bootstrap_progress(const char *text, void *data);

int
debian_bootstrap(struct debian_apt *apt, const char *variant, const char *to, struct error *err)
{
	const struct build *build = apt->build;
	const char *env[2] = { NULL };
	struct arguments a = { .n = 0 };
	bool has_namespace;
	int r;

	if (strpbrk(apt->dir, " \t\"'$\\`%"))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "the cache directory %s has characters in its path that a hook of "
				 "mmdebstrap cannot have",
				 build->spec->cache);
	if (bootstrap_check_user(&has_namespace, err) < 0)
		return -1;
	/* The subordinate ids need access to the directory with the root. */
	if (chmod(work_dir(build->work), 0711) < 0 ||
	    !bootstrap_is_reachable(work_dir(build->work)))
		env[0] = "TMPDIR=/tmp";
	r = bootstrap_add_arguments(apt, variant, has_namespace, &a, to, err);
	if (r == 0) {
		const struct tool tool = {
			.argv = a.items,
			.package = "mmdebstrap",
			.env = env,
			.epoch = build->spec->epoch,
			.line = bootstrap_progress,
			.line_data = apt,
		};

		report_step(build->report, "making a root of Debian %s", apt->suite);
		r = tool_run(&tool, err);
		if (r < 0 && build->spec->offline && err->code == ERROR_FAILED_PRECONDITION)
			error_wrap(err, "packages that are not in the cache cannot be downloaded "
					"with --offline");
	}
	for (size_t i = 0; i < a.n_owned; i++)
		free(a.owned[i]);
	return r;
}

/* Returns whether unshare(2) works with these flags, tried in a child. */
static bool
bootstrap_can_unshare(int flags)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(flags) == 0 ? 0 : 1);
	return pid > 0 && RETRY_EINTR(waitpid(pid, &status, 0)) == pid && status == 0;
}

/* Checks that a user has enough subordinate ids in a file: "NAME:FIRST:COUNT". */
static int
bootstrap_check_ids(const char *file, const char *user, const char *option, struct error *err)
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
bootstrap_check_user(bool *has_namespace, struct error *err)
{
	const struct passwd *user;

	if (tool_need("mmdebstrap", "mmdebstrap", err) < 0)
		return -1;
	if (geteuid() == 0) {
		*has_namespace = bootstrap_can_unshare(CLONE_NEWNS);
		return 0;
	}
	*has_namespace = true;
	user = getpwuid(getuid());
	if (!user)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "the user %u has no name in /etc/passwd, by which subordinate ids "
				 "are given",
				 getuid());
	if (tool_need("newuidmap", "uidmap", err) < 0 ||
	    bootstrap_check_ids("/etc/subuid", user->pw_name, "--add-subuids", err) < 0 ||
	    bootstrap_check_ids("/etc/subgid", user->pw_name, "--add-subgids", err) < 0)
		return -1;
	if (!bootstrap_can_unshare(CLONE_NEWUSER))
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "this machine lets ordinary users make no user namespaces (see "
				 "user_namespaces(7), and the sysctls user.max_user_namespaces and "
				 "kernel.unprivileged_userns_clone)");
	return 0;
}

static void
bootstrap_arg(struct arguments *a, const char *text)
{
	if (a->n + 1 == ARRAY_LEN(a->items)) {
		a->has_failed = true;
		return;
	}
	a->items[a->n++] = text;
	a->items[a->n] = NULL;
}

static void __attribute__((format(printf, 2, 3)))
bootstrap_argf(struct arguments *a, const char *format, ...)
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
	bootstrap_arg(a, text);
}

/* Returns the memory that programs can get without swapping. */
static uint64_t
bootstrap_free_memory_kib(void)
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
bootstrap_is_reachable(const char *dir)
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
bootstrap_add_arguments(const struct debian_apt *apt, const char *variant, bool has_namespace,
			struct arguments *a, const char *to, struct error *err)
{
	const struct build_spec *spec = apt->build->spec;
	/* The root is made in memory: it is faster, and goes away with the namespace, whatever
	 * becomes of mmdebstrap. */
	static const char in_memory[] =
		"--setup-hook=t=\"$1/.tatami\"; mkdir \"$t\" && "
		"if mount -t tmpfs -o mode=0755 tmpfs \"$t\"; then "
		"(cd \"$1\" && tar -c --exclude=./.tatami .) | tar -x -p -C \"$t\" && "
		"mount --bind \"$t\" \"$1\"; else rmdir \"$t\"; fi";

	bootstrap_arg(a, "mmdebstrap");
	bootstrap_argf(a, "--mode=%s", has_namespace ? "unshare" : "root");
	bootstrap_argf(a, "--variant=%s", variant);
	bootstrap_argf(a, "--architectures=%s", apt->arch);
	bootstrap_arg(a, "--format=tar");
	bootstrap_arg(a, "--skip=update");
	bootstrap_arg(a, "--skip=check/signed-by");
	bootstrap_arg(a, "--skip=download/empty");
	bootstrap_arg(a, "--skip=essential/unlink");
	for (const char *const *package = spec->packages; package && *package; package++)
		bootstrap_argf(a, "--include=%s", *package);
	bootstrap_arg(a, "--aptopt=Acquire::Languages \"none\"");
	bootstrap_arg(a, "--aptopt=Acquire::Retries \"3\"");
	if (spec->offline) {
		bootstrap_arg(a, "--aptopt=Acquire::http::Proxy \"http://127.0.0.1:9\"");
		bootstrap_arg(a, "--aptopt=Acquire::https::Proxy \"http://127.0.0.1:9\"");
		bootstrap_arg(a, "--aptopt=Acquire::Retries \"0\"");
	}
	bootstrap_arg(a, "--dpkgopt=force-unsafe-io");
	if (has_namespace && bootstrap_free_memory_kib() >= MEMORY_KIB)
		bootstrap_arg(a, in_memory);
	bootstrap_arg(a, "--setup-hook=mkdir -p \"$1/var/cache/apt/archives\" "
			 "\"$1/var/lib/apt/lists\"");
	bootstrap_argf(a, "--setup-hook=sync-in %s/cache/archives /var/cache/apt/archives",
		       apt->dir);
	bootstrap_argf(a, "--setup-hook=sync-in %s/state/lists /var/lib/apt/lists", apt->dir);
	bootstrap_argf(a, "--customize-hook=sync-out /var/cache/apt/archives %s/cache/archives",
		       apt->dir);
	/* sync-in gave them the owners and modes of the cache. */
	bootstrap_arg(
		a, "--customize-hook=for d in cache/apt cache/apt/archives lib/apt lib/apt/lists; "
		   "do chown 0:0 \"$1/var/$d\" && chmod 0755 \"$1/var/$d\" || exit 1; done");
	bootstrap_arg(a, apt->suite);
	bootstrap_arg(a, to);
	for (size_t i = 0; i < apt->sources.n; i++)
		bootstrap_arg(a, apt->sources.lines[i]);
	return a->has_failed ? error_set(err, ERROR_INVALID_ARGUMENT,
					 "too many packages or mirrors for mmdebstrap")
			     : 0;
}

/* Shows what mmdebstrap does: "I: extracting archives...". */
static void
bootstrap_progress(const char *text, void *data)
{
	const struct debian_apt *apt = data;
	size_t len = strlen(text);

	if (!strncmp(text, "I: ", 3) && len > 6 && !strcmp(text + len - 3, "..."))
		report_step(apt->build->report, "%.*s", (int)(len - 6 < 80 ? len - 6 : 80),
			    text + 3);
}
