/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl stop, wait, rm: the end of a VM in the background, and of what is remembered of it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/commands/command_line.h"
#include "ctl/commands/commands.h"
#include "ctl/commands/options.h"
#include "ctl/pod/message.h"
#include "ctl/vm/record.h"
#include "ctl/vm/state.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/sys.h"

/* Time for a monitor to be gone after SIGKILL. */
#define KILLED_MS 30000

/* Time for a VM to end, without the grace period of a pod, before it is killed. */
#define STOP_TIMEOUT_S 30

static const char stop_usage[] =
	"usage: tatamictl stop [--timeout SECONDS] NAME… | --all\n"
	"Ends VMs. Exit codes and logs are kept until `tatamictl rm`.\n"
	"\n"
	"  -a, --all          all that run\n"
	"  --timeout SECONDS  time for a VM to end, in addition to the grace period of its pod,\n"
	"                     before it is killed (default 30)\n"
	"  -h, --help         print this\n";
static const char rm_usage[] =
	"usage: tatamictl rm [-f] NAME… | --all\n"
	"Removes the exit codes and logs of VMs that have ended.\n"
	"\n"
	"  -a, --all    all that have ended; with -f, all\n"
	"  -f, --force  end those that run; it is no error if there is none of that name\n"
	"  --timeout SECONDS\n"
	"               with -f, as for stop\n"
	"  -h, --help   print this\n";
static const char wait_usage[] = "usage: tatamictl wait NAME…\n"
				 "Waits until each VM has ended, and prints its exit code; on\n"
				 "standard error, why it has failed, and the termination messages\n"
				 "of a pod.\n"
				 "\n"
				 "  -h, --help  print this\n";

/* A command on several VMs. */
struct on_vms {
	const char *command, *usage;
	bool takes_force;
	bool all, force;
	int timeout_ms;
	int (*act)(struct on_vms *o, const struct vm_state *s, struct error *err);
	/* chosen by --all */
	bool (*is_meant)(const struct on_vms *o, const struct vm_state *s);
	int code;
};

static void
on_complain(struct on_vms *o, const struct error *err)
{
	(void)fprintf(stderr, "tatamictl %s: %s\n", o->command, err->msg);
	o->code = EXIT_FAILED;
}

static void
on_each(const struct vm_state *s, void *data)
{
	struct on_vms *o = data;
	struct error err = ERROR_INIT;

	if (o->is_meant(o, s) && o->act(o, s, &err) < 0)
		on_complain(o, &err);
}

static int
on_vms(struct on_vms *o, int argc, char **argv)
{
	/* --force is the first, so that it can be left out; wait has none of them. */
	const struct command_option options[] = {
		{ "force", 'f', .flag = &o->force },
		{ "all", 'a', .flag = &o->all },
		{ "timeout", .timeout_ms = &o->timeout_ms },
	};
	const size_t without = o->takes_force ? 0 : 1;
	const struct command_line line = {
		.usage = o->usage,
		.options = options + without,
		.n_options = o->is_meant ? ARRAY_LEN(options) - without : 0,
		.operands_max = argc,
	};
	struct error err = ERROR_INIT;
	int first;

	o->timeout_ms = STOP_TIMEOUT_S * 1000;
	first = command_line_read(&line, argc, argv);
	if (first <= 0)
		return -first;
	if ((first < argc) == o->all) {
		(void)fprintf(stderr, "%s", o->usage);
		return EXIT_USAGE;
	}
	if (o->all && state_for_each(on_each, o, &err) < 0)
		on_complain(o, &err);
	for (int i = first; i < argc; i++) {
		struct error why = ERROR_INIT;
		struct vm_state s;

		if (state_read(argv[i], &s, &why) < 0) {
			if (!o->force || why.code != ERROR_NOT_FOUND)
				on_complain(o, &why);
		} else if (o->act(o, &s, &why) < 0) {
			on_complain(o, &why);
		}
	}
	return o->code;
}

/* Waits until the monitor has ended. */
static bool
stop_wait_gone(int monitor, int timeout_ms)
{
	struct pollfd ended = { .fd = monitor, .events = POLLIN };

	return RETRY_EINTR(poll(&ended, 1, timeout_ms)) > 0;
}

/* ---- stop ---- */

static bool
stop_is_meant(const struct on_vms *o, const struct vm_state *s)
{
	(void)o;
	return !s->finished;
}

