/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tatamictl cp: files of a container, by a tar archive that the container's own tar writes or
 * reads.
 *
 *	container -> host   tar -c, executed --- session --- pipe --- child: libarchive, to the disk
 *	host -> container   tar -x, executed --- session --- pipe --- child: libarchive, from there
 *
 * The archive of a container is not trusted: the child works in the directory of the destination,
 * with names below it only, and follows no symbolic link.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "ctl/commands/command_line.h"
#include "ctl/commands/commands.h"
#include "ctl/commands/options.h"
#include "ctl/spec/spec.h"
#include "ctl/streams/session.h"
#include "ctl/streams/warden.h"
#include "ctl/vm/record.h"
#include "ctl/vm/state.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/sys.h"
#include "lib/ttrpc/client.h"

#define CHUNK       (128u << 10)
#define REQUEST_MAX (1u << 20)

static const char cp_usage[] =
	"usage: tatamictl cp [-a] [-c CONTAINER] NAME[/CONTAINER]:PATH LOCAL|-\n"
	"       tatamictl cp [-a] [-c CONTAINER] LOCAL|- NAME[/CONTAINER]:PATH\n"
	"Copies a file or directory from or to a container of the running VM NAME, by the tar in\n"
	"it. Modes, times, symbolic and hard links are kept. What exists as a directory at the\n"
	"destination gets the source in it; PATH/. is the content of a directory. `-` is a tar\n"
	"archive on standard output or input, for the directory PATH.\n"
	"\n"
	"  -a, --archive          keep owners, set-user-id bits and device nodes, too\n"
	"  -c, --container NAME   the container (default: the first)\n"
	"  --timeout SECONDS      time for the reply to a call to the agent (default 60)\n"
	"  -h, --help             print this\n";

struct cp {
	bool archive, is_upload;
	const char *local, *container;
	/* NAME[/CONTAINER] */
	char vm[256];
	/* the container's file, as DIR and BASE; BASE is "." for the content of DIR */
	char dir[PATH_MAX], base[NAME_MAX + 1];
	/* PATH ended with a slash */
	bool is_directory;
	struct record_ref ref;
	struct ttrpc_client *client;
	/* time for the reply to a call */
	int timeout_ms;
};

static int cp_read_options(struct cp *c, int argc, char **argv);
static int cp_parse(struct cp *c, char *const *paths, struct error *err);
static int cp_download(struct cp *c, struct error *err);
static int cp_upload(struct cp *c, struct error *err);
static int cp_execute(struct cp *c, const char *const *args, int in, int out, int errors,
		      struct error *err);
static int cp_with_child(struct cp *c, const char *const *args, const char *name,
			 struct error *err);
static int cp_extract(const struct cp *c, int fd, struct error *err);
static int cp_pack(const struct cp *c, int fd, const char *name, struct error *err);

