/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl boot: runs a VM in the background under a monitor process. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/commands.h"
#include "ctl/options.h"
#include "ctl/record.h"
#include "ctl/session.h"
#include "ctl/single.h"
#include "ctl/vm/background.h"
#include "ctl/vm/state.h"
#include "lib/cleanup.h"

static const char usage[] =
	"usage: tatamictl boot [--name NAME] [options] IMAGE [COMMAND [ARGUMENT…]]\n"
	"       tatamictl boot [--name NAME] [options] --rootfs ROOT [-- COMMAND [ARGUMENT…]]\n"
	"Boots a VM in the background, runs COMMAND (default: what IMAGE says, else sleep) in a\n"
	"container in it, and prints the VM's name. `tatamictl exec NAME` runs further commands,\n"
	"`tatamictl stop NAME` ends the VM. The VM also ends when COMMAND exits.\n";

struct booted {
	struct run_options *o;
	struct single_vm vm;
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
	auto_free struct booted *b = calloc(1, sizeof(*b));
	struct background background = { boot_start, boot_vm, boot_describe, boot_look_after,
					 boot_end,   b,       boot_finish };
	char dir[PATH_MAX], name[64];
	struct error err = ERROR_INIT;

	if (!o || !b)
		return EXIT_FAILED;
	b->o = o;
	if (options_parse(o, argc, argv, OPTIONS_BOOT, &err) < 0) {
		(void)fprintf(stderr, "tatamictl boot: %s\n", err.msg);
		return err.code == ERROR_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
	}
	if (o->want_help) {
		(void)printf("%s\n%s", usage, options_help);
		return 0;
	}
	options_print_note(o, "boot");
	if (!o->name) {
		(void)snprintf(name, sizeof(name), "vm-%d", (int)getpid());
		o->name = name;
	}
	if (state_dir(o->name, dir, sizeof(dir), &err) < 0 ||
	    background_start(&background, dir, &err) < 0) {
		if (err.errnum == EEXIST)
			error_set(&err, ERROR_ALREADY_EXISTS,
				  "a VM named %s already exists (see tatamictl ps -a, rm)",
				  o->name);
		(void)fprintf(stderr, "tatamictl boot: %s\n", err.msg);
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
	if (b->o->no_container || record_single(dir, SINGLE_VM_CONTAINER, true, 0, err) == 0)
		return 0;
	single_vm_stop(&b->vm);
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

/* Relays the container's output to a log until stop_fd is readable or the container or the VM
 * ends. */
static void
boot_look_after(void *self, int stop_fd)
{
	struct booted *b = self;
	struct single_vm *p = &b->vm;
	char log[PATH_MAX + 32], why[400];
	struct error err = ERROR_INIT;
	auto_close int pidfd = vm_end_fd(&p->vm);
	auto_close int out = -1;
	struct session s = {
		.client = p->client,
		.container_id = SINGLE_VM_CONTAINER,
		.exec_id = SINGLE_VM_CONTAINER,
		.in = -1,
		.is_log = true,
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
	(void)snprintf(log, sizeof(log), "%s/" SINGLE_VM_CONTAINER ".log", p->vm.dir);
	out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	s.out = out;
	s.err = out;
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
	(void)record_single(p->vm.dir, SINGLE_VM_CONTAINER, false, b->exit_code, &err);
}

static void
boot_finish(void *self, struct vm_state *s)
{
	const struct booted *b = self;

	s->exit_code = b->exit_code;
	(void)snprintf(s->error, sizeof(s->error), "%s", b->error);
}

static void
boot_end(void *self)
{
	single_vm_stop(&((struct booted *)self)->vm);
}
