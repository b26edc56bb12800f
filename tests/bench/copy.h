/* SPDX-License-Identifier: Apache-2.0 */
/* CopyFile: one large file in parts, and many small ones. */
#pragma once

#include "tests/rpc/harness.h"

/* Prints its rows. */
void bench_copies(struct harness *h);
