/*
 * A CD drive: packet commands on an image of 2048-byte blocks.
 *
 * Sources: ATA8-ACS 7.18 (PACKET); SPC-4 (INQUIRY 6.4, REQUEST SENSE 6.27,
 * REPORT LUNS 6.21, sense keys 4.5.6); MMC-5, section 6 (commands), 5.3
 * (features), 7 (mode pages).
 *
 * The medium is always there and is a data disc of one track.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "dev/ahci/ahci_impl.h"

#define BLOCK 2048
#define PROFILE_CD_ROM 0x0008
#define PROFILE_DVD_ROM 0x0010
#define CD_BLOCKS_MAX 405000 /* 90 minutes; more is a DVD */
#define LEAD_OUT 0xaa

enum sense_key { NO_SENSE = 0, MEDIUM_ERROR = 3, ILLEGAL_REQUEST = 5 };

/* Additional sense codes and qualifiers, SPC-4 annex D */
#define ASC_READ_ERROR 0x1100
#define ASC_INVALID_OPCODE 0x2000
#define ASC_LBA_RANGE 0x2100
#define ASC_INVALID_FIELD 0x2400

/* A reply being built; the command says how much of it is wanted. */
struct reply {
	uint8_t *p;
	uint32_t len;
};

struct packet_command {
	uint8_t code;
	/* Fill the reply; false: the sense data is set. */
	bool (*fn)(struct ahci_cmd *c, struct reply *r);
	/* Where the allocation length is: 0: there is no data. */
	uint8_t alloc_at, alloc_len;
};

/* ---- sense ---- */

static bool
sense(struct ahci_port *p, enum sense_key key, uint16_t code)
{
	p->ata.sense_key = (uint8_t)key;
	p->ata.asc = (uint8_t)(code >> 8);
	p->ata.ascq = (uint8_t)code;
	return false;
}

/* The error register holds the key; 7.18.6 */
static uint8_t
sense_error(const struct ahci_port *p)
{
	return (uint8_t)(p->ata.sense_key << 4 | ATA_E_ABRT);
}

uint8_t
atapi_medium_error(struct ahci_port *p)
{
	sense(p, MEDIUM_ERROR, ASC_READ_ERROR);
	return sense_error(p);
}

static bool
invalid_field(struct ahci_cmd *c)
{
	return sense(c->p, ILLEGAL_REQUEST, ASC_INVALID_FIELD);
}

static uint32_t
blocks(const struct ahci_port *p)
{
	uint64_t n = block_info(p->bd)->size / BLOCK;

	return (uint32_t)MIN(n, (uint64_t)UINT32_MAX);
}

static uint16_t
profile(const struct ahci_port *p)
{
	return blocks(p) > CD_BLOCKS_MAX ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
}

/* ---- what every device answers ---- */

static bool
no_data(struct ahci_cmd *c, struct reply *r)
{
	return true;
}

static void
put_padded(uint8_t *p, size_t n, const char *s)
{
	while (n-- > 0)
		*p++ = *s != '\0' ? (uint8_t)*s++ : ' ';
}

/* Vital product data: which pages, the serial number. */
static bool
inquiry_vpd(struct ahci_cmd *c, struct reply *r)
{
	r->p[0] = 0x05;
	r->p[1] = c->packet[2];
	switch (c->packet[2]) {
	case 0x00:
		r->p[3] = 2;
		r->p[5] = 0x80;
		r->len = 6;
		return true;
	case 0x80:
		r->p[3] = 20;
		put_padded(&r->p[4], 20, c->p->serial);
		r->len = 24;
		return true;
	default:
		return invalid_field(c);
	}
}

static bool
inquiry(struct ahci_cmd *c, struct reply *r)
{
	if ((c->packet[1] & 1) != 0)
		return inquiry_vpd(c, r);
	if (c->packet[2] != 0)
		return invalid_field(c);
	r->p[0] = 0x05; /* CD/DVD */
	r->p[1] = 0x80; /* removable */
	r->p[2] = 0x05; /* SPC-3 */
	r->p[3] = 0x02; /* this form of data */
	r->p[4] = 31; /* bytes that follow */
	put_padded(&r->p[8], 8, "BHYVE");
	put_padded(&r->p[16], 16, "BHYVE DVD-ROM");
	put_padded(&r->p[32], 4, c->p->revision);
	r->len = 36;
	return true;
}

