/*
 * The flash chip. See flash.h.
 *
 * Two copies: what the chip holds, and what the guest sees. They differ in one
 * block, while the chip answers a command there.
 */
#include "dev/lpc/flash.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"

/* Commands and status bits: AP-646, basic and scalable command set */
#define CMD_PROGRAM 0x10
#define CMD_ERASE 0x20
#define CMD_PROGRAM2 0x40
#define CMD_CLEAR_STATUS 0x50
#define CMD_READ_STATUS 0x70
#define CMD_READ_ID 0x90
#define CMD_QUERY 0x98
#define CMD_CONFIRM 0xd0
#define CMD_READ_ARRAY 0xff

#define SR_READY 0x80
#define SR_ERASE_ERROR 0x20
#define SR_PROGRAM_ERROR 0x10
#define SR_SEQUENCE_ERROR (SR_ERASE_ERROR | SR_PROGRAM_ERROR)

#define ID_MAKER 0x89 /* Intel */
#define ID_DEVICE 0x18

enum view { VIEW_ARRAY, VIEW_STATUS, VIEW_ID, VIEW_QUERY };

struct flash {
	struct vm *vm;
	uint64_t base, size;
	int fd;
	uint8_t *seen; /* the ROM region */
	pthread_mutex_t lock;
	uint8_t *array;
	enum view view;
	uint64_t block; /* where the view is, when it is not the array */
	uint8_t pending; /* a command that waits for its second write, or 0 */
	uint8_t status;
	bool told; /* the log knows that the file cannot be written */
};

/* ---- what the guest sees ---- */

/* JESD68.01, query structure; one byte an address */
static void
fill_query(const struct flash *fl, uint8_t *p)
{
	uint64_t blocks = fl->size / FLASH_BLOCK;
	unsigned log2 = 0;

	while (UINT64_C(1) << log2 < fl->size)
		log2++;
	memset(p, 0, FLASH_BLOCK);
	p[0] = ID_MAKER;
	p[1] = ID_DEVICE;
	memcpy(p + 0x10, "QRY", 3);
	p[0x13] = 0x01; /* Intel's command set */
	p[0x1b] = 0x45; /* volts, BCD: 4.5 to 5.5 */
	p[0x1c] = 0x55;
	p[0x1f] = 0x07; /* a byte: 2^7 us, a block: 2^10 ms, at most 2^4 x */
	p[0x21] = 0x0a;
	p[0x23] = 0x04;
	p[0x25] = 0x04;
	p[0x27] = (uint8_t)log2;
	p[0x2c] = 1; /* one region of equal blocks */
	store_le16(p + 0x2d, (uint16_t)(blocks - 1));
	store_le16(p + 0x2f, FLASH_BLOCK / 256);
}

static void
show(struct flash *fl, enum view view, uint64_t offset)
{
	uint64_t block = ROUND_DOWN(offset, FLASH_BLOCK);
	uint8_t *p = fl->seen + block;

	if (fl->view != VIEW_ARRAY)
		memcpy(
		    fl->seen + fl->block, fl->array + fl->block, FLASH_BLOCK);
	fl->view = view;
	fl->block = block;
	if (view == VIEW_STATUS) {
		memset(p, fl->status, FLASH_BLOCK);
	} else if (view == VIEW_QUERY) {
		fill_query(fl, p);
	} else if (view == VIEW_ID) {
		memset(p, 0, FLASH_BLOCK);
		p[0] = ID_MAKER;
		p[1] = ID_DEVICE;
	}
}

/* ---- changing it ---- */

static int
write_file(struct flash *fl, uint64_t off, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n > 0) {
		ssize_t w = pwrite(fl->fd, p, n, (off_t)off);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
		p += w;
		off += (uint64_t)w;
		n -= (size_t)w;
	}
	return 0;
}

/*
 * The file first: what the guest can read back was written. A wide store may
 * reach into a second block; the caller shows the status in the first.
 */
static void
change(struct flash *fl, uint64_t off, const void *data, size_t n,
    uint8_t error_bit)
{
	int rc = write_file(fl, off, data, n);

	fl->status |= SR_READY;
	if (rc == 0) {
		memcpy(fl->array + off, data, n);
		memcpy(fl->seen + off, data, n);
		return;
	}
	fl->status |= error_bit;
	if (!fl->told)
		log_warn("flash",
		    "cannot write the file of the firmware's variables: %s",
		    strerror(-rc));
	fl->told = true;
}

