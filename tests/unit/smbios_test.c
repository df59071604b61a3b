/*
 * SMBIOS: every field that the configuration gives, read back as a guest would
 * by walking the structures.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "boot/boot.h"
#include "boot/smbios.h"
#include "boot/tables.h"
#include "tap.h"

static struct config_node *root;
static struct smbios_desc desc;
static struct smbios_tables out;
static struct cpu_topology topo = { 4, 2, 2, 1 };
static struct error err;

static void
set(const char *name, const char *value)
{
	if (root == NULL)
		root = config_create();
	tap_check_int(config_set(root, name, value, &err), 0);
}

static int
read_config(void)
{
	static const uint8_t uuid[16] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
		0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	int rc;

	if (root == NULL)
		root = config_create();
	rc = smbios_read_config(root, &desc, &err);
	memcpy(desc.uuid, uuid, sizeof(uuid));
	desc.topo = &topo;
	desc.low_ram = GiB;
	return rc;
}

static void
build(void)
{
	tap_check_int(read_config(), 0);
	tap_check_int(smbios_build(&desc, &out, &err), 0);
}

static void
release(void)
{
	buf_fini(&out.data);
	smbios_desc_fini(&desc);
	config_free(root);
}

/* ---- a reader ---- */

static const uint8_t *
skip(const uint8_t *s)
{
	const uint8_t *p = s + s[1], *end = out.data.data + out.data.len;

	while (p + 1 < end && (p[0] != 0 || p[1] != 0))
		p++;
	return p + 2;
}

/* The nth structure of a type, NULL when there are fewer. */
static const uint8_t *
find(unsigned type, unsigned n)
{
	const uint8_t *end = out.data.data + out.data.len;

	for (const uint8_t *s = out.data.data; s + 4 <= end; s = skip(s)) {
		if (s[0] == type && n-- == 0)
			return s;
	}
	return NULL;
}

static const char *
text_of(const uint8_t *s, unsigned at)
{
	const char *p = (const char *)s + s[1];

	if (s[at] == 0)
		return NULL;
	for (unsigned i = 1; i < s[at]; i++)
		p += strlen(p) + 1;
	return p;
}

/* ---- tests ---- */

static const struct {
	const char *key;
	unsigned type, at;
	const char *dflt;
} fields[] = {
	{ "bios.vendor", 0, 0x04, "BHYVE" },
	{ "bios.version", 0, 0x05, "14.0" },
	{ "system.manufacturer", 1, 0x04, "FreeBSD" },
	{ "system.product_name", 1, 0x05, "BHYVE" },
	{ "system.version", 1, 0x06, "1.0" },
	{ "system.serial_number", 1, 0x07, "None" },
	{ "system.sku", 1, 0x19, NULL },
	{ "system.family_name", 1, 0x1a, NULL },
	{ "board.manufacturer", 2, 0x04, NULL },
	{ "board.product_name", 2, 0x05, NULL },
	{ "board.version", 2, 0x06, NULL },
	{ "board.serial_number", 2, 0x07, NULL },
	{ "board.asset_tag", 2, 0x08, NULL },
	{ "board.location", 2, 0x0a, NULL },
	{ "chassis.manufacturer", 3, 0x04, NULL },
	{ "chassis.version", 3, 0x06, NULL },
	{ "chassis.serial_number", 3, 0x07, NULL },
	{ "chassis.asset_tag", 3, 0x08, NULL },
	{ "chassis.sku", 3, 0x15, NULL },
};

static void
every_field_comes_back(void)
{
	char value[64];

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		snprintf(value, sizeof(value), "value of %s", fields[i].key);
		set(fields[i].key, value);
	}
	set("bios.release_date", "02/29/2024");
	build();
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		snprintf(value, sizeof(value), "value of %s", fields[i].key);
		tap_check_str(
		    text_of(find(fields[i].type, 0), fields[i].at), value);
	}
	tap_check_str(text_of(find(0, 0), 0x08), "02/29/2024");
	release();
}

static void
defaults_are_bhyves(void)
{
	build();
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		tap_check_str(text_of(find(fields[i].type, 0), fields[i].at),
		    fields[i].dflt);
	tap_check_str(text_of(find(0, 0), 0x08), "10/17/2021");
	release();
}

static void
empty_value_is_not_specified(void)
{
	set("system.serial_number", "");
	build();
	tap_check_str(text_of(find(1, 0), 0x07), NULL);
	release();
}

static void
every_key_is_tested(void)
{
	size_t n = 0;

	while (smbios_keys[n].name != NULL)
		n++;
	tap_check_u64(n, ARRAY_LEN(fields) + 1); /* and release_date */
	tap_check_u64(n, SMBIOS_TEXTS);
}

static void
uuid_starts_little_endian(void)
{
	static const uint8_t want[16] = { 0x33, 0x22, 0x11, 0x00, 0x55, 0x44,
		0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };

	build();
	tap_check_mem(find(1, 0) + 8, want, 16);
	release();
}

static void
sockets_and_cores_are_counted(void)
{
	const uint8_t *s;

	build();
	s = find(4, 1);
	tap_check(s != NULL && find(4, 2) == NULL);
	tap_check_str(text_of(s, 4), "CPU 1");
	tap_check_u64(s[0x23], 2);
	tap_check_u64(s[0x25], 2);
	tap_check_u64(load_le16(s + 0x26), 0x0c);
	release();
}

