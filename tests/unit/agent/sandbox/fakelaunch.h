/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-ins for the worker side of containers (agent/container/launch/launch.h), so that the loop's side can be tested
 * without root, cgroups and mounts. What they do is told by the spec's hostname and version:
 *   ""         init says "up\n" on stdout once it may go, then waits for the end of its stdin and exits with 7
 *   "quick"    init exits with 3 as soon as it may go
 *   "stubborn" as "", but teardown fails
 *   "fail"     the launch fails after its process was made
 *   "hang"     the launch never ends, after its process was made
 *   "dead"     init is killed before the launch has succeeded
 * and by an exec's first argument: "fail", "hang", else the process says "exec\n" and exits with 5.
 */
#pragma once
