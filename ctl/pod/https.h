/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes and hooks by HTTPS: the program curl of the host makes the request, to a port of the
 * host's loopback address that is forwarded to the pod. As with a kubelet, the request comes from
 * outside to the pod's address, and the certificate is not verified.
 */
#pragma once

#include <sys/types.h>

#include "ctl/pod/manifest.h"
#include "ctl/vm/spawn.h"
#include "ctl/vm/vm_options.h"
#include "lib/error.h"

/* Publishes the ports that the pod's requests by HTTPS need, each at a free port of 127.0.0.1
 * unless it is published there. Returns 0, or -1 and err (INVALID_ARGUMENT) with line and field of
 * a request that cannot be made. */
int https_publish(const struct manifest *m, struct vm_options *vm, struct error *err);

/* Starts a request. Returns the pid of a child that exits with 0 if the answer's status is 200 to
 * 399, or -1 and err. */
pid_t https_start(const struct vm_options *vm, const struct manifest_action *action,
		  struct error *err);

/* Adds the arguments of curl for a request to a port that is published. Pure. */
void https_arguments(struct argv *a, const struct vm_options *vm,
		     const struct manifest_action *action);