static bool
request_sense(struct ahci_cmd *c, struct reply *r)
{
	const struct ata_state *st = &c->p->ata;

	r->p[0] = 0x70; /* current, fixed format */
	r->p[2] = st->sense_key;
	r->p[7] = 10; /* bytes that follow */
	r->p[12] = st->asc;
	r->p[13] = st->ascq;
	r->len = 18;
	sense(c->p, NO_SENSE, 0);
	return true;
}

static bool
report_luns(struct ahci_cmd *c, struct reply *r)
{
	r->p[3] = 8; /* one, number 0 */
	r->len = 16;
	return true;
}

/* ---- the medium ---- */

static bool
read_capacity(struct ahci_cmd *c, struct reply *r)
{
	store_be32(&r->p[0], blocks(c->p) - 1);
	store_be32(&r->p[4], BLOCK);
	r->len = 8;
	return true;
}

/* Minutes, seconds, frames; 2 seconds of lead-in count. */
static void
put_msf(uint8_t *p, uint32_t lba)
{
	lba += 150;
	p[1] = (uint8_t)(lba / 75 / 60);
	p[2] = (uint8_t)(lba / 75 % 60);
	p[3] = (uint8_t)(lba % 75);
}

static void
put_address(struct ahci_cmd *c, uint8_t *p, uint32_t lba)
{
	if ((c->packet[1] & 2) != 0)
		put_msf(p, lba);
	else
		store_be32(p, lba);
}

/* Format 0: the track and the lead-out. */
static bool
toc_tracks(struct ahci_cmd *c, struct reply *r)
{
	uint8_t first = c->packet[6], *p = &r->p[4];

	if (first > 1 && first != LEAD_OUT)
		return invalid_field(c);
	if (first <= 1) {
		p[1] = 0x14; /* data, position */
		p[2] = 1;
		put_address(c, &p[4], 0);
		p += 8;
	}
	p[1] = 0x14;
	p[2] = LEAD_OUT;
	put_address(c, &p[4], blocks(c->p));
	r->len = (uint32_t)(p + 8 - r->p);
	return true;
}

/* Format 1: one session, which begins with track 1. */
static bool
toc_session(struct ahci_cmd *c, struct reply *r)
{
	r->p[5] = 0x14;
	r->p[6] = 1;
	put_address(c, &r->p[8], 0);
	r->len = 12;
	return true;
}

/* Format 2: points A0h, A1h, A2h and the track, in MSF always. */
static bool
toc_raw(struct ahci_cmd *c, struct reply *r)
{
	static const uint8_t points[] = { 0xa0, 0xa1, 0xa2, 1 };

	for (unsigned i = 0; i < ARRAY_LEN(points); i++) {
		uint8_t *p = &r->p[4 + 11 * i];

		p[0] = 1; /* session */
		p[1] = 0x14;
		p[3] = points[i];
		if (points[i] == 0xa2)
			put_msf(&p[7], blocks(c->p));
		else if (points[i] == 1)
			put_msf(&p[7], 0);
		else
			p[8] = 1;
	}
	r->len = 4 + 11 * ARRAY_LEN(points);
	return true;
}

static bool
read_toc(struct ahci_cmd *c, struct reply *r)
{
	/* Before MMC-2 the format was in the last byte's upper bits. */
	unsigned format = c->packet[2] & 15;
	bool ok;

	if (format == 0)
		format = c->packet[9] >> 6;
	r->p[2] = r->p[3] = 1; /* first and last */
	switch (format) {
	case 0:
		ok = toc_tracks(c, r);
		break;
	case 1:
		ok = toc_session(c, r);
		break;
	case 2:
		ok = toc_raw(c, r);
		break;
	default:
		return invalid_field(c);
	}
	store_be16(r->p, (uint16_t)(r->len - 2));
	return ok;
}

