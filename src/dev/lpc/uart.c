/*
 * The 16550A. See uart.h.
 */
#include "dev/lpc/uart.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/tty/tty.h"

#define UART_PORTS 8
#define FIFO_SIZE 16u
/* Input that waits for the FIFO, so that the loop is not woken for 16 bytes. */
#define STAGE_SIZE 1024u
/*
 * So much without a pause. A receiver that is full again whenever it was read
 * keeps its guest in the interrupt handler: Linux gives up after 512 times 256
 * bytes, and then waits for an edge that the busy line never makes.
 */
#define BURST_SIZE 256u
#define PAUSE_MIN_NS UINT64_C(50000)
#define PAUSE_MAX_NS UINT64_C(2000000)

/* Register offsets (8.0, table II) */
#define REG_DATA 0 /* RBR, THR; divisor low when DLAB */
#define REG_IER 1 /* divisor high when DLAB */
#define REG_IIR 2 /* written: FCR */
#define REG_LCR 3
#define REG_MCR 4
#define REG_LSR 5
#define REG_MSR 6
#define REG_SCR 7

#define IER_RDA 0x01
#define IER_THRE 0x02
#define IER_LSR 0x04
#define IER_MSR 0x08
#define IER_MASK 0x0f

/* 8.6, table IV; lower rows only when the higher ones are quiet */
#define IIR_NONE 0x01
#define IIR_LSR 0x06
#define IIR_RDA 0x04
#define IIR_TIMEOUT 0x0c
#define IIR_THRE 0x02
#define IIR_MSR 0x00
#define IIR_FIFOS 0xc0

#define FCR_ENABLE 0x01
#define FCR_CLEAR_RX 0x02
#define FCR_CLEAR_TX 0x04
#define FCR_KEEP 0xc9 /* enable, DMA mode, trigger */
#define FCR_TRIGGER_SHIFT 6

#define LCR_DLAB 0x80

#define MCR_DTR 0x01
#define MCR_RTS 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DR 0x01
#define LSR_OE 0x02
#define LSR_THRE 0x20
#define LSR_TEMT 0x40

#define MSR_TERI 0x04
#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI 0x40
#define MSR_DCD 0x80
#define MSR_LINES 0xf0
#define MSR_DELTAS 0x0f

struct uart {
	struct vm *vm;
	unsigned gsi;
	uint16_t port;
	struct tty *tty;

	pthread_mutex_t lock;
	uint8_t ier, lcr, mcr, scr, fcr, dll, dlm;
	uint8_t msr;
	bool overrun; /* only ever by the guest's own loopback */
	bool thre_pending;
	bool irq;
	bool stopped; /* the back end was told to wait */
	bool discard; /* the receiver was reset */
	bool pausing; /* a burst is over; what is staged waits */
	unsigned burst; /* bytes since the receiver was empty */
	uint64_t burst_at; /* when the first came */
	struct mevent *pause; /* timer */
	unsigned rx_at, rx_len;
	unsigned tx_len; /* bytes that the back end had no room for */
	unsigned stage_at, stage_len;
	uint8_t rx[FIFO_SIZE], tx[FIFO_SIZE];
	uint8_t stage[STAGE_SIZE];
};

static unsigned
fifo_depth(const struct uart *u)
{
	return (u->fcr & FCR_ENABLE) != 0 ? FIFO_SIZE : 1;
}

static unsigned
rx_trigger(const struct uart *u)
{
	static const uint8_t levels[4] = { 1, 4, 8, 14 };

	return (u->fcr & FCR_ENABLE) != 0 ? levels[u->fcr >> FCR_TRIGGER_SHIFT]
					  : 1;
}

static uint8_t
iir_value(const struct uart *u)
{
	if ((u->ier & IER_LSR) != 0 && u->overrun)
		return IIR_LSR;
	if ((u->ier & IER_RDA) != 0 && u->rx_len >= rx_trigger(u))
		return IIR_RDA;
	/* Nothing more is coming right now, so the time-out has passed. */
	if ((u->ier & IER_RDA) != 0 && u->rx_len > 0)
		return IIR_TIMEOUT;
	if ((u->ier & IER_THRE) != 0 && u->thre_pending)
		return IIR_THRE;
	if ((u->ier & IER_MSR) != 0 && (u->msr & MSR_DELTAS) != 0)
		return IIR_MSR;
	return IIR_NONE;
}

