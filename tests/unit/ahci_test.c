/*
 * AHCI controllers: registers, commands of a disk, queued commands, errors of
 * the guest's and the medium's, resets. A CD drive is in atapi_test.c.
 */
#include "ahci_rig.h"
#include "tap.h"

#define DISK_SIZE (4 * MiB)
#define READY 0x50u
#define PASSED 0x150u /* after a reset */
#define FAILED(e) ((uint32_t)(e) << 8 | 0x51)

static struct sata s;
static struct error err;
static int image = -1;

/* A disk on port 0 of a controller with these options; each sector its number.
 */
static void
begin(const char *opts)
{
	char text[128];

	image = memfd_create("disk", MFD_CLOEXEC);
	tap_check(image >= 0 && ftruncate(image, DISK_SIZE) == 0);
	for (uint32_t i = 0; i < DISK_SIZE / 512; i++)
		tap_check(pwrite(image, &i, sizeof(i), i * 512) == 4);
	(void)str_format(
	    text, sizeof(text), "hd:/dev/fd/%d,ser=SER1%s", image, opts);
	if (sata_open(&s, "ahci", text, &err) != 0)
		tap_fail("%s", err.text);
	tap_check(sata_start(&s, 0));
}

static void
end(void)
{
	sata_close(&s);
	close(image);
}

static uint32_t
sector_mark(uint64_t gpa)
{
	return load_le32(sata_ram(&s, gpa));
}

/* ---- registers ---- */

static void
registers_after_power_on(void)
{
	static const struct {
		unsigned reg;
		uint32_t value;
	} rows[] = {
		{ HBA_CAP, 0xc1349f00 & ~0u },
		{ HBA_GHC, GHC_AE },
		{ HBA_IS, 0 },
		{ HBA_PI, 1 },
		{ HBA_VS, 0x10301 },
		{ HBA_CAP2, 0 },
		{ 0x80, 0 },
		{ 0x100 + PX_TFD, 0x80 },
		{ 0x100 + PX_SSTS, 0x133 },
		{ 0x100 + PX_SIG, 0xffffffff },
		{ 0x100 + PX_CMD, CMD_SUD | CMD_POD },
		{ 0x100 + PX_IS, IS_PCS },
		{ 0x100 + PX_SERR, SERR_DIAG_X },
		{ 0x180 + PX_SSTS, 0 },
		{ 0x180 + PX_SIG, 0 },
	};
	char opts[64];

	image = memfd_create("disk", MFD_CLOEXEC);
	tap_check(ftruncate(image, DISK_SIZE) == 0);
	(void)str_format(opts, sizeof(opts), "/dev/fd/%d", image);
	tap_check_int(sata_open(&s, "ahci-hd", opts, &err), 0);
	tap_check_u64(sata_cfg_in(&s, 0x08, 4) >> 8, 0x010601);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		tap_context("register %#x", rows[i].reg);
		tap_check_u64(sata_in(&s, rows[i].reg), rows[i].value);
	}
	tap_check_u64(sata_in(&s, HBA_CAP) & 31, 0); /* one port */
	tap_check_u64(sata_in(&s, HBA_CAP) >> 8 & 31, 31);
	/* Bytes and words are not written; reads of them do no harm. */
	fake_store(s.vm, s.bar + 0x100 + PX_CLB, 2, 0xfc00);
	tap_check_u64(sata_pin(&s, 0, PX_CLB), 0);
	tap_check_u64(fake_load(s.vm, s.bar + 0x100 + PX_SSTS, 1), 0x33);
	fake_store(s.vm, s.bar + 0x100 + PX_CLB, 8, UINT64_MAX);
	tap_check_u64(sata_pin(&s, 0, PX_CLB), 0xfffffc00);
	tap_check_u64(sata_pin(&s, 0, PX_CLBU), 0xffffffff);
	sata_pout(&s, 0, PX_FB, 0xffffffff);
	tap_check_u64(sata_pin(&s, 0, PX_FB), 0xffffff00);
	for (unsigned r = 0x180; r < 0x400; r += 4)
		sata_out(&s, r, 0xffffffff); /* ports that are not there */
	tap_check_u64(sata_pin(&s, 1, PX_CI), 0);
	/* ST without FRE is not taken, nor are commands without ST. */
	sata_pout(&s, 0, PX_CMD, CMD_ST);
	sata_pout(&s, 0, PX_CI, 1);
	sata_pout(&s, 0, PX_SACT, 1);
	tap_check_u64(sata_pin(&s, 0, PX_CMD), CMD_SUD | CMD_POD);
	tap_check_u64(sata_pin(&s, 0, PX_CI) | sata_pin(&s, 0, PX_SACT), 0);
	end();
}

