/*
 * The firmware configuration device. See dev/fw_cfg.h.
 *
 * Source: QEMU docs/specs/fw_cfg.rst: "Register locations", "Guest-side DMA
 * interface", "Firmware configuration items".
 *
 * The guest aims a DMA request anywhere and asks for any length: the request is
 * copied once, data goes out in bounded pieces, each checked by the memory map.
 */
#include "dev/fw_cfg.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"

#define PORT_SELECT 0x510
#define PORT_DMA 0x514

#define ID_CLASSIC 1u
#define ID_DMA 2u
#define KEY_WRITE 0x4000 /* this bit of a selector is ignored for reading */

#define DMA_ERROR 0x01u
#define DMA_READ 0x02u
#define DMA_SKIP 0x04u
#define DMA_SELECT 0x08u
#define DMA_WRITE 0x10u
#define DMA_LEN 16u
#define DMA_CHUNK (64 * KiB)

#define NAME_SIZE 56u
#define FILES_MAX 0x1000u

struct item {
	uint16_t key;
	uint8_t *data;
	size_t len;
};

struct file {
	char name[NAME_SIZE];
	uint8_t *data;
	size_t len;
};

struct fw_cfg {
	struct vm *vm;
	pthread_mutex_t lock;
	struct item *items;
	size_t nitems;
	struct file *files; /* sorted by name once the guest has looked */
	size_t nfiles;
	uint8_t *dir;
	size_t dir_len;

	const uint8_t *data; /* of the selected item; NULL = none */
	size_t len, at;
	uint32_t dma_high;
};

/* ---- contents ---- */

int
fw_cfg_add_item(struct fw_cfg *fw, uint16_t key, const void *data, size_t n)
{
	struct item *p;
	uint8_t *copy;

	for (size_t i = 0; i < fw->nitems; i++)
		if (fw->items[i].key == key)
			return -EEXIST;
	if ((key >= FW_CFG_FILE_FIRST && key < 0x8000) ||
	    key == FW_CFG_FILE_DIR || (key & KEY_WRITE) != 0)
		return -EINVAL;
	p = alloc_resize(fw->items, fw->nitems + 1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	fw->items = p;
	copy = alloc_bytes(n);
	if (copy == NULL)
		return -ENOMEM;
	if (n > 0)
		memcpy(copy, data, n);
	fw->items[fw->nitems++] = (struct item){ key, copy, n };
	return 0;
}

int
fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, size_t n)
{
	struct file *p;
	uint8_t *copy;

	if (fw->dir != NULL)
		return -EBUSY;
	if (name[0] == '\0' || strlen(name) >= NAME_SIZE)
		return -ENAMETOOLONG;
	if (n > UINT32_MAX)
		return -EFBIG;
	if (fw->nfiles == FILES_MAX)
		return -ENOSPC;
	for (size_t i = 0; i < fw->nfiles; i++)
		if (strcmp(fw->files[i].name, name) == 0)
			return -EEXIST;
	p = alloc_resize(fw->files, fw->nfiles + 1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	fw->files = p;
	copy = alloc_bytes(n);
	if (copy == NULL)
		return -ENOMEM;
	if (n > 0)
		memcpy(copy, data, n);
	p = &fw->files[fw->nfiles++];
	memset(p, 0, sizeof(*p));
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->data = copy;
	p->len = n;
	return 0;
}

static int
file_compare(const void *a, const void *b)
{
	return strcmp(
	    ((const struct file *)a)->name, ((const struct file *)b)->name);
}

/* The directory: a count, then {size, selector, reserved, name}. */
static void
dir_build(struct fw_cfg *fw)
{
	size_t len = 4 + fw->nfiles * 64;
	uint8_t *p;

	if (fw->dir != NULL)
		return;
	fw->dir = alloc_zero(1, len);
	if (fw->dir == NULL)
		return; /* the guest sees an empty item */
	fw->dir_len = len;
	if (fw->nfiles > 0)
		qsort(
		    fw->files, fw->nfiles, sizeof(fw->files[0]), file_compare);
	store_be32(fw->dir, (uint32_t)fw->nfiles);
	p = fw->dir + 4;
	for (size_t i = 0; i < fw->nfiles; i++, p += 64) {
		store_be32(p, (uint32_t)fw->files[i].len);
		store_be16(p + 4, (uint16_t)(FW_CFG_FILE_FIRST + i));
		memcpy(p + 8, fw->files[i].name, NAME_SIZE);
	}
}

/* ---- the selected item ---- */

static void
item_select(struct fw_cfg *fw, uint16_t key)
{
	size_t file;

	key &= (uint16_t)~KEY_WRITE;
	file = (size_t)key - FW_CFG_FILE_FIRST;
	fw->data = NULL;
	fw->len = fw->at = 0;
	if (key == FW_CFG_FILE_DIR ||
	    (key >= FW_CFG_FILE_FIRST && key < 0x8000))
		dir_build(fw);
	if (key == FW_CFG_FILE_DIR) {
		fw->data = fw->dir;
		fw->len = fw->dir_len;
	} else if (key >= FW_CFG_FILE_FIRST && file < fw->nfiles) {
		fw->data = fw->files[file].data;
		fw->len = fw->files[file].len;
	}
	for (size_t i = 0; i < fw->nitems; i++) {
		if (fw->items[i].key == key) {
			fw->data = fw->items[i].data;
			fw->len = fw->items[i].len;
		}
	}
}

/* Copy to the guest; behind the item's end there are zeros. */
static int
item_read(struct fw_cfg *fw, gpa_t to, uint32_t n)
{
	struct vm_mem *mem = vm_mem(fw->vm);
	int rc = 0;

	while (n > 0 && rc == 0) {
		size_t left = fw->len - fw->at;
		size_t part = MIN((size_t)n, DMA_CHUNK);

		if (left > 0) {
			part = MIN(part, left);
			rc = vm_mem_write(mem, to, fw->data + fw->at, part);
			fw->at += part;
		} else {
			rc = vm_mem_zero(mem, to, part);
		}
		to = gpa_add(to, part);
		n -= (uint32_t)part;
	}
	return rc;
}

/* Returns the control word that the guest gets back. */
static uint32_t
dma_run(struct fw_cfg *fw, uint32_t control, uint32_t n, gpa_t to)
{
	if ((control & DMA_SELECT) != 0)
		item_select(fw, (uint16_t)(control >> 16));
	if ((control & DMA_READ) != 0)
		return item_read(fw, to, n) < 0 ? DMA_ERROR : 0;
	/* Nothing here can be written. */
	if ((control & DMA_WRITE) != 0)
		return DMA_ERROR;
	if ((control & DMA_SKIP) != 0)
		fw->at += MIN(fw->len - fw->at, (size_t)n);
	return 0;
}

static void
dma_start(struct fw_cfg *fw, uint64_t addr)
{
	struct vm_mem *mem = vm_mem(fw->vm);
	uint8_t req[DMA_LEN], done[4];
	uint32_t result;

	if (vm_mem_read(mem, GPA(addr), req, sizeof(req)) < 0)
		return; /* nowhere to report it */
	result = dma_run(
	    fw, load_be32(req), load_be32(req + 4), GPA(load_be64(req + 8)));
	store_be32(done, result);
	(void)vm_mem_write(mem, GPA(addr), done, sizeof(done));
}

/* ---- ports ---- */

/* 16 bits at 510h select; bytes at 511h are data. */
static uint64_t
select_read(void *dev, uint64_t offset, unsigned width)
{
	struct fw_cfg *fw = dev;
	uint8_t v = 0;

	if (offset != 1)
		return UINT64_MAX;
	pthread_mutex_lock(&fw->lock);
	if (fw->at < fw->len)
		v = fw->data[fw->at++];
	pthread_mutex_unlock(&fw->lock);
	return v;
}

static void
select_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct fw_cfg *fw = dev;

	if (offset != 0)
		return;
	pthread_mutex_lock(&fw->lock);
	item_select(fw, (uint16_t)value);
	pthread_mutex_unlock(&fw->lock);
}

