/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume of files is a directory with ..data, a link to a directory of the files, and one link
 * through ..data per file or directory in that. Replacing ..data updates all files atomically.
 */
#include "ctl/pod/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

static int podfiles_make_pod(const struct manifest *m, const char *ip, int top, struct error *err);
static int podfiles_make_volume(const struct manifest *m, const struct manifest_volume *v, int top,
				struct error *err);
static int podfiles_make_file(const struct manifest *m, const struct manifest_file *f, int dir,
			      int data, struct error *err);
static int podfiles_make_hosts(const struct manifest *m, const char *ip, int top,
			       struct error *err);
static int podfiles_make_pause(int top, const char *binary, struct error *err);

int
podfiles_make(const struct manifest *m, const char *ip, const char *dir, const char *binary,
	      struct error *err)
{
	auto_close int top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (top < 0)
		return error_sys(err, "failed to open %s", dir);
	if (podfiles_make_pod(m, ip, top, err) < 0)
		return -1;
	return podfiles_make_pause(top, binary, err) < 0
		       ? error_wrap(err, "failed to create the pause container")
		       : 0;
}

int
podfiles_make_further(const struct manifest *m, const char *ip, const char *dir, struct error *err)
{
	auto_close int top = -1;

	if (mkdir(dir, 0700) == 0)
		top = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0)
		return error_sys(err, "failed to create %s", dir);
	return podfiles_make_pod(m, ip, top, err);
}

/* Creates what each pod has of its own. */
static int
podfiles_make_pod(const struct manifest *m, const char *ip, int top, struct error *err)
{
	/* Users of the guest other than root go through it. */
	if (fchmod(top, 0755) < 0)
		return error_sys(err, "failed to set the mode of a pod's directory");
	for (size_t i = 0; i < m->n_volumes; i++)
		if (m->volumes[i].kind == VOLUME_FILES &&
		    podfiles_make_volume(m, &m->volumes[i], top, err) < 0)
			return error_wrap(err, "volume %s", m->volumes[i].name);
	return podfiles_make_hosts(m, ip, top, err);
}

static int
podfiles_make_volume(const struct manifest *m, const struct manifest_volume *v, int top,
		     struct error *err)
{
	auto_close int dir = -1;
	auto_close int data = -1;
	char name[128];

	(void)snprintf(name, sizeof(name), PODFILES_VOLUME "%.63s", v->name);
	if (mkdirat(top, name, 0755) < 0)
		return error_sys(err, "failed to create its directory");
	dir = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || mkdirat(dir, PODFILES_GENERATION, 0755) < 0)
		return error_sys(err, "failed to create its directory");
	data = openat(dir, PODFILES_GENERATION, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (data < 0 || symlinkat(PODFILES_GENERATION, dir, "..data") < 0)
		return error_sys(err, "failed to create its directory");
	for (size_t i = 0; i < v->n_files; i++)
		if (podfiles_make_file(m, &v->files[i], dir, data, err) < 0)
			return -1;
	return 0;
}

/* Creates the file in the generation directory, and the link to it or to its first directory. The
 * path is relative and has no "..". */
static int
podfiles_make_file(const struct manifest *m, const struct manifest_file *f, int dir, int data,
		   struct error *err)
{
	mode_t mode = f->mode;
	auto_close int fd = -1;
	char path[PATH_MAX], target[PATH_MAX + 16];

	(void)snprintf(path, sizeof(path), "%s", f->path);
	for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(data, path, 0755) < 0 && errno != EEXIST)
			return error_sys(err, "failed to create directory %s", path);
		*slash = '/';
	}
	/* As a kubelet does, the group of the pod gets what the owner has. */
	if (m->fs_group >= 0)
		mode |= (mode & 0400) >> 3;
	/* The file cannot be given to the group then: any process that sees the volume gets what
	 * the group has. */
	if (m->fs_group >= 0 && geteuid() != 0)
		mode |= (mode & 070) >> 3;
	fd = openat(data, f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write_full(fd, f->bytes, f->size) < 0)
		return error_sys(err, "failed to create file %s", f->path);
	if (m->fs_group >= 0 && geteuid() == 0 && fchown(fd, 0, (gid_t)m->fs_group) < 0)
		return error_sys(err, "failed to give file %s to its group", f->path);
	if (fchmod(fd, mode) < 0)
		return error_sys(err, "failed to set the mode of file %s", f->path);
	path[strcspn(path, "/")] = '\0';
	(void)snprintf(target, sizeof(target), "..data/%s", path);
	if (symlinkat(target, dir, path) < 0 && errno != EEXIST)
		return error_sys(err, "failed to create link %s", path);
	return 0;
}

static int
podfiles_make_hosts(const struct manifest *m, const char *ip, int top, struct error *err)
{
	auto_close int hosts = openat(top, "hosts", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	auto_close int name =
		openat(top, "hostname", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (hosts < 0 || name < 0 || fchmod(hosts, 0644) < 0 || fchmod(name, 0644) < 0)
		return error_sys(err, "failed to create the pod's hosts and hostname");
	(void)dprintf(name, "%s\n", m->hostname);
	(void)dprintf(hosts,
		      "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
		      "%s\t%s%s%s\n",
		      ip, m->fqdn ? m->fqdn : "", m->fqdn ? "\t" : "", m->label);
	for (size_t i = 0; i < m->n_aliases; i++) {
		(void)dprintf(hosts, "%s", m->aliases[i].ip);
		for (const char **alias = m->aliases[i].names; *alias; alias++)
			(void)dprintf(hosts, "\t%s", *alias);
		(void)dprintf(hosts, "\n");
	}
	return 0;
}

static int
podfiles_make_pause(int top, const char *binary, struct error *err)
{
	static const char *const dirs[] = { PODFILES_PAUSE, PODFILES_PAUSE "/proc",
					    PODFILES_PAUSE "/dev", PODFILES_PAUSE "/sys",
					    PODFILES_PAUSE "/sys/fs" };
	auto_close int from = open(binary, O_RDONLY | O_CLOEXEC);
	auto_close int to = -1;
	ssize_t n;

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (mkdirat(top, dirs[i], 0755) < 0)
			return error_sys(err, "failed to create directory %s", dirs[i]);
	to = openat(top, PODFILES_PAUSE "/pause", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (from < 0 || to < 0)
		return error_sys(err, "failed to copy %s", binary);
	do
		n = sendfile(to, from, NULL, 1u << 20);
	while (n > 0);
	if (n < 0)
		return error_sys(err, "failed to copy %s", binary);
	if (symlinkat("pause", top, PODFILES_PAUSE "/probe") < 0)
		return error_sys(err, "failed to create a link to %s", binary);
	return 0;
}
