/* SPDX-License-Identifier: Apache-2.0 */
/* Setting the wall clock, and synchronising it with a PTP device. */
#include "agent/guest/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ptp_clock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"

#define PERIOD_MS 60000
#define SAMPLES   5
#define NS        1000000000ll
/* accuracy of a comparison; smaller offsets are not corrected */
#define FINE_NS 1000
/* time constant of the kernel's PLL: it corrects an offset within about one period (adjtimex(2)) */
#define TIME_CONST 4

/* Clocks of hypervisors (ptp_kvm and others), by their name in /sys/class/ptp/<N>/clock_name. */
static const char *const hypervisors[] = { "KVM virtual PTP", "hyperv", "vmclock" };

struct clock_keeper {
	struct loop *loop;
	struct timer *timer;
	/* the PTP device */
	int fd;
	/* the last attempt failed, which has been logged */
	bool failed;
};

static void clock_on_time(void *data);
static int clock_compare(const struct clock_keeper *k, int64_t *offset);
static int clock_correct(int64_t offset);

int
clock_set(int64_t sec, int64_t usec, struct error *err)
{
	struct timespec was, t = { .tv_sec = (time_t)sec, .tv_nsec = (long)(usec * 1000) };

	if (usec < 0 || usec > 999999 || sec < 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid time: %lld s and %lld us",
				 (long long)sec, (long long)usec);
	(void)clock_gettime(CLOCK_REALTIME, &was);
	if (clock_settime(CLOCK_REALTIME, &t) < 0)
		return error_sys_code(
			err, errno == EINVAL ? ERROR_INVALID_ARGUMENT : ERROR_INTERNAL,
			"failed to set the clock to %lld.%06lld", (long long)sec, (long long)usec);
	log_info("clock", "clock set by the host from %lld.%06ld to %lld.%06lld",
		 (long long)was.tv_sec, was.tv_nsec / 1000, (long long)sec, (long long)usec);
	return 0;
}

/* ---- synchronisation ---- */

struct clock_keeper *
clock_keeper_new(struct loop *loop, const struct roots *roots, struct error *err)
{
	struct clock_keeper *k;
	char name[33];

	if (!clock_find_ptp(roots->sys, name, sizeof(name)))
		return NULL;
	k = calloc(1, sizeof(*k));
	if (!k) {
		error_nomem(err, "synchronising the clock");
		return NULL;
	}
	k->loop = loop;
	k->fd = openat(roots->dev, name, O_RDONLY | O_CLOEXEC);
	if (k->fd < 0) {
		error_sys(err, "failed to open /dev/%s", name);
		free(k);
		return NULL;
	}
	log_info("clock", "synchronising with the hypervisor's clock, /dev/%s", name);
	clock_on_time(k);
	return k;
}

static bool
clock_is_hypervisors(int sys, const char *name)
{
	char path[96], text[64];

	(void)snprintf(path, sizeof(path), "class/ptp/%.32s/clock_name", name);
	if (read_text_at(sys, path, text, sizeof(text)) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(hypervisors); i++) {
		if (strcmp(text, hypervisors[i]) == 0)
			return true;
	}
	return false;
}

bool
clock_find_ptp(int sys, char *name, uint32_t size)
{
	int fd = openat(sys, "class/ptp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool found = false;

	if (!dir) {
		close_fd(&fd);
		return false;
	}
	while (!found && (e = readdir(dir)) != NULL)
		found = e->d_name[0] != '.' && strlen(e->d_name) < size &&
			clock_is_hypervisors(sys, e->d_name);
	if (found)
		(void)snprintf(name, size, "%s", e->d_name);
	(void)closedir(dir);
	return found;
}

static void
clock_on_time(void *data)
{
	struct clock_keeper *k = data;
	struct error err = ERROR_INIT;
	int64_t offset;

	k->timer = NULL;
	if (clock_compare(k, &offset) == 0 && clock_correct(offset) == 0) {
		k->failed = false;
	} else if (!k->failed) {
		log_warn("clock", "failed to synchronise with the host's clock: %s",
			 strerror(errno));
		k->failed = true;
	}
	k->timer = loop_timer(k->loop, PERIOD_MS, clock_on_time, k, &err);
	if (!k->timer)
		log_warn("clock", "clock synchronisation stopped: %s", err.msg);
}

/* Measures by how many ns the guest's clock is behind. Returns 0, or -1 and errno. */
static int
clock_compare(const struct clock_keeper *k, int64_t *offset)
{
	struct ptp_sys_offset samples = { .n_samples = SAMPLES };
	int64_t readings[2 * SAMPLES + 1];

	if (ioctl(k->fd, PTP_SYS_OFFSET, &samples) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(readings); i++)
		readings[i] = samples.ts[i].sec * NS + samples.ts[i].nsec;
	*offset = clock_offset(readings, SAMPLES);
	return 0;
}

int64_t
clock_offset(const int64_t *readings, unsigned int n)
{
	int64_t best = INT64_MAX, offset = 0;

	for (unsigned int i = 0; i < n; i++) {
		int64_t before = readings[2 * i], after = readings[2 * i + 2];

		if (after - before >= best)
			continue;
		best = after - before;
		offset = readings[2 * i + 1] - (before + best / 2);
	}
	return offset;
}

static int
clock_correct(int64_t offset)
{
	struct timex t = { 0 };
	int64_t sec = offset / NS;

	switch (clock_action(offset)) {
	case CLOCK_FINE:
		return 0;
	case CLOCK_SLEW:
		t.modes = ADJ_OFFSET | ADJ_NANO | ADJ_STATUS | ADJ_TIMECONST;
		t.offset = (long)offset;
		t.status = STA_PLL | STA_NANO;
		t.constant = TIME_CONST;
		break;
	case CLOCK_STEP:
		/* the fraction must not be negative (adjtimex(2)) */
		if (offset % NS < 0)
			sec--;
		t.modes = ADJ_SETOFFSET | ADJ_NANO;
		t.time.tv_sec = (time_t)sec;
		t.time.tv_usec = (suseconds_t)(offset - sec * NS);
		log_info("clock", "clock stepped by %lld ms to the host's time",
			 (long long)(offset / 1000000));
		break;
	}
	return adjtimex(&t) < 0 ? -1 : 0;
}

enum clock_action
clock_action(int64_t offset_ns)
{
	if (offset_ns >= CLOCK_STEP_NS || offset_ns <= -CLOCK_STEP_NS)
		return CLOCK_STEP;
	return offset_ns > FINE_NS || offset_ns < -FINE_NS ? CLOCK_SLEW : CLOCK_FINE;
}

void
clock_keeper_free(struct clock_keeper *k)
{
	if (!k)
		return;
	timer_cancel(k->timer);
	close_fd(&k->fd);
	free(k);
}
