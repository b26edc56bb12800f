/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl boot: runs a VM in the background under a monitor process. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/commands/background.h"
#include "ctl/commands/commands.h"
#include "ctl/commands/options.h"
#include "ctl/commands/single.h"
#include "ctl/streams/outlet.h"
#include "ctl/streams/session.h"
#include "ctl/vm/progress.h"
#include "ctl/vm/record.h"
#include "ctl/vm/state.h"
#include "lib/cleanup.h"

static const char usage[] =
	"usage: tatamictl boot [--name NAME] [options] IMAGE [COMMAND [ARGUMENT…]]\n"
	"       tatamictl boot [--name NAME] [options] --rootfs ROOT [-- COMMAND [ARGUMENT…]]\n"
	"Boots a VM in the background, runs COMMAND (default: what IMAGE says, else sleep) in a\n"
	"container in it, and prints the VM's name. `tatamictl exec NAME` runs further commands,\n"
	"`tatamictl attach NAME` connects to the container (with -i, its input stays open), and\n"
	"`tatamictl stop NAME` ends the VM. The VM also ends when COMMAND exits.\n"
	"`tatamictl run -d` is the same.\n";

struct booted {
	struct run_options *o;
	struct single_vm vm;
	struct outlets *outlets;
	struct outlet *outlet;
	/* the end of the container */
	int exit_code;
	char error[512];
};

static int boot_start(void *self, const char *dir, struct error *err);
static struct vm *boot_vm(void *self);
static void boot_describe(void *self, struct vm_state *s);
static void boot_look_after(void *self, int stop_fd);
static void boot_end(void *self);
static void boot_finish(void *self, struct vm_state *s);

int
cmd_boot(int argc, char **argv)
{
	auto_options struct run_options *o = calloc(1, sizeof(*o));
	struct error err = ERROR_INIT;

	if (!o)
		return EXIT_FAILED;
	if (options_parse(o, argc, argv, OPTIONS_BOOT, &err) < 0) {
		(void)fprintf(stderr, "tatamictl boot: %s\n", err.msg);
		return err.code == ERROR_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
	}
	if (o->want_help) {
		(void)printf("%s\n%s", usage, options_help);
		return 0;
	}
	return boot_in_background(o, argv[0]);
}

int
boot_in_background(struct run_options *o, const char *command)
{
	auto_free struct booted *b = calloc(1, sizeof(*b));
	const struct background background = {
		.start = boot_start,
		.vm = boot_vm,
		.describe = boot_describe,
		.look_after = boot_look_after,
		.stop = boot_end,
		.self = b,
		.finish = boot_finish,
		.removes = o->remove,
	};
	char dir[PATH_MAX], name[64];
	struct error err = ERROR_INIT;
	int r;

	if (!b)
		return EXIT_FAILED;
	b->o = o;
	options_print_note(o, command);
	if (!o->name) {
		(void)snprintf(name, sizeof(name), "vm-%d", (int)getpid());
		o->name = name;
	}
	if (!o->quiet && !o->vm.gdb)
		progress_begin();
	r = state_dir(o->name, dir, sizeof(dir), &err);
	if (r == 0)
		r = background_start(&background, dir, &err);
	progress_end();
	if (r < 0) {
		if (err.errnum == EEXIST)
			error_set(&err, ERROR_ALREADY_EXISTS,
				  "a VM named %s already exists (see tatamictl ps -a, rm)",
				  o->name);
		(void)fprintf(stderr, "tatamictl %s: %s\n", command, err.msg);
		return err.code == ERROR_INVALID_ARGUMENT ? EXIT_USAGE : exit_code_of(&err);
	}
	(void)printf("%s\n", o->name);
	return 0;
}

