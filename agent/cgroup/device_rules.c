/* SPDX-License-Identifier: Apache-2.0 */
/* The device rules of a container, and the BPF program made from them. */
#include "agent/cgroup/device_rules.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

/* The kernel keeps 12 bits of the major number and 20 of the minor. */
#define MAJOR_MAX 4095
#define MINOR_MAX 1048575

#define NUMBER(type_, major_, minor_)                                                            \
	{                                                                                        \
		.allow = true, .types = (type_), .access = DEVICE_ALL_ACCESS, .major = (major_), \
		.minor = (minor_)                                                                \
	}

/* Rules that follow those of every spec, so that a spec cannot deny them. Numbers:
 * Documentation/admin-guide/devices.txt. */
static const struct device_rule always[] = {
	{ .allow = true,
	  .types = DEVICE_ANY_TYPE,
	  .access = BPF_DEVCG_ACC_MKNOD,
	  .any_major = true,
	  .any_minor = true },
	/* null, zero, full, random, urandom */
	NUMBER(BPF_DEVCG_DEV_CHAR, 1, 3),
	NUMBER(BPF_DEVCG_DEV_CHAR, 1, 5),
	NUMBER(BPF_DEVCG_DEV_CHAR, 1, 7),
	NUMBER(BPF_DEVCG_DEV_CHAR, 1, 8),
	NUMBER(BPF_DEVCG_DEV_CHAR, 1, 9),
	/* tty, ptmx, pts */
	NUMBER(BPF_DEVCG_DEV_CHAR, 5, 0),
	NUMBER(BPF_DEVCG_DEV_CHAR, 5, 2),
	{ .allow = true,
	  .types = BPF_DEVCG_DEV_CHAR,
	  .access = DEVICE_ALL_ACCESS,
	  .major = 136,
	  .any_minor = true },
	/* net/tun */
	NUMBER(BPF_DEVCG_DEV_CHAR, 10, 200),
};

/* Registers of the program. */
enum {
	REG_RESULT = BPF_REG_0,
	REG_CONTEXT = BPF_REG_1,
	/* the accesses that no rule has allowed yet */
	REG_WANTED = BPF_REG_2,
	REG_TYPE = BPF_REG_3,
	REG_MAJOR = BPF_REG_4,
	REG_MINOR = BPF_REG_5,
};

static void device_rules_add_rule(struct device_rules *out, const Grpc__LinuxDeviceCgroup *r,
				  bool any_disk);
static void device_rules_add_device(struct device_rules *out, const Grpc__LinuxDevice *d);
static size_t device_emit_start(struct bpf_insn *p);
static size_t device_emit_rule(struct bpf_insn *p, const struct device_rule *r);
static size_t device_emit_end(struct bpf_insn *p, int allow);

/* Returns the set of device types that a letter stands for. It is empty for an unknown letter and
 * for "p": a rule for FIFOs has no effect. */
static uint8_t
device_types_of(const char *type)
{
	if (!*type || strcmp(type, "a") == 0)
		return DEVICE_ANY_TYPE;
	if (strcmp(type, "b") == 0)
		return BPF_DEVCG_DEV_BLOCK;
	if (strcmp(type, "c") == 0 || strcmp(type, "u") == 0)
		return BPF_DEVCG_DEV_CHAR;
	return 0;
}

/* Returns the set of accesses, or 0 if the string is empty or has another letter. */
static uint8_t
device_access_of(const char *access)
{
	uint8_t set = 0;

	for (; *access; access++) {
		switch (*access) {
		case 'r':
			set |= BPF_DEVCG_ACC_READ;
			break;
		case 'w':
			set |= BPF_DEVCG_ACC_WRITE;
			break;
		case 'm':
			set |= BPF_DEVCG_ACC_MKNOD;
			break;
		default:
			return 0;
		}
	}
	return set;
}

int
device_rules_validate(Grpc__LinuxDeviceCgroup *const *rules, size_t n, struct error *err)
{
	if (n > DEVICE_RULES_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.resources.devices: too many rules (%zu, at most %d)", n,
				 DEVICE_RULES_MAX);
	for (size_t i = 0; i < n; i++) {
		const Grpc__LinuxDeviceCgroup *r = rules[i];

		if (!device_types_of(r->type) && strcmp(r->type, "p") != 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.resources.devices: unknown type \"%.8s\"", r->type);
		if (!device_access_of(r->access))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.resources.devices: invalid access \"%.8s\"",
					 r->access);
		if (r->major < -1 || r->major > MAJOR_MAX || r->minor < -1 || r->minor > MINOR_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.resources.devices: device %" PRId64 ":%" PRId64
					 " is out of range",
					 r->major, r->minor);
	}
	return 0;
}

static void
device_rules_add(struct device_rules *out, const struct device_rule *rule)
{
	out->list[out->n++] = *rule;
}

int
device_rules_make(Grpc__LinuxDeviceCgroup *const *rules, size_t n,
		  Grpc__LinuxDevice *const *devices, size_t n_devices, bool any_disk,
		  struct device_rules *out, struct error *err)
{
	/* device_rules_add_rule() may add two */
	size_t most = 2 * n + n_devices + ARRAY_LEN(always);

	*out = (struct device_rules){ .list = calloc(most, sizeof(*out->list)) };
	if (!out->list)
		return error_nomem(err, "reading the device rules");
	for (size_t i = 0; i < n; i++)
		device_rules_add_rule(out, rules[i], any_disk);
	for (size_t i = 0; n == 0 && i < n_devices; i++)
		device_rules_add_device(out, devices[i]);
	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		device_rules_add(out, &always[i]);
	return 0;
}

