/*
 * The five ways a machine stops: end=poweroff|reboot|halt|triple|port92|kbd|
 * button|hang|deaf (takes ACPI, not the button) on the command line.
 */
#include "guest.h"

static const char *
end_word(void)
{
	const char *s = cmdline();

	while (*s != '\0') {
		if (memcmp(s, "end=", 4) == 0)
			return s + 4;
		s++;
	}
	return "poweroff";
}

/*
 * Wait for the ACPI power button like an operating system: SCI enable, PWRBTN
 * enable, then the status bit.
 */
static void
wait_button(void)
{
	/* before ACPI is on: a button pressed from then on counts */
	outw(0x600, 1 << 8);
	outw(0x602, 1 << 8);
	outb(0xb2, 2);
	ok(inw(0x604) & 1, "ACPI enabled by SMI_CMD");
	print("# waiting for the button\n");
	while (!(inw(0x600) & 1 << 8))
		cpu_pause();
	outw(0x600, 1 << 8);
	ok(!(inw(0x600) & 1 << 8), "PWRBTN_STS clears by writing one");
	tap_done();
}

void
user_main(void)
{
	const char *e = end_word();

	print("# end=%s\n", e);
	if (strcmp(e, "button") == 0)
		wait_button();
	ok(true, "running");
	print("1..1\n");
	if (strcmp(e, "reboot") == 0)
		reboot();
	if (strcmp(e, "port92") == 0)
		outb(0x92, 1);
	if (strcmp(e, "kbd") == 0)
		outb(0x64, 0xfe);
	if (strcmp(e, "halt") == 0)
		halt_dead();
	if (strcmp(e, "triple") == 0)
		triple_fault();
	if (strcmp(e, "deaf") == 0) {
		outb(0xb2, 2);
		outw(0x602, 1 << 8);
		print("# hears nothing\n");
	}
	while (strcmp(e, "hang") == 0 || strcmp(e, "deaf") == 0)
		cpu_pause();
	power_off();
}
