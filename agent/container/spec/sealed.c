/* SPDX-License-Identifier: Apache-2.0 */
/* What only a confidential guest can give to a container: secrets that it unseals, storage that it vouches for. There is
 * nobody here who could, and a container that believes it has them is worse than none. Called by validate.c. Pure. */
#include <stdbool.h>
#include <string.h>

#include "agent/container/spec/validate.h"

#define PREFIX        "sealed."
#define TRUSTED_STORE "/dev/trusted_store"

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* sealed.HEADER.PAYLOAD.SIGNATURE, each in base64url: no other value that happens to begin like this. */
static bool
is_sealed(const char *value)
{
	if (strncmp(value, PREFIX, strlen(PREFIX)) != 0)
		return false;
	value += strlen(PREFIX);
	for (int part = 0; part < 3; part++) {
		size_t n = strspn(value, base64url);

		if (n == 0 || value[n] != (part < 2 ? '.' : '\0'))
			return false;
		value += n + 1;
	}
	return true;
}

int
sealed_validate(const Grpc__Spec *spec, struct error *err)
{
	for (size_t i = 0; i < spec->process->n_env; i++) {
		const char *text = spec->process->env[i], *value = strchr(text, '=');

		if (value && is_sealed(value + 1))
			return error_set(
				err, ERROR_FAILED_PRECONDITION,
				"process.env: %.*s is a sealed secret, and there is nothing "
				"in this guest that could unseal it",
				(int)(value - text < 128 ? value - text : 128), text);
	}
	for (size_t i = 0; i < spec->linux->n_devices; i++) {
		if (strcmp(spec->linux->devices[i]->path, TRUSTED_STORE) == 0)
			return error_set(err, ERROR_FAILED_PRECONDITION,
					 "linux.devices: " TRUSTED_STORE
					 " needs a confidential guest, which this is not");
	}
	return 0;
}
