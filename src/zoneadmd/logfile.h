/*
 * A log of lines with time stamps, in a folder, of bounded size: at LOGFILE_MAX
 * bytes NAME becomes NAME.0 (the older one goes). What a guest prints goes
 * through here, so lines are cut and control characters escaped; a full disk
 * loses lines, says how many bytes later, and is no error to anybody.
 */
#ifndef ZONEADMD_LOGFILE_H
#define ZONEADMD_LOGFILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define LOGFILE_MAX (1U << 20)
#define LOGFILE_LINE 1024 /* bytes of a line that are kept together */

struct logfile {
	int dir; /* borrowed; -1: nothing is written */
	const char *name;
	int fd; /* -1: not open */
	uint64_t lost; /* bytes, since the last line that was written */
	size_t len; /* of the line begun */
	char line[LOGFILE_LINE];
};

void logfile_init(struct logfile *lf, const char *name);
/* dir: of the logs, or -1; it must live as long as the log. */
void logfile_open(struct logfile *lf, int dir);
void logfile_close(struct logfile *lf); /* a line begun is ended */
/* A stream: lines end where its newlines are. */
void logfile_feed(struct logfile *lf, const void *data, size_t n);
/* One line of our own. */
void logfile_line(struct logfile *lf, const char *text);
/* Open the file anew at the next line: somebody has moved it away. */
void logfile_reopen(struct logfile *lf);

#endif
