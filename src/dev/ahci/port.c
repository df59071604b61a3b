/*
 * A port's data thread: takes commands in the order of AHCI 1.3.1, 5.3, runs
 * them, and reports their ends by FISes (5.5, 5.6; Serial ATA 3.1, 10.3).
 *
 * Queued commands run side by side; one that is not queued runs alone. The
 * command slots bound the number of requests.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "dev/ahci/ahci_impl.h"

/* Commands at a time before the loop has its turn. */
#define RUN_MAX 64

static bool
stopped(const struct ahci_port *p)
{
	return __atomic_load_n(&p->stop, __ATOMIC_ACQUIRE);
}

/* ---- the end of a command ---- */

static void
slot_free(struct ahci_cmd *c)
{
	struct ahci_port *p = c->p;

	p->working &= ~BIT32(c->slot);
	if (!c->ncq)
		p->alone = false;
}

/* May the command's end still be told? */
static bool
live_locked(const struct ahci_port *p)
{
	return !p->stop && !p->halted;
}

static uint32_t
moved_bits_locked(struct ahci_cmd *c)
{
	ahci_post_moved_locked(c);
	return c->prdt.intr ? IS_DPS : 0;
}

/*
 * The register FIS that ends a command: what it was asked with, or where it
 * failed. A packet command's count is the interrupt reason (ATA8-ACS 7.18.6).
 */
static void
post_d2h_locked(struct ahci_cmd *c, uint8_t status, uint8_t error)
{
	struct ahci_port *p = c->p;
	uint8_t fis[FIS_D2H_LEN] = { FIS_D2H, FIS_INTR, status, error };

	memcpy(&fis[4], &c->fis[4], 9);
	fis[12] = c->fis[2] == 0xa0 ? 3 : c->fis[12];
	fis[13] = c->fis[13];
	fis[11] = 0;
	p->tfd = (uint32_t)error << 8 | status;
	ahci_post_fis_locked(p, RX_D2H, fis, sizeof(fis));
}

static void
post_sdb_locked(struct ahci_port *p, uint8_t status, uint8_t error)
{
	uint8_t fis[FIS_SDB_LEN] = { FIS_SDB, FIS_INTR, status & 0x77, error };

	store_le32(&fis[4], p->ncq_done);
	p->tfd = (uint32_t)error << 8 | status;
	p->sact &= ~p->ncq_done;
	ahci_post_fis_locked(p, RX_SDB, fis, sizeof(fis));
}

/* Tell the guest of the queued commands that are through, in one FIS. */
static void
ncq_flush(struct ahci_port *p)
{
	struct ahci *h = p->ahci;

	if (p->ncq_done == 0)
		return;
	pthread_mutex_lock(&h->lock);
	if (live_locked(p)) {
		post_sdb_locked(p, ATA_READY, 0);
		ahci_port_event_locked(p, IS_SDBS);
	}
	pthread_mutex_unlock(&h->lock);
	p->ncq_done = 0;
}

void
ahci_done(struct ahci_cmd *c)
{
	struct ahci_port *p = c->p;
	struct ahci *h = p->ahci;

	slot_free(c);
	if (c->ncq) {
		p->ncq_done |= BIT32(c->slot);
		return;
	}
	pthread_mutex_lock(&h->lock);
	if (live_locked(p)) {
		uint32_t bits = moved_bits_locked(c);

		post_d2h_locked(c, ATA_READY, 0);
		p->ci &= ~BIT32(c->slot);
		ahci_port_event_locked(p, bits | IS_DHRS);
	}
	pthread_mutex_unlock(&h->lock);
}

/* ATA8-ACS A.7: what READ LOG EXT of log 10h will say. */
static void
note_ncq_error(struct ahci_cmd *c, uint8_t error)
{
	const uint8_t *f = c->fis;

	c->p->ata.ncq_error = (struct ata_ncq_error){
		.valid = true,
		.tag = c->slot,
		.status = ATA_READY | ATA_ERR,
		.error = error,
		.device = f[7],
		.lba = ata_lba48(f),
		.count = (uint16_t)(f[12] | f[13] << 8),
	};
}

void
ahci_fail(struct ahci_cmd *c, uint8_t error)
{
	const uint8_t status = ATA_READY | ATA_ERR;
	struct ahci_port *p = c->p;
	struct ahci *h = p->ahci;

	slot_free(c);
	if (c->ncq)
		ncq_flush(p);
	pthread_mutex_lock(&h->lock);
	if (live_locked(p)) {
		uint32_t bits = IS_TFES | (c->ncq ? IS_SDBS : IS_DHRS);

		/* 6.2.2.1: CI keeps the bit, and nothing more is taken. */
		p->halted = true;
		if (c->ncq) {
			note_ncq_error(c, error);
			post_sdb_locked(p, status, error);
		} else {
			bits |= moved_bits_locked(c);
			post_d2h_locked(c, status, error);
		}
		ahci_port_event_locked(p, bits);
	}
	pthread_mutex_unlock(&h->lock);
}

