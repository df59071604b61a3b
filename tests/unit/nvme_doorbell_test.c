/*
 * NVMe: doorbells in the guest's memory, used as drivers do and as they should
 * not.
 */
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "nvme_rig.h"
#include "tap.h"

#define BUF NRIG_BUF
#define VALUES UINT64_C(0x300000)
#define EVENTS UINT64_C(0x301000)
#define CMD(...) ((struct nvme_sqe){ __VA_ARGS__ })
#define ADMIN(...) nrig_do(&n, 0, CMD(__VA_ARGS__))
#define READ(q, lba)                                                        \
	nrig_do(&n, (q),                                                    \
	    CMD(.opcode = NVME_IO_READ, .nsid = 1, .prp1 = BUF, .cdw12 = 7, \
		.cdw10 = (lba)))

static struct nrig n;

static void
open_disk(const char *opts)
{
	struct error err = ERROR_INIT;
	char text[64];

	str_format(text, sizeof(text), "ram=4%s", opts);
	if (nrig_open(&n, text, &err) != 0)
		tap_fail("%s", err.text);
	tap_check(nrig_enable(&n));
}

/* With one queue pair whose doorbells are in memory. */
static void
start(const char *opts)
{
	open_disk(opts);
	tap_check(nrig_queue(&n, 1, 16));
	tap_check_int(nrig_shadow(&n, VALUES, EVENTS), 0);
}

static uint32_t
word(uint64_t page, unsigned q, bool cq)
{
	return __atomic_load_n(nrig_word(&n, page, q, cq), __ATOMIC_SEQ_CST);
}

static void
set_word(uint64_t page, unsigned q, bool cq, uint32_t v)
{
	__atomic_store_n(nrig_word(&n, page, q, cq), v, __ATOMIC_SEQ_CST);
}

static unsigned
oacs(void)
{
	tap_check_int(ADMIN(.opcode = 6, .prp1 = BUF, .cdw10 = 1), 0);
	return load_le16(rig_ram(&n.r, BUF) + 256);
}

/* ---- who is offered them ---- */

static void
is_offered_with_msix(void)
{
	open_disk("");
	tap_check_u64(oacs(), 0x100);
	rig_cfg_write(&n.r, n.r.msix + 2, 2, 0);
	tap_check_u64(oacs(), 0);
	tap_check_int(nrig_shadow(&n, VALUES, EVENTS), NVME_INVALID_OPCODE);
	nrig_close(&n);
}

static void
can_be_turned_off(void)
{
	open_disk(",dbcs=false");
	tap_check_u64(oacs(), 0);
	tap_check_int(nrig_shadow(&n, VALUES, EVENTS), NVME_INVALID_OPCODE);
	nrig_close(&n);
}

static void
refuses_wrong_pages(void)
{
	static const struct {
		const char *what;
		uint64_t values, events;
	} rows[] = {
		{ "unaligned values", VALUES + 4, EVENTS },
		{ "unaligned events", VALUES, EVENTS + 2048 },
		{ "values outside", RIG_RAM, EVENTS },
		{ "events outside", VALUES, RIG_RAM },
		{ "registers", VALUES, 0xfec00000 },
		{ "around the address space", ~UINT64_C(0xfff), EVENTS },
	};

	open_disk("");
	tap_check(nrig_queue(&n, 1, 16));
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		tap_context("%s", rows[i].what);
		tap_check_int(nrig_shadow(&n, rows[i].values, rows[i].events),
		    NVME_INVALID_FIELD);
		tap_check_int(READ(1, 0), 0);
	}
	nrig_close(&n);
}

/* ---- at work ---- */

/*
 * Pauses of every length, so that the other side is met awake, asleep and on
 * its way there: no command may be left lying.
 */
static void
take_turns(const char *opts)
{
	uint64_t until;

	start(opts);
	for (unsigned i = 0; i < 3000; i++) {
		tap_context("command %u", i);
		tap_check_int(READ(1, i % 8), 0);
		until = mevent_now_ns() + (uint64_t)i * i % 70001;
		while (mevent_now_ns() < until)
			sched_yield();
	}
	tap_note("%u doorbell registers for 3000 commands", n.rings);
	/* Of completions only one in a turn of the queue. */
	tap_check(n.rings <= 3000 + 3000 / 16 + 2);
	nrig_close(&n);
}

static void
loses_no_command_asleep(void)
{
	take_turns(",poll=0");
}

static void
loses_no_command_looking(void)
{
	take_turns(",poll=1000");
}

