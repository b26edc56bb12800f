/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of namespaces, used as indexes. */
#pragma once

enum ns_kind {
	NS_USER,
	NS_MNT,
	NS_PID,
	NS_NET,
	NS_IPC,
	NS_UTS,
	NS_CGROUP,
	NS_TIME,
	NS_KINDS,
};