void
ahci_fatal(struct ahci_cmd *c, uint32_t is)
{
	static struct log_limit limit;
	struct ahci_port *p = c->p;
	struct ahci *h = p->ahci;

	slot_free(c);
	if (stopped(p))
		return;
	log_ratelimited(&limit, LOG_WARN, pci_dev_name(h->pd),
	    "port %u, slot %u: the guest's command cannot be carried out (%s); "
	    "the port waits for a reset",
	    p->num, c->slot,
	    is == IS_HBFS      ? "not in guest memory"
		: is == IS_OFS ? "its memory is too short"
			       : "no command FIS");
	pthread_mutex_lock(&h->lock);
	if (live_locked(p)) {
		p->halted = true;
		ahci_port_event_locked(p, is);
	}
	pthread_mutex_unlock(&h->lock);
}

/* PIO data ends with the setup FIS of its last block; 5.6.2.2 */
static void
pio_done(struct ahci_cmd *c, uint32_t n)
{
	struct ahci_port *p = c->p;
	struct ahci *h = p->ahci;
	uint8_t fis[FIS_PIO_SETUP_LEN] = { FIS_PIO_SETUP, FIS_INTR | FIS_IN,
		ATA_READY | ATA_DRQ };

	memcpy(&fis[4], &c->fis[4], 10);
	fis[11] = 0;
	fis[15] = ATA_READY;
	store_le16(&fis[16], (uint16_t)n);
	slot_free(c);
	pthread_mutex_lock(&h->lock);
	if (live_locked(p)) {
		uint32_t bits = moved_bits_locked(c);

		p->tfd = ATA_READY;
		ahci_post_fis_locked(p, RX_PIO_SETUP, fis, sizeof(fis));
		p->ci &= ~BIT32(c->slot);
		ahci_port_event_locked(p, bits | IS_PSS);
	}
	pthread_mutex_unlock(&h->lock);
}

void
ahci_reply(struct ahci_cmd *c, const void *data, uint32_t n, bool pio)
{
	int64_t put = ahci_put(c, data, n);

	if (put < 0) {
		ahci_fatal(c, IS_HBFS);
		return;
	}
	c->moved = (uint32_t)put;
	if (pio)
		pio_done(c, n);
	else
		ahci_done(c);
}

void
ahci_reset_done(struct ahci_cmd *c, bool tell)
{
	struct ahci_port *p = c->p;
	struct ahci *h = p->ahci;

	slot_free(c);
	pthread_mutex_lock(&h->lock);
	if (live_locked(p)) {
		p->ci &= ~BIT32(c->slot);
		if (!p->ata.srst) {
			p->want_signature = true;
			ahci_signature_locked(p);
		}
		if (tell)
			ahci_port_event_locked(p, IS_DHRS);
	}
	pthread_mutex_unlock(&h->lock);
}

/* ---- data from and to the medium ---- */

static void io_step(struct ahci_cmd *c);

static void
io_flushed(struct ahci_cmd *c)
{
	ahci_done(c);
}

static uint8_t
io_error(const struct ahci_cmd *c, int status)
{
	if (c->p->atapi)
		return atapi_medium_error(c->p);
	if (status == -EINVAL)
		return ATA_E_IDNF;
	return c->br.op == BLOCK_READ ? ATA_E_UNC : ATA_E_ABRT;
}

static void
io_ended(struct block_req *br, int status)
{
	struct ahci_cmd *c = br->arg;
	struct ahci_port *p = c->p;

	/* Given up or not, and failed or not: it may have been written. */
	if (br->op == BLOCK_READ)
		for (int i = 0; i < br->iovcnt; i++)
			vm_mem_dirty(p->ahci->mem, br->iov[i].iov_base,
			    br->iov[i].iov_len);
	if (p->draining)
		return;
	/* Advice that the medium does not understand harms nobody. */
	if (br->op == BLOCK_DISCARD && status == -EOPNOTSUPP)
		status = 0;
	if (stopped(p))
		slot_free(c);
	else if (status != 0)
		ahci_fail(c, io_error(c, status));
	else
		c->next(c);
}

static void
io_start(struct ahci_cmd *c, enum block_op op, uint64_t offset, uint64_t len)
{
	struct block_req *br = &c->br;

	br->op = op;
	br->offset = offset;
	br->len = len;
	br->iov = c->iov;
	br->done = io_ended;
	br->arg = c;
	block_submit(c->p->bd, br);
}

void
ahci_submit(struct ahci_cmd *c, enum block_op op, uint64_t offset, uint64_t len,
    void (*next)(struct ahci_cmd *c))
{
	c->br.iovcnt = 0;
	c->next = next;
	io_start(c, op, offset, len);
}

static void
io_moved(struct ahci_cmd *c)
{
	c->offset += c->br.len;
	c->left -= c->br.len;
	c->moved += (uint32_t)c->br.len;
	io_step(c);
}

