/*
 * Messages between zhyve's processes: one packed nvlist in one SOCK_SEQPACKET
 * datagram of at most IPC_MAX bytes, with up to 16 descriptors beside it. Every
 * message has "version" (uint64, IPC_VERSION) and "type" (string); the tables
 * below say what else. What comes from the other side is checked here once:
 * size, packing, version, type; values are the caller's to check by nvlist_get.
 *
 * Requests to zoneadmd (zoneadmd.sock; only the host's root may connect):
 *   request  id uint64, command string (ready, boot, halt, reboot, shutdown,
 *            status, note_uninstalling, nmi, pause, resume), args string array
 *            (optional: boot arguments), debug bool, timeout uint64 (seconds;
 *            shutdown, pause)
 *   reply    id, code uint64 (0 or an errno value), text string (what went
 *            wrong, or notices), state string
 *
 * zoneadmd to zhyve (descriptor 3 there):
 *   file     path string, kind string; one descriptor
 *   build    args string array, privs uint64 array (jail/priv.h)
 *   run, powerbutton, nmi
 *   poweroff cause string
 *   plug     net string; one descriptor: a link's new socket
 *   pause    id uint64, seconds uint64 (1-60): vCPUs stop, until the resume of
 *            that id or so many seconds later, whatever comes first
 *   resume   id uint64
 * zhyve to zoneadmd:
 *   ready    engine string, cpus uint64, memory uint64 (bytes)
 *   failed   text string; the process ends next
 *   running
 *   link     net string: its socket's other end is gone
 *   paused   id uint64: no vCPU runs
 *   resumed  id uint64, held bool: the pause of that id lasted until now
 *   exit     status uint64 (bhyve's), cause string; the process ends next
 *
 * zoneadmd or zoneadm to zonelink (descriptor 3 there), one link at a time:
 *   link     did uint64, zone, net string, name string (the interface, "" for
 *            unknown or none yet), link nvlist (make, update; docs/network.md);
 *            the end of the stream after the last
 * zonelink's answer to each; net and name are in all:
 *   made     guard string ("bpf", "nft"), bridge string, mtu uint64; the queues
 *   watch    ring and counters of the guard as descriptors (link/guard.h); with
 *            bpf before each 'made', too
 *   stat     bridge string, up bool, mtu, sent, sent_bytes, received,
 *            received_bytes uint64; drops, illumos nvlist: counter uint64
 *   done     (down, update)
 *   failed   code uint64, text string; 'make' ends with it
 *
 * Not thread-safe per socket; no call blocks on a non-blocking socket.
 */
#ifndef IPC_IPC_H
#define IPC_IPC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/nvlist.h"

#define IPC_VERSION 1
#define IPC_MAX (64 * 1024)
#define IPC_FDS 16

/* A list that begins with version and type; NULL: out of memory. */
struct nvlist *ipc_message(const char *type);
/*
 * Send. 0, -EAGAIN (non-blocking and full), -EPIPE (nobody there), -EMSGSIZE,
 * ... Descriptors stay the caller's.
 */
int ipc_send(int sock, const struct nvlist *msg, const int *fds, size_t nfds);
/*
 * Take one message. *ret_type is borrowed from *ret. 1; 0: the other side has
 * closed; -EAGAIN; -EPROTO: malformed, err says how, nothing is returned and
 * descriptors are closed. fds may be NULL with max 0: descriptors are refused.
 */
int ipc_recv(int sock, struct nvlist **ret, const char **ret_type, int *fds,
    size_t max, size_t *ret_nfds, struct error *err);
/*
 * A listening socket at path, mode 0600, in place of a dead one; non-blocking,
 * close-on-exec. Long paths are reached through dirfd: path is relative to it.
 */
int ipc_listen(int dirfd, const char *path, int type, struct error *err);
/* -ECONNREFUSED or -ENOENT: nobody serves it (not an error text). */
int ipc_connect(int dirfd, const char *path, int type);
/* Who is it? 0 and the peer's uid and pid. */
int ipc_peer(int sock, uid_t *ret_uid, pid_t *ret_pid);

#endif
