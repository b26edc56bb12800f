/* SPDX-License-Identifier: Apache-2.0 */
/* Reseeding the kernel's random number generator. */
#include "agent/guest/entropy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/cleanup.h"

/* The bytes mixed in by one call. */
#define PIECE_MAX 1024

union piece {
	struct rand_pool_info info;
	/* room for info.buf, which follows info */
	uint8_t bytes[sizeof(struct rand_pool_info) + PIECE_MAX];
};

int
entropy_reseed(int dev, const uint8_t *data, size_t n, struct error *err)
{
	auto_close int fd = -1;

	if (n == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "missing entropy data");
	fd = openat(dev, "random", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "failed to open /dev/random");
	for (size_t done = 0; done < n; done += PIECE_MAX) {
		size_t left = n - done < PIECE_MAX ? n - done : PIECE_MAX;
		union piece piece = {
			.info = { .entropy_count = (int)(left * 8), .buf_size = (int)left },
		};

		/* Mixes them in and credits their entropy in one call. With two calls, entropy
		 * could be credited that was not mixed in. */
		memcpy(piece.bytes + offsetof(struct rand_pool_info, buf), data + done, left);
		if (ioctl(fd, RNDADDENTROPY, &piece.info) < 0)
			return error_sys(err, "failed to add %zu bytes of entropy to /dev/random",
					 left);
	}
	if (ioctl(fd, RNDRESEEDCRNG) < 0)
		return error_sys(err, "failed to reseed /dev/random");
	return 0;
}
