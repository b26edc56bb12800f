/* SPDX-License-Identifier: Apache-2.0 */
/* Called by init at boot, and by workers of the agent. */
#include "init/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "init/cgroups.h"
#include "init/cmdline.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"

#define KIB 1024ull
#define MIB (1024 * KIB)

#define MEMINFO_MAX 8192
#define STAT_MAX    16384

static uint64_t
limits_clamp(uint64_t n, uint64_t least, uint64_t most)
{
	return n < least ? least : n > most ? most : n;
}

/* The number of tasks that the kernel allows at boot: their stacks of 16 KiB take an eighth of
 * memory. */
static uint64_t
limits_threads(const struct limits_size *s)
{
	return limits_clamp(s->total / (8 * 16 * KIB), 512, 4194304);
}

/* The tasks of all pods: an eighth fewer than the total, but 256 to 1024 fewer, so that a worker
 * can always be started. At least half of the total. */
static uint64_t
limits_pods_tasks(const struct limits_size *s)
{
	uint64_t all = limits_threads(s) < s->pid_max ? limits_threads(s) : s->pid_max;
	uint64_t reserve = limits_clamp(all / 8, 256, 1024);

	return reserve > all / 2 ? all / 2 : all - reserve;
}

/* Memory reserved in addition to the base: for workers, and for memory that is charged to no cgroup
 * and grows with use (network namespaces, percpu data, charges that processors hold in advance). */
static uint64_t
limits_headroom(const struct limits_size *s)
{
	return limits_clamp(s->total / 16, 12 * MIB, 128 * MIB);
}

static uint64_t
limits_pods_memory(const struct limits_size *s)
{
	uint64_t reserve = s->base > s->total ? s->total : s->base + limits_headroom(s);

	return reserve > s->total / 2 ? s->total / 2 : s->total - reserve;
}

/* memory.high of the pods. Above it the kernel throttles the pods and reclaims page cache, and the
 * agent limits the container that uses the most (agent/sandbox/pressure.c). The room up to the
 * limit is for allocations in the meantime. */
static uint64_t
limits_pods_memory_high(const struct limits_size *s)
{
	uint64_t max = limits_pods_memory(s);

	return max - limits_clamp(max / 8, 8 * MIB, 128 * MIB);
}

/* Each takes more memory than this assumes, charged to the cgroup of its creator, which reaches its
 * own limit first. So no container can exhaust the share of the agent. */
static uint64_t
limits_more_than_memory_holds(const struct limits_size *s)
{
	return limits_clamp(s->total / 128, 65536, 2147483647);
}

/* The computation of the kernel: 1 % of memory, at 1280 bytes for a watch and its inode. */
static uint64_t
limits_inotify_watches(const struct limits_size *s)
{
	return limits_clamp(s->total / 100 / 1280, 8192, 1048576);
}

/* The kernel's fixed default of 128 for each user is low for several containers of one user. */
static uint64_t
limits_inotify_instances(const struct limits_size *s)
{
	return limits_clamp(s->total / MIB, 128, 8192);
}

/* More than half of the 200 KiB of a network namespace are charged to no cgroup: together they take
 * at most a sixteenth of memory. */
static uint64_t
limits_net_namespaces(const struct limits_size *s)
{
	return limits_clamp(s->total / 16 / (128 * KIB), 64, 65536);
}

/* A terminal takes 32 KiB, most of it charged to no cgroup: together they take at most a sixteenth
 * of memory. */
static uint64_t
limits_terminals(const struct limits_size *s)
{
	return limits_clamp(s->total / 16 / (32 * KIB), 512, 4096);
}

/* Terminals reserved for the devpts of the guest, which the agent uses when that of a container is
 * exhausted. */
static uint64_t
limits_terminals_reserve(const struct limits_size *s)
{
	(void)s;
	return 128;
}

/* A key takes some 300 bytes in addition to its content, charged to no cgroup. */
static uint64_t
limits_root_keys(const struct limits_size *s)
{
	return limits_clamp(s->total / 16 / 512, 4096, 1000000);
}

