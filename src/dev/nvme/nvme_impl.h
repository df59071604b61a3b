/*
 * Inside of the NVMe controller.
 *
 *   nvme.c          the PCI function: options, building, registers
 *   nvme_ctrl.c     enable, reset and shutdown; asynchronous events
 *   nvme_doorbell.c doorbells in registers and in memory; the thread's sleep
 *   nvme_queue.c    submission and completion queues, interrupts
 *   nvme_prp.c      the guest's pages of a command
 *   nvme_io.c       commands to the namespace
 *   nvme_admin.c    commands to the controller
 *   nvme_ident.c    IDENTIFY
 *   nvme_log.c      log pages
 *   nvme_feature.c  SET and GET FEATURES
 *
 * Threads. Everything except the registers belongs to the device's data
 * thread. A vCPU stores what it writes to a register, or doorbell, rings and
 * goes on: it never waits, the guest sees in CSTS when the controller has
 * followed. 'lock' guards the registers; what else both sides touch is atomic.
 */
#ifndef DEV_NVME_NVME_IMPL_H
#define DEV_NVME_NVME_IMPL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/mevent.h"
#include "dev/block/block.h"
#include "dev/block/poll.h"
#include "dev/nvme/nvme_spec.h"
#include "dev/pci/pci.h"

#define NVME_MAX_IO_QUEUES 64
#define NVME_QUEUES (NVME_MAX_IO_QUEUES + 1) /* the admin queue is number 0 */
#define NVME_MDTS 7 /* 2^7 pages a command */
#define NVME_MAX_PAGES (1u << NVME_MDTS)
#define NVME_MAX_DATA (NVME_MAX_PAGES * NVME_PAGE)
#define NVME_IOV (NVME_MAX_PAGES + 1) /* the first one may begin inside */
#define NVME_EVENTS 4 /* ASYNC EVENT REQUESTs kept */
#define NVME_ERRORS 16 /* entries of the error log */
#define NVME_SERIAL BLOCK_SERIAL_LEN

/* A handler's answer: the command is completed later. */
#define NVME_PENDING 0xffffu

struct nvme;
struct nvme_sq;

/* A command that was taken from its queue and is not completed. */
struct nvme_req {
	struct block_req br;
	struct nvme_sq *sq;
	struct nvme_req *next; /* free, or waiting for room in its queue */
	struct nvme_sqe sqe; /* our copy */
	uint32_t result;
	uint16_t status;
	bool synced; /* the flush of a write-through write is on its way */
	uint64_t bytes; /* of a read or write */
	struct nvme_range *ranges; /* of DSM, ours */
	unsigned range, nranges;
	unsigned niov;
	struct iovec iov[NVME_IOV];
};

/* A queue's words in the guest's two pages, 7.13; NULL: it has none. */
struct nvme_shadow {
	uint32_t *value; /* the doorbell's, the guest writes it */
	uint32_t *event; /* we: the register is rung when the value passes it */
};

struct nvme_cq {
	bool live;
	uint16_t id;
	uint32_t size;
	uint32_t head; /* the guest's, last valid */
	uint8_t phase;
	unsigned nsq; /* submission queues that complete here */
	uint8_t *ring; /* in guest memory, checked */
	struct nvme_req *wait, **wait_last; /* completed, no room yet */
	bool raise; /* posted since the last interrupt */
	uint16_t vector;
	struct nvme_shadow shadow;
	/* atomic */
	uint32_t tail;
	bool irq; /* live, interrupts enabled */
	uint32_t doorbell;
	bool stalled; /* wake us when the doorbell is written */
};

struct nvme_sq {
	struct nvme *n;
	bool live;
	uint16_t id;
	uint32_t size;
	uint32_t head;
	struct nvme_cq *cq;
	const uint8_t *ring; /* in guest memory, checked */
	struct nvme_shadow shadow;
	uint32_t bad; /* doorbell value that was complained about, or 0 */
	struct nvme_req *free;
	unsigned made, max; /* requests */
	unsigned inflight;
	bool starved; /* stopped for want of a request */
	struct nvme_req *deleting; /* the DELETE that waits for inflight 0 */
	/* atomic */
	uint32_t doorbell;
	bool rung; /* the register was written */
};

struct nvme_error {
	uint64_t lba;
	uint16_t sqid, cid, status;
	uint32_t nsid;
};

/* Counters of the SMART log, 5.14.1.2. */
struct nvme_smart {
	uint64_t sectors_read, sectors_written; /* of 512 bytes */
	uint64_t reads, writes;
	uint64_t media_errors, errors;
	uint64_t born; /* CLOCK_MONOTONIC, ns */
};

/* Asynchronous events of the error type; 5.2. */
struct nvme_events {
	struct nvme_req *waiting[NVME_EVENTS];
	unsigned nwaiting;
	bool pending; /* one to be told */
	bool masked; /* told, the log page was not read since */
	uint8_t info;
};

struct nvme_features {
	uint32_t arbitration, power, recovery, coalescing, atomicity, events;
	uint16_t temp_over, temp_under;
	bool write_cache;
	bool uncoalesced[NVME_QUEUES]; /* per vector */
};

struct nvme {
	struct pci_dev *pd;
	struct vm_mem *mem;
	struct iothread *thr;
	struct block_dev *bd;
	int ram_fd; /* of ram=, or -1 */

	/* constant */
	unsigned nqueues; /* I/O queue pairs */
	uint32_t max_entries;
	unsigned slots; /* requests in work, each queue */
	unsigned lba_shift;
	uint64_t lbas;
	bool readonly, dsm;
	bool shadows; /* doorbells in memory are offered */
	char serial[NVME_SERIAL + 1];
	uint64_t eui64; /* or 0: */
	uint8_t uuid[16];

