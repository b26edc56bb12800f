/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands for a VM when tatamictl is tested without one. Called as vhost-device-vsock, virtiofsd or
 * passt it makes its socket and waits; called as qemu-system-* it writes the console, and serves
 * the agent's protocol behind the vsock socket of the VM's directory. Containers are processes of
 * this machine, without any isolation.
 *
 * As of the Rust kata-agent, output that was not read when WaitProcess answers is lost, and
 * CloseStdin of a process with a terminal closes that.
 *
 * Environment:
 *   FAKE_BOOT=silent    the console stays empty
 *   FAKE_BOOT=crash     exits before the agent answers
 *   FAKE_BOOT=refuse    exits at once, with two lines on stderr
 *   FAKE_KVM=works      a trial of KVM succeeds; fails otherwise
 *   FAKE_QEMU=poor      QEMU has few devices
 *   FAKE_QMP=1          QEMU answers at its control socket, and has one disk plugged in
 *   FAKE_HANG=METHOD    calls of this method are never answered
 *   FAKE_CALLS=FILE     the file gets a line with the VM's directory, with each method, with user
 *                       and group of each exec, and with each process that is sent a signal, and
 *                       the signal
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "health.pb-c.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/ttrpc/envelope.h"
#include "lib/ttrpc/frame.h"
#include "ttrpc.pb-c.h"

#define PROCESSES_MAX 64
/* The program of a pod's first container, which is not there. */
#define PAUSE "/pause"

struct process {
	char container[80], id[80];
	Grpc__Process *spec;
	pid_t pid;
	bool is_used, has_exited;
	int status;
	/* ends of this program: stdin, stdout, stderr; the same fd three times with a terminal */
	int fds[3];
};

struct connection {
	int fd;
	pthread_mutex_t lock;
};

struct call {
	struct connection *conn;
	uint32_t stream;
	Ttrpc__Request *request;
};

/* the kernel's command line */
static const char *append = "";
static struct process processes[PROCESSES_MAX];
/* The lock of the table, whose rows are used once. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void
note(const char *text, int number)
{
	const char *file = getenv("FAKE_CALLS");
	auto_close int fd = file ? open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
	char line[1024];
	int n = number ? snprintf(line, sizeof(line), "%s %d\n", text, number)
		       : snprintf(line, sizeof(line), "%s\n", text);

	if (fd >= 0)
		(void)write_full(fd, line, (size_t)n);
}

static void
reply(struct call *c, const ProtobufCMessage *message, const struct error *failure)
{
	struct error err = ERROR_INIT;
	struct buf out;
	int r;

	buf_init(&out, 8u << 20);
	r = message ? envelope_append_reply(&out, c->stream, message, &err)
		    : envelope_append_failure(&out, c->stream, failure);
	(void)pthread_mutex_lock(&c->conn->lock);
	if (r == 0)
		(void)write_full(c->conn->fd, buf_head(&out), buf_len(&out));
	(void)pthread_mutex_unlock(&c->conn->lock);
	buf_release(&out);
}

static void
reply_failure(struct call *c, enum error_code code, const char *text)
{
	struct error err = ERROR_INIT;

	error_set(&err, code, "%s", text);
	reply(c, NULL, &err);
}

static void
reply_empty(struct call *c)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;

	reply(c, &empty.base, NULL);
}

/* ---- processes ---- */

static struct process *
process_find(const char *container, const char *id)
{
	struct process *found = NULL;

	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < PROCESSES_MAX && !found; i++)
		if (processes[i].is_used && strcmp(processes[i].container, container) == 0 &&
		    strcmp(processes[i].id, *id ? id : container) == 0)
			found = &processes[i];
	(void)pthread_mutex_unlock(&lock);
	return found;
}

static struct process *
process_add(const char *container, const char *id, const Grpc__Process *spec)
{
	size_t n = protobuf_c_message_get_packed_size(&spec->base);
	auto_free uint8_t *packed = malloc(n + 1);
	struct process *p = NULL;

	(void)protobuf_c_message_pack(&spec->base, packed);
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < PROCESSES_MAX && !p; i++)
		if (!processes[i].is_used)
			p = &processes[i];
	if (p) {
		*p = (struct process){ .is_used = true, .fds = { -1, -1, -1 } };
		(void)snprintf(p->container, sizeof(p->container), "%s", container);
		(void)snprintf(p->id, sizeof(p->id), "%s", *id ? id : container);
		p->spec = grpc__process__unpack(NULL, n, packed);
	}
	(void)pthread_mutex_unlock(&lock);
	return p;
}

