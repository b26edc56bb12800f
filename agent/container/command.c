/* SPDX-License-Identifier: Apache-2.0 */
/* Environment and program of a process. Runs inside the container, as its user. */
#include "agent/container/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/user.h"
#include "lib/cleanup.h"

/* Where programs are looked for when the environment does not say. */
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const char *
command_variable(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; *env; env++) {
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	}
	return NULL;
}

char **
command_arguments(const Grpc__Process *process, struct error *err)
{
	char **args = calloc(process->n_args + 1, sizeof(*args));

	if (!args) {
		error_nomem(err, "making the arguments");
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
	char *entry;

	if (!env) {
		error_nomem(err, "making the environment");
		return NULL;
	}
	if (process->n_env)
		memcpy(env, process->env, process->n_env * sizeof(*env));
	if (command_variable(env, "HOME"))
		return env;
	entry = malloc(sizeof(home) + PATH_MAX);
	if (!entry) {
		free(env);
		error_nomem(err, "making the environment");
		return NULL;
	}
	memcpy(entry, home, sizeof(home));
	user_home(root_fd, uid, entry + sizeof(home) - 1, PATH_MAX);
	env[process->n_env] = entry; /* lives until execve */
	return env;
}

/* Is there a regular file; may the caller execute it? */
static bool
is_program(const char *path, bool *executable)
{
	struct stat st;

	if (fstatat(AT_FDCWD, path, &st, 0) < 0 || !S_ISREG(st.st_mode))
		return false;
	*executable = faccessat(AT_FDCWD, path, X_OK, 0) == 0;
	return true;
}

static int
not_found(const char *name, struct error *err)
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
			return not_found(name, err);
		memcpy(out, name, strlen(name) + 1);
		return 0;
	}
	for (path = path ? path : PATH_DEFAULT; path && *name; path = next) {
		size_t n = strcspn(path, ":");

		next = path[n] ? path + n + 1 : NULL;
		/* an empty element is the working directory (execvp(3)) */
		if (snprintf(candidate, sizeof(candidate), "%.*s%s%s", (int)n, path, n ? "/" : "./",
			     name) >= (int)sizeof(candidate))
			continue;
		if (!is_program(candidate, &executable) || (found && !executable))
			continue;
		memcpy(out, candidate, strlen(candidate) + 1);
		found = true;
		if (executable)
			return 0;
	}
	return found ? 0 : not_found(name, err);
}
