/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl pod: boots a VM in the background and creates the pod that a file describes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "ctl/commands.h"
#include "ctl/options.h"
#include "ctl/pod/files.h"
#include "ctl/pod/manifest.h"
#include "ctl/pod/run.h"
#include "ctl/pod/spec.h"
#include "ctl/vm/background.h"
#include "ctl/vm/dial.h"
#include "ctl/vm/find.h"
#include "ctl/vm/tempdir.h"
#include "lib/cleanup.h"
#include "lib/path.h"
#include "lib/ttrpc/client.h"

#define BOOT_TIMEOUT_MS  180000
#define READY_TIMEOUT_MS 120000
#define STOP_GRACE_MS    10000

static const char usage[] =
	"usage: tatamictl pod [--name NAME] [options of boot] FILE\n"
	"       tatamictl pod --status NAME\n"
	"Boots a VM in the background and creates the pod described by FILE in it. FILE is\n"
	"a Kubernetes Pod in JSON with the members listed in tatamictl(1); `image` is a\n"
	"directory or an image of a file system. Prints the VM's name once all containers\n"
	"are ready. `tatamictl exec -c CONTAINER NAME` runs commands in a container,\n"
	"`tatamictl stop NAME` ends the VM.\n";

struct pod_vm {
	struct run_options *o;
	struct manifest m;
	struct vm vm;
	struct podspec spec;
	struct podrun *run;
	/* Directory of the config maps and the pause container's root. */
	char files[PATH_MAX];
	int files_lock;
};

static int pod_print_status(const char *name);
static int pod_run(struct pod_vm *p, const char *file, struct error *err);
static int pod_boot(void *self, const char *dir, struct error *err);
static int pod_make_files(struct pod_vm *p, struct error *err);
static const struct vm *pod_vm(void *self);
static void pod_describe(void *self, struct vm_state *s);
static void pod_look_after(void *self, int stop_fd);
static void pod_end(void *self);

int
cmd_pod(int argc, char **argv)
{
	auto_options struct run_options *o = calloc(1, sizeof(*o));
	auto_free struct pod_vm *p = calloc(1, sizeof(*p));
	struct error err = ERROR_INIT;
	int code = EXIT_USAGE;

	if (!o || !p)
		return EXIT_FAILED;
	if (argc == 3 && strcmp(argv[1], "--status") == 0)
		return pod_print_status(argv[2]);
	p->o = o;
	p->files_lock = -1;
	p->vm.lock = -1;
	if (options_parse(o, argc, argv, OPTIONS_POD, &err) == 0) {
		if (o->want_help) {
			(void)printf("%s\n%s", usage, options_help);
			return 0;
		}
		options_print_note(o, "pod");
		if (!o->container.args[0] || o->container.args[1])
			error_set(&err, ERROR_INVALID_ARGUMENT, "expected one FILE (see --help)");
		else if (pod_run(p, o->container.args[0], &err) == 0)
			code = 0;
		else
			code = err.code == ERROR_INVALID_ARGUMENT ? EXIT_USAGE : exit_code_of(&err);
		manifest_release(&p->m);
	}
	if (code)
		(void)fprintf(stderr, "tatamictl pod: %s\n", err.msg);
	return code;
}

static int
pod_print_status(const char *name)
{
	char dir[PATH_MAX], path[PATH_MAX + 16], line[512];
	struct error err = ERROR_INIT;
	FILE *f = NULL;

	if (state_dir(name, dir, sizeof(dir), &err) == 0) {
		(void)snprintf(path, sizeof(path), "%s/status.json", dir);
		f = fopen(path, "re");
		if (!f)
			error_sys(&err, "failed to read the status of pod %s", name);
	}
	if (!f) {
		(void)fprintf(stderr, "tatamictl pod: %s\n", err.msg);
		return EXIT_FAILED;
	}
	while (fgets(line, sizeof(line), f))
		(void)fputs(line, stdout);
	(void)fclose(f);
	(void)putchar('\n');
	return 0;
}