static void
io_step(struct ahci_cmd *c)
{
	uint32_t unit = block_info(c->p->bd)->sector_size;
	int64_t n;

	if (c->left == 0) {
		if (c->sync)
			ahci_submit(c, BLOCK_FLUSH, 0, 0, io_flushed);
		else
			ahci_done(c);
		return;
	}
	n = ahci_gather(c, c->left, unit, &c->br.iovcnt);
	if (n <= 0) {
		ahci_fatal(c, n == 0 ? IS_OFS : IS_HBFS);
		return;
	}
	c->next = io_moved;
	io_start(c, c->br.op, c->offset, (uint64_t)n);
}

void
ahci_io(struct ahci_cmd *c, enum block_op op, uint64_t offset, uint64_t len,
    bool sync)
{
	c->br.op = op;
	c->offset = offset;
	c->left = len;
	c->sync = sync;
	io_step(c);
}

/* ---- taking commands ---- */

/*
 * The next slot that was issued, from the one after the last on. The command is
 * copied here, so that what a queued one clears is cleared at once.
 */
static struct ahci_cmd *
take_locked(struct ahci_port *p, uint32_t *ret_wrong)
{
	uint32_t ready = p->ci & ~p->working;
	unsigned from = (p->last + 1) % AHCI_SLOTS;
	struct ahci_cmd *c;

	if ((p->cmd & CMD_ST) == 0 || !live_locked(p) || ready == 0)
		return NULL;
	if (ready >> from != 0)
		ready &= UINT32_MAX << from;
	p->last = (unsigned)__builtin_ctz(ready);
	p->cmd &= ~CMD_CCS_MASK;
	p->cmd |= p->last << CMD_CCS_SHIFT;
	p->working |= BIT32(p->last);
	c = &p->cmds[p->last];
	*ret_wrong = ahci_fetch(c, p->clb);
	c->ncq = *ret_wrong == 0 && !p->atapi && (c->fis[1] & FIS_H2D_C) != 0 &&
	    ata_is_queued(c->fis[2]);
	if (c->ncq)
		p->ci &= ~BIT32(c->slot);
	else
		p->tfd |= ATA_BSY;
	return c;
}

static struct ahci_cmd *
take(struct ahci_port *p)
{
	struct ahci_cmd *c;
	uint32_t wrong = 0;

	pthread_mutex_lock(&p->ahci->lock);
	c = take_locked(p, &wrong);
	pthread_mutex_unlock(&p->ahci->lock);
	if (c == NULL || wrong == 0)
		return c;
	ahci_fatal(c, wrong);
	return NULL;
}

/* The command to run now, or NULL. */
static struct ahci_cmd *
next_command(struct ahci_port *p)
{
	struct ahci_cmd *c = p->waiting;

	if (p->alone)
		return NULL;
	if (c == NULL)
		c = take(p);
	if (c == NULL || c->ncq)
		return c;
	p->waiting = c;
	if (p->working != BIT32(c->slot))
		return NULL;
	p->waiting = NULL;
	p->alone = true;
	return c;
}

/* Wait for what is in work, then say that it is over. */
static void
drain(struct ahci_port *p)
{
	struct ahci *h = p->ahci;

	p->draining = true;
	block_drain(p->bd);
	p->draining = false;
	p->working = p->ncq_done = 0;
	p->alone = false;
	p->waiting = NULL;
	pthread_mutex_lock(&h->lock);
	if (p->want_reset)
		ata_power_on(p);
	p->want_reset = false;
	ahci_stopped_locked(p);
	pthread_mutex_unlock(&h->lock);
}

static void
port_run(struct ahci_port *p)
{
	struct ahci_cmd *c = NULL;

	for (unsigned i = 0; i < RUN_MAX; i++) {
		if (stopped(p))
			drain(p);
		c = next_command(p);
		if (c == NULL)
			break;
		ata_exec(c);
	}
	if (c != NULL)
		mevent_notify(p->bell);
}

static void
port_rung(void *arg)
{
	struct ahci_port *p = arg;

	port_run(p);
	block_kick(p->bd);
	ncq_flush(p);
}

void
ahci_port_batch(void *port)
{
	struct ahci_port *p = port;

	ncq_flush(p);
	if (!p->draining)
		port_run(p);
}

/* ---- life ---- */

int
ahci_port_open(struct ahci_port *p, struct error *err)
{
	p->cmds = alloc_zero(AHCI_SLOTS, sizeof(p->cmds[0]));
	if (p->cmds == NULL)
		return error_sys(err, ENOMEM, "ahci");
	for (unsigned i = 0; i < AHCI_SLOTS; i++) {
		p->cmds[i].p = p;
		p->cmds[i].slot = (uint8_t)i;
	}
	p->last = AHCI_SLOTS - 1;
	block_on_batch(p->bd, ahci_port_batch, p);
	return mevent_add_notifier(
	    iothread_loop(p->thr), port_rung, p, &p->bell, err);
}

static void
close_on_loop(void *arg)
{
	struct ahci_port *p = arg;

	p->draining = true;
	mevent_delete(p->bell);
	block_close(p->bd);
}

void
ahci_port_close(struct ahci_port *p)
{
	if (p->thr != NULL)
		(void)mevent_call_wait(iothread_loop(p->thr), close_on_loop, p);
	iothread_destroy(p->thr);
	free(p->cmds);
}
