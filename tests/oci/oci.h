/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of every field of the OCI spec. A case modifies a spec in the form that containerd sends,
 * has the agent run it, and inspects the result from inside the container. The same program tests
 * an agent on this machine and one in a VM. docs/oci.md names a case for each field; the case must
 * fail if the agent ignores the field.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "agent.pb-c.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "tests/rpc/harness.h"

/* bytes of output that a case keeps */
#define OCI_OUT 16384
#define OCI_IDS 64

struct oci;

struct oci_case {
	/* field of grpc.Spec ("process.user.uid"), of an exec or update ("exec.…", "update.…"),
	 * or topic */
	const char *field;
	/* unique */
	const char *name;
	void (*run)(struct oci *t);
};

/* Resources that can leak in the guest or on this machine. */
struct oci_counts {
	unsigned int fds, mounts, cgroups, processes, run_entries;
};

struct oci {
	/* client and failures of the case; its rootfs is the guest's path of the case's rootfs */
	struct harness h;
	/* memory of the running case */
	struct arena arena;
	const struct oci_case *running;
	/* error of the last failed call */
	struct error err;
	/* reason to skip the case, or NULL */
	const char *skip;
	/* field that the agent is to ignore, or NULL */
	const char *ignore;
	/* base rootfs as seen by this program */
	const char *base;
	/* base rootfs as seen by the agent */
	char guest_base[256];
	/* private rootfs of the case as seen by this program, or "" */
	char rootfs[512];
	/* is_quiet: a failure is expected and not reported */
	bool is_vm, is_quiet;
	/* containers created by the case; "" is a free entry */
	char ids[OCI_IDS][80];
	unsigned int n_rootfs;
	/* time for which the guest may cache a file changed here */
	unsigned int cache_ms;
	/* the guest may have cached the private rootfs */
	bool rootfs_is_known;
	/* time of the last change after that, 0: none */
	uint64_t changed_ns;
	/* baseline of the leak check */
	struct oci_counts counts;
};

/* Returns true and marks the case as skipped when not in a VM; the case must return. For
 * features that this machine may lack. */
bool oci_needs_vm(struct oci *t);

/* The same if this program is not root: all files of its shares then belong to its user, in the
 * guest as well, including those that the agent has made. */
bool oci_needs_root(struct oci *t);

/* ---- specs (spec.c): live until the case ends; the program exits if out of memory ---- */

/* Returns a spec in the form that containerd sends for a plain container that runs args, without
 * the parts that a Kata runtime removes: busybox rootfs, uid 0, PATH, cwd /, default
 * capabilities, mounts, masks; new mount, ipc, uts and cgroup namespaces (and pid, as always). */
