/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of every field of the OCI spec: a case changes a spec as containerd would send it, has the agent run it, and
 * looks from inside the container. The same program runs against an agent on this machine and against that of a VM.
 * docs/oci.md names a case for each field; with that field ignored by the agent the case has to fail.
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

#define OCI_OUT 16384 /* bytes of output that a case usually keeps */
#define OCI_IDS 64

struct oci;

struct oci_case {
	const char *
		field; /* of grpc.Spec: "process.user.uid"; "exec.…", "update.…" of those messages; or what it is about */
	const char *name; /* unique */
	void (*run)(struct oci *t);
};

/* What can leak, in the guest or on this machine. */
struct oci_counts {
	unsigned int fds, mounts, cgroups, processes, run_entries;
};

struct oci {
	struct harness
		h; /* its client, failures; its rootfs is the guest's path of that of the case */
	struct arena arena; /* of the running case */
	const struct oci_case *running;
	struct error err;      /* of the last call that failed */
	const char *skip;      /* why the case cannot be run here */
	const char *ignore;    /* the field that the agent is told to ignore, or NULL */
	const char *base;      /* the rootfs as this program sees it */
	char guest_base[256];  /* as the agent sees it */
	char rootfs[512];      /* private rootfs of the case, as this program sees it; "" */
	bool is_vm, is_quiet;  /* quiet: a failure is what is wanted */
	char ids[OCI_IDS][80]; /* containers made by the case, "" free */
	unsigned int n_rootfs;
	/* how long the guest may go on with what it knows of a file that changed here */
	unsigned int cache_ms;
	bool rootfs_is_known;     /* the guest has looked into the private rootfs */
	uint64_t changed_ns;      /* when it was changed after that; 0: not */
	struct oci_counts counts; /* of what may stay */
};

