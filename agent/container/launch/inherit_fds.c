/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptors of a container's process. Its program inherits exactly 0, 1 and 2. */
#include "agent/container/launch/inherit_fds.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/sys.h"

#define SOCK_FD   3
#define GATE_FD   4
#define REPORT_FD 5
#define PIDNS_FD  6

int
inherit_fds_keep(const int *fds, size_t n_fds, struct error *err)
{
	return close_all_but(fds, n_fds) < 0 ? error_sys(err, "failed to close descriptors") : 0;
}

int
inherit_fds_close_others(const struct container_init *e, struct error *err)
{
	const int fds[] = { e->stdio[0],       e->stdio[1],
			    e->stdio[2],       e->sock,
			    e->gate,           e->report,
			    e->pid_ns,         e->process->terminal ? e->roots->dev : -1,
			    e->roots->proc,    e->join[NS_USER],
			    e->join[NS_CGROUP] };

	return inherit_fds_keep(fds, ARRAY_LEN(fds), err);
}

/* Moves *fd above the low descriptors. */
static int
inherit_fds_lift(int *fd, struct error *err)
{
	int high;

	if (*fd < 0)
		return 0;
	high = fcntl(*fd, F_DUPFD_CLOEXEC, INHERIT_FDS_FREE);
	if (high < 0)
		return error_sys(err, "failed to arrange descriptors");
	*fd = high;
	return 0;
}

/* Copies *fd to its final number. */
static int
inherit_fds_lower(int *fd, int place, struct error *err)
{
	if (*fd < 0)
		return 0;
	if (dup3(*fd, place, O_CLOEXEC) < 0)
		return error_sys(err, "failed to arrange descriptors");
	*fd = place;
	return 0;
}

int
inherit_fds_arrange(struct container_init *e, struct error *err)
{
	for (int i = 0; i < 3; i++) {
		/* 0 to 2 are the worker's /dev/null. The copy has no close-on-exec flag. */
		if (e->stdio[i] >= 0 && dup2(e->stdio[i], i) < 0)
			return error_sys(err, "failed to arrange descriptors");
	}
	if (inherit_fds_lift(&e->sock, err) < 0 || inherit_fds_lift(&e->gate, err) < 0 ||
	    inherit_fds_lift(&e->report, err) < 0 || inherit_fds_lift(&e->pid_ns, err) < 0)
		return -1;
	if (sys_close_range(SOCK_FD, PIDNS_FD, 0) < 0)
		return error_sys(err, "failed to close descriptors");
	if (inherit_fds_lower(&e->sock, SOCK_FD, err) < 0 ||
	    inherit_fds_lower(&e->gate, GATE_FD, err) < 0 ||
	    inherit_fds_lower(&e->report, REPORT_FD, err) < 0 ||
	    inherit_fds_lower(&e->pid_ns, PIDNS_FD, err) < 0)
		return -1;
	if (sys_close_range(PIDNS_FD + 1, ~0u, 0) < 0)
		return error_sys(err, "failed to close descriptors");
	return 0;
}
