/*
 * A guest that is a wire between its two serial ports: who has its console
 * speaks on its second port. Nothing of its own is said.
 */
#include "guest.h"

#define COM1 0x3f8
#define COM2 0x2f8
#define LSR 5
#define LSR_READY 1
#define LSR_EMPTY 0x20

static void
pass(uint16_t from, uint16_t to)
{
	if ((inb(from + LSR) & LSR_READY) != 0 &&
	    (inb(to + LSR) & LSR_EMPTY) != 0)
		outb(to, inb(from));
}

void
user_main(void)
{
	for (;;) {
		pass(COM1, COM2);
		pass(COM2, COM1);
		cpu_pause();
	}
}
