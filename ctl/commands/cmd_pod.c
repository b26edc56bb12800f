/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl pod: boots a VM in the background and creates the pod that a file describes. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "ctl/commands/background.h"
#include "ctl/commands/commands.h"
#include "ctl/commands/options.h"
#include "ctl/pod/files.h"
#include "ctl/pod/https.h"
#include "ctl/pod/manifest.h"
#include "ctl/pod/run.h"
#include "ctl/pod/security.h"
#include "ctl/pod/spec.h"
#include "ctl/vm/dial.h"
#include "ctl/vm/find.h"
#include "ctl/vm/progress.h"
#include "ctl/vm/tempdir.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/ttrpc/client.h"

/* Time for the guest to power off after DestroySandbox, before QEMU is killed. */
#define STOP_GRACE_MS 10000
/* Exit code of a pod whose activeDeadlineSeconds are over, that of timeout(1). */
#define EXIT_POD_TIMEOUT 124

static const char usage[] =
	"usage: tatamictl pod [--name NAME] [--image IMAGE=DIR]... [--claim NAME=DIR]...\n"
	"                     [options of boot] FILE\n"
	"       tatamictl pod --status NAME\n"
	"Boots a VM in the background and creates the pod described by FILE in it. FILE (-:\n"
	"standard input) has documents of Kubernetes: a Pod, or an object with a template for\n"
	"pods, and the ConfigMaps, Secrets and PersistentVolumes that it uses. --image tells\n"
	"where an image is if not in the cache or a registry, --claim what a claim stands for.\n"
	"Prints the VM's name once all containers are ready. `tatamictl exec -c CONTAINER\n"
	"NAME` runs commands in a container, `tatamictl stop NAME` ends the VM.\n";

struct pod_vm {
	struct run_options *o;
	struct manifest m;
	/* images of the containers and volumes */
	struct image images[PODSPEC_IMAGES_MAX];
	struct vm vm;
	struct podspec spec;
	struct podrun *run;
	struct manifest_guest guest;
	/* directory of seccomp profiles */
	char profiles[PATH_MAX];
	/* The Job, and the reason for the end of it or of the pod, with the exit code. */
	struct podjob job;
	char failure[160];
	int failure_code;
	/* Directory of the files of a Job's pod. */
	char pod_files[PATH_MAX + 32];
	/* Name of the VM unless one is given, id of the pod, and its address. */
	char name[25], uid[64];
	const char *ip;
	/* Directory of the config maps and the pause container's root. */
	char files[PATH_MAX];
	int files_lock;
};

static int pod_print_status(const char *name);
static int pod_run(struct pod_vm *p, const char *file, struct error *err);
static int pod_boot(void *self, const char *dir, struct error *err);
static int pod_read(struct pod_vm *p, const char *file, struct error *err);
static int pod_make_files(struct pod_vm *p, struct error *err);
static struct vm *pod_vm(void *self);
static void pod_describe(void *self, struct vm_state *s);
static void pod_look_after(void *self, int stop_fd);
static void pod_fail(struct pod_vm *p, const char *failure);
static bool pod_go_on(struct pod_vm *p, int stop_fd, int vm_fd);
static int pod_renew(struct pod_vm *p, struct error *err);
static void pod_finish(void *self, struct vm_state *s);
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
		for (size_t i = 0; i < ARRAY_LEN(p->images); i++)
			image_close(&p->images[i]);
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
	const struct background background = {
		.start = pod_boot,
		.vm = pod_vm,
		.describe = pod_describe,
		.look_after = pod_look_after,
		.stop = pod_end,
		.finish = pod_finish,
		.self = p,
		.removes = p->o->remove,
	};
	char dir[PATH_MAX];
	int r;

	if (pod_read(p, file, err) < 0)
		return -1;
	if (!p->o->name) {
		/* Names of VMs are shorter than those of pods. */
		size_t n = (size_t)snprintf(p->name, sizeof(p->name), "%s", p->m.name);

		for (n = n < sizeof(p->name) ? n : sizeof(p->name) - 1;
		     n > 1 && strchr("-.", p->name[n - 1]); n--)
			p->name[n - 1] = '\0';
		p->o->name = p->name;
	}
	if (!p->o->quiet && !p->o->vm.gdb)
		progress_begin();
	r = state_dir(p->o->name, dir, sizeof(dir), err);
	if (r == 0)
		r = background_start(&background, dir, err);
	progress_end();
	if (r < 0) {
		if (err->errnum == EEXIST)
			error_set(err, ERROR_ALREADY_EXISTS, "a VM named %s already exists",
				  p->o->name);
		return -1;
	}
	(void)printf("%s\n", p->o->name);
	return 0;
}

