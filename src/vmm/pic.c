/*
 * Two chips, one lock. The slave's output is the master's input 2, taken as a
 * level, so that it can never be lost between two acknowledgements.
 */
#include "vmm/pic.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

#define CASCADE 2

/* ICW1 and ICW4 */
#define ICW1_IC4 0x01
#define ICW1_SNGL 0x02
#define ICW1_INIT 0x10
#define ICW4_AEOI 0x02
#define ICW4_SFNM 0x10
/* OCW2: R, SL, EOI in bits 7-5 */
#define OCW2_EOI 0x20
#define OCW2_SL 0x40
#define OCW2_R 0x80
/* OCW3 */
#define OCW3 0x08
#define OCW3_RIS 0x01
#define OCW3_RR 0x02
#define OCW3_POLL 0x04
#define OCW3_SMM 0x20
#define OCW3_ESMM 0x40

struct chip {
	uint8_t lines; /* input levels */
	uint8_t irr, isr, imr;
	uint8_t elcr, elcr_mask;
	uint8_t base; /* ICW2 */
	uint8_t lowest; /* input of lowest priority */
	uint8_t icw; /* next ICW that port 1 expects, 0 = none */
	bool ready; /* initialised once */
	bool single, want_icw4;
	bool auto_eoi, rotate_auto, fully_nested, special_mask;
	bool read_isr, poll;
};

struct port {
	struct pic *pic;
	struct chip *chip;
};

struct pic {
	pthread_mutex_t lock;
	struct pic_client client;
	struct chip master, slave;
	struct port port[2];
	bool out;
	atomic_bool masked;
};

/* Place of the best input of a non-empty set: 0 is the highest priority. */
static unsigned
chip_rank(const struct chip *c, uint8_t set)
{
	unsigned rank;

	for (rank = 0; rank < 8; rank++)
		if (set & (1u << ((c->lowest + 1 + rank) & 7)))
			break;
	return rank;
}

static unsigned
chip_input_at(const struct chip *c, unsigned rank)
{
	return (c->lowest + 1 + rank) & 7;
}

/* The input that the chip asks service for, or -1. */
static int
chip_request(const struct chip *c, bool is_master)
{
	uint8_t serving = c->isr;
	unsigned rank;

	if (!c->ready || c->icw != 0)
		return -1;
	if (c->special_mask)
		serving &= (uint8_t)~c->imr;
	if (c->fully_nested && is_master)
		serving &= (uint8_t) ~(1u << CASCADE);
	rank = chip_rank(c, c->irr & (uint8_t)~c->imr);
	if (rank < chip_rank(c, serving))
		return (int)chip_input_at(c, rank);
	return -1;
}

static void
chip_set_line(struct chip *c, unsigned input, bool level, bool is_level)
{
	uint8_t bit = (uint8_t)(1u << input);

	if (is_level) {
		c->irr = level ? c->irr | bit : c->irr & (uint8_t)~bit;
	} else if (level && (c->lines & bit) == 0) {
		c->irr |= bit;
	}
	c->lines = level ? c->lines | bit : c->lines & (uint8_t)~bit;
}

/* Acknowledge an input: request becomes service. */
static void
chip_take(struct chip *c, unsigned input, bool is_level)
{
	uint8_t bit = (uint8_t)(1u << input);

	if (!is_level)
		c->irr &= (uint8_t)~bit;
	if (!c->auto_eoi)
		c->isr |= bit;
	else if (c->rotate_auto)
		c->lowest = (uint8_t)input;
}

static bool
pic_masked_locked(const struct pic *pic)
{
	uint8_t open = pic->master.ready ? (uint8_t)~pic->master.imr : 0;

	if (!pic->slave.ready || pic->slave.imr == 0xff)
		open &= (uint8_t) ~(1u << CASCADE);
	return open == 0;
}

/* Recompute the cascade and INT. */
static void
pic_update_locked(struct pic *pic)
{
	bool out;

	chip_set_line(
	    &pic->master, CASCADE, chip_request(&pic->slave, false) >= 0, true);
	out = chip_request(&pic->master, true) >= 0;
	if (out != pic->out) {
		pic->out = out;
		pic->client.out(pic->client.arg, out);
	}
}

static bool
chip_is_level(const struct pic *pic, const struct chip *c, unsigned input)
{
	if (c == &pic->master && input == CASCADE)
		return true;
	return (c->elcr & (1u << input)) != 0;
}

