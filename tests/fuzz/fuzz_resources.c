/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's resources (grpc.LinuxResources), without and with limits in force. Accepted
 * resources are written to the files of a cgroup, which are plain files here, some of them missing;
 * a failed update changes nothing. The device program gives the same answers as the rules.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cgroup/device_rules.h"
#include "agent/cgroup/limits.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/pbcheck.h"
#include "tests/fuzz/pbmutate.h"
#include "tests/fuzz/target.h"
#include "tests/support/device_model.h"

struct file {
	const char *name, *text;
};

/* Values as long as any that is written, so that restoring them restores the whole contents. */
static const struct file files[] = {
	{ "memory.max", "9223372036854775807" },
	{ "memory.swap.max", "9223372036854775807" },
	{ "memory.low", "9223372036854775807" },
	{ "cpu.weight", "10000000000000000000" },
	{ "cpu.max", "9223372036854775807 18446744073709551615" },
	{ "pids.max", "9223372036854775807" },
	{ "hugetlb.2MB.max", "9223372036854775807" },
};

static char directory[] = "/dev/shm/fuzz-resources-XXXXXX";

static void
clean_up(void)
{
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", directory, files[i].name);
		(void)unlink(path);
	}
	(void)rmdir(directory);
}

/* Creates the directory that represents the cgroup; it is removed at exit. */
static int
cgroup(void)
{
	static int fd = -1;

	if (fd >= 0)
		return fd;
	MUST(mkdtemp(directory) && atexit(clean_up) == 0);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(fd >= 0);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		auto_close int file =
			openat(fd, files[i].name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		MUST(file >= 0);
	}
	return fd;
}

static void
fill(int fd)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		auto_close int file = openat(fd, files[i].name, O_WRONLY | O_TRUNC | O_CLOEXEC);
		size_t n = strlen(files[i].text);

		MUST(file >= 0 && write_full(file, files[i].text, n) == 0);
	}
}

static void
expect_unchanged(int fd)
{
	char text[128];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		MUST(read_text_at(fd, files[i].name, text, sizeof(text)) >= 0);
		MUST(strcmp(text, files[i].text) == 0);
	}
}

static void
apply(const Grpc__LinuxResources *r)
{
	struct error err = ERROR_INIT;
	int fd = cgroup();

	fill(fd);
	if (cgroup_limits_validate(r, false, &err) == 0 && cgroup_limits_apply(fd, fd, r, &err) < 0)
		MUST(err.code == ERROR_FAILED_PRECONDITION && *err.msg);
	err = ERROR_INIT;
	fill(fd);
	if (cgroup_limits_validate(r, true, &err) == 0 &&
	    cgroup_limits_update(fd, fd, r, &err) < 0) {
		MUST(*err.msg);
		expect_unchanged(fd);
	}
}

static void
compare(const struct device_rules *rules, const struct bpf_insn *program, size_t n, uint32_t major,
	uint32_t minor)
{
	static const uint8_t types[] = { BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_DEV_CHAR };

	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		for (uint8_t access = 1; access <= DEVICE_ALL_ACCESS; access++) {
			struct bpf_cgroup_dev_ctx context = {
				.access_type = (uint32_t)access << 16 | types[t],
				.major = major,
				.minor = minor,
			};

			MUST(device_program_run(program, n, &context) ==
			     device_rules_allow(rules, types[t], access, major, minor));
		}
	}
}

static void
devices(const Grpc__LinuxResources *r, bool any_disk)
{
	struct error err = ERROR_INIT;
	struct device_rules rules;
	struct bpf_insn *program;
	size_t n;

	if (device_rules_validate(r->devices, r->n_devices, &err) < 0) {
		MUST(err.code == ERROR_INVALID_ARGUMENT && *err.msg);
		return;
	}
	MUST(device_rules_make(r->devices, r->n_devices, NULL, 0, any_disk, &rules, &err) == 0);
	program = calloc(DEVICE_PROGRAM_MAX(rules.n), sizeof(*program));
	MUST(program);
	n = device_program_make(&rules, program);
	MUST(n <= DEVICE_PROGRAM_MAX(rules.n));
	for (size_t i = 0; i < rules.n && i < 40; i++) {
		compare(&rules, program, n, rules.list[i].major, rules.list[i].minor);
		compare(&rules, program, n, rules.list[i].major, rules.list[i].minor + 1);
	}
	compare(&rules, program, n, 8, 0);
	free(program);
	free(rules.list);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pbcheck_limits limits = PBCHECK_LIMITS_MESSAGE;
	struct error err = ERROR_INIT;
	Grpc__LinuxResources *r = (Grpc__LinuxResources *)pbcheck_unpack(
		&grpc__linux_resources__descriptor, data, size, &limits, NULL, &err);

	if (!r)
		return 0;
	apply(r);
	devices(r, false);
	devices(r, true);
	grpc__linux_resources__free_unpacked(r, NULL);
	return 0;
}

PB_MUTATOR(&grpc__linux_resources__descriptor)