static bool
read_disc_information(struct ahci_cmd *c, struct reply *r)
{
	if ((c->packet[1] & 7) != 0)
		return invalid_field(c);
	store_be16(r->p, 32);
	r->p[2] = 0x0e; /* finalized, last session complete */
	r->p[3] = r->p[4] = r->p[5] = r->p[6] = 1;
	r->p[7] = 0x20; /* unrestricted use */
	r->len = 34;
	return true;
}

/* ---- the drive ---- */

static const struct feature {
	uint16_t code;
	uint8_t flags; /* version, persistent, current */
	uint8_t len;
	uint8_t data[8];
} features[] = {
	{ 0x0001, 0x0b, 8, { 0, 0, 0, 7, 1 } }, /* core: Serial ATA */
	{ 0x0003, 0x03, 4, { 0x29 } }, /* removable: tray, eject, lock */
	{ 0x0010, 0x01, 8, { 0, 0, 8, 0, 0, 1, 0 } }, /* random readable */
	{ 0x001d, 0x01, 0, { 0 } }, /* multi-read */
	{ 0x001e, 0x09, 4, { 0 } }, /* CD read */
	{ 0x001f, 0x09, 4, { 0 } }, /* DVD read */
	{ 0x0100, 0x03, 0, { 0 } }, /* power management */
	{ 0x0105, 0x03, 0, { 0 } }, /* time-out */
};

static uint8_t *
put_profiles(uint8_t *p, uint16_t current)
{
	static const uint16_t list[] = { PROFILE_DVD_ROM, PROFILE_CD_ROM };

	p[2] = 0x03; /* persistent, current */
	p[3] = 4 * ARRAY_LEN(list);
	p += 4;
	for (unsigned i = 0; i < ARRAY_LEN(list); i++, p += 4) {
		store_be16(p, list[i]);
		p[2] = list[i] == current;
	}
	return p;
}

static bool
get_configuration(struct ahci_cmd *c, struct reply *r)
{
	unsigned type = c->packet[1] & 3, from = load_be16(&c->packet[2]);
	uint16_t current = profile(c->p);
	uint8_t *p = &r->p[8];

	if (type == 3)
		return invalid_field(c);
	store_be16(&r->p[6], current);
	if (from == 0)
		p = put_profiles(p, current);
	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		const struct feature *f = &features[i];

		if (type == 2 ? f->code != from : f->code < from)
			continue;
		if (type == 1 && (f->flags & 1) == 0)
			continue;
		store_be16(p, f->code);
		p[2] = f->flags;
		p[3] = f->len;
		memcpy(&p[4], f->data, f->len);
		p += 4 + f->len;
	}
	r->len = (uint32_t)(p - r->p);
	store_be32(r->p, r->len - 4);
	return true;
}

/* 6.5: of the media class, that nothing has happened and a disc is there. */
static bool
get_event_status(struct ahci_cmd *c, struct reply *r)
{
	if ((c->packet[1] & 1) == 0) /* we cannot call back */
		return invalid_field(c);
	r->p[3] = 0x10; /* the classes that there are */
	if ((c->packet[4] & 0x10) == 0) {
		store_be16(r->p, 2);
		r->p[2] = 0x80;
		r->len = 4;
		return true;
	}
	store_be16(r->p, 6);
	r->p[2] = 4; /* media */
	r->p[5] = 0x02; /* present */
	r->len = 8;
	return true;
}

/* Page 01h: error recovery; 2Ah: what the drive can do (MMC-3, 6.3.11). */
static uint8_t *
put_mode_pages(struct ahci_cmd *c, uint8_t *p, unsigned page)
{
	if (page == 0x01 || page == 0x3f) {
		p[0] = 0x01;
		p[1] = 10;
		p[3] = 5; /* retries */
		p += 12;
	}
	if (page == 0x2a || page == 0x3f) {
		p[0] = 0x2a;
		p[1] = 18;
		p[2] = 0x08; /* reads DVD-ROM */
		p[4] = 0x70; /* multi-session, mode 2 */
		p[6] = (uint8_t)(0x29 | (c->p->ata.locked ? 2 : 0));
		store_be16(&p[8], 706); /* KiB a second: 4x */
		store_be16(&p[12], 512); /* KiB of buffer */
		store_be16(&p[14], 706);
		p += 20;
	}
	return p;
}

