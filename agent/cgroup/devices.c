/* SPDX-License-Identifier: Apache-2.0 */
/* Loading device programs into the kernel, and attaching them to cgroups. */
#include "agent/cgroup/devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* Calls bpf(2). The kernel reads the part of attr that its version knows; the rest must be zero. */
static int
sys_bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int
program_load(struct device_program *p, struct error *err)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insn_cnt = (uint32_t)p->n;
	attr.insns = (uint64_t)(uintptr_t)p->instructions;
	attr.license = (uint64_t)(uintptr_t) "Apache-2.0";
	memcpy(attr.prog_name, "tatami_devices", sizeof("tatami_devices"));
	p->fd = sys_bpf(BPF_PROG_LOAD, &attr);
	if (p->fd >= 0)
		return 0;
	if (errno == ENOSYS || errno == EINVAL)
		return error_sys_code(err, ERROR_FAILED_PRECONDITION,
				      "linux.resources.devices: the guest kernel does not support "
				      "device programs (CONFIG_CGROUP_BPF)");
	return error_sys(err,
			 "linux.resources.devices: failed to load a program of %u instructions",
			 attr.insn_cnt);
}

static int
program_id(int program, uint32_t *id)
{
	struct bpf_prog_info info;
	union bpf_attr attr;

	memset(&info, 0, sizeof(info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)program;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	if (sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) < 0)
		return -1;
	*id = info.id;
	return 0;
}

static int
program_open(uint32_t id)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	return sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
}

/* Attaches a program to the cgroup. If former is not -1, replaces that program atomically. */
static int
program_attach(int cgroup, int program, int former)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (former >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (uint32_t)former;
	}
	return sys_bpf(BPF_PROG_ATTACH, &attr);
}

int
cgroup_devices_hold(uint32_t id)
{
	return id ? program_open(id) : -1;
}

void
cgroup_devices_restore(int fd, int former, uint32_t *id)
{
	auto_close int program = *id && former >= 0 ? program_open(*id) : -1;

	if (program >= 0 && program_attach(fd, former, program) == 0)
		(void)program_id(former, id);
}

void
device_program_release(struct device_program *p)
{
	close_fd(&p->fd);
	free(p->instructions);
	p->instructions = NULL;
	p->n = 0;
}

int
device_program_load(const struct device_rules *rules, const struct device_program *kept,
		    struct device_program *out, struct error *err)
{
	*out = (struct device_program){ .fd = -1 };
	out->instructions = calloc(DEVICE_PROGRAM_MAX(rules->n), sizeof(*out->instructions));
	if (!out->instructions)
		return error_nomem(err, "creating a device program");
	out->n = device_program_make(rules, out->instructions);
	/* by its id: a worker does not inherit its descriptor */
	if (kept && kept->fd >= 0 && kept->n == out->n &&
	    memcmp(kept->instructions, out->instructions, out->n * sizeof(*out->instructions)) == 0)
		out->fd = program_open(kept->id);
	if (out->fd >= 0) {
		out->id = kept->id;
		return 1;
	}
	if (program_load(out, err) == 0) {
		if (program_id(out->fd, &out->id) == 0)
			return 0;
		error_sys(err, "linux.resources.devices: failed to get the program's id");
	}
	device_program_release(out);
	return -1;
}

int
device_program_keep(struct device_program *p, const void *instructions, size_t size, int *fd,
		    struct error *err)
{
	struct bpf_insn *copy;
	uint32_t id;

	if (size == 0 || size % sizeof(*copy) != 0 || size / sizeof(*copy) > DEVICE_PROGRAM_KEPT)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid device program of %zu bytes",
				 size);
	if (program_id(*fd, &id) < 0)
		return error_sys(err, "failed to get a device program's id");
	copy = malloc(size);
	if (!copy)
		return error_nomem(err, "recording a device program");
	memcpy(copy, instructions, size);
	device_program_release(p);
	*p = (struct device_program){
		.fd = steal_fd(fd),
		.id = id,
		.n = size / sizeof(*copy),
		.instructions = copy,
	};
	return 0;
}

int
device_program_attach(int fd, const struct device_program *p, uint32_t *id, struct error *err)
{
	auto_close int former = -1;

	if (*id) {
		former = program_open(*id);
		if (former < 0)
			return error_sys(
				err,
				"linux.resources.devices: failed to open the attached program");
	}
	if (program_attach(fd, p->fd, former) < 0)
		return error_sys(err, "linux.resources.devices: failed to attach the program");
	*id = p->id;
	return 0;
}

int
cgroup_devices_apply(int fd, const struct device_rules *rules, uint32_t *id, struct error *err)
{
	struct device_program program;
	int result;

	if (device_program_load(rules, NULL, &program, err) < 0)
		return -1;
	result = device_program_attach(fd, &program, id, err);
	device_program_release(&program);
	return result;
}
