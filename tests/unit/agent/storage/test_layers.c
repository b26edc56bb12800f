/* SPDX-License-Identifier: Apache-2.0 */
/* The plan for a root in layers, and the options of dm-verity. */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/storage/layers.h"
#include "agent/storage/verity.h"
#include "lib/cleanup.h"

#define ROOT "/run/kata-containers/c1/rootfs"
#define AT   "/run/kata-containers/c1/multi-layer/"
#define MAKE "io.katacontainers.volume.overlayfs.create_directory="

/* As the Rust runtime sends them: the layers share the mount point of the root. */
static const char *const upper_options[] = { "rw", "X-kata.overlay-upper",
					     "X-kata.multi-layer=true" };
static const char *const first_options[] = { "ro",
					     "X-kata.overlay-lower",
					     "X-kata.multi-layer=true",
					     "X-kata.gpt-partitioned=true",
					     "X-kata.partition-number=2",
					     "X-kata.mkdir.path={{ mount 0 }}/upper/var:0755" };
static const char *const second_options[] = { "ro",
					      "loop",
					      "X-kata.overlay-lower",
					      "X-kata.multi-layer=true",
					      "X-kata.gpt-partitioned=true",
					      "X-kata.partition-number=1" };
static const struct storage_spec upper = {
	.driver = "mmioblk",
	.source = "/dev/vda",
	.fstype = "ext4",
	.mount_point = ROOT,
	.options = upper_options,
	.n_options = ARRAY_LEN(upper_options),
};
static const struct storage_spec first = {
	.driver = "erofs.multi-layer",
	.source = "02/03",
	.fstype = "erofs",
	.mount_point = ROOT,
	.options = first_options,
	.n_options = ARRAY_LEN(first_options),
};
static const struct storage_spec second = {
	.driver = "scsi",
	.source = "0:1",
	.fstype = "",
	.mount_point = ROOT,
	.options = second_options,
	.n_options = ARRAY_LEN(second_options),
};
static const struct storage_spec other = {
	.driver = "ephemeral",
	.source = "tmpfs",
	.fstype = "tmpfs",
	.mount_point = "/run/kata-containers/other",
};

static void
expect_words(const char *const *words, size_t n, const char *const *want)
{
	size_t i = 0;

	for (; want[i]; i++) {
		cr_assert(i < n, "%s is missing", want[i]);
		cr_expect_str_eq(words[i], want[i]);
	}
	cr_expect_eq(i, n);
}

Test(storage_layers, upper_and_sorted_lower_layers)
{
	static const char *const lower_0[] = { "ro",
					       "X-kata.overlay-lower",
					       "X-kata.multi-layer=true",
					       "X-kata.gpt-partitioned=true",
					       "X-kata.partition-number=1",
					       NULL };
	static const char *const overlay[] = { "lowerdir=" AT "lower-0:" AT "lower-1",
					       "upperdir=" AT "upper/upper",
					       "workdir=" AT "upper/work", NULL };
	static const char *const made[] = { MAKE AT "upper/upper", MAKE AT "upper/work",
					    MAKE AT "upper/upper/var", NULL };
	const struct storage_spec specs[] = { other, upper, first, second };
	struct error err = ERROR_INIT;
	struct storage_layers plan;

	cr_assert_eq(storage_layers_plan(&plan, "c1", specs, 4, &err), 0, "%s", err.msg);
	cr_assert_eq(plan.n, 4u);
	cr_expect_str_eq(plan.specs[0].mount_point, AT "lower-0");
	cr_expect_str_eq(plan.specs[0].driver, "scsi");
	cr_expect_str_eq(plan.specs[0].fstype, "erofs");
	expect_words(plan.specs[0].options, plan.specs[0].n_options, lower_0);
	cr_expect_str_eq(plan.specs[1].mount_point, AT "lower-1");
	cr_expect_str_eq(plan.specs[1].driver, "blk");
	cr_expect_str_eq(plan.specs[2].mount_point, AT "upper");
	cr_expect_str_eq(plan.specs[2].driver, "mmioblk");
	cr_expect_str_eq(plan.specs[3].mount_point, ROOT);
	cr_expect_str_eq(plan.specs[3].driver, "overlayfs");
	expect_words(plan.specs[3].options, plan.specs[3].n_options, overlay);
	expect_words(plan.specs[3].driver_options, plan.specs[3].n_driver_options, made);
	storage_layers_release(&plan);
}

Test(storage_layers, without_upper_writes_go_to_memory)
{
	static const char *const overlay[] = { "lowerdir=" AT "lower-0",
					       "io.katacontainers.fs-opt.overlay-rw", NULL };
	struct error err = ERROR_INIT;
	struct storage_layers plan;

	cr_assert_eq(storage_layers_plan(&plan, "c1", &second, 1, &err), 0, "%s", err.msg);
	cr_assert_eq(plan.n, 2u);
	expect_words(plan.specs[1].options, plan.specs[1].n_options, overlay);
	storage_layers_release(&plan);
}

