/*
 * A guest for the other end of its serial port: it sends back in brackets what
 * it reads, a line at a time ("end" powers it off), or with "flood" on its
 * command line prints for ever.
 */
#include "guest.h"

#define COM1 0x3f8
#define LSR (COM1 + 5)

static char
get(void)
{
	while ((inb(LSR) & 1) == 0)
		cpu_pause();
	return (char)inb(COM1);
}

static void
echo_lines(void)
{
	char line[64];
	unsigned n = 0;

	print("ECHO\n");
	for (;;) {
		line[n] = get();
		if (line[n] != '\r' && line[n] != '\n') {
			n += n < sizeof(line) - 1;
			continue;
		}
		line[n] = '\0';
		print("[%s]\n", line);
		if (memcmp(line, "end", 4) == 0)
			power_off();
		n = 0;
	}
}

void
user_main(void)
{
	if (memcmp(cmdline(), "flood", 5) != 0)
		echo_lines();
	for (;;)
		print("a line of a guest that never stops talking, \x1b[31m"
		      "with a colour in it\n");
}