static bool
mode_sense(struct ahci_cmd *c, struct reply *r)
{
	bool ten = c->packet[0] == 0x5a;
	unsigned page = c->packet[2] & 0x3f, head = ten ? 8 : 4;
	uint8_t *end;

	if (c->packet[2] >> 6 == 3) /* saved values */
		return invalid_field(c);
	end = put_mode_pages(c, r->p + head, page);
	if (end == r->p + head)
		return invalid_field(c);
	r->len = (uint32_t)(end - r->p);
	if (ten)
		store_be16(r->p, (uint16_t)(r->len - 2));
	else
		r->p[0] = (uint8_t)(r->len - 1);
	return true;
}

static bool
mechanism_status(struct ahci_cmd *c, struct reply *r)
{
	r->len = 8; /* no changer, nothing moves */
	return true;
}

static bool
prevent_allow(struct ahci_cmd *c, struct reply *r)
{
	c->p->ata.locked = (c->packet[4] & 1) != 0;
	return true;
}

/* ---- reading ---- */

static void
read_blocks(struct ahci_cmd *c)
{
	const uint8_t *k = c->packet;
	struct ahci_port *p = c->p;
	uint32_t lba = load_be32(&k[2]), max = blocks(p);
	uint32_t n = k[0] == 0x28 ? load_be16(&k[7]) : load_be32(&k[6]);

	if (lba > max || n > max - lba) {
		sense(p, ILLEGAL_REQUEST, ASC_LBA_RANGE);
		ahci_fail(c, sense_error(p));
		return;
	}
	ahci_io(
	    c, BLOCK_READ, (uint64_t)lba * BLOCK, (uint64_t)n * BLOCK, false);
}

/* ---- the table ---- */

static const struct packet_command commands[] = {
	{ 0x00, no_data, 0, 0 }, /* TEST UNIT READY */
	{ 0x03, request_sense, 4, 1 },
	{ 0x12, inquiry, 3, 2 },
	{ 0x1a, mode_sense, 4, 1 },
	{ 0x1b, no_data, 0, 0 }, /* START STOP UNIT: the disc stays */
	{ 0x1e, prevent_allow, 0, 0 },
	{ 0x25, read_capacity, 0, 8 },
	{ 0x35, no_data, 0, 0 }, /* SYNCHRONIZE CACHE */
	{ 0x43, read_toc, 7, 2 },
	{ 0x46, get_configuration, 7, 2 },
	{ 0x4a, get_event_status, 7, 2 },
	{ 0x51, read_disc_information, 7, 2 },
	{ 0x5a, mode_sense, 7, 2 },
	{ 0xa0, report_luns, 6, 4 },
	{ 0xbb, no_data, 0, 0 }, /* SET CD SPEED */
	{ 0xbd, mechanism_status, 8, 2 },
};

static uint32_t
allocation(const struct ahci_cmd *c, const struct packet_command *row)
{
	uint32_t n = 0;

	if (row->alloc_at == 0)
		return row->alloc_len;
	for (unsigned i = 0; i < row->alloc_len; i++)
		n = n << 8 | c->packet[row->alloc_at + i];
	return n;
}

static void
run(struct ahci_cmd *c, const struct packet_command *row)
{
	struct reply r = { c->p->buf, 0 };

	memset(r.p, 0, 512); /* more than any of them */
	if (!row->fn(c, &r))
		ahci_fail(c, sense_error(c->p));
	else if (r.len == 0)
		ahci_done(c);
	else
		ahci_reply(c, r.p, MIN(r.len, allocation(c, row)), false);
}

void
atapi_exec(struct ahci_cmd *c)
{
	uint8_t code = c->packet[0];

	if (code == 0x28 || code == 0xa8) {
		read_blocks(c);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (commands[i].code == code) {
			run(c, &commands[i]);
			return;
		}
	sense(c->p, ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
	ahci_fail(c, sense_error(c->p));
}