static void
program(struct flash *fl, uint64_t off, unsigned width, uint64_t value)
{
	uint8_t bytes[8];

	store_le64(bytes, value);
	change(fl, off, bytes, width, SR_PROGRAM_ERROR);
}

static void
erase(struct flash *fl, uint64_t off)
{
	uint8_t blank[FLASH_BLOCK];

	memset(blank, 0xff, sizeof(blank));
	change(fl, ROUND_DOWN(off, FLASH_BLOCK), blank, sizeof(blank),
	    SR_ERASE_ERROR);
}

/* ---- commands ---- */

static void
first_write(struct flash *fl, uint64_t off, uint8_t cmd)
{
	switch (cmd) {
	case CMD_PROGRAM:
	case CMD_PROGRAM2:
	case CMD_ERASE:
		/* No need to show the status yet: what follows is not a read */
		fl->pending = cmd;
		break;
	case CMD_READ_STATUS:
		show(fl, VIEW_STATUS, off);
		break;
	case CMD_READ_ID:
		show(fl, VIEW_ID, off);
		break;
	case CMD_QUERY:
		show(fl, VIEW_QUERY, off);
		break;
	case CMD_CLEAR_STATUS:
		fl->status = 0;
		show(fl, VIEW_ARRAY, off);
		break;
	default: /* CMD_READ_ARRAY, and what is no command */
		show(fl, VIEW_ARRAY, off);
		break;
	}
}

static void
second_write(struct flash *fl, uint64_t off, unsigned width, uint64_t value)
{
	uint8_t cmd = fl->pending;

	fl->pending = 0;
	if (cmd != CMD_ERASE)
		program(fl, off, width, value);
	else if ((uint8_t)value == CMD_CONFIRM)
		erase(fl, off);
	else
		fl->status |= SR_READY | SR_SEQUENCE_ERROR;
	show(fl, VIEW_STATUS, off);
}

static void
flash_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct flash *fl = dev;

	pthread_mutex_lock(&fl->lock);
	if (fl->pending != 0)
		second_write(fl, offset, width, value);
	else
		first_write(fl, offset, (uint8_t)value);
	pthread_mutex_unlock(&fl->lock);
}

/* Engines read the ROM region; this is for whoever asks the bus. */
static uint64_t
flash_read(void *dev, uint64_t offset, unsigned width)
{
	struct flash *fl = dev;
	uint8_t b[8] = { 0 };

	pthread_mutex_lock(&fl->lock);
	memcpy(b, fl->seen + offset, width);
	pthread_mutex_unlock(&fl->lock);
	return load_le64(b);
}

static const struct bus_ops flash_ops = { flash_read, flash_write };

/* ---- life ---- */

static uint8_t *
region_at(struct vm_mem *mem, uint64_t base)
{
	const struct mem_region *reg;
	size_t n = vm_mem_regions(mem, &reg);

	for (size_t i = 0; i < n; i++)
		if (reg[i].base.v == base)
			return reg[i].host;
	return NULL;
}

int
flash_create(struct vm *vm, gpa_t base, const void *data, uint64_t size, int fd,
    struct flash **ret, struct error *err)
{
	struct flash *fl = alloc_zero(1, sizeof(*fl));
	struct bus_window win = { "flash", base.v, size, BUS_WANY, &flash_ops,
		fl };
	int rc;

	if (fl == NULL) {
		fd_close(&fd);
		return error_sys(err, ENOMEM, "flash");
	}
	fl->vm = vm;
	fl->base = base.v;
	fl->size = size;
	fl->fd = fd;
	pthread_mutex_init(&fl->lock, NULL);
	fl->array = alloc_bytes(size);
	rc = fl->array != NULL ? 0 : error_sys(err, ENOMEM, "flash");
	if (rc == 0) {
		memcpy(fl->array, data, size);
		rc = vm_mem_add_rom(
		    vm_mem(vm), "flash", base, size, data, size, err);
	}
	if (rc == 0) {
		fl->seen = region_at(vm_mem(vm), base.v);
		rc = bus_add(vm_mmio(vm), &win, err);
	}
	if (rc < 0) {
		flash_destroy(fl);
		return rc;
	}
	*ret = fl;
	return 0;
}

void
flash_destroy(struct flash *fl)
{
	if (fl == NULL)
		return;
	bus_remove(vm_mmio(fl->vm), fl->base, fl->size, fl);
	if (fdatasync(fl->fd) < 0)
		log_warn("flash", "cannot sync the firmware's variables: %s",
		    strerror(errno));
	fd_close(&fl->fd);
	pthread_mutex_destroy(&fl->lock);
	free(fl->array);
	free(fl);
}
