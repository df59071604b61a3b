#include "disk_image.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "tap.h"

#define SECTOR 512

static char path[512];

const char *
disk_image(uint64_t size)
{
	int fd;

	str_format(path, sizeof(path), "%s/disk.img", tap_tmpdir());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	tap_check(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	for (unsigned i = 0; i < MiB / SECTOR; i++) {
		uint8_t s[SECTOR];

		memset(s, DISK_FILL(i), sizeof(s));
		store_le32(s, i);
		tap_check_int(pwrite(fd, s, SECTOR, i * SECTOR), SECTOR);
	}
	close(fd);
	return path;
}

bool
disk_has(unsigned sector, uint8_t fill)
{
	uint8_t s[SECTOR];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	tap_check_int(pread(fd, s, SECTOR, sector * SECTOR), SECTOR);
	close(fd);
	for (unsigned i = 4; i < SECTOR; i++)
		if (s[i] != fill)
			return false;
	return true;
}

void
disk_check_sector(const uint8_t *data, unsigned sector)
{
	tap_check_u64(load_le32(data), sector);
	tap_check_int(data[SECTOR - 1], DISK_FILL(sector));
}