/* Bytes of all keys of root, at most the kernel's limit in a large guest. */
static uint64_t
limits_root_key_bytes(const struct limits_size *s)
{
	return limits_clamp(s->total / 64, 4 * MIB, 25000000);
}

/* Raised in the same way by systemd in the image of Kata. Open files are limited by the memory of
 * their owner. */
static uint64_t
limits_any_number_of_files(const struct limits_size *s)
{
	(void)s;
	return INT64_MAX;
}

static uint64_t
limits_fd_numbers(const struct limits_size *s)
{
	(void)s;
	return 1073741816;
}

struct limit {
	unsigned int kind;
	/* Name of a sysctl, with dots, or of a file below the cgroup root. */
	const char *name;
	uint64_t (*value)(const struct limits_size *);
};

static const struct limit limits[] = {
	{ LIMITS_CGROUPS, CGROUP_PODS "/pids.max", limits_pods_tasks },
	{ LIMITS_CGROUPS, CGROUP_PODS "/memory.max", limits_pods_memory },
	{ LIMITS_CGROUPS, CGROUP_PODS "/memory.high", limits_pods_memory_high },
	{ LIMITS_SYSCTLS, "kernel.threads-max", limits_threads },
	/* Must precede the total. */
	{ LIMITS_SYSCTLS, "kernel.pty.reserve", limits_terminals_reserve },
	{ LIMITS_SYSCTLS, "kernel.pty.max", limits_terminals },
	{ LIMITS_SYSCTLS, "kernel.keys.root_maxkeys", limits_root_keys },
	{ LIMITS_SYSCTLS, "kernel.keys.root_maxbytes", limits_root_key_bytes },
	{ LIMITS_SYSCTLS, "fs.nr_open", limits_fd_numbers },
	{ LIMITS_SYSCTLS, "fs.file-max", limits_any_number_of_files },
	{ LIMITS_SYSCTLS, "fs.inotify.max_user_watches", limits_inotify_watches },
	{ LIMITS_SYSCTLS, "fs.inotify.max_user_instances", limits_inotify_instances },
	{ LIMITS_SYSCTLS, "fs.epoll.max_user_watches", limits_more_than_memory_holds },
	{ LIMITS_SYSCTLS, "user.max_cgroup_namespaces", limits_more_than_memory_holds },
	{ LIMITS_SYSCTLS, "user.max_ipc_namespaces", limits_more_than_memory_holds },
	{ LIMITS_SYSCTLS, "user.max_mnt_namespaces", limits_more_than_memory_holds },
	{ LIMITS_SYSCTLS, "user.max_net_namespaces", limits_net_namespaces },
	{ LIMITS_SYSCTLS, "user.max_pid_namespaces", limits_more_than_memory_holds },
	{ LIMITS_SYSCTLS, "user.max_time_namespaces", limits_more_than_memory_holds },
	{ LIMITS_SYSCTLS, "user.max_user_namespaces", limits_more_than_memory_holds },
	{ LIMITS_SYSCTLS, "user.max_uts_namespaces", limits_more_than_memory_holds },
};

/* Returns the value in bytes of the line that begins with `key` and spaces, or 0. */
static uint64_t
limits_field(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		char number[24];
		uint64_t n;
		size_t digits;

		line += *line == '\n';
		if (strncmp(line, key, len) != 0)
			continue;
		line += len + strspn(line + len, " ");
		digits = strspn(line, "0123456789");
		if (digits == 0 || digits >= sizeof(number))
			continue;
		memcpy(number, line, digits);
		number[digits] = '\0';
		if (parse_u64(number, &n))
			return n;
	}
	return 0;
}

/* Bytes of the pods that cannot be reclaimed: neither part of MemAvailable nor used by the guest
 * itself. */