	pthread_mutex_t lock; /* the registers */
	uint32_t aqa;
	uint64_t asq, acq;
	pthread_mutex_t irq_lock; /* the level of INTx; a leaf */
	struct mevent *settle; /* notifier: follow the registers */
	struct mevent *bell; /* notifier: look at the submission queues */

	/* atomic */
	uint32_t cc, csts, intms;
	bool reset_wanted; /* CC.EN went to 0 since */
	bool asleep; /* ring the bell; else the data thread looks by itself */
	uint64_t rings; /* doorbell registers written since the last reset */

	/* data thread */
	bool enabled;
	bool draining; /* a reset waits for requests */
	bool closing;
	struct block_poll poll;
	uint32_t *shadow_value, *shadow_event; /* the guest's pages, or NULL */
	uint64_t taken; /* commands since the last reset */
	struct block_req shut; /* the flush of a shutdown */
	bool shut_busy;
	struct nvme_features feat;
	struct nvme_events ev;
	struct nvme_smart smart;
	struct nvme_error errors[NVME_ERRORS]; /* of the last ones */
	struct nvme_sq sq[NVME_QUEUES];
	struct nvme_cq cq[NVME_QUEUES];
};

#define ATOMIC_GET(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define ATOMIC_SET(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* ---- nvme_ctrl.c ---- */
/* Follow CC: on the data thread, when 'settle' was rung. */
void nvme_settle(void *n);
/* No request in flight after it, no queue; on the data thread. */
void nvme_stop(struct nvme *n);
void nvme_event(struct nvme *n, uint8_t info);
/* Keep the command, or refuse it. */
uint16_t nvme_event_request(struct nvme *n, struct nvme_req *req);
/* The error log was read: the next event may come. */
void nvme_event_unmask(struct nvme *n);
/* Take an ASYNC EVENT REQUEST back; false: there is none of that number. */
bool nvme_event_abort(struct nvme *n, uint16_t cid);

/* ---- nvme_doorbell.c ---- */
int nvme_doorbells_init(struct nvme *n, struct error *err);
/* A register was written, off from the first of them; any thread. */
void nvme_doorbell_write(struct nvme *n, uint64_t off, uint32_t v);
/* Are doorbells in memory offered now? The line needs the registers. */
bool nvme_has_shadows(const struct nvme *n);
/* DOORBELL BUFFER CONFIG, 5.7 */
uint16_t nvme_doorbells(struct nvme *n, struct nvme_req *req);
/* The queue's words, if there are pages; they begin with what it had. */
void nvme_sq_shadow(struct nvme_sq *sq);
void nvme_cq_shadow(struct nvme *n, struct nvme_cq *cq);
/* As the guest wrote it: check it. */
uint32_t nvme_cq_doorbell(const struct nvme_cq *cq);
/* Be woken when the guest takes completions; look again after it. */
void nvme_cq_ask(struct nvme *n, struct nvme_cq *cq);

/* ---- nvme_queue.c ---- */
void nvme_queues_init(struct nvme *n);
void nvme_queues_fini(struct nvme *n);
/*
 * Open a queue; gpa and size have not been checked against memory. A status of
 * the NVMe kind.
 */
uint16_t nvme_cq_open(struct nvme *n, unsigned id, uint64_t gpa, uint32_t size,
    uint16_t vector, bool irq);
uint16_t nvme_sq_open(
    struct nvme *n, unsigned id, uint64_t gpa, uint32_t size, unsigned cqid);
void nvme_cq_close(struct nvme_cq *cq);
/* At once; requests in flight are the caller's concern. */
void nvme_sq_close(struct nvme_sq *sq);
/* Take commands as far as tail, a budget of them. */
void nvme_sq_take(struct nvme_sq *sq, uint32_t tail);
/* Close it and complete 'req' when its last request has ended. */
void nvme_sq_delete(struct nvme_sq *sq, struct nvme_req *req);
/* Answer a command; sends no interrupt yet. */
void nvme_complete(struct nvme_req *req, uint16_t status);
/* Give a request back, unanswered. */
void nvme_req_put(struct nvme_req *req);
/* Completions that waited for room; queues that waited for requests. */
void nvme_queues_run(struct nvme *n);
/* After a batch: one interrupt for each queue that has something new. */
void nvme_interrupt(struct nvme *n);
/* The level of INTx as the queues want it; any thread. */
void nvme_intx_update(struct nvme *n);

/* ---- nvme_prp.c ---- */
/* req->iov becomes the 'len' bytes that the command's PRPs describe, 4.3. */
uint16_t nvme_prp_map(struct nvme *n, struct nvme_req *req, uint64_t len);
/* Copy to the guest's buffer, of which 'len' bytes are used. */
uint16_t
nvme_put(struct nvme *n, struct nvme_req *req, const void *data, uint64_t len);
uint16_t
nvme_get(struct nvme *n, struct nvme_req *req, void *data, uint64_t len);
/* The guest's buffer was written by the back end. */
void nvme_dirty(struct nvme *n, const struct nvme_req *req);

/* ---- commands: a status, or NVME_PENDING ---- */
uint16_t nvme_io(struct nvme *n, struct nvme_req *req);
uint16_t nvme_admin(struct nvme *n, struct nvme_req *req);
uint16_t nvme_identify(struct nvme *n, struct nvme_req *req);
uint16_t nvme_get_log(struct nvme *n, struct nvme_req *req);
uint16_t nvme_get_features(struct nvme *n, struct nvme_req *req);
uint16_t nvme_set_features(struct nvme *n, struct nvme_req *req);
void nvme_features_reset(struct nvme *n);
/* Remember a failed command for the error log. */
void nvme_log_error(struct nvme *n, const struct nvme_req *req);

#endif
