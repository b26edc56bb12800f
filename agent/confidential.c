/* SPDX-License-Identifier: Apache-2.0 */
/* Detection of configurations that need a confidential guest. */
#include "agent/confidential.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"

#define MAGIC     "initdata"
#define EXTENSION "run/kata-extensions/coco"

/* By enum guest_components, in the order in which they would be started. */
static const char *const programs[] = {
	[GUEST_COMPONENTS_ATTESTATION_AGENT] = "usr/local/bin/attestation-agent",
	[GUEST_COMPONENTS_DATA_HUB] = "usr/local/bin/confidential-data-hub",
	[GUEST_COMPONENTS_API_SERVER] = "usr/local/bin/api-server-rest",
};

static int confidential_refuse_initdata(const struct roots *roots, struct error *err);
static int confidential_refuse_components(const struct config *c, const struct roots *roots,
					  struct error *err);

int
confidential_refuse(const struct config *config, const struct roots *roots, struct error *err)
{
	if (confidential_refuse_initdata(roots, err) < 0)
		return -1;
	return confidential_refuse_components(config, roots, err);
}

/* Returns whether a node is a disk (in tests, a file) that begins with the magic. One that cannot
 * be read is not. */
static bool
confidential_is_initdata(int dev, const char *name)
{
	auto_close int fd = -1;
	struct stat st;
	char head[8];

	if (fstatat(dev, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !(S_ISBLK(st.st_mode) || S_ISREG(st.st_mode)))
		return false;
	fd = openat(dev, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || RETRY_EINTR(pread(fd, head, sizeof(head), 0)) < 0) {
		log_debug("confidential", "failed to read /dev/%s: %s", name, strerror(errno));
		return false;
	}
	return memcmp(head, MAGIC, sizeof(head)) == 0;
}

static int
confidential_refuse_initdata(const struct roots *roots, struct error *err)
{
	int fd = openat(roots->dev, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int result = 0;

	if (!dir) {
		close_fd(&fd);
		return error_sys(err, "failed to look for initdata in /dev");
	}
	while (result == 0 && (e = readdir(dir))) {
		if ((strncmp(e->d_name, "vd", 2) != 0 && strncmp(e->d_name, "sd", 2) != 0) ||
		    !confidential_is_initdata(roots->dev, e->d_name))
			continue;
		result = error_set(
			err, ERROR_FAILED_PRECONDITION,
			"/dev/%.64s holds initdata: confidential guests are not supported",
			e->d_name);
	}
	(void)closedir(dir);
	return result;
}

static bool
confidential_path_exists(const struct roots *roots, const char *path)
{
	return faccessat(roots->root, path, F_OK, 0) == 0;
}

static int
confidential_refuse_components(const struct config *c, const struct roots *roots, struct error *err)
{
	static const char *const keys[] = { "guest_components_procs", "guest_components_rest_api" };
	size_t found = 0;

	if (c->guest_components_procs == GUEST_COMPONENTS_NONE)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (config_source_of(c, keys[i]) != CONFIG_DEFAULT)
			return error_set(err, ERROR_FAILED_PRECONDITION,
					 "%s is configured: guest components are not supported",
					 keys[i]);
	}
	if (confidential_path_exists(roots, EXTENSION))
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "/" EXTENSION " exists: guest components are not supported");
	for (size_t i = 1; i < ARRAY_LEN(programs) && i <= c->guest_components_procs; i++)
		found += confidential_path_exists(roots, programs[i]);
	if (found < c->guest_components_procs)
		return 0;
	return error_set(err, ERROR_FAILED_PRECONDITION,
			 "the image has /%s and the other guest components: they are not supported "
			 "(agent.guest_components_procs=none disables them)",
			 programs[1]);
}
