/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of images.
 *
 *	source locked -> known, and the image is there ----------------------> image locked, shared
 *	      |                                                                    ^
 *	      +-> temporary directory -> tatami-rootfs -> renamed -> source noted -+
 */
#include "ctl/image/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ctl/vm/find.h"
#include "ctl/vm/spawn.h"
#include "ctl/vm/tempdir.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"

#define SOURCE_MAX  (3 * PATH_MAX)
#define SIGNAL_POLL 20
#define DIR_PREFIX  "sha256-"

/* A file of a source. Its lines: the key, the digest, the text for the list of images. */
struct cache_source {
	int fd;
	char key[SOURCE_MAX], shown[PATH_MAX];
};

/* Writes the content of a directory to be committed. Returns 0, or -1 and err. */
typedef int cache_fill_fn(const char *dir, const char *arch, void *data, struct error *err);

static int cache_commit(const char *tmp, int *lock, struct cached *out, struct error *err);
static int cache_run_tool(struct argv *a, int log, struct error *err);
static int cache_from_layout(const char *dir, const char *arch, void *data, struct error *err);
static int cache_from_registry(const char *dir, const char *arch, void *data, struct error *err);

/* ---- paths ---- */

/* Writes the path of the cache, or of something in it, and creates the directories of the cache. */
static int
cache_path(char *out, size_t size, const char *name, struct error *err)
{
	const char *own = getenv("TATAMI_CACHE"), *xdg = getenv("XDG_CACHE_HOME"),
		   *home = getenv("HOME");
	char base[PATH_MAX / 2];
	int n;

	if (own && *own)
		n = snprintf(base, sizeof(base), "%s/images", own);
	else if (xdg && *xdg)
		n = snprintf(base, sizeof(base), "%s/tatami/images", xdg);
	else if (home && *home)
		n = snprintf(base, sizeof(base), "%s/.cache/tatami/images", home);
	else
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "no directory for images: HOME is not set");
	if (n < 0 || (size_t)n >= sizeof(base) || base[0] != '/')
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid directory for images: %s must be an absolute path", base);
	(void)snprintf(out, size, "%s/sources", base);
	for (char *slash = out; (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		(void)mkdir(out, 0777);
		*slash = '/';
	}
	if (mkdir(out, 0700) < 0 && errno != EEXIST)
		return error_sys(err, "failed to create the directory %s", out);
	if ((size_t)snprintf(out, size, "%s/%s", base, name) >= size)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is too long a path", base);
	return 0;
}

/* Writes the path of an image's directory. */
static int
cache_dir_of(const char *digest, char *out, size_t size, struct error *err)
{
	char name[sizeof(DIR_PREFIX) + 64];

	if (strncmp(digest, "sha256:", 7) != 0 ||
	    strspn(digest + 7, "0123456789abcdef") != CACHE_DIGEST - sizeof("sha256:") ||
	    digest[CACHE_DIGEST - 1] != '\0')
		return error_set(err, ERROR_DATA_LOSS, "invalid digest of an image: %.80s", digest);
	(void)snprintf(name, sizeof(name), DIR_PREFIX "%s", digest + 7);
	return cache_path(out, size, name, err);
}

/* ---- images ---- */

/* Locks an image that is in the cache. Returns whether that was possible; errno is EWOULDBLOCK if
 * LOCK_NB was given and others have it. */
