/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-ins for the worker side of containers (agent/container/launch/launch.h), so that the loop's
 * side can be tested without root, cgroups and mounts. The spec's hostname and version select what
 * they do:
 *   ""         when the gate opens, init writes "up\n" to stdout, waits for the end of its stdin
 *              and exits with 7
 *   "quick"    init exits with 3 when the gate opens
 *   "stubborn" like "", but the teardown fails
 *   "fail"     the launch fails after its process was made
 *   "hang"     the launch never ends after its process was made
 *   "dead"     init is killed before the launch has succeeded
 * An exec's first argument does the same: "fail", "hang"; otherwise the process writes "exec\n" and
 * exits with 5.
 */
#pragma once