/* Failing does not end the case. */
#define OCI_CHECK(t, ok, ...)                                                \
	do {                                                                 \
		if (!(ok))                                                   \
			oci_failed(t, __FILE__, __LINE__, #ok, __VA_ARGS__); \
	} while (0)

/* As OCI_CHECK, and leaves the case. */
#define OCI_REQUIRE(t, ok, ...)                                              \
	do {                                                                 \
		if (!(ok)) {                                                 \
			oci_failed(t, __FILE__, __LINE__, #ok, __VA_ARGS__); \
			return;                                              \
		}                                                            \
	} while (0)

void oci_failed(struct oci *t, const char *file, int line, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* true: not in a VM, the case is skipped and has to return. For what this machine may not have. */
bool oci_needs_vm(struct oci *t);

/* ---- making a spec (spec.c); everything lives until the case ends; no memory: the program ends ---- */

/* What containerd sends for a plain container that runs args, less what a Kata runtime strips: busybox rootfs, uid 0,
 * PATH, cwd /, default capabilities, mounts, masks; new mount, ipc, uts and cgroup namespaces (and pid, as always). */
Grpc__Spec *oci_spec(struct oci *t, const char *const *args);
Grpc__Spec *oci_sh(struct oci *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An exec's process as the Go runtime sends it: args, env, cwd and user only. */
Grpc__Process *oci_process(struct oci *t, const char *const *args);

char *oci_str(struct oci *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void *oci_zalloc(struct oci *t, size_t n, size_t size);
/* "a,b" -> its words */
char **oci_words(struct oci *t, const char *text, size_t *n);

/* Sets a repeated string field: p->args = oci_strings(t, &p->n_args, ARGS("a", "b")) */
char **oci_strings(struct oci *t, size_t *n, const char *const *strings);

/* Appends a string. */
void oci_append(struct oci *t, char ***list, size_t *n, const char *text);

/* Appends a message and gives it: Grpc__Mount *m = OCI_ADD(t, spec->mounts, spec->n_mounts, grpc__mount__init) */
#define OCI_ADD(t, list, n, init_fn)                                           \
	({                                                                     \
		__typeof__(*(list)) new_ = oci_zalloc(t, 1, sizeof(**(list))); \
		init_fn(new_);                                                 \
		(list) = oci_grow(t, (list), &(n), new_);                      \
		new_;                                                          \
	})
void *oci_grow(struct oci *t, void *list, size_t *n, void *item);

/* A message that may be there already: Grpc__LinuxPids *p = OCI_MSG(t, r->pids, grpc__linux_pids__init) */
#define OCI_MSG(t, field, init_fn)                                    \
	({                                                            \
		if (!(field)) {                                       \
			(field) = oci_zalloc(t, 1, sizeof(*(field))); \
			init_fn(field);                               \
		}                                                     \
		(field);                                              \
	})

/* options: "ro,nosuid" */
Grpc__Mount *oci_mount(struct oci *t, Grpc__Spec *spec, const char *destination, const char *type,
		       const char *source, const char *options);
/* The mount there, or NULL; oci_mount_drop() removes it. */
Grpc__Mount *oci_mount_find(Grpc__Spec *spec, const char *destination);
void oci_mount_drop(Grpc__Spec *spec, const char *destination);
/* path "": a new one. Replaces what there is of that type. */
void oci_namespace(struct oci *t, Grpc__Spec *spec, const char *type, const char *path);
void oci_namespace_drop(Grpc__Spec *spec, const char *type);
/* A user namespace in which ids from 0 on are host ids from `first` on. */
void oci_userns(struct oci *t, Grpc__Spec *spec, uint32_t first, uint32_t size);
void oci_annotation(struct oci *t, Grpc__Spec *spec, const char *key, const char *value);
void oci_sysctl(struct oci *t, Grpc__Spec *spec, const char *key, const char *value);
Grpc__LinuxResources *oci_resources(struct oci *t, Grpc__Spec *spec);
Grpc__LinuxMemory *oci_memory(struct oci *t, Grpc__Spec *spec);
Grpc__LinuxCPU *oci_cpu(struct oci *t, Grpc__Spec *spec);
void oci_pids(struct oci *t, Grpc__Spec *spec, int64_t limit);
void oci_rlimit(struct oci *t, Grpc__Process *p, const char *type, uint64_t soft, uint64_t hard);
/* All five sets, in place of the default ones. "" is none: "CAP_CHOWN,CAP_KILL" */
void oci_caps(struct oci *t, Grpc__Process *p, const char *names);
/* Action for these syscalls ("mkdir,mkdirat"), everything else allowed. */
Grpc__LinuxSyscall *oci_seccomp(struct oci *t, Grpc__Spec *spec, const char *names,
				const char *action);

/* ---- calls (calls.c): 0, or -1 and t->err. What a case leaves is removed after it. ---- */

/* The request, for those who want more of it than the spec: storages, sandbox_pidns, shared_mounts. */
Grpc__CreateContainerRequest *oci_request(struct oci *t, const char *id, Grpc__Spec *spec);
int oci_create_request(struct oci *t, const Grpc__CreateContainerRequest *q);
int oci_create(struct oci *t, const char *id, Grpc__Spec *spec);
int oci_start(struct oci *t, const char *id);
int oci_launch(struct oci *t, const char *id, Grpc__Spec *spec); /* create and start */
int oci_exec(struct oci *t, const char *id, const char *exec_id, Grpc__Process *p);
int oci_kill(struct oci *t, const char *id, const char *exec_id, int sig);
/* The exit code, 30 s at most. exec_id "" is the container's own process. */
int oci_wait(struct oci *t, const char *id, const char *exec_id);
/* All of stdout; at most size-1 bytes are kept. The bytes, or -1. */
ssize_t oci_read(struct oci *t, const char *id, const char *exec_id, char *out, size_t size);
ssize_t oci_read_err(struct oci *t, const char *id, const char *exec_id, char *out, size_t size);
/* Reads stdout until it has said the line. How a case waits for its container. */
int oci_read_line(struct oci *t, const char *id, const char *exec_id, const char *line);
int oci_remove(struct oci *t, const char *id);
/* Any other method; *reply (may be NULL) is the caller's. */
int oci_call(struct oci *t, const char *method, const void *request, ProtobufCMessage **reply);

/* Create, start, read stdout, wait, remove: the exit code, or -1 and t->err. */
int oci_run(struct oci *t, Grpc__Spec *spec, char *out, size_t size);
/* The same for an exec in a running container. */
int oci_exec_run(struct oci *t, const char *id, Grpc__Process *p, char *out, size_t size);

/* ---- what a case wants to see ---- */

/* The container ends with 0 and its output is exactly that / has that in it / does not have it in it. */
#define OCI_PRINTS(t, spec, want)   oci_prints(t, __FILE__, __LINE__, spec, OCI_IS, want)
#define OCI_SAYS(t, spec, part)     oci_prints(t, __FILE__, __LINE__, spec, OCI_HAS, part)
#define OCI_SAYS_NOT(t, spec, part) oci_prints(t, __FILE__, __LINE__, spec, OCI_HAS_NOT, part)
#define OCI_EXEC_PRINTS(t, id, process, want) \
	oci_exec_prints(t, __FILE__, __LINE__, id, process, want)
/* CreateContainer fails with that code, and the text names what it has to. */
#define OCI_REFUSED(t, spec, code, part) oci_refused(t, __FILE__, __LINE__, spec, code, part)

enum oci_match { OCI_IS, OCI_HAS, OCI_HAS_NOT };
void oci_prints(struct oci *t, const char *file, int line, Grpc__Spec *spec, enum oci_match match,
		const char *text);
void oci_exec_prints(struct oci *t, const char *file, int line, const char *id, Grpc__Process *p,
		     const char *text);
void oci_refused(struct oci *t, const char *file, int line, Grpc__Spec *spec, enum error_code code,
		 const char *part);

/* ---- a rootfs that the case may change (rootfs.c); specs made after it use it ---- */

/* A copy of the busybox rootfs; its path on this side. Removed after the case. Paths of the next are below it. */
const char *oci_rootfs(struct oci *t);
void oci_file(struct oci *t, const char *path, unsigned int mode, const char *text);
void oci_dir(struct oci *t, const char *path, unsigned int mode);
void oci_link(struct oci *t, const char *path, const char *target);
/* Removes a file, symlink or tree. */
void oci_unlink(struct oci *t, const char *path);
/* What is in a file of it now; "" if there is none. */
char *oci_file_text(struct oci *t, const char *path);

/* ---- the guest from outside the container (guest.c) ---- */

/* A shell script in the guest (in a VM: by a privileged helper container). $R is the guest's root directory, $P its
 * /proc, $A the agent's pid. What it prints; 0, or -1. */
int oci_guest(struct oci *t, char *out, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* ---- for the harness itself ---- */
int oci_guest_open(struct oci *t);
/* Its shell ends. */
void oci_guest_close(struct oci *t);
void oci_count(struct oci *t, struct oci_counts *out);
void oci_rootfs_end(struct oci *t);
/* The guest is about to look into the rootfs: returns when it sees what was changed here. */
void oci_rootfs_settle(struct oci *t);
void oci_calls_end(struct oci *t); /* removes what is left of the case's containers */

extern const struct oci_case oci_default_cases[], oci_process_cases[], oci_namespaces_cases[],
	oci_mounts_cases[], oci_devices_cases[], oci_cgroup_cases[], oci_resources_cases[],
	oci_security_cases[], oci_hooks_cases[], oci_hostile_cases[], oci_bombs_cases[];
extern const size_t n_oci_default_cases, n_oci_process_cases, n_oci_namespaces_cases,
	n_oci_mounts_cases, n_oci_devices_cases, n_oci_cgroup_cases, n_oci_resources_cases,
	n_oci_security_cases, n_oci_hooks_cases, n_oci_hostile_cases, n_oci_bombs_cases;

extern const struct oci_case oci_exec_cases[], oci_shared_cases[], oci_rootfs_cases[],
	oci_quotas_cases[];
extern const size_t n_oci_exec_cases, n_oci_shared_cases, n_oci_rootfs_cases, n_oci_quotas_cases;