static void
fill_queue(unsigned q, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		nrig_put(&n, q,
		    &CMD(.opcode = NVME_IO_READ, .nsid = 1, .cid = (uint16_t)i,
			.prp1 = BUF + i * 4096, .cdw10 = i, .cdw12 = 7));
	nrig_ring(&n, q);
}

static void
make_queue(unsigned q, unsigned sq_size, unsigned cq_size)
{
	n.q[q].sq_size = sq_size;
	n.q[q].cq_size = cq_size;
	n.q[q].tail = n.q[q].head = 0;
	n.q[q].phase = 1;
	memset(rig_ram(&n.r, NRIG_CQ(q)), 0, 4096);
	tap_check_int(
	    ADMIN(.opcode = 5, .prp1 = NRIG_CQ(q),
		.cdw10 = (cq_size - 1) << 16 | q, .cdw11 = q << 16 | 3),
	    0);
	tap_check_int(
	    ADMIN(.opcode = 1, .prp1 = NRIG_SQ(q),
		.cdw10 = (sq_size - 1) << 16 | q, .cdw11 = q << 16 | 1),
	    0);
}

/* The completion queue is full all the time: its head is what wakes. */
static void
waits_for_room(void)
{
	start(",ioslots=4");
	make_queue(3, 64, 4);
	for (unsigned round = 0; round < 20; round++) {
		fill_queue(3, 60);
		for (unsigned i = 0; i < 60; i++)
			tap_check_u64(nrig_wait(&n, 3, RIG_PATIENCE), 0);
	}
	tap_check_u64(nrig_wait(&n, 3, 20), NRIG_NONE);
	nrig_close(&n);
}

/* ---- queues that come and go ---- */

static void
begins_where_the_registers_are(void)
{
	open_disk("");
	tap_check(nrig_queue(&n, 1, 16));
	for (unsigned i = 0; i < 5; i++)
		tap_check_int(READ(1, i), 0);
	set_word(VALUES, 1, false, 9); /* of another life */
	tap_check_int(nrig_shadow(&n, VALUES, EVENTS), 0);
	tap_check_u64(word(VALUES, 1, false), 5);
	tap_check_u64(word(VALUES, 1, true), 5);
	tap_check_int(READ(1, 5), 0);
	/* Other pages, from where these are. */
	tap_check_int(nrig_shadow(&n, VALUES + 8192, EVENTS + 8192), 0);
	tap_check_u64(word(VALUES + 8192, 1, false), 6);
	for (unsigned i = 0; i < 40; i++)
		tap_check_int(READ(1, i), 0);
	tap_check_u64(word(VALUES, 1, false), 6);
	nrig_close(&n);
}

static void
a_new_queue_is_empty(void)
{
	start("");
	set_word(VALUES, 2, false, 7);
	set_word(VALUES, 2, true, 7);
	make_queue(2, 64, 64);
	tap_check_u64(word(VALUES, 2, false), 0);
	tap_check_u64(word(VALUES, 2, true), 0);
	tap_check_u64(nrig_wait(&n, 2, 20), NRIG_NONE);
	fill_queue(2, 30);
	tap_check_int(ADMIN(.opcode = 0, .cdw10 = 2), 0);
	tap_check_int(ADMIN(.opcode = 4, .cdw10 = 2), 0);
	/* Nobody reads or writes there any more. */
	set_word(VALUES, 2, false, 40);
	set_word(EVENTS, 2, false, 0x5555);
	set_word(EVENTS, 2, true, 0x5555);
	tap_check_int(READ(1, 0), 0);
	tap_check_u64(word(EVENTS, 2, false), 0x5555);
	tap_check_u64(word(EVENTS, 2, true), 0x5555);
	make_queue(2, 64, 64);
	tap_check_int(READ(2, 0), 0);
	nrig_close(&n);
}

static void
a_reset_ends_them(void)
{
	start("");
	tap_check_int(READ(1, 0), 0);
	tap_check(nrig_disable(&n));
	memset(rig_ram(&n.r, VALUES), 0x55, 8192);
	tap_check(nrig_enable(&n));
	tap_check(nrig_queue(&n, 1, 16));
	for (unsigned i = 0; i < 40; i++)
		tap_check_int(READ(1, i), 0);
	for (unsigned i = 0; i < 8192 / 4; i++)
		tap_check_u64(word(VALUES + i * 4, 0, false), 0x55555555);
	nrig_close(&n);
}

/* Off and on with commands in work, then other pages. */
static void
stands_resets_while_busy(void)
{
	start("");
	for (unsigned round = 0; round < 40; round++) {
		tap_context("round %u", round);
		make_queue(2, 128, 128);
		fill_queue(2, 120);
		if (round % 2 != 0)
			set_word(VALUES, 2, false, round);
		tap_check(nrig_disable(&n) && nrig_enable(&n));
		tap_check(nrig_queue(&n, 1, 16));
		tap_check_int(nrig_shadow(&n, VALUES, EVENTS), 0);
		tap_check_int(READ(1, round), 0);
	}
	nrig_close(&n);
}

