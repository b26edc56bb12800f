/* SPDX-License-Identifier: Apache-2.0 */
/* Exit codes for errors. */
#include <string.h>

#include "ctl/commands/commands.h"

/* Texts of agents about a program that the container does not have, or may not execute. */
static const struct {
	const char *first, *then;
	int code;
} programs[] = {
	/* tatami and the Rust kata-agent */
	{ "the file ", " was not found", EXIT_NOT_FOUND },
	/* the wording of runc, which other agents have adopted */
	{ "executable file ", "not found in $PATH", EXIT_NOT_FOUND },
	{ "exec", "no such file or directory", EXIT_NOT_FOUND },
	{ "exec", "permission denied", EXIT_NOT_EXECUTABLE },
};

int
exit_code_of(const struct error *err)
{
	if (err->code == ERROR_CANCELLED)
		return EXIT_INTERRUPTED;
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		const char *at = strstr(err->msg, programs[i].first);

		if (at && strcasestr(at, programs[i].then))
			return programs[i].code;
	}
	return EXIT_FAILED;
}
