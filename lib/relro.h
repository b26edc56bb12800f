/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Makes the relocated constants of the program read-only. A dynamic loader does this before main();
 * in a static program of musl nothing does. Called first in main(). */
void relro_protect(void);