/* In loopback the pin OUT2 is inactive, whatever the register says (8.7). */
static void
irq_update(struct uart *u)
{
	bool level = iir_value(u) != IIR_NONE &&
	    (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

	if (level != u->irq) {
		u->irq = level;
		vm_irq_set(u->vm, u->gsi, u, level);
	}
}

/* ---- receiver ---- */

static void
rx_push(struct uart *u, uint8_t byte)
{
	if (u->rx_len == fifo_depth(u)) {
		u->overrun = true;
		/* Without FIFO the new character replaces the old (8.4). */
		if ((u->fcr & FCR_ENABLE) == 0)
			u->rx[u->rx_at] = byte;
		return;
	}
	u->rx[(u->rx_at + u->rx_len++) % FIFO_SIZE] = byte;
}

static void
rx_fill(struct uart *u)
{
	if ((u->mcr & MCR_LOOP) != 0)
		return;
	if (u->burst == 0 && u->stage_len > 0)
		u->burst_at = mevent_now_ns();
	while (!u->pausing && u->stage_len > 0 && u->rx_len < fifo_depth(u)) {
		rx_push(u, u->stage[u->stage_at]);
		u->stage_at = (u->stage_at + 1) % STAGE_SIZE;
		u->stage_len--;
		u->pausing = ++u->burst == BURST_SIZE;
	}
	if (u->stopped && u->stage_len <= STAGE_SIZE / 2) {
		u->stopped = false;
		tty_resume(u->tty);
	}
}

/*
 * The guest has taken what there was. After a burst its time is its own for as
 * long as the burst took, whatever its speed is.
 */
static void
rx_emptied(struct uart *u)
{
	uint64_t took = mevent_now_ns() - u->burst_at;

	u->burst = 0;
	if (u->pausing &&
	    mevent_timer_set(
		u->pause, MAX(MIN(took, PAUSE_MAX_NS), PAUSE_MIN_NS), 0) < 0)
		u->pausing = false;
}

static void
on_pause_end(void *arg, uint64_t expirations)
{
	struct uart *u = arg;

	pthread_mutex_lock(&u->lock);
	u->pausing = false;
	rx_fill(u);
	irq_update(u);
	pthread_mutex_unlock(&u->lock);
}

static uint8_t
rx_pop(struct uart *u)
{
	uint8_t byte = 0;

	if (u->rx_len > 0) {
		byte = u->rx[u->rx_at];
		u->rx_at = (u->rx_at + 1) % FIFO_SIZE;
		u->rx_len--;
		rx_fill(u);
		if (u->rx_len == 0)
			rx_emptied(u);
	}
	return byte;
}

static size_t
on_input(void *arg, const uint8_t *data, size_t n)
{
	struct uart *u = arg;
	size_t take;

	pthread_mutex_lock(&u->lock);
	take = MIN(n, STAGE_SIZE - u->stage_len);
	for (size_t i = 0; i < take; i++)
		u->stage[(u->stage_at + u->stage_len++) % STAGE_SIZE] = data[i];
	rx_fill(u);
	u->stopped = take < n;
	irq_update(u);
	pthread_mutex_unlock(&u->lock);
	return take;
}

/* ---- transmitter ---- */

static void
tx_byte(struct uart *u, uint8_t byte)
{
	u->thre_pending = false;
	if ((u->mcr & MCR_LOOP) != 0) {
		rx_push(u, byte);
		u->thre_pending = true;
	} else if (u->tx_len > 0 || tty_write(u->tty, &byte, 1) == 0) {
		/* A guest that does not wait for THRE loses its own bytes. */
		if (u->tx_len < fifo_depth(u))
			u->tx[u->tx_len++] = byte;
	} else {
		u->thre_pending = true;
	}
}

static void
on_writable(void *arg)
{
	struct uart *u = arg;
	size_t n;

	pthread_mutex_lock(&u->lock);
	if (u->tx_len > 0) {
		n = tty_write(u->tty, u->tx, u->tx_len);
		u->tx_len -= (unsigned)n;
		for (unsigned i = 0; n > 0 && i < u->tx_len; i++)
			u->tx[i] = u->tx[i + n];
		u->thre_pending = u->tx_len == 0;
	}
	irq_update(u);
	pthread_mutex_unlock(&u->lock);
}

/* ---- registers ---- */

/* The lines as the guest sees them: in loopback its own outputs (8.7). */
static uint8_t
msr_lines(const struct uart *u)
{
	uint8_t v = 0;

	if ((u->mcr & MCR_LOOP) == 0)
		return MSR_DCD | MSR_DSR | MSR_CTS;
	if ((u->mcr & MCR_RTS) != 0)
		v |= MSR_CTS;
	if ((u->mcr & MCR_DTR) != 0)
		v |= MSR_DSR;
	if ((u->mcr & MCR_OUT1) != 0)
		v |= MSR_RI;
	if ((u->mcr & MCR_OUT2) != 0)
		v |= MSR_DCD;
	return v;
}

/* Deltas: any change of a line, except RI, where only its end counts. */
static void
msr_update(struct uart *u)
{
	uint8_t lines = msr_lines(u);
	uint8_t delta = (uint8_t)((lines ^ u->msr) & MSR_LINES) >> 4;

	if ((lines & MSR_RI) != 0)
		delta &= (uint8_t)~MSR_TERI;
	u->msr = (uint8_t)(lines | (u->msr & MSR_DELTAS) | delta);
}

static uint8_t
iir_read(struct uart *u)
{
	uint8_t v = iir_value(u);

	if (v == IIR_THRE)
		u->thre_pending = false;
	return (u->fcr & FCR_ENABLE) != 0 ? v | IIR_FIFOS : v;
}

static uint8_t
lsr_read(struct uart *u)
{
	uint8_t v = 0;

	if (u->rx_len > 0)
		v |= LSR_DR;
	if (u->overrun)
		v |= LSR_OE;
	if (u->tx_len == 0)
		v |= LSR_THRE | LSR_TEMT;
	u->overrun = false;
	return v;
}

static uint8_t
msr_read(struct uart *u)
{
	uint8_t v = u->msr;

	u->msr &= MSR_LINES;
	return v;
}

static uint8_t
reg_read(struct uart *u, unsigned reg)
{
	bool dlab = (u->lcr & LCR_DLAB) != 0;

	switch (reg) {
	case REG_DATA:
		return dlab ? u->dll : rx_pop(u);
	case REG_IER:
		return dlab ? u->dlm : u->ier;
	case REG_IIR:
		return iir_read(u);
	case REG_LCR:
		return u->lcr;
	case REG_MCR:
		return u->mcr;
	case REG_LSR:
		return lsr_read(u);
	case REG_MSR:
		return msr_read(u);
	default:
		return u->scr;
	}
}

static uint64_t
uart_read(void *dev, uint64_t offset, unsigned width)
{
	struct uart *u = dev;
	uint8_t v;

	pthread_mutex_lock(&u->lock);
	v = reg_read(u, (unsigned)offset);
	irq_update(u);
	pthread_mutex_unlock(&u->lock);
	return v;
}

static void
ier_write(struct uart *u, uint8_t v)
{
	/* Enabling it with an empty transmitter interrupts at once. */
	if ((v & IER_THRE) != 0 && (u->ier & IER_THRE) == 0 && u->tx_len == 0)
		u->thre_pending = true;
	u->ier = v & IER_MASK;
}

static void
rx_reset(struct uart *u)
{
	if (u->rx_len > 0)
		rx_emptied(u);
	u->rx_len = 0;
	u->rx_at = 0;
	u->overrun = false;
}

/*
 * With the FIFO goes what would be in it next: answers to a program that is no
 * longer there. (bhyve does so, too.) The lock is not held.
 */
static void
rx_discard(struct uart *u)
{
	if (!tty_discard(u->tty))
		return;
	pthread_mutex_lock(&u->lock);
	rx_reset(u);
	u->stage_len = 0;
	rx_fill(u); /* the back end need not wait */
	irq_update(u);
	pthread_mutex_unlock(&u->lock);
}

/* 8.5: switching the FIFOs on or off empties them. */
static void
fcr_write(struct uart *u, uint8_t v)
{
	bool toggled = ((v ^ u->fcr) & FCR_ENABLE) != 0;

	if (toggled ||
	    (v & (FCR_ENABLE | FCR_CLEAR_RX)) == (FCR_ENABLE | FCR_CLEAR_RX)) {
		rx_reset(u);
		u->discard = true;
	}
	if (toggled ||
	    (v & (FCR_ENABLE | FCR_CLEAR_TX)) == (FCR_ENABLE | FCR_CLEAR_TX)) {
		if (u->tx_len > 0)
			u->thre_pending = true;
		u->tx_len = 0;
	}
	u->fcr = (v & FCR_ENABLE) != 0 ? v & FCR_KEEP : 0;
	rx_fill(u);
}

static void
reg_write(struct uart *u, unsigned reg, uint8_t v)
{
	bool dlab = (u->lcr & LCR_DLAB) != 0;

	switch (reg) {
	case REG_DATA:
		if (dlab)
			u->dll = v;
		else
			tx_byte(u, v);
		break;
	case REG_IER:
		if (dlab)
			u->dlm = v;
		else
			ier_write(u, v);
		break;
	case REG_IIR:
		fcr_write(u, v);
		break;
	case REG_LCR:
		u->lcr = v;
		break;
	case REG_MCR:
		u->mcr = v & MCR_MASK;
		msr_update(u);
		rx_fill(u);
		break;
	case REG_SCR:
		u->scr = v;
		break;
	default: /* LSR and MSR: "factory testing only" */
		break;
	}
}

static void
uart_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct uart *u = dev;
	bool discard;

	pthread_mutex_lock(&u->lock);
	reg_write(u, (unsigned)offset, (uint8_t)value);
	discard = u->discard;
	u->discard = false;
	irq_update(u);
	pthread_mutex_unlock(&u->lock);
	if (discard)
		rx_discard(u);
}

