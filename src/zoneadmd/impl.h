/*
 * What the files of zoneadmd/ share.
 *
 * A request is put into a queue by its socket's callback and carried out from
 * sup_run(), outside of any callback. What it waits for (a hook, the machine)
 * it waits for in sup_wait(), which runs the loop.
 */
#ifndef ZONEADMD_IMPL_H
#define ZONEADMD_IMPL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mevent.h"
#include "base/nvlist.h"
#include "jail/jail.h"
#include "zone/live.h"
#include "zone/store.h"
#include "zoneadmd/console.h"
#include "zoneadmd/logfile.h"
#include "zoneadmd/matrix.h"
#include "zoneadmd/mdata.h"
#include "zoneadmd/sup.h"

#define SUP_PATH 4096
#define SUP_CLIENTS 32
#define SUP_SOCKETS 8 /* listening sockets of a machine */
#define NS_PER_S UINT64_C(1000000000)

/* Where the zone's process has its descriptors: docs/zones.md. */
#define ZHYVE_FD_CONTROL 3
#define ZHYVE_FD_OURS 4
#define ZHYVE_FD_CONSOLE 5
#define ZHYVE_FD_RECORD 6
#define ZHYVE_FD_LOG 7
/* With guest metadata only. */
#define ZHYVE_FD_PORT 8
#define ZHYVE_FD_BACKLOG 9

/* The zone's process. */
struct child {
	struct jail *jail; /* NULL: there is none */
	int control; /* our end */
	struct mevent *control_ev, *exit_ev, *log_ev;
	int log; /* what it prints */
	bool gone; /* it has ended */
	bool ready, running; /* said so */
	bool failed; /* said so; text is why */
	bool said; /* it said how it ends: status, cause */
	uint64_t status;
	char text[400], cause[160];
	uint64_t since_ns; /* when it began to run */
	uint64_t pause_id; /* of the last pause; answers to others are late */
	bool paused, resumed, held; /* said so of that pause */
};

/* A connection of an operator's program. */
struct client {
	struct sup *sup; /* NULL: free */
	int fd;
	struct mevent *ev;
};
struct job {
	struct job *next;
	struct client *client; /* NULL: gone, or our own */
	uint64_t id;
	enum sup_command command;
	struct nvlist *msg;
	struct buf notes; /* for the answer */
};

struct sup_link;

struct sup {
	struct sup_conf conf;
	char zonepath[SUP_PATH]; /* on this host, with the root in front */
	char uuid[ZONE_UUID_LEN + 1];
	int dir; /* ROOT/run/zhyve/NAME */
	int logs; /* ZONEPATH/logs, -1 if there is none */
	int lock;
	struct mevent_loop *loop;
	struct mevent *signals[4];

	int listen;
	struct mevent *listen_ev;
	struct client clients[SUP_CLIENTS];
	struct job *jobs; /* in order */
	struct job *job; /* the one at hand, NULL: none */
	bool cancel; /* a halt waits: give up what is waited for */
	bool leave; /* end */
	uint64_t idle_ns; /* nothing to do since; 0: there was */

	/* the zone */
	enum zone_state state; /* ready and further; installed: see the index */
	const char *step;
	uint64_t instance;
	struct nvlist *snap; /* zone/snap.h, ready to down */
	char cpus[512]; /* dedicated ones, "3,2"; "" for none */
	struct nvlist *foreseen; /* jail_plan_save(), while spawning */
	char *sockets[SUP_SOCKETS]; /* paths that teardown unlinks */
	size_t nsockets;
	struct sup_link *links; /* links.c */
	size_t nlinks;
	struct child child;
	struct slirp *slirps; /* slirp.c */
	const struct slirp *slirp_starts; /* the one that is waited for */
	struct console console;
	struct logfile platform, conlog;
	struct metadata mdata;

	/* a shutdown that waits for the guest */
	struct job *shutdown;
	bool shutdown_reboot;
	uint64_t shutdown_ns;
	unsigned quick_resets; /* in a row */

	struct client *pauser; /* who has the machine paused, NULL: nobody */
};

/* ---- sup.c ---- */

/* Run the loop until done(sup), the deadline (0: none) or sup->leave. */
int sup_wait(struct sup *sup, bool (*done)(struct sup *), uint64_t deadline_ns,
    struct error *err);
