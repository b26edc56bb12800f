/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the stack that a process no longer uses. */
#pragma once

/* Returns to the kernel the pages of the stack below the caller's frame, which earlier and deeper
 * calls have left behind. Only on the stack of a process, not on that of a thread or a coroutine:
 * nothing else may be mapped within 256 KiB below it, which the guard gap of the kernel ensures. */
void stack_release(void);
