/*
 * NVMe: the controller's states, registers, queues that fill, go and are
 * abused, the interrupt pin.
 */
#include <unistd.h>

#include "nvme_rig.h"
#include "tap.h"

#define BUF NRIG_BUF
#define FILL (BUF + 0x80000) /* fill_queue()'s, a page each */
#define RAM_END RIG_RAM
#define CMD(...) ((struct nvme_sqe){ __VA_ARGS__ })
#define ADMIN(...) nrig_do(&n, 0, CMD(__VA_ARGS__))
#define IO(...) nrig_do(&n, 1, CMD(.nsid = 1, __VA_ARGS__))

static struct nrig n;

/* Enabled, with one queue pair and a disk of 4 MiB. */
static void
start(const char *opts)
{
	struct error err = ERROR_INIT;
	char text[64];

	str_format(text, sizeof(text), "ram=4%s", opts);
	if (nrig_open(&n, text, &err) != 0)
		tap_fail("%s", err.text);
	tap_check(nrig_enable(&n));
	tap_check(nrig_queue(&n, 1, 16));
}

/* ---- states ---- */

static void
refuses_a_wrong_start(void)
{
	static const struct {
		const char *what;
		uint32_t cc, aqa;
		uint64_t asq, acq;
	} rows[] = {
		{ "page size", 0x00460081, 0x000f000f, 0x10000, 0x18000 },
		{ "command set", 0x00460011, 0x000f000f, 0x10000, 0x18000 },
		{ "arbitration", 0x00460801, 0x000f000f, 0x10000, 0x18000 },
		{ "size 1", 0x00460001, 0, 0x10000, 0x18000 },
		{ "SQ of 1", 0x00460001, 0x000f0000, 0x10000, 0x18000 },
		{ "SQ outside", 0x00460001, 0x000f000f, RAM_END, 0x18000 },
		{ "CQ outside", 0x00460001, 0x000f000f, 0x10000, ~0u },
		{ "SQ across the end", 0x00460001, 0x0fff0fff, RAM_END - 4096,
		    0x18000 },
	};
	struct error err = ERROR_INIT;

	tap_check_int(nrig_open(&n, "ram=4", &err), 0);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		tap_context("%s", rows[i].what);
		nrig_set(&n, NVME_AQA, rows[i].aqa);
		rig_write(&n.r, NVME_ASQ, 8, rows[i].asq);
		nrig_set(&n, NVME_ACQ, (uint32_t)rows[i].acq);
		nrig_set(&n, NVME_ACQ + 4, (uint32_t)(rows[i].acq >> 32));
		nrig_set(&n, NVME_CC, rows[i].cc);
		tap_check(nrig_csts(&n, 3, NVME_CSTS_CFS));
		tap_check(nrig_disable(&n));
	}
	tap_check(nrig_enable(&n) && nrig_queue(&n, 1, 16));
	tap_check_int(IO(.opcode = 2, .prp1 = BUF), 0);
	nrig_close(&n);
}

static void
shuts_down(void)
{
	start("");
	tap_check_int(IO(.opcode = 1, .prp1 = BUF), 0);
	nrig_set(&n, NVME_CC, nrig_reg(&n, NVME_CC) | 1u << 14);
	tap_check(nrig_csts(&n, NVME_CSTS_SHST, NVME_CSTS_SHST_DONE));
	tap_check(nrig_disable(&n));
	tap_check_u64(nrig_reg(&n, NVME_CSTS), 0);
	tap_check(nrig_enable(&n));
	nrig_close(&n);
}

