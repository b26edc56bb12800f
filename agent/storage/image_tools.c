/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image by programs:
 *
 *   skopeo copy docker://NAME oci:image    checks signatures by the policy of the guest's image,
 *   (or: oci:source, a bound layout)       and chooses the platform
 *   umoci raw unpack image rootfs          checks the digests of the layers
 *
 * The programs parse what a registry sent. They run in a cgroup of the pods, whose memory the image
 * takes, with few capabilities, and see every mount but the working directory read-only.
 */
#include "agent/storage/image_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/job/subprocess.h"
#include "agent/job/worker.h"
#include "agent/roots.h"
#include "init/cgroups.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/path.h"

/* Names in the working directory. */
#define SOURCE "source"
#define IMAGE  "image"
#define ROOTFS "rootfs"
#define TEMP   "tmp"

#define TASKS_MAX         "256"
#define CGROUP_REMOVE_MS  2000
#define PROGRAM_TEXT_MAX  400
#define MEMORY_FIFTHS     3
#define CAPABILITY(which) (UINT64_C(1) << (which))

/* Enough to give files their owners, modes, capabilities and device numbers. */
static const uint64_t capabilities = CAPABILITY(CAP_CHOWN) | CAPABILITY(CAP_DAC_OVERRIDE) |
				     CAPABILITY(CAP_FOWNER) | CAPABILITY(CAP_FSETID) |
				     CAPABILITY(CAP_MKNOD) | CAPABILITY(CAP_SETFCAP);

enum {
	SKOPEO,
	UMOCI,
	N_PROGRAMS,
};

static const char *const names[N_PROGRAMS] = { [SKOPEO] = "skopeo", [UMOCI] = "umoci" };

/* Directories of programs in the guest's image. */
static const char *const directories[] = { "usr/local/bin", "usr/bin", "bin" };

struct image_tools {
	const struct image_work *work;
	char path[N_PROGRAMS][PATH_MAX];
	/* -1: the guest has none */
	int cgroup;
	char cgroup_path[64];
};

static int image_tools_find(struct image_tools *t, struct error *err);
static int image_tools_enter(struct image_tools *t, struct error *err);
static int image_tools_copy(const struct image_tools *t, const struct image_source *source,
			    struct error *err);
static int image_tools_unpack(const struct image_tools *t, struct error *err);
static void image_tools_leave(struct image_tools *t);

int
image_tools_pull(const struct image_work *k, const struct image_source *source, struct error *err)
{
	struct image_tools t = { .work = k, .cgroup = -1 };
	int r = -1;

	if (image_tools_find(&t, err) == 0 && image_tools_enter(&t, err) == 0 &&
	    image_tools_copy(&t, source, err) == 0)
		r = image_tools_unpack(&t, err);
	image_tools_leave(&t);
	return r;
}

/* Finds one program. Returns false if the guest's image does not have it. */
static bool
image_tools_look(const struct roots *roots, const char *name, char out[static PATH_MAX])
{
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		char path[64];
		struct stat st;
		auto_close int fd = -1;

		(void)snprintf(path, sizeof(path), "%s/%s", directories[i], name);
		fd = path_open_trusted(roots->root, path);
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		    (st.st_mode & 0111) != 0 && path_real(fd, out) >= 0)
			return true;
	}
	return false;
}

static int
image_tools_find(struct image_tools *t, struct error *err)
{
	bool has[N_PROGRAMS];

	for (size_t i = 0; i < N_PROGRAMS; i++)
		has[i] = image_tools_look(t->work->m->roots, names[i], t->path[i]);
	if (has[SKOPEO] && has[UMOCI])
		return 0;
	return error_set(err, ERROR_FAILED_PRECONDITION,
			 "failed to pull image %.128s: the guest's image has neither the "
			 "confidential data hub nor %s",
			 t->work->m->spec->source,
			 has[SKOPEO]  ? "umoci"
			 : has[UMOCI] ? "skopeo"
				      : "skopeo and umoci");
}

static int
image_tools_limit(int cgroup, const char *file, const char *value)
{
	/* Without the controller the file is missing. */
	return write_text_at(cgroup, file, value) == 0 || errno == ENOENT ? 0 : -1;
}

/* Makes the cgroup of the programs. What they write stays charged to the pods. */
static int
image_tools_enter(struct image_tools *t, struct error *err)
{
	const struct roots *roots = t->work->m->roots;
	const struct undo undo = { .kind = &undo_cgroup,
				   .fd = roots->cgroup,
				   .name = t->cgroup_path };
	struct sysinfo info;
	char bytes[32];

	if (roots->cgroup < 0)
		return 0;
	(void)snprintf(t->cgroup_path, sizeof(t->cgroup_path), CGROUP_PODS "/%s", t->work->name);
	if (worker_step(t->work->w, &undo, err) < 0)
		return -1;
	t->cgroup = cgroup_create(roots->cgroup, t->cgroup_path, err);
	if (t->cgroup < 0)
		return -1;
	if (sysinfo(&info) < 0)
		return error_sys(err, "failed to read the size of memory");
	(void)snprintf(bytes, sizeof(bytes), "%" PRIu64,
		       (uint64_t)info.totalram / 5 * MEMORY_FIFTHS * info.mem_unit);
	if (image_tools_limit(t->cgroup, "memory.max", bytes) < 0 ||
	    image_tools_limit(t->cgroup, "memory.oom.group", "1") < 0 ||
	    image_tools_limit(t->cgroup, "pids.max", TASKS_MAX) < 0)
		return error_sys(err, "failed to limit cgroup %s", t->cgroup_path);
	return 0;
}

