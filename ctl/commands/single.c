/* SPDX-License-Identifier: Apache-2.0 */
/* A VM with one container in it. */
#include "ctl/commands/single.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent.pb-c.h"
#include "ctl/spec/network.h"
#include "ctl/spec/spec.h"
#include "ctl/vm/dial.h"
#include "ctl/vm/progress.h"
#include "ctl/vm/record.h"
#include "ctl/vm/spawn.h"
#include "lib/arena.h"
#include "lib/deadline.h"
#include "lib/ttrpc/client.h"

/* Time for each of the last calls, and for the guest to power off, before QEMU is killed. */
#define STOP_GRACE_MS 10000
#define REQUEST_MAX   (1u << 20)

static int single_make_container(struct single_vm *p, struct run_options *o, struct arena *a,
				 struct error *err);
static int single_make_watchable(struct single_vm *p, const struct run_options *o,
				 struct error *err);
static void single_print_console(const struct vm *vm);

void
single_vm_block_signals(void)
{
	sigset_t set;

	spawn_end_signals(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

static int
single_call(struct single_vm *p, const char *method, const ProtobufCMessage *request,
	    int timeout_ms, bool interruptible, struct error *err)
{
	if (dial_call(&p->vm, p->client, &grpc__agent_service__descriptor, method, request,
		      timeout_ms, interruptible, err) < 0)
		return error_wrap(err, "%s", method);
	return 0;
}

int
single_vm_start(struct single_vm *p, struct run_options *o, const char *dir, struct error *err)
{
	struct arena a;
	int r;

	if (vm_start(&p->vm, &o->vm, dir, err) < 0)
		return -1;
	p->timeline.vm = p->vm.started_ns;
	p->is_recorded = dir != NULL;
	arena_init(&a, REQUEST_MAX);
	p->client = dial_agent(&p->vm, o->vm.boot_timeout_ms, err);
	r = p->client ? 0 : -1;
	if (r == 0) {
		p->timeline.agent = monotonic_ns();
		r = vm_plug_disks(&p->vm, &o->vm, err);
		if (r == 0 && !o->no_container)
			r = single_make_container(p, o, &a, err);
	} else if (err->code != ERROR_CANCELLED) {
		single_print_console(&p->vm);
	}
	arena_release(&a);
	progress_end();
	if (r < 0) {
		p->is_hurried = err->code == ERROR_CANCELLED;
		if (o->verbose && p->client)
			single_print_console(&p->vm);
		single_vm_stop(p);
	}
	return r;
}

/* Creates the directory of watched volumes, for agents that expect it on the host's share. */
static int
single_make_watchable(struct single_vm *p, const struct run_options *o, struct error *err)
{
	Grpc__CopyFileRequest r = GRPC__COPY_FILE_REQUEST__INIT;
	bool is_needed = false;

	for (size_t i = 0; o->vm.other_agent && i < o->container.n_volumes; i++)
		is_needed |= o->volumes[i].kind == VOLUME_WATCHED;
	if (!is_needed)
		return 0;
	r.path = (char *)(uintptr_t)SPEC_WATCHABLE;
	r.file_mode = S_IFDIR | 0755;
	r.dir_mode = 0755;
	return single_call(p, "CopyFile", &r.base, o->vm.call_timeout_ms, true, err);
}

static int
single_make_container(struct single_vm *p, struct run_options *o, struct arena *a,
		      struct error *err)
{
	Grpc__CreateSandboxRequest *sandbox =
		spec_sandbox(a, SINGLE_VM_CONTAINER, o->container.hostname);
	Grpc__CreateContainerRequest *container;
	Grpc__StartContainerRequest start = GRPC__START_CONTAINER_REQUEST__INIT;

	progress_step("creating the container");
	o->container.id = SINGLE_VM_CONTAINER;
	container = spec_container(a, &o->container);
	if (!sandbox || !container || network_add_dns(a, &o->vm, sandbox) < 0 ||
	    network_add_resolv_conf(a, &o->vm, container->oci) < 0)
		return error_nomem(err, "building the requests");
	if (network_configure(p->client, &o->vm, err) < 0)
		return -1;
	if (p->is_recorded && record_request(p->vm.dir, container, err) < 0)
		return -1;
	if (single_call(p, "CreateSandbox", &sandbox->base, o->vm.call_timeout_ms, true, err) < 0)
		return -1;
	p->timeline.sandbox = monotonic_ns();
	if (single_make_watchable(p, o, err) < 0)
		return -1;
	if (single_call(p, "CreateContainer", &container->base, o->vm.call_timeout_ms, true, err) <
	    0)
		return -1;
	p->timeline.created = monotonic_ns();
	start.container_id = (char *)(uintptr_t)SINGLE_VM_CONTAINER;
	if (single_call(p, "StartContainer", &start.base, o->vm.call_timeout_ms, true, err) < 0)
		return -1;
	p->timeline.started = monotonic_ns();
	return 0;
}

static void
single_print_console(const struct vm *vm)
{
	char tail[4096];

	progress_end();
	vm_console_tail(vm, tail, sizeof(tail));
	if (tail[0])
		(void)fprintf(stderr, "--- end of the guest's console ---\n%s\n---\n", tail);
}

void
single_vm_stop(struct single_vm *p)
{
	Grpc__RemoveContainerRequest remove = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
	Grpc__DestroySandboxRequest destroy = GRPC__DESTROY_SANDBOX_REQUEST__INIT;
	struct error err = ERROR_INIT;
	int grace = 0;

	remove.container_id = (char *)(uintptr_t)SINGLE_VM_CONTAINER;
	if (p->client && !p->is_hurried && !vm_has_ended(&p->vm, NULL, 0)) {
		if (p->timeline.created)
			(void)single_call(p, "RemoveContainer", &remove.base, STOP_GRACE_MS, false,
					  &err);
		if (single_call(p, "DestroySandbox", &destroy.base, STOP_GRACE_MS, false, &err) ==
		    0)
			grace = STOP_GRACE_MS;
	}
	ttrpc_client_free(p->client);
	p->client = NULL;
	timeline_read_console(&p->timeline, p->vm.console);
	vm_stop(&p->vm, grace);
	p->timeline.stopped = monotonic_ns();
}
