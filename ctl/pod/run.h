/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The containers of a pod that runs: their output goes to files, probes are run, those that have ended or do not answer their
 * liveness probe are started again as the pod's restartPolicy says. status.json in the VM's directory says how it stands.
 * Blocks; one poll loop, no threads.
 */
#pragma once

#include "ctl/pod/spec.h"
#include "lib/error.h"

struct podrun;

/* For a pod whose sandbox exists. dir: where logs (CONTAINER.log) and status go. NULL and err. */
struct podrun *podrun_new(const struct podspec *spec, const char *dir, struct error *err);
void podrun_free(struct podrun *p);

/* Starts all containers, and returns once all are ready: 0. -1 and err: one cannot be started, or is not ready within
 * timeout_ms. */
int podrun_start(struct podrun *p, int timeout_ms, struct error *err);

/* Goes on until one of the fds is readable, the connection breaks, or everything has ended for good. */
void podrun_watch(struct podrun *p, int stop_fd, int vm_fd);
