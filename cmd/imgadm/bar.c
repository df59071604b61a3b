/*
 * A bar for a person who waits: nothing but a terminal sees it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "imgadm.h"

#define NS UINT64_C(1000000000)
#define STEP (NS / 10)
#define BAR_MAX 40

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
}

void
human_size(uint64_t bytes, char *buf, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	size_t i = 0;

	while (v >= 1024 && i + 1 < ARRAY_LEN(units)) {
		v /= 1024;
		i++;
	}
	snprintf(
	    buf, size, i == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, units[i]);
}

void
bar_begin(struct bar *b, const char *what, bool quiet)
{
	*b = (struct bar){ .what = what,
		.began = now_ns(),
		.on = !quiet && isatty(STDERR_FILENO) };
}

static int
columns(void)
{
	struct winsize ws;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0
	    ? ws.ws_col
	    : 80;
}

/* "1:02" of what is left */
static void
remaining(const struct image_progress *p, double rate, char *buf, size_t size)
{
	double left = rate > 0 && p->total > p->done
	    ? (double)(p->total - p->done) / rate
	    : 0;
	unsigned s = left < 359999 ? (unsigned)(left + 0.5) : 359999;

	if (s >= 3600)
		snprintf(
		    buf, size, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(buf, size, "%u:%02u", s / 60, s % 60);
}

void
bar_show(void *bar, const struct image_progress *p)
{
	struct bar *b = bar;
	char line[256], cells[BAR_MAX + 1], done[32], speed[32], eta[32];
	uint64_t now = now_ns();
	double rate;
	int width, full;

	if (!b->on || now - b->drawn < STEP)
		return;
	b->drawn = now;
	rate = (double)p->done * (double)NS / (double)(now - b->began + 1);
	human_size(p->done, done, sizeof(done));
	human_size((uint64_t)rate, speed, sizeof(speed));
	if (p->total == 0) {
		snprintf(
		    line, sizeof(line), "%s %s  %s/s", b->what, done, speed);
	} else {
		width = MIN(MAX(columns() - 50, 4), BAR_MAX);
		full =
		    (int)(MIN(p->done, p->total) * (uint64_t)width / p->total);
		memset(cells, '.', sizeof(cells));
		memset(cells, '#', (size_t)full);
		cells[width] = '\0';
		remaining(p, rate, eta, sizeof(eta));
		snprintf(line, sizeof(line), "%s [%s] %3u%%  %s  %s/s  ETA %s",
		    b->what, cells,
		    (unsigned)(MIN(p->done, p->total) * 100 / p->total), done,
		    speed, eta);
	}
	fprintf(stderr, "\r%.*s\033[K", columns() - 1, line);
	b->shown = true;
}

void
bar_end(struct bar *b)
{
	if (b->shown)
		fputs("\r\033[K", stderr);
	b->shown = false;
}
