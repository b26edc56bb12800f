/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/filesystem/verity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "rootfs-builder/work/hash.h"
#include "rootfs-builder/work/tool.h"

#define PACKAGE    "cryptsetup-bin"
#define OUTPUT_MAX ((size_t)16 << 10)

static bool verity_find_hash(const char *text, char out[VERITY_HEX + 1]);

int
verity_make(struct build *build, const char *data, const char *hash, struct verity *out,
	    struct error *err)
{
	auto_free char *salt_option = NULL, *blocks_option = NULL, *text = NULL;
	/* For "verify" the root hash follows. */
	const char *argv[] = { "veritysetup",
			       "format",
			       "--no-superblock",
			       "--hash=sha256",
			       "--data-block-size=4096",
			       "--hash-block-size=4096",
			       NULL,
			       NULL,
			       data,
			       hash,
			       NULL,
			       NULL };
	const struct tool tool = { .argv = argv, .package = PACKAGE, .epoch = build->spec->epoch };
	uint8_t salt[VERITY_HEX / 2];
	struct stat st;
	size_t n;

	if (stat(data, &st) < 0)
		return error_sys(err, "failed to stat %s", data);
	out->data_blocks = (uint64_t)st.st_size / VERITY_BLOCK;
	build_seed(build, "verity-salt", salt, sizeof(salt));
	hash_put_hex(out->salt, salt, sizeof(salt));
	if (asprintf(&salt_option, "--salt=%s", out->salt) < 0 ||
	    asprintf(&blocks_option, "--data-blocks=%llu", (unsigned long long)out->data_blocks) <
		    0)
		return error_nomem(err, "making a hash tree");
	argv[6] = salt_option;
	argv[7] = blocks_option;
	report_step(build->report, "making the hash tree");
	if (tool_read(&tool, OUTPUT_MAX, &text, &n, err) < 0)
		return -1;
	if (!verity_find_hash(text, out->root_hash))
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "failed to find the root hash in the output of veritysetup");
	report_step(build->report, "verifying the hash tree");
	argv[1] = "verify";
	argv[10] = out->root_hash;
	return tool_run(&tool, err);
}

/* Finds the line "Root hash:   HEX". */
static bool
verity_find_hash(const char *text, char out[VERITY_HEX + 1])
{
	const char *at = strstr(text, "Root hash:");

	if (!at)
		return false;
	at += strlen("Root hash:");
	at += strspn(at, " \t");
	if (strspn(at, "0123456789abcdef") != VERITY_HEX)
		return false;
	memcpy(out, at, VERITY_HEX);
	out[VERITY_HEX] = '\0';
	return true;
}

char *
verity_kata_parameters(const struct verity *v)
{
	char *text;

	if (asprintf(&text,
		     "root_hash=%s,salt=%s,data_blocks=%llu,data_block_size=%d,hash_block_size=%d",
		     v->root_hash, v->salt, (unsigned long long)v->data_blocks, VERITY_BLOCK,
		     VERITY_BLOCK) < 0)
		return NULL;
	return text;
}

char *
verity_kernel_parameters(const struct verity *v, const char *data_device, const char *hash_device)
{
	unsigned long long blocks = v->data_blocks;
	char *text;

	/* Without waitfor, which Linux has since 6.2, the kernel tries once to make the device, and
	 * then waits forever for it if the disk was found a moment too late. */
	if (asprintf(&text,
		     "dm-mod.create=\"dm-verity,,,ro,0 %llu verity 1 %s %s %d %d %llu 0 sha256 %s "
		     "%s\" dm-mod.waitfor=%s,%s root=/dev/dm-0",
		     blocks * (VERITY_BLOCK / 512), data_device, hash_device, VERITY_BLOCK,
		     VERITY_BLOCK, blocks, v->root_hash, v->salt, data_device, hash_device) < 0)
		return NULL;
	return text;
}
