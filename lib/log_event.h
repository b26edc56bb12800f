/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of the events that programs look for in the log: values of a record's field "event". A
 * message is written for people and may change; these names and the fields of their records may
 * not. docs/log-events.md has a row for each, which tests/check-log-events holds to this list.
 */
#pragma once

/* ---- init ---- */
#define EVENT_GUEST_SET_UP "guest-set-up"
#define EVENT_POWER_OFF    "power-off"

/* ---- the agent ---- */
#define EVENT_ANNOUNCE         "announce"
#define EVENT_AGENT_READY      "agent-ready"
#define EVENT_FIRST_CHECK      "first-check"
#define EVENT_CONSOLE_LEFT_OUT "console-left-out"
#define EVENT_SHELL_STARTED    "shell-started"
#define EVENT_LINES_DROPPED    "lines-dropped"

/* ---- calls ---- */
#define EVENT_CALL              "call"
#define EVENT_CALL_FAILED       "call-failed"
#define EVENT_POLICY_LOCKED     "policy-locked"
#define EVENT_POLICY_OVERRIDDEN "policy-overridden"

/* ---- containers and processes ---- */
#define EVENT_CONTAINER_CREATED   "container-created"
#define EVENT_CONTAINER_STARTED   "container-started"
#define EVENT_CONTAINER_REMOVED   "container-removed"
#define EVENT_PROCESS_EXITED      "process-exited"
#define EVENT_PROCESS_LEFT        "process-left"
#define EVENT_EXECUTE_FAILED      "execute-failed"
#define EVENT_OOM_KILL            "oom-kill"
#define EVENT_MEMORY_HELD         "memory-held"
#define EVENT_MEMORY_RELEASED     "memory-released"
#define EVENT_CAPABILITY_LEFT_OUT "capability-left-out"
#define EVENT_STREAM_CONNECTED    "stream-connected"

/* ---- volumes ---- */
#define EVENT_VOLUME_NOT_COPIED "volume-not-copied"
#define EVENT_VOLUME_STALE      "volume-stale"
#define EVENT_VOLUME_UPDATED    "volume-updated"

/* ---- the guest ---- */
#define EVENT_MODULE_PARAMETER_REFUSED "module-parameter-refused"