/* Reads the description, finds its images, and adds its ports to the options of the VM. */
static int
pod_read(struct pod_vm *p, const char *file, struct error *err)
{
	struct vm_options *vm = &p->o->vm;
	p->guest = (struct manifest_guest){
		.ip = VM_ADDRESS,
		.host_ip = VM_GATEWAY,
		.uid = p->uid,
		.memory = (uint64_t)vm->memory_mib << 20,
		.cpus = vm->cpus,
		.publishes_ipv6 = vm->network == VM_NETWORK_PASST,
		.claims = p->o->claims,
		.n_claims = p->o->n_claims,
	};
	char copy[PATH_MAX], *dir;

	/* A pod has a network. */
	if (!p->o->no_network)
		vm->nic = vm->configure_nic = true;
	else
		p->guest.ip = p->guest.host_ip = "127.0.0.1";
	p->ip = p->guest.ip;
	(void)read_text_at(AT_FDCWD, "/proc/sys/kernel/random/uuid", p->uid, sizeof(p->uid));
	if (manifest_read(&p->m, file, &p->guest, err) < 0)
		return -1;
	p->job.spec = p->m.job;
	/* dirname() returns "." for "-", too. */
	(void)snprintf(copy, sizeof(copy), "%s", file);
	dir = dirname(copy);
	(void)snprintf(p->profiles, sizeof(p->profiles), "%s",
		       p->o->seccomp_profiles ? p->o->seccomp_profiles : dir);
	if (security_read_profiles(&p->m, p->profiles, find_arch_name(vm->arch), err) < 0)
		return error_wrap(err, "%s", file);
	for (size_t i = 0; i < p->m.n_ports; i++)
		if (options_publish(vm, p->m.ports[i], err) < 0)
			return error_wrap(err, "%s", file);
	if (p->o->no_network)
		vm->configure_nic = false;
	if (https_publish(&p->m, vm, err) < 0)
		return error_wrap(err, "%s", file);
	if (podspec_open_images(&p->m, p->o->images, p->o->n_images, dir, find_arch_name(vm->arch),
				p->images, err) < 0)
		return error_wrap(err, "%s", file);
	if (p->m.ignored[0] && !p->o->quiet)
		(void)fprintf(stderr, "tatamictl pod: %s: ignored: %s\n", file, p->m.ignored);
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
	p->spec = (struct podspec){
		.m = &p->m,
		.vm = &p->o->vm,
		.writable = p->o->writable,
		.dir = p->vm.dir,
		.files = p->files,
		.job = p->m.job.is_job ? &p->job : NULL,
	};
	if (p->m.job.deadline_s)
		p->spec.job_deadline_ns = deadline_in((uint64_t)p->m.job.deadline_s * 1000);
	p->spec.client = dial_agent(&p->vm, p->o->vm.boot_timeout_ms, err);
	if (p->spec.client && vm_plug_disks(&p->vm, &p->o->vm, err) == 0 &&
	    podspec_sandbox(&p->spec, err) == 0)
		p->run = podrun_new(&p->spec, p->vm.dir, &p->o->log, err);
	progress_step("starting the containers");
	if (p->run && podrun_start(p->run, p->o->vm.boot_timeout_ms, err) == 0)
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
	    podfiles_make(&p->m, p->ip, p->files, binary, err) < 0)
		return -1;
	return podspec_shares(&p->m, p->files, p->o->share, p->o->writable, &p->o->vm, err);
}

static struct vm *
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
	s->grace_s = p->m.grace_s;
	podspec_id(&p->spec, p->m.n_init, s->container, sizeof(s->container));
	for (size_t i = p->m.n_init; i < p->m.n_containers && len + 65 < sizeof(s->command); i++)
		len += (size_t)snprintf(s->command + len, sizeof(s->command) - len, " %s",
					p->m.containers[i].name);
}

static void
pod_look_after(void *self, int stop_fd)
{
	struct pod_vm *p = self;
	auto_close int pidfd = vm_end_fd(&p->vm);

	for (;;) {
		podrun_watch(p->run, stop_fd, pidfd);
		if (!podrun_is_over(p->run))
			return;
		/* Its containers' exit codes are those after their end. */
		if (podrun_failure(p->run) || p->m.job.is_job)
			podrun_stop(p->run, pidfd);
		if (!p->m.job.is_job) {
			pod_fail(p, podrun_failure(p->run));
			return;
		}
		if (!pod_go_on(p, stop_fd, pidfd))
			return;
	}
}