static bool
cache_take(const char *digest, int operation, struct cached *out)
{
	struct error ignored = ERROR_INIT;
	struct stat now, then;
	auto_close int fd = -1;

	errno = 0;
	if (cache_dir_of(digest, out->dir, sizeof(out->dir), &ignored) < 0)
		return false;
	fd = open(out->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* It may have been removed before the lock was there. */
	if (fd < 0 || RETRY_EINTR(flock(fd, operation)) < 0 || fstat(fd, &then) < 0 ||
	    stat(out->dir, &now) < 0 || now.st_ino != then.st_ino || now.st_dev != then.st_dev)
		return false;
	/* The text may be out->digest itself. */
	memmove(out->digest, digest, strlen(digest) + 1);
	out->lock = steal_fd(&fd);
	return true;
}

/* ---- sources ---- */

/* FNV-1a: the key itself is in the file. */
static uint64_t
cache_hash(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return h;
}

static void
cache_source_close(struct cache_source *s)
{
	close_fd(&s->fd);
}

/* Opens and locks the file of a source. */
static int
cache_source_open(struct cache_source *s, bool create, struct error *err)
{
	char name[64], path[PATH_MAX];

	s->fd = -1;
	(void)snprintf(name, sizeof(name), "sources/%016llx",
		       (unsigned long long)cache_hash(s->key));
	if (cache_path(path, sizeof(path), name, err) < 0)
		return -1;
	for (;;) {
		struct stat now, then;

		s->fd = open(path, O_RDWR | (create ? O_CREAT : 0) | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (s->fd < 0)
			return error_sys_code(err,
					      errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
					      "failed to open %s", path);
		if (RETRY_EINTR(flock(s->fd, LOCK_EX)) < 0) {
			error_sys(err, "failed to lock %s", path);
			close_fd(&s->fd);
			return -1;
		}
		/* cache_prune() may have removed it. */
		if (fstat(s->fd, &then) == 0 && stat(path, &now) == 0 && now.st_ino == then.st_ino)
			return 0;
		close_fd(&s->fd);
	}
}

/* Splits the content of a source's file. Returns false if it is not whole. */
static bool
cache_source_parse(char *text, char **key, char **digest, char **shown)
{
	*key = strsep(&text, "\n");
	*digest = text ? strsep(&text, "\n") : NULL;
	*shown = text ? strsep(&text, "\n") : NULL;
	return *shown && text && strlen(*digest) == CACHE_DIGEST - 1;
}

/* Takes the image that the source is known to be. Returns whether there is one. */
static bool
cache_source_known(struct cache_source *s, struct cached *out)
{
	char text[SOURCE_MAX + PATH_MAX + 128] = "", *key, *digest, *shown;

	if (pread(s->fd, text, sizeof(text) - 1, 0) <= 0 ||
	    !cache_source_parse(text, &key, &digest, &shown) || strcmp(key, s->key) != 0)
		return false;
	return cache_take(digest, LOCK_SH, out);
}

static int
cache_source_note(struct cache_source *s, const char *digest, struct error *err)
{
	char text[SOURCE_MAX + PATH_MAX + 128];
	int n = snprintf(text, sizeof(text), "%s\n%s\n%s\n", s->key, digest, s->shown);

	if (ftruncate(s->fd, 0) < 0 || lseek(s->fd, 0, SEEK_SET) < 0 ||
	    write_full(s->fd, text, (size_t)n) < 0)
		return error_sys(err, "failed to note the source of an image");
	return 0;
}

/* ---- unpacking ---- */

/* The signals that end this process; nohup(1) ignores one on purpose. */
static void
cache_signals(sigset_t *set)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	(void)sigemptyset(set);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		struct sigaction action;

		if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			(void)sigaddset(set, signals[i]);
	}
}

/* Makes an image of the source, which is locked. */
static int
cache_make(struct cache_source *s, const char *arch, cache_fill_fn *fill, void *data,
	   struct cached *out, struct error *err)
{
	char prefix[PATH_MAX], tmp[PATH_MAX];
	struct error ignored = ERROR_INIT;
	auto_close int lock = -1;
	sigset_t set, saved;
	int r;