static void
process_become(struct process *p, const int fds[3], pid_t parent)
{
	char **args = calloc(p->spec->n_args + 1, sizeof(*args));

	memcpy(args, p->spec->args, p->spec->n_args * sizeof(*args));
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)setsid();
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(fds[fd], fd);
	if (p->spec->terminal)
		(void)ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	(void)close_all_but(NULL, 0);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)!chdir(p->spec->cwd);
	(void)clearenv();
	for (size_t i = 0; i < p->spec->n_env; i++)
		(void)putenv(p->spec->env[i]);
	if (strcmp(args[0], PAUSE) == 0)
		(void)execlp("sleep", "sleep", "infinity", NULL);
	(void)execvp(args[0], args);
	dprintf(2, "tatami: failed to execute %s: %s\n", args[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Starts the process and waits for its end. The kernel kills it together with the thread that
 * started it. */
static void *
process_run(void *data)
{
	struct process *p = data;
	int theirs[3], ours[3], status = 0;
	pid_t parent = getpid(), pid;

	for (int fd = 0; fd < 3; fd++) {
		int pair[2] = { -1, -1 };

		if (p->spec->terminal && fd > 0) {
			theirs[fd] = theirs[0];
			ours[fd] = ours[0];
			continue;
		}
		if (p->spec->terminal)
			(void)openpty(&pair[1], &pair[0], NULL, NULL, NULL);
		else
			(void)!pipe2(pair, O_CLOEXEC);
		theirs[fd] = pair[fd > 0];
		ours[fd] = pair[fd == 0];
		(void)fcntl(pair[0], F_SETFD, FD_CLOEXEC);
		(void)fcntl(pair[1], F_SETFD, FD_CLOEXEC);
	}
	pid = fork();
	if (pid == 0)
		process_become(p, theirs, parent);
	for (int fd = 0; fd < 3; fd++)
		if (fd == 0 || !p->spec->terminal)
			(void)close(theirs[fd]);
	(void)pthread_mutex_lock(&lock);
	memcpy(p->fds, ours, sizeof(ours));
	p->pid = pid;
	(void)pthread_cond_broadcast(&changed);
	(void)pthread_mutex_unlock(&lock);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	(void)pthread_mutex_lock(&lock);
	p->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	p->has_exited = true;
	(void)pthread_cond_broadcast(&changed);
	(void)pthread_mutex_unlock(&lock);
	return NULL;
}

static void
process_start(struct process *p)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, process_run, p) != 0)
		return;
	(void)pthread_detach(thread);
	(void)pthread_mutex_lock(&lock);
	while (p->pid == 0)
		(void)pthread_cond_wait(&changed, &lock);
	(void)pthread_mutex_unlock(&lock);
}

/* Sends the signal to the process group; with `all`, to those of the whole container. */
static void
process_signal(const char *container, const struct process *one, int sig)
{
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < PROCESSES_MAX; i++) {
		struct process *p = &processes[i];

		if (p->is_used && p->pid > 0 && !p->has_exited &&
		    (one ? p == one : !container || strcmp(p->container, container) == 0))
			(void)kill(one ? p->pid : -p->pid, sig);
	}
	(void)pthread_mutex_unlock(&lock);
}

/* ---- methods ---- */

static bool
has_program(const Grpc__Process *spec)
{
	const char *path = "/bin:/usr/bin:/sbin:/usr/sbin";
	char copy[1024];

	if (strcmp(spec->args[0], PAUSE) == 0)
		return true;
	if (strchr(spec->args[0], '/'))
		return access(spec->args[0], F_OK) == 0;
	for (size_t i = 0; i < spec->n_env; i++)
		if (strncmp(spec->env[i], "PATH=", 5) == 0)
			path = spec->env[i] + 5;
	(void)snprintf(copy, sizeof(copy), "%s", path);
	for (char *save = NULL, *dir = strtok_r(copy, ":", &save); dir;
	     dir = strtok_r(NULL, ":", &save)) {
		char file[2048];

		(void)snprintf(file, sizeof(file), "%s/%s", dir, spec->args[0]);
		if (access(file, X_OK) == 0)
			return true;
	}
	return false;
}