static const struct bus_ops uart_bus_ops = { uart_read, uart_write };
static const struct tty_ops uart_tty_ops = {
	.input = on_input,
	.writable = on_writable,
};

/* ---- life ---- */

int
uart_create(struct vm *vm, const char *name, uint16_t port, unsigned gsi,
    const char *spec, struct uart **ret, struct error *err)
{
	struct uart *u = alloc_zero(1, sizeof(*u));
	const struct bus_window win = { name, port, UART_PORTS, BUS_BYTEWISE,
		&uart_bus_ops, u };
	int rc;

	if (u == NULL)
		return error_set(err, ENOMEM, "%s: out of memory", name);
	u->vm = vm;
	u->gsi = gsi;
	u->port = port;
	u->dll = 1; /* 115200 */
	u->msr = msr_lines(u);
	pthread_mutex_init(&u->lock, NULL);
	rc = mevent_add_timer(vm_loop(vm), on_pause_end, u, &u->pause, err);
	if (rc == 0)
		rc = tty_open(
		    vm_loop(vm), spec, name, &uart_tty_ops, u, &u->tty, err);
	if (rc == 0) {
		rc = bus_add(vm_pio(vm), &win, err);
		if (rc < 0)
			tty_close(u->tty);
	}
	if (rc < 0) {
		mevent_delete(u->pause);
		pthread_mutex_destroy(&u->lock);
		free(u);
		return rc;
	}
	*ret = u;
	return 0;
}

void
uart_destroy(struct uart *u)
{
	if (u == NULL)
		return;
	bus_remove(vm_pio(u->vm), u->port, UART_PORTS, u);
	tty_close(u->tty);
	mevent_delete(u->pause);
	if (u->irq)
		vm_irq_set(u->vm, u->gsi, u, false);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

int
uart_wait_client(struct uart *u, struct error *err)
{
	return tty_wait_client(u->tty, err);
}
