/*
 * SMBIOS: what the machine calls itself. The structures have the sizes of
 * version 3.0; version 2.8 readers take them too, since they go by each
 * structure's own length. Sections named are those of DSP0134 3.6.
 */
#include "boot/smbios.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "boot/boot.h"
#include "boot/tables.h"
#include "vmm/memmap.h"

/* clang-format off */
const struct config_key smbios_keys[] = {
	[SMBIOS_BIOS_VENDOR] = { "bios.vendor", CONFIG_STRING, "BHYVE", NULL, 0,
	    "vendor of the BIOS" },
	[SMBIOS_BIOS_VERSION] = { "bios.version", CONFIG_STRING, "14.0", NULL, 0,
	    "version of the BIOS" },
	[SMBIOS_BIOS_DATE] = { "bios.release_date", CONFIG_STRING, "10/17/2021",
	    NULL, 0, "release date of the BIOS, month/day/year" },
	[SMBIOS_SYS_MANUFACTURER] = { "system.manufacturer", CONFIG_STRING,
	    "FreeBSD", NULL, 0, "manufacturer of the system" },
	[SMBIOS_SYS_PRODUCT] = { "system.product_name", CONFIG_STRING, "BHYVE",
	    NULL, 0, "product name of the system" },
	[SMBIOS_SYS_VERSION] = { "system.version", CONFIG_STRING, "1.0", NULL, 0,
	    "version of the system" },
	[SMBIOS_SYS_SERIAL] = { "system.serial_number", CONFIG_STRING, "None",
	    NULL, 0, "serial number of the system" },
	[SMBIOS_SYS_SKU] = { "system.sku", CONFIG_STRING, NULL, NULL, 0,
	    "stock keeping unit of the system" },
	[SMBIOS_SYS_FAMILY] = { "system.family_name", CONFIG_STRING, NULL, NULL,
	    0, "family that the system belongs to" },
	[SMBIOS_BOARD_MANUFACTURER] = { "board.manufacturer", CONFIG_STRING,
	    NULL, NULL, 0, "manufacturer of the main board" },
	[SMBIOS_BOARD_PRODUCT] = { "board.product_name", CONFIG_STRING, NULL,
	    NULL, 0, "product name of the main board" },
	[SMBIOS_BOARD_VERSION] = { "board.version", CONFIG_STRING, NULL, NULL, 0,
	    "version of the main board" },
	[SMBIOS_BOARD_SERIAL] = { "board.serial_number", CONFIG_STRING, NULL,
	    NULL, 0, "serial number of the main board" },
	[SMBIOS_BOARD_ASSET] = { "board.asset_tag", CONFIG_STRING, NULL, NULL, 0,
	    "asset tag of the main board" },
	[SMBIOS_BOARD_LOCATION] = { "board.location", CONFIG_STRING, NULL, NULL,
	    0, "location of the main board in the chassis" },
	[SMBIOS_CHASSIS_MANUFACTURER] = { "chassis.manufacturer", CONFIG_STRING,
	    NULL, NULL, 0, "manufacturer of the chassis" },
	[SMBIOS_CHASSIS_VERSION] = { "chassis.version", CONFIG_STRING, NULL,
	    NULL, 0, "version of the chassis" },
	[SMBIOS_CHASSIS_SERIAL] = { "chassis.serial_number", CONFIG_STRING, NULL,
	    NULL, 0, "serial number of the chassis" },
	[SMBIOS_CHASSIS_ASSET] = { "chassis.asset_tag", CONFIG_STRING, NULL,
	    NULL, 0, "asset tag of the chassis" },
	[SMBIOS_CHASSIS_SKU] = { "chassis.sku", CONFIG_STRING, NULL, NULL, 0,
	    "stock keeping unit of the chassis" },
	[SMBIOS_TEXTS] = { NULL },
};
/* clang-format on */

/* ---- configuration ---- */

#define TEXT_MAX 255 /* config_set() keeps control characters out */

static int
check_text(const char *name, const char *text, struct error *err)
{
	if (strlen(text) > TEXT_MAX)
		return error_set(err, EINVAL,
		    "%s: %zu characters; at most %d are accepted", name,
		    strlen(text), TEXT_MAX);
	return 0;
}

