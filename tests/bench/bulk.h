/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "tests/rpc/harness.h"

/* Sizes of a run: a VM without KVM moves less in the same time. */
struct bulk_sizes {
	/* samples of 1 MiB in a round of ReadStdout, WriteStdin and CopyFile */
	unsigned int mib;
	/* small files in a round */
	unsigned int files;
	/* round trips in a round */
	unsigned int checks;
};

/* Measures ReadStdout, WriteStdin, CopyFile and Check of `ours` against the bare server (bare.c),
 * to which `bare` is a harness that has only a client. Each row's name starts with `prefix`. */
void bench_bulk(struct harness *ours, struct harness *bare, const char *prefix,
		const struct bulk_sizes *sizes);

/* Measures ReadStdout and WriteStdin of `ours` against those of another agent. */
void bench_bulk_agents(struct harness *ours, struct harness *other, const char *prefix,
		       const struct bulk_sizes *sizes);