	if (cache_path(prefix, sizeof(prefix), "tmp", err) < 0)
		return -1;
	/* A signal ends this process when nothing of the image is left. */
	cache_signals(&set);
	(void)sigprocmask(SIG_BLOCK, &set, &saved);
	lock = tempdir_make(prefix, tmp, sizeof(tmp), err);
	if (lock < 0) {
		(void)sigprocmask(SIG_SETMASK, &saved, NULL);
		return -1;
	}
	r = fill(tmp, arch, data, err);
	if (r == 0)
		r = cache_commit(tmp, &lock, out, err);
	/* Nothing is there if it was renamed. */
	(void)path_remove_tree(AT_FDCWD, tmp, &ignored);
	(void)sigprocmask(SIG_SETMASK, &saved, NULL);
	if (r == 0 && cache_source_note(s, out->digest, err) < 0) {
		close_fd(&out->lock);
		r = -1;
	}
	return r;
}

/* Renames a finished directory to the name of its image, whose lock the caller gets. */
static int
cache_commit(const char *tmp, int *lock, struct cached *out, struct error *err)
{
	char path[PATH_MAX + 32];
	const char *digest;
	json_t *json;
	int r = 0;

	(void)snprintf(path, sizeof(path), "%s/image.json", tmp);
	json = json_load_file(path, 0, NULL);
	digest = json_string_value(json_object_get(json, "digest"));
	if (!digest)
		r = error_set(err, ERROR_DATA_LOSS, "tatami-rootfs described no image");
	else
		r = cache_dir_of(digest, out->dir, sizeof(out->dir), err);
	if (r == 0)
		(void)snprintf(out->digest, sizeof(out->digest), "%s", digest);
	json_decref(json);
	if (r < 0)
		return -1;
	/* Another source of the same image may be there first. */
	for (int i = 0; i < 2; i++) {
		if (rename(tmp, out->dir) == 0) {
			if (flock(*lock, LOCK_SH) < 0)
				return error_sys(err, "failed to lock %s", out->dir);
			out->lock = steal_fd(lock);
			return 0;
		}
		if (errno != EEXIST && errno != ENOTEMPTY)
			break;
		if (cache_take(out->digest, LOCK_SH, out))
			return 0;
	}
	return error_sys(err, "failed to rename an image to %s", out->dir);
}

static bool cache_is_quiet;

void
cache_be_quiet(void)
{
	cache_is_quiet = true;
}

/* Runs a program to its end, and passes on a signal that asks this one to end, which is blocked.
 * The program's last message becomes err unless its output goes to `log`. */
static int
cache_run_tool(struct argv *a, int log, struct error *err)
{
	const struct timespec pause = { .tv_nsec = SIGNAL_POLL * 1000000L };
	const char *slash = a->n ? strrchr(a->items[0], '/') : NULL;
	char name[64], text[600] = "", *line;
	auto_close int said = log < 0 ? memfd_create("said", MFD_CLOEXEC) : -1;
	int status = 0, caught = 0;
	sigset_t set;
	pid_t pid;

	(void)snprintf(name, sizeof(name), "%s", slash ? slash + 1 : "");
	cache_signals(&set);
	pid = spawn(a, log < 0 ? said : log, -1, err);
	argv_release(a);
	while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
		int got = sigtimedwait(&set, NULL, &pause);

		if (got > 0) {
			caught = got;
			(void)kill(-pid, got);
		}
	}
	if (pid < 0)
		return -1;
	if (caught) {
		/* Delivered when the signals are no longer blocked. */
		(void)kill(getpid(), caught);
		return error_set(err, ERROR_CANCELLED, "interrupted by %s", strsignal(caught));
	}
	if (status == 0)
		return 0;
	if (said >= 0) {
		off_t end = lseek(said, 0, SEEK_END), max = (off_t)sizeof(text) - 1;

		(void)pread(said, text, sizeof(text) - 1, end > max ? end - max : 0);
	}
	/* The last line, without the program's name. */
	while ((line = strrchr(text, '\n')) && !line[1])
		*line = '\0';
	line = line ? line + 1 : text;
	if (strncmp(line, name, strlen(name)) == 0 && strncmp(line + strlen(name), ": ", 2) == 0)
		line += strlen(name) + 2;
	return error_set(err, ERROR_FAILED_PRECONDITION, "%s failed%s%s", name, *line ? ": " : "",
			 line);
}

