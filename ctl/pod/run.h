/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the containers of a pod: init containers one after the other, then the others. Writes their
 * output to files, runs probes and hooks, and restarts containers that exited or failed a probe as
 * restartPolicy requires. status.json in the VM's directory holds the current state. Blocks; one
 * poll loop, no threads.
 */
#pragma once

#include "ctl/pod/spec.h"
#include "ctl/streams/log.h"
#include "lib/error.h"

struct podrun;

/* Returns the state for a pod whose sandbox exists. Logs (container-NAME.log), the socket of
 * `attach` and the status file go to `dir`. Returns NULL and err if that is not possible. */
struct podrun *podrun_new(const struct podspec *spec, const char *dir,
			  const struct log_limit *limit, struct error *err);
void podrun_free(struct podrun *p);

/* Starts all containers and returns 0 once all are ready. Returns -1 and err if one fails to
 * start or is not ready within timeout_ms, or an init container failed for good. */
int podrun_start(struct podrun *p, int timeout_ms, struct error *err);

/* Runs until one of the fds is readable, the connection breaks, all containers have ended and none
 * is to be restarted, or the pod has failed. */
void podrun_watch(struct podrun *p, int stop_fd, int vm_fd);

/* Lets podrun_start() return early when one of the fds is readable. */
void podrun_listen(struct podrun *p, int stop_fd, int vm_fd);

/* Returns whether all containers have ended and none is to be restarted, or the pod has failed. */
bool podrun_is_over(const struct podrun *p);

/* Returns the first exit code of a container that is not 0, but for sidecars. */
int podrun_exit_code(const struct podrun *p);

/* Writes status.json anew, with what has become of a Job. */
void podrun_record(struct podrun *p);

/* Returns why the pod as a whole has failed, as a reason of Kubernetes and a sentence
 * ("DeadlineExceeded: ..."), or NULL. */
const char *podrun_failure(const struct podrun *p);

/* Ends the containers as their hooks and the pod's grace period require. Returns early if vm_fd is
 * readable or the connection breaks. */
void podrun_stop(struct podrun *p, int vm_fd);