/* Sets the reason for a failure, if there is one, and the exit code. */
static void
pod_fail(struct pod_vm *p, const char *failure)
{
	int code = p->run ? podrun_exit_code(p->run) : 0;

	if (!failure)
		return;
	(void)snprintf(p->failure, sizeof(p->failure), "%s", failure);
	p->failure_code = strncmp(failure, "DeadlineExceeded:", 17) == 0 ? EXIT_POD_TIMEOUT
			  : code                                         ? code
									 : EXIT_FAILED;
}

/* Decides what follows the end of a Job's pod, and starts its next one. Returns whether there is
 * one to be looked after. */
static bool
pod_go_on(struct pod_vm *p, int stop_fd, int vm_fd)
{
	struct error err = ERROR_INIT;
	bool has_started = true;
	struct pollfd ends[] = { { .fd = stop_fd, .events = POLLIN },
				 { .fd = vm_fd, .events = POLLIN } };

	for (;;) {
		const char *failure = podrun_failure(p->run);
		bool is_final =
			failure &&
			(strncmp(failure, "BackoffLimitExceeded:", 21) == 0 ||
			 (p->spec.job_deadline_ns && deadline_is_over(p->spec.job_deadline_ns)));

		if (is_final) {
			pod_fail(p, failure);
			return false;
		}
		if (podjob_ended(&p->job,
				 has_started && !failure && podrun_exit_code(p->run) == 0) ==
		    PODJOB_IS_OVER) {
			pod_fail(p, p->job.failure[0] ? p->job.failure : NULL);
			podrun_record(p->run);
			return false;
		}
		if (poll(ends, ARRAY_LEN(ends), podjob_delay_ms(&p->job)) != 0)
			return false;
		if (pod_renew(p, &err) < 0) {
			pod_fail(p, err.msg);
			return false;
		}
		podrun_listen(p->run, stop_fd, vm_fd);
		if (podrun_start(p->run, INT_MAX, &err) == 0)
			return true;
		if (poll(ends, ARRAY_LEN(ends), 0) != 0)
			return false;
		/* An init container has failed, or another was not to be started. */
		podrun_stop(p->run, vm_fd);
		has_started = false;
	}
}

/* Makes the next pod of a Job the current one: its description is read again, for another index. */
static int
pod_renew(struct pod_vm *p, struct error *err)
{
	auto_free struct manifest *next = calloc(1, sizeof(*next));
	struct error ignored = ERROR_INIT;

	if (!podspec_is_live(&p->spec))
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "the next pod of the Job requires a share that is not copied "
				 "(--share)");
	if (!next)
		return error_nomem(err, "starting the next pod");
	p->guest.index = p->job.index;
	if (manifest_parse(next, p->m.text, p->m.text_size, &p->guest, err) < 0 ||
	    security_read_profiles(next, p->profiles, find_arch_name(p->o->vm.arch), err) < 0 ||
	    podspec_take_over(next, &p->m, p->images, err) < 0) {
		manifest_release(next);
		return error_wrap(err, "failed to start the next pod of the Job");
	}
	podrun_free(p->run);
	p->run = NULL;
	if (p->spec.number)
		(void)path_remove_tree(AT_FDCWD, p->pod_files, &ignored);
	manifest_release(&p->m);
	p->m = *next;
	(void)snprintf(p->pod_files, sizeof(p->pod_files), "%s/pod-%u", p->files, ++p->spec.number);
	p->spec.files = p->pod_files;
	if (podfiles_make_further(&p->m, p->ip, p->pod_files, err) < 0)
		return -1;
	p->run = podrun_new(&p->spec, p->vm.dir, &p->o->log, err);
	return p->run ? 0 : -1;
}

static void
pod_finish(void *self, struct vm_state *s)
{
	struct pod_vm *p = self;

	background_finish(&p->vm, s);
	if (p->failure[0]) {
		(void)snprintf(s->error, sizeof(s->error), "%s", p->failure);
		s->exit_code = p->failure_code;
	} else if (p->m.job.is_job && p->job.index == p->m.job.completions && !s->error[0]) {
		/* Its sidecars were ended. */
		s->exit_code = 0;
	}
}

static void
pod_end(void *self)
{
	struct pod_vm *p = self;
	Grpc__DestroySandboxRequest destroy = GRPC__DESTROY_SANDBOX_REQUEST__INIT;
	struct error err = ERROR_INIT;
	auto_close int pidfd = vm_end_fd(&p->vm);
	int grace = 0;

	if (p->run)
		podrun_stop(p->run, pidfd);
	if (p->spec.client && !vm_has_ended(&p->vm, NULL, 0) &&
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