static void
image_tools_leave(struct image_tools *t)
{
	struct error err = ERROR_INIT;

	if (t->cgroup < 0)
		return;
	close_fd(&t->cgroup);
	if (cgroup_remove(t->work->m->roots->cgroup, t->cgroup_path, CGROUP_REMOVE_MS, &err) < 0)
		worker_log(t->work->w, LOG_LEVEL_WARN, "failed to remove cgroup %s: %s",
			   t->cgroup_path, err.msg);
}

static int
image_tools_run(const struct image_tools *t, size_t which, const char *const argv[],
		struct error *err)
{
	const struct storage_pull *pull = t->work->m->pull;
	char temp[PATH_MAX + 16], https[sizeof("HTTPS_PROXY=") + STORAGE_PROXY_MAX];
	char no[sizeof("NO_PROXY=") + STORAGE_PROXY_MAX], out[PROGRAM_TEXT_MAX];
	const char *envp[] = { "PATH=/usr/local/bin:/usr/bin:/bin",
			       "HOME=/root",
			       "LC_ALL=C",
			       temp,
			       NULL,
			       NULL,
			       NULL };
	const struct subprocess_spec spec = {
		.path = t->path[which],
		.argv = argv,
		.envp = envp,
		.out = out,
		.out_size = sizeof(out),
		.timeout_ms = deadline_left_ms(t->work->deadline),
		.cgroup_fd = t->cgroup,
		.writable = t->work->path,
		.capabilities = capabilities,
	};
	size_t n = 4;
	int status;

	(void)snprintf(temp, sizeof(temp), "TMPDIR=%s/" TEMP, t->work->path);
	if (pull->https_proxy && *pull->https_proxy) {
		(void)snprintf(https, sizeof(https), "HTTPS_PROXY=%s", pull->https_proxy);
		envp[n++] = https;
	}
	if (pull->no_proxy && *pull->no_proxy) {
		(void)snprintf(no, sizeof(no), "NO_PROXY=%s", pull->no_proxy);
		envp[n++] = no;
	}
	if (subprocess_run(&spec, &status, err) < 0)
		return -1;
	if (WIFSIGNALED(status))
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "%s ended by signal %d: %s",
				 names[which], WTERMSIG(status), out);
	if (WEXITSTATUS(status) != 0)
		return error_set(err, ERROR_INTERNAL, "%s: %s", names[which], out);
	return 0;
}

static int
image_tools_copy(const struct image_tools *t, const struct image_source *source, struct error *err)
{
	const struct image_work *k = t->work;
	char temp[PATH_MAX + 16], from[PATH_MAX + 1024], to[PATH_MAX + 32], layout[PATH_MAX];
	const char *const argv[] = { names[SKOPEO],
				     "--tmpdir",
				     temp,
				     "copy",
				     "--quiet",
				     "--remove-signatures",
				     "--dest-oci-accept-uncompressed-layers",
				     from,
				     to,
				     NULL };
	auto_close int dir = image_work_mkdir(k, TEMP, 0700, err);
	auto_close int fd = -1;

	if (dir < 0)
		return -1;
	(void)snprintf(temp, sizeof(temp), "%s/" TEMP, k->path);
	(void)snprintf(to, sizeof(to), "oci:%s/" IMAGE ":" IMAGE, k->path);
	(void)snprintf(from, sizeof(from), "docker://%s", source->name);
	if (source->layout) {
		(void)snprintf(layout, sizeof(layout), "%.*s", (int)source->len, source->layout);
		fd = roots_open_path(k->m->roots, layout);
		if (fd < 0)
			return error_sys_code(err,
					      errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
					      "failed to open the OCI layout %s", layout);
		if (image_work_bind(k, SOURCE, fd, err) < 0)
			return error_wrap(err, "failed to bind the OCI layout %s", layout);
		(void)snprintf(from, sizeof(from), "oci:%s/" SOURCE "%s%s", k->path,
			       *source->name ? ":" : "", source->name);
	}
	if (image_tools_run(t, SKOPEO, argv, err) < 0)
		return error_wrap(err, "failed to pull image %s", k->m->spec->source);
	return 0;
}

static int
image_tools_unpack(const struct image_tools *t, struct error *err)
{
	const struct image_work *k = t->work;
	char from[PATH_MAX + 32], to[PATH_MAX + 16];
	const char *const argv[] = { names[UMOCI], "raw", "unpack", "--image", from, to, NULL };

	(void)snprintf(from, sizeof(from), "%s/" IMAGE ":" IMAGE, k->path);
	(void)snprintf(to, sizeof(to), "%s/" ROOTFS, k->path);
	if (image_tools_run(t, UMOCI, argv, err) < 0)
		return error_wrap(err, "failed to unpack image %s", k->m->spec->source);
	/* They take memory as long as the root does. */
	if (path_remove_tree(k->top, IMAGE, err) < 0 || path_remove_tree(k->top, TEMP, err) < 0)
		return error_wrap(err, "failed to remove the layers of image %s",
				  k->m->spec->source);
	return image_work_open(k, ROOTFS, err);
}