Grpc__Spec *oci_spec(struct oci *t, const char *const *args);
Grpc__Spec *oci_sh(struct oci *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Returns an exec's process as the Go runtime sends it: args, env, cwd and user only. */
Grpc__Process *oci_process(struct oci *t, const char *const *args);

char *oci_str(struct oci *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void *oci_zalloc(struct oci *t, size_t n, size_t size);
/* Splits "a,b" into words. */
char **oci_words(struct oci *t, const char *text, size_t *n);

/* Sets a repeated string field: p->args = oci_strings(t, &p->n_args, ARGS("a", "b")) */
char **oci_strings(struct oci *t, size_t *n, const char *const *strings);

/* Appends a string. */
void oci_append(struct oci *t, char ***list, size_t *n, const char *text);

/* Appends a message and returns it: Grpc__Mount *m = OCI_ADD(t, spec->mounts, spec->n_mounts,
 * grpc__mount__init) */
#define OCI_ADD(t, list, n, init_fn)                                           \
	({                                                                     \
		__typeof__(*(list)) new_ = oci_zalloc(t, 1, sizeof(**(list))); \
		init_fn(new_);                                                 \
		(list) = oci_grow(t, (list), &(n), new_);                      \
		new_;                                                          \
	})
void *oci_grow(struct oci *t, void *list, size_t *n, void *item);

/* Returns a sub-message, creating it if unset: Grpc__LinuxPids *p = OCI_MSG(t, r->pids,
 * grpc__linux_pids__init) */
#define OCI_MSG(t, field, init_fn)                                    \
	({                                                            \
		if (!(field)) {                                       \
			(field) = oci_zalloc(t, 1, sizeof(*(field))); \
			init_fn(field);                               \
		}                                                     \
		(field);                                              \
	})

/* Appends a mount; options are separated by commas: "ro,nosuid". */
Grpc__Mount *oci_mount(struct oci *t, Grpc__Spec *spec, const char *destination, const char *type,
		       const char *source, const char *options);
/* Returns the mount at `destination`, or NULL; oci_mount_drop() removes it. */
Grpc__Mount *oci_mount_find(Grpc__Spec *spec, const char *destination);
void oci_mount_drop(Grpc__Spec *spec, const char *destination);
/* Sets the namespace of a type; path "" creates a new one. Replaces an existing entry of that
 * type. */
void oci_namespace(struct oci *t, Grpc__Spec *spec, const char *type, const char *path);
void oci_namespace_drop(Grpc__Spec *spec, const char *type);
/* Adds a user namespace that maps ids from 0 to host ids from `first`. */
void oci_userns(struct oci *t, Grpc__Spec *spec, uint32_t first, uint32_t size);
void oci_annotation(struct oci *t, Grpc__Spec *spec, const char *key, const char *value);
void oci_sysctl(struct oci *t, Grpc__Spec *spec, const char *key, const char *value);
Grpc__LinuxResources *oci_resources(struct oci *t, Grpc__Spec *spec);
Grpc__LinuxMemory *oci_memory(struct oci *t, Grpc__Spec *spec);
Grpc__LinuxCPU *oci_cpu(struct oci *t, Grpc__Spec *spec);
void oci_pids(struct oci *t, Grpc__Spec *spec, int64_t limit);
void oci_rlimit(struct oci *t, Grpc__Process *p, const char *type, uint64_t soft, uint64_t hard);
/* Sets all five capability sets: "CAP_CHOWN,CAP_KILL", or "" for none. */
void oci_caps(struct oci *t, Grpc__Process *p, const char *names);
/* Sets the action for the given syscalls ("mkdir,mkdirat") and allows all others. */
Grpc__LinuxSyscall *oci_seccomp(struct oci *t, Grpc__Spec *spec, const char *names,
				const char *action);

/* ---- calls (calls.c): return 0, or -1 and t->err; containers left by a case are removed after
 * it ---- */

/* Returns the whole request, for cases that set storages, sandbox_pidns or shared_mounts. */
Grpc__CreateContainerRequest *oci_request(struct oci *t, const char *id, Grpc__Spec *spec);
int oci_create_request(struct oci *t, const Grpc__CreateContainerRequest *q);
int oci_create(struct oci *t, const char *id, Grpc__Spec *spec);
int oci_start(struct oci *t, const char *id);
/* Creates and starts a container. */
int oci_launch(struct oci *t, const char *id, Grpc__Spec *spec);
int oci_exec(struct oci *t, const char *id, const char *exec_id, Grpc__Process *p);
int oci_kill(struct oci *t, const char *id, const char *exec_id, int sig);
/* Returns the exit code after at most 30 s. exec_id "" is the container's own process. */
int oci_wait(struct oci *t, const char *id, const char *exec_id);
/* Reads all of stdout and keeps at most size-1 bytes. Returns the number of bytes, or -1. */
ssize_t oci_read(struct oci *t, const char *id, const char *exec_id, char *out, size_t size);
ssize_t oci_read_err(struct oci *t, const char *id, const char *exec_id, char *out, size_t size);
/* Reads stdout up to the given line. Cases use this to wait for their container. */
int oci_read_line(struct oci *t, const char *id, const char *exec_id, const char *line);
int oci_remove(struct oci *t, const char *id);
/* Calls any other method; the caller owns *reply (may be NULL). */
int oci_call(struct oci *t, const char *method, const void *request, ProtobufCMessage **reply);

/* Creates and starts a container, reads its stdout, waits for it and removes it. Returns the
 * exit code, or -1 and t->err. */
int oci_run(struct oci *t, Grpc__Spec *spec, char *out, size_t size);
/* Like oci_run(), for an exec in a running container. */
int oci_exec_run(struct oci *t, const char *id, Grpc__Process *p, char *out, size_t size);

/* ---- expectations ---- */

/* The container exits with 0, and its output equals / contains / does not contain the text. */
#define OCI_PRINTS(t, spec, want)   oci_prints(t, __FILE__, __LINE__, spec, OCI_IS, want)
#define OCI_SAYS(t, spec, part)     oci_prints(t, __FILE__, __LINE__, spec, OCI_HAS, part)
#define OCI_SAYS_NOT(t, spec, part) oci_prints(t, __FILE__, __LINE__, spec, OCI_HAS_NOT, part)
#define OCI_EXEC_PRINTS(t, id, process, want) \
	oci_exec_prints(t, __FILE__, __LINE__, id, process, want)
/* CreateContainer fails with `code` and an error text that contains `part`. */
#define OCI_REFUSED(t, spec, code, part) oci_refused(t, __FILE__, __LINE__, spec, code, part)

enum oci_match { OCI_IS, OCI_HAS, OCI_HAS_NOT };
void oci_prints(struct oci *t, const char *file, int line, Grpc__Spec *spec, enum oci_match match,
		const char *text);
void oci_exec_prints(struct oci *t, const char *file, int line, const char *id, Grpc__Process *p,
		     const char *text);
void oci_refused(struct oci *t, const char *file, int line, Grpc__Spec *spec, enum error_code code,
		 const char *part);

/* ---- a modifiable rootfs (rootfs.c), used by specs created after it ---- */

/* Copies the busybox rootfs and returns its path on this side; removed after the case. Paths of
 * the following functions are relative to it. */
const char *oci_rootfs(struct oci *t);
void oci_file(struct oci *t, const char *path, unsigned int mode, const char *text);
void oci_dir(struct oci *t, const char *path, unsigned int mode);
void oci_link(struct oci *t, const char *path, const char *target);
/* Removes a file, symlink or tree. */
void oci_unlink(struct oci *t, const char *path);
/* Returns the contents of a file in it, or "" if it does not exist. */
char *oci_file_text(struct oci *t, const char *path);

/* ---- the guest from outside the container (guest.c) ---- */

/* Runs a shell script in the guest (in a VM: by a privileged helper container). $R is the
 * guest's root directory, $P its /proc, $A the agent's pid. Returns 0 with the output in `out`,
 * or -1. */
int oci_guest(struct oci *t, char *out, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* ---- for the harness itself ---- */
int oci_guest_open(struct oci *t);
/* Ends the helper shell. */
void oci_guest_close(struct oci *t);
void oci_count(struct oci *t, struct oci_counts *out);
void oci_rootfs_end(struct oci *t);
/* Waits until the guest sees the changes made to the rootfs from this side. */
void oci_rootfs_settle(struct oci *t);
/* Removes the remaining containers of the case. */
void oci_calls_end(struct oci *t);

extern const struct oci_case oci_default_cases[], oci_process_cases[], oci_namespaces_cases[],
	oci_mounts_cases[], oci_devices_cases[], oci_cgroup_cases[], oci_resources_cases[],
	oci_security_cases[], oci_hooks_cases[], oci_hostile_cases[], oci_bombs_cases[];
extern const size_t n_oci_default_cases, n_oci_process_cases, n_oci_namespaces_cases,
	n_oci_mounts_cases, n_oci_devices_cases, n_oci_cgroup_cases, n_oci_resources_cases,
	n_oci_security_cases, n_oci_hooks_cases, n_oci_hostile_cases, n_oci_bombs_cases;

extern const struct oci_case oci_exec_cases[], oci_shared_cases[], oci_rootfs_cases[],
	oci_quotas_cases[], oci_cdi_cases[];
extern const size_t n_oci_exec_cases, n_oci_shared_cases, n_oci_rootfs_cases, n_oci_quotas_cases,
	n_oci_cdi_cases;