static void
registers_stand_any_access(void)
{
	start("");
	for (unsigned off = 0; off < 0x1400; off++)
		for (unsigned w = 1; w <= 8; w *= 2)
			(void)rig_read(&n.r, off, w);
	rig_write(&n.r, NVME_CC, 1, 0); /* too narrow to count */
	rig_write(&n.r, NVME_CC, 2, 0);
	rig_write(&n.r, NVME_CC + 2, 4, 0);
	for (unsigned off = 0x40; off < 0x2000; off += 4)
		nrig_set(&n, off, off >= 0x1000 ? 0xffffffff : off);
	tap_check_u64(nrig_reg(&n, NVME_CSTS), NVME_CSTS_RDY);
	tap_check_u64(nrig_reg(&n, 0x50), 0);
	tap_check_u64(nrig_reg(&n, 0x1000), 0);
	tap_check(nrig_disable(&n) && nrig_enable(&n));
	nrig_close(&n);
}

/* ---- queues ---- */

static void
fill_queue(unsigned q, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		nrig_put(&n, q,
		    &CMD(.opcode = 2, .nsid = 1, .cid = (uint16_t)i,
			.prp1 = FILL + i * 4096, .cdw10 = i, .cdw12 = 7));
	nrig_ring(&n, q);
}

/* Completions wait while their queue is full, and none is lost. */
static void
waits_for_room(void)
{
	bool seen[60] = { false };

	start(",ioslots=4");
	tap_check(nrig_queue(&n, 2, 64));
	/* A completion queue of 4 for a submission queue of 64. */
	tap_check_int(ADMIN(.opcode = 5, .prp1 = NRIG_CQ(3),
			  .cdw10 = 3u << 16 | 3, .cdw11 = 3u << 16 | 3),
	    0);
	tap_check_int(ADMIN(.opcode = 1, .prp1 = NRIG_SQ(3),
			  .cdw10 = 63u << 16 | 3, .cdw11 = 3u << 16 | 1),
	    0);
	n.q[3].sq_size = 64;
	n.q[3].cq_size = 4;
	n.q[3].phase = 1;
	fill_queue(3, 60);
	for (unsigned i = 0; i < 60; i++) {
		tap_check_u64(nrig_wait(&n, 3, RIG_PATIENCE), 0);
		tap_check(n.last.cid < 60 && !seen[n.last.cid]);
		seen[n.last.cid] = true;
		/* others are not held up */
		tap_check_int(
		    nrig_do(&n, 2, CMD(.opcode = 2, .nsid = 1, .prp1 = BUF)),
		    0);
	}
	tap_check_u64(nrig_wait(&n, 3, 20), NRIG_NONE);
	nrig_close(&n);
}

static void
deletes_busy_queues(void)
{
	start(",ioslots=4");
	for (unsigned round = 0; round < 20; round++) {
		tap_check(nrig_queue(&n, 2, 64));
		fill_queue(2, 60);
		if (round % 2 != 0) /* some have found it full by then */
			(void)nrig_peek(&n, 2, RIG_PATIENCE);
		tap_check_int(
		    ADMIN(.opcode = 4, .cdw10 = 2), NVME_QUEUE_DELETION);
		tap_check_int(ADMIN(.opcode = 0, .cdw10 = 2), 0);
		tap_check_int(ADMIN(.opcode = 0, .cdw10 = 2), NVME_QID_INVALID);
		tap_check_int(ADMIN(.opcode = 4, .cdw10 = 2), 0);
	}
	/* with a full completion queue that nobody empties */
	tap_check_int(ADMIN(.opcode = 5, .prp1 = NRIG_CQ(3),
			  .cdw10 = 1u << 16 | 3, .cdw11 = 3u << 16 | 3),
	    0);
	tap_check_int(ADMIN(.opcode = 1, .prp1 = NRIG_SQ(3),
			  .cdw10 = 63u << 16 | 3, .cdw11 = 3u << 16 | 1),
	    0);
	n.q[3].sq_size = 64;
	fill_queue(3, 60);
	tap_check_int(ADMIN(.opcode = 0, .cdw10 = 3), 0);
	tap_check_int(IO(.opcode = 2, .prp1 = BUF), 0);
	nrig_close(&n);
}

