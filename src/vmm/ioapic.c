/*
 * What a redirection entry says is turned into the address and data that an
 * MSI would have; the engines know no other form. SMI and ExtINT entries send
 * nothing: there is no SMM, and the PIC's INT goes to the boot processor
 * directly (virtual wire).
 */
#include "vmm/ioapic.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "vmm/memmap.h"

#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define REG_EOI 0x40
#define IOAPIC_WINDOW_SIZE 0x1000

#define INDEX_ID 0
#define INDEX_VERSION 1
#define INDEX_ARBITRATION 2
#define INDEX_REDIR 0x10

#define IOAPIC_VERSION 0x20

#define RTE_VECTOR UINT64_C(0xff)
#define RTE_MODE(e) (((e) >> 8) & 7)
#define RTE_LOGICAL UINT64_C(0x800)
#define RTE_REMOTE_IRR UINT64_C(0x4000)
#define RTE_LEVEL UINT64_C(0x8000)
#define RTE_MASKED UINT64_C(0x10000)
#define RTE_DEST(e) ((e) >> 56)
/* vector, mode, logical, polarity, trigger, mask; destination */
#define RTE_WRITABLE UINT64_C(0xff0000000001afff)

enum delivery {
	DELIVER_FIXED = 0,
	DELIVER_LOWEST = 1,
	DELIVER_SMI = 2,
	DELIVER_NMI = 4,
	DELIVER_INIT = 5,
	DELIVER_EXTINT = 7,
};

struct ioapic {
	pthread_mutex_t lock;
	struct ioapic_client client;
	uint64_t rte[IOAPIC_PINS];
	uint32_t lines; /* input levels */
	uint8_t select;
	uint8_t id;
	_Atomic uint32_t unmasked; /* pins */
};

static uint64_t
rte_msi_addr(uint64_t rte)
{
	uint64_t addr = MEMMAP_LAPIC | (RTE_DEST(rte) << 12);

	if (rte & RTE_LOGICAL)
		addr |= 1u << 2;
	if (RTE_MODE(rte) == DELIVER_LOWEST)
		addr |= 1u << 3; /* redirection hint */
	return addr;
}

/* NMI and INIT are edge-triggered whatever the entry says. */
static bool
rte_is_level(uint64_t rte)
{
	return (rte & RTE_LEVEL) &&
	    (RTE_MODE(rte) == DELIVER_FIXED || RTE_MODE(rte) == DELIVER_LOWEST);
}

static uint32_t
rte_msi_data(uint64_t rte)
{
	uint32_t data = (uint32_t)(rte & 0x7ff); /* vector and mode */

	if (rte_is_level(rte))
		data |= 1u << 15;
	return data | 1u << 14; /* assert */
}

static bool
rte_sends(uint64_t rte)
{
	switch (RTE_MODE(rte)) {
	case DELIVER_FIXED:
	case DELIVER_LOWEST:
	case DELIVER_NMI:
	case DELIVER_INIT:
		return true;
	default:
		return false;
	}
}

/* Send a pin's message if nothing holds it back. */
static void
ioapic_service_locked(struct ioapic *io, unsigned pin)
{
	uint64_t *rte = &io->rte[pin];
	int taken;

	if ((*rte & RTE_MASKED) || !rte_sends(*rte))
		return;
	if (rte_is_level(*rte) && (*rte & RTE_REMOTE_IRR))
		return;
	taken = io->client.msi(
	    io->client.arg, rte_msi_addr(*rte), rte_msi_data(*rte));
	/* Refused by everybody, it will never see an EOI. */
	if (rte_is_level(*rte) && taken > 0)
		*rte |= RTE_REMOTE_IRR;
}

void
ioapic_set_line(struct ioapic *io, unsigned pin, bool level)
{
	uint32_t bit = UINT32_C(1) << pin;
	bool rises;

	if (pin >= IOAPIC_PINS)
		return;
	pthread_mutex_lock(&io->lock);
	rises = level && (io->lines & bit) == 0;
	io->lines = level ? io->lines | bit : io->lines & ~bit;
	/* An edge on a masked pin is lost, as in the chip. */
	if (rises)
		ioapic_service_locked(io, pin);
	pthread_mutex_unlock(&io->lock);
}

