/*
 * ATA commands of a port's device.
 *
 * Sources: ATA8-ACS (T13/1699, revision 6a), section 7 and annex A; Serial ATA
 * 3.1, 13.6 (queued commands).
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "dev/ahci/ahci_impl.h"

#define SECTORS_28 0x0fffffff
#define TRIM_BLOCKS (AHCI_BUF / 512) /* word 105 */
#define TRIM_ENTRY 8

/* Offsets in a command FIS, Serial ATA 3.1, 10.3.4 */
#define F_COMMAND 2
#define F_FEATURES 3
#define F_LBA 4
#define F_DEVICE 7
#define F_LBA_EXP 8
#define F_FEATURES_EXP 11
#define F_COUNT 12
#define F_COUNT_EXP 13
#define F_CONTROL 15

#define DEVICE_FUA 0x80

/* What a row's command does to the medium */
enum ata_flags {
	LBA48 = 1,
	QUEUED = 2, /* count in the features, tag in the count */
	FUA = 4,
	DISK = 8, /* a disk's only */
	CD = 16, /* a CD drive's only */
};

struct ata_command {
	uint8_t code;
	uint8_t flags;
	enum block_op op; /* of ata_rw */
	void (*fn)(struct ahci_cmd *c, const struct ata_command *row);
};

void
ata_power_on(struct ahci_port *p)
{
	p->ata = (struct ata_state){
		.write_cache = true,
		.read_ahead = true,
		.smart = true,
		.udma = 0x40 | 6,
	};
}

/* ---- addresses ---- */

uint64_t
ata_lba48(const uint8_t *f)
{
	return (uint64_t)f[F_LBA] | (uint64_t)f[F_LBA + 1] << 8 |
	    (uint64_t)f[F_LBA + 2] << 16 | (uint64_t)f[F_LBA_EXP] << 24 |
	    (uint64_t)f[F_LBA_EXP + 1] << 32 | (uint64_t)f[F_LBA_EXP + 2] << 40;
}

static uint64_t
lba_of(const uint8_t *f, uint8_t flags)
{
	if ((flags & LBA48) != 0)
		return ata_lba48(f);
	return (ata_lba48(f) & 0xffffff) | (uint64_t)(f[F_DEVICE] & 15) << 24;
}

static uint32_t
count_of(const uint8_t *f, uint8_t flags)
{
	uint32_t n;

	if ((flags & QUEUED) != 0)
		n = f[F_FEATURES] | (uint32_t)f[F_FEATURES_EXP] << 8;
	else if ((flags & LBA48) != 0)
		n = f[F_COUNT] | (uint32_t)f[F_COUNT_EXP] << 8;
	else
		return f[F_COUNT] != 0 ? f[F_COUNT] : 256;
	return n != 0 ? n : 65536;
}

static uint64_t
sectors(const struct ahci_port *p)
{
	return block_info(p->bd)->size / block_info(p->bd)->sector_size;
}

/* Is [lba, lba+n) on the disk? Else the command is over. */
static bool
in_range(struct ahci_cmd *c, uint64_t lba, uint64_t n)
{
	uint64_t max = sectors(c->p);

	if (lba <= max && n <= max - lba)
		return true;
	ahci_fail(c, ATA_E_IDNF);
	return false;
}

/* ---- the medium ---- */

static void
ata_rw(struct ahci_cmd *c, const struct ata_command *row)
{
	const uint8_t *f = c->fis;
	const struct block_info *in = block_info(c->p->bd);
	uint64_t lba = lba_of(f, row->flags), n = count_of(f, row->flags);
	bool fua = (row->flags & FUA) != 0;

	if ((row->flags & QUEUED) != 0) {
		/* 5.6.4.1: the tag is the number of the slot. */
		if (f[F_COUNT] >> 3 != c->slot) {
			ahci_fail(c, ATA_E_ABRT);
			return;
		}
		fua = row->op == BLOCK_WRITE && (f[F_DEVICE] & DEVICE_FUA) != 0;
	}
	if (!in_range(c, lba, n))
		return;
	if (row->op == BLOCK_WRITE && in->readonly) {
		ahci_fail(c, ATA_E_ABRT);
		return;
	}
	ahci_io(c, row->op, lba * in->sector_size, n * in->sector_size,
	    row->op == BLOCK_WRITE && (fua || !c->p->ata.write_cache));
}