/* Append a line to platform.log, in front: "zoneadmd: ". */
void sup_log(struct sup *sup, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The state as anybody sees it, the index's included. */
enum zone_state sup_state(struct sup *sup);
/* Record, tell events and log. */
int sup_enter(struct sup *sup, enum zone_state state, const char *step,
    const char *cause, struct error *err);
int sup_record(struct sup *sup, struct error *err);
void sup_event(
    struct sup *sup, const char *event, const char *cause, const char *status);
/* The same of one of its links. */
void sup_event_net(
    struct sup *sup, const char *event, const char *net, const char *cause);
/* Open the zonepath's log folder. */
void sup_open_logs(struct sup *sup);

/* ---- run.c: programs ---- */

/*
 * Run a program to its end. output may be NULL. Whatever it says on standard
 * error is in err when it fails.
 */
int sup_program(struct sup *sup, char *const *argv, int input,
    struct buf *output, struct error *err);
/* A hook of the brand, with the snapshot as its input; 0 when it has none. */
int sup_hook(struct sup *sup, const char *hook, const char *const *extra,
    struct buf *output, struct error *err);
/* prestatechange and poststatechange; numbers as in illumos. */
int sup_statechange(struct sup *sup, bool post, enum zone_state state, int cmd,
    struct error *err);
/* Have the snapshot made: sup->snap, snapshot.xml. */
int sup_snapshot(struct sup *sup, struct error *err);

/* ---- files.c: what the machine needs open ---- */

struct sup_file {
	char *path; /* as the machine's arguments name it */
	const char *kind; /* borrowed from the list */
	int fd; /* -1: none, and that is all right */
};
struct sup_files {
	struct sup_file *v;
	size_t n, room;
};
/* console: the machine's end of the console, duplicated for who wants it. */
int sup_files_open(struct sup *sup, const struct nvlist *cmd, int console,
    struct sup_files *ret, struct error *err);
void sup_files_close(struct sup_files *files);
/* fd belongs to the list from now on; path is copied. -ENOMEM */
int sup_files_add(
    struct sup_files *files, const char *path, const char *kind, int fd);

/* ---- links.c: NICs ---- */

/*
 * Have the links of the list of files made: their queues are in files, what is
 * known of them is in sup->links. One run of zonelink, none without links.
 */
int sup_links_make(struct sup *sup, const struct nvlist *const *rows, size_t n,
    struct sup_files *files, struct error *err);
/* The link list of a row of files that is made here, else NULL. */
const struct nvlist *sup_links_row(const struct nvlist *row);
/* The zone's process is gone: nothing of its links stays. */
int sup_links_down(struct sup *sup, struct error *err);
/* Hear of dropped frames again, after sup_links_load(). */
void sup_links_watch(struct sup *sup);
int sup_links_save(const struct sup *sup, struct nvlist *rec);
int sup_links_load(struct sup *sup, const struct nvlist *rec);
void sup_links_forget(struct sup *sup);

/* ---- slirp.c: user-mode networks ---- */

/*
 * Start the one of a NIC, as the boot hook's row says, and wait until it
 * serves. The zone's end of its frames; an error names the NIC.
 */
int sup_slirp_open(struct sup *sup, const struct nvlist *row, const char *net,
    struct error *err);
/* Into the zone's control groups, which are there now. */
int sup_slirps_enter(struct sup *sup, struct error *err);
/* The zone's process says so: another one is started, in a while. */
void sup_slirp_down(struct sup *sup, const char *net);
void sup_slirps_tick(struct sup *sup); /* now and then, outside of callbacks */
/* Those that a former supervisor started, from zhyve.cmd. */
void sup_slirps_load(struct sup *sup);
void sup_slirps_end(struct sup *sup);
void sup_slirps_forget(struct sup *sup); /* lets them live */

/* ---- cpus.c ---- */

/*
 * dedicated-cpu: choose CPUs that no other zone of this root has, and record
 * them: sup->cpus. -EBUSY: there are too few.
 */
int sup_choose_cpus(struct sup *sup, struct error *err);

/* ---- plan.c ---- */

int sup_plan(struct sup *sup, struct jail_plan **ret,
    struct jail_privset *ret_privs, struct error *err);
/* The host's user that the zone's helpers are: in its range, not the zone's. */
uid_t sup_helper_uid(const struct sup *sup);

/* ---- child.c ---- */

void child_init(struct child *ch);
/* Spawn it by the plan; console and its log are ours afterwards. */
int child_spawn(struct sup *sup, const struct jail_plan *plan,
    const int console[2], struct error *err);
/* Take it back from a record. -ESRCH: it lives no more. */
int
child_reattach(struct sup *sup, const struct nvlist *saved, struct error *err);
int child_say(struct sup *sup, const char *type);
/*
 * Stop its vCPUs, for so many seconds at most: it goes on by itself then,
 * whoever lives. Then let it go on; -ETIMEDOUT: it did that before.
 */
int child_pause(struct sup *sup, unsigned seconds, struct error *err);
int child_resume(struct sup *sup, struct error *err);
void child_let_go(struct sup *sup); /* the same without an answer */
int child_send(
    struct sup *sup, const struct nvlist *msg, int fd, struct error *err);
/* Wait for an answer: done() looks at sup->child. */
int child_await(struct sup *sup, bool (*done)(struct sup *), unsigned seconds,
    const char *what, struct error *err);
/* How it ended: a wait status; cause in words. */
int child_verdict(struct sup *sup, char *cause, size_t size);
/* Kill it if need be, and clear away whatever was made for it. */
int child_destroy(struct sup *sup, struct error *err);

/* ---- boot.c: transitions ---- */

int sup_ready(struct sup *sup, struct job *job, struct error *err);
int sup_boot(struct sup *sup, struct job *job, struct error *err);
/* cause: why, for events and lastexited. */
int sup_halt(struct sup *sup, const char *cause, struct error *err);
/* As an operator's wish: told in lastexited, and no reset counts any more. */
int sup_halted(struct sup *sup, const char *cause, struct error *err);
/* The process has ended by itself. */
void sup_ended(struct sup *sup);
/* What a former supervisor left: go on, or clean up. */
int sup_recover(struct sup *sup, struct error *err);

/* ---- request.c ---- */

int sup_serve(struct sup *sup, struct error *err);
void sup_serve_end(struct sup *sup);
/* Carry out what waits. */
void sup_work(struct sup *sup);
void
sup_answer(struct sup *sup, struct job *job, int rc, const struct error *err);
/* The guest is down, or the time is over. */
void sup_shutdown_over(struct sup *sup, int rc, const struct error *err);
/* Is there any request, or anybody connected? */
bool sup_busy(const struct sup *sup);

#endif