static void
signature_waits_for_fre(void)
{
	begin("");
	tap_check_u64(sata_pin(&s, 0, PX_SIG), SIG_ATA);
	tap_check_u64(sata_pin(&s, 0, PX_TFD), PASSED);
	tap_check_u64(*sata_ram(&s, SATA_FB(0) + RX_D2H), FIS_D2H);
	end();
}

/* ---- commands ---- */

static const struct row {
	const char *what;
	struct sata_cmd c;
	uint32_t tfd;
	uint32_t is; /* these bits at least */
	uint32_t moved;
} rows[] = {
	{ "IDENTIFY", { .command = 0xec, .len = 512 }, READY, IS_PSS, 512 },
	{ "IDENTIFY, little memory", { .command = 0xec, .len = 64 }, READY,
	    IS_PSS, 64 },
	{ "READ SECTORS", { .command = 0x20, .count = 2, .len = 1024 }, READY,
	    IS_DHRS, 1024 },
	{ "READ DMA of 256", { .command = 0xc8, .len = 131072 }, READY, IS_DHRS,
	    131072 },
	{ "READ DMA EXT at the end",
	    { .command = 0x25, .lba = 8190, .count = 2, .len = 1024 }, READY,
	    IS_DHRS, 1024 },
	{ "READ DMA EXT over the end",
	    { .command = 0x25, .lba = 8191, .count = 2, .len = 1024 },
	    FAILED(0x10), IS_TFES, 0 },
	{ "READ DMA EXT of 65536 sectors", { .command = 0x25, .len = 1024 },
	    FAILED(0x10), IS_TFES, 0 },
	{ "READ DMA EXT far off",
	    { .command = 0x25, .lba = 0xffffffffffff, .count = 1, .len = 512 },
	    FAILED(0x10), IS_TFES, 0 },
	{ "READ MULTIPLE", { .command = 0xc4, .count = 1, .len = 512 }, READY,
	    IS_DHRS, 512 },
	{ "READ VERIFY", { .command = 0x40, .count = 9 }, READY, IS_DHRS, 0 },
	{ "READ VERIFY EXT over the end",
	    { .command = 0x42, .lba = 8190, .count = 3 }, FAILED(0x10), IS_TFES,
	    0 },
	{ "WRITE DMA",
	    { .command = 0xca,
		.lba = 100,
		.count = 1,
		.len = 512,
		.write = true },
	    READY, IS_DHRS, 512 },
	{ "WRITE DMA FUA EXT",
	    { .command = 0x3d,
		.lba = 100,
		.count = 1,
		.len = 512,
		.write = true },
	    READY, IS_DHRS, 512 },
	{ "FLUSH CACHE", { .command = 0xe7 }, READY, IS_DHRS, 0 },
	{ "FLUSH CACHE EXT", { .command = 0xea }, READY, IS_DHRS, 0 },
	{ "SET FEATURES: UDMA 5",
	    { .command = 0xef, .features = 3, .count = 0x45 }, READY, IS_DHRS,
	    0 },
	{ "SET FEATURES: UDMA 7",
	    { .command = 0xef, .features = 3, .count = 0x47 }, FAILED(4),
	    IS_TFES, 0 },
	{ "SET FEATURES: no cache", { .command = 0xef, .features = 0x82 },
	    READY, IS_DHRS, 0 },
	{ "SET FEATURES: what?", { .command = 0xef, .features = 0x77 },
	    FAILED(4), IS_TFES, 0 },
	{ "SET MULTIPLE 16", { .command = 0xc6, .count = 16 }, READY, IS_DHRS,
	    0 },
	{ "SET MULTIPLE 3", { .command = 0xc6, .count = 3 }, FAILED(4), IS_TFES,
	    0 },
	{ "READ NATIVE MAX", { .command = 0xf8 }, READY, IS_DHRS, 0 },
	{ "log directory", { .command = 0x2f, .count = 1, .len = 512 }, READY,
	    IS_PSS, 512 },
	{ "log directory by DMA", { .command = 0x47, .count = 1, .len = 512 },
	    READY, IS_DHRS, 512 },
	{ "a log that is not there",
	    { .command = 0x2f, .lba = 0x30, .count = 1, .len = 512 }, FAILED(4),
	    IS_TFES, 0 },
	{ "pages that are not there",
	    { .command = 0x2f, .lba = 0x10, .count = 2, .len = 1024 },
	    FAILED(4), IS_TFES, 0 },
	{ "SMART status",
	    { .command = 0xb0, .features = 0xda, .lba = 0xc24f00 }, READY,
	    IS_DHRS, 0 },
	{ "SMART data",
	    { .command = 0xb0, .features = 0xd0, .lba = 0xc24f00, .len = 512 },
	    READY, IS_PSS, 512 },
	{ "SMART without its key", { .command = 0xb0, .features = 0xda },
	    FAILED(4), IS_TFES, 0 },
	{ "CHECK POWER MODE", { .command = 0xe5 }, READY, IS_DHRS, 0 },
	{ "STANDBY IMMEDIATE", { .command = 0xe0 }, READY, IS_DHRS, 0 },
	{ "EXECUTE DIAGNOSTIC", { .command = 0x90 }, PASSED, IS_DHRS, 0 },
	{ "PACKET to a disk", { .command = 0xa0 }, FAILED(4), IS_TFES, 0 },
	{ "IDENTIFY PACKET of a disk", { .command = 0xa1, .len = 512 },
	    FAILED(4), IS_TFES, 0 },
	{ "NOP", { .command = 0x00 }, FAILED(4), IS_TFES, 0 },
	{ "TRIM that is none",
	    { .command = 0x06, .count = 1, .len = 512, .write = true },
	    FAILED(4), IS_TFES, 0 },
	{ "TRIM of nine blocks",
	    { .command = 0x06,
		.features = 1,
		.count = 9,
		.len = 4608,
		.write = true },
	    FAILED(4), IS_TFES, 0 },
};

