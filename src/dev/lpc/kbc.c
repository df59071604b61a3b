/*
 * The keyboard controller. See kbc.h. Every answer is there at once: a guest
 * that polls the status port never waits.
 */
#include "dev/lpc/kbc.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "vmm/memmap.h"

#define PORT_DATA 0x60
#define PORT_COMMAND 0x64

#define ST_OBF 0x01
#define ST_SYSTEM 0x04 /* self test passed */
#define ST_COMMAND 0x08 /* the last write was to 64h */
#define ST_UNLOCKED 0x10

#define CTR_KBD_INT 0x01
#define CTR_SYSTEM 0x04
#define CTR_AUX_OFF 0x20

#define OUT_NO_RESET 0x01
#define OUT_A20 0x02

enum {
	CMD_READ_CTR = 0x20,
	CMD_WRITE_CTR = 0x60,
	CMD_AUX_OFF = 0xa7,
	CMD_AUX_ON = 0xa8,
	CMD_AUX_TEST = 0xa9,
	CMD_SELF_TEST = 0xaa,
	CMD_KBD_TEST = 0xab,
	CMD_KBD_OFF = 0xad,
	CMD_KBD_ON = 0xae,
	CMD_READ_INPUT = 0xc0,
	CMD_READ_OUTPUT = 0xd0,
	CMD_WRITE_OUTPUT = 0xd1,
	CMD_WRITE_KBD_BUF = 0xd2,
	CMD_WRITE_AUX_BUF = 0xd3,
	CMD_WRITE_AUX = 0xd4,
	CMD_PULSE = 0xf0, /* .. ff: lines whose bit is 0 */
};

enum {
	KBD_LEDS = 0xed,
	KBD_ECHO = 0xee,
	KBD_SCAN_SET = 0xf0,
	KBD_IDENTIFY = 0xf2,
	KBD_RATE = 0xf3,
	KBD_RESET = 0xff,
	KBD_ACK = 0xfa,
};

struct kbc {
	struct vm *vm;
	pthread_mutex_t lock;
	uint8_t ctr;
	uint8_t command; /* waits for its byte at 60h; 0 = none */
	uint8_t kbd_command; /* likewise for the keyboard */
	uint8_t status; /* ST_SYSTEM, ST_COMMAND */
	bool irq;
	unsigned n;
	uint8_t out[4];
};

static void
put(struct kbc *kbc, uint8_t v)
{
	if (kbc->n < sizeof(kbc->out))
		kbc->out[kbc->n++] = v;
}

static void
irq_update(struct kbc *kbc)
{
	bool level = kbc->n > 0 && (kbc->ctr & CTR_KBD_INT) != 0;

	if (level != kbc->irq) {
		kbc->irq = level;
		vm_irq_set(kbc->vm, GSI_KBD, kbc, level);
	}
}

static void
reset(struct kbc *kbc, uint8_t v, unsigned port)
{
	char cause[48];

	str_format(
	    cause, sizeof(cause), "guest wrote 0x%02x to port 0x%x", v, port);
	vm_stop(kbc->vm, VM_STOP_RESET, cause);
}

/* ---- the keyboard ---- */

static void
keyboard_write(struct kbc *kbc, uint8_t v)
{
	if (kbc->kbd_command != 0) {
		put(kbc, KBD_ACK);
		if (kbc->kbd_command == KBD_SCAN_SET && v == 0)
			put(kbc, 2); /* the set in use */
		kbc->kbd_command = 0;
		return;
	}
	if (v == KBD_ECHO) {
		put(kbc, KBD_ECHO);
		return;
	}
	put(kbc, KBD_ACK);
	switch (v) {
	case KBD_LEDS:
	case KBD_SCAN_SET:
	case KBD_RATE:
		kbc->kbd_command = v;
		break;
	case KBD_IDENTIFY:
		put(kbc, 0xab);
		put(kbc, 0x83);
		break;
	case KBD_RESET:
		put(kbc, 0xaa);
		break;
	default:
		break;
	}
}

/* ---- the controller ---- */

static void
command_data(struct kbc *kbc, uint8_t v)
{
	uint8_t command = kbc->command;

	kbc->command = 0;
	switch (command) {
	case CMD_WRITE_CTR:
		kbc->ctr = v;
		break;
	case CMD_WRITE_OUTPUT:
		if ((v & OUT_NO_RESET) == 0)
			reset(kbc, v, PORT_DATA);
		break;
	case CMD_WRITE_KBD_BUF:
	case CMD_WRITE_AUX_BUF:
		put(kbc, v);
		break;
	default: /* for the mouse that is not there */
		break;
	}
}

