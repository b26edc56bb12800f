/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/input/debian_apt.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "rootfs-builder/work/hash.h"
#include "rootfs-builder/work/tool.h"

/* Lists are read again after a day. */
#define LISTS_AGE_S 86400

static int debian_apt_make(struct debian_apt *apt, struct error *err);
static int debian_apt_read_lists(struct debian_apt *apt, struct error *err);

static int
debian_apt_nomem(struct error *err)
{
	return error_nomem(err, "preparing apt");
}

int
debian_apt_update(struct debian_apt *apt, struct error *err)
{
	return debian_apt_make(apt, err) < 0 ? -1 : debian_apt_read_lists(apt, err);
}

void
debian_apt_release(struct debian_apt *apt)
{
	debian_sources_release(&apt->sources);
	free(steal_ptr(&apt->dir));
}

int
debian_apt_mkdir(const char *path, struct error *err)
{
	auto_free char *copy = strdup(path);

	if (!copy)
		return debian_apt_nomem(err);
	for (char *slash = copy + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return error_sys(err, "failed to create %s", copy);
	}
	if (mkdir(copy, 0755) < 0 && errno != EEXIST)
		return error_sys(err, "failed to create %s", copy);
	return 0;
}

static int
debian_apt_put_text(const char *dir, const char *name, const char *text, struct error *err)
{
	auto_free char *path = NULL;
	auto_close int fd = -1;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return debian_apt_nomem(err);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write_full(fd, text, strlen(text)) < 0)
		return error_sys(err, "failed to write %s", path);
	return 0;
}

/* Prepares the private apt: its configuration does not touch that of this system. */
static int
debian_apt_make(struct debian_apt *apt, struct error *err)
{
	auto_free char *config = NULL, *lines = strdup(""), *lists = NULL, *archives = NULL;
	struct sha256_ctx hash;
	char key[DEBIAN_KEY_LEN + 1];

	sha256_init(&hash);
	hash_text(&hash, apt->arch);
	for (size_t i = 0; lines && i < apt->sources.n; i++) {
		char *joined;

		hash_text(&hash, apt->sources.lines[i]);
		if (asprintf(&joined, "%s%s\n", lines, apt->sources.lines[i]) < 0)
			joined = NULL;
		free(lines);
		lines = joined;
	}
	hash_hex(&hash, DEBIAN_KEY_LEN / 2, key);
	if (!lines || asprintf(&apt->dir, "%s/debian/apt-%s", apt->build->spec->cache, key) < 0) {
		apt->dir = NULL;
		return debian_apt_nomem(err);
	}
	if (asprintf(&lists, "%s/state/lists/partial", apt->dir) < 0)
		lists = NULL;
	if (asprintf(&archives, "%s/cache/archives/partial", apt->dir) < 0)
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
		     apt->dir, apt->dir, apt->dir, apt->dir, apt->arch, apt->arch) < 0)
		config = NULL;
	if (!lists || !archives || !config)
		return debian_apt_nomem(err);
	if (debian_apt_mkdir(lists, err) < 0 || debian_apt_mkdir(archives, err) < 0 ||
	    debian_apt_put_text(apt->dir, "apt.conf", config, err) < 0 ||
	    debian_apt_put_text(apt->dir, "sources.list", lines, err) < 0 ||
	    debian_apt_put_text(apt->dir, "status", "", err) < 0)
		return -1;
	return 0;
}

static int
debian_apt_get(const struct debian_apt *apt, const char *command, const char *option,
	       struct error *err)
{
	auto_free char *config = NULL;
	const char *argv[] = { "apt-get", "-q", "-c", NULL, "-o", option ? option : "Quiet=1",
			       command,   NULL };
	const struct tool tool = {
		.argv = argv,
		.package = "apt",
		.epoch = apt->build->spec->epoch,
	};

	if (asprintf(&config, "%s/apt.conf", apt->dir) < 0) {
		config = NULL;
		return debian_apt_nomem(err);
	}
	argv[3] = config;
	return tool_run(&tool, err);
}

/* Reads the package lists, at most once a day. Old ones are better than none. */
static int
debian_apt_read_lists(struct debian_apt *apt, struct error *err)
{
	const struct build_spec *spec = apt->build->spec;
	auto_free char *stamp = NULL;
	bool has_lists;
	struct stat st;
	int r;

	if (asprintf(&stamp, "%s/updated", apt->dir) < 0) {
		stamp = NULL;
		return debian_apt_nomem(err);
	}
	has_lists = stat(stamp, &st) == 0;
	if (has_lists && (spec->offline || (!spec->refresh && st.st_mtime <= time(NULL) &&
					    time(NULL) - st.st_mtime < LISTS_AGE_S)))
		return 0;
	if (spec->offline)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "the package lists of %s are not in the cache %s: build once "
				 "without --offline",
				 apt->suite, spec->cache);
	report_step(apt->build->report, "reading the package lists of %s", apt->suite);
	r = debian_apt_get(apt, "update", NULL, err);
	/* A mirror that is frozen, such as a snapshot, has expired lists. Their signature is
	 * still checked, and packages are checked against them. */
	if (r < 0 && err->code != ERROR_ABORTED && strstr(err->msg, "expired")) {
		report_warn(apt->build->report, "the package lists of this mirror have expired");
		r = debian_apt_get(apt, "update", "Acquire::Check-Valid-Until=false", err);
	}
	if (r < 0 && has_lists && err->code == ERROR_FAILED_PRECONDITION) {
		report_warn(apt->build->report,
			    "failed to read the package lists, using old ones: %s", err->msg);
		return 0;
	}
	if (r < 0)
		return error_wrap(err, "failed to read the package lists of %s", apt->suite);
	/* Packages that the lists no longer have. */
	(void)debian_apt_get(apt, "autoclean", NULL, err);
	return debian_apt_put_text(apt->dir, "updated", "", err);
}

int
debian_apt_hash(const struct debian_apt *apt, struct sha256_ctx *hash, struct error *err)
{
	auto_free char *pattern = NULL;
	glob_t found = { 0 };
	uint8_t bytes[16384];
	int r = 0;

	if (asprintf(&pattern, "%s/state/lists/*Release", apt->dir) < 0) {
		pattern = NULL;
		return debian_apt_nomem(err);
	}
	if (glob(pattern, 0, NULL, &found) != 0)
		return error_set(err, ERROR_NOT_FOUND, "no package lists of %s in %s", apt->suite,
				 apt->dir);
	for (size_t i = 0; r == 0 && i < found.gl_pathc; i++) {
		auto_close int fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : 1;

		hash_text(hash, found.gl_pathv[i] + strlen(apt->dir));
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