static void
commands_of_a_disk(void)
{
	begin("");
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];

		tap_context("%s", r->what);
		tap_check(sata_run(&s, 0, &r->c));
		tap_check_u64(sata_pin(&s, 0, PX_TFD), r->tfd);
		tap_check_u64(sata_pin(&s, 0, PX_IS) & r->is, r->is);
		tap_check_u64(sata_moved(&s, 0, 0), r->moved);
		/* What failed stays issued until ST is cleared. */
		tap_check_u64(sata_pin(&s, 0, PX_CI), (r->tfd & 1) != 0);
		if ((r->tfd & 1) != 0) {
			tap_check(sata_stop(&s, 0));
			tap_check(sata_start(&s, 0));
		}
	}
	end();
}

static void
identify_says_what_it_is(void)
{
	const struct sata_cmd c = { .command = 0xec, .len = 512 };
	uint8_t sum = 0, *id;

	begin(",nmrr=1,rev=R2,model=A Model,sectorsize=512/4096");
	tap_check(sata_run(&s, 0, &c));
	id = sata_ram(&s, SATA_DATA);
	for (unsigned i = 0; i < 512; i++)
		sum = (uint8_t)(sum + id[i]);
	tap_check_u64(sum, 0);
	tap_check_mem(&id[20], "ES1R                ", 20);
	tap_check_mem(&id[46], "2R      ", 8);
	tap_check_mem(&id[54], " AoMed l", 8);
	tap_check_u64(load_le32(&id[120]), DISK_SIZE / 512);
	tap_check_u64(load_le64(&id[200]), DISK_SIZE / 512);
	tap_check_u64(load_le16(&id[2 * 75]), 31);
	tap_check_u64(load_le16(&id[2 * 76]) & 0x100, 0x100); /* NCQ */
	tap_check_u64(load_le16(&id[2 * 106]), 0x6003);
	tap_check_u64(load_le16(&id[2 * 169]), 1);
	tap_check_u64(load_le16(&id[2 * 217]), 1);
	end();
}