static int
pod_run(struct pod_vm *p, const char *file, struct error *err)
{
	const struct background background = { pod_boot,       pod_vm,  pod_describe,
					       pod_look_after, pod_end, p };
	char dir[PATH_MAX];

	if (manifest_read(&p->m, file, err) < 0)
		return -1;
	if (!p->o->name)
		p->o->name = p->m.name;
	if (state_dir(p->o->name, dir, sizeof(dir), err) < 0 ||
	    background_start(&background, dir, err) < 0) {
		if (err->errnum == EEXIST)
			error_set(err, ERROR_ALREADY_EXISTS, "a VM named %s already exists",
				  p->o->name);
		return -1;
	}
	(void)printf("%s\n", p->o->name);
	return 0;
}

static int
pod_boot(void *self, const char *dir, struct error *err)
{
	struct pod_vm *p = self;

	if (pod_make_files(p, err) < 0 || vm_start(&p->vm, &p->o->vm, dir, err) < 0) {
		pod_end(p);
		return -1;
	}
	p->spec = (struct podspec){ .m = &p->m, .vm = &p->o->vm };
	p->spec.client = dial_agent(&p->vm, BOOT_TIMEOUT_MS, err);
	if (p->spec.client && podspec_sandbox(&p->spec, err) == 0)
		p->run = podrun_new(&p->spec, p->vm.dir, err);
	if (p->run && podrun_start(p->run, READY_TIMEOUT_MS, err) == 0)
		return 0;
	pod_end(p);
	return -1;
}

static int
pod_make_files(struct pod_vm *p, struct error *err)
{
	char binary[PATH_MAX];

	p->files_lock = tempdir_make("/tmp/tatami-pod", p->files, sizeof(p->files), err);
	if (p->files_lock < 0) {
		p->files[0] = '\0';
		return -1;
	}
	if (find_guest_file("tatami", binary, sizeof(binary), err) < 0 ||
	    podfiles_make(&p->m, p->files, binary, err) < 0 ||
	    podspec_shares(&p->m, p->files, p->o->share, &p->o->vm, err) < 0)
		return -1;
	for (size_t i = 0; i < p->m.n_ports; i++)
		if (options_publish(&p->o->vm, p->m.ports[i], err) < 0)
			return -1;
	return 0;
}

static const struct vm *
pod_vm(void *self)
{
	return &((struct pod_vm *)self)->vm;
}

static void
pod_describe(void *self, struct vm_state *s)
{
	const struct pod_vm *p = self;
	size_t len = (size_t)snprintf(s->command, sizeof(s->command), "pod %.60s:", p->m.name);

	(void)snprintf(s->name, sizeof(s->name), "%s", p->o->name);
	(void)snprintf(s->pod, sizeof(s->pod), "%.63s", p->m.name);
	podspec_id(&p->spec, 0, s->container, sizeof(s->container));
	for (size_t i = 0; i < p->m.n_containers && len + 65 < sizeof(s->command); i++)
		len += (size_t)snprintf(s->command + len, sizeof(s->command) - len, " %s",
					p->m.containers[i].name);
}

static void
pod_look_after(void *self, int stop_fd)
{
	struct pod_vm *p = self;
	auto_close int pidfd = vm_pidfd(&p->vm);

	podrun_watch(p->run, stop_fd, pidfd);
}

static void
pod_end(void *self)
{
	struct pod_vm *p = self;
	Grpc__DestroySandboxRequest destroy = GRPC__DESTROY_SANDBOX_REQUEST__INIT;
	struct error err = ERROR_INIT;
	int grace = 0;

	if (p->spec.client &&
	    ttrpc_client_call(p->spec.client, &grpc__agent_service__descriptor, "DestroySandbox",
			      &destroy.base, STOP_GRACE_MS, NULL, &err) == 0)
		grace = STOP_GRACE_MS;
	ttrpc_client_free(p->spec.client);
	podrun_free(p->run);
	vm_stop(&p->vm, grace);
	if (p->files[0])
		(void)path_remove_tree(AT_FDCWD, p->files, &err);
	close_fd(&p->files_lock);
}
