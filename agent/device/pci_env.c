/* SPDX-License-Identifier: Apache-2.0 */
/* See pci_env.h. All addresses have the same length, so that a value never grows. */
#include "agent/device/pci_env.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PREFIX "PCIDEVICE_"
#define INFO   "_INFO"

struct pci_env {
	const struct pci_pair *pairs;
	size_t n;
};

/* Returns the guest's address for one of the host, or NULL. */
static const char *
pci_env_find(const struct pci_env *e, const char *host)
{
	for (size_t i = 0; i < e->n; i++) {
		if (strncasecmp(e->pairs[i].host, host, PCI_NAME_LENGTH) == 0)
			return *e->pairs[i].guest ? e->pairs[i].guest : NULL;
	}
	return NULL;
}

/* Returns whether the value is a list of PCI addresses. *unknown is the first one that no pair has,
 * or NULL. */
static bool
pci_env_is_list(const struct pci_env *e, const char *value, const char **unknown)
{
	*unknown = NULL;
	for (;; value += PCI_NAME_LENGTH + 1) {
		if (!pci_is_name(value) ||
		    (value[PCI_NAME_LENGTH] != ',' && value[PCI_NAME_LENGTH] != '\0'))
			return false;
		if (!*unknown && !pci_env_find(e, value))
			*unknown = value;
		if (value[PCI_NAME_LENGTH] == '\0')
			return true;
	}
}

/* Replaces each address of the text that is known and not part of a longer word. */
static void
pci_env_replace(const struct pci_env *e, char *text)
{
	bool in_word = false;

	while (*text) {
		const char *guest = NULL;

		if (!in_word && pci_is_name(text) && !isalnum((unsigned char)text[PCI_NAME_LENGTH]))
			guest = pci_env_find(e, text);
		if (guest) {
			memcpy(text, guest, PCI_NAME_LENGTH);
			text += PCI_NAME_LENGTH;
			in_word = false;
			continue;
		}
		in_word = isalnum((unsigned char)*text) || *text == ':' || *text == '.';
		text++;
	}
}

/* Returns the value of a variable whose name, with n characters, is followed by the suffix and "=";
 * or NULL. */
static char *
pci_env_value(char *entry, const char *name, size_t n, const char *suffix)
{
	size_t length = strlen(suffix);

	if (strncmp(entry, name, n) != 0 || strncmp(entry + n, suffix, length) != 0 ||
	    entry[n + length] != '=')
		return NULL;
	return entry + n + length + 1;
}

void
pci_env_rewrite(char *const *env, size_t n_env, const struct pci_pair *pairs, size_t n_pairs,
		pci_env_unknown_fn *unknown, void *data)
{
	const struct pci_env e = { .pairs = pairs, .n = n_pairs };

	for (size_t i = 0; n_pairs > 0 && i < n_env; i++) {
		size_t n = strcspn(env[i], "=");
		const char *address;

		if (strncmp(env[i], PREFIX, strlen(PREFIX)) != 0 || !env[i][n] ||
		    (n >= strlen(INFO) && strncmp(env[i] + n - strlen(INFO), INFO, 5) == 0) ||
		    !pci_env_is_list(&e, env[i] + n + 1, &address))
			continue;
		if (address) {
			char name[128], text[PCI_NAME_LENGTH + 1];

			(void)snprintf(name, sizeof(name), "%.*s", (int)n, env[i]);
			(void)snprintf(text, sizeof(text), "%.*s", PCI_NAME_LENGTH, address);
			if (unknown)
				unknown(name, text, data);
			continue;
		}
		pci_env_replace(&e, env[i] + n + 1);
		for (size_t k = 0; k < n_env; k++) {
			char *value = pci_env_value(env[k], env[i], n, INFO);

			if (value)
				pci_env_replace(&e, value);
		}
	}
}