/* Data in pieces of every size, more of them than one request can take. */
static void
data_in_pieces(void)
{
	static const uint32_t sizes[] = { 2, 510, 1022, 4096, 6 };
	uint8_t *mem;

	begin("");
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		uint16_t n = (uint16_t)MIN(600 * sizes[i] / 512, 512u);
		struct sata_cmd c = { .command = 0x25,
			.lba = 7,
			.count = n,
			.len = n * 512u,
			.piece = sizes[i] };

		tap_context("pieces of %u bytes", sizes[i]);
		mem = sata_ram(&s, SATA_DATA);
		memset(mem, 0xee, 2 * (c.len + sizes[i]));
		tap_check(sata_run(&s, 0, &c));
		tap_check_u64(sata_pin(&s, 0, PX_TFD), READY);
		tap_check_u64(sata_moved(&s, 0, 0), c.len);
		for (uint32_t at = 0; at < c.len; at++) {
			uint32_t sector = 7 + at / 512;
			uint8_t want = at % 512 < 4
			    ? (uint8_t)(sector >> (8 * (at % 512)))
			    : 0;
			uint32_t k = at / sizes[i];

			tap_check_u64(
			    mem[2 * k * sizes[i] + at % sizes[i]], want);
			tap_check_u64(
			    mem[(2 * k + 1) * sizes[i] + at % sizes[i]], 0xee);
		}
	}
	end();
}

static void
written_data_is_there(void)
{
	struct sata_cmd c = { .command = 0x35,
		.lba = 1000,
		.count = 64,
		.len = 64 * 512,
		.piece = 3000,
		.write = true };
	uint8_t buf[64 * 512], *mem;

	begin("");
	mem = sata_ram(&s, SATA_DATA);
	for (unsigned i = 0; i < 2 * sizeof(buf); i++)
		mem[i] = (uint8_t)(i * 7 + (i >> 8));
	tap_check(sata_run(&s, 0, &c));
	tap_check_u64(sata_pin(&s, 0, PX_TFD), READY);
	tap_check(pread(image, buf, sizeof(buf), 1000 * 512) == sizeof(buf));
	for (unsigned at = 0; at < sizeof(buf); at++)
		tap_check_u64(buf[at], mem[2 * (at / 3000) * 3000 + at % 3000]);
	end();
}

static void
trim_makes_holes(void)
{
	struct sata_cmd c = { .command = 0x06,
		.features = 1,
		.count = 1,
		.len = 512,
		.write = true };
	uint8_t *mem;
	uint32_t mark;

	begin("");
	mem = sata_ram(&s, SATA_DATA);
	store_le64(&mem[0], 16 | UINT64_C(8) << 48);
	store_le64(&mem[24], 64 | UINT64_C(16) << 48);
	tap_check(sata_run(&s, 0, &c));
	tap_check_u64(sata_pin(&s, 0, PX_TFD), READY);
	for (unsigned i = 0; i < 96; i++) {
		bool gone = (i >= 16 && i < 24) || (i >= 64 && i < 80);

		tap_check(pread(image, &mark, 4, i * 512) == 4);
		tap_check_u64(mark, gone ? 0 : i);
	}
	/* One bad range, and nothing is done. */
	store_le64(&mem[0], 1 | UINT64_C(1) << 48);
	store_le64(&mem[8], 8191 | UINT64_C(2) << 48);
	tap_check(sata_run(&s, 0, &c));
	tap_check_u64(sata_pin(&s, 0, PX_TFD), FAILED(0x10));
	tap_check(pread(image, &mark, 4, 512) == 4);
	tap_check_u64(mark, 1);
	end();
}

