/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creates the top of the cgroup v2 tree. cgroups_setup() is called once by init; the limits of the
 * pods are in limits.c. Cgroups of containers are not touched.
 */
#include "init/cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/io.h"
#include "lib/log.h"

/* Ten times the weight of all pods together, so that calls are answered under any load. */
#define AGENT_WEIGHT "1000"

static int cgroups_make_group(int root_fd, const char *name);
static int cgroups_enable_controllers(int root_fd, const char *dir);

int
cgroups_setup(int root_fd)
{
	int failed = 0;

	failed += cgroups_make_group(root_fd, CGROUP_AGENT);
	failed += cgroups_make_group(root_fd, CGROUP_PODS);
	failed += cgroups_enable_controllers(root_fd, ".");
	failed += cgroups_enable_controllers(root_fd, CGROUP_PODS);
	if (write_text_at(root_fd, CGROUP_AGENT "/cpu.weight", AGENT_WEIGHT) < 0 &&
	    errno != ENOENT) {
		log_warn("cgroups", "failed to write " CGROUP_AGENT "/cpu.weight: %s",
			 strerror(errno));
		failed++;
	}
	return failed;
}

static int
cgroups_make_group(int root_fd, const char *name)
{
	if (mkdirat(root_fd, name, 0755) == 0 || errno == EEXIST)
		return 0;
	log_warn("cgroups", "failed to create cgroup %s: %s", name, strerror(errno));
	return 1;
}

/* Enables one or more controllers ("+cpu +io"). */
static int
cgroups_enable(int root_fd, const char *dir, const char *words)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/cgroup.subtree_control", dir);
	return write_text_at(root_fd, path, words);
}

/* Enables all controllers in dir/cgroup.controllers: at once, which is much faster, or one by one
 * if that fails. Returns the number of controllers that could not be enabled. */
static int
cgroups_enable_controllers(int root_fd, const char *dir)
{
	char path[64], names[256], words[512] = "", word[64], *save = NULL;
	size_t len = 0;
	int failed = 0;

	(void)snprintf(path, sizeof(path), "%s/cgroup.controllers", dir);
	if (read_text_at(root_fd, path, names, sizeof(names)) < 0) {
		log_warn("cgroups", "failed to read %s: %s", path, strerror(errno));
		return 1;
	}
	for (const char *p = names; *p; p++) {
		if (p == names || p[-1] == ' ')
			words[len++] = '+';
		words[len++] = *p;
	}
	if (len == 0 || cgroups_enable(root_fd, dir, words) == 0)
		return 0;
	for (char *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		(void)snprintf(word, sizeof(word), "+%s", name);
		if (cgroups_enable(root_fd, dir, word) == 0)
			continue;
		log_warn("cgroups", "failed to enable %s in %s: %s", name, path, strerror(errno));
		failed++;
	}
	return failed;
}

int
cgroups_open_agent(int root_fd)
{
	return openat(root_fd, CGROUP_AGENT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void
cgroups_join_agent(int root_fd)
{
	if (write_text_at(root_fd, CGROUP_AGENT "/cgroup.procs", "0") < 0)
		log_warn("cgroups", "failed to move init into cgroup " CGROUP_AGENT ": %s",
			 strerror(errno));
}
