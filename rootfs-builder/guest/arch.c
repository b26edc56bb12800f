/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/guest/arch.h"

#include <elf.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/cleanup.h"

static const struct arch archs[] = {
	{
		.name = "x86_64",
		.debian = "amd64",
		.oci = "amd64",
		.triplet = "x86_64-linux-gnu",
		.gpt_root = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
		.gpt_verity = "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5",
		.machine = EM_X86_64,
	},
	{
		.name = "aarch64",
		.debian = "arm64",
		.oci = "arm64",
		.triplet = "aarch64-linux-gnu",
		.gpt_root = "b921b045-1df0-41c3-af44-4c6f280d3fae",
		.gpt_verity = "df3300ce-d69f-4c92-978c-9bfb0f38d820",
		.machine = EM_AARCH64,
	},
	{
		.name = "riscv64",
		.debian = "riscv64",
		.oci = "riscv64",
		.triplet = "riscv64-linux-gnu",
		.gpt_root = "72ec70a6-cf74-40e6-bd49-4bda08e8f224",
		.gpt_verity = "b6ed5582-440b-4209-b8da-5ff7c419ea3d",
		.machine = EM_RISCV,
	},
	{
		.name = "s390x",
		.debian = "s390x",
		.oci = "s390x",
		.triplet = "s390x-linux-gnu",
		.gpt_root = "5eead9a9-fe09-4a1e-a1d7-520d00531306",
		.gpt_verity = "b325bfbe-c7be-4ab8-8357-139e652d2f6b",
		.machine = EM_S390,
		.is_big_endian = true,
	},
};

const struct arch *
arch_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(archs); i++) {
		if (!strcmp(name, archs[i].name))
			return &archs[i];
	}
	return NULL;
}

const struct arch *
arch_of_machine(uint16_t machine)
{
	for (size_t i = 0; i < ARRAY_LEN(archs); i++) {
		if (archs[i].machine == machine)
			return &archs[i];
	}
	return NULL;
}

const struct arch *
arch_require(const char *name, struct error *err)
{
	const struct arch *arch;
	struct utsname here;

	if (!name && uname(&here) < 0) {
		error_sys(err, "failed to find the architecture of this machine");
		return NULL;
	}
	if (!name)
		name = here.machine;
	arch = arch_find(name);
	if (!arch)
		error_set(err, ERROR_INVALID_ARGUMENT,
			  "unknown architecture %s (known: x86_64, aarch64, riscv64, s390x)", name);
	return arch;
}