static void
command_write(struct kbc *kbc, uint8_t v)
{
	kbc->command = 0;
	if (v >= CMD_PULSE) {
		if ((v & OUT_NO_RESET) == 0)
			reset(kbc, v, PORT_COMMAND);
		return;
	}
	switch (v) {
	case CMD_READ_CTR:
		put(kbc, kbc->ctr);
		break;
	case CMD_WRITE_CTR:
	case CMD_WRITE_OUTPUT:
	case CMD_WRITE_KBD_BUF:
	case CMD_WRITE_AUX_BUF:
	case CMD_WRITE_AUX:
		kbc->command = v;
		break;
	case CMD_AUX_TEST:
		put(kbc, 0x01); /* clock line stuck: no mouse */
		break;
	case CMD_SELF_TEST:
		kbc->n = 0;
		kbc->status |= ST_SYSTEM;
		kbc->ctr |= CTR_SYSTEM;
		put(kbc, 0x55);
		break;
	case CMD_KBD_TEST:
		put(kbc, 0x00);
		break;
	case CMD_READ_INPUT:
		put(kbc, 0x80); /* not locked */
		break;
	case CMD_READ_OUTPUT:
		put(kbc, OUT_NO_RESET | OUT_A20);
		break;
	default: /* on and off of the ports change nothing */
		break;
	}
}

static uint64_t
data_read(void *dev, uint64_t offset, unsigned width)
{
	struct kbc *kbc = dev;
	uint8_t v = 0;

	pthread_mutex_lock(&kbc->lock);
	if (kbc->n > 0) {
		v = kbc->out[0];
		memmove(kbc->out, kbc->out + 1, --kbc->n);
		/* One interrupt a byte: the line falls in between. */
		if (kbc->irq) {
			kbc->irq = false;
			vm_irq_set(kbc->vm, GSI_KBD, kbc, false);
		}
	}
	irq_update(kbc);
	pthread_mutex_unlock(&kbc->lock);
	return v;
}

static void
data_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct kbc *kbc = dev;

	pthread_mutex_lock(&kbc->lock);
	kbc->status &= (uint8_t)~ST_COMMAND;
	if (kbc->command != 0)
		command_data(kbc, (uint8_t)value);
	else
		keyboard_write(kbc, (uint8_t)value);
	irq_update(kbc);
	pthread_mutex_unlock(&kbc->lock);
}

static uint64_t
status_read(void *dev, uint64_t offset, unsigned width)
{
	struct kbc *kbc = dev;
	uint8_t v;

	pthread_mutex_lock(&kbc->lock);
	v = (uint8_t)(kbc->status | ST_UNLOCKED | (kbc->n > 0 ? ST_OBF : 0));
	pthread_mutex_unlock(&kbc->lock);
	return v;
}

static void
status_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct kbc *kbc = dev;

	pthread_mutex_lock(&kbc->lock);
	kbc->status |= ST_COMMAND;
	command_write(kbc, (uint8_t)value);
	irq_update(kbc);
	pthread_mutex_unlock(&kbc->lock);
}

static const struct bus_ops data_ops = { data_read, data_write };
static const struct bus_ops command_ops = { status_read, status_write };

int
kbc_create(struct vm *vm, struct kbc **ret, struct error *err)
{
	struct kbc *kbc = alloc_zero(1, sizeof(*kbc));
	const struct bus_window data = { "keyboard data", PORT_DATA, 1,
		BUS_BYTEWISE, &data_ops, kbc };
	const struct bus_window command = { "keyboard command", PORT_COMMAND, 1,
		BUS_BYTEWISE, &command_ops, kbc };
	int rc;

	if (kbc == NULL)
		return error_set(
		    err, ENOMEM, "keyboard controller: out of memory");
	kbc->vm = vm;
	kbc->ctr = CTR_AUX_OFF;
	pthread_mutex_init(&kbc->lock, NULL);
	rc = bus_add(vm_pio(vm), &data, err);
	if (rc == 0)
		rc = bus_add(vm_pio(vm), &command, err);
	if (rc < 0) {
		kbc_destroy(kbc);
		return rc;
	}
	*ret = kbc;
	return 0;
}

void
kbc_destroy(struct kbc *kbc)
{
	if (kbc == NULL)
		return;
	bus_remove(vm_pio(kbc->vm), PORT_DATA, 1, kbc);
	bus_remove(vm_pio(kbc->vm), PORT_COMMAND, 1, kbc);
	pthread_mutex_destroy(&kbc->lock);
	free(kbc);
}
