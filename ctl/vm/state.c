/* SPDX-License-Identifier: Apache-2.0 */
/* State files of VMs in the background. */
#include "ctl/vm/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/json/json.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/path.h"
#include "lib/sys.h"

static int
state_base_dir(char *out, size_t size, struct error *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	int n;

	if (runtime && *runtime && strlen(runtime) < 40)
		n = snprintf(out, size, "%s/tatami", runtime);
	else
		n = snprintf(out, size, "/tmp/tatami-vms-%u", (unsigned int)geteuid());
	if (n < 0 || (size_t)n >= size)
		return error_set(err, ERROR_INTERNAL, "path of the run directory is too long");
	if (mkdir(out, 0700) < 0 && errno != EEXIST)
		return error_sys(err, "failed to create directory %s", out);
	/* Below /tmp, another user may have created the directory first. */
	if (lstat(out, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 022))
		return error_set(err, ERROR_PERMISSION_DENIED,
				 "%s is not a private directory of this user", out);
	return 0;
}

int
state_dir(const char *name, char *out, size_t size, struct error *err)
{
	char base[PATH_MAX];

	if (!container_id_is_valid(name) || strlen(name) > 24)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid VM name \"%.32s\": "
				 "expected 2 to 24 letters, digits, '.', '_' or '-'",
				 name);
	if (state_base_dir(base, sizeof(base), err) < 0)
		return -1;
	if ((size_t)snprintf(out, size, "%s/%s", base, name) >= size)
		return error_set(err, ERROR_INTERNAL, "path of the VM's directory is too long");
	return 0;
}

int
state_write(const struct vm_state *s, struct error *err)
{
	char path[PATH_MAX + 32], new_path[PATH_MAX + 32];
	json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:i, s:s, s:o, s:b}",
			      "name", s->name, "pod", s->pod, "container", s->container, "address",
			      s->address, "rootfs", json_from_text(s->rootfs), "command",
			      json_from_text(s->command), "monitor", (json_int_t)s->monitor,
			      "started", (json_int_t)s->started, "grace", s->grace_s, "accelerator",
			      s->accel, "acceleratorReason", json_from_text(s->accel_why),
			      "kvmTried", (int)s->kvm_was_tried);
	int r;

	if (!j)
		return error_nomem(err, "writing the VM's state");
	(void)snprintf(path, sizeof(path), "%s/state.json", s->dir);
	(void)snprintf(new_path, sizeof(new_path), "%s/.state.json", s->dir);
	if (s->finished && (json_object_set_new(j, "finished", json_integer(s->finished)) < 0 ||
			    json_object_set_new(j, "exitCode", json_integer(s->exit_code)) < 0 ||
			    json_object_set_new(j, "error", json_from_text(s->error)) < 0)) {
		json_decref(j);
		return error_nomem(err, "writing the VM's state");
	}
	r = json_dump_file(j, new_path, JSON_INDENT(2));
	json_decref(j);
	if (r < 0 || rename(new_path, path) < 0)
		return error_sys(err, "failed to write %s", path);
	return 0;
}

static void
state_copy_string(char *out, size_t size, const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	(void)snprintf(out, size, "%s", s ? s : "");
}

