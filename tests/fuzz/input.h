/*
 * What the devices' targets share: bytes taken off the input, and a machine
 * that is built once. Included by one file a program.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *p, *end;
};

/* Little-endian; zeroes behind the end. */
static inline uint64_t
take(struct input *in, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n && in->p < in->end; i++)
		v |= (uint64_t)*in->p++ << (8 * i);
	return v;
}

/* An image of 256 KiB, as "/dev/fd/N" names it. */
static inline int
fuzz_image(void)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd == -1 || ftruncate(fd, 256 << 10) == -1)
		abort();
	return fd;
}

/* The machine was built; from here on errors alone are worth a line. */
static inline void
fuzz_built(int rc, const struct error *err)
{
	log_setup(STDERR_FILENO, LOG_HUMAN, LOG_ERR);
	if (rc == 0)
		return;
	log_err("fuzz", "%s", err->text);
	abort();
}

#endif