static void
ioapic_eoi_locked(struct ioapic *io, uint8_t vector)
{
	unsigned pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if ((io->rte[pin] & RTE_VECTOR) != vector ||
		    !(io->rte[pin] & RTE_REMOTE_IRR))
			continue;
		io->rte[pin] &= ~RTE_REMOTE_IRR;
		if (io->lines & (UINT32_C(1) << pin))
			ioapic_service_locked(io, pin);
	}
}

void
ioapic_eoi(struct ioapic *io, uint8_t vector)
{
	pthread_mutex_lock(&io->lock);
	ioapic_eoi_locked(io, vector);
	pthread_mutex_unlock(&io->lock);
}

bool
ioapic_notices(const struct ioapic *io, unsigned pin)
{
	return atomic_load(&io->unmasked) >> pin & 1;
}

bool
ioapic_is_masked(const struct ioapic *io)
{
	return atomic_load(&io->unmasked) == 0;
}

static void
ioapic_route_locked(struct ioapic *io, unsigned pin)
{
	uint64_t rte = io->rte[pin];

	io->client.route(io->client.arg, pin, rte_msi_addr(rte),
	    rte_msi_data(rte), (rte & RTE_MASKED) || !rte_sends(rte));
}

/* ---- registers ---- */

static void
ioapic_write_rte_locked(struct ioapic *io, unsigned index, uint32_t value)
{
	unsigned pin = (index - INDEX_REDIR) / 2;
	unsigned shift = (index & 1) ? 32 : 0;
	uint64_t old = io->rte[pin], writable;
	uint32_t bit = UINT32_C(1) << pin;

	writable = RTE_WRITABLE & (UINT64_C(0xffffffff) << shift);
	io->rte[pin] =
	    (old & ~writable) | (((uint64_t)value << shift) & writable);
	/* Turning a pin to edge drops its remote IRR: Linux relies on it. */
	if (!rte_is_level(io->rte[pin]))
		io->rte[pin] &= ~RTE_REMOTE_IRR;
	if (io->rte[pin] & RTE_MASKED)
		atomic_fetch_and(&io->unmasked, ~bit);
	else
		atomic_fetch_or(&io->unmasked, bit);
	if (io->rte[pin] == old)
		return;
	ioapic_route_locked(io, pin);
	if (rte_is_level(io->rte[pin]) && (io->lines & bit))
		ioapic_service_locked(io, pin);
}

static void
ioapic_write_window_locked(struct ioapic *io, uint32_t value)
{
	unsigned index = io->select;

	if (index == INDEX_ID)
		io->id = (value >> 24) & 0xf;
	else if (index >= INDEX_REDIR && index < INDEX_REDIR + 2 * IOAPIC_PINS)
		ioapic_write_rte_locked(io, index, value);
}

static uint32_t
ioapic_read_window_locked(const struct ioapic *io)
{
	unsigned index = io->select, pin;

	if (index == INDEX_ID || index == INDEX_ARBITRATION)
		return (uint32_t)io->id << 24;
	if (index == INDEX_VERSION)
		return (IOAPIC_PINS - 1) << 16 | IOAPIC_VERSION;
	if (index < INDEX_REDIR || index >= INDEX_REDIR + 2 * IOAPIC_PINS)
		return 0;
	pin = (index - INDEX_REDIR) / 2;
	return (uint32_t)(io->rte[pin] >> ((index & 1) ? 32 : 0));
}