static void
a_disk_for_reading_is_not_written(void)
{
	struct sata_cmd c = {
		.command = 0x35, .count = 1, .len = 512, .write = true
	};

	begin(",ro");
	tap_check(sata_run(&s, 0, &c));
	tap_check_u64(sata_pin(&s, 0, PX_TFD), FAILED(4));
	end();
}

static void
a_broken_medium_is_told(void)
{
	struct sata_cmd c = {
		.command = 0x25, .lba = 8000, .count = 1, .len = 512
	};

	begin("");
	tap_check(ftruncate(image, 1 * MiB) == 0);
	tap_check(sata_run(&s, 0, &c));
	tap_check_u64(sata_pin(&s, 0, PX_TFD), FAILED(0x40));
	end();
}

/* ---- queued commands ---- */

static void
queue(unsigned slot, uint8_t command, uint64_t lba, uint16_t n)
{
	struct sata_cmd c = { .command = command,
		.lba = lba,
		.features16 = n,
		.count = (uint16_t)(slot << 3),
		.device = 0x40,
		.len = n * 512u,
		.write = command == 0x61 };

	sata_prepare(&s, 0, slot, &c);
	/* each its own memory */
	sata_prd(sata_ram(&s, SATA_TABLE(0, slot) + TABLE_PRDT),
	    SATA_DATA + slot * 4096, n * 512u);
}

static void
thirty_two_at_once(void)
{
	begin("");
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 32; i++)
			queue(i, 0x60, round * 37 + i * 100, 4);
		sata_pout(&s, 0, PX_IS, 0xffffffff);
		sata_pout(&s, 0, PX_SACT, 0xffffffff);
		sata_pout(&s, 0, PX_CI, 0xffffffff);
		tap_check(sata_until(&s, 0, PX_SACT, 0xffffffff, 0));
		tap_check_u64(sata_pin(&s, 0, PX_CI), 0);
		tap_check_u64(sata_pin(&s, 0, PX_IS) & IS_SDBS, IS_SDBS);
		for (unsigned i = 0; i < 32; i++)
			for (unsigned k = 0; k < 4; k++)
				tap_check_u64(
				    sector_mark(SATA_DATA + i * 4096 + k * 512),
				    round * 37 + i * 100 + k);
	}
	tap_check_u64(*sata_ram(&s, SATA_FB(0) + RX_SDB), FIS_SDB);
	end();
}

