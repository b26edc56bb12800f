/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lays out the cgroup v2 tree. cgroups_setup() is called once by init; the memory limit of the pods is
 * written again by the agent when memory is added. Never touches a container's own cgroup.
 */
#include "init/cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>

#include "lib/io.h"
#include "lib/log.h"
#include "lib/parse.h"

#define MIB (1024ull * 1024)
#define AGENT_WEIGHT \
	"1000" /* ten times that of all pods together: calls are answered beside whatever runs there */

/* Enables one controller, or several at once ("+cpu +io"). */
static int
enable(int root_fd, const char *dir, const char *words)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/cgroup.subtree_control", dir);
	return write_text_at(root_fd, path, words);
}

/* Enables what dir/cgroup.controllers lists: all at once, which is much quicker, and if that is refused one by
 * one, so that one refusal does not cost the rest. Returns how many were refused. */
static int
enable_controllers(int root_fd, const char *dir)
{
	char path[64], names[256], words[512] = "", word[64], *save = NULL;
	size_t len = 0;
	int failed = 0;

	(void)snprintf(path, sizeof(path), "%s/cgroup.controllers", dir);
	if (read_text_at(root_fd, path, names, sizeof(names)) < 0) {
		log_warn("cgroups", "read %s: %s", path, strerror(errno));
		return 1;
	}
	for (const char *p = names; *p; p++) {
		if (p == names || p[-1] == ' ')
			words[len++] = '+';
		words[len++] = *p;
	}
	if (len == 0 || enable(root_fd, dir, words) == 0)
		return 0;
	for (char *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		(void)snprintf(word, sizeof(word), "+%s", name);
		if (enable(root_fd, dir, word) == 0)
			continue;
		log_warn("cgroups", "enable %s in %s: %s", name, path, strerror(errno));
		failed++;
	}
	return failed;
}

static int
make_group(int root_fd, const char *name)
{
	if (mkdirat(root_fd, name, 0755) == 0 || errno == EEXIST)
		return 0;
	log_warn("cgroups", "create cgroup %s: %s", name, strerror(errno));
	return 1;
}

static uint64_t
kernel_number(const char *path, uint64_t otherwise)
{
	char text[32];
	uint64_t n;

	return read_text_at(AT_FDCWD, path, text, sizeof(text)) > 0 && parse_u64(text, &n)
		       ? n
		       : otherwise;
}

uint64_t
cgroups_pods_tasks(uint64_t total)
{
	uint64_t reserve = total / 8;

	if (reserve < 256)
		reserve = 256;
	if (reserve > 1024)
		reserve = 1024;
	return reserve > total / 2 ? total / 2 : total - reserve;
}

/* Hosts leave out the limits of single containers: none may take the process that a worker needs. */
static int
limit_tasks(int root_fd)
{
	uint64_t threads = kernel_number("/proc/sys/kernel/threads-max", 32768);
	uint64_t pids = kernel_number("/proc/sys/kernel/pid_max", 32768);
	char text[32];

	(void)snprintf(text, sizeof(text), "%llu",
		       (unsigned long long)cgroups_pods_tasks(threads < pids ? threads : pids));
	if (write_text_at(root_fd, CGROUP_PODS "/pids.max", text) == 0 || errno == ENOENT)
		return 0;
	log_warn("cgroups", "limit the processes of cgroup " CGROUP_PODS " to %s: %s", text,
		 strerror(errno));
	return 1;
}

int
cgroups_setup(int root_fd)
{
	struct error err = ERROR_INIT;
	int failed = 0;

	failed += make_group(root_fd, CGROUP_AGENT);
	failed += make_group(root_fd, CGROUP_PODS);
	failed += enable_controllers(root_fd, ".");
	failed += enable_controllers(root_fd, CGROUP_PODS);
	failed += limit_tasks(root_fd);
	if (write_text_at(root_fd, CGROUP_AGENT "/cpu.weight", AGENT_WEIGHT) < 0 &&
	    errno != ENOENT) {
		log_warn("cgroups", "write " CGROUP_AGENT "/cpu.weight: %s", strerror(errno));
		failed++;
	}
	if (cgroups_limit_pods(root_fd, &err) < 0) {
		log_warn("cgroups", "%s", err.msg);
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
		log_warn("cgroups", "move init into cgroup " CGROUP_AGENT ": %s", strerror(errno));
}

uint64_t
cgroups_pods_limit(uint64_t total, uint64_t root_used)
{
	uint64_t reserve = total / 16;

	if (reserve < 16 * MIB)
		reserve = 16 * MIB;
	if (reserve > 128 * MIB)
		reserve = 128 * MIB;
	if (root_used > total || reserve + root_used > total / 2)
		return total / 2;
	return total - reserve - root_used;
}

int
cgroups_limit_pods(int root_fd, struct error *err)
{
	uint64_t root_used = 0;
	struct sysinfo info;
	struct statfs fs;
	char text[32];

	if (sysinfo(&info) < 0)
		return error_sys(err, "ask for the size of memory");
	/* The files of an initramfs stay in memory and belong to no cgroup. */
	if (statfs("/", &fs) == 0 && fs.f_type == TMPFS_MAGIC)
		root_used = (uint64_t)(fs.f_blocks - fs.f_bfree) * (uint64_t)fs.f_bsize;
	(void)snprintf(text, sizeof(text), "%llu",
		       (unsigned long long)cgroups_pods_limit(
			       (uint64_t)info.totalram * info.mem_unit, root_used));
	if (write_text_at(root_fd, CGROUP_PODS "/memory.max", text) < 0)
		return error_sys(err, "limit the memory of cgroup " CGROUP_PODS " to %s bytes",
				 text);
	return 0;
}