static void
many_cpus_fit(void)
{
	const uint8_t *s;

	topo = (struct cpu_topology){ 256, 256, 1, 1 };
	build();
	tap_check(find(4, 255) != NULL);
	tap_check(find(127, 0) != NULL);
	release();
	root = NULL;
	topo = (struct cpu_topology){ 600, 1, 300, 2 };
	build();
	s = find(4, 0);
	tap_check_u64(s[0x23], 0xff);
	tap_check_u64(s[0x25], 0xff);
	tap_check_u64(load_le16(s + 0x2a), 300);
	tap_check_u64(load_le16(s + 0x2e), 600);
	release();
}

static void
memory_of_any_size(void)
{
	tap_check_int(read_config(), 0);
	tap_check_int(smbios_build(&desc, &out, &err), 0);
	tap_check_u64(load_le16(find(17, 0) + 0x0c), 1024);
	tap_check_u64(load_le32(find(16, 0) + 0x07), 1024 * 1024);
	tap_check_u64(load_le32(find(19, 0) + 0x08), 1024 * 1024 - 1);
	tap_check(find(19, 1) == NULL);
	buf_fini(&out.data);
	desc.high_ram = 8192 * GiB;
	tap_check_int(smbios_build(&desc, &out, &err), 0);
	tap_check_u64(load_le16(find(17, 0) + 0x0c), 0x7fff);
	tap_check_u64(load_le32(find(17, 0) + 0x1c), 8193 * 1024);
	tap_check_u64(load_le32(find(16, 0) + 0x07), 0x80000000);
	tap_check_u64(load_le64(find(16, 0) + 0x0f), 8193 * GiB);
	tap_check_u64(load_le32(find(19, 1) + 0x04), UINT32_MAX);
	tap_check_u64(load_le64(find(19, 1) + 0x0f), 4 * GiB);
	tap_check_u64(load_le64(find(19, 1) + 0x17), 8196 * GiB - 1);
	release();
}

static void
handles_are_unique_and_count_is_right(void)
{
	const uint8_t *end, *s;
	unsigned n = 0, largest = 0;

	build();
	end = out.data.data + out.data.len;
	for (s = out.data.data; s < end; s = skip(s), n++) {
		unsigned size = (unsigned)(skip(s) - s);

		largest = MAX(largest, size);
		for (const uint8_t *o = out.data.data; o < s; o = skip(o))
			tap_check(load_le16(o + 2) != load_le16(s + 2));
	}
	tap_check(s == end);
	tap_check_u64(out.count, n);
	tap_check_u64(out.largest, largest);
	tap_check_u64(find(2, 0)[0x0a], 0);
	tap_check_u64(load_le16(find(2, 0) + 0x0b), load_le16(find(3, 0) + 2));
	release();
}

static void
entry_points_add_up(void)
{
	uint8_t e3[SMBIOS_ENTRY3_SIZE], e2[SMBIOS_ENTRY2_SIZE];

	build();
	smbios_entry3(&out, 0xf0040, e3);
	tap_check_mem(e3, "_SM3_", 5);
	tap_check_u64(tables_sum(e3, sizeof(e3)), 0);
	tap_check_u64(load_le32(e3 + 0x0c), out.data.len);
	tap_check_u64(load_le64(e3 + 0x10), 0xf0040);
	smbios_entry2(&out, 0xf0040, e2);
	tap_check_mem(e2, "_SM_", 4);
	tap_check_mem(e2 + 0x10, "_DMI_", 5);
	tap_check_u64(tables_sum(e2, sizeof(e2)), 0);
	tap_check_u64(tables_sum(e2 + 0x10, sizeof(e2) - 0x10), 0);
	tap_check_u64(load_le16(e2 + 0x16), out.data.len);
	tap_check_u64(load_le16(e2 + 0x1c), out.count);
	release();
}

static void
dates_are_checked(void)
{
	static const char *const bad[] = { "2021-10-17", "13/01/2021",
		"00/10/2021", "10/32/2021", "10/17/21", "1/2/2021",
		"10/17/2021 ", "x" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		set("bios.release_date", bad[i]);
		tap_check_int(read_config(), -EINVAL);
		tap_check_has(err.text, "bios.release_date: '");
		tap_check_has(err.text, "write month/day/year as 10/17/2021");
		smbios_desc_fini(&desc);
	}
	config_free(root);
}

static void
long_texts_are_refused(void)
{
	char text[300];

	memset(text, 'y', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	set("board.location", text);
	tap_check_int(read_config(), -EINVAL);
	tap_check_has(err.text, "board.location: 299 characters");
	smbios_desc_fini(&desc);
	config_free(root);
}

static const struct tap_test tests[] = {
	TAP_TEST(every_field_comes_back),
	TAP_TEST(defaults_are_bhyves),
	TAP_TEST(empty_value_is_not_specified),
	TAP_TEST(every_key_is_tested),
	TAP_TEST(uuid_starts_little_endian),
	TAP_TEST(sockets_and_cores_are_counted),
	TAP_TEST(many_cpus_fit),
	TAP_TEST(memory_of_any_size),
	TAP_TEST(handles_are_unique_and_count_is_right),
	TAP_TEST(entry_points_add_up),
	TAP_TEST(dates_are_checked),
	TAP_TEST(long_texts_are_refused),
};
TAP_MAIN(tests)