static void
the_log_names_the_tag_that_failed(void)
{
	const struct sata_cmd log = {
		.command = 0x2f, .lba = 0x10, .count = 1, .len = 512
	};
	const uint8_t *page;

	begin("");
	queue(5, 0x61, 8190, 4);
	sata_pout(&s, 0, PX_SACT, 1 << 5);
	sata_pout(&s, 0, PX_CI, 1 << 5);
	tap_check(sata_until(&s, 0, PX_IS, IS_TFES, IS_TFES));
	tap_check_u64(sata_pin(&s, 0, PX_TFD), FAILED(0x10));
	tap_check_u64(sata_pin(&s, 0, PX_SACT), 1 << 5);
	/* Nothing is taken until the port was stopped. */
	queue(6, 0x60, 0, 1);
	sata_pout(&s, 0, PX_SACT, 1 << 6);
	sata_pout(&s, 0, PX_CI, 1 << 6);
	usleep(2000);
	tap_check_u64(sata_pin(&s, 0, PX_CI), 1 << 6);
	tap_check(sata_stop(&s, 0));
	tap_check_u64(sata_pin(&s, 0, PX_SACT) | sata_pin(&s, 0, PX_CI), 0);
	tap_check(sata_start(&s, 0));
	tap_check(sata_run(&s, 0, &log));
	page = sata_ram(&s, SATA_DATA);
	tap_check_u64(page[0], 5);
	tap_check_u64(page[2], 0x51);
	tap_check_u64(page[3], 0x10);
	tap_check_u64(page[4] | page[5] << 8, 8190);
	tap_check(sata_run(&s, 0, &log));
	tap_check_u64(*sata_ram(&s, SATA_DATA), 0x80); /* once */
	/* A tag that is not the slot's number */
	queue(3, 0x60, 0, 1);
	store_le16(sata_ram(&s, SATA_TABLE(0, 3) + 12), 4 << 3);
	sata_pout(&s, 0, PX_CI, 1 << 3);
	tap_check(sata_until(&s, 0, PX_IS, IS_TFES, IS_TFES));
	end();
}

/* Queued ones first, then the one that must be alone, then the rest. */
static void
both_kinds_mixed(void)
{
	const struct sata_cmd flush = { .command = 0xea };

	begin("");
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 32; i++)
			if (i % 3 == 1)
				sata_prepare(&s, 0, i, &flush);
			else
				queue(i, i % 2 ? 0x60 : 0x61, i * 8, 8);
		sata_pout(&s, 0, PX_SACT, 0xb6db6db6u >> 1);
		sata_pout(&s, 0, PX_SACT, 0xffffffff);
		sata_pout(&s, 0, PX_CI, 0xffffffff);
		tap_check(sata_until(&s, 0, PX_CI, 0xffffffff, 0));
		tap_check(sata_until(&s, 0, PX_SACT, 0x6db6db6du, 0));
		tap_check(sata_stop(&s, 0) && sata_start(&s, 0));
	}
	end();
}

/* ---- a guest that does it wrong ---- */

static const struct wrong {
	const char *what;
	unsigned at; /* what is overwritten, relative to slot 0's header */
	bool table;
	uint32_t value;
	uint32_t is;
} wrongs[] = {
	{ "table outside of memory", 8, false, 0xfec00000, IS_HBFS },
	{ "table beyond all memory", 12, false, 0x7fffffff, IS_HBFS },
	{ "descriptors run out of memory", 8, false, SATA_RAM - 0x80, IS_HBFS },
	{ "data outside of memory", 0x80, true, 0xfec00000, IS_HBFS },
	{ "data wraps around", 0x84, true, 0xffffffff, IS_HBFS },
	{ "data runs out of memory", 0x80, true, SATA_RAM - 512, IS_HBFS },
	{ "no descriptors", 0, false, 5, IS_OFS },
	{ "too little memory", 0x8c, true, 511, IS_OFS },
	{ "no command FIS", 0, true, 0x34, IS_IFS },
	{ "a FIS of no length", 0, false, 1 << 16, IS_IFS },
	{ "a FIS of 17 dwords", 0, false, 17 | 1 << 16, IS_IFS },
};