static void
resets_while_busy(void)
{
	start("");
	for (unsigned round = 0; round < 50; round++) {
		tap_context("round %u", round);
		tap_check(nrig_queue(&n, 2, 128));
		nrig_put(&n, 0, &CMD(.opcode = 12));
		nrig_ring(&n, 0);
		fill_queue(2, 120);
		if (round % 3 == 1) { /* off and on, without looking */
			uint32_t cc = nrig_reg(&n, NVME_CC);

			nrig_set(&n, NVME_CC, 0);
			nrig_set(&n, NVME_CC, cc);
		} else {
			tap_check(nrig_disable(&n));
			if (round % 3 == 2)
				rig_cfg_write(&n.r, 4, 2, 0x0003);
			tap_check(nrig_enable(&n));
		}
		rig_cfg_write(&n.r, 4, 2, 0x0007);
		tap_check(nrig_csts(&n, 3, NVME_CSTS_RDY));
		/* The one before may have been what was seen. */
		tap_check(nrig_disable(&n) && nrig_enable(&n));
	}
	tap_check(nrig_queue(&n, 1, 16));
	tap_check_int(IO(.opcode = 2, .prp1 = BUF, .cdw10 = 3), 0);
	nrig_close(&n);
}

/* Rings on top of each other, of data, of the commands themselves. */
static void
stands_overlapping_queues(void)
{
	start("");
	tap_check_int(ADMIN(.opcode = 5, .prp1 = NRIG_SQ(2),
			  .cdw10 = 63u << 16 | 2, .cdw11 = 2u << 16 | 3),
	    0);
	tap_check_int(ADMIN(.opcode = 1, .prp1 = NRIG_SQ(2),
			  .cdw10 = 63u << 16 | 2, .cdw11 = 2u << 16 | 1),
	    0);
	n.q[2].sq_size = 64;
	fill_queue(2, 60);
	tap_check_int(IO(.opcode = 2, .prp1 = NRIG_SQ(1), .cdw12 = 7), 0);
#ifndef __SANITIZE_THREAD__
	/* It is the guest's race; TSan sees it where threads do the I/O. */
	tap_check_int(IO(.opcode = 2, .prp1 = NRIG_SQ(2), .cdw12 = 7), 0);
#endif
	nrig_doorbell(&n, 2, false, 0);
	nrig_doorbell(&n, 2, true, 63);
	nrig_doorbell(&n, 2, true, 64);
	tap_check(nrig_disable(&n) && nrig_enable(&n));
	nrig_close(&n);
}

/* Without MSI-X: the line is up while something is unread. */
static void
interrupts_by_the_pin(void)
{
	start("");
	rig_cfg_write(&n.r, n.r.msix + 2, 2, 0);
	nrig_put(&n, 1, &CMD(.opcode = 2, .nsid = 1, .prp1 = BUF));
	nrig_ring(&n, 1);
	tap_check_u64(nrig_peek(&n, 1, RIG_PATIENCE), 0);
	tap_check(rig_intx_reach(&n.r));
	nrig_set(&n, NVME_INTMS, 1);
	tap_check((rig_cfg_read(&n.r, 6, 2) & 0x8) == 0);
	nrig_set(&n, NVME_INTMC, 1);
	tap_check((rig_cfg_read(&n.r, 6, 2) & 0x8) != 0);
	nrig_doorbell(&n, 1, true, n.q[1].head);
	tap_check((rig_cfg_read(&n.r, 6, 2) & 0x8) == 0);
	nrig_close(&n);
}

static const struct tap_test tests[] = {
	TAP_TEST(refuses_a_wrong_start),
	TAP_TEST(shuts_down),
	TAP_TEST(registers_stand_any_access),
	TAP_TEST(waits_for_room),
	TAP_TEST(deletes_busy_queues),
	TAP_TEST(resets_while_busy),
	TAP_TEST(stands_overlapping_queues),
	TAP_TEST(interrupts_by_the_pin),
};
TAP_MAIN(tests)