static uint8_t
pic_inta_locked(struct pic *pic)
{
	struct chip *c = &pic->master;
	int input;

	input = chip_request(c, true);
	if (input >= 0)
		chip_take(
		    c, (unsigned)input, chip_is_level(pic, c, (unsigned)input));
	if (input == CASCADE) {
		c = &pic->slave;
		input = chip_request(c, false);
		if (input >= 0)
			chip_take(c, (unsigned)input,
			    chip_is_level(pic, c, (unsigned)input));
	}
	pic_update_locked(pic);
	return (uint8_t)(c->base | (input >= 0 ? (unsigned)input : 7));
}

/* Requests that are latched, of both chips. */
static unsigned
pic_latched_locked(const struct pic *pic)
{
	return pic->master.irr | (unsigned)pic->slave.irr << 8;
}

/* was: what was latched before the lock was taken and something done. */
static void
pic_unlock(struct pic *pic, unsigned was)
{
	bool fell = was & ~pic_latched_locked(pic);

	pthread_mutex_unlock(&pic->lock);
	if (fell && pic->client.listens != NULL)
		pic->client.listens(pic->client.arg);
}

uint8_t
pic_inta(struct pic *pic)
{
	uint8_t vector;
	unsigned was;

	pthread_mutex_lock(&pic->lock);
	was = pic_latched_locked(pic);
	vector = pic_inta_locked(pic);
	pic_unlock(pic, was);
	return vector;
}

bool
pic_notices(struct pic *pic, unsigned irq)
{
	bool latched;

	pthread_mutex_lock(&pic->lock);
	latched = pic_latched_locked(pic) >> irq & 1;
	pthread_mutex_unlock(&pic->lock);
	return !latched;
}

int
pic_ack(struct pic *pic)
{
	int vector = -1;
	unsigned was;

	pthread_mutex_lock(&pic->lock);
	was = pic_latched_locked(pic);
	if (pic->out)
		vector = pic_inta_locked(pic);
	pic_unlock(pic, was);
	return vector;
}

bool
pic_is_masked(const struct pic *pic)
{
	return atomic_load(&pic->masked);
}

void
pic_set_line(struct pic *pic, unsigned irq, bool level)
{
	struct chip *c = irq < 8 ? &pic->master : &pic->slave;

	if (irq > 15 || irq == CASCADE)
		return;
	pthread_mutex_lock(&pic->lock);
	chip_set_line(c, irq & 7, level, chip_is_level(pic, c, irq & 7));
	pic_update_locked(pic);
	pthread_mutex_unlock(&pic->lock);
}

/* ---- registers ---- */

static void
chip_write_icw1(struct chip *c, uint8_t v)
{
	c->imr = 0;
	c->isr = 0;
	c->irr = c->lines & c->elcr;
	c->lowest = 7;
	c->special_mask = c->read_isr = c->poll = false;
	c->auto_eoi = c->rotate_auto = c->fully_nested = false;
	c->single = (v & ICW1_SNGL) != 0;
	c->want_icw4 = (v & ICW1_IC4) != 0;
	c->ready = true;
	c->icw = 2;
}

static void
chip_write_icw(struct chip *c, uint8_t v)
{
	switch (c->icw) {
	case 2:
		c->base = v & 0xf8;
		c->icw = c->single ? (c->want_icw4 ? 4 : 0) : 3;
		break;
	case 3: /* who cascades to whom is wired */
		c->icw = c->want_icw4 ? 4 : 0;
		break;
	default:
		c->auto_eoi = (v & ICW4_AEOI) != 0;
		c->fully_nested = (v & ICW4_SFNM) != 0;
		c->icw = 0;
		break;
	}
}

static void
chip_write_ocw2(struct chip *c, uint8_t v)
{
	uint8_t served = c->isr;
	unsigned input = v & 7;

	if (v & OCW2_EOI) {
		if (!(v & OCW2_SL)) {
			/* Non-specific: masked ones do not count in SMM. */
			if (c->special_mask)
				served &= (uint8_t)~c->imr;
			if (served == 0)
				return;
			input = chip_input_at(c, chip_rank(c, served));
		}
		c->isr &= (uint8_t) ~(1u << input);
		if (v & OCW2_R)
			c->lowest = (uint8_t)input;
	} else if (v & OCW2_SL) {
		if (v & OCW2_R)
			c->lowest = (uint8_t)input;
	} else {
		c->rotate_auto = (v & OCW2_R) != 0;
	}
}

