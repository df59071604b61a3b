/*
 * What an ATA device says of itself: IDENTIFY DEVICE (ATA8-ACS 7.16), IDENTIFY
 * PACKET DEVICE (7.17), logs (annex A), SMART data (7.52.6).
 */
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "dev/ahci/ahci_impl.h"

#define LOG_DIRECTORY 0x00
#define LOG_NCQ_ERROR 0x10
#define TRIM_BLOCKS (AHCI_BUF / 512)

struct word {
	uint8_t at;
	uint16_t value;
};

static void
put(uint8_t *buf, unsigned word, uint16_t v)
{
	store_le16(&buf[2 * word], v);
}

static void
put_rows(uint8_t *buf, const struct word *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(buf, rows[i].at, rows[i].value);
}

/* 3.4.9: padded with spaces, the first of two characters in the high byte. */
static void
put_text(uint8_t *buf, unsigned word, unsigned words, const char *s)
{
	for (unsigned i = 0; i < 2 * words; i++)
		buf[2 * word + (i ^ 1)] = *s != '\0' ? (uint8_t)*s++ : ' ';
}

/* 7.16.7.88: all bytes sum up to zero. */
static void
put_checksum(uint8_t *buf, bool signature)
{
	uint8_t sum = 0;

	if (signature)
		buf[510] = 0xa5;
	for (unsigned i = 0; i < 511; i++)
		sum = (uint8_t)(sum + buf[i]);
	buf[511] = (uint8_t)-sum;
}

static void
put_names(uint8_t *buf, const struct ahci_port *p)
{
	put_text(buf, 10, 10, p->serial);
	put_text(buf, 23, 4, p->revision);
	put_text(buf, 27, 20, p->model);
}

/* Words 63 and 88: modes that there are, and the chosen one. */
static void
put_modes(uint8_t *buf, const struct ahci_port *p)
{
	uint16_t mode = (uint16_t)(0x100u << (p->ata.udma & 7));
	bool udma = p->ata.udma >> 3 == 8;

	put(buf, 63, udma ? 0x0007 : 0x0007 | mode);
	put(buf, 88, udma ? 0x007f | mode : 0x007f);
}

/* Old drivers count cylinders of 16 heads and 63 sectors. */
static void
put_geometry(uint8_t *buf, uint64_t n)
{
	uint64_t cyl = MIN(n / (16 * 63), UINT64_C(16383));
	uint32_t chs = (uint32_t)(cyl * 16 * 63);

	put(buf, 1, (uint16_t)cyl);
	put(buf, 54, (uint16_t)cyl);
	put(buf, 57, (uint16_t)chs);
	put(buf, 58, (uint16_t)(chs >> 16));
	store_le32(&buf[2 * 60], (uint32_t)MIN(n, UINT64_C(0x0fffffff)));
	store_le64(&buf[2 * 100], n);
}

/* Words 106, 117, 209: logical and physical sectors. */
static void
put_sectors(uint8_t *buf, const struct block_info *in)
{
	unsigned exp =
	    (unsigned)__builtin_ctz(in->physical_size / in->sector_size);
	uint16_t w = 0x4000;

	if (exp > 0)
		w |= (uint16_t)(0x2000 | exp);
	if (in->sector_size > 512) {
		w |= 0x1000;
		store_le32(&buf[2 * 117], in->sector_size / 2);
	}
	put(buf, 106, w);
	put(buf, 209, 0x4000);
}

static const struct word disk_words[] = {
	{ 0, 0x0040 }, /* not removable */
	{ 3, 16 }, { 6, 63 }, /* heads, sectors a track */
	{ 47, 0x8080 }, /* READ MULTIPLE: 128 */
	{ 48, 0x4000 }, { 49, 0x2f00 }, /* DMA, LBA, IORDY, standby timer */
	{ 50, 0x4000 },
	{ 53, 0x0007 }, /* words 54-58, 64-70, 88 mean something */
	{ 55, 16 }, { 56, 63 }, { 64, 0x0003 }, /* PIO 3 and 4 */
	{ 65, 120 }, { 66, 120 }, { 67, 120 }, { 68, 120 },
	{ 75, AHCI_SLOTS - 1 }, { 76, 0x010e }, /* NCQ, generations 1 to 3 */
	{ 77, 0x0006 }, /* it is generation 3 */
	{ 80, 0x01f0 }, /* ATA-4 to ATA8-ACS */
	{ 81, 0x0028 },
	{ 82, 0x0069 }, /* read ahead, write cache, power, SMART */
	{ 83, 0x7400 }, /* FLUSH CACHE, ... EXT, 48 bits */
	{ 84, 0x4060 }, /* WRITE DMA FUA EXT, logs */
	{ 86, 0xb400 }, { 87, 0x4060 }, { 119, 0x4008 },
	{ 120, 0x4008 }, /* READ LOG DMA EXT */
	{ 222, 0x1020 }, /* Serial ATA */
};