/* Unpacks what tatami-rootfs calls oci:SOURCE. */
static int
cache_from_layout(const char *dir, const char *arch, void *data, struct error *err)
{
	const char *source = data;
	char program[PATH_MAX], from[PATH_MAX + 64], to[PATH_MAX + 64];
	struct argv a = { 0 };

	if (find_program("tatami-rootfs", program, sizeof(program), err) < 0)
		return error_wrap(err, "unpacking requires tatami-rootfs");
	argv_add(&a, "%s", program);
	for (const char *const *word =
		     (const char *const[]){ "--quiet", "--rootfs-only", "--no-sbom", "--describe",
					    "--format", "disk", "--filesystem", "ext4",
					    "--partitions", "none", NULL };
	     *word; word++)
		argv_add(&a, "%s", *word);
	argv_add(&a, "--arch=%s", arch);
	argv_add(&a, "--from=oci:%s", source);
	argv_add(&a, "--output=%s/root.img", dir);
	if (cache_run_tool(&a, -1, err) < 0)
		return -1;
	(void)snprintf(from, sizeof(from), "%s/root.img.image.json", dir);
	(void)snprintf(to, sizeof(to), "%s/image.json", dir);
	return rename(from, to) < 0 ? error_sys(err, "failed to rename %s", from) : 0;
}

int
cache_unpack(const char *path, const char *choice, const char *arch, struct cached *out,
	     struct error *err)
{
	struct cache_source s = { .fd = -1 };
	char real[PATH_MAX], file[PATH_MAX + 16];
	struct stat st;
	int r = 0;

