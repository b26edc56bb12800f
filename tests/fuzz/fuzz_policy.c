/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a policy: a refused text has no effect, a method is allowed only by a literal line,
 * and any other content makes the text refused.
 */
#include <string.h>

#include "agent.pb-c.h"
#include "agent/policy/policy.h"
#include "tests/fuzz/target.h"

/* Returns whether a line begins with "default" and contains the name followed by "true". */
static bool
has_line(const char *text, const char *name)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		size_t n;
		const char *at, *comment;

		line += *line == '\n';
		line += strspn(line, " \t\r");
		n = strcspn(line, "\n");
		comment = memchr(line, '#', n);
		if (comment)
			n = (size_t)(comment - line);
		at = memmem(line, n, name, strlen(name));
		if (strncmp(line, "default", 7) == 0 && at &&
		    memmem(at, (size_t)(line + n - at), "true", 4))
			return true;
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCServiceDescriptor *service = &grpc__agent_service__descriptor;
	char *text = malloc(size + 1);
	struct policy policy, untouched;
	struct error err = ERROR_INIT;

	MUST(text);
	memcpy(text, data, size);
	text[size] = '\0';
	memset(&policy, 1, sizeof(policy));
	memset(&untouched, 1, sizeof(untouched));
	if (policy_read(text, &policy, &err) < 0) {
		MUST(err.code == ERROR_INVALID_ARGUMENT && *err.msg);
		MUST(memcmp(&policy, &untouched, sizeof(policy)) == 0);
	} else {
		MUST(strstr(text, "package"));
		MUST(!policy.allow_failing || has_line(text, "AllowRequestsFailingPolicy"));
		for (unsigned int i = 0; i < service->n_methods; i++)
			MUST(!policy.allowed[i] ||
			     has_line(text, service->methods[i].input->short_name));
	}
	free(text);
	return 0;
}
