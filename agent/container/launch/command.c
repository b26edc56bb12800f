/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments, environment and program of a process. Runs in the container, as its user. */
#include "agent/container/launch/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/launch/user.h"
#include "lib/cleanup.h"

/* The search path if the environment has no PATH. */
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Returns the length of the name in "NAME=value"; 0 for an entry that is no variable. */
static size_t
command_name_length(const char *entry)
{
	const char *equals = strchr(entry, '=');

	return equals ? (size_t)(equals - entry) : 0;
}

const char *
command_variable(char *const *env, const char *name)
{
	size_t n = strlen(name);
	const char *value = NULL;

	for (; *env; env++) {
		if (command_name_length(*env) == n && strncmp(*env, name, n) == 0)
			value = *env + n + 1;
	}
	return value;
}

/* Adds env[at] to a hash table, whose entries are 1 + the index of the first entry of a name;
 * its size is `mask` + 1. Returns false if the name is already there. */
static bool
command_enter(uint32_t *table, uint32_t mask, char *const *env, uint32_t at)
{
	size_t n = command_name_length(env[at]);
	/* FNV-1a */
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)env[at][i]) * 16777619u;
	for (hash &= mask; table[hash]; hash = (hash + 1) & mask) {
		const char *other = env[table[hash] - 1];

		if (command_name_length(other) == n && strncmp(other, env[at], n) == 0)
			return false;
	}
	table[hash] = at + 1;
	return true;
}

int
command_last_wins(char **env, size_t *n, struct error *err)
{
	auto_free uint32_t *table = NULL;
	size_t size = 4, first = *n;

	if (!*n)
		return 0;
	/* An index has 32 bits; a message is limited to 4 MiB. */
	while (size < 2 * *n && size < UINT32_MAX / 2)
		size *= 2;
	table = calloc(size, sizeof(*table));
	if (!table || size < 2 * *n)
		return error_nomem(err, "creating the environment");
	/* Goes backwards; entries that are kept move to the end, over those already visited. */
	for (size_t i = *n; i-- > 0;) {
		env[first - 1] = env[i];
		if (!command_name_length(env[i]) ||
		    command_enter(table, (uint32_t)size - 1, env, (uint32_t)first - 1))
			first--;
	}
	*n -= first;
	memmove(env, env + first, *n * sizeof(*env));
	return 0;
}

char **
command_arguments(const Grpc__Process *process, struct error *err)
{
	char **args = calloc(process->n_args + 1, sizeof(*args));

	if (!args) {
		error_nomem(err, "creating the arguments");
		return NULL;
	}
	if (process->n_args)
		memcpy(args, process->args, process->n_args * sizeof(*args));
	return args;
}

char **
command_environment(const Grpc__Process *process, int root_fd, uint32_t uid, struct error *err)
{
	static const char home[] = "HOME=";
	char **env = calloc(process->n_env + 2, sizeof(*env));
	size_t n = process->n_env;
	const char *value;
	char *entry;

	if (!env) {
		error_nomem(err, "creating the environment");
		return NULL;
	}
	if (process->n_env)
		memcpy(env, process->env, process->n_env * sizeof(*env));
	entry = malloc(sizeof(home) + PATH_MAX);
	if (!entry)
		error_nomem(err, "creating the environment");
	if (!entry || command_last_wins(env, &n, err) < 0) {
		free(entry);
		free(env);
		return NULL;
	}
	env[n] = NULL;
	value = command_variable(env, "HOME");
	if (value && *value) {
		free(entry);
		return env;
	}
	/* An empty HOME counts as missing. */
	for (size_t i = 0, kept = 0; value && i <= n; i++) {
		env[kept] = env[i];
		kept += !env[i] || env[i] + sizeof(home) - 1 != value;
	}
	n -= value != NULL;
	memcpy(entry, home, sizeof(home));
	user_home(root_fd, uid, entry + sizeof(home) - 1, PATH_MAX);
	/* Lives until execve. */
	env[n] = entry;
	env[n + 1] = NULL;
	return env;
}

/* Returns whether `path` is a regular file, and in *executable whether the caller may execute
 * it. */
static bool
command_is_program(const char *path, bool *executable)
{
	struct stat st;

	if (fstatat(AT_FDCWD, path, &st, 0) < 0 || !S_ISREG(st.st_mode))
		return false;
	*executable = faccessat(AT_FDCWD, path, X_OK, 0) == 0;
	return true;
}

static int
command_not_found(const char *name, struct error *err)
{
	return error_set(err, ERROR_INVALID_ARGUMENT, "the file %.256s was not found", name);
}

int
command_find(const char *name, char *const *env, char out[PATH_MAX], struct error *err)
{
	const char *path = command_variable(env, "PATH"), *next;
	char candidate[PATH_MAX];
	bool executable, found = false;
	struct stat st;

	if (strchr(name, '/')) {
		if (strlen(name) >= PATH_MAX || fstatat(AT_FDCWD, name, &st, 0) < 0)
			return command_not_found(name, err);
		memcpy(out, name, strlen(name) + 1);
		return 0;
	}
	for (path = path ? path : PATH_DEFAULT; path && *name; path = next) {
		size_t n = strcspn(path, ":");

		next = path[n] ? path + n + 1 : NULL;
		/* An empty element is the working directory (execvp(3)). */
		if (snprintf(candidate, sizeof(candidate), "%.*s%s%s", (int)n, path, n ? "/" : "./",
			     name) >= (int)sizeof(candidate))
			continue;
		if (!command_is_program(candidate, &executable) || (found && !executable))
			continue;
		memcpy(out, candidate, strlen(candidate) + 1);
		found = true;
		if (executable)
			return 0;
	}
	return found ? 0 : command_not_found(name, err);
}