	if (!realpath(path, real) || stat(real, &st) < 0)
		return error_sys_code(err, ERROR_NOT_FOUND, "failed to look up %s", path);
	/* The file that changes with the image: blobs of a layout have digests as names. */
	(void)snprintf(file, sizeof(file), "%s%s", real, S_ISDIR(st.st_mode) ? "/index.json" : "");
	if (stat(file, &st) < 0)
		return error_sys_code(err, ERROR_NOT_FOUND, "failed to look up %s", file);
	(void)snprintf(s.key, sizeof(s.key), "file:%s %llx:%llx %lld %lld.%09ld %lld.%09ld %s %s",
		       real, (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
		       (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
		       (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec, choice, arch);
	if (strchr(s.key, '\n'))
		return error_set(err, ERROR_INVALID_ARGUMENT, "newline in the path of an image");
	if ((size_t)snprintf(s.shown, sizeof(s.shown), "%s%s", real, choice) >= sizeof(s.shown))
		return error_set(err, ERROR_INVALID_ARGUMENT, "the path of an image is too long");
	if (cache_source_open(&s, true, err) < 0)
		return -1;
	if (!cache_source_known(&s, out)) {
		if (!cache_is_quiet && isatty(STDERR_FILENO))
			(void)fprintf(stderr, "unpacking %s\n", s.shown);
		r = cache_make(&s, arch, cache_from_layout, s.shown, out, err);
	}
	cache_source_close(&s);
	return r < 0 ? error_wrap(err, "failed to unpack the image %s", s.shown) : 0;
}

/* ---- names ---- */

static const char *const transports[] = { "docker://", "docker-daemon:", "containers-storage:" };

bool
cache_is_reference(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(transports); i++)
		if (strncmp(text, transports[i], strlen(transports[i])) == 0)
			return true;
	return false;
}

void
cache_canonical(const char *text, char *out, size_t size)
{
	const char *slash, *last, *registry = "", *library = "", *tag = "";
	size_t n;

	if (cache_is_reference(text) && strncmp(text, transports[0], strlen(transports[0])) != 0) {
		(void)snprintf(out, size, "%s", text);
		return;
	}
	if (strncmp(text, transports[0], strlen(transports[0])) == 0)
		text += strlen(transports[0]);
	slash = strchr(text, '/');
	n = slash ? (size_t)(slash - text) : 0;
	/* The first part is a registry if it looks like a host. */
	if (!slash || (!memchr(text, '.', n) && !memchr(text, ':', n) &&
		       strncmp(text, "localhost/", 10) != 0)) {
		registry = "docker.io/";
		library = slash ? "" : "library/";
	}
	last = strrchr(text, '/');
	if (!strchr(last ? last : text, ':') && !strchr(text, '@'))
		tag = ":latest";
	(void)snprintf(out, size, "%s%s%s%s", registry, library, text, tag);
}

static void
cache_name_source(struct cache_source *s, const char *text, const char *arch)
{
	char name[1024];

	cache_canonical(text, name, sizeof(name));
	*s = (struct cache_source){ .fd = -1 };
	(void)snprintf(s->key, sizeof(s->key), "name:%s %s", name, arch);
	(void)snprintf(s->shown, sizeof(s->shown), "%s", name);
}

/* A search for the image of a digest. */
struct cache_search {
	const char *hex;
	size_t len;
	char digest[CACHE_DIGEST];
	unsigned int found;
};

static void
cache_match_digest(const struct cache_row *row, void *data)
{
	struct cache_search *search = data;

	if (strncmp(row->digest + 7, search->hex, search->len) != 0)
		return;
	search->found++;
	memcpy(search->digest, row->digest, sizeof(search->digest));
}

/* Takes the image whose digest begins with the text. Returns the number of those that do, or -1 and
 * err. */
static int
cache_find_digest(const char *text, int operation, struct cached *out, struct error *err)
{
	struct cache_search search = { .hex = text };

	if (strncmp(text, "sha256:", 7) == 0)
		search.hex += 7;
	search.len = strlen(search.hex);
	if (search.len < 6 || strspn(search.hex, "0123456789abcdef") != search.len)
		return 0;
	if (cache_for_each(cache_match_digest, &search, err) < 0)
		return -1;
	if (search.found == 1 && !cache_take(search.digest, operation, out))
		return errno == EWOULDBLOCK ? error_set(err, ERROR_FAILED_PRECONDITION,
							"a VM uses the image %s", text)
					    : 0;
	return (int)search.found;
}

int
cache_find(const char *name, const char *arch, struct cached *out, struct error *err)
{
	struct cache_source s;
	bool known = false;
	int r;

	cache_name_source(&s, name, arch);
	if (!strchr(s.key, '\n') && cache_source_open(&s, false, err) == 0) {
		known = cache_source_known(&s, out);
		cache_source_close(&s);
	}
	if (known)
		return 0;
	r = cache_find_digest(name, LOCK_SH, out, err);
	if (r == 1)
		return 0;
	if (r < 0)
		return -1;
	return error_set(err, r ? ERROR_INVALID_ARGUMENT : ERROR_NOT_FOUND,
			 r ? "%s: the digests of %d images begin with that"
			   : "no image %s: neither a file or directory, nor in the cache "
			     "(`tatamictl pull` downloads one)",
			 name, r);
}

/* ---- registries ---- */

/* Downloads the image to a layout, and unpacks that. */
static int
cache_from_registry(const char *dir, const char *arch, void *data, struct error *err)
{
	static const struct {
		const char *arch, *go;
	} names[] = { { "x86_64", "amd64" }, { "aarch64", "arm64" } };
	const char *reference = data, *home = getenv("HOME"), *go = arch;
	char program[PATH_MAX], layout[PATH_MAX + 32], policy[PATH_MAX], source[PATH_MAX + 64];
	struct error ignored = ERROR_INIT;
	struct argv a = { 0 };
	int r;

	if (find_program("skopeo", program, sizeof(program), err) < 0)
		return error_set(err, ERROR_UNAVAILABLE,
				 "program skopeo not found: install the package skopeo, or copy "
				 "the image to a file elsewhere");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i].arch, arch) == 0)
			go = names[i].go;
	(void)snprintf(layout, sizeof(layout), "%s/layout", dir);
	(void)snprintf(policy, sizeof(policy), "%s/.config/containers/policy.json",
		       home ? home : "");
	argv_add(&a, "%s", program);
	argv_add(&a, "--override-os=linux");
	argv_add(&a, "--override-arch=%s", go);
	/* skopeo refuses to work without a policy, and not every package of it has one. */
	if (access(policy, R_OK) < 0 && access("/etc/containers/policy.json", R_OK) < 0)
		argv_add(&a, "--insecure-policy");
	argv_add(&a, "copy");
	argv_add(&a, "%s", reference);
	argv_add(&a, "oci:%s:image", layout);
	r = cache_run_tool(&a, !cache_is_quiet && isatty(STDERR_FILENO) ? STDERR_FILENO : -1, err);
	(void)snprintf(source, sizeof(source), "%s:image", layout);
	if (r == 0)
		r = cache_from_layout(dir, arch, source, err);
	(void)path_remove_tree(AT_FDCWD, layout, &ignored);
	return r;
}