static void
nonsense_stops_the_port_only(void)
{
	const struct sata_cmd c = {
		.command = 0x25, .lba = 3, .count = 2, .len = 1024
	};

	begin("");
	for (unsigned i = 0; i < ARRAY_LEN(wrongs); i++) {
		const struct wrong *w = &wrongs[i];
		uint64_t at = w->table ? SATA_TABLE(0, 0) : SATA_CLB(0);

		tap_context("%s", w->what);
		sata_prepare(&s, 0, 0, &c);
		memcpy(sata_ram(&s, SATA_RAM - 0x80),
		    sata_ram(&s, SATA_TABLE(0, 0)), 0x80);
		store_le32(sata_ram(&s, at + w->at), w->value);
		sata_pout(&s, 0, PX_CI, 1);
		tap_check(sata_until(&s, 0, PX_IS, w->is, w->is));
		tap_check_u64(sata_pin(&s, 0, PX_CI), 1);
		tap_check(sata_recover(&s, 0));
		tap_check(sata_run(&s, 0, &c));
		tap_check_u64(sata_pin(&s, 0, PX_TFD), READY);
		tap_check_u64(sector_mark(SATA_DATA + 512), 4);
	}
	/* Lists outside of memory; without bus mastering */
	sata_pout(&s, 0, PX_CLBU, 0x7fffffff);
	sata_pout(&s, 0, PX_CI, 1);
	tap_check(sata_until(&s, 0, PX_IS, IS_HBFS, IS_HBFS));
	tap_check(sata_recover(&s, 0));
	sata_cfg_out(&s, 0x04, 2, 2);
	sata_pout(&s, 0, PX_CI, 1);
	tap_check(sata_until(&s, 0, PX_IS, IS_HBFS, IS_HBFS));
	end();
}

/* ---- resets ---- */

static void
resets_in_the_middle(void)
{
	begin(",aio=threads");
	for (unsigned round = 0; round < 60; round++) {
		for (unsigned i = 0; i < 32; i++)
			queue(i, round % 2 ? 0x60 : 0x61, i * 8, 8);
		sata_pout(&s, 0, PX_SACT, 0xffffffff);
		sata_pout(&s, 0, PX_CI, 0xffffffff);
		if (round % 3 == 0) {
			tap_check(sata_stop(&s, 0));
		} else if (round % 3 == 1) {
			sata_pout(&s, 0, PX_SCTL, 0x301);
			tap_check_u64(sata_pin(&s, 0, PX_SSTS), SSTS_NO_PHY);
			sata_pout(&s, 0, PX_CMD, CMD_FRE);
			sata_pout(&s, 0, PX_SCTL, 0x300);
			tap_check(sata_until(&s, 0, PX_CMD, CMD_CR, 0));
			tap_check(sata_until(&s, 0, PX_TFD, 0xff, READY));
			tap_check_u64(sata_pin(&s, 0, PX_SIG), SIG_ATA);
			tap_check_u64(sata_pin(&s, 0, PX_SERR) & SERR_DIAG_X,
			    SERR_DIAG_X);
		} else {
			sata_out(&s, HBA_GHC, GHC_AE | GHC_HR);
			for (unsigned i = 0;
			     i < 100000 && (sata_in(&s, HBA_GHC) & GHC_HR) != 0;
			     i++)
				usleep(100);
			tap_check_u64(sata_in(&s, HBA_GHC), GHC_AE);
			tap_check_u64(
			    sata_pin(&s, 0, PX_CMD), CMD_SUD | CMD_POD);
		}
		tap_check_u64(sata_pin(&s, 0, PX_SACT), 0);
		tap_check_u64(sata_pin(&s, 0, PX_CI), 0);
		tap_check(sata_start(&s, 0));
	}
	/* Torn down in the middle, too */
	sata_pout(&s, 0, PX_SACT, 0xffffffff);
	sata_pout(&s, 0, PX_CI, 0xffffffff);
	end();
}

static void
software_reset_brings_the_signature(void)
{
	uint8_t *t;

	begin("");
	for (unsigned srst = 2; srst-- > 0;) {
		const struct sata_cmd c = { .command = 0 };

		sata_prepare(&s, 0, 0, &c);
		t = sata_ram(&s, SATA_TABLE(0, 0));
		t[1] = 0;
		t[15] = srst ? CTL_SRST : 0;
		memset(sata_ram(&s, SATA_FB(0) + RX_D2H), 0, 20);
		sata_pout(&s, 0, PX_CI, 1);
		tap_check(sata_until(&s, 0, PX_CI, 1, 0));
		tap_check_u64(
		    *sata_ram(&s, SATA_FB(0) + RX_D2H), srst ? 0 : FIS_D2H);
	}
	tap_check_u64(sata_pin(&s, 0, PX_TFD) & 0x80, 0);
	tap_check_u64(sata_pin(&s, 0, PX_SIG), SIG_ATA);
	end();
}

