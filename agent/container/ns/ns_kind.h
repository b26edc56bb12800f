/* SPDX-License-Identifier: Apache-2.0 */
/* The namespaces a container is in, by index. */
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
