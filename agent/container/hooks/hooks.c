/* SPDX-License-Identifier: Apache-2.0 */
/* Validation, merging and running of a spec's hooks. Hooks run in workers and in a container's
 * first process. */
#include "agent/container/hooks/hooks.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/launch/command.h"
#include "agent/job/subprocess.h"
#include "agent/job/worker.h"
#include "lib/buf.h"
#include "lib/cleanup.h"

/* Limit on the JSON state, in bytes. */
#define STATE_MAX (1u << 20)
/* Limit on the output that is kept of one hook, in bytes. */
#define OUTPUT_MAX 1024
/* The member of the JSON state. It cannot occur in a string, where quotes are escaped. */
#define PID_MEMBER "\"pid\":"

static const char *const kind_names[HOOK_KINDS] = {
	[HOOK_PRESTART] = "prestart",
	[HOOK_CREATE_RUNTIME] = "createRuntime",
	[HOOK_CREATE_CONTAINER] = "createContainer",
	[HOOK_START_CONTAINER] = "startContainer",
	[HOOK_POSTSTART] = "poststart",
	[HOOK_POSTSTOP] = "poststop",
};

struct hook_list {
	size_t *n;
	Grpc__Hook ***hooks;
};

static Grpc__Hook *const *hooks_of(const Grpc__Hooks *h, enum hook_kind kind, size_t *n);
static struct hook_list hooks_list_of(Grpc__Hooks *h, enum hook_kind kind);
static int hooks_validate_kind(const Grpc__Hooks *hooks, enum hook_kind kind, struct error *err);
static uint64_t hooks_timeout_ms(const Grpc__Hook *hook);
static int hooks_plan_one(const Grpc__Hook *hook, struct hook_run *run, struct error *err);
static int hooks_run_one(struct hook_context *c, const struct hook_run *run, const char *state,
			 struct error *err);

bool
hooks_has(const Grpc__Hooks *hooks, enum hook_kind kind)
{
	size_t n = 0;

	if (hooks)
		(void)hooks_of(hooks, kind, &n);
	return n > 0;
}

static Grpc__Hook *const *
hooks_of(const Grpc__Hooks *h, enum hook_kind kind, size_t *n)
{
	struct hook_list list = hooks_list_of((Grpc__Hooks *)(uintptr_t)h, kind);

	*n = *list.n;
	return *list.hooks;
}

/* Returns pointers to the fields of `h` that hold the hooks of one kind. */
static struct hook_list
hooks_list_of(Grpc__Hooks *h, enum hook_kind kind)
{
	switch (kind) {
	case HOOK_PRESTART:
		return (struct hook_list){ &h->n_prestart, &h->prestart };
	case HOOK_CREATE_RUNTIME:
		return (struct hook_list){ &h->n_createruntime, &h->createruntime };
	case HOOK_CREATE_CONTAINER:
		return (struct hook_list){ &h->n_createcontainer, &h->createcontainer };
	case HOOK_START_CONTAINER:
		return (struct hook_list){ &h->n_startcontainer, &h->startcontainer };
	case HOOK_POSTSTART:
		return (struct hook_list){ &h->n_poststart, &h->poststart };
	case HOOK_POSTSTOP:
	case HOOK_KINDS:
		break;
	}
	return (struct hook_list){ &h->n_poststop, &h->poststop };
}

int
hooks_validate(const Grpc__Hooks *hooks, struct error *err)
{
	for (int k = 0; hooks && k < HOOK_KINDS; k++) {
		if (hooks_validate_kind(hooks, (enum hook_kind)k, err) < 0)
			return -1;
	}
	return 0;
}

static int
hooks_validate_kind(const Grpc__Hooks *hooks, enum hook_kind kind, struct error *err)
{
	const char *name = kind_names[kind];
	size_t n;
	Grpc__Hook *const *list = hooks_of(hooks, kind, &n);

	if (n > HOOKS_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "hooks.%s: more than %d", name,
				 HOOKS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (*list[i]->path != '/' || strlen(list[i]->path) >= PATH_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "hooks.%s.path: \"%.128s\" is not absolute", name,
					 list[i]->path);
		if (list[i]->timeout < 0 || list[i]->timeout > HOOK_TIMEOUT_MAX_S)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "hooks.%s.timeout: %" PRId64 " s is out of range", name,
					 list[i]->timeout);
	}
	return 0;
}