/* The index register is a byte wide, the window and EOI are doublewords. */
static void
ioapic_mmio_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct ioapic *io = dev;
	uint32_t was, is;

	was = atomic_load(&io->unmasked);
	pthread_mutex_lock(&io->lock);
	if (offset == REG_SELECT)
		io->select = (uint8_t)value;
	else if (offset == REG_WINDOW && width >= 4)
		ioapic_write_window_locked(io, (uint32_t)value);
	else if (offset == REG_EOI)
		ioapic_eoi_locked(io, (uint8_t)value);
	pthread_mutex_unlock(&io->lock);
	is = atomic_load(&io->unmasked);
	if ((was == 0) != (is == 0) && io->client.masks_changed != NULL)
		io->client.masks_changed(io->client.arg);
	if ((is & ~was) != 0 && io->client.listens != NULL)
		io->client.listens(io->client.arg);
}

static uint64_t
ioapic_mmio_read(void *dev, uint64_t offset, unsigned width)
{
	struct ioapic *io = dev;
	uint32_t v = 0;

	pthread_mutex_lock(&io->lock);
	if (offset == REG_SELECT)
		v = io->select;
	else if (offset == REG_WINDOW)
		v = ioapic_read_window_locked(io);
	pthread_mutex_unlock(&io->lock);
	return v;
}

/* ---- state ---- */

void
ioapic_get_state(struct ioapic *io, struct ioapic_state *ret)
{
	*ret = (struct ioapic_state){ .version = IOAPIC_STATE_VERSION };
	pthread_mutex_lock(&io->lock);
	ret->lines = io->lines;
	ret->select = io->select;
	ret->id = io->id;
	memcpy(ret->rte, io->rte, sizeof(ret->rte));
	pthread_mutex_unlock(&io->lock);
}

static bool
ioapic_state_is_valid(const struct ioapic_state *st)
{
	unsigned pin;

	if (st->version != IOAPIC_STATE_VERSION ||
	    st->lines >> IOAPIC_PINS != 0 || st->id > 15)
		return false;
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		if ((st->rte[pin] & ~(RTE_WRITABLE | RTE_REMOTE_IRR)) != 0 ||
		    ((st->rte[pin] & RTE_REMOTE_IRR) &&
			!rte_is_level(st->rte[pin])))
			return false;
	return true;
}

int
ioapic_set_state(struct ioapic *io, const struct ioapic_state *st)
{
	uint32_t unmasked = 0;
	unsigned pin;
	bool was;

	if (!ioapic_state_is_valid(st))
		return -EINVAL;
	was = ioapic_is_masked(io);
	pthread_mutex_lock(&io->lock);
	io->lines = st->lines;
	io->select = st->select;
	io->id = st->id;
	memcpy(io->rte, st->rte, sizeof(io->rte));
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if (!(io->rte[pin] & RTE_MASKED))
			unmasked |= UINT32_C(1) << pin;
		ioapic_route_locked(io, pin);
	}
	atomic_store(&io->unmasked, unmasked);
	pthread_mutex_unlock(&io->lock);
	if (was != (unmasked == 0) && io->client.masks_changed != NULL)
		io->client.masks_changed(io->client.arg);
	return 0;
}

static const struct bus_ops ioapic_ops = { ioapic_mmio_read,
	ioapic_mmio_write };

int
ioapic_create(const struct ioapic_client *client, struct ioapic **ret)
{
	struct ioapic *io;
	unsigned pin;

	io = alloc_zero(1, sizeof(*io));
	if (io == NULL)
		return -ENOMEM;
	pthread_mutex_init(&io->lock, NULL);
	io->client = *client;
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		io->rte[pin] = RTE_MASKED;
	*ret = io;
	return 0;
}

void
ioapic_destroy(struct ioapic *io)
{
	if (io == NULL)
		return;
	pthread_mutex_destroy(&io->lock);
	free(io);
}

int
ioapic_attach(struct ioapic *io, struct bus *mmio, struct error *err)
{
	const struct bus_window win = { "ioapic", MEMMAP_IOAPIC,
		IOAPIC_WINDOW_SIZE, BUS_WANY, &ioapic_ops, io };

	return bus_add(mmio, &win, err);
}
