/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/device_model.h"

static bool
matches(const struct device_rule *r, uint8_t type, uint32_t major, uint32_t minor)
{
	return r->types & type && (r->any_major || r->major == major) &&
	       (r->any_minor || r->minor == minor);
}

bool
device_rules_allow(const struct device_rules *rules, uint8_t type, uint8_t access, uint32_t major,
		   uint32_t minor)
{
	for (unsigned int bit = 1; bit <= DEVICE_ALL_ACCESS; bit <<= 1) {
		bool allowed = !(access & bit);

		for (size_t i = 0; i < rules->n && access & bit; i++) {
			if (rules->list[i].access & bit &&
			    matches(&rules->list[i], type, major, minor))
				allowed = rules->list[i].allow;
		}
		if (!allowed)
			return false;
	}
	return true;
}

int
device_program_run(const struct bpf_insn *program, size_t n,
		   const struct bpf_cgroup_dev_ctx *context)
{
	uint64_t reg[BPF_REG_10] = { 0 };

	for (size_t at = 0; at < n; at++) {
		const struct bpf_insn *i = &program[at];
		uint64_t imm = (uint64_t)(int64_t)i->imm;
		uint64_t *dst;

		if (i->off < 0 || i->dst_reg >= BPF_REG_10 || i->src_reg >= BPF_REG_10)
			return -1;
		dst = &reg[i->dst_reg];
		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			if ((size_t)i->off > sizeof(*context) - sizeof(uint32_t))
				return -1;
			*dst = *(const uint32_t *)(const void *)((const char *)context + i->off);
			break;
		case BPF_ALU64 | BPF_MOV | BPF_X:
			*dst = reg[i->src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			*dst = imm;
			break;
		case BPF_ALU64 | BPF_AND | BPF_K:
			*dst &= imm;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_K:
			*dst >>= imm;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			at += *dst != imm ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			at += *dst & imm ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_JA:
			at += (size_t)i->off;
			break;
		case BPF_JMP | BPF_EXIT:
			return reg[0] != 0;
		default:
			return -1;
		}
	}
	return -1;
}