static int
boot_start(void *self, const char *dir, struct error *err)
{
	struct booted *b = self;

	if (single_vm_start(&b->vm, b->o, dir, err) < 0)
		return -1;
	if (b->o->no_container)
		return 0;
	b->outlets = outlets_new(dir, &b->o->log, err);
	if (b->outlets)
		b->outlet = outlets_add(b->outlets, SINGLE_VM_CONTAINER, SINGLE_VM_CONTAINER, err);
	if (b->outlet && record_single(dir, SINGLE_VM_CONTAINER, true, 0, err) == 0)
		return 0;
	boot_end(b);
	return -1;
}

static struct vm *
boot_vm(void *self)
{
	return &((struct booted *)self)->vm.vm;
}

static void
boot_describe(void *self, struct vm_state *s)
{
	const struct run_options *o = ((struct booted *)self)->o;
	size_t len = 0;

	(void)snprintf(s->name, sizeof(s->name), "%s", o->name);
	(void)snprintf(s->container, sizeof(s->container), SINGLE_VM_CONTAINER);
	if (o->no_container)
		return;
	(void)snprintf(s->rootfs, sizeof(s->rootfs), "%s", o->vm.shares[0].path);
	for (char *const *arg = o->container.args; *arg && len + 2 < sizeof(s->command); arg++) {
		int n = snprintf(s->command + len, sizeof(s->command) - len, "%s%s", len ? " " : "",
				 *arg);

		len = n < 0 ? len : len + (size_t)n;
	}
}

/* Passes on the container's output until stop_fd is readable or the container or the VM
 * ends. */
static void
boot_look_after(void *self, int stop_fd)
{
	struct booted *b = self;
	struct single_vm *p = &b->vm;
	char why[400];
	struct error err = ERROR_INIT;
	auto_close int pidfd = vm_end_fd(&p->vm);
	struct session s = {
		.client = p->client,
		.container_id = SINGLE_VM_CONTAINER,
		.exec_id = SINGLE_VM_CONTAINER,
		.terminal = b->o->container.terminal,
		.in = -1,
		.out = -1,
		.err = -1,
		.outlet = b->outlet,
		/* The end of its session would end what runs on a terminal. */
		.keeps_stdin = b->o->interactive || b->o->container.terminal,
		.vm_pidfd = pidfd,
		.stop_fd = stop_fd,
		.stop_signal = b->o->stop_signal,
	};
	struct pollfd ends[] = { { .fd = pidfd, .events = POLLIN },
				 { .fd = stop_fd, .events = POLLIN } };

	if (b->o->no_container) {
		while (poll(ends, ARRAY_LEN(ends), -1) < 0 && errno == EINTR)
			continue;
		if (vm_has_failed(&p->vm, why, sizeof(why))) {
			(void)snprintf(b->error, sizeof(b->error), "the VM has ended: %s", why);
			b->exit_code = 255;
		}
		return;
	}
	b->exit_code = session_run(&s, &err);
	if (b->exit_code < 0) {
		/* While it is stopped, the VM does not end by itself. */
		if (vm_ends_within(&p->vm, 2000, why, sizeof(why)))
			(void)snprintf(b->error, sizeof(b->error), "the VM has ended: %s", why);
		else
			(void)snprintf(b->error, sizeof(b->error), "%.400s; the VM's programs run",
				       err.msg);
		b->exit_code = 255;
	}
	outlet_ended(b->outlet, b->exit_code, b->error[0] ? b->error : NULL);
}

static void
boot_finish(void *self, struct vm_state *s)
{
	struct booted *b = self;
	struct error ignored = ERROR_INIT;

	if (!b->o->no_container)
		(void)record_single(b->vm.vm.dir, SINGLE_VM_CONTAINER, false, b->exit_code,
				    &ignored);
	s->exit_code = b->exit_code;
	(void)snprintf(s->error, sizeof(s->error), "%s", b->error);
}

static void
boot_end(void *self)
{
	struct booted *b = self;

	outlets_free(b->outlets);
	b->outlets = NULL;
	b->outlet = NULL;
	single_vm_stop(&b->vm);
}