/* ---- interrupts ---- */

static void
interrupts_by_line_and_message(void)
{
	const struct sata_cmd c = { .command = 0xe7 };
	unsigned gsi = GSI_PIRQ0 + pci_pirq_of(SATA_SLOT, 0);
	unsigned cap, n;

	begin("");
	sata_out(&s, HBA_IS, 0xffffffff);
	tap_check(sata_run(&s, 0, &c));
	tap_check_u64(sata_in(&s, HBA_IS), 0); /* nothing is enabled */
	sata_pout(&s, 0, PX_IE, IS_DHRS);
	tap_check_u64(sata_in(&s, HBA_IS), 1);
	tap_check(!fake_irq(s.vm, gsi));
	sata_out(&s, HBA_GHC, GHC_AE | GHC_IE);
	tap_check(fake_irq(s.vm, gsi));
	sata_out(&s, HBA_IS, 1);
	tap_check(fake_irq(s.vm, gsi)); /* the port still says so */
	sata_pout(&s, 0, PX_IS, IS_DHRS);
	tap_check(fake_irq(s.vm, gsi));
	sata_out(&s, HBA_IS, 1);
	tap_check(!fake_irq(s.vm, gsi));
	/* MSI: one for each time that a bit of IS becomes set */
	cap = sata_cfg_in(&s, 0x34, 1);
	sata_cfg_out(&s, cap + 4, 4, 0xfee00000);
	sata_cfg_out(&s, cap + 12, 2, 0x41);
	sata_cfg_out(&s, cap + 2, 2, 1);
	for (n = 0; n < 5; n++) {
		tap_check(sata_run(&s, 0, &c));
		tap_check_u64(s.vm->nmsi, n + 1);
		tap_check(!fake_irq(s.vm, gsi));
		sata_pout(&s, 0, PX_IS, 0xffffffff);
		sata_out(&s, HBA_IS, 1);
	}
	tap_check(sata_run(&s, 0, &c));
	sata_out(&s, HBA_IS, 1); /* again: the port was not looked at */
	tap_check_u64(s.vm->nmsi, n + 2);
	end();
}

static void
bad_options_are_named(void)
{
	static const struct {
		const char *model, *opts, *text;
	} bad[] = {
		{ "ahci-hd", "/dev/null", "neither a file nor a block device" },
		{ "ahci-hd", "/dev/zero,nmrr=70000", "nmrr" },
		{ "ahci-hd", "/dev/zero,rev=123456789",
		    "at most 8 characters" },
		{ "ahci", "hd:/dev/zero,cd:", "needs the path" },
		{ "ahci-cd", "/dev/zero,speed=4", "speed" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		tap_check(sata_open(&s, bad[i].model, bad[i].opts, &err) < 0);
		tap_check_has(err.text, bad[i].text);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(registers_after_power_on),
	TAP_TEST(signature_waits_for_fre),
	TAP_TEST(commands_of_a_disk),
	TAP_TEST(identify_says_what_it_is),
	TAP_TEST(data_in_pieces),
	TAP_TEST(written_data_is_there),
	TAP_TEST(trim_makes_holes),
	TAP_TEST(a_disk_for_reading_is_not_written),
	TAP_TEST(a_broken_medium_is_told),
	TAP_TEST(thirty_two_at_once),
	TAP_TEST(the_log_names_the_tag_that_failed),
	TAP_TEST(both_kinds_mixed),
	TAP_TEST(nonsense_stops_the_port_only),
	TAP_TEST(resets_in_the_middle),
	TAP_TEST(software_reset_brings_the_signature),
	TAP_TEST(interrupts_by_line_and_message),
	TAP_TEST(bad_options_are_named),
};
TAP_MAIN(tests)
