/*
 * A CD drive on an AHCI controller: packet commands and their sense data.
 */
#include "ahci_rig.h"
#include "tap.h"

#define BLOCKS 300u
#define CHECK(key) ((uint32_t)((key) << 4 | 4) << 8 | 0x51)

static struct sata s;
static struct error err;

static void
begin(void)
{
	char opts[64];
	int fd = memfd_create("cd", MFD_CLOEXEC);

	tap_check(fd >= 0 && ftruncate(fd, BLOCKS * 2048 + 512) == 0);
	for (uint32_t i = 0; i < BLOCKS; i++)
		tap_check(pwrite(fd, &i, sizeof(i), i * 2048) == 4);
	(void)str_format(opts, sizeof(opts), "/dev/fd/%d,ser=DISC1", fd);
	if (sata_open(&s, "ahci-cd", opts, &err) != 0)
		tap_fail("%s", err.text);
	close(fd);
	tap_check(sata_start(&s, 0));
}

static const struct row {
	const char *what;
	uint8_t packet[12];
	uint32_t len; /* of the guest's memory */
	uint32_t tfd;
	uint32_t moved;
	unsigned nwant;
	uint8_t want[24]; /* the data begins so */
	uint16_t asc;
} rows[] = {
	{ "TEST UNIT READY", { 0x00 }, 0, 0x50, 0, 0, { 0 }, 0 },
	{ "INQUIRY", { 0x12, 0, 0, 0, 96 }, 96, 0x50, 36, 16,
	    "\x05\x80\x05\x02\x1f\0\0\0BHYVE   ", 0 },
	{ "INQUIRY, cut", { 0x12, 0, 0, 0, 5 }, 96, 0x50, 5, 5,
	    "\x05\x80\x05\x02\x1f", 0 },
	{ "INQUIRY of pages", { 0x12, 1, 0, 0, 96 }, 96, 0x50, 6, 6,
	    "\x05\0\0\x02\0\x80", 0 },
	{ "INQUIRY of the serial number", { 0x12, 1, 0x80, 0, 96 }, 96, 0x50,
	    24, 10,
	    "\x05\x80\0\x14"
	    "DISC1 ",
	    0 },
	{ "INQUIRY of what is not there", { 0x12, 1, 0x83, 0, 96 }, 96,
	    CHECK(5), 0, 0, { 0 }, 0x2400 },
	{ "READ CAPACITY", { 0x25 }, 8, 0x50, 8, 8, "\0\0\x01\x2b\0\0\x08", 0 },
	{ "READ TOC", { 0x43, 0, 0, 0, 0, 0, 0, 0, 20 }, 20, 0x50, 20, 20,
	    "\0\x12\x01\x01\0\x14\x01\0\0\0\0\0\0\x14\xaa\0\0\0\x01\x2c", 0 },
	{ "READ TOC, minutes", { 0x43, 2, 0, 0, 0, 0, 0xaa, 0, 20 }, 20, 0x50,
	    12, 12, "\0\x0a\x01\x01\0\x14\xaa\0\0\0\x06\0", 0 },
	{ "READ TOC, session", { 0x43, 0, 1, 0, 0, 0, 0, 0, 20 }, 20, 0x50, 12,
	    8, "\0\x0a\x01\x01\0\x14\x01\0", 0 },
	{ "READ TOC, old form", { 0x43, 0, 0, 0, 0, 0, 0, 0, 4, 0x80 }, 20,
	    0x50, 4, 4, "\0\x2e\x01\x01", 0 },
	{ "READ TOC, track 5", { 0x43, 0, 0, 0, 0, 0, 5, 0, 20 }, 20, CHECK(5),
	    0, 0, { 0 }, 0x2400 },
	{ "READ TOC, no such form", { 0x43, 0, 5, 0, 0, 0, 0, 0, 20 }, 20,
	    CHECK(5), 0, 0, { 0 }, 0x2400 },
	{ "GET CONFIGURATION", { 0x46, 0, 0, 0, 0, 0, 0, 0, 255 }, 255, 0x50,
	    80, 23,
	    "\0\0\0\x4c\0\0\0\x08\0\0\x03\x08\0\x10\0\0\0\x08\x01\0\0\x01\x0b",
	    0 },
	{ "GET CONFIGURATION, one", { 0x46, 2, 0, 0x10, 0, 0, 0, 0, 255 }, 255,
	    0x50, 20, 12, "\0\0\0\x10\0\0\0\x08\0\x10\x01\x08", 0 },
	{ "GET EVENT STATUS", { 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 }, 8, 0x50, 8,
	    6, "\0\x06\x04\x10\0\x02", 0 },
	{ "GET EVENT STATUS, other class", { 0x4a, 1, 0, 0, 2, 0, 0, 0, 8 }, 8,
	    0x50, 4, 4, "\0\x02\x80\x10", 0 },
	{ "GET EVENT STATUS, later", { 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8 }, 8,
	    CHECK(5), 0, 0, { 0 }, 0x2400 },
	{ "MODE SENSE(10)", { 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128 }, 128, 0x50,
	    28, 10, "\0\x1a\0\0\0\0\0\0\x2a\x12", 0 },
	{ "MODE SENSE(6), all", { 0x1a, 0, 0x3f, 0, 255 }, 255, 0x50, 36, 6,
	    "\x23\0\0\0\x01\x0a", 0 },
	{ "MODE SENSE, no such page", { 0x5a, 0, 0x11, 0, 0, 0, 0, 0, 128 },
	    128, CHECK(5), 0, 0, { 0 }, 0x2400 },
	{ "MECHANISM STATUS", { 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8 }, 8, 0x50, 8,
	    0, { 0 }, 0 },
	{ "READ DISC INFORMATION", { 0x51, 0, 0, 0, 0, 0, 0, 0, 34 }, 34, 0x50,
	    34, 3, "\0\x20\x0e", 0 },
	{ "REPORT LUNS", { 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16 }, 16, 0x50, 16, 4,
	    "\0\0\0\x08", 0 },
	{ "START STOP UNIT", { 0x1b, 0, 0, 0, 2 }, 0, 0x50, 0, 0, { 0 }, 0 },
	{ "PREVENT", { 0x1e, 0, 0, 0, 1 }, 0, 0x50, 0, 0, { 0 }, 0 },
	{ "READ(10)", { 0x28, 0, 0, 0, 1, 0x2a, 0, 0, 2 }, 4096, 0x50, 4096, 2,
	    "\x2a\x01", 0 },
	{ "READ(12)", { 0xa8, 0, 0, 0, 0, 7, 0, 0, 0, 1 }, 2048, 0x50, 2048, 2,
	    "\x07", 0 },
	{ "READ(10) of nothing", { 0x28 }, 0, 0x50, 0, 0, { 0 }, 0 },
	{ "READ(10) over the end", { 0x28, 0, 0, 0, 1, 0x2b, 0, 0, 2 }, 4096,
	    CHECK(5), 0, 0, { 0 }, 0x2100 },
	{ "READ(12) far off",
	    { 0xa8, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, 4096,
	    CHECK(5), 0, 0, { 0 }, 0x2100 },
	{ "WRITE(10)", { 0x2a, 0, 0, 0, 0, 0, 0, 0, 1 }, 2048, CHECK(5), 0, 0,
	    { 0 }, 0x2000 },
};

static void
run(const uint8_t *packet, uint32_t len)
{
	const struct sata_cmd c = {
		.command = 0xa0, .features = 1, .packet = packet, .len = len
	};

	memset(sata_ram(&s, SATA_DATA), 0xee, 8192);
	tap_check(sata_run(&s, 0, &c));
}

static void
packet_commands(void)
{
	static const uint8_t request_sense[12] = { 0x03, 0, 0, 0, 18 };

	begin();
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		const uint8_t *data = sata_ram(&s, SATA_DATA);

		tap_context("%s", r->what);
		run(r->packet, r->len);
		tap_check_u64(sata_pin(&s, 0, PX_TFD), r->tfd);
		tap_check_u64(sata_moved(&s, 0, 0), r->moved);
		tap_check_mem(data, r->want, r->nwant);
		tap_check_u64(data[r->moved], 0xee); /* and no more */
		if ((r->tfd & 1) == 0) {
			/* interrupt reason: the end of a command */
			tap_check_u64(
			    *sata_ram(&s, SATA_FB(0) + RX_D2H + 12), 3);
			continue;
		}
		tap_check(sata_stop(&s, 0) && sata_start(&s, 0));
		run(request_sense, 18);
		tap_check_u64(data[0], 0x70);
		tap_check_u64(data[2], 5);
		tap_check_u64(load_be16(&data[12]), r->asc);
		run(request_sense, 18);
		tap_check_u64(data[2] | data[12], 0); /* told once */
	}
	sata_close(&s);
}