static void
chip_write_ocw3(struct chip *c, uint8_t v)
{
	if (v & OCW3_ESMM)
		c->special_mask = (v & OCW3_SMM) != 0;
	if (v & OCW3_POLL)
		c->poll = true;
	else if (v & OCW3_RR)
		c->read_isr = (v & OCW3_RIS) != 0;
}

static void
chip_write(struct chip *c, uint64_t offset, uint8_t v)
{
	if (offset != 0) {
		if (c->icw != 0)
			chip_write_icw(c, v);
		else
			c->imr = v;
	} else if (v & ICW1_INIT) {
		chip_write_icw1(c, v);
	} else if (v & OCW3) {
		chip_write_ocw3(c, v);
	} else {
		chip_write_ocw2(c, v);
	}
}

static void
pic_port_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	const struct port *port = dev;
	struct pic *pic = port->pic;
	bool masked, changed;
	unsigned was;

	pthread_mutex_lock(&pic->lock);
	was = pic_latched_locked(pic);
	chip_write(port->chip, offset, (uint8_t)value);
	pic_update_locked(pic);
	masked = pic_masked_locked(pic);
	changed = atomic_exchange(&pic->masked, masked) != masked;
	pic_unlock(pic, was);
	if (changed && pic->client.masks_changed != NULL)
		pic->client.masks_changed(pic->client.arg);
}

/* The read after a poll command is an acknowledgement. */
static uint8_t
pic_poll_locked(struct pic *pic, struct chip *c)
{
	int input;

	c->poll = false;
	input = chip_request(c, c == &pic->master);
	if (input < 0)
		return 0;
	chip_take(c, (unsigned)input, chip_is_level(pic, c, (unsigned)input));
	pic_update_locked(pic);
	return (uint8_t)(0x80 | input);
}

static uint64_t
pic_port_read(void *dev, uint64_t offset, unsigned width)
{
	const struct port *port = dev;
	struct pic *pic = port->pic;
	struct chip *c = port->chip;
	unsigned was;
	uint8_t v;

	pthread_mutex_lock(&pic->lock);
	was = pic_latched_locked(pic);
	if (c->poll)
		v = pic_poll_locked(pic, c);
	else if (offset != 0)
		v = c->imr;
	else
		v = c->read_isr ? c->isr : c->irr;
	pic_unlock(pic, was);
	return v;
}

static const struct bus_ops port_ops = { pic_port_read, pic_port_write };

static uint64_t
pic_elcr_read(void *dev, uint64_t offset, unsigned width)
{
	struct pic *pic = dev;
	uint8_t v;

	pthread_mutex_lock(&pic->lock);
	v = offset == 0 ? pic->master.elcr : pic->slave.elcr;
	pthread_mutex_unlock(&pic->lock);
	return v;
}

static void
pic_elcr_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct pic *pic = dev;
	struct chip *c = offset == 0 ? &pic->master : &pic->slave;
	unsigned was;

	pthread_mutex_lock(&pic->lock);
	was = pic_latched_locked(pic);
	c->elcr = (uint8_t)value & c->elcr_mask;
	/* Requests of level inputs are their levels from now on. */
	c->irr = (uint8_t)((c->irr & ~c->elcr) | (c->lines & c->elcr));
	pic_update_locked(pic);
	pic_unlock(pic, was);
}

/* ---- state ---- */

static const struct {
	size_t offset; /* of a bool in struct chip */
	uint16_t flag;
} flags[] = {
	{ offsetof(struct chip, ready), PIC_READY },
	{ offsetof(struct chip, single), PIC_SINGLE },
	{ offsetof(struct chip, want_icw4), PIC_WANT_ICW4 },
	{ offsetof(struct chip, auto_eoi), PIC_AUTO_EOI },
	{ offsetof(struct chip, rotate_auto), PIC_ROTATE_AUTO },
	{ offsetof(struct chip, fully_nested), PIC_FULLY_NESTED },
	{ offsetof(struct chip, special_mask), PIC_SPECIAL_MASK },
	{ offsetof(struct chip, read_isr), PIC_READ_ISR },
	{ offsetof(struct chip, poll), PIC_POLL },
};

static bool *
chip_flag(struct chip *c, size_t i)
{
	return (bool *)(void *)((uint8_t *)c + flags[i].offset);
}

