/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl run: boots a VM, runs one container in it and removes everything. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/commands/commands.h"
#include "ctl/commands/options.h"
#include "ctl/commands/single.h"
#include "ctl/streams/session.h"
#include "ctl/vm/progress.h"
#include "lib/cleanup.h"

static const char usage[] =
	"usage: tatamictl run [options] IMAGE [COMMAND [ARGUMENT…]]\n"
	"       tatamictl run --rootfs ROOT [options] [-- COMMAND [ARGUMENT…]]\n"
	"       tatamictl run --bundle DIR [options] [-- COMMAND [ARGUMENT…]]\n"
	"       tatamictl run --in NAME [--rootfs ROOT] [options] -- COMMAND [ARGUMENT…]\n"
	"Boots a VM and runs COMMAND, or what IMAGE says, in a container in it. Passes on its\n"
	"output, signals and exit code; with -d, boots it in the background, as `boot` does, and\n"
	"prints its name. IMAGE is an OCI layout (DIR[:TAG]), an archive of one or\n"
	"of `docker save` (FILE[:TAG]), a directory, an image of a file system, the name or\n"
	"digest of an image in the cache (`tatamictl images`), or a reference for skopeo\n"
	"(docker://NAME), which is downloaded unless it is in the cache. With --in, the container\n"
	"is one more in the running VM NAME, with the root of that VM's container unless ROOT is\n"
	"given; its disks are attached and detached again. Only options of the container have a\n"
	"meaning then.\n";

static int run_session(struct single_vm *p, const struct run_options *o, struct error *err);

int
cmd_run(int argc, char **argv)
{
	auto_options struct run_options *o = calloc(1, sizeof(*o));
	auto_free struct single_vm *p = calloc(1, sizeof(*p));
	struct error err = ERROR_INIT;
	int code;

	if (!o || !p)
		return EXIT_FAILED;
	if (options_parse(o, argc, argv, OPTIONS_RUN, &err) < 0) {
		(void)fprintf(stderr, "tatamictl run: %s\n", err.msg);
		return err.code == ERROR_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
	}
	if (o->want_help) {
		(void)printf("%s\n%s", usage, options_help);
		return 0;
	}
	if (o->in)
		return cmd_run_in(o);
	if (o->detach)
		return boot_in_background(o, "run");
	options_print_note(o, "run");
	single_vm_block_signals();
	if (!o->quiet && !o->vm.gdb)
		progress_begin();
	code = single_vm_start(p, o, NULL, &err);
	progress_end();
	if (code < 0) {
		(void)fprintf(stderr, "tatamictl run: %s\n", err.msg);
		return exit_code_of(&err);
	}
	code = run_session(p, o, &err);
	p->is_hurried = code < 0 && err.code == ERROR_CANCELLED;
	single_vm_stop(p);
	if (o->timing)
		timeline_print(&p->timeline);
	if (code < 0) {
		(void)fprintf(stderr, "tatamictl run: %s\n", err.msg);
		return exit_code_of(&err);
	}
	return code;
}

static int
run_session(struct single_vm *p, const struct run_options *o, struct error *err)
{
	auto_close int pidfd = vm_end_fd(&p->vm);
	struct session s = {
		.client = p->client,
		.container_id = SINGLE_VM_CONTAINER,
		.exec_id = SINGLE_VM_CONTAINER,
		.terminal = o->container.terminal,
		.in = o->interactive ? STDIN_FILENO : -1,
		.out = STDOUT_FILENO,
		.err = STDERR_FILENO,
		.vm_pidfd = pidfd,
		.stop_fd = -1,
	};
	int code = session_run(&s, err);
	char why[400];

	if (code < 0 && err->code == ERROR_UNAVAILABLE &&
	    vm_ends_within(&p->vm, 2000, why, sizeof(why)))
		error_set(err, ERROR_UNAVAILABLE, "the VM has ended: %s", why);
	p->timeline.first_byte = s.first_byte_ns;
	p->timeline.exited = s.exit_ns;
	return code;
}