static void
ata_commands_of_a_drive(void)
{
	const struct sata_cmd identify = { .command = 0xa1, .len = 512 },
			      disk = { .command = 0xec, .len = 512 },
			      read = {
				      .command = 0x25, .count = 1, .len = 512
			      };

	begin();
	tap_check_u64(sata_pin(&s, 0, PX_SIG), SIG_ATAPI);
	tap_check(sata_run(&s, 0, &identify));
	tap_check_u64(load_le16(sata_ram(&s, SATA_DATA)), 0x85c0);
	tap_check_u64(sata_moved(&s, 0, 0), 512);
	/* It is no disk, and says what it is. */
	tap_check(sata_run(&s, 0, &disk));
	tap_check_u64(sata_pin(&s, 0, PX_TFD), 0x451);
	tap_check_u64(*sata_ram(&s, SATA_FB(0) + RX_D2H + 5), 0x14);
	tap_check_u64(*sata_ram(&s, SATA_FB(0) + RX_D2H + 6), 0xeb);
	tap_check(sata_stop(&s, 0) && sata_start(&s, 0));
	tap_check(sata_run(&s, 0, &read));
	tap_check_u64(sata_pin(&s, 0, PX_TFD), 0x451);
	sata_close(&s);
}

static const struct tap_test tests[] = {
	TAP_TEST(packet_commands),
	TAP_TEST(ata_commands_of_a_drive),
};
TAP_MAIN(tests)