void
pic_get_state(struct pic *pic, struct pic_state *ret)
{
	struct chip *const chip[] = { &pic->master, &pic->slave };
	size_t n, i;

	memset(ret, 0, sizeof(*ret));
	ret->version = PIC_STATE_VERSION;
	pthread_mutex_lock(&pic->lock);
	for (n = 0; n < ARRAY_LEN(chip); n++) {
		ret->chip[n].lines = chip[n]->lines;
		ret->chip[n].irr = chip[n]->irr;
		ret->chip[n].isr = chip[n]->isr;
		ret->chip[n].imr = chip[n]->imr;
		ret->chip[n].elcr = chip[n]->elcr;
		ret->chip[n].base = chip[n]->base;
		ret->chip[n].lowest = chip[n]->lowest;
		ret->chip[n].icw = chip[n]->icw;
		for (i = 0; i < ARRAY_LEN(flags); i++)
			if (*chip_flag(chip[n], i))
				ret->chip[n].flags |= flags[i].flag;
	}
	pthread_mutex_unlock(&pic->lock);
}

static bool
pic_state_is_valid(const struct pic *pic, const struct pic_state *st)
{
	const uint8_t elcr[] = { pic->master.elcr_mask, pic->slave.elcr_mask };
	size_t n;

	if (st->version != PIC_STATE_VERSION)
		return false;
	for (n = 0; n < ARRAY_LEN(elcr); n++)
		if (st->chip[n].lowest > 7 || (st->chip[n].base & 7) != 0 ||
		    st->chip[n].icw == 1 || st->chip[n].icw > 4 ||
		    (st->chip[n].elcr & ~elcr[n]) != 0 ||
		    st->chip[n].flags >= PIC_POLL << 1)
			return false;
	return true;
}

int
pic_set_state(struct pic *pic, const struct pic_state *st)
{
	struct chip *const chip[] = { &pic->master, &pic->slave };
	bool masked, changed;
	size_t n, i;

	if (!pic_state_is_valid(pic, st))
		return -EINVAL;
	pthread_mutex_lock(&pic->lock);
	for (n = 0; n < ARRAY_LEN(chip); n++) {
		chip[n]->lines = st->chip[n].lines;
		chip[n]->irr = st->chip[n].irr;
		chip[n]->isr = st->chip[n].isr;
		chip[n]->imr = st->chip[n].imr;
		chip[n]->elcr = st->chip[n].elcr;
		chip[n]->base = st->chip[n].base;
		chip[n]->lowest = st->chip[n].lowest;
		chip[n]->icw = st->chip[n].icw;
		for (i = 0; i < ARRAY_LEN(flags); i++)
			*chip_flag(chip[n], i) =
			    (st->chip[n].flags & flags[i].flag) != 0;
	}
	pic_update_locked(pic);
	masked = pic_masked_locked(pic);
	changed = atomic_exchange(&pic->masked, masked) != masked;
	pthread_mutex_unlock(&pic->lock);
	if (changed && pic->client.masks_changed != NULL)
		pic->client.masks_changed(pic->client.arg);
	return 0;
}

static const struct bus_ops elcr_ops = { pic_elcr_read, pic_elcr_write };

int
pic_create(const struct pic_client *client, struct pic **ret)
{
	struct pic *pic;

	pic = alloc_zero(1, sizeof(*pic));
	if (pic == NULL)
		return -ENOMEM;
	pthread_mutex_init(&pic->lock, NULL);
	pic->client = *client;
	pic->master =
	    (struct chip){ .imr = 0xff, .lowest = 7, .elcr_mask = 0xf8 };
	pic->slave =
	    (struct chip){ .imr = 0xff, .lowest = 7, .elcr_mask = 0xde };
	pic->port[0] = (struct port){ pic, &pic->master };
	pic->port[1] = (struct port){ pic, &pic->slave };
	atomic_store(&pic->masked, true);
	*ret = pic;
	return 0;
}

void
pic_destroy(struct pic *pic)
{
	if (pic == NULL)
		return;
	pthread_mutex_destroy(&pic->lock);
	free(pic);
}

int
pic_attach(struct pic *pic, struct bus *pio, struct error *err)
{
	const struct bus_window win[] = {
		{ "pic master", 0x20, 2, BUS_BYTEWISE, &port_ops,
		    &pic->port[0] },
		{ "pic slave", 0xa0, 2, BUS_BYTEWISE, &port_ops,
		    &pic->port[1] },
		{ "pic elcr", 0x4d0, 2, BUS_BYTEWISE, &elcr_ops, pic },
	};
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < ARRAY_LEN(win); i++)
		rc = bus_add(pio, &win[i], err);
	return rc;
}
