/*
 * The guests of "run.py --only tcp": /init's last program on either side of one
 * TCP connection. The receiver frames what it counts with marker lines on the
 * console, which the host times: a guest's own clock is part of what is being
 * measured.
 *
 *   stream recv MIB        stream send ADDRESS
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT 5001
#define MIB ((size_t)1 << 20)
#define WARM (32 * MIB) /* not counted: windows open, code is translated */

static char buf[64 * 1024];

static struct sockaddr_in
address(const char *text)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(PORT) };

	if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
		errx(1, "%s: not an address", text);
	return a;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
take(int fd, size_t want)
{
	while (want > 0) {
		size_t most = want < sizeof(buf) ? want : sizeof(buf);
		ssize_t n = read(fd, buf, most);

		if (n <= 0)
			err(1, "the stream ended %zu bytes early", want);
		want -= (size_t)n;
	}
}

static void
receive(size_t bytes)
{
	struct sockaddr_in a = address("0.0.0.0");
	int one = 1, s = socket(AF_INET, SOCK_STREAM, 0), c;
	double begun;

	if (setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    bind(s, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(s, 1) != 0)
		err(1, "listen");
	c = accept(s, NULL, NULL);
	take(c, WARM);
	puts("STREAM begin");
	begun = now();
	take(c, bytes);
	printf("STREAM end at %.3f\n", now() - begun);
	close(c);
}

/* The other guest may still be booting. */
static int
reach(const char *text)
{
	struct sockaddr_in a = address(text);

	for (;;) {
		int s = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(s, (struct sockaddr *)&a, sizeof(a)) == 0)
			return s;
		close(s);
		usleep(100000);
	}
}

/* Until the receiver, which counts, has enough. */
static void
transmit(const char *text)
{
	int s = reach(text);

	signal(SIGPIPE, SIG_IGN);
	memset(buf, 0xa5, sizeof(buf));
	while (write(s, buf, sizeof(buf)) > 0)
		;
}

int
main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc == 3 && strcmp(argv[1], "recv") == 0)
		receive(strtoul(argv[2], NULL, 10) * MIB);
	else if (argc == 3 && strcmp(argv[1], "send") == 0)
		transmit(argv[2]);
	else
		errx(2, "usage: stream recv MIB | send ADDRESS");
	return 0;
}