int
cache_pull(const char *reference, const char *arch, struct cached *out, struct error *err)
{
	struct cache_source s;
	char full[1200];
	int r;

	cache_name_source(&s, reference, arch);
	if (strchr(s.key, '\n') || reference[0] == '-')
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid name of an image: %s",
				 reference);
	(void)snprintf(full, sizeof(full), "%s%s", cache_is_reference(reference) ? "" : "docker://",
		       reference);
	if (cache_source_open(&s, true, err) < 0)
		return -1;
	r = cache_make(&s, arch, cache_from_registry, full, out, err);
	cache_source_close(&s);
	return r < 0 ? error_wrap(err, "failed to pull %s", reference) : 0;
}

/* ---- the list ---- */

/* Calls fn with the whole content of each source's file. */
static int
cache_for_each_source(void (*fn)(const char *name, char *text, void *data), void *data,
		      struct error *err)
{
	char path[PATH_MAX];
	struct dirent *d;
	DIR *dir;

	if (cache_path(path, sizeof(path), "sources", err) < 0)
		return -1;
	dir = opendir(path);
	if (!dir)
		return error_sys(err, "failed to open %s", path);
	while ((d = readdir(dir))) {
		char text[SOURCE_MAX + PATH_MAX + 128] = "";
		auto_close int fd = -1;

		if (d->d_name[0] == '.')
			continue;
		fd = openat(dirfd(dir), d->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && pread(fd, text, sizeof(text) - 1, 0) >= 0)
			fn(d->d_name, text, data);
	}
	(void)closedir(dir);
	return 0;
}

static void
cache_add_name(const char *name, char *text, void *data)
{
	struct cache_row *row = data;
	char *key, *digest, *shown;
	size_t n = strlen(row->names);

	(void)name;
	if (cache_source_parse(text, &key, &digest, &shown) && strcmp(digest, row->digest) == 0)
		(void)snprintf(row->names + n, sizeof(row->names) - n, "%s%s", n ? "\n" : "",
			       shown);
}

int
cache_for_each(void (*fn)(const struct cache_row *row, void *data), void *data, struct error *err)
{
	char path[PATH_MAX];
	struct dirent **list;
	int n, r = 0;

	if (cache_path(path, sizeof(path), "", err) < 0)
		return -1;
	n = scandir(path, &list, NULL, alphasort);
	if (n < 0)
		return error_sys(err, "failed to open %s", path);
	for (int i = 0; i < n; i++) {
		struct cache_row row = { .digest = "" };
		struct cached image = { .lock = -1 };
		char file[PATH_MAX + 16];
		struct stat st;

		if (r == 0 && strncmp(list[i]->d_name, DIR_PREFIX, strlen(DIR_PREFIX)) == 0) {
			(void)snprintf(row.digest, sizeof(row.digest), "sha256:%.64s",
				       list[i]->d_name + strlen(DIR_PREFIX));
			row.in_use = !cache_take(row.digest, LOCK_EX | LOCK_NB, &image);
			close_fd(&image.lock);
			(void)snprintf(file, sizeof(file), "%.*s/root.img", PATH_MAX - 1,
				       image.dir);
			if (stat(file, &st) == 0) {
				row.size = (uint64_t)st.st_blocks * 512;
				row.created = st.st_mtim.tv_sec;
				r = cache_for_each_source(cache_add_name, &row, err);
				if (r == 0)
					fn(&row, data);
			}
		}
		free(list[i]);
	}
	free(list);
	return r;
}

