/*
 * Time-stamped, structured log. One event is one line and one write(2), so
 * that lines of several threads or processes never mix. Two forms:
 *
 *   human  2026-11-22T17:14:29.123456Z info  vmm: guest powered off cpu=0
 *   json   {"time":"...","level":"info","subsys":"vmm",
 *           "msg":"guest powered off","cpu":"0"}
 *
 * Thread-safe. Control characters and invalid UTF-8 in any text are escaped,
 * so a guest that gets a string into a log cannot forge a line.
 * Guest-triggered messages must go through log_ratelimited().
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_HUMAN, LOG_JSON };

/* A field: key and value are texts; NULL key ends the list. */
struct log_field {
	const char *key;
	const char *value;
};

/*
 * Where and how the process logs; the default is stderr, human, LOG_INFO. fd
 * is borrowed and must outlive the use of the log. On a terminal, which may be
 * in raw mode for a guest's console, lines end with a carriage return too.
 */
void log_setup(int fd, enum log_format format, enum log_level max_level);
bool log_enabled(enum log_level level);
int log_level_parse(const char *name, enum log_level *ret);

/* subsys: short name of the part that speaks ("kvm", "virtio-blk 0:4:0"). */
void log_msg(enum log_level level, const char *subsys, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void log_event(enum log_level level, const char *subsys, const char *msg,
    const struct log_field *fields);

#define log_err(subsys, ...) log_msg(LOG_ERR, subsys, __VA_ARGS__)
#define log_warn(subsys, ...) log_msg(LOG_WARN, subsys, __VA_ARGS__)
#define log_info(subsys, ...) log_msg(LOG_INFO, subsys, __VA_ARGS__)
#define log_debug(subsys, ...)                                   \
	do {                                                     \
		if (log_enabled(LOG_DEBUG))                      \
			log_msg(LOG_DEBUG, subsys, __VA_ARGS__); \
	} while (0)

/*
 * For messages that a guest can cause: at most 8 a second per call site;
 * a line that follows suppressed ones says how many they were. Zero-initialise
 * a static struct per call site.
 */
struct log_limit {
	uint64_t window_ns;
	unsigned count;
	unsigned dropped;
};
void
log_ratelimited(struct log_limit *lim, enum log_level level, const char *subsys,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
