/* SPDX-License-Identifier: Apache-2.0 */
/* Reports failed checks to Criterion, which runs each test in a process of its own. */
#include <criterion/criterion.h>

#include "tests/support/check.h"
#include "tests/support/orphan.h"

static void
check_unit_report(const char *file, int line, const char *text, bool ends_test, void *data)
{
	struct criterion_assert_stats failed = { .message = text,
						 .file = file,
						 .line = (unsigned int)line };

	(void)data;
	criterion_send_assert(&failed);
	if (ends_test)
		criterion_abort_test();
	criterion_continue_test();
}

__attribute__((constructor)) static void
check_unit_init(void)
{
	check_set_report(check_unit_report, NULL);
	/* The program dies with tests/run, and each of its tests with the program. */
	die_with_parent(getppid());
}

/* Criterion's own memory is found by the leak check at random. LeakSanitizer calls this. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libcriterion\n";
}
