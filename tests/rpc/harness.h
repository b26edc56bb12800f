/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the real agent on a unix socket in private mount and cgroup namespaces of this machine, with
 * tatami supervise as its parent, and drives it with real frames. After every test, resources that
 * must not leak are counted: the agent's fds, mounts, cgroups, processes, zombies and run
 * directories.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "agent.pb-c.h"
#include "health.pb-c.h"
#include "lib/arena.h"
#include "lib/error.h"
#include "lib/ttrpc/client.h"
#include "tests/support/check.h"

/* Resource counts; every test must restore them. */
struct counts {
	unsigned int fds, mounts, cgroups, processes, zombies, run_entries;
	uint64_t rss_kib;
};

struct faults;

struct harness {
	/* injects failures into the agent's system calls (faults.h), or NULL */
	struct faults *faults;
	void (*install)(struct faults *f);
	int (*listen)(struct faults *f, pid_t child);
	pid_t supervisor, agent;
	char address[128];
	char rootfs[256];
	/* hooks of the next sandbox, or "" */
	char guest_hooks[300];
	struct ttrpc_client *client;
	struct counts before_start;
	bool soak, is_product;
	/* failed checks of the running test */
	unsigned int failures;
	unsigned int n_run;
};

struct test {
	const char *name;
	void (*run)(struct harness *h);
	/* lives as long as the sandbox; the test checks for leaks itself */
	bool leaves_volumes;
};

/* Starts agent and supervisor and creates the sandbox; exits with a message on failure. From then
 * on failed checks are counted in h->failures. */
void harness_start(struct harness *h);
/* Destroys the sandbox, and stops a second agent by a signal, as tests of their own. Returns the
 * number of failed tests. */
unsigned int harness_stop(struct harness *h);

/* Runs the tests with a leak check after each, and prints TAP. Returns the number of failed
 * tests. */
unsigned int harness_run(struct harness *h, const struct test *tests, size_t n);

void harness_count(const struct harness *h, struct counts *out);
/* Counts resources once the counts are stable. */
void harness_settle(const struct harness *h, struct counts *out);

/* Waits until all counts except memory are restored; if they are not after 30 s, fails the test and
 * shows what is left. */
bool harness_check_leaks(struct harness *h, const struct counts *before);

/* Prints the agent's fds, mounts, cgroups, run directories and processes. */
void harness_show(const struct harness *h);

/* Create hooks in the guest's image for the next sandbox, in which two containers are created,
 * and check their effect. */
void make_guest_hooks(struct harness *h);
void check_guest_hooks(struct harness *h);

/* ---- calls; each returns -1 and sets err like the client ---- */

int call(struct harness *h, const char *method, const void *request, ProtobufCMessage **reply,
	 struct error *err);
int check_health(struct ttrpc_client *client, struct error *err);

/* Returns a request in the arena for a container of the busybox rootfs that runs args
 * (NULL-terminated). */
Grpc__CreateContainerRequest *make_create(struct harness *h, struct arena *a, const char *id,
					  const char *const *args, bool terminal);

int create(struct harness *h, const char *id, const char *const *args, struct error *err);
int create_start(struct harness *h, const char *id, const char *const *args, struct error *err);
int create_start_tty(struct harness *h, const char *id, const char *const *args, struct error *err);
int start(struct harness *h, const char *id, struct error *err);
int exec(struct harness *h, const char *id, const char *exec_id, const char *const *args,
	 bool terminal, struct error *err);
int remove_container(struct harness *h, const char *id, struct error *err);
int kill_process(struct harness *h, const char *id, const char *exec_id, int sig,
		 struct error *err);
/* Returns the exit code. */
int wait_process(struct harness *h, const char *id, const char *exec_id, struct error *err);
/* Returns the number of bytes read, at most size; 0 at the end. */
ssize_t read_stream(struct harness *h, bool from_stderr, const char *id, const char *exec_id,
		    void *buf, size_t size, struct error *err);
/* Reads to the end of the stream; keeps at most size-1 bytes, NUL-terminated. */
ssize_t read_all(struct harness *h, bool from_stderr, const char *id, const char *exec_id,
		 char *buf, size_t size, struct error *err);
int write_stdin(struct harness *h, const char *id, const char *exec_id, const void *data, size_t n,
		struct error *err);
int close_stdin(struct harness *h, const char *id, const char *exec_id, struct error *err);

/* Creates, starts, waits for and removes a container, and reads all of its stdout. Returns the
 * exit code. */
int run_container(struct harness *h, const char *id, const char *const *args, char *out,
		  size_t size, struct error *err);

/* Removes the files made by CopyFile, to restore the state for the next test. */
void remove_copies(struct harness *h);

#define ARGS(...)  ((const char *const[]){ __VA_ARGS__, NULL })
#define SH(script) ARGS("/bin/sh", "-c", script)

extern const struct test tests_lifecycle[], tests_stdio[], tests_errors[], tests_many[],
	tests_wire[], tests_attack[], tests_files[], tests_storm[], tests_interfaces[],
	tests_network[], tests_guest[], tests_state[], tests_full[], tests_cancel[];
extern const size_t n_tests_lifecycle, n_tests_stdio, n_tests_errors, n_tests_many, n_tests_wire,
	n_tests_attack, n_tests_files, n_tests_storm, n_tests_interfaces, n_tests_network,
	n_tests_guest, n_tests_state, n_tests_full, n_tests_cancel;