static void
ata_verify(struct ahci_cmd *c, const struct ata_command *row)
{
	if (in_range(
		c, lba_of(c->fis, row->flags), count_of(c->fis, row->flags)))
		ahci_done(c);
}

static void
ata_flush(struct ahci_cmd *c, const struct ata_command *row)
{
	ahci_submit(c, BLOCK_FLUSH, 0, 0, ahci_done);
}

/* ---- DATA SET MANAGEMENT, 7.5 ---- */

static uint64_t
trim_entry(const struct ahci_port *p, unsigned i, uint32_t *ret_count)
{
	uint64_t e = load_le64(&p->buf[i * TRIM_ENTRY]);

	*ret_count = (uint32_t)(e >> 48);
	return e & UINT64_C(0xffffffffffff);
}

static void
trim_step(struct ahci_cmd *c)
{
	struct ahci_port *p = c->p;
	uint64_t unit = block_info(p->bd)->sector_size;

	while (p->range < p->nranges) {
		uint32_t n;
		uint64_t lba = trim_entry(p, p->range++, &n);

		if (n == 0)
			continue;
		ahci_submit(c, BLOCK_DISCARD, lba * unit, n * unit, trim_step);
		return;
	}
	ahci_done(c);
}

static void
ata_dsm(struct ahci_cmd *c, const struct ata_command *row)
{
	struct ahci_port *p = c->p;
	uint32_t blocks = count_of(c->fis, LBA48), n;
	int64_t got;

	if (c->fis[F_FEATURES] != 1 || !block_info(p->bd)->can_discard ||
	    blocks > TRIM_BLOCKS) {
		ahci_fail(c, ATA_E_ABRT);
		return;
	}
	got = ahci_get(c, p->buf, blocks * 512);
	if (got != blocks * 512) {
		ahci_fatal(c, got < 0 ? IS_HBFS : IS_OFS);
		return;
	}
	c->moved = (uint32_t)got;
	p->range = 0;
	p->nranges = blocks * (512 / TRIM_ENTRY);
	for (unsigned i = 0; i < p->nranges; i++) {
		uint64_t lba = trim_entry(p, i, &n);

		if (n != 0 && !in_range(c, lba, n))
			return;
	}
	trim_step(c);
}

/* ---- what it is ---- */

static void
ata_do_identify(struct ahci_cmd *c, const struct ata_command *row)
{
	struct ahci_port *p = c->p;

	if (p->atapi) {
		/* 7.16.4: refused, with the signature. */
		c->fis[F_LBA + 1] = SIG_ATAPI >> 16 & 0xff;
		c->fis[F_LBA + 2] = SIG_ATAPI >> 24;
		ahci_fail(c, ATA_E_ABRT);
		return;
	}
	ata_identify(p, p->buf);
	ahci_reply(c, p->buf, 512, true);
}

static void
ata_do_identify_packet(struct ahci_cmd *c, const struct ata_command *row)
{
	atapi_identify(c->p, c->p->buf);
	ahci_reply(c, c->p->buf, 512, true);
}