static struct process *
make_process(struct call *c, const char *container, const char *id, const Grpc__Process *spec)
{
	char text[300];
	struct process *p;

	if (!has_program(spec)) {
		(void)snprintf(text, sizeof(text), "the file %.200s was not found", spec->args[0]);
		reply_failure(c, ERROR_INVALID_ARGUMENT, text);
		return NULL;
	}
	p = process_find(container, id) ? NULL : process_add(container, id, spec);
	if (!p)
		reply_failure(c, ERROR_ALREADY_EXISTS, "exists");
	return p;
}

static void
serve_read(struct call *c, struct process *p, int fd, uint32_t len)
{
	Grpc__ReadStreamResponse r = GRPC__READ_STREAM_RESPONSE__INIT;
	auto_free uint8_t *data = malloc(len + 1);
	ssize_t n = p->fds[fd] < 0 ? 0 : read(p->fds[fd], data, len);

	if (n <= 0) {
		reply_failure(c, ERROR_OUT_OF_RANGE, "eof");
		return;
	}
	r.data.data = data;
	r.data.len = (size_t)n;
	reply(c, &r.base, NULL);
}

static void
serve_write(struct call *c, struct process *p, const ProtobufCBinaryData *data)
{
	Grpc__WriteStreamResponse r = GRPC__WRITE_STREAM_RESPONSE__INIT;

	if (p->fds[0] < 0 || write_full(p->fds[0], data->data, data->len) < 0) {
		reply_failure(c, ERROR_FAILED_PRECONDITION, "stdin is closed");
		return;
	}
	r.len = (uint32_t)data->len;
	reply(c, &r.base, NULL);
}

static void
serve_wait(struct call *c, struct process *p)
{
	Grpc__WaitProcessResponse r = GRPC__WAIT_PROCESS_RESPONSE__INIT;

	(void)pthread_mutex_lock(&lock);
	while (!p->has_exited)
		(void)pthread_cond_wait(&changed, &lock);
	r.status = p->status;
	if (!p->spec->terminal)
		close_fds(p->fds, 3);
	(void)pthread_mutex_unlock(&lock);
	reply(c, &r.base, NULL);
}

static void
serve_stats(struct call *c)
{
	Grpc__StatsContainerResponse r = GRPC__STATS_CONTAINER_RESPONSE__INIT;
	Grpc__CgroupStats cgroup = GRPC__CGROUP_STATS__INIT;
	Grpc__CpuStats cpu = GRPC__CPU_STATS__INIT;
	Grpc__CpuUsage usage = GRPC__CPU_USAGE__INIT;
	Grpc__MemoryStats memory = GRPC__MEMORY_STATS__INIT;
	Grpc__MemoryData data = GRPC__MEMORY_DATA__INIT;
	Grpc__PidsStats pids = GRPC__PIDS_STATS__INIT;

	usage.total_usage = 1500000000;
	data.usage = 3u << 20;
	data.limit = 256u << 20;
	pids.current = 2;
	cpu.cpu_usage = &usage;
	memory.usage = &data;
	cgroup.cpu_stats = &cpu;
	cgroup.memory_stats = &memory;
	cgroup.pids_stats = &pids;
	r.cgroup_stats = &cgroup;
	reply(c, &r.base, NULL);
}

static void
serve_remove(struct call *c, const char *container)
{
	process_signal(container, NULL, SIGKILL);
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < PROCESSES_MAX; i++) {
		struct process *p = &processes[i];

		if (!p->is_used || strcmp(p->container, container) != 0)
			continue;
		while (p->pid > 0 && !p->has_exited)
			(void)pthread_cond_wait(&changed, &lock);
		p->id[0] = '\0';
	}
	(void)pthread_mutex_unlock(&lock);
	reply_empty(c);
}

