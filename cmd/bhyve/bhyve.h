/*
 * The program's two names.
 */
#ifndef CMD_BHYVE_H
#define CMD_BHYVE_H

/* pid 1 of a zone: a machine by order of zoneadmd(8); the exit status. */
int zhyve_main(void);

#endif