int
cmd_cp(int argc, char **argv)
{
	auto_free struct cp *c = calloc(1, sizeof(*c));
	struct error err = ERROR_INIT;
	int r, first;

	if (!c)
		return EXIT_FAILED;
	c->timeout_ms = CALL_TIMEOUT_S * 1000;
	first = cp_read_options(c, argc, argv);
	if (first <= 0)
		return -first;
	if (cp_parse(c, argv + first, &err) < 0) {
		(void)fprintf(stderr, "tatamictl cp: %s\n", err.msg);
		return EXIT_USAGE;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	r = record_find(c->vm, c->container, true, &c->ref, &err);
	if (r == 0) {
		c->client = ttrpc_client_dial(c->ref.state.address, c->timeout_ms, &err);
		r = c->client ? 0 : -1;
	}
	if (r == 0)
		r = c->is_upload ? cp_upload(c, &err) : cp_download(c, &err);
	ttrpc_client_free(c->client);
	if (r == 0)
		return 0;
	(void)fprintf(stderr, "tatamictl cp: %s\n", err.msg);
	return exit_code_of(&err) == EXIT_INTERRUPTED ? EXIT_INTERRUPTED : EXIT_FAILED;
}

/* Splits NAME[/CONTAINER]:PATH. Returns false for a file of the host: one without a colon, or whose
 * name begins with a slash or a dot. */
static bool
cp_split(struct cp *c, const char *text, char path[static PATH_MAX])
{
	const char *colon = strchr(text, ':');

	if (!colon || colon == text || text[0] == '/' || text[0] == '.')
		return false;
	(void)snprintf(c->vm, sizeof(c->vm), "%.*s", (int)(colon - text), text);
	/* Relative to the root, as in other tools. */
	(void)snprintf(path, PATH_MAX, "%s%.4000s", colon[1] == '/' ? "" : "/", colon + 1);
	return true;
}

/* Splits a path into directory and name. */
static int
cp_split_path(struct cp *c, char *path, struct error *err)
{
	size_t n = strlen(path);
	char *slash;

	while (n > 1 && path[n - 1] == '/') {
		path[--n] = '\0';
		c->is_directory = true;
	}
	slash = strrchr(path, '/');
	if (strcmp(slash + 1, "..") == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s: invalid path", path);
	if (strlen(slash + 1) > NAME_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s: the name is too long", path);
	(void)snprintf(c->base, sizeof(c->base), "%.255s", slash[1] ? slash + 1 : ".");
	(void)snprintf(c->dir, sizeof(c->dir), "%.*s", slash == path ? 1 : (int)(slash - path),
		       path);
	return 0;
}

/* Returns what command_line_read() returns. */
static int
cp_read_options(struct cp *c, int argc, char **argv)
{
	const struct command_option options[] = {
		{ "archive", 'a', .flag = &c->archive },
		{ "container", 'c', .text = &c->container },
		{ "timeout", .timeout_ms = &c->timeout_ms },
	};
	const struct command_line line = {
		.usage = cp_usage,
		.options = options,
		.n_options = ARRAY_LEN(options),
		.operands_min = 2,
		.operands_max = 2,
	};

	return command_line_read(&line, argc, argv);
}

/* Returns 0, 1 if the help was asked for, or -1, with a message or without one. */
static int
cp_parse(struct cp *c, char *const *paths, struct error *err)
{
	char from[PATH_MAX], to[PATH_MAX];
	bool is_from, is_to;

	is_from = cp_split(c, paths[0], from);
	is_to = cp_split(c, paths[1], to);
	if (is_from == is_to)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 is_from ? "both are files of containers: copy by way of `-`"
					 : "neither is NAME:PATH, a file of a container");
	c->is_upload = is_to;
	c->local = paths[is_from];
	return cp_split_path(c, is_to ? to : from, err);
}

/* ---- from the container ---- */

static int
cp_download(struct cp *c, struct error *err)
{
	char member[NAME_MAX + 3];
	const char *const args[] = { "tar", "-C", c->dir, "-cf", "-", member, NULL };

	(void)snprintf(member, sizeof(member), "./%s", c->base);
	if (strcmp(c->local, "-") == 0)
		return cp_execute(c, args, -1, STDOUT_FILENO, STDERR_FILENO, err);
	return cp_with_child(c, args, NULL, err);
}

/* ---- to the container ---- */

/* Returns 1 if the container has the directory, 0, or -1 and err: tar begins an archive of it. What
 * it prints of a directory that is not there is dropped. */
static int
cp_has_directory(struct cp *c, const char *path, struct error *err)
{
	const char *const args[] = { "tar", "-C", path, "-cf", "-", ".", NULL };
	auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct error why = ERROR_INIT;
	int fds[2], r, status = 0;
	pid_t pid;
	char byte;

	if (null < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, "failed to create a pipe");
	pid = fork();
	if (pid == 0) {
		(void)close(fds[1]);
		/* The rest of the archive finds no reader. */
		_exit(read_full(fds[0], &byte, 1) != 1);
	}
	(void)close(fds[0]);
	r = pid < 0 ? error_sys(&why, "failed to start a process")
		    : cp_execute(c, args, -1, fds[1], null, &why);
	(void)close(fds[1]);
	if (pid > 0)
		(void)waitpid(pid, &status, 0);
	if (r == 0 || why.code == ERROR_ABORTED)
		return status == 0;
	*err = why;
	return -1;
}

static int
cp_upload(struct cp *c, struct error *err)
{
	const char *args[] = { "tar", "-C", c->dir, "-xpf", "-", NULL };
	char whole[PATH_MAX + NAME_MAX + 2], name[PATH_MAX];
	const char *slash, *local = c->local;
	size_t n = strlen(local);
	struct stat st;
	int has;

	if (strcmp(local, "-") != 0 && lstat(local, &st) < 0)
		return error_sys(err, "failed to open %s", local);
	(void)snprintf(whole, sizeof(whole), "%s/%s", c->dir, c->base);
	has = cp_has_directory(c, whole, err);
	if (has < 0)
		return -1;
	if (has > 0)
		args[2] = whole;
	else if (c->is_directory || strcmp(local, "-") == 0 || strcmp(c->base, ".") == 0)
		return error_set(err, ERROR_NOT_FOUND, "%s: no such directory in the container",
				 whole);
	if (strcmp(local, "-") == 0)
		return cp_execute(c, args, STDIN_FILENO, STDERR_FILENO, STDERR_FILENO, err);
	if (has == 0)
		return cp_with_child(c, args, c->base, err);
	/* The source keeps its name in the directory. */
	while (n > 1 && local[n - 1] == '/')
		n--;
	(void)snprintf(name, sizeof(name), "%.*s", (int)n, local);
	slash = strrchr(name, '/');
	slash = slash ? slash + 1 : name;
	if (strcmp(slash, "..") == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s: invalid path", local);
	return cp_with_child(c, args, *slash ? slash : ".", err);
}

/* ---- tar in the container ---- */

/* Executes tar as root of the container, and waits for its end. Returns 0, or -1 and err: ABORTED
 * if it failed. */
static int
cp_execute(struct cp *c, const char *const *args, int in, int out, int errors, struct error *err)
{
	Grpc__ExecProcessRequest q = GRPC__EXEC_PROCESS_REQUEST__INIT;
	Grpc__CreateContainerRequest *created = record_read_request(c->ref.state.dir, c->ref.id);
	static const char *const env[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	};
	const struct container_options o = {
		.args = (char *const *)(uintptr_t)args, .env = env, .n_env = 1, .cwd = "/"
	};
	auto_close int monitor = sys_pidfd_open(c->ref.state.monitor, 0);
	struct warden w = { .fd = -1 };
	Grpc__Process *own;
	struct arena a;
	char exec_id[64];
	int r = -1;
	struct session s = {
		.client = c->client,
		.container_id = c->ref.id,
		.exec_id = exec_id,
		.in = in,
		.out = out,
		.err = errors,
		.vm_pidfd = monitor,
		.stop_fd = -1,
	};

	(void)snprintf(exec_id, sizeof(exec_id), "cp-%d-%llu", (int)getpid(),
		       (unsigned long long)monotonic_ns());
	arena_init(&a, REQUEST_MAX);
	q.container_id = c->ref.id;
	q.exec_id = exec_id;
	q.process = spec_process(&a, &o);
	own = created && created->oci ? created->oci->process : NULL;
	if (q.process && own && own->n_env) {
		q.process->env = own->env;
		q.process->n_env = own->n_env;
	}
	if (!q.process)
		error_nomem(err, "building the request");
	else if (warden_start(&w, c->ref.state.address, c->ref.id, exec_id, err) == 0)
		r = ttrpc_client_call(c->client, &grpc__agent_service__descriptor, "ExecProcess",
				      &q.base, c->timeout_ms, NULL, err);
	arena_release(&a);
	if (created)
		grpc__create_container_request__free_unpacked(created, NULL);
	if (r < 0) {
		warden_end(&w, err->code != ERROR_DEADLINE_EXCEEDED);
		if (exit_code_of(err) == EXIT_NOT_FOUND)
			error_set(err, ERROR_NOT_FOUND,
				  "container %s has no tar, which cp needs in it", c->ref.id);
		return -1;
	}
	r = session_run(&s, err);
	warden_end(&w, r >= 0);
	if (r == EXIT_NOT_FOUND)
		return error_set(err, ERROR_NOT_FOUND,
				 "container %s has no tar, which cp needs in it", c->ref.id);
	return r > 0 ? error_set(err, ERROR_ABORTED,
				 "tar in the container failed, with exit code %d", r)
		     : r;
}

/* Executes tar, with a child at the other end of its archive: one that packs the source under this
 * name, or extracts. */
static int
cp_with_child(struct cp *c, const char *const *args, const char *name, struct error *err)
{
	struct error told = ERROR_INIT;
	int data[2], report[2] = { -1, -1 }, status = 0, r;
	pid_t pid;

	if (pipe2(data, O_CLOEXEC) < 0 || pipe2(report, O_CLOEXEC) < 0)
		return error_sys(err, "failed to create a pipe");
	pid = fork();
	if (pid == 0) {
		(void)close(data[c->is_upload ? 0 : 1]);
		r = c->is_upload ? cp_pack(c, data[1], name, &told) : cp_extract(c, data[0], &told);
		if (r < 0)
			(void)write_full(report[1], &told, sizeof(told));
		_exit(r < 0);
	}
	(void)close(report[1]);
	(void)close(data[c->is_upload ? 1 : 0]);
	if (pid < 0)
		r = error_sys(err, "failed to start a process");
	else if (c->is_upload)
		r = cp_execute(c, args, data[0], STDERR_FILENO, STDERR_FILENO, err);
	else
		r = cp_execute(c, args, -1, data[1], STDERR_FILENO, err);
	/* The child finds the end of the archive, or an archive without a reader. */
	(void)close(data[c->is_upload ? 0 : 1]);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && status != 0 &&
	    (r == 0 || err->code == ERROR_ABORTED) &&
	    read_full(report[0], &told, sizeof(told)) == (ssize_t)sizeof(told)) {
		/* If tar failed first, the child found only half an archive. */
		if (r == 0 || told.code != ERROR_DATA_LOSS) {
			*err = told;
			r = -1;
		}
	} else if (pid > 0 && status != 0 && r == 0) {
		r = error_set(err, ERROR_INTERNAL, "the process that handles the archive failed");
	}
	(void)close(report[0]);
	return r;
}

/* ---- the child ---- */

static int
cp_archive_error(struct archive *a, const char *doing, struct error *err)
{
	const char *why = archive_error_string(a);

	return error_set(err, ERROR_DATA_LOSS, "%s: %s", doing, why ? why : "invalid archive");
}

/* Changes to the directory of the destination, and writes the name that the source gets in it, ""
 * for the content of a directory. */
static int
cp_enter(const struct cp *c, char name[static NAME_MAX + 1], struct error *err)
{
	char path[PATH_MAX];
	size_t n = strlen(c->local);
	bool is_content = strcmp(c->base, ".") == 0;
	const char *dir = path;
	struct stat st;
	char *slash;

	if (n >= sizeof(path))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s: the name is too long", c->local);
	(void)snprintf(path, sizeof(path), "%s", c->local);
	(void)snprintf(name, NAME_MAX + 1, "%s", is_content ? "" : c->base);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return chdir(path) < 0 ? error_sys(err, "failed to enter %s", path) : 0;
	if (is_content) {
		if (mkdir(path, 0777) < 0 || chdir(path) < 0)
			return error_sys(err, "failed to create %s", path);
		return 0;
	}
	if (path[n - 1] == '/')
		return error_set(err, ERROR_NOT_FOUND, "%s: no such directory", path);
	slash = strrchr(path, '/');
	(void)snprintf(name, NAME_MAX + 1, "%.255s", slash ? slash + 1 : path);
	if (slash)
		slash[slash == path] = '\0';
	else
		dir = ".";
	return chdir(dir) < 0 ? error_sys(err, "failed to enter %s", dir) : 0;
}

/* Writes the name of a member below the destination. Returns false if it is not of the source. */
static bool
cp_map(const struct cp *c, const char *name, const char *member, char out[static PATH_MAX])
{
	size_t n = strlen(c->base);

	while (strncmp(member, "./", 2) == 0) {
		member += 2;
		member += strspn(member, "/");
	}
	if (name[0] && (strncmp(member, c->base, n) != 0 || (member[n] && member[n] != '/')))
		return false;
	if (!name[0] && !*member)
		member = ".";
	if ((size_t)snprintf(out, PATH_MAX, "%s%s", name, name[0] ? member + n : member) >=
	    PATH_MAX)
		return false;
	/* Names of directories end with a slash. */
	for (n = strlen(out); n > 1 && out[n - 1] == '/';)
		out[--n] = '\0';
	return true;
}

static int
cp_copy_data(struct archive *from, struct archive *to, struct error *err)
{
	for (;;) {
		const void *block;
		la_int64_t at;
		size_t n;
		int r = archive_read_data_block(from, &block, &n, &at);

		if (r == ARCHIVE_EOF)
			return 0;
		if (r < ARCHIVE_WARN)
			return cp_archive_error(from, "failed to read the archive", err);
		if (archive_write_data_block(to, block, n, at) < ARCHIVE_WARN) {
			error_set(err, ERROR_INTERNAL, "%s", archive_error_string(to));
			return -1;
		}
	}
}

/* Extracts one member. */
static int
cp_extract_member(const struct cp *c, struct archive *from, struct archive *to,
		  struct archive_entry *e, const char *name, struct error *err)
{
	const char *link = archive_entry_hardlink(e), *member = archive_entry_pathname(e);
	mode_t type = archive_entry_filetype(e);
	char path[PATH_MAX];
	struct stat st;

	if (!member || !cp_map(c, name, member, path))
		return error_set(err, ERROR_PERMISSION_DENIED,
				 "refused: %s is not a part of the source", member ? member : "?");
	if (!link && !c->archive && (type == AE_IFCHR || type == AE_IFBLK)) {
		(void)fprintf(stderr, "tatamictl cp: %s is a device: not copied without -a\n",
			      member);
		return 0;
	}
	/* The directory itself is there. */
	if (strcmp(path, ".") == 0)
		return 0;
	if (type == AE_IFDIR && strcmp(path, name) == 0 && lstat(path, &st) == 0 &&
	    !S_ISDIR(st.st_mode))
		return error_set(err, ERROR_ALREADY_EXISTS, "%s: exists, and is not a directory",
				 c->local);
	archive_entry_copy_pathname(e, path);
	if (link) {
		if (!cp_map(c, name, link, path))
			return error_set(err, ERROR_PERMISSION_DENIED,
					 "refused: %s is a link to %s, not a part of the source",
					 member, link);
		archive_entry_copy_hardlink(e, path);
	}
	if (!c->archive)
		archive_entry_set_perm(e, archive_entry_perm(e) & 01777);
	if (archive_write_header(to, e) < ARCHIVE_WARN)
		return error_set(err, ERROR_PERMISSION_DENIED, "%s",
				 archive_error_string(to) ? archive_error_string(to)
							  : "failed to write a file");
	if (archive_entry_size(e) > 0 && cp_copy_data(from, to, err) < 0)
		return -1;
	if (archive_write_finish_entry(to) < ARCHIVE_WARN)
		return error_set(err, ERROR_INTERNAL, "%s", archive_error_string(to));
	return 0;
}

static int
cp_extract(const struct cp *c, int fd, struct error *err)
{
	int flags = ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
		    ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS;
	struct archive *from = archive_read_new(), *to = archive_write_disk_new();
	char name[NAME_MAX + 1], rest[4096];
	struct archive_entry *e;
	int r = -1, got;

	if (c->archive)
		flags |= ARCHIVE_EXTRACT_OWNER;
	if (!from || !to) {
		error_nomem(err, "extracting an archive");
	} else if (cp_enter(c, name, err) == 0) {
		(void)archive_read_support_format_tar(from);
		(void)archive_write_disk_set_options(to, flags);
		r = archive_read_open_fd(from, fd, CHUNK) == ARCHIVE_OK
			    ? 0
			    : cp_archive_error(from, "failed to read the archive", err);
		while (r == 0) {
			got = archive_read_next_header(from, &e);
			if (got == ARCHIVE_EOF)
				break;
			r = got < ARCHIVE_WARN
				    ? cp_archive_error(from, "failed to read the archive", err)
				    : cp_extract_member(c, from, to, e, name, err);
		}
		/* The rest after the end of the archive: a writer without a reader would fail. */
		while (r == 0 && read_full(fd, rest, sizeof(rest)) > 0)
			continue;
		/* Times and modes of directories. */
		if (archive_write_close(to) < ARCHIVE_WARN && r == 0)
			r = error_set(err, ERROR_INTERNAL, "%s", archive_error_string(to));
	}
	(void)archive_write_free(to);
	(void)archive_read_free(from);
	return r;
}

/* Packs the content of a file. If it has become shorter, zeros follow; what it has more is left
 * out. */
static int
cp_pack_data(const char *file, struct archive *to, struct error *err)
{
	auto_close int fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_free char *data = malloc(CHUNK);
	ssize_t n = 0;

	if (!data)
		return error_nomem(err, "packing files");
	while (fd >= 0 && (n = read_full(fd, data, CHUNK)) > 0)
		if (archive_write_data(to, data, (size_t)n) < 0)
			return cp_archive_error(to, "failed to write the archive", err);
	return fd < 0 || n < 0 ? error_sys(err, "failed to read %s", file) : 0;
}

static int
cp_pack_entry(const struct cp *c, struct archive *from, struct archive *to,
	      struct archive_entry_linkresolver *links, const FTSENT *f, const char *member,
	      struct error *err)
{
	struct archive_entry *e = archive_entry_new(), *entry = e, *later = NULL;
	int r = -1;

	if (!e)
		return error_nomem(err, "packing files");
	archive_entry_copy_pathname(e, member);
	archive_entry_copy_sourcepath(e, f->fts_accpath);
	if (archive_read_disk_entry_from_file(from, e, -1, f->fts_statp) < ARCHIVE_WARN) {
		error_set(err, ERROR_INTERNAL, "%s", archive_error_string(from));
	} else {
		/* The container has accounts of its own. */
		archive_entry_set_uname(e, NULL);
		archive_entry_set_gname(e, NULL);
		if (!c->archive) {
			archive_entry_set_uid(e, 0);
			archive_entry_set_gid(e, 0);
		}
		archive_entry_linkify(links, &entry, &later);
		if (archive_write_header(to, entry) < ARCHIVE_WARN)
			cp_archive_error(to, "failed to write the archive", err);
		else
			r = archive_entry_size(entry) > 0 ? cp_pack_data(f->fts_accpath, to, err)
							  : 0;
	}
	archive_entry_free(e);
	return r;
}

/* Packs all below the source, each directory before its content and followed by it alone: tar then
 * sets its time last. */
static int
cp_pack_tree(const struct cp *c, struct archive *from, struct archive *to,
	     struct archive_entry_linkresolver *links, const char *source, const char *name,
	     struct error *err)
{
	char *const roots[] = { (char *)(uintptr_t)source, NULL };
	FTS *fts = fts_open(roots, FTS_PHYSICAL, NULL);
	char member[PATH_MAX];
	FTSENT *f;
	int r = 0;

	if (!fts)
		return error_sys(err, "failed to open %s", c->local);
	while (r == 0 && (errno = 0, f = fts_read(fts)) != NULL) {
		if (f->fts_info == FTS_DP || f->fts_info == FTS_DC)
			continue;
		if (f->fts_info == FTS_DNR || f->fts_info == FTS_ERR || f->fts_info == FTS_NS) {
			errno = f->fts_errno;
			r = error_sys(err, "failed to read %s", f->fts_path);
		} else if (S_ISSOCK(f->fts_statp->st_mode)) {
			(void)fprintf(stderr, "tatamictl cp: %s is a socket: not copied\n",
				      f->fts_path);
		} else if ((size_t)snprintf(member, sizeof(member), "%s%s", name,
					    f->fts_path + strlen(source)) >= sizeof(member)) {
			r = error_set(err, ERROR_INVALID_ARGUMENT, "%s: the name is too long",
				      f->fts_path);
		} else {
			r = cp_pack_entry(c, from, to, links, f, member, err);
		}
	}
	if (r == 0 && errno)
		r = error_sys(err, "failed to read %s", c->local);
	(void)fts_close(fts);
	return r;
}

static int
cp_pack(const struct cp *c, int fd, const char *name, struct error *err)
{
	struct archive *from = archive_read_disk_new(), *to = archive_write_new();
	struct archive_entry_linkresolver *links = archive_entry_linkresolver_new();
	char path[PATH_MAX], *slash;
	const char *dir = ".", *source = path;
	int r = -1;

	(void)snprintf(path, sizeof(path), "%s", c->local);
	for (size_t n = strlen(path); n > 1 && path[n - 1] == '/';)
		path[--n] = '\0';
	slash = strrchr(path, '/');
	if (strcmp(path, "/") == 0) {
		dir = "/";
		source = ".";
	} else if (slash) {
		*slash = '\0';
		dir = slash == path ? "/" : path;
		source = slash + 1;
	}
	if (!from || !to || !links) {
		error_nomem(err, "packing files");
	} else if (chdir(dir) < 0) {
		error_sys(err, "failed to enter %s", dir);
	} else {
		/* The longest names that every tar reads, busybox's too. */
		(void)archive_write_set_format_gnutar(to);
		archive_entry_linkresolver_set_strategy(links, ARCHIVE_FORMAT_TAR_GNUTAR);
		(void)archive_read_disk_set_symlink_physical(from);
		(void)archive_read_disk_set_behavior(from, ARCHIVE_READDISK_NO_XATTR |
								   ARCHIVE_READDISK_NO_ACL |
								   ARCHIVE_READDISK_NO_FFLAGS);
		r = archive_write_open_fd(to, fd) == ARCHIVE_OK
			    ? cp_pack_tree(c, from, to, links, source, name, err)
			    : cp_archive_error(to, "failed to write the archive", err);
	}
	/* Without the end of the archive, the container's tar fails. */
	if (r == 0 && archive_write_close(to) < ARCHIVE_WARN)
		r = cp_archive_error(to, "failed to write the archive", err);
	archive_entry_linkresolver_free(links);
	if (r < 0 && to)
		(void)archive_write_fail(to);
	(void)archive_write_free(to);
	(void)archive_read_free(from);
	return r;
}
