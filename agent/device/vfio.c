/* SPDX-License-Identifier: Apache-2.0 */
/* Gives PCI functions to vfio-pci, by driver_override (Documentation/ABI/testing/sysfs-bus-pci). */
#include "agent/device/vfio.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/job/job.h"
#include "agent/job/worker.h"
#include "lib/io.h"
#include "lib/parse.h"

#define DRIVER    "vfio-pci"
#define FUNCTIONS "bus/pci/devices"
#define PROBE     "bus/pci/drivers_probe"
#define BIND_MS   30000

struct vfio_arg {
	int sysfd;
	struct vfio_functions functions;
	vfio_bound_fn *done;
	void *data;
};

/* Reads the last component of a link of the function: its driver, its IOMMU group. Returns -1 and
 * errno if there is no such link. */
static int
vfio_read_link(int sysfd, const char *function, const char *link, char *name, size_t size)
{
	char path[128], target[PATH_MAX];
	const char *last;
	ssize_t n;

	(void)snprintf(path, sizeof(path), FUNCTIONS "/%s/%s", function, link);
	n = readlinkat(sysfd, path, target, sizeof(target) - 1);
	if (n < 0)
		return -1;
	target[n] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (strlen(last) >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, last, strlen(last) + 1);
	return 0;
}

static int
vfio_group(int sysfd, const char *function, uint32_t *group, struct error *err)
{
	char name[32];

	if (vfio_read_link(sysfd, function, "iommu_group", name, sizeof(name)) < 0)
		return error_sys_code(err, ERROR_FAILED_PRECONDITION,
				      "failed to find the IOMMU group of PCI function %s",
				      function);
	if (!parse_u32(name, group))
		return error_set(err, ERROR_INTERNAL, "invalid IOMMU group \"%s\" of %s", name,
				 function);
	return 0;
}

static int
bind_one(int sysfd, const char *function, struct error *err)
{
	char path[128], driver[64];
	bool has_driver = vfio_read_link(sysfd, function, "driver", driver, sizeof(driver)) == 0;

	if (has_driver && strcmp(driver, DRIVER) == 0)
		return 0;
	(void)snprintf(path, sizeof(path), FUNCTIONS "/%s/driver_override", function);
	if (write_text_at(sysfd, path, DRIVER) < 0)
		return error_sys(err, "failed to set the driver of PCI function %s", function);
	(void)snprintf(path, sizeof(path), FUNCTIONS "/%s/driver/unbind", function);
	if (has_driver && write_text_at(sysfd, path, function) < 0)
		return error_sys(err, "failed to take PCI function %s from driver %s", function,
				 driver);
	if (write_text_at(sysfd, PROBE, function) < 0)
		return error_sys(err, "failed to give PCI function %s to " DRIVER, function);
	return 0;
}

int
vfio_bind_all(int sysfd, const struct vfio_functions *functions, uint32_t *group, struct error *err)
{
	/* A function of another group must not lose its driver. */
	for (size_t i = 0; i < functions->n; i++) {
		uint32_t other = 0;

		if (vfio_group(sysfd, functions->name[i], &other, err) < 0)
			return -1;
		if (i == 0)
			*group = other;
		else if (other != *group)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "PCI functions %s and %s are in different IOMMU groups, "
					 "%u and %u",
					 functions->name[0], functions->name[i], *group, other);
	}
	for (size_t i = 0; i < functions->n; i++)
		if (bind_one(sysfd, functions->name[i], err) < 0)
			return -1;
	return 0;
}

static int
vfio_work(struct worker *w, void *arg, struct error *err)
{
	const struct vfio_arg *a = arg;
	uint32_t group = 0;

	if (vfio_bind_all(a->sysfd, &a->functions, &group, err) < 0)
		return -1;
	return worker_output(w, &group, sizeof(group), err);
}

static void
vfio_on_done(struct job *job, const struct error *err, void *data)
{
	const struct vfio_arg *a = data;
	uint32_t group = 0;

	if (err->code == ERROR_OK)
		memcpy(&group, job_output(job, NULL), sizeof(group));
	a->done(err, group, a->data);
}

static const struct job_ops vfio_job = {
	.name = "bind to vfio-pci",
	.work = vfio_work,
	.output_min = sizeof(uint32_t),
	.output_max = sizeof(uint32_t),
	.done = vfio_on_done,
};

struct pending *
vfio_bind(struct device_watch *w, const struct vfio_functions *functions, vfio_bound_fn *done,
	  void *data, struct error *err)
{
	struct jobs *jobs = device_watch_jobs(w);
	const int sysfd = device_watch_roots(w)->sys;
	struct job_spec spec = {
		.ops = &vfio_job,
		.free_arg = free,
		.keep_fds = &sysfd,
		.n_keep_fds = 1,
		.deadline_ms = BIND_MS,
		.flags = JOB_GOES_ON,
	};
	struct vfio_arg *arg;

	if (!jobs) {
		error_set(err, ERROR_FAILED_PRECONDITION, "no worker can bind PCI functions");
		return NULL;
	}
	arg = malloc(sizeof(*arg));
	if (!arg) {
		error_nomem_for(err, vfio_job.name);
		return NULL;
	}
	*arg = (struct vfio_arg){
		.sysfd = sysfd, .functions = *functions, .done = done, .data = data
	};
	spec.arg = spec.data = arg;
	return job_pending(job_start(jobs, &spec, err));
}
