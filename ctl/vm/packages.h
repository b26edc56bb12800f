/* SPDX-License-Identifier: Apache-2.0 */
/* Packages of distributions. Pure. */
#pragma once

#include <stddef.h>

/* Returns the package of a distribution, described by the text of os-release(5), that has this
 * program; NULL if it has none, or is not known. */
const char *package_of(const char *program, const char *os_release);

/* Writes how a program is installed: "install the package NAME", or that it has to be found
 * elsewhere. */
void package_advice(const char *program, const char *os_release, char *out, size_t size);