/* 7.1: mm/dd/yyyy */
static int
check_date(const char *name, const char *text, struct error *err)
{
	static const char form[] = "dd/dd/dddd";
	bool ok = strlen(text) == sizeof(form) - 1;
	unsigned month, day;

	for (size_t i = 0; ok && form[i] != '\0'; i++)
		ok = form[i] == '/' ? text[i] == '/'
				    : text[i] >= '0' && text[i] <= '9';
	if (ok) {
		month = (unsigned)atoi(text);
		day = (unsigned)atoi(text + 3);
		ok = month >= 1 && month <= 12 && day >= 1 && day <= 31;
	}
	if (!ok)
		return error_set(err, EINVAL,
		    "%s: '%s' is not a date; write month/day/year as "
		    "10/17/2021",
		    name, text);
	return 0;
}

int
smbios_read_config(
    const struct config_node *root, struct smbios_desc *ret, struct error *err)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < SMBIOS_TEXTS; i++) {
		const char *name = smbios_keys[i].name;
		char *text = NULL;
		int rc = config_get_str(root, smbios_keys, name, &text, err);

		if (rc == -ENOENT)
			continue;
		ret->text[i] = text;
		if (rc == 0)
			rc = check_text(name, text, err);
		if (rc == 0 && i == SMBIOS_BIOS_DATE && text[0] != '\0')
			rc = check_date(name, text, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void
smbios_desc_fini(struct smbios_desc *d)
{
	for (unsigned i = 0; i < SMBIOS_TEXTS; i++) {
		free(d->text[i]);
		d->text[i] = NULL;
	}
}

/* ---- writing structures ---- */

#define MAX_STRINGS 8
#define MAX_FORMATTED 64
#define NO_HANDLE 0xfffe /* "not provided" of 7.17.2 */
#define NO_CACHE 0xffff

struct smb {
	struct smbios_tables *out;
	uint8_t body[MAX_FORMATTED];
	const char *string[MAX_STRINGS];
	unsigned nstrings;
};

static uint16_t
handle(unsigned type, unsigned n)
{
	return (uint16_t)((type << 8) + n);
}

static void
begin(struct smb *s, struct smbios_tables *out, unsigned type, unsigned n,
    uint8_t len)
{
	*s = (struct smb){ .out = out };
	s->body[0] = (uint8_t)type;
	s->body[1] = len;
	store_le16(s->body + 2, handle(type, n));
}

/* 6.1.3: a text field holds the number of a string; 0 is none. */
static void
put_text(struct smb *s, unsigned at, const char *text)
{
	if (text == NULL || *text == '\0' || s->nstrings == MAX_STRINGS)
		return;
	s->string[s->nstrings++] = text;
	s->body[at] = (uint8_t)s->nstrings;
}

/* The structure and field that each text of the configuration stands in. */
static const struct {
	uint8_t type, at;
} text_places[SMBIOS_TEXTS] = {
	[SMBIOS_BIOS_VENDOR] = { 0, 0x04 },
	[SMBIOS_BIOS_VERSION] = { 0, 0x05 },
	[SMBIOS_BIOS_DATE] = { 0, 0x08 },
	[SMBIOS_SYS_MANUFACTURER] = { 1, 0x04 },
	[SMBIOS_SYS_PRODUCT] = { 1, 0x05 },
	[SMBIOS_SYS_VERSION] = { 1, 0x06 },
	[SMBIOS_SYS_SERIAL] = { 1, 0x07 },
	[SMBIOS_SYS_SKU] = { 1, 0x19 },
	[SMBIOS_SYS_FAMILY] = { 1, 0x1a },
	[SMBIOS_BOARD_MANUFACTURER] = { 2, 0x04 },
	[SMBIOS_BOARD_PRODUCT] = { 2, 0x05 },
	[SMBIOS_BOARD_VERSION] = { 2, 0x06 },
	[SMBIOS_BOARD_SERIAL] = { 2, 0x07 },
	[SMBIOS_BOARD_ASSET] = { 2, 0x08 },
	[SMBIOS_BOARD_LOCATION] = { 2, 0x0a },
	[SMBIOS_CHASSIS_MANUFACTURER] = { 3, 0x04 },
	[SMBIOS_CHASSIS_VERSION] = { 3, 0x06 },
	[SMBIOS_CHASSIS_SERIAL] = { 3, 0x07 },
	[SMBIOS_CHASSIS_ASSET] = { 3, 0x08 },
	[SMBIOS_CHASSIS_SKU] = { 3, 0x15 },
};

static void
put_config_texts(struct smb *s, const struct smbios_desc *d)
{
	for (unsigned i = 0; i < SMBIOS_TEXTS; i++) {
		if (text_places[i].type == s->body[0])
			put_text(s, text_places[i].at, d->text[i]);
	}
}

static void
end(struct smb *s)
{
	struct buf *b = &s->out->data;
	size_t at = b->len;

	buf_append(b, s->body, s->body[1]);
	for (unsigned i = 0; i < s->nstrings; i++)
		buf_append(b, s->string[i], strlen(s->string[i]) + 1);
	buf_append_zero(b, s->nstrings == 0 ? 2 : 1);
	s->out->count++;
	s->out->largest = MAX(s->out->largest, (unsigned)(b->len - at));
}

/* ---- structures ---- */

#define BIOS_HAS_PCI (1u << 7)
#define BIOS_EXT1_ACPI 0x01
#define BIOS_EXT2_VIRTUAL 0x10

/* 7.1 BIOS information */
static void
put_bios(const struct smbios_desc *d, struct smbios_tables *out)
{
	struct smb s;

	begin(&s, out, 0, 0, 0x18);
	put_config_texts(&s, d);
	store_le64(s.body + 0x0a, BIOS_HAS_PCI);
	s.body[0x12] = BIOS_EXT1_ACPI;
	s.body[0x13] = BIOS_EXT2_VIRTUAL;
	memset(s.body + 0x14, 0xff, 4); /* releases: not supported */
	end(&s);
}

/* 7.2.1: the first three fields are little-endian. */
static void
put_uuid(uint8_t *dst, const uint8_t uuid[16])
{
	store_le32(dst, load_be32(uuid));
	store_le16(dst + 4, load_be16(uuid + 4));
	store_le16(dst + 6, load_be16(uuid + 6));
	memcpy(dst + 8, uuid + 8, 8);
}

#define WAKE_POWER_SWITCH 6

/* 7.2 system information */
static void
put_system(const struct smbios_desc *d, struct smbios_tables *out)
{
	struct smb s;

	begin(&s, out, 1, 0, 0x1b);
	put_config_texts(&s, d);
	put_uuid(s.body + 0x08, d->uuid);
	s.body[0x18] = WAKE_POWER_SWITCH;
	end(&s);
}

#define BOARD_HOSTING 1
#define BOARD_MAIN 0x0a

/* 7.3 baseboard information */
static void
put_board(const struct smbios_desc *d, struct smbios_tables *out)
{
	struct smb s;

	begin(&s, out, 2, 0, 0x0f);
	put_config_texts(&s, d);
	s.body[0x09] = BOARD_HOSTING;
	store_le16(s.body + 0x0b, handle(3, 0));
	s.body[0x0d] = BOARD_MAIN;
	end(&s);
}

#define CHASSIS_OTHER 1
#define STATE_SAFE 3
#define SECURITY_NONE 3

/* 7.4 system enclosure or chassis */
static void
put_chassis(const struct smbios_desc *d, struct smbios_tables *out)
{
	struct smb s;

	begin(&s, out, 3, 0, 0x16);
	put_config_texts(&s, d);
	s.body[0x05] = CHASSIS_OTHER;
	s.body[0x09] = s.body[0x0a] = s.body[0x0b] = STATE_SAFE;
	s.body[0x0c] = SECURITY_NONE;
	end(&s);
}

#define CPU_CENTRAL 3
#define CPU_FAMILY_UNKNOWN 2
#define CPU_POPULATED_ENABLED 0x41
#define CPU_UPGRADE_UNKNOWN 2
#define CPU_64BIT (1u << 2)
#define CPU_MULTI_CORE (1u << 3)
#define CPU_MULTI_THREAD (1u << 4)

/* 7.5.7: a count that does not fit in a byte stands in the wide field only. */
static void
put_count(struct smb *s, unsigned at8, unsigned at16, unsigned n)
{
	s->body[at8] = (uint8_t)MIN(n, 0xffu);
	store_le16(s->body + at16, (uint16_t)n);
}

/* 7.5 processor information, one a socket */
static void
put_socket(const struct smbios_desc *d, unsigned n, struct smbios_tables *out)
{
	unsigned cores = d->topo->cores, threads = cores * d->topo->threads;
	unsigned flags = CPU_64BIT;
	char name[16];
	struct smb s;

	snprintf(name, sizeof(name), "CPU %u", n);
	begin(&s, out, 4, n, 0x30);
	put_text(&s, 0x04, name);
	s.body[0x05] = CPU_CENTRAL;
	s.body[0x06] = CPU_FAMILY_UNKNOWN;
	s.body[0x18] = CPU_POPULATED_ENABLED;
	s.body[0x19] = CPU_UPGRADE_UNKNOWN;
	for (unsigned at = 0x1a; at < 0x20; at += 2)
		store_le16(s.body + at, NO_CACHE);
	put_count(&s, 0x23, 0x2a, cores);
	put_count(&s, 0x24, 0x2c, cores);
	put_count(&s, 0x25, 0x2e, threads);
	if (cores > 1)
		flags |= CPU_MULTI_CORE;
	if (d->topo->threads > 1)
		flags |= CPU_MULTI_THREAD;
	store_le16(s.body + 0x26, (uint16_t)flags);
	store_le16(s.body + 0x28, CPU_FAMILY_UNKNOWN);
	end(&s);
}

#define MEM_ON_BOARD 3
#define MEM_SYSTEM 3
#define MEM_ECC_NONE 3
#define MEM_CAPACITY_EXTENDED UINT32_C(0x80000000)

/* 7.17 physical memory array */
static void
put_memory_array(const struct smbios_desc *d, struct smbios_tables *out)
{
	uint64_t bytes = d->low_ram + d->high_ram;
	struct smb s;

	begin(&s, out, 16, 0, 0x17);
	s.body[0x04] = MEM_ON_BOARD;
	s.body[0x05] = MEM_SYSTEM;
	s.body[0x06] = MEM_ECC_NONE;
	if (bytes / KiB < MEM_CAPACITY_EXTENDED) {
		store_le32(s.body + 0x07, (uint32_t)(bytes / KiB));
	} else {
		store_le32(s.body + 0x07, MEM_CAPACITY_EXTENDED);
		store_le64(s.body + 0x0f, bytes);
	}
	store_le16(s.body + 0x0b, NO_HANDLE);
	store_le16(s.body + 0x0d, 1); /* one device: put_memory_device() */
	end(&s);
}

#define MEM_SIZE_EXTENDED 0x7fff
#define MEM_WIDTH_UNKNOWN 0xffff
#define MEM_FORM_DIMM 9
#define MEM_TYPE_RAM 7
#define MEM_DETAIL_OTHER 0x0002

/* 7.18 memory device: all RAM in one; sizes in MiB */
static void
put_memory_device(const struct smbios_desc *d, struct smbios_tables *out)
{
	uint64_t mib = (d->low_ram + d->high_ram) / MiB;
	struct smb s;

	begin(&s, out, 17, 0, 0x28);
	store_le16(s.body + 0x04, handle(16, 0));
	store_le16(s.body + 0x06, NO_HANDLE);
	store_le16(s.body + 0x08, MEM_WIDTH_UNKNOWN);
	store_le16(s.body + 0x0a, MEM_WIDTH_UNKNOWN);
	if (mib < MEM_SIZE_EXTENDED) {
		store_le16(s.body + 0x0c, (uint16_t)mib);
	} else {
		store_le16(s.body + 0x0c, MEM_SIZE_EXTENDED);
		store_le32(s.body + 0x1c, (uint32_t)mib);
	}
	s.body[0x0e] = MEM_FORM_DIMM;
	put_text(&s, 0x10, "DIMM 0");
	s.body[0x12] = MEM_TYPE_RAM;
	store_le16(s.body + 0x13, MEM_DETAIL_OTHER);
	end(&s);
}

/* 7.20 memory array mapped address; addresses in KiB where they fit */
static void
put_memory_range(
    unsigned n, uint64_t base, uint64_t size, struct smbios_tables *out)
{
	uint64_t first = base / KiB, last = (base + size - 1) / KiB;
	struct smb s;

	if (size == 0)
		return;
	begin(&s, out, 19, n, 0x1f);
	if (last < UINT32_MAX) {
		store_le32(s.body + 0x04, (uint32_t)first);
		store_le32(s.body + 0x08, (uint32_t)last);
	} else {
		store_le32(s.body + 0x04, UINT32_MAX);
		store_le32(s.body + 0x08, UINT32_MAX);
		store_le64(s.body + 0x0f, base);
		store_le64(s.body + 0x17, base + size - 1);
	}
	store_le16(s.body + 0x0c, handle(16, 0));
	s.body[0x0e] = 1; /* devices that form a row */
	end(&s);
}

/* 7.33 system boot information (no errors), 7.45 end of table */
static void
put_boot_and_end(struct smbios_tables *out)
{
	struct smb s;

	begin(&s, out, 32, 0, 0x0b);
	end(&s);
	begin(&s, out, 127, 0, 0x04);
	end(&s);
}

int
smbios_build(
    const struct smbios_desc *d, struct smbios_tables *ret, struct error *err)
{
	int rc;

	*ret = (struct smbios_tables){ 0 };
	buf_init(&ret->data, SMBIOS_TABLES_MAX);
	put_bios(d, ret);
	put_system(d, ret);
	put_board(d, ret);
	put_chassis(d, ret);
	for (unsigned n = 0; n < d->topo->sockets; n++)
		put_socket(d, n, ret);
	put_memory_array(d, ret);
	put_memory_device(d, ret);
	put_memory_range(0, 0, d->low_ram, ret);
	put_memory_range(1, MEMMAP_HIGH_RAM, d->high_ram, ret);
	put_boot_and_end(ret);
	rc = buf_error(&ret->data);
	return rc == 0 ? 0
		       : error_sys(err, -rc, "cannot build the SMBIOS tables");
}

/* ---- entry points ---- */

void
smbios_entry3(const struct smbios_tables *t, uint64_t gpa,
    uint8_t ret[SMBIOS_ENTRY3_SIZE])
{
	memset(ret, 0, SMBIOS_ENTRY3_SIZE);
	memcpy(ret, "_SM3_", 5);
	ret[0x06] = SMBIOS_ENTRY3_SIZE;
	ret[0x07] = 3; /* version 3.0 */
	ret[0x0a] = 1; /* revision of the entry point */
	store_le32(ret + 0x0c, (uint32_t)t->data.len);
	store_le64(ret + 0x10, gpa);
	ret[0x05] = (uint8_t)-tables_sum(ret, SMBIOS_ENTRY3_SIZE);
}

void
smbios_entry2(const struct smbios_tables *t, uint32_t gpa,
    uint8_t ret[SMBIOS_ENTRY2_SIZE])
{
	memset(ret, 0, SMBIOS_ENTRY2_SIZE);
	memcpy(ret, "_SM_", 4);
	ret[0x05] = SMBIOS_ENTRY2_SIZE;
	ret[0x06] = 2; /* version 2.8 */
	ret[0x07] = 8;
	store_le16(ret + 0x08, (uint16_t)t->largest);
	memcpy(ret + 0x10, "_DMI_", 5);
	store_le16(ret + 0x16, (uint16_t)t->data.len);
	store_le32(ret + 0x18, gpa);
	store_le16(ret + 0x1c, (uint16_t)t->count);
	ret[0x1e] = 0x28;
	ret[0x15] = (uint8_t)-tables_sum(ret + 0x10, SMBIOS_ENTRY2_SIZE - 0x10);
	ret[0x04] = (uint8_t)-tables_sum(ret, SMBIOS_ENTRY2_SIZE);
}