static void
serve_process(struct call *c, const char *method, ProtobufCMessage *q)
{
	/* The requests begin with the same two fields. */
	const Grpc__WaitProcessRequest *names = (const Grpc__WaitProcessRequest *)q;
	struct process *p = process_find(names->container_id, names->exec_id);

	if (!p)
		reply_failure(c, ERROR_NOT_FOUND, "process not found");
	else if (strcmp(method, "ReadStdout") == 0)
		serve_read(c, p, 1, ((Grpc__ReadStreamRequest *)q)->len);
	else if (strcmp(method, "ReadStderr") == 0)
		serve_read(c, p, 2, ((Grpc__ReadStreamRequest *)q)->len);
	else if (strcmp(method, "WriteStdin") == 0)
		serve_write(c, p, &((Grpc__WriteStreamRequest *)q)->data);
	else if (strcmp(method, "WaitProcess") == 0)
		serve_wait(c, p);
	else if (strcmp(method, "SignalProcess") == 0) {
		note(p->id, (int)((Grpc__SignalProcessRequest *)q)->signal);
		process_signal(p->container, *names->exec_id ? p : NULL,
			       (int)((Grpc__SignalProcessRequest *)q)->signal);
		reply_empty(c);
	} else if (strcmp(method, "CloseStdin") == 0) {
		/* All three are one. */
		if (p->spec->terminal)
			p->fds[1] = p->fds[2] = -1;
		close_fd(&p->fds[0]);
		reply_empty(c);
	} else if (strcmp(method, "TtyWinResize") == 0) {
		struct winsize ws = {
			.ws_row = (unsigned short)((Grpc__TtyWinResizeRequest *)q)->row,
			.ws_col = (unsigned short)((Grpc__TtyWinResizeRequest *)q)->column
		};

		/* Later than a call that is made at the same time. */
		(void)usleep(50000);
		(void)ioctl(p->fds[0], TIOCSWINSZ, &ws);
		reply_empty(c);
	} else {
		reply_failure(c, ERROR_UNIMPLEMENTED, method);
	}
}

static void
serve_method(struct call *c, const char *method, ProtobufCMessage *q)
{
	if (strcmp(method, "CreateSandbox") == 0 || strcmp(method, "CopyFile") == 0) {
		reply_empty(c);
	} else if (strcmp(method, "CreateContainer") == 0) {
		const Grpc__CreateContainerRequest *r = (const void *)q;

		if (make_process(c, r->container_id, r->container_id, r->oci->process))
			reply_empty(c);
	} else if (strcmp(method, "StartContainer") == 0) {
		const char *id = ((Grpc__StartContainerRequest *)q)->container_id;
		struct process *p = process_find(id, id);

		if (p)
			process_start(p);
		reply_empty(c);
	} else if (strcmp(method, "ExecProcess") == 0) {
		const Grpc__ExecProcessRequest *r = (const void *)q;
		struct process *p = make_process(c, r->container_id, r->exec_id, r->process);

		if (p) {
			const Grpc__User *user = r->process->user;

			note("uid", user ? (int)user->uid : 0);
			note("gid", user ? (int)user->gid : 0);
			process_start(p);
			reply_empty(c);
		}
	} else if (strcmp(method, "RemoveContainer") == 0) {
		serve_remove(c, ((Grpc__RemoveContainerRequest *)q)->container_id);
	} else if (strcmp(method, "StatsContainer") == 0) {
		serve_stats(c);
	} else if (strcmp(method, "DestroySandbox") == 0) {
		process_signal(NULL, NULL, SIGKILL);
		reply_empty(c);
		_exit(0);
	} else {
		serve_process(c, method, q);
	}
}

static void *
serve_call(void *data)
{
	struct call *c = data;
	const char *method = c->request->method, *hang = getenv("FAKE_HANG");
	const ProtobufCMethodDescriptor *m = protobuf_c_service_descriptor_get_method_by_name(
		&grpc__agent_service__descriptor, method);
	ProtobufCMessage *q = NULL;

	note(method, 0);
	if (hang && strcmp(hang, method) == 0) {
		for (;;)
			(void)pause();
	}
	if (m)
		q = protobuf_c_message_unpack(m->input, NULL, c->request->payload.len,
					      c->request->payload.data);
	if (q) {
		serve_method(c, method, q);
	} else if (strcmp(method, "Check") == 0) {
		Grpc__HealthCheckResponse r = GRPC__HEALTH_CHECK_RESPONSE__INIT;

		r.status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
		reply(c, &r.base, NULL);
	} else {
		reply_failure(c, ERROR_UNIMPLEMENTED, method);
	}
	if (q)
		protobuf_c_message_free_unpacked(q, NULL);
	ttrpc__request__free_unpacked(c->request, NULL);
	free(c);
	return NULL;
}

/* ---- the debug console ---- */

