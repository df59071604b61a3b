/*
 * What a zone's guest has asked of the metadata server, from the server.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "ipc/ipc.h"
#include "mdata/config.h"
#include "zoneadm.h"

#define WAIT_MS 2000 /* a server that hangs hides nothing but itself */

int
metadata_dial(struct command *c)
{
	return mdata_server_dial(c->admin->root);
}

static int
ask(int sock, const char *zone)
{
	struct nvlist *msg = ipc_message("stat?");
	int rc = msg != NULL ? nvlist_add_str(msg, "zone", zone) : -ENOMEM;

	if (rc == 0)
		rc = ipc_send(sock, msg, NULL, 0);
	nvlist_free(msg);
	return rc;
}

struct nvlist *
metadata_stat(int *sock, const char *zone)
{
	struct pollfd pfd = { .fd = *sock, .events = POLLIN };
	struct nvlist *msg = NULL;
	const char *type = NULL;
	uint64_t requests;

	if (*sock < 0)
		return NULL;
	if (ask(*sock, zone) < 0 || poll(&pfd, 1, WAIT_MS) != 1 ||
	    ipc_recv(*sock, &msg, &type, NULL, 0, NULL, NULL) != 1) {
		close(*sock);
		*sock = -1;
		return NULL;
	}
	/* without counters it does not serve that zone */
	if (strcmp(type, "stat") == 0 &&
	    nvlist_get_u64(msg, "requests", &requests) == 0)
		return msg;
	nvlist_free(msg);
	return NULL;
}