static uint64_t
limits_pods_used(int cgroup, char *text)
{
	uint64_t current, file;

	if (cgroup < 0 || read_text_at(cgroup, CGROUP_PODS "/memory.current", text, STAT_MAX) < 0 ||
	    !parse_u64(text, &current) ||
	    read_text_at(cgroup, CGROUP_PODS "/memory.stat", text, STAT_MAX) < 0)
		return 0;
	file = limits_field(text, "active_file ") + limits_field(text, "inactive_file ") +
	       limits_field(text, "slab_reclaimable ");
	return file > current ? 0 : current - file;
}

int
limits_measure(const struct limits_place *place, struct limits_size *size, struct error *err)
{
	auto_free char *text = malloc(STAT_MAX);
	uint64_t available, pods;

	*size = (struct limits_size){ .pid_max = 32768 };
	if (!text)
		return error_nomem(err, "measuring memory");
	if (read_text_at(place->proc, "meminfo", text, MEMINFO_MAX) < 0)
		return error_sys(err, "failed to read /proc/meminfo");
	size->total = limits_field(text, "MemTotal:") * KIB;
	available = limits_field(text, "MemAvailable:") * KIB;
	if (size->total == 0 || available > size->total)
		return error_set(err, ERROR_INTERNAL,
				 "/proc/meminfo: invalid MemTotal or MemAvailable");
	pods = limits_pods_used(place->cgroup, text);
	size->base = size->total - available;
	size->base -= pods < size->base ? pods : size->base;
	if (read_text_at(place->proc, "sys/kernel/pid_max", text, STAT_MAX) < 0 ||
	    !parse_u64(text, &size->pid_max))
		size->pid_max = 32768;
	return 0;
}

uint64_t
limits_value(const char *name, const struct limits_size *size)
{
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		if (strcmp(limits[i].name, name) == 0)
			return limits[i].value(size);
	}
	return UINT64_MAX;
}

static int
limits_path_of(const struct limits_place *place, const struct limit *limit, char *path, size_t size)
{
	if (limit->kind == LIMITS_CGROUPS) {
		(void)snprintf(path, size, "%s", limit->name);
		return place->cgroup;
	}
	(void)snprintf(path, size, "sys/%s", limit->name);
	for (char *p = path; *p; p++)
		if (*p == '.')
			*p = '/';
	return place->proc;
}

static int
limits_apply_row(const struct limits_place *place, const struct limits_size *size,
		 const struct limit *limit, struct error *err)
{
	uint64_t value = limit->value(size), now;
	char path[96], text[32];
	int dir = limits_path_of(place, limit, path, sizeof(path));

	if (place->only_raise && (read_text_at(dir, path, text, sizeof(text)) < 0 ||
				  !parse_u64(text, &now) || now >= value))
		return 0;
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	if (write_text_at(dir, path, text) == 0 || errno == ENOENT)
		return 0;
	return error_sys(err, "failed to set %s to %s", limit->name, text);
}

unsigned int
limits_apply(const struct limits_place *place, const struct limits_size *size, unsigned int kinds,
	     struct error *err)
{
	unsigned int failed = 0;

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		struct error why = ERROR_INIT;
		char key[96];

		if (!(limits[i].kind & kinds) ||
		    (limits[i].kind == LIMITS_CGROUPS ? place->cgroup : place->proc) < 0)
			continue;
		(void)snprintf(key, sizeof(key), "sysctl.%s", limits[i].name);
		if (cmdline_has(place->cmdline, key) ||
		    limits_apply_row(place, size, &limits[i], &why) == 0)
			continue;
		if (failed++ == 0)
			*err = why;
	}
	return failed;
}

int
limits_apply_process(int pid, const struct limits_size *size, struct error *err)
{
	rlim_t n = limits_threads(size) / 2;
	struct rlimit limit = { .rlim_cur = n, .rlim_max = n };

	if (prlimit(pid, RLIMIT_SIGPENDING, &limit, NULL) < 0)
		return error_sys(err, "failed to set RLIMIT_SIGPENDING to %llu",
				 (unsigned long long)n);
	return 0;
}

uint64_t
limits_tmpfs_size(uint64_t total)
{
	return total / 2;
}