static int
stop_one(struct on_vms *o, const struct vm_state *s, struct error *err)
{
	/* Opened before the check, after which it cannot be another process of that number. */
	auto_close int monitor = sys_pidfd_open(s->monitor, 0);
	struct vm_state now;

	if (state_is_alive(s) && monitor >= 0) {
		/* On SIGALRM, the monitor stops the container and powers the guest off. */
		(void)sys_pidfd_send_signal(monitor, SIGALRM);
		if (!stop_wait_gone(monitor, o->timeout_ms + s->grace_s * 1000)) {
			/* The kernel kills the monitor's children together with it
			 * (PR_SET_PDEATHSIG). */
			(void)sys_pidfd_send_signal(monitor, SIGKILL);
			(void)stop_wait_gone(monitor, KILLED_MS);
		}
	}
	/* `rm` or the end of a pod's files may have been faster. */
	if (state_read(s->name, &now, err) < 0)
		return err->code == ERROR_NOT_FOUND ? 0 : -1;
	if (now.finished)
		return 0;
	state_keep_records(now.dir);
	now.finished = time(NULL);
	now.exit_code = 255;
	(void)snprintf(now.error, sizeof(now.error), "the VM's monitor process was killed");
	return state_write(&now, err);
}

int
cmd_stop(int argc, char **argv)
{
	struct on_vms o = {
		.command = "stop", .usage = stop_usage, .act = stop_one, .is_meant = stop_is_meant
	};

	return on_vms(&o, argc, argv);
}

/* ---- rm ---- */

static bool
rm_is_meant(const struct on_vms *o, const struct vm_state *s)
{
	return o->force || !state_is_alive(s);
}

static int
rm_one(struct on_vms *o, const struct vm_state *s, struct error *err)
{
	if (state_is_alive(s)) {
		if (!o->force)
			return error_set(err, ERROR_FAILED_PRECONDITION,
					 "VM %s runs: stop it first, or use --force", s->name);
		if (stop_one(o, s, err) < 0)
			return -1;
	}
	return path_remove_tree(AT_FDCWD, s->dir, err);
}

int
cmd_rm(int argc, char **argv)
{
	struct on_vms o = { .command = "rm",
			    .usage = rm_usage,
			    .takes_force = true,
			    .act = rm_one,
			    .is_meant = rm_is_meant };

	return on_vms(&o, argc, argv);
}

/* ---- wait ---- */

/* Prints the termination messages of a pod's containers. */
static void
wait_print_messages(const struct vm_state *s)
{
	json_t *list = record_containers(s->dir), *c;
	size_t i;

	json_array_foreach(list, i, c)
	{
		const char *name = json_string_value(json_object_get(c, "name"));
		const char *message = json_string_value(json_object_get(c, "message"));
		char text[MESSAGE_MAX + 1];

		if (!name || !message)
			continue;
		(void)snprintf(text, sizeof(text), "%s", message);
		message_make_printable(text);
		(void)fprintf(stderr, "%s/%s: %s\n", s->name, name, text);
	}
	json_decref(list);
}

static int
wait_one(struct on_vms *o, const struct vm_state *s, struct error *err)
{
	auto_close int monitor = sys_pidfd_open(s->monitor, 0);
	auto_close int end = state_end_open(s);
	struct error ignored = ERROR_INIT;
	struct vm_state now;
	bool is_kept;

	(void)o;
	if (state_is_alive(s) && monitor >= 0)
		(void)stop_wait_gone(monitor, -1);
	/* It may have been removed, and the name be that of another. */
	is_kept = state_read(s->name, &now, &ignored) == 0 && now.monitor == s->monitor;
	if (!is_kept)
		now.finished = state_end_read(end, &now.exit_code);
	if (!now.finished)
		return error_set(err, ERROR_UNAVAILABLE,
				 "VM %s has no exit code: its monitor process was killed", s->name);
	(void)printf("%d\n", now.exit_code);
	if (is_kept && now.error[0])
		(void)fprintf(stderr, "tatamictl wait: VM %s: %s\n", now.name, now.error);
	if (is_kept)
		wait_print_messages(&now);
	return fflush(stdout) == 0 ? 0 : error_sys(err, "failed to write the exit code");
}

int
cmd_wait(int argc, char **argv)
{
	struct on_vms o = { .command = "wait", .usage = wait_usage, .act = wait_one };

	return on_vms(&o, argc, argv);
}