void
ata_identify(const struct ahci_port *p, uint8_t buf[512])
{
	const struct block_info *in = block_info(p->bd);
	const struct ata_state *st = &p->ata;

	memset(buf, 0, 512);
	put_rows(buf, disk_words, ARRAY_LEN(disk_words));
	put_names(buf, p);
	put_modes(buf, p);
	put_geometry(buf, in->size / in->sector_size);
	put_sectors(buf, in);
	if (st->mult != 0)
		put(buf, 59, 0x0100 | st->mult);
	put(buf, 85,
	    (uint16_t)(0x0008 | (st->smart ? 1 : 0) |
		(st->write_cache ? 0x20 : 0) | (st->read_ahead ? 0x40 : 0)));
	if (in->can_discard) {
		put(buf, 105, TRIM_BLOCKS);
		put(buf, 169, 1);
	}
	put(buf, 217, p->nmrr);
	put_checksum(buf, true);
}

static const struct word packet_words[] = {
	{ 0, 0x85c0 }, /* CD, removable, 12 bytes, DRQ within 50 us */
	{ 49, 0x0f00 },
	{ 50, 0x4000 },
	{ 53, 0x0006 },
	{ 64, 0x0003 },
	{ 65, 120 },
	{ 66, 120 },
	{ 67, 120 },
	{ 68, 120 },
	{ 76, 0x000e },
	{ 77, 0x0006 },
	{ 80, 0x01f0 },
	{ 81, 0x0028 },
	{ 82, 0x0218 }, /* DEVICE RESET, PACKET, power */
	{ 83, 0x4000 },
	{ 84, 0x4000 },
	{ 85, 0x0218 },
	{ 87, 0x4000 },
	{ 222, 0x1020 },
};

void
atapi_identify(const struct ahci_port *p, uint8_t buf[512])
{
	memset(buf, 0, 512);
	put_rows(buf, packet_words, ARRAY_LEN(packet_words));
	put_names(buf, p);
	put_modes(buf, p);
	put_checksum(buf, true);
}

/* A.7; reading it ends the error. */
static void
ncq_error_page(struct ahci_port *p, uint8_t buf[512])
{
	struct ata_ncq_error *e = &p->ata.ncq_error;

	if (!e->valid) {
		buf[0] = 0x80; /* no queued command */
	} else {
		buf[0] = e->tag;
		buf[2] = e->status;
		buf[3] = e->error;
		buf[7] = e->device;
		for (unsigned i = 0; i < 3; i++) {
			buf[4 + i] = (uint8_t)(e->lba >> (8 * i));
			buf[8 + i] = (uint8_t)(e->lba >> (24 + 8 * i));
		}
		store_le16(&buf[12], e->count);
	}
	put_checksum(buf, false);
	e->valid = false;
}

bool
ata_log_page(struct ahci_port *p, uint8_t log, uint16_t page, uint8_t buf[512])
{
	memset(buf, 0, 512);
	if (page != 0)
		return false;
	switch (log) {
	case LOG_DIRECTORY:
		put(buf, 0, 1); /* version */
		put(buf, LOG_NCQ_ERROR, 1); /* pages */
		return true;
	case LOG_NCQ_ERROR:
		ncq_error_page(p, buf);
		return true;
	default:
		return false;
	}
}

void
ata_smart_data(uint8_t buf[512])
{
	memset(buf, 0, 512);
	put(buf, 0, 0x10); /* structure's revision */
	store_le16(&buf[368], 0x0003); /* autosave, saves before sleep */
	put_checksum(buf, false);
}
