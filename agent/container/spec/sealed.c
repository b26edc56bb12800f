/* SPDX-License-Identifier: Apache-2.0 */
/* Refusal of specs that need a confidential guest: sealed secrets and trusted storage. This
 * agent can provide neither, and a container that started without them would assume that it has
 * them. Called by validate.c. Pure. */
#include <stdbool.h>
#include <string.h>

#include "agent/container/spec/validate.h"

#define PREFIX        "sealed."
#define TRUSTED_STORE "/dev/trusted_store"

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool is_sealed(const char *value);

int
sealed_validate(const Grpc__Spec *spec, struct error *err)
{
	for (size_t i = 0; i < spec->process->n_env; i++) {
		const char *text = spec->process->env[i], *value = strchr(text, '=');

		if (value && is_sealed(value + 1))
			return error_set(
				err, ERROR_FAILED_PRECONDITION,
				"process.env: %.*s is a sealed secret, which this guest cannot "
				"unseal",
				(int)(value - text < 128 ? value - text : 128), text);
	}
	for (size_t i = 0; i < spec->linux->n_devices; i++) {
		if (strcmp(spec->linux->devices[i]->path, TRUSTED_STORE) == 0)
			return error_set(err, ERROR_FAILED_PRECONDITION,
					 "linux.devices: " TRUSTED_STORE
					 " requires a confidential guest");
	}
	return 0;
}

/* A sealed secret is sealed.HEADER.PAYLOAD.SIGNATURE in base64url. Other values that begin with
 * "sealed." are ordinary. */
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
