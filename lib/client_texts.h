/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error texts that other programs compare, or search for. They must not change,
 * whatever their style. tests/check-protocol fails when one of them is anywhere else in the
 * product; the tests that it names show that the replies carry them. Clients: the Go shim of Kata
 * Containers (src/runtime), its Rust runtime (src/runtime-rs).
 */
#pragma once

/* UpdateInterface. The Go shim repeats the call, up to 20 times, when the error contains this;
 * every other error is final. Also in UpdateRoutes and AddARPNeighbors, where no client compares
 * it. */
#define TEXT_LINK_NOT_FOUND "Link not found"

/* Any call with an unknown container id; for printf, with the id. When the calls that stop and
 * delete a container fail, the Go shim looks for `not found` and reports NotFound to containerd,
 * so that the deletion goes on. */
#define TEXT_CONTAINER_NOT_FOUND "container %s not found"

/* Any call with an unknown exec id; for printf, with "(init)" or the exec id, and the container's
 * id. Compared as TEXT_CONTAINER_NOT_FOUND; the Rust runtime compares the code NOT_FOUND. */
#define TEXT_PROCESS_NOT_FOUND_IN "process %s not found in container %s"

/* ExecProcess in a container whose first process has ended. The Rust runtime takes an error of
 * SignalProcess with this text, in whatever case, for success. */
#define TEXT_PROCESS_NOT_FOUND "process not found"

/* Every call that a policy refuses; in front of it stands the name of the request's message. The
 * test suite of Kata Containers (tests/integration/kubernetes/k8s-policy-*.bats) looks for both
 * in the events of a pod. */
#define TEXT_BLOCKED_BY_POLICY "is blocked by policy"

/* CreateContainer and CreateSandbox with a storage of an unknown driver, which follows. No
 * program is known to compare it; it is the reference agent's text, under which the failure is
 * described and searched for. */
#define TEXT_NO_STORAGE_HANDLER "Failed to find the storage handler"

/* CreateContainer with a device of an unknown type, which follows. As TEXT_NO_STORAGE_HANDLER. */
#define TEXT_NO_DEVICE_HANDLER "Failed to find the device handler"

/* RemoveContainer whose time is over. As TEXT_NO_STORAGE_HANDLER: the reference agent's text. */
#define TEXT_TIMER_EXPIRED "ETIME: Timer expired"

/* A block device that does not appear in time. As TEXT_NO_STORAGE_HANDLER: the reference agent's
 * text. */
#define TEXT_NO_UEVENT "Timeout waiting for uevent"

/* CreateContainer in the sandbox's pid namespace when there is none. As TEXT_NO_STORAGE_HANDLER. */
#define TEXT_NO_SANDBOX_PIDNS "Sandbox does not have sandbox_pidns"

/* TtyWinResize of a process without a terminal. As TEXT_NO_STORAGE_HANDLER. */
#define TEXT_NO_TTY "no tty"

/* Every call of an unknown service, whose name stands before it: what ttrpc's other servers
 * answer. */
#define TEXT_NO_SERVICE "service does not exist"
