/*
 * The 8254. See pit.h.
 */
#include "dev/lpc/pit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/lpc/clock.h"
#include "vmm/memmap.h"

#define PIT_PORT 0x40
#define PIT_CONTROL 3 /* offset */
#define PORT_61 0x61

/* Control word */
#define CW_BCD 0x01
#define CW_READ_BACK 3 /* in the counter field */
#define RB_NO_COUNT 0x20
#define RB_NO_STATUS 0x10
#define STATUS_OUT 0x80
#define STATUS_NULL 0x40

/* Port 61h */
#define P61_GATE2 0x01
#define P61_SPEAKER 0x02
#define P61_WRITABLE 0x0f
#define P61_REFRESH 0x10
#define P61_OUT2 0x20
#define REFRESH_NS 15085u

/* A guest may not make us wake more often than this. */
#define PERIOD_MIN_NS UINT64_C(200000)

enum pit_access { ACCESS_LATCH, ACCESS_LOW, ACCESS_HIGH, ACCESS_BOTH };

struct counter {
	uint8_t mode; /* 0-5 */
	enum pit_access access;
	bool bcd;
	bool gate;
	bool loaded; /* a count was written since the control word */
	bool null; /* a control word came, no count yet */
	uint32_t reload; /* 1 .. 65536 */
	uint64_t start_ns; /* of the current run */
	uint64_t held; /* ticks before it, while the gate was low */

	bool write_high; /* the low byte is there, the high one follows */
	uint8_t write_low;
	bool read_high;
	bool latched;
	uint16_t latch;
	bool status_latched;
	uint8_t status;
};

struct pit {
	struct vm *vm;
	struct mevent *timer;
	pthread_mutex_t lock;
	struct counter c[3];
	/*
	 * Counter 0 runs, but its edges would go unnoticed: no timer. A guest
	 * need not stop what its firmware left running.
	 */
	bool dozing;
	uint8_t port61;
};

/* ---- what a counter shows ---- */

static bool
is_periodic(const struct counter *c)
{
	return c->mode == 2 || c->mode == 3;
}

/* Modes 1 and 5 start at an edge of the gate and do not stop with it. */
static bool
is_triggered(const struct counter *c)
{
	return c->mode == 1 || c->mode == 5;
}

static bool
is_counting(const struct counter *c)
{
	return c->loaded && (c->gate || is_triggered(c)) && c->start_ns != 0;
}

static uint64_t
ticks_of(const struct counter *c)
{
	uint64_t run = 0;

	if (is_counting(c))
		run =
		    lpc_muldiv(lpc_clock_ns() - c->start_ns, PIT_HZ, NS_PER_S);
	return c->held + run;
}

static uint16_t
to_bcd(uint32_t v)
{
	return (uint16_t)(v / 1000 % 10 << 12 | v / 100 % 10 << 8 |
	    v / 10 % 10 << 4 | v % 10);
}

static uint32_t
from_bcd(uint32_t v)
{
	return (v >> 12 & 15) * 1000 + (v >> 8 & 15) * 100 +
	    (v >> 4 & 15) * 10 + (v & 15);
}

static uint16_t
count_of(const struct counter *c)
{
	uint64_t t = ticks_of(c);
	uint32_t modulo = c->bcd ? 10000 : 65536, v;

	if (!c->loaded)
		return 0;
	if (c->mode == 2)
		v = c->reload - (uint32_t)(t % c->reload);
	else if (c->mode == 3) /* counts by two, twice a period */
		v = (c->reload - (uint32_t)(2 * t % c->reload)) & ~1u;
	else /* past zero they count on from the top */
		v = (c->reload + modulo - (uint32_t)(t % modulo)) % modulo;
	v %= modulo;
	return c->bcd ? to_bcd(v) : (uint16_t)v;
}

static bool
out_of(const struct counter *c)
{
	uint64_t t = ticks_of(c);

	switch (c->mode) {
	case 0: /* low until the terminal count */
		return c->loaded && t >= c->reload;
	case 1: /* low from the trigger to the terminal count */
		return c->start_ns == 0 || t >= c->reload;
	case 2: /* low for the last tick of a period */
		return !is_counting(c) || t % c->reload != c->reload - 1;
	case 3: /* high for the first half */
		return !is_counting(c) || t % c->reload < (c->reload + 1) / 2;
	default: /* a strobe of one tick at the terminal count */
		return !is_counting(c) || t != c->reload;
	}
}

/* ---- counter 0's interrupt ---- */