struct hook_times
hooks_times(const Grpc__Hooks *hooks)
{
	uint64_t ms[HOOK_KINDS] = { 0 };

	for (int k = 0; hooks && k < HOOK_KINDS; k++) {
		size_t n;
		Grpc__Hook *const *list = hooks_of(hooks, (enum hook_kind)k, &n);

		for (size_t i = 0; i < n; i++)
			ms[k] += hooks_timeout_ms(list[i]);
	}
	return (struct hook_times){
		/* A creation that fails runs the poststop hooks. */
		.create_ms = ms[HOOK_PRESTART] + ms[HOOK_CREATE_RUNTIME] +
			     ms[HOOK_CREATE_CONTAINER] + ms[HOOK_POSTSTOP],
		.start_ms = ms[HOOK_START_CONTAINER] + ms[HOOK_POSTSTART],
		.stop_ms = ms[HOOK_POSTSTOP],
	};
}

static uint64_t
hooks_timeout_ms(const Grpc__Hook *hook)
{
	return (uint64_t)(hook->timeout ? hook->timeout : HOOK_TIMEOUT_S) * 1000;
}

int
hooks_merge(const Grpc__Hooks *a, const Grpc__Hooks *b, Grpc__Hooks *out, struct error *err)
{
	grpc__hooks__init(out);
	for (int k = 0; k < HOOK_KINDS; k++) {
		struct hook_list to = hooks_list_of(out, (enum hook_kind)k);
		size_t n_a = 0, n_b = 0;
		Grpc__Hook *const *from_a = a ? hooks_of(a, (enum hook_kind)k, &n_a) : NULL;
		Grpc__Hook *const *from_b = b ? hooks_of(b, (enum hook_kind)k, &n_b) : NULL;

		if (!n_a && !n_b)
			continue;
		*to.hooks = calloc(n_a + n_b, sizeof(Grpc__Hook *));
		if (!*to.hooks) {
			hooks_merge_release(out);
			return error_nomem(err, "merging hooks");
		}
		if (n_a)
			memcpy(*to.hooks, from_a, n_a * sizeof(*from_a));
		if (n_b)
			memcpy(*to.hooks + n_a, from_b, n_b * sizeof(*from_b));
		*to.n = n_a + n_b;
	}
	return 0;
}

void
hooks_merge_release(Grpc__Hooks *merged)
{
	for (int k = 0; k < HOOK_KINDS; k++) {
		struct hook_list list = hooks_list_of(merged, (enum hook_kind)k);

		free(*list.hooks);
		*list.hooks = NULL;
		*list.n = 0;
	}
}

int
hooks_plan(const struct hook_context *c, enum hook_kind kind, struct hook_plan *plan,
	   struct error *err)
{
	Grpc__Hook *const *list;
	struct buf state;
	size_t n = 0;

	*plan = (struct hook_plan){ .kind = kind };
	if (!hooks_has(c->spec->hooks, kind) || kind >= HOOK_KINDS)
		return 0;
	list = hooks_of(c->spec->hooks, kind, &n);
	plan->runs = calloc(n, sizeof(*plan->runs));
	if (!plan->runs)
		return error_nomem(err, "preparing hooks");
	buf_init(&state, STATE_MAX);
	if (hook_state(c, kind, &state) < 0)
		error_set(err, ERROR_RESOURCE_EXHAUSTED,
			  "the container state for hooks exceeds %u bytes", STATE_MAX);
	else if (!(plan->state = strdup((const char *)buf_head(&state))))
		error_nomem(err, "preparing hooks");
	buf_release(&state);
	if (!plan->state)
		return -1;
	for (; plan->n < n; plan->n++) {
		if (hooks_plan_one(list[plan->n], &plan->runs[plan->n], err) < 0) {
			plan->n++;
			return error_wrap(err, "hooks.%s", kind_names[kind]);
		}
	}
	return 0;
}