/* ---- removal ---- */

/* The image of a path or name, as it is listed. */
struct cache_named {
	const char *shown;
	char digest[CACHE_DIGEST];
};

static void
cache_match_shown(const char *name, char *text, void *data)
{
	struct cache_named *named = data;
	char *key, *digest, *shown;

	(void)name;
	if (cache_source_parse(text, &key, &digest, &shown) && strcmp(shown, named->shown) == 0)
		(void)snprintf(named->digest, sizeof(named->digest), "%s", digest);
}

/* Removes an image that is locked by this process alone. */
static int
cache_delete(struct cached *image, struct error *err)
{
	int r = path_remove_tree(AT_FDCWD, image->dir, err);

	close_fd(&image->lock);
	return r;
}

int
cache_remove(const char *name, struct error *err)
{
	char canonical[1024], real[PATH_MAX];
	const char *const texts[] = { name, canonical, realpath(name, real) };
	struct cached image = { .lock = -1 };
	int r;

	cache_canonical(name, canonical, sizeof(canonical));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct cache_named named = { .shown = texts[i] };

		if (!texts[i])
			continue;
		if (cache_for_each_source(cache_match_shown, &named, err) < 0)
			return -1;
		if (!named.digest[0])
			continue;
		if (cache_take(named.digest, LOCK_EX | LOCK_NB, &image))
			return cache_delete(&image, err);
		if (errno == EWOULDBLOCK)
			return error_set(err, ERROR_FAILED_PRECONDITION, "a VM uses the image %s",
					 name);
	}
	r = cache_find_digest(name, LOCK_EX | LOCK_NB, &image, err);
	if (r == 1)
		return cache_delete(&image, err);
	if (r < 0)
		return -1;
	return error_set(err, ERROR_NOT_FOUND,
			 r ? "%s: the digests of several images begin with that"
			   : "no image %s in the cache",
			 name);
}

/* Removes the file of a source whose image is gone, unless a process is unpacking it. */
static void
cache_forget(const char *name, char *text, void *data)
{
	char path[PATH_MAX], file[64], *key, *digest, *shown;
	struct error ignored = ERROR_INIT;
	auto_close int fd = -1;

	(void)data;
	if (cache_source_parse(text, &key, &digest, &shown) &&
	    cache_dir_of(digest, path, sizeof(path), &ignored) == 0 && access(path, F_OK) == 0)
		return;
	(void)snprintf(file, sizeof(file), "sources/%.32s", name);
	if (cache_path(path, sizeof(path), file, &ignored) < 0)
		return;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlink(path);
}

/* Images that are being removed. */
struct cache_pruned {
	int n;
	struct error err;
};

static void
cache_prune_row(const struct cache_row *row, void *data)
{
	struct cache_pruned *pruned = data;
	struct cached image = { .lock = -1 };

	if (!cache_take(row->digest, LOCK_EX | LOCK_NB, &image))
		return;
	if (cache_delete(&image, &pruned->err) == 0)
		pruned->n++;
}

int
cache_prune(struct error *err)
{
	struct cache_pruned pruned = { .err = ERROR_INIT };

	if (cache_for_each(cache_prune_row, &pruned, err) < 0 ||
	    cache_for_each_source(cache_forget, NULL, err) < 0)
		return -1;
	if (pruned.err.code != ERROR_OK) {
		*err = pruned.err;
		return -1;
	}
	return pruned.n;
}