/* ---- a guest that does it wrong ---- */

/* The event that tells of a doorbell's value. */
static void
expect_event(void)
{
	tap_check_u64(nrig_wait(&n, 0, RIG_PATIENCE), 0);
	tap_check_int(n.last.cid, 77);
	tap_check_u64(n.last.result, 0x010000 | NVME_EVENT_BAD_VALUE << 8);
	tap_check_int(
	    ADMIN(.opcode = 2, .prp1 = BUF, .cdw10 = 15u << 16 | 1), 0);
}

static void
stands_any_value(void)
{
	static const uint32_t values[] = { 16, 17, 0xffff, 0x10000, 0x7fffffff,
		0xffffffff };

	start("");
	for (unsigned i = 0; i < ARRAY_LEN(values); i++) {
		tap_context("%x", values[i]);
		nrig_put(&n, 0, &CMD(.opcode = 12, .cid = 77));
		nrig_ring(&n, 0);
		set_word(VALUES, 1, false, values[i]);
		nrig_doorbell(&n, 1, false, 0);
		expect_event();
		set_word(VALUES, 1, false, n.q[1].tail);
		set_word(VALUES, 1, true, values[i]);
		tap_check_int(READ(1, 0), 0);
		set_word(VALUES, 1, true, n.q[1].head);
	}
	nrig_close(&n);
}

/* The pages are a ring, the buffer, each other. */
static void
stands_overlapping_pages(void)
{
	static const uint64_t rows[][2] = {
		{ VALUES, VALUES },
		{ NRIG_SQ(1), EVENTS },
		{ NRIG_CQ(1), NRIG_SQ(1) },
		{ NRIG_SQ(0), NRIG_CQ(0) },
		{ BUF, BUF },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		tap_context("row %u", i);
		start("");
		(void)nrig_shadow(&n, rows[i][0], rows[i][1]);
		fill_queue(1, 14);
		nrig_doorbell(&n, 1, false, 3);
		(void)nrig_wait(&n, 1, 5);
		tap_check(nrig_disable(&n) && nrig_enable(&n));
		tap_check(nrig_queue(&n, 1, 16));
		tap_check_int(READ(1, 0), 0);
		nrig_close(&n);
	}
}

static void
leaves_memory_alone_without_mastering(void)
{
	start(",poll=1000");
	tap_check_int(READ(1, 0), 0);
	rig_cfg_write(&n.r, 4, 2, 0x0003);
	/* What was on its way is there; a word alone, as the device writes. */
	for (bool calm = false; !calm;) {
		set_word(EVENTS, 1, false, 0x55555555);
		usleep(20000);
		calm = word(EVENTS, 1, false) == 0x55555555;
	}
	memset(rig_ram(&n.r, EVENTS), 0x55, 4096);
	nrig_put(&n, 1,
	    &CMD(.opcode = NVME_IO_READ, .nsid = 1, .prp1 = BUF, .cid = 5));
	set_word(VALUES, 1, false, n.q[1].tail);
	nrig_doorbell(&n, 1, false, n.q[1].tail);
	tap_check_u64(nrig_peek(&n, 1, 20), NRIG_NONE);
	for (unsigned i = 0; i < 4096; i++)
		tap_check_int(*rig_ram(&n.r, EVENTS + i), 0x55);
	rig_cfg_write(&n.r, 4, 2, 0x0007);
	nrig_doorbell(&n, 1, false, n.q[1].tail);
	tap_check_u64(nrig_wait(&n, 1, RIG_PATIENCE), 0);
	tap_check_int(n.last.cid, 5);
	nrig_close(&n);
}

static const struct tap_test tests[] = {
	TAP_TEST(is_offered_with_msix),
	TAP_TEST(can_be_turned_off),
	TAP_TEST(refuses_wrong_pages),
	TAP_TEST(loses_no_command_asleep),
	TAP_TEST(loses_no_command_looking),
	TAP_TEST(waits_for_room),
	TAP_TEST(begins_where_the_registers_are),
	TAP_TEST(a_new_queue_is_empty),
	TAP_TEST(a_reset_ends_them),
	TAP_TEST(stands_resets_while_busy),
	TAP_TEST(stands_any_value),
	TAP_TEST(stands_overlapping_pages),
	TAP_TEST(leaves_memory_alone_without_mastering),
};
TAP_MAIN(tests)