/* Adds a rule of a spec. A missing number is 0 on the wire, so a rule for all types and 0:0 matches
 * all numbers. */
static void
device_rules_add_rule(struct device_rules *out, const Grpc__LinuxDeviceCgroup *r, bool any_disk)
{
	struct device_rule rule = {
		.allow = r->allow,
		.types = device_types_of(r->type),
		.access = device_access_of(r->access),
		.any_major = r->major < 0,
		.any_minor = r->minor < 0,
		.major = (uint32_t)r->major,
		.minor = (uint32_t)r->minor,
	};

	if (rule.types == DEVICE_ANY_TYPE && r->major <= 0 && r->minor <= 0)
		rule.any_major = rule.any_minor = true;
	if (rule.allow && rule.any_major && rule.types & BPF_DEVCG_DEV_BLOCK && !any_disk) {
		struct device_rule disks = rule;

		disks.types = BPF_DEVCG_DEV_BLOCK;
		disks.access &= BPF_DEVCG_ACC_MKNOD;
		if (disks.access)
			device_rules_add(out, &disks);
		rule.types &= (uint8_t)~BPF_DEVCG_DEV_BLOCK;
	}
	if (rule.types)
		device_rules_add(out, &rule);
}

/* Adds a rule for a device of a spec. Runtimes that clear the rules still expect the devices to be
 * usable. */
static void
device_rules_add_device(struct device_rules *out, const Grpc__LinuxDevice *d)
{
	struct device_rule rule = {
		.allow = true,
		.types = device_types_of(d->type),
		.access = DEVICE_ALL_ACCESS,
		.major = (uint32_t)d->major,
		.minor = (uint32_t)d->minor,
	};

	/* types is 0 for a FIFO */
	if (rule.types && *d->type)
		device_rules_add(out, &rule);
}

/* ---- the program ---- */

size_t
device_program_make(const struct device_rules *rules, struct bpf_insn *program)
{
	size_t n = device_emit_start(program);

	for (size_t i = rules->n; i > 0; i--)
		n += device_emit_rule(program + n, &rules->list[i - 1]);
	return n + device_emit_end(program + n, 0);
}

static struct bpf_insn
device_insn(uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	return (struct bpf_insn){
		.code = code, .dst_reg = dst & 15, .src_reg = src & 15, .off = off, .imm = imm
	};
}

static size_t
device_emit_start(struct bpf_insn *p)
{
	static const int16_t offsets[] = {
		offsetof(struct bpf_cgroup_dev_ctx, access_type),
		offsetof(struct bpf_cgroup_dev_ctx, major),
		offsetof(struct bpf_cgroup_dev_ctx, minor),
	};

	p[0] = device_insn(BPF_LDX | BPF_MEM | BPF_W, REG_WANTED, REG_CONTEXT, offsets[0], 0);
	p[1] = device_insn(BPF_LDX | BPF_MEM | BPF_W, REG_MAJOR, REG_CONTEXT, offsets[1], 0);
	p[2] = device_insn(BPF_LDX | BPF_MEM | BPF_W, REG_MINOR, REG_CONTEXT, offsets[2], 0);
	/* access in the upper half, type in the lower */
	p[3] = device_insn(BPF_ALU64 | BPF_MOV | BPF_X, REG_TYPE, REG_WANTED, 0, 0);
	p[4] = device_insn(BPF_ALU64 | BPF_AND | BPF_K, REG_TYPE, 0, 0, 0xffff);
	p[5] = device_insn(BPF_ALU64 | BPF_RSH | BPF_K, REG_WANTED, 0, 0, 16);
	return 6;
}

/* Emits one rule, at most 8 instructions. */
static size_t
device_emit_rule(struct bpf_insn *p, const struct device_rule *r)
{
	size_t n = 0, conditions;

	if (r->types != DEVICE_ANY_TYPE)
		p[n++] = device_insn(BPF_JMP | BPF_JNE | BPF_K, REG_TYPE, 0, 0, r->types);
	if (!r->any_major)
		p[n++] = device_insn(BPF_JMP | BPF_JNE | BPF_K, REG_MAJOR, 0, 0, (int32_t)r->major);
	if (!r->any_minor)
		p[n++] = device_insn(BPF_JMP | BPF_JNE | BPF_K, REG_MINOR, 0, 0, (int32_t)r->minor);
	conditions = n;
	if (r->allow) {
		p[n++] = device_insn(BPF_ALU64 | BPF_AND | BPF_K, REG_WANTED, 0, 0,
				     ~(int32_t)r->access);
		p[n++] = device_insn(BPF_JMP | BPF_JNE | BPF_K, REG_WANTED, 0, 2, 0);
	} else {
		p[n++] = device_insn(BPF_JMP | BPF_JSET | BPF_K, REG_WANTED, 0, 1, r->access);
		p[n++] = device_insn(BPF_JMP | BPF_JA, 0, 0, 2, 0);
	}
	n += device_emit_end(p + n, r->allow);
	/* if a condition does not hold, jump to the next rule */
	for (size_t i = 0; i < conditions; i++)
		p[i].off = (int16_t)(n - i - 1);
	return n;
}

static size_t
device_emit_end(struct bpf_insn *p, int allow)
{
	p[0] = device_insn(BPF_ALU64 | BPF_MOV | BPF_K, REG_RESULT, 0, 0, allow);
	p[1] = device_insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return 2;
}