static uint64_t
ticks_to_ns(uint64_t t)
{
	return lpc_muldiv(t, NS_PER_S, PIT_HZ) + 1;
}

static void
timer_update(struct pit *pit)
{
	const struct counter *c = &pit->c[0];
	uint64_t t = ticks_of(c), period = ticks_to_ns(c->reload);

	pit->dozing = false;
	if (!is_counting(c))
		mevent_timer_set(pit->timer, 0, 0);
	else if (is_periodic(c))
		mevent_timer_set(pit->timer,
		    MAX(ticks_to_ns(c->reload - t % c->reload), PERIOD_MIN_NS),
		    MAX(period, PERIOD_MIN_NS));
	else
		mevent_timer_set(pit->timer,
		    t < c->reload ? ticks_to_ns(c->reload - t) : 0, 0);
}

static void
on_timer(void *arg, uint64_t expirations)
{
	struct pit *pit = arg;

	vm_irq_pulse(pit->vm, GSI_PIT);
	pthread_mutex_lock(&pit->lock);
	/* Under the lock: what changes after the look waits in on_listen(). */
	if (is_counting(&pit->c[0]) && is_periodic(&pit->c[0]) &&
	    !vm_irq_notices(pit->vm, GSI_PIT)) {
		mevent_timer_set(pit->timer, 0, 0);
		pit->dozing = true;
	}
	pthread_mutex_unlock(&pit->lock);
}

static void
on_listen(void *arg)
{
	struct pit *pit = arg;

	pthread_mutex_lock(&pit->lock);
	if (pit->dozing && vm_irq_notices(pit->vm, GSI_PIT))
		timer_update(pit);
	pthread_mutex_unlock(&pit->lock);
}

/* ---- control and counts ---- */

static void
counter_start(struct counter *c)
{
	c->held = 0;
	c->start_ns = lpc_clock_ns();
}

static void
counter_load(struct pit *pit, struct counter *c, uint32_t v)
{
	if (c->bcd)
		v = from_bcd(v);
	if (v == 0)
		v = c->bcd ? 10000 : 65536;
	/* 1 is not allowed in the periodic modes; do not divide by less. */
	if (is_periodic(c) && v < 2)
		v = 2;
	c->reload = v;
	c->loaded = true;
	c->null = false;
	if (is_triggered(c))
		c->start_ns = 0; /* waits for the gate */
	else
		counter_start(c);
	if (c == &pit->c[0])
		timer_update(pit);
}

static void
latch_count(struct counter *c)
{
	if (c->latched)
		return;
	c->latch = count_of(c);
	c->latched = true;
}

static void
latch_status(struct counter *c)
{
	if (c->status_latched)
		return;
	c->status = (uint8_t)((out_of(c) ? STATUS_OUT : 0) |
	    (c->null ? STATUS_NULL : 0) | c->access << 4 | c->mode << 1 |
	    (c->bcd ? CW_BCD : 0));
	c->status_latched = true;
}

static void
control_write(struct pit *pit, uint8_t v)
{
	unsigned which = v >> 6;
	enum pit_access access = v >> 4 & 3;
	struct counter *c;

	if (which == CW_READ_BACK) {
		for (unsigned i = 0; i < 3; i++) {
			if ((v >> (i + 1) & 1) == 0)
				continue;
			if ((v & RB_NO_COUNT) == 0)
				latch_count(&pit->c[i]);
			if ((v & RB_NO_STATUS) == 0)
				latch_status(&pit->c[i]);
		}
		return;
	}
	c = &pit->c[which];
	if (access == ACCESS_LATCH) {
		latch_count(c);
		return;
	}
	*c = (struct counter){
		.mode = (v >> 1 & 7) > 5 ? (v >> 1 & 3) : (v >> 1 & 7),
		.access = access,
		.bcd = (v & CW_BCD) != 0,
		.gate = c->gate,
		.null = true,
		.reload = 65536,
	};
	if (c == &pit->c[0])
		timer_update(pit);
}

static void
counter_write(struct pit *pit, struct counter *c, uint8_t v)
{
	switch (c->access) {
	case ACCESS_LOW:
		counter_load(pit, c, v);
		break;
	case ACCESS_HIGH:
		counter_load(pit, c, (uint32_t)v << 8);
		break;
	case ACCESS_BOTH:
		if (c->write_high) {
			c->write_high = false;
			counter_load(pit, c, (uint32_t)v << 8 | c->write_low);
			break;
		}
		c->write_high = true;
		c->write_low = v;
		if (c->mode == 0) { /* the first byte stops the count */
			c->loaded = false;
			if (c == &pit->c[0])
				timer_update(pit);
		}
		break;
	case ACCESS_LATCH:
		break;
	}
}

