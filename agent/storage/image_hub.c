/* SPDX-License-Identifier: Apache-2.0 */
/* PullImage of the confidential data hub: it mounts the image's root at BUNDLE/rootfs. */
#include "agent/storage/image_hub.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cdh.pb-c.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/path.h"
#include "lib/ttrpc/client.h"

#define HUB_SOCKET "run/confidential-containers/cdh.sock"
/* A socket that exists belongs to a hub that serves, or to none. */
#define HUB_CONNECT_MS 1000
#define BUNDLE         "bundle"

int
image_hub_open(const struct roots *roots)
{
	auto_close int fd = path_try_open(roots->root, HUB_SOCKET, O_PATH, 0, PATH_FOLLOW_NONE);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		return -1;
	}
	return steal_fd(&fd);
}

int
image_hub_pull(const struct image_work *k, int socket, struct error *err)
{
	const char *image = k->m->spec->source;
	char name[64], address[80], bundle[PATH_MAX + sizeof(BUNDLE)];
	Api__ImagePullRequest request = API__IMAGE_PULL_REQUEST__INIT;
	auto_close int dir = image_work_mkdir(k, BUNDLE, 0755, err);
	ProtobufCMessage *reply = NULL;
	struct ttrpc_client *hub;
	int r = -1;

	if (dir < 0)
		return -1;
	(void)snprintf(address, sizeof(address), "unix://%s", path_of_fd(socket, name));
	hub = ttrpc_client_dial(address, HUB_CONNECT_MS, err);
	if (!hub)
		return error_wrap(err, "failed to connect to the confidential data hub");
	(void)snprintf(bundle, sizeof(bundle), "%s/" BUNDLE, k->path);
	request.image_url = (char *)image;
	request.bundle_path = bundle;
	if (ttrpc_client_call(hub, &api__image_pull_service__descriptor, "PullImage", &request.base,
			      deadline_left_ms(k->deadline), &reply, err) < 0)
		error_wrap(err, "the confidential data hub failed to pull image %s", image);
	else
		r = image_work_open(k, BUNDLE "/rootfs", err);
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
	ttrpc_client_free(hub);
	return r;
}