/* "QEMU CFG", as bytes at rising ports */
static uint64_t
dma_read(void *dev, uint64_t offset, unsigned width)
{
	static const char text[8] = { 'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G' };
	uint64_t v = 0;

	for (unsigned i = 0; i < width; i++)
		v |= (uint64_t)(uint8_t)text[(offset + i) % 8] << (8 * i);
	return v;
}

/* Big-endian halves; the lower one starts the transfer. */
static void
dma_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct fw_cfg *fw = dev;
	uint32_t v = __builtin_bswap32((uint32_t)value);

	if (width != 4 || offset % 4 != 0)
		return;
	pthread_mutex_lock(&fw->lock);
	if (offset == 0) {
		fw->dma_high = v;
	} else {
		dma_start(fw, (uint64_t)fw->dma_high << 32 | v);
		fw->dma_high = 0;
	}
	pthread_mutex_unlock(&fw->lock);
}

static const struct bus_ops select_ops = { select_read, select_write };
static const struct bus_ops dma_ops = { dma_read, dma_write };

/* ---- life ---- */

int
fw_cfg_create(struct vm *vm, struct fw_cfg **ret, struct error *err)
{
	struct fw_cfg *fw = alloc_zero(1, sizeof(*fw));
	const struct bus_window select = { "fw_cfg", PORT_SELECT, 2,
		BUS_W1 | BUS_W2, &select_ops, fw };
	const struct bus_window dma = { "fw_cfg DMA", PORT_DMA, 8,
		BUS_W1 | BUS_W2 | BUS_W4, &dma_ops, fw };
	int rc;

	if (fw == NULL)
		return error_set(err, ENOMEM, "fw_cfg: out of memory");
	fw->vm = vm;
	pthread_mutex_init(&fw->lock, NULL);
	rc = fw_cfg_add_item(fw, FW_CFG_SIGNATURE, "QEMU", 4);
	if (rc == 0)
		rc = fw_cfg_add_u32(fw, FW_CFG_ID, ID_CLASSIC | ID_DMA);
	if (rc < 0)
		error_set(err, -rc, "fw_cfg: out of memory");
	if (rc == 0)
		rc = bus_add(vm_pio(vm), &select, err);
	if (rc == 0)
		rc = bus_add(vm_pio(vm), &dma, err);
	if (rc < 0) {
		fw_cfg_destroy(fw);
		return rc;
	}
	*ret = fw;
	return 0;
}

void
fw_cfg_destroy(struct fw_cfg *fw)
{
	if (fw == NULL)
		return;
	bus_remove(vm_pio(fw->vm), PORT_SELECT, 2, fw);
	bus_remove(vm_pio(fw->vm), PORT_DMA, 8, fw);
	for (size_t i = 0; i < fw->nitems; i++)
		free(fw->items[i].data);
	for (size_t i = 0; i < fw->nfiles; i++)
		free(fw->files[i].data);
	free(fw->items);
	free(fw->files);
	free(fw->dir);
	pthread_mutex_destroy(&fw->lock);
	free(fw);
}