struct tunnel {
	int from, to;
	/* the terminal whose size is set by reports of the client, -1: none */
	int terminal;
};

/* Copies until one end is closed, then hangs up. Reports come in one piece, as the client sends
 * them. */
static void *
tunnel_run(void *data)
{
	struct tunnel *t = data;
	char bytes[4096];
	ssize_t n;

	while ((n = read(t->from, bytes, sizeof(bytes) - 1)) > 0) {
		bytes[n] = '\0';
		for (char *at = bytes; t->terminal >= 0 && (at = strstr(at, "\033[8;"));) {
			unsigned short rows, columns;
			int used = 0;

			if (sscanf(at, "\033[8;%hu;%hut%n", &rows, &columns, &used) == 2 && used) {
				struct winsize ws = { .ws_row = rows, .ws_col = columns };

				(void)ioctl(t->terminal, TIOCSWINSZ, &ws);
				n -= used;
				memmove(at, at + used, strlen(at + used) + 1);
			} else {
				at++;
			}
		}
		if (write_full(t->to, bytes, (size_t)n) < 0)
			break;
	}
	if (t->terminal >= 0)
		(void)write_full(t->terminal, "\004", 1);
	else
		(void)shutdown(t->to, SHUT_RDWR);
	return NULL;
}

/* Serves a shell, as the agent's debug console does. */
static void
serve_shell(int peer)
{
	struct tunnel in = { .from = peer }, out = { .to = peer, .terminal = -1 };
	pid_t parent = getpid(), pid;
	pthread_t thread;
	int master, status;

	pid = forkpty(&master, NULL, NULL, NULL);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		(void)close_all_but(NULL, 0);
		(void)execl("/bin/sh", "sh", (char *)NULL);
		_exit(127);
	}
	(void)write_full(peer, "\033[18t", 5);
	in.to = in.terminal = out.from = master;
	if (pthread_create(&thread, NULL, tunnel_run, &in) == 0) {
		(void)tunnel_run(&out);
		(void)pthread_join(thread, NULL);
	}
	(void)waitpid(pid, &status, 0);
	(void)close(master);
}

/* ---- connections ---- */

static void *
serve_connection(void *data)
{
	/* Calls that are answered later refer to it: never freed. */
	struct connection *conn = data;
	char line[32] = "", port[sizeof("agent.debug_console_vport=") + 16];
	unsigned int number = 0;

	for (size_t n = 0; n + 1 < sizeof(line) && !strchr(line, '\n'); n++)
		if (read_full(conn->fd, line + n, 1) != 1)
			return NULL;
	(void)sscanf(line, "CONNECT %u\n", &number);
	(void)snprintf(port, sizeof(port), "agent.debug_console_vport=%u", number);
	if (number != 1024 && !strstr(append, port)) {
		(void)close(conn->fd);
		return NULL;
	}
	if (number != 1024) {
		(void)write_full(conn->fd, "OK 1\n", 5);
		serve_shell(conn->fd);
		return NULL;
	}
	(void)write_full(conn->fd, "OK 1\n", 5);
	for (;;) {
		uint8_t head[FRAME_HEADER_SIZE];
		auto_free uint8_t *body = NULL;
		struct frame_header h;
		struct call *c;
		pthread_t thread;

		if (read_full(conn->fd, head, sizeof(head)) != sizeof(head))
			return NULL;
		frame_header_decode(&h, head);
		body = malloc(h.length + 1);
		c = calloc(1, sizeof(*c));
		if (!body || !c || read_full(conn->fd, body, h.length) != (ssize_t)h.length) {
			free(c);
			return NULL;
		}
		*c = (struct call){ .conn = conn, .stream = h.stream };
		c->request = ttrpc__request__unpack(NULL, h.length, body);
		if (!c->request || pthread_create(&thread, NULL, serve_call, c) != 0) {
			free(c);
			return NULL;
		}
		(void)pthread_detach(thread);
	}
}