static uint8_t
counter_read(struct counter *c)
{
	uint16_t v;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	v = c->latched ? c->latch : count_of(c);
	if (c->access == ACCESS_BOTH) {
		c->read_high = !c->read_high;
		if (c->read_high)
			return (uint8_t)v;
		c->latched = false;
		return (uint8_t)(v >> 8);
	}
	c->latched = false;
	return (uint8_t)(c->access == ACCESS_HIGH ? v >> 8 : v);
}

/* ---- ports ---- */

static uint64_t
pit_read(void *dev, uint64_t offset, unsigned width)
{
	struct pit *pit = dev;
	uint8_t v;

	if (offset == PIT_CONTROL)
		return 0xff;
	pthread_mutex_lock(&pit->lock);
	v = counter_read(&pit->c[offset]);
	pthread_mutex_unlock(&pit->lock);
	return v;
}

static void
pit_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct pit *pit = dev;

	pthread_mutex_lock(&pit->lock);
	if (offset == PIT_CONTROL)
		control_write(pit, (uint8_t)value);
	else
		counter_write(pit, &pit->c[offset], (uint8_t)value);
	pthread_mutex_unlock(&pit->lock);
}

static void
gate_set(struct counter *c, bool gate)
{
	if (gate == c->gate)
		return;
	if (!gate) {
		if (!is_triggered(c))
			c->held = ticks_of(c);
		c->gate = false;
		return;
	}
	c->gate = true;
	if (!c->loaded)
		return;
	if (c->mode == 0 || c->mode == 4)
		c->start_ns = lpc_clock_ns(); /* goes on */
	else
		counter_start(c);
}

static uint64_t
port61_read(void *dev, uint64_t offset, unsigned width)
{
	struct pit *pit = dev;
	uint8_t v;

	pthread_mutex_lock(&pit->lock);
	v = pit->port61;
	if ((lpc_clock_ns() / REFRESH_NS & 1) != 0)
		v |= P61_REFRESH;
	if (out_of(&pit->c[2]))
		v |= P61_OUT2;
	pthread_mutex_unlock(&pit->lock);
	return v;
}

static void
port61_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct pit *pit = dev;

	pthread_mutex_lock(&pit->lock);
	pit->port61 = (uint8_t)value & P61_WRITABLE;
	gate_set(&pit->c[2], (value & P61_GATE2) != 0);
	pthread_mutex_unlock(&pit->lock);
}

static const struct bus_ops pit_ops = { pit_read, pit_write };
static const struct bus_ops port61_ops = { port61_read, port61_write };

int
pit_create(struct vm *vm, struct pit **ret, struct error *err)
{
	struct pit *pit = alloc_zero(1, sizeof(*pit));
	const struct bus_window counters = { "PIT", PIT_PORT, 4, BUS_BYTEWISE,
		&pit_ops, pit };
	const struct bus_window port = { "port 61h", PORT_61, 1, BUS_BYTEWISE,
		&port61_ops, pit };
	int rc;

	if (pit == NULL)
		return error_set(err, ENOMEM, "PIT: out of memory");
	pit->vm = vm;
	pthread_mutex_init(&pit->lock, NULL);
	for (unsigned i = 0; i < 3; i++)
		pit->c[i] = (struct counter){ .access = ACCESS_BOTH,
			.gate = i != 2,
			.null = true,
			.reload = 65536 };
	rc = mevent_add_timer(vm_loop(vm), on_timer, pit, &pit->timer, err);
	if (rc == 0)
		vm_irq_listen(vm, on_listen, pit);
	if (rc == 0)
		rc = bus_add(vm_pio(vm), &counters, err);
	if (rc == 0)
		rc = bus_add(vm_pio(vm), &port, err);
	if (rc < 0) {
		pit_destroy(pit);
		return rc;
	}
	*ret = pit;
	return 0;
}

void
pit_destroy(struct pit *pit)
{
	if (pit == NULL)
		return;
	vm_irq_listen(pit->vm, NULL, NULL);
	bus_remove(vm_pio(pit->vm), PIT_PORT, 4, pit);
	bus_remove(vm_pio(pit->vm), PORT_61, 1, pit);
	mevent_delete(pit->timer);
	pthread_mutex_destroy(&pit->lock);
	free(pit);
}
