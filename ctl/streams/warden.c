/* SPDX-License-Identifier: Apache-2.0 */
/* Ends a process in a container whose client is gone. */
#include "ctl/streams/warden.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/ttrpc/client.h"

/* Time for a call, and for a process to end by SIGHUP: the user, who could give others, has
 * gone. */
#define CALL_MS  20000
#define GRACE_MS 5000

static void warden_watch(int fd, const char *address, const char *container_id,
			 const char *exec_id);

int
warden_start(struct warden *w, const char *address, const char *container_id, const char *exec_id,
	     struct error *err)
{
	int pair[2];

	*w = (struct warden){ .fd = -1 };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, "failed to create a socket");
	w->pid = fork();
	if (w->pid == 0) {
		warden_watch(pair[1], address, container_id, exec_id);
		_exit(0);
	}
	(void)close(pair[1]);
	w->fd = pair[0];
	if (w->pid < 0)
		return error_sys(err, "failed to start a process that watches this one");
	return 0;
}

void
warden_end(struct warden *w, bool has_ended)
{
	int status;

	if (has_ended)
		(void)write_full(w->fd, "", 1);
	close_fd(&w->fd);
	/* Otherwise it goes on after this process. */
	if (has_ended && w->pid > 0)
		(void)waitpid(w->pid, &status, 0);
}

static void
warden_signal(struct ttrpc_client *client, const char *container_id, const char *exec_id, int sig)
{
	Grpc__SignalProcessRequest q = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
	struct error ignored = ERROR_INIT;

	q.container_id = (char *)(uintptr_t)container_id;
	q.exec_id = (char *)(uintptr_t)exec_id;
	q.signal = (uint32_t)sig;
	(void)ttrpc_client_call(client, &grpc__agent_service__descriptor, "SignalProcess", &q.base,
				CALL_MS, NULL, &ignored);
}

/* Runs in the warden. It keeps no file of the client open: a reader of the client's output would
 * not see its end. */
static void
warden_watch(int fd, const char *address, const char *container_id, const char *exec_id)
{
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct error ignored = ERROR_INIT;
	struct ttrpc_client *client;
	sigset_t all;
	char byte;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	(void)setsid();
	for (int i = 0; i < 3; i++)
		(void)dup2(null, i);
	(void)close_all_but(&fd, 1);
	if (chdir("/") < 0 || read_full(fd, &byte, 1) != 0)
		return;
	client = ttrpc_client_dial(address, CALL_MS, &ignored);
	if (!client)
		return;
	warden_signal(client, container_id, exec_id, SIGHUP);
	wait.container_id = (char *)(uintptr_t)container_id;
	wait.exec_id = (char *)(uintptr_t)exec_id;
	if (ttrpc_client_call(client, &grpc__agent_service__descriptor, "WaitProcess", &wait.base,
			      GRACE_MS, NULL, &ignored) < 0)
		warden_signal(client, container_id, exec_id, SIGKILL);
	ttrpc_client_free(client);
}
