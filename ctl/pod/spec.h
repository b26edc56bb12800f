/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that create a pod in a freshly booted VM, in the order of a Kata runtime. Blocks. */
#pragma once

#include "agent.pb-c.h"
#include "ctl/image/image.h"
#include "ctl/pod/job.h"
#include "ctl/pod/manifest.h"
#include "ctl/vm/vm.h"
#include "lib/arena.h"
#include "lib/error.h"

#define PODSPEC_ARGS_MAX   (2 * MANIFEST_WORDS_MAX)
#define PODSPEC_IMAGES_MAX (MANIFEST_CONTAINERS_MAX + MANIFEST_VOLUMES_MAX)

struct ttrpc_client;

struct podspec {
	const struct manifest *m;
	/* with shares in the order of podspec_shares() */
	const struct vm_options *vm;
	/* the containers write to their roots, not to layers in the guest */
	bool writable;
	/* the VM's directory, for records of requests; NULL: none are made */
	const char *dir;
	struct ttrpc_client *client;
	/* the pod's directory on the host, of podfiles_make() or podfiles_make_further() */
	const char *files;
	/* number of the pod in its VM; those after the first have their files in "pod-NUMBER" */
	unsigned int number;
	/* pods of a Job, NULL: one pod; the end of its time, 0: none */
	const struct podjob *job;
	uint64_t job_deadline_ns;
};

/* An option --image NAME=PATH. */
struct podspec_image {
	const char *name, *path;
	size_t n_name;
};

/*
 * Finds where an image is: the path of the first of the n options that has its name, in which
 * registry, tag and digest may be missing; or the image itself if it is a path (PATH, ./PATH,
 * oci:PATH), relative to `dir`. Writes "" for the name of an image in the cache or a registry.
 * Returns -1 if the path is too long.
 */
int podspec_image_path(const struct podspec_image *options, size_t n, const char *dir,
		       const char *image, char *out, size_t size);

/* Opens the image of each container, and completes the description with its configuration; and
 * those of volumes. Images are downloaded as imagePullPolicy says. `dir` is the directory of the
 * description, images[] has PODSPEC_IMAGES_MAX elements, which the caller closes in any case.
 * Returns -1 and err (INVALID_ARGUMENT) with the line of the first image that fails. */
int podspec_open_images(struct manifest *m, const struct podspec_image *options, size_t n,
			const char *dir, const char *arch, struct image *images, struct error *err);

/* Completes the description of a further pod from that of the one before it. */
int podspec_take_over(struct manifest *m, const struct manifest *former, const struct image *images,
		      struct error *err);

/* Completes a container's description: path of the root, command, variables, directory, user, stop
 * signal. */
int podspec_apply_image(struct manifest *m, struct manifest_container *c, const struct image *image,
			struct error *err);

/* Adds the shares of a pod: the containers' images, `files` (files.h), then directories of the
 * host. Directories are shared by `kind`. Returns -1 and err (INVALID_ARGUMENT) if one does not
 * exist. */
int podspec_shares(struct manifest *m, const char *files, enum share_kind kind, bool writable,
		   struct vm_options *vm, struct error *err);

/* Configures the network card, creates the sandbox and starts the pause container. */
int podspec_sandbox(const struct podspec *p, struct error *err);

/* Adds the kernel parameters of a pod, which as with other runtimes are those of its pause
 * container: it has the namespaces of the pod. Returns -1 if out of memory. */
int podspec_set_sysctls(const struct manifest *m, struct arena *a, Grpc__Linux *linux);

/* Returns whether host and guest see each other's changes of the pod's files: not in a copy on a
 * disk. */
bool podspec_is_live(const struct podspec *p);

/* Creates and starts container i. `run` counts its starts. */
int podspec_start(const struct podspec *p, size_t i, unsigned int run, struct error *err);

/* Builds the request that runs an action of container i: in it, or in the pause container. */
Grpc__ExecProcessRequest *podspec_exec(const struct podspec *p, struct arena *a, size_t i,
				       const struct manifest_action *action, const char *exec_id);

/* Writes the id of container i in the protocol. */
void podspec_id(const struct podspec *p, size_t i, char *out, size_t size);

/* Builds the request for start `run` of container i. Returns NULL if out of memory. */
Grpc__CreateContainerRequest *podspec_container(const struct podspec *p, struct arena *a, size_t i,
						unsigned int run);
