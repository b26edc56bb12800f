/* SPDX-License-Identifier: Apache-2.0 */
/* Requests by HTTPS; see https.h. */
#include "ctl/pod/https.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/vm/find.h"
#include "lib/cleanup.h"

#define LOOPBACK "127.0.0.1"
/* The ports above those that Linux gives to outgoing connections. */
#define PORT_MIN 61000
#define PORT_MAX 65535
#define TRIES    100

static int https_publish_one(const struct manifest_action *action, struct vm_options *vm,
			     struct error *err);

/* Returns the published port of the host for a request, or NULL. */
static const struct vm_publish *
https_find(const struct vm_options *vm, const struct manifest_action *action)
{
	for (unsigned int i = 0; i < vm->n_publish; i++)
		if (vm->publish[i].guest_port == action->https_port &&
		    strcmp(vm->publish[i].host, LOOPBACK) == 0)
			return &vm->publish[i];
	return NULL;
}

int
https_publish(const struct manifest *m, struct vm_options *vm, struct error *err)
{
	for (size_t i = 0; i < m->n_containers; i++) {
		const struct manifest_container *c = &m->containers[i];
		const struct manifest_action *actions[] = { &c->startup.action,
							    &c->readiness.action,
							    &c->liveness.action, &c->post_start,
							    &c->pre_stop };

		for (size_t k = 0; k < ARRAY_LEN(actions); k++)
			if (actions[k]->https_port && https_publish_one(actions[k], vm, err) < 0)
				return error_wrap(err, "line %u: %s", actions[k]->line,
						  actions[k]->field);
	}
	return 0;
}

/* Returns a port of the loopback address that is not in use, or 0. */
static unsigned int
https_free_port(void)
{
	for (unsigned int i = 0; i < TRIES; i++) {
		struct sockaddr_in address = { .sin_family = AF_INET,
					       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		uint32_t number;

		if (fd < 0 || getrandom(&number, sizeof(number), 0) != sizeof(number))
			return 0;
		number = PORT_MIN + number % (PORT_MAX - PORT_MIN + 1);
		address.sin_port = htons((uint16_t)number);
		if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
			return number;
	}
	return 0;
}

static int
https_publish_one(const struct manifest_action *action, struct vm_options *vm, struct error *err)
{
	struct vm_publish *p = &vm->publish[vm->n_publish];
	struct error ignored = ERROR_INIT;
	char program[PATH_MAX];

	if (!vm->configure_nic)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "HTTPS needs a network: not with --no-network");
	if (find_program("curl", program, sizeof(program), &ignored) < 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "HTTPS needs the program curl on the host");
	if (https_find(vm, action))
		return 0;
	if (vm->n_publish == VM_PUBLISH_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "more than %d ports of the host for HTTPS and hostPort",
				 VM_PUBLISH_MAX);
	*p = (struct vm_publish){ .host = LOOPBACK,
				  .host_port = https_free_port(),
				  .guest_port = action->https_port };
	if (!p->host_port)
		return error_set(err, ERROR_INVALID_ARGUMENT, "no port of %s is free", LOOPBACK);
	vm->n_publish++;
	return 0;
}

static bool
https_has_header(const struct manifest_action *action, const char *name)
{
	for (const char *const *h = action->https_headers; h && *h; h++)
		if (strncasecmp(*h, name, strlen(name)) == 0)
			return true;
	return false;
}

void
https_arguments(struct argv *a, const struct vm_options *vm, const struct manifest_action *action)
{
	const struct vm_publish *p = https_find(vm, action);

	/* Neither the user's settings nor a proxy counts. */
	argv_add(a, "--disable");
	argv_add(a, "--noproxy");
	argv_add(a, "*");
	argv_add(a, "--silent");
	argv_add(a, "--insecure");
	/* status 400 and above: an error. Redirections are not followed. */
	argv_add(a, "--fail");
	argv_add(a, "--globoff");
	argv_add(a, "--path-as-is");
	argv_add(a, "--output");
	argv_add(a, "/dev/null");
	argv_add(a, "--connect-to");
	argv_add(a, "::%s:%u", LOOPBACK, p ? p->host_port : 0);
	if (!https_has_header(action, "User-Agent:")) {
		argv_add(a, "--header");
		argv_add(a, "User-Agent: kube-probe/1.0");
	}
	for (const char *const *h = action->https_headers; h && *h; h++) {
		/* curl removes a header whose value is empty, unless it ends with ";". */
		size_t n = strlen(*h);
		bool is_empty = n > 2 && strcmp(*h + n - 2, ": ") == 0;

		argv_add(a, "--header");
		argv_add(a, "%.*s%s", (int)(is_empty ? n - 2 : n), *h, is_empty ? ";" : "");
	}
	argv_add(a, "https://" VM_ADDRESS ":%u%s", action->https_port, action->https_path);
}

pid_t
https_start(const struct vm_options *vm, const struct manifest_action *action, struct error *err)
{
	auto_close int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char program[PATH_MAX];
	struct argv a = { 0 };
	pid_t pid;

	if (null < 0)
		return error_sys(err, "failed to open /dev/null");
	if (find_program("curl", program, sizeof(program), err) < 0)
		return -1;
	argv_add(&a, "%s", program);
	https_arguments(&a, vm, action);
	pid = spawn(&a, null, -1, err);
	argv_release(&a);
	return pid;
}