static int
listen_on(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 || listen(fd, 16) < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

/* Serves QMP, one client after another, as QEMU does. */
static void *
serve_qmp(void *data)
{
	int listener = *(int *)data;

	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		FILE *peer = fd < 0 ? NULL : fdopen(fd, "r+");
		char line[1024];

		if (!peer)
			return NULL;
		(void)setvbuf(peer, NULL, _IONBF, 0);
		(void)fprintf(peer, "{\"QMP\": {}}\n");
		while (fgets(line, sizeof(line), peer)) {
			if (strstr(line, "qom-list"))
				(void)fprintf(peer, "{\"return\": [{\"name\": \"disk1\","
						    " \"type\": \"child<virtio-blk-pci>\"}]}\n");
			else if (strstr(line, "qmp_capabilities"))
				(void)fprintf(peer, "{\"return\": {}}\n");
			else
				(void)fprintf(peer, "{\"error\": {\"desc\": \"fake\"}}\n");
		}
		(void)fclose(peer);
	}
}

static void
be_qemu(const char *dir)
{
	const char *boot = getenv("FAKE_BOOT");
	char path[4096];
	int fd, console;

	(void)signal(SIGPIPE, SIG_IGN);
	note(dir, 0);
	if (boot && strcmp(boot, "refuse") == 0) {
		(void)fprintf(stderr,
			      "qemu: the first line of what is wrong\nqemu: the last line\n");
		exit(1);
	}
	(void)snprintf(path, sizeof(path), "%s/console.log", dir);
	console = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (boot && strcmp(boot, "silent") == 0) {
		for (;;)
			(void)pause();
	}
	if (boot && strcmp(boot, "crash") == 0) {
		(void)usleep(200000);
		(void)fprintf(stderr, "qemu: fake crash\n");
		exit(1);
	}
	if (getenv("FAKE_QMP")) {
		static int listener;
		pthread_t qmp;

		(void)snprintf(path, sizeof(path), "%s/qmp.sock", dir);
		listener = listen_on(path);
		(void)pthread_create(&qmp, NULL, serve_qmp, &listener);
	}
	(void)snprintf(path, sizeof(path), "%s/vsock.sock", dir);
	fd = listen_on(path);
	(void)dprintf(console, "listening on vsock\n");
	for (;;) {
		struct connection *conn = calloc(1, sizeof(*conn));
		pthread_t thread;

		conn->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		(void)pthread_mutex_init(&conn->lock, NULL);
		if (pthread_create(&thread, NULL, serve_connection, conn) == 0)
			(void)pthread_detach(thread);
	}
}

/* Answers what `tatamictl check` asks programs. */
static bool
answer(const char *program, int argc, char **argv)
{
	bool is_poor = getenv("FAKE_QEMU") != NULL;

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		(void)printf("%s 9.8.7 (fake)\nCopyright 1\n",
			     strrchr(program, '/') ? strrchr(program, '/') + 1 : program);
	else if (argc == 3 && strcmp(argv[1], "-device") == 0)
		(void)printf("name \"vhost-user-vsock-pci\", bus PCI\n%s",
			     is_poor ? "" : "name \"virtio-9p-pci\"\nname \"vhost-user-fs-pci\"\n");
	else if (argc == 3 && strcmp(argv[1], "-netdev") == 0)
		(void)printf("Available:\nsocket\n%s", is_poor ? "" : "user\n");
	else
		return false;
	return true;
}

/* Tries KVM: prints as a guest does, or fails as QEMU does. */
static int
try_kvm(void)
{
	const char *kvm = getenv("FAKE_KVM");

	note("trial", 0);
	if (kvm && strcmp(kvm, "works") == 0)
		return puts("Linux version 0") < 0;
	(void)fprintf(stderr, "first\nqemu: fake KVM does not work\n\n");
	return 1;
}

int
main(int argc, char **argv)
{
	if (answer(argv[0], argc, argv))
		return 0;
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--socket", 8) == 0) {
			(void)listen_on(strchr(argv[i], '=') ? strchr(argv[i], '=') + 1
							     : argv[i + 1]);
			(void)fprintf(stderr, "fake: one\nfake: two\n");
			for (;;)
				(void)pause();
		}
		if (strncmp(argv[i], "unix:", 5) == 0) {
			char *dir = argv[i] + 5;

			*strstr(dir, "/qmp.sock") = '\0';
			for (int k = 1; k + 1 < argc; k++)
				if (strcmp(argv[k], "-append") == 0)
					append = argv[k + 1];
			be_qemu(dir);
		}
		if (strcmp(argv[i], "stdio") == 0)
			return try_kvm();
	}
	(void)fprintf(stderr, "fake-vm: not called as tatamictl calls its programs\n");
	return 2;
}
