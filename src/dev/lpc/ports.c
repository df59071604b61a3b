/*
 * Single ports. See ports.h.
 */
#include "dev/lpc/ports.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "dev/lpc/clock.h"

#define PORT_POST 0x80
#define PORT_A 0x92
#define PORT_DEBUG 0x402

#define A_RESET 0x01 /* a rising edge resets */
#define A_A20 0x02 /* always on here */
#define DEBUG_PRESENT 0xe9

#define LINE_SIZE 160u
#define LINES_A_SECOND 500u /* more than that from a guest is dropped */

struct ports {
	struct vm *vm;
	pthread_mutex_t lock;
	uint8_t post;
	uint8_t a;
	unsigned len;
	char line[LINE_SIZE + 1];
	uint64_t window_s;
	unsigned lines; /* in this second */
};

static uint64_t
post_read(void *dev, uint64_t offset, unsigned width)
{
	struct ports *p = dev;

	return __atomic_load_n(&p->post, __ATOMIC_RELAXED);
}

static void
post_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct ports *p = dev;

	__atomic_store_n(&p->post, (uint8_t)value, __ATOMIC_RELAXED);
}

static uint64_t
a_read(void *dev, uint64_t offset, unsigned width)
{
	struct ports *p = dev;
	uint8_t v;

	pthread_mutex_lock(&p->lock);
	v = p->a | A_A20;
	pthread_mutex_unlock(&p->lock);
	return v;
}

static void
a_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct ports *p = dev;
	char cause[48];
	bool reset;

	pthread_mutex_lock(&p->lock);
	reset = (value & A_RESET) != 0 && (p->a & A_RESET) == 0;
	p->a = (uint8_t)value;
	pthread_mutex_unlock(&p->lock);
	if (!reset)
		return;
	str_format(cause, sizeof(cause), "guest wrote 0x%02x to port 0x92",
	    (unsigned)value & 0xff);
	vm_stop(p->vm, VM_STOP_RESET, cause);
}

static uint64_t
debug_read(void *dev, uint64_t offset, unsigned width)
{
	return DEBUG_PRESENT;
}

static void
line_flush(struct ports *p)
{
	uint64_t s = lpc_clock_ns() / NS_PER_S;

	if (s != p->window_s) {
		p->window_s = s;
		p->lines = 0;
	}
	p->line[p->len] = '\0';
	if (p->len > 0 && p->lines++ < LINES_A_SECOND)
		log_debug("firmware", "%s", p->line);
	p->len = 0;
}

static void
debug_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct ports *p = dev;
	char c = (char)value;

	if (!log_enabled(LOG_DEBUG))
		return;
	pthread_mutex_lock(&p->lock);
	if (c == '\n' || c == '\0' || p->len == LINE_SIZE)
		line_flush(p);
	if (c != '\n' && c != '\r' && c != '\0')
		p->line[p->len++] = c;
	pthread_mutex_unlock(&p->lock);
}

static const struct bus_ops post_ops = { post_read, post_write };
static const struct bus_ops a_ops = { a_read, a_write };
static const struct bus_ops debug_ops = { debug_read, debug_write };

static const struct {
	const char *name;
	uint16_t port;
	const struct bus_ops *ops;
} rows[] = {
	{ "POST code", PORT_POST, &post_ops },
	{ "system control A", PORT_A, &a_ops },
	{ "debug console", PORT_DEBUG, &debug_ops },
};

int
ports_create(struct vm *vm, struct ports **ret, struct error *err)
{
	struct ports *p = alloc_zero(1, sizeof(*p));
	int rc = 0;

	if (p == NULL)
		return error_set(err, ENOMEM, "ports: out of memory");
	p->vm = vm;
	pthread_mutex_init(&p->lock, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++) {
		const struct bus_window win = { rows[i].name, rows[i].port, 1,
			BUS_BYTEWISE, rows[i].ops, p };

		rc = bus_add(vm_pio(vm), &win, err);
	}
	if (rc < 0) {
		ports_destroy(p);
		return rc;
	}
	*ret = p;
	return 0;
}

void
ports_destroy(struct ports *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		bus_remove(vm_pio(p->vm), rows[i].port, 1, p);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