Test(storage_layers, no_layers_no_plan)
{
	struct error err = ERROR_INIT;
	struct storage_layers plan;

	cr_assert_eq(storage_layers_plan(&plan, "", &other, 1, &err), 0);
	cr_expect_eq(plan.n, 0u);
	storage_layers_release(&plan);
}

static void
expect_refusal(const char *owner, const struct storage_spec *specs, size_t n, const char *says)
{
	struct error err = ERROR_INIT;
	struct storage_layers plan;

	cr_expect_lt(storage_layers_plan(&plan, owner, specs, n, &err), 0, "%s", says);
	cr_expect_eq(err.code, ERROR_INVALID_ARGUMENT);
	cr_expect(strstr(err.msg, says), "%s: %s", says, err.msg);
	storage_layers_release(&plan);
}

Test(storage_layers, refused)
{
	static const char *const multi[] = { "X-kata.multi-layer=true" };
	static const char *const outside[] = { "X-kata.multi-layer=true",
					       "X-kata.mkdir.path=/etc/x" };
	const struct storage_spec two[] = { upper, upper, first };
	struct storage_spec odd = second;

	expect_refusal("", &first, 1, "require a container");
	expect_refusal("c1", &upper, 1, "no layer with X-kata.overlay-lower");
	expect_refusal("c1", two, 3, "more than one layer with X-kata.overlay-upper");
	odd.options = multi;
	odd.n_options = 1;
	expect_refusal("c1", &odd, 1, "neither upper nor lower");
	odd.fstype = "erofs";
	odd.options = outside;
	odd.n_options = 2;
	expect_refusal("c1", &odd, 1, "must begin with {{ mount 0 }}/");
}

#define ROOT_HASH \
	"X-kata.dmverity.roothash=0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"

Test(verity, options)
{
	static const char *const options[] = { "ro",
					       "X-kata.dmverity-enabled=true",
					       ROOT_HASH,
					       "X-kata.dmverity.hashoffset=1048576",
					       "X-kata.dmverity.salt=00ff",
					       "X-kata.dmverity.blocksize=1024",
					       "X-kata.dmverity.no-superblock=true" };
	struct storage_spec spec = second;
	struct error err = ERROR_INIT;
	struct verity v;

	cr_expect_eq(verity_parse(&second, &v, &err), 0);
	spec.options = options;
	spec.n_options = ARRAY_LEN(options);
	cr_assert_eq(verity_parse(&spec, &v, &err), 1, "%s", err.msg);
	cr_expect_str_eq(v.root_hash, strchr(ROOT_HASH, '=') + 1);
	cr_expect_str_eq(v.salt, "00ff");
	cr_expect_str_eq(v.algorithm, "sha256");
	cr_expect_eq(v.hash_offset, 1048576u);
	cr_expect_eq(v.data_block, 1024u);
	cr_expect_eq(v.hash_block, 4096u);
	cr_expect_eq(v.type, 1u);
	cr_expect(v.no_superblock);
}

Test(verity, refused)
{
	static const char *const bad[][2] = {
		{ ROOT_HASH, "requires X-kata.dmverity-enabled=true" },
		{ "X-kata.dmverity-enabled=true", "invalid X-kata.dmverity.roothash" },
		{ "X-kata.dmverity.roothash=xyz", "invalid X-kata.dmverity.roothash" },
		{ "X-kata.dmverity.salt=0", "invalid X-kata.dmverity.salt" },
		{ "X-kata.dmverity.salt=00 0 opt_params", "invalid X-kata.dmverity.salt" },
		{ "X-kata.dmverity.algorithm=sha256 x", "invalid X-kata.dmverity.algorithm" },
		{ "X-kata.dmverity.blocksize=4095", "must be a power of two" },
		{ "X-kata.dmverity.hashsize=131072", "must be a power of two" },
		{ "X-kata.dmverity.hashoffset=0", "must be a multiple" },
		{ "X-kata.dmverity.hashoffset=4097", "must be a multiple" },
		{ "X-kata.dmverity.hashtype=2", "invalid X-kata.dmverity.hashtype" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		/* The first of two equal options counts. */
		const char *const options[] = { bad[i][0], "X-kata.dmverity-enabled=true",
						ROOT_HASH, "X-kata.dmverity.hashoffset=4096" };
		struct storage_spec spec = second;
		struct error err = ERROR_INIT;
		struct verity v;

		spec.options = options;
		spec.n_options = i < 2 ? 1 : ARRAY_LEN(options);
		cr_expect_lt(verity_parse(&spec, &v, &err), 0, "%s", bad[i][0]);
		cr_expect_eq(err.code, ERROR_INVALID_ARGUMENT);
		cr_expect(strstr(err.msg, bad[i][1]), "%s: %s", bad[i][0], err.msg);
	}
}