int
state_read(const char *name, struct vm_state *out, struct error *err)
{
	char path[PATH_MAX + 32];
	json_t *j;

	memset(out, 0, sizeof(*out));
	if (state_dir(name, out->dir, sizeof(out->dir), err) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/state.json", out->dir);
	j = json_load_file(path, 0, NULL);
	if (!j)
		return error_set(err, ERROR_NOT_FOUND, "no VM named %s", name);
	state_copy_string(out->name, sizeof(out->name), j, "name");
	state_copy_string(out->address, sizeof(out->address), j, "address");
	state_copy_string(out->pod, sizeof(out->pod), j, "pod");
	state_copy_string(out->container, sizeof(out->container), j, "container");
	state_copy_string(out->rootfs, sizeof(out->rootfs), j, "rootfs");
	state_copy_string(out->command, sizeof(out->command), j, "command");
	out->monitor = (pid_t)json_integer_value(json_object_get(j, "monitor"));
	out->started = json_integer_value(json_object_get(j, "started"));
	out->grace_s = (int)json_integer_value(json_object_get(j, "grace"));
	out->finished = json_integer_value(json_object_get(j, "finished"));
	out->exit_code = (int)json_integer_value(json_object_get(j, "exitCode"));
	state_copy_string(out->error, sizeof(out->error), j, "error");
	state_copy_string(out->accel, sizeof(out->accel), j, "accelerator");
	state_copy_string(out->accel_why, sizeof(out->accel_why), j, "acceleratorReason");
	out->kvm_was_tried = json_is_true(json_object_get(j, "kvmTried"));
	json_decref(j);
	return 0;
}

static int
state_end_file(const struct vm_state *s, int flags)
{
	char path[PATH_MAX + 32];

	(void)snprintf(path, sizeof(path), "%s/.end", s->dir);
	return open(path, flags | O_CLOEXEC, 0600);
}

int
state_end_create(const struct vm_state *s)
{
	return state_end_file(s, O_WRONLY | O_CREAT);
}

void
state_end_note(int fd, int exit_code)
{
	(void)write_full(fd, &exit_code, sizeof(exit_code));
}

int
state_end_open(const struct vm_state *s)
{
	return state_end_file(s, O_RDONLY);
}

bool
state_end_read(int fd, int *exit_code)
{
	return read_full(fd, exit_code, sizeof(*exit_code)) == (ssize_t)sizeof(*exit_code);
}

/* Says how a VM has ended. Returns -1. */
static int
state_set_ended(const struct vm_state *s, struct error *err)
{
	if (s->error[0])
		return error_set(err, ERROR_UNAVAILABLE, "VM %s has failed: %s", s->name, s->error);
	return error_set(err, ERROR_UNAVAILABLE, "VM %s has ended, with exit code %d", s->name,
			 s->exit_code);
}

bool
state_ends_within(const struct vm_state *s, int timeout_ms, struct error *err)
{
	auto_close int monitor = sys_pidfd_open(s->monitor, 0);
	struct pollfd p = { .fd = monitor, .events = POLLIN };
	struct error ignored = ERROR_INIT;
	struct vm_state now;

	if (state_is_alive(s) && monitor >= 0)
		(void)poll(&p, 1, timeout_ms);
	if (state_read(s->name, &now, &ignored) < 0 || now.monitor != s->monitor || !now.finished)
		return false;
	(void)state_set_ended(&now, err);
	return true;
}

int
state_read_alive(const char *name, struct vm_state *out, struct error *err)
{
	if (state_read(name, out, err) < 0)
		return -1;
	if (out->finished)
		return state_set_ended(out, err);
	if (!state_is_alive(out))
		return error_set(err, ERROR_UNAVAILABLE, "VM %s no longer runs", name);
	return 0;
}

const char *
state_word(const struct vm_state *s)
{
	if (s->finished)
		return s->error[0] ? "failed" : "exited";
	return state_is_alive(s) ? "up" : "dead";
}

/* The monitor holds a lock on the directory for its lifetime; a pid may have been reused. */
bool
state_is_alive(const struct vm_state *s)
{
	auto_close int fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

int
state_for_each(void (*fn)(const struct vm_state *state, void *data), void *data, struct error *err)
{
	char base[PATH_MAX];
	struct dirent *e;
	DIR *dir;

	if (state_base_dir(base, sizeof(base), err) < 0)
		return -1;
	dir = opendir(base);
	if (!dir)
		return error_sys(err, "failed to read %s", base);
	while ((e = readdir(dir)) != NULL) {
		struct error ignored = ERROR_INIT;
		struct vm_state s;

		if (e->d_name[0] != '.' && state_read(e->d_name, &s, &ignored) == 0)
			fn(&s, data);
	}
	(void)closedir(dir);
	return 0;
}

json_t *
state_read_status(const char *dir)
{
	char path[PATH_MAX + 32];

	(void)snprintf(path, sizeof(path), "%s/status.json", dir);
	return json_load_file(path, 0, NULL);
}

/* Returns whether a file is a log, an older file of a log (NAME.log.N) or JSON. */
static bool
state_is_record(const char *name)
{
	const char *end = strrchr(name, '.');

	if (end && end > name + 4 && end[1] && strspn(end + 1, "0123456789") == strlen(end + 1))
		return strncmp(end - 4, ".log", 4) == 0;
	return end && (strcmp(end, ".log") == 0 || strcmp(end, ".json") == 0);
}

void
state_keep_records(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct error ignored = ERROR_INIT;
	struct dirent *e;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		close_fd(&fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    (e->d_name[0] != '.' && state_is_record(e->d_name)))
			continue;
		(void)path_remove_tree(dirfd(d), e->d_name, &ignored);
	}
	(void)closedir(d);
}

int
state_follow(const struct vm_state *s, int (*copy)(void *data, struct error *err), void *data,
	     struct error *err)
{
	auto_close int monitor = sys_pidfd_open(s->monitor, 0);
	auto_close int changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	bool is_alive = state_is_alive(s) && monitor >= 0;
	struct pollfd p[] = { { .fd = changes, .events = POLLIN },
			      { .fd = monitor, .events = POLLIN },
			      { .fd = STDOUT_FILENO } };
	char events[4096];

	if (changes < 0 || inotify_add_watch(changes, s->dir, IN_MODIFY | IN_CREATE) < 0)
		return error_sys(err, "failed to watch %s", s->dir);
	for (;;) {
		if (copy(data, err) < 0)
			return -1;
		if (!is_alive)
			return 0;
		if (poll(p, ARRAY_LEN(p), -1) < 0 && errno != EINTR)
			return error_sys(err, "failed to wait for changes of %s", s->dir);
		/* The reader of this output has gone. */
		if (p[2].revents & POLLERR)
			return 0;
		while (read(changes, events, sizeof(events)) > 0)
			continue;
		is_alive = p[1].revents == 0;
	}
}
