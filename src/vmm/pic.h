/*
 * The PC's pair of 8259A interrupt controllers with the edge/level control
 * registers. Sources: Intel 8259A datasheet (231468); Intel ICH9 datasheet
 * 5.8 and 13.4 (ports, ELCR 4d0h/4d1h, fixed edge inputs 0, 1, 2, 8, 13).
 *
 * Threads: every function may be called from any thread. 'out' is called with
 * the controller's lock held and must not call back.
 */
#ifndef VMM_PIC_H
#define VMM_PIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "vmm/bus.h"

struct pic;

struct pic_client {
	void (*out)(void *arg, bool level); /* the INT output changed */
	/* A register write changed what pic_is_masked() says; no lock held. */
	void (*masks_changed)(void *arg);
	/* pic_notices() may be true again; no lock held. */
	void (*listens)(void *arg);
	void *arg;
};

/* As after power-on: masked and without effect until the guest sets it up. */
int pic_create(const struct pic_client *client, struct pic **ret);
void pic_destroy(struct pic *pic); /* NULL is allowed */
/* Put ports 20h, 21h, a0h, a1h, 4d0h, 4d1h on the bus. */
int pic_attach(struct pic *pic, struct bus *pio, struct error *err);

/* Level of input irq, 0-15; 2 is the cascade and is ignored. */
void pic_set_line(struct pic *pic, unsigned irq, bool level);
/* INTA cycle: the vector, or -1 (and no cycle) when INT is low. */
int pic_ack(struct pic *pic);
/* The same whatever INT is: without a request the spurious IRQ 7 or 15. */
uint8_t pic_inta(struct pic *pic);
/*
 * Would an edge on the input change anything? Masked or not, it is latched, but
 * while one is latched, more are lost.
 */
bool pic_notices(struct pic *pic, unsigned irq);
/* No input can reach INT. Lock-free. */
bool pic_is_masked(const struct pic *pic);

/* Everything that the pair keeps: master, slave. Plain data. */
#define PIC_STATE_VERSION 1
enum {
	PIC_READY = 1 << 0, /* was initialised */
	PIC_SINGLE = 1 << 1,
	PIC_WANT_ICW4 = 1 << 2,
	PIC_AUTO_EOI = 1 << 3,
	PIC_ROTATE_AUTO = 1 << 4,
	PIC_FULLY_NESTED = 1 << 5,
	PIC_SPECIAL_MASK = 1 << 6,
	PIC_READ_ISR = 1 << 7,
	PIC_POLL = 1 << 8,
};
struct pic_state {
	uint32_t version;
	struct {
		uint8_t lines; /* input levels */
		uint8_t irr, isr, imr, elcr;
		uint8_t base; /* ICW2 */
		uint8_t lowest; /* input of lowest priority */
		uint8_t icw; /* 2-4: the next ICW, 0: none is expected */
		uint16_t flags; /* PIC_* */
	} chip[2];
};

/*
 * For a paused machine; set calls the client where something differs. -EINVAL:
 * another version, or what the chips cannot be in.
 */
void pic_get_state(struct pic *pic, struct pic_state *ret);
int pic_set_state(struct pic *pic, const struct pic_state *st);

#endif
