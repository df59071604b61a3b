/*
 * An idle guest: devices as found, every CPU in HLT with interrupts on and
 * nothing armed. For counting the monitor's wake-ups and its memory.
 */
#include "guest.h"

void
user_main(void)
{
	lapic_enable();
	/* one unmasked pin, as every operating system has (the keyboard's) */
	ioapic_route(1, 0x40, lapic_id());
	print("IDLE\n");
	sti();
	for (;;)
		halt_wait();
}