/* Prepares arguments and environment of one hook. The strings still belong to the spec. */
static int
hooks_plan_one(const Grpc__Hook *hook, struct hook_run *run, struct error *err)
{
	size_t n_env = hook->n_env;

	*run = (struct hook_run){
		.path = hook->path,
		.args = calloc(hook->n_args + 2, sizeof(*run->args)),
		.env = calloc(hook->n_env + 1, sizeof(*run->env)),
		.timeout_ms = (int)hooks_timeout_ms(hook),
	};
	if (!run->args || !run->env)
		return error_nomem(err, "preparing hooks");
	run->args[0] = hook->path;
	for (size_t i = 0; i < hook->n_args; i++)
		run->args[i] = hook->args[i];
	if (n_env)
		memcpy(run->env, hook->env, n_env * sizeof(*run->env));
	if (command_last_wins(run->env, &n_env, err) < 0)
		return -1;
	run->env[n_env] = NULL;
	return 0;
}

void
hooks_plan_release(struct hook_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		free(plan->runs[i].args);
		free(plan->runs[i].env);
	}
	free(plan->runs);
	free(plan->state);
	*plan = (struct hook_plan){ .kind = plan->kind };
}

void
hooks_plan_name_process(struct hook_plan *plan, pid_t pid)
{
	char *at = strstr(plan->state, PID_MEMBER), digits[16];
	size_t n;

	if (!at)
		return;
	at += strlen(PID_MEMBER);
	(void)snprintf(digits, sizeof(digits), "%d", (int)pid);
	n = strlen(digits);
	/* The text does not grow: HOOK_PID_LATER has the largest number of digits. */
	memmove(at + n, at + strspn(at, "0123456789"), strlen(at + strspn(at, "0123456789")) + 1);
	memcpy(at, digits, n);
}

int
hooks_run_plan(struct hook_context *c, const struct hook_plan *plan, struct error *err)
{
	bool ignore_failure = plan->kind == HOOK_POSTSTART || plan->kind == HOOK_POSTSTOP;

	for (size_t i = 0; i < plan->n; i++) {
		if (hooks_run_one(c, &plan->runs[i], plan->state, err) == 0)
			continue;
		error_wrap(err, "hooks.%s", kind_names[plan->kind]);
		if (!ignore_failure)
			return -1;
		if (c->w)
			worker_log(c->w, LOG_LEVEL_WARN, "container %s: %s", c->id, err->msg);
	}
	return 0;
}

/* Logs the output of a hook, or, in a process that cannot log, adds it to c->said. */
static void
hooks_log_output(struct hook_context *c, const char *path, const char *output)
{
	size_t len = strlen(c->said);

	if (!*output)
		return;
	if (c->w)
		worker_log(c->w, LOG_LEVEL_INFO, "hook %s: %s", path, output);
	else
		(void)snprintf(c->said + len, sizeof(c->said) - len, "hook %s: %s\n", path, output);
}

/* Runs one hook. Processes that it leaves behind outside its process group end with the cgroup
 * that it runs in. */
static int
hooks_run_one(struct hook_context *c, const struct hook_run *run, const char *state,
	      struct error *err)
{
	char output[OUTPUT_MAX];
	struct subprocess_spec spec = {
		.path = run->path,
		.argv = (const char *const *)run->args,
		.envp = (const char *const *)run->env,
		.input = state,
		.out = output,
		.out_size = sizeof(output),
		.timeout_ms = run->timeout_ms,
		.cgroup_fd = c->cgroup_fd,
	};
	int status = 0;

	if (faccessat(AT_FDCWD, run->path, X_OK, AT_EACCESS) < 0)
		return error_sys(err, "failed to execute %s", run->path);
	if (subprocess_run(&spec, &status, err) < 0) {
		/* A hook's timeout is not the deadline of the call. */
		err->code = ERROR_INTERNAL;
		return -1;
	}
	for (size_t n = strlen(output); n > 0 && isspace((unsigned char)output[n - 1]);)
		output[--n] = '\0';
	if (WIFSIGNALED(status))
		return error_set(err, ERROR_INTERNAL, "%s was killed by signal %d: %s", run->path,
				 WTERMSIG(status), output);
	if (WEXITSTATUS(status) != 0)
		return error_set(err, ERROR_INTERNAL, "%s exited with %d: %s", run->path,
				 WEXITSTATUS(status), output);
	hooks_log_output(c, run->path, output);
	return 0;
}

int
hooks_run(struct hook_context *c, enum hook_kind kind, struct error *err)
{
	struct hook_plan plan;
	int result = hooks_plan(c, kind, &plan, err);

	if (result == 0)
		result = hooks_run_plan(c, &plan, err);
	hooks_plan_release(&plan);
	return result;
}
