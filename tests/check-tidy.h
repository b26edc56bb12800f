/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included before every file that check-tidy checks: clang-tidy sees one file at a time, and does
 * not know that the functions that set an error never return 0.
 */
#pragma once

#include "lib/error.h"

#define error_set(...)  ((void)error_set(__VA_ARGS__), -1)
#define error_sys(...)  ((void)error_sys(__VA_ARGS__), -1)
#define error_wrap(...) ((void)error_wrap(__VA_ARGS__), -1)
