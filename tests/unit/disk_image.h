/*
 * An image whose sectors can be told apart: of the first MiB each holds its
 * number, in four bytes, and is filled with a byte made from it; the others are
 * zero.
 */
#ifndef UNIT_DISK_IMAGE_H
#define UNIT_DISK_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#define DISK_FILL(sector) ((uint8_t)((sector)*7 + 1))

/* In the test's own folder, size bytes; fails the test. The path stays. */
const char *disk_image(uint64_t size);
/* Is the sector filled with that, its number's place aside? */
bool disk_has(unsigned sector, uint8_t fill);
/* 512 bytes that were read from it. */
void disk_check_sector(const uint8_t *data, unsigned sector);

#endif
