/*
 * The supervisor of one zone: it serves requests (ipc/ipc.h) and the console,
 * starts the zone's process and outlives or is outlived by it. It can be killed
 * at any moment; the next one goes on where it was, or undoes what was half
 * done.
 *
 * One thread. What takes time is waited for by running the event loop, so the
 * console is always served.
 */
#ifndef ZONEADMD_SUP_H
#define ZONEADMD_SUP_H

#include "base/error.h"

struct sup;

struct sup_conf {
	const char *zone;
	const char *root; /* "" for the host itself, no '/' at its end */
	const char *brands; /* folder of brands; NULL: the installed one */
	const char *snap; /* program that makes snapshots (zone/snap.h) */
	const char *mdata; /* program that serves metadata; NULL: none */
	const char *slirp; /* program of user-mode networks, zoneslirp */
	const char *link; /* program that makes links (docs/network.md) */
};

/*
 * Take the zone's lock, find what a former supervisor left, serve. 1: another
 * supervisor is there already, nothing is returned. Texts are borrowed.
 */
int sup_start(const struct sup_conf *conf, struct sup **ret, struct error *err);
/*
 * Serve until told to end (SIGTERM, SIGINT, note_uninstalling) or until there
 * has been nothing to do for some seconds. A zone that runs runs on.
 */
int sup_run(struct sup *sup, struct error *err);
void sup_free(struct sup *sup); /* NULL is allowed */

#endif