static void
ata_read_log(struct ahci_cmd *c, const struct ata_command *row)
{
	struct ahci_port *p = c->p;
	uint32_t n = count_of(c->fis, LBA48);
	uint16_t page =
	    (uint16_t)(c->fis[F_LBA + 1] | c->fis[F_LBA_EXP + 1] << 8);

	if (n > AHCI_BUF / 512) {
		ahci_fail(c, ATA_E_ABRT);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		if (!ata_log_page(p, c->fis[F_LBA], (uint16_t)(page + i),
			&p->buf[i * 512])) {
			ahci_fail(c, ATA_E_ABRT);
			return;
		}
	ahci_reply(c, p->buf, n * 512, c->fis[F_COMMAND] == 0x2f);
}

static void
ata_native_max(struct ahci_cmd *c, const struct ata_command *row)
{
	uint64_t last = sectors(c->p) - 1;
	uint8_t *f = c->fis;

	if ((row->flags & LBA48) == 0)
		last = MIN(last, (uint64_t)SECTORS_28 - 1);
	for (unsigned i = 0; i < 3; i++) {
		f[F_LBA + i] = (uint8_t)(last >> (8 * i));
		f[F_LBA_EXP + i] = (uint8_t)(last >> (24 + 8 * i));
	}
	if ((row->flags & LBA48) == 0)
		f[F_DEVICE] = (uint8_t)(0x40 | (last >> 24 & 15));
	ahci_done(c);
}

/* ---- settings ---- */

enum { SET_CACHE_ON = 0x02, SET_MODE = 0x03, SET_AHEAD_OFF = 0x55 };

/* 7.49.12: PIO modes need no memory, of DMA the last one counts. */
static bool
set_mode(struct ahci_port *p, uint8_t mode)
{
	switch (mode >> 3) {
	case 0: /* PIO default */
	case 1: /* PIO with flow control */
		return true;
	case 4: /* multiword DMA */
		if ((mode & 7) > 2)
			return false;
		break;
	case 8: /* Ultra DMA */
		if ((mode & 7) > 6)
			return false;
		break;
	default:
		return false;
	}
	p->ata.udma = mode;
	return true;
}

static void
ata_set_features(struct ahci_cmd *c, const struct ata_command *row)
{
	struct ata_state *st = &c->p->ata;
	bool ok = true;

	switch (c->fis[F_FEATURES]) {
	case SET_CACHE_ON:
		st->write_cache = true;
		break;
	case 0x82: /* disable: what is cached goes to the medium */
		st->write_cache = false;
		ahci_submit(c, BLOCK_FLUSH, 0, 0, ahci_done);
		return;
	case SET_MODE:
		ok = set_mode(c->p, c->fis[F_COUNT]);
		break;
	case SET_AHEAD_OFF:
	case 0xaa:
		st->read_ahead = c->fis[F_FEATURES] == 0xaa;
		break;
	case 0x66: /* keep settings over a reset; they are kept or default */
	case 0xcc:
		break;
	default:
		ok = false;
		break;
	}
	if (ok)
		ahci_done(c);
	else
		ahci_fail(c, ATA_E_ABRT);
}

static void
ata_set_multiple(struct ahci_cmd *c, const struct ata_command *row)
{
	uint8_t n = c->fis[F_COUNT];

	if (n > 128 || (n & (n - 1)) != 0) {
		ahci_fail(c, ATA_E_ABRT);
		return;
	}
	c->p->ata.mult = n;
	ahci_done(c);
}

/* ---- SMART, 7.52: it is well ---- */

static void
ata_smart(struct ahci_cmd *c, const struct ata_command *row)
{
	struct ahci_port *p = c->p;
	uint8_t *f = c->fis;

	if (f[F_LBA + 1] != 0x4f || f[F_LBA + 2] != 0xc2 ||
	    (!p->ata.smart && f[F_FEATURES] != 0xd8)) {
		ahci_fail(c, ATA_E_ABRT);
		return;
	}
	switch (f[F_FEATURES]) {
	case 0xd0: /* read data */
		ata_smart_data(p->buf);
		ahci_reply(c, p->buf, 512, true);
		return;
	case 0xd2: /* attribute autosave */
	case 0xda: /* return status: the key as it was written is "fine" */
		break;
	case 0xd8:
	case 0xd9:
		p->ata.smart = f[F_FEATURES] == 0xd8;
		break;
	default:
		ahci_fail(c, ATA_E_ABRT);
		return;
	}
	ahci_done(c);
}

/* ---- power, and what there is nothing to do for ---- */

static void
ata_nothing(struct ahci_cmd *c, const struct ata_command *row)
{
	ahci_done(c);
}

static void
ata_check_power(struct ahci_cmd *c, const struct ata_command *row)
{
	c->fis[F_COUNT] = 0xff; /* active or idle */
	ahci_done(c);
}

/* 7.9: the signature and "passed" in the registers. */
static void
ata_diagnostic(struct ahci_cmd *c, const struct ata_command *row)
{
	ahci_reset_done(c, true);
}

static void
ata_packet(struct ahci_cmd *c, const struct ata_command *row)
{
	atapi_exec(c);
}

/* ---- the table ---- */

static const struct ata_command commands[] = {
	{ 0x06, DISK, 0, ata_dsm },
	{ 0x08, CD, 0, ata_diagnostic }, /* DEVICE RESET */
	{ 0x10, DISK, 0, ata_nothing }, /* RECALIBRATE */
	{ 0x20, DISK, BLOCK_READ, ata_rw }, /* READ SECTORS */
	{ 0x24, DISK | LBA48, BLOCK_READ, ata_rw },
	{ 0x25, DISK | LBA48, BLOCK_READ, ata_rw }, /* READ DMA EXT */
	{ 0x27, DISK | LBA48, 0, ata_native_max },
	{ 0x29, DISK | LBA48, BLOCK_READ, ata_rw }, /* READ MULTIPLE EXT */
	{ 0x2f, DISK, 0, ata_read_log },
	{ 0x30, DISK, BLOCK_WRITE, ata_rw }, /* WRITE SECTORS */
	{ 0x34, DISK | LBA48, BLOCK_WRITE, ata_rw },
	{ 0x35, DISK | LBA48, BLOCK_WRITE, ata_rw }, /* WRITE DMA EXT */
	{ 0x39, DISK | LBA48, BLOCK_WRITE, ata_rw }, /* WRITE MULTIPLE EXT */
	{ 0x3d, DISK | LBA48 | FUA, BLOCK_WRITE, ata_rw },
	{ 0x40, DISK, 0, ata_verify },
	{ 0x42, DISK | LBA48, 0, ata_verify },
	{ 0x47, DISK, 0, ata_read_log }, /* READ LOG DMA EXT */
	{ 0x60, DISK | LBA48 | QUEUED, BLOCK_READ, ata_rw },
	{ 0x61, DISK | LBA48 | QUEUED, BLOCK_WRITE, ata_rw },
	{ 0x70, DISK, 0, ata_nothing }, /* SEEK */
	{ 0x90, 0, 0, ata_diagnostic },
	{ 0x91, DISK, 0, ata_nothing }, /* INITIALIZE DEVICE PARAMETERS */
	{ 0xa0, CD, 0, ata_packet },
	{ 0xa1, CD, 0, ata_do_identify_packet },
	{ 0xb0, DISK, 0, ata_smart },
	{ 0xc4, DISK, BLOCK_READ, ata_rw }, /* READ MULTIPLE */
	{ 0xc5, DISK, BLOCK_WRITE, ata_rw },
	{ 0xc6, DISK, 0, ata_set_multiple },
	{ 0xc8, DISK, BLOCK_READ, ata_rw }, /* READ DMA */
	{ 0xca, DISK, BLOCK_WRITE, ata_rw },
	{ 0xce, DISK | LBA48 | FUA, BLOCK_WRITE, ata_rw },
	{ 0xe0, 0, 0, ata_nothing }, /* STANDBY IMMEDIATE */
	{ 0xe1, 0, 0, ata_nothing }, /* IDLE IMMEDIATE */
	{ 0xe2, 0, 0, ata_nothing }, /* STANDBY */
	{ 0xe3, 0, 0, ata_nothing }, /* IDLE */
	{ 0xe5, 0, 0, ata_check_power },
	{ 0xe6, 0, 0, ata_nothing }, /* SLEEP */
	{ 0xe7, DISK, 0, ata_flush },
	{ 0xea, DISK, 0, ata_flush },
	{ 0xec, 0, 0, ata_do_identify },
	{ 0xef, 0, 0, ata_set_features },
	{ 0xf8, DISK, 0, ata_native_max },
};

static const struct ata_command *
find(uint8_t code)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (commands[i].code == code)
			return &commands[i];
	return NULL;
}

bool
ata_is_queued(uint8_t command)
{
	return command == 0x60 || command == 0x61;
}

/* The control register, of which SRST is left; 7.2 of Serial ATA's AHCI. */
static void
write_control(struct ahci_cmd *c)
{
	struct ata_state *st = &c->p->ata;
	bool was = st->srst, srst = (c->fis[F_CONTROL] & CTL_SRST) != 0;

	if (was && !srst) {
		bool cache = st->write_cache;

		ata_power_on(c->p);
		c->p->ata.write_cache = cache;
	}
	st->srst = srst;
	ahci_reset_done(c, false);
}

void
ata_exec(struct ahci_cmd *c)
{
	const struct ata_command *row;
	bool cd = c->p->atapi;

	if ((c->fis[1] & FIS_H2D_C) == 0) {
		write_control(c);
		return;
	}
	row = find(c->fis[F_COMMAND]);
	if (row == NULL || (row->flags & (cd ? DISK : CD)) != 0)
		ahci_fail(c, ATA_E_ABRT);
	else
		row->fn(c, row);
}
