/*
 * ACPI tables: walked by their pointers as a guest does, compared with golden
 * texts, and put through iasl and back.
 *
 * UNIT_GOLDEN_WRITE=1 in the environment writes the golden texts anew.
 */
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "boot/acpi.h"
#include "boot/aml.h"
#include "tap.h"
#include "vmm/memmap.h"

static struct tables tabs;
static struct error err;

/* ---- shapes ---- */

/* Windows as pci_bus_windows() gives them to a lone bus 0. */
#define ONLY_BUS(occupied, high)                                    \
	{                                                           \
		.n = 1,                                             \
		.bus = { { 0, 255, (occupied),                      \
		    { { MEMMAP_PCI_IO_BASE,                         \
			  MEMMAP_PCI_IO_END - MEMMAP_PCI_IO_BASE }, \
			{ MEMMAP_PCI32_BASE,                        \
			    MEMMAP_PCI32_END - MEMMAP_PCI32_BASE }, \
			{ (high), MEMMAP_PCI64_SIZE } } } }         \
	}

static const struct boot_buses plain_bus =
    ONLY_BUS(0x80000009, MEMMAP_HIGH_RAM);
static const struct cpu_topology one = { 1, 1, 1, 1 };
static const struct acpi_desc plain = {
	.topo = &one,
	.ecam_base = MEMMAP_ECAM_BASE,
	.buses = &plain_bus,
	.lpc_adr = 0x1f0000,
};

/* 8 GiB of RAM */
static const struct boot_buses smp_bus =
    ONLY_BUS(0x0000007b, UINT64_C(0x240000000));
static const struct cpu_topology four = { 4, 2, 2, 1 };
static const struct acpi_desc smp = {
	.topo = &four,
	.ecam_base = MEMMAP_ECAM_BASE,
	.buses = &smp_bus,
	.lpc_adr = 0x10000,
	.com = { true, true },
	.fw_cfg = true,
};

static const struct cpu_topology many = { 600, 2, 300, 1 };

/* Bus 1 has no 64-bit BARs, bus 7 is the last one. */
static const struct boot_buses three_buses = { .n = 3,
	.bus = {
	    { 0, 0, 0x80000001,
		{ { 0x6000, 0x100 }, { 0xc0000000, 0x100000 },
		    { UINT64_C(0x100000000), 0x200000 } } },
	    { 1, 6, 0x1,
		{ { 0x6100, 0x200 }, { 0xc0100000, 0x300000 },
		    { UINT64_C(0x100200000), 0 } } },
	    { 7, 255, 0x3,
		{ { 0x6300, 0x9d00 }, { 0xc0400000, 0x3bc00000 },
		    { UINT64_C(0x100200000), UINT64_C(0x7ffe00000) } } },
	} };

static void
build(const struct acpi_desc *d)
{
	tap_check_int(acpi_build(d, &tabs, &err), 0);
	tabs.blob[ACPI_BLOB_RSDP].gpa = 0xe0000;
	tabs.blob[ACPI_BLOB_FACS].gpa = 0xe0040;
	tabs.blob[ACPI_BLOB_TABLES].gpa = 0x7ff0000;
	tables_apply(&tabs);
}

/* What a guest reads at an address; it must lie in one blob. */
static const uint8_t *
at_address(uint64_t gpa, size_t len)
{
	for (unsigned i = 0; i < tabs.nblobs; i++) {
		const struct blob *b = &tabs.blob[i];

		if (gpa >= b->gpa && gpa - b->gpa <= b->data.len &&
		    len <= b->data.len - (gpa - b->gpa))
			return b->data.data + (gpa - b->gpa);
	}
	tap_fail("nothing lies at %#llx", (unsigned long long)gpa);
}

/* A table with a right length and checksum. */
static const uint8_t *
table_at(uint64_t gpa)
{
	uint32_t len = load_le32(at_address(gpa, ACPI_HEADER_SIZE) + 4);
	const uint8_t *t = at_address(gpa, len);

	tap_check(len >= ACPI_HEADER_SIZE);
	tap_check_u64(tables_sum(t, len), 0);
	return t;
}

/* By the XSDT; NULL when there is none. */
static const uint8_t *
find(const char *sig)
{
	const uint8_t *rsdp = at_address(0xe0000, 36);
	const uint8_t *xsdt = table_at(load_le64(rsdp + 24));

	for (uint32_t off = 36; off < load_le32(xsdt + 4); off += 8) {
		const uint8_t *t = table_at(load_le64(xsdt + off));

		if (memcmp(t, sig, 4) == 0)
			return t;
	}
	return NULL;
}

/* ---- walk ---- */

static void
roots_agree(void)
{
	const uint8_t *rsdp, *rsdt, *xsdt;
	unsigned n;

	build(&smp);
	rsdp = at_address(0xe0000, 36);
	tap_check_mem(rsdp, "RSD PTR ", 8);
	tap_check_u64(tables_sum(rsdp, 20), 0);
	tap_check_u64(tables_sum(rsdp, 36), 0);
	tap_check_u64(rsdp[15], 2);
	rsdt = table_at(load_le32(rsdp + 16));
	xsdt = table_at(load_le64(rsdp + 24));
	tap_check_mem(rsdt, "RSDT", 4);
	tap_check_mem(xsdt, "XSDT", 4);
	n = (load_le32(rsdt + 4) - 36) / 4;
	tap_check_u64((load_le32(xsdt + 4) - 36) / 8, n);
	for (unsigned i = 0; i < n; i++)
		tap_check_u64(
		    load_le32(rsdt + 36 + 4 * i), load_le64(xsdt + 36 + 8 * i));
	/* Some readers look at the first entry only. */
	tap_check_mem(table_at(load_le32(rsdt + 36)), "FACP", 4);
	tables_fini(&tabs);
}

static void
fadt_points_to_dsdt_and_facs(void)
{
	const uint8_t *fadt, *facs;

	build(&plain);
	fadt = find("FACP");
	tap_check_u64(load_le32(fadt + 4), 276);
	tap_check_u64(load_le32(fadt + 40), load_le64(fadt + 140));
	tap_check_mem(table_at(load_le64(fadt + 140)), "DSDT", 4);
	tap_check_u64(load_le32(fadt + 36), load_le64(fadt + 132));
	tap_check_u64(load_le32(fadt + 36) % 64, 0);
	facs = at_address(load_le32(fadt + 36), 64);
	tap_check_mem(facs, "FACS", 4);
	tap_check_u64(load_le32(facs + 4), 64);
	tap_check_u64(load_le32(fadt + 56), 0x600);
	tap_check_u64(load_le64(fadt + 120), 0xcf9);
	tap_check_u64(fadt[128], 6);
	tables_fini(&tabs);
}

static void
spcr_only_with_com1(void)
{
	build(&plain);
	tap_check(find("SPCR") == NULL);
	tables_fini(&tabs);
	build(&smp);
	tap_check_u64(load_le64(find("SPCR") + 44), 0x3f8);
	tables_fini(&tabs);
}

static void
madt_lists_every_cpu(void)
{
	struct acpi_desc d = smp;
	unsigned small = 0, large = 0, nmi = 0;
	const uint8_t *t;

	d.topo = &many;
	build(&d);
	t = find("APIC");
	for (uint32_t off = 44; off < load_le32(t + 4); off += t[off + 1]) {
		const uint8_t *e = t + off;

		tap_check(e[1] >= 6 && off + e[1] <= load_le32(t + 4));
		if (e[0] == 0) {
			tap_check_u64(e[3], topology_apic_id(&many, e[2]));
			small++;
		} else if (e[0] == 9) {
			tap_check_u64(load_le32(e + 4),
			    topology_apic_id(&many, load_le32(e + 12)));
			large++;
		}
		nmi += e[0] == 4 || e[0] == 10;
	}
	tap_check_u64(small + large, 600);
	tap_check(small > 200 && large > 300);
	tap_check_u64(nmi, 2);
	tables_fini(&tabs);
}

/* ---- golden texts ---- */

static void
dump_table(const uint8_t *t, uint64_t gpa, struct buf *out)
{
	uint32_t len = load_le32(t + 4);

	buf_printf(out, "%.4s @ %#llx\n", t, (unsigned long long)gpa);
	for (uint32_t i = 0; i < len; i++)
		buf_printf(out, "%02x%c", t[i],
		    i % 16 == 15 || i + 1 == len ? '\n' : ' ');
}

static void
dump_all(struct buf *out)
{
	const uint8_t *xsdt = at_address(0xe0000, 36);
	uint64_t gpa = load_le64(xsdt + 24);

	xsdt = table_at(gpa);
	dump_table(xsdt, gpa, out);
	for (uint32_t off = 36; off < load_le32(xsdt + 4); off += 8) {
		gpa = load_le64(xsdt + off);
		dump_table(table_at(gpa), gpa, out);
	}
}

static void
check_golden(const struct acpi_desc *d, const char *name)
{
	struct buf got, want;
	char path[512];

	buf_init(&got, MiB);
	buf_init(&want, MiB);
	build(d);
	dump_all(&got);
	tables_fini(&tabs);
	snprintf(path, sizeof(path), "%s/%s", GOLDEN_DIR, name);
	if (getenv("UNIT_GOLDEN_WRITE") != NULL) {
		tap_check_int(fd_write_file_atomic(
				  -1, path, got.data, got.len, 0644, &err),
		    0);
		tap_note("wrote %s", path);
	}
	tap_check_int(fd_read_file(-1, path, &want), 0);
	tap_check_str(buf_str(&got), buf_str(&want));
	buf_fini(&got);
	buf_fini(&want);
}

static void
golden_plain(void)
{
	check_golden(&plain, "plain");
}

static void
golden_smp(void)
{
	check_golden(&smp, "smp");
}

/* ---- iasl ---- */

extern char **environ;

/* Run iasl in the test's folder; its output into log. -1: there is none. */
static int
run_iasl(const char *const argv[], struct buf *log)
{
	posix_spawn_file_actions_t fa;
	char path[512];
	int rc, status = -1;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/log", tap_tmpdir());
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(
	    &fa, 1, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&fa, 1, 2);
	rc =
	    posix_spawnp(&pid, "iasl", &fa, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	if (rc != 0)
		return -1;
	tap_check(waitpid(pid, &status, 0) == pid);
	buf_reset(log);
	tap_check_int(fd_read_file(-1, path, log), 0);
	return status;
}

static void
write_table(const uint8_t *t, char path[512])
{
	snprintf(path, 512, "%s/%.4s.dat", tap_tmpdir(), t);
	tap_check_int(
	    fd_write_file_atomic(-1, path, t, load_le32(t + 4), 0600, &err), 0);
}

static void
check_clean(int status, struct buf *log, const char *what)
{
	const char *text = buf_str(log);

	if (status != 0 || strcasestr(text, "invalid") != NULL ||
	    strcasestr(text, "incorrect") != NULL)
		tap_fail("%s: %s", what, text);
}

/* Disassemble, compile again without a warning. */
static void
round_trip(const uint8_t *t, const char *dsdt)
{
	char path[512], source[512];
	const char *args[8] = { "iasl" };
	struct buf log;
	unsigned n = 1;
	int status;

	buf_init(&log, MiB);
	write_table(t, path);
	if (memcmp(t, "SSDT", 4) == 0) {
		args[n++] = "-e";
		args[n++] = dsdt;
	}
	args[n++] = "-d";
	args[n] = path;
	status = run_iasl(args, &log);
	if (status == -1)
		tap_skip("iasl is not installed");
	check_clean(status, &log, path);
	snprintf(
	    source, sizeof(source), "%.*s.dsl", (int)(strlen(path) - 4), path);
	status =
	    run_iasl((const char *[]){ "iasl", "-we", source, NULL }, &log);
	check_clean(status, &log, source);
	tap_check_has(buf_str(&log), "0 Errors, 0 Warnings");
	buf_fini(&log);
}

static void
round_trip_all(const struct acpi_desc *d)
{
	const uint8_t *xsdt, *dsdt;
	char path[512];

	build(d);
	dsdt = table_at(load_le64(find("FACP") + 140));
	write_table(dsdt, path);
	round_trip(dsdt, path);
	xsdt = table_at(load_le64(at_address(0xe0000, 36) + 24));
	round_trip(xsdt, path);
	for (uint32_t off = 36; off < load_le32(xsdt + 4); off += 8)
		round_trip(table_at(load_le64(xsdt + off)), path);
	tables_fini(&tabs);
}

static void
iasl_takes_all_tables(void)
{
	round_trip_all(&plain);
	round_trip_all(&smp);
}

static void
iasl_takes_many_buses(void)
{
	struct acpi_desc d = smp;

	d.buses = &three_buses;
	round_trip_all(&d);
}

static void
iasl_takes_600_cpus(void)
{
	struct acpi_desc d = smp;

	d.topo = &many;
	round_trip_all(&d);
}

/* ---- the AML writer ---- */

static void
aml_package_lengths(void)
{
	static const size_t bodies[] = { 0, 56, 57, 58, 59, 60, 100, 4084, 4085,
		4086, 4087, 4088, 4089, 5000, 70000 };

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		size_t total, got;
		struct buf b;
		struct aml a;
		uint8_t lead;

		buf_init(&b, MiB);
		aml_init(&a, &b);
		aml_scope(&a, "ABCD");
		buf_append_zero(&b, bodies[i]);
		aml_end(&a);
		tap_check_int(aml_error(&a), 0);
		lead = b.data[1];
		got = lead & (lead < 0x40 ? 0x3f : 0xf);
		for (unsigned n = 0; n < lead >> 6; n++)
			got |= (size_t)b.data[2 + n] << (4 + 8 * n);
		total = b.len - 1; /* all but the opcode */
		tap_check_u64(got, total);
		tap_check_u64(total, bodies[i] + 4 + 1 + (lead >> 6));
		tap_check_mem(b.data + 2 + (lead >> 6), "ABCD", 4);
		buf_fini(&b);
	}
}

static void
aml_names(void)
{
	struct buf b;
	struct aml a;

	buf_init(&b, MiB);
	aml_init(&a, &b);
	aml_path(&a, "\\_SB");
	tap_check_mem(b.data, "\\_SB_", 5);
	buf_reset(&b);
	aml_path(&a, "A.BC");
	tap_check_mem(b.data, ".A___BC__", 9);
	buf_reset(&b);
	aml_path(&a, "\\_SB.PCI0.LPC");
	tap_check_mem(b.data, "\\/\3_SB_PCI0LPC_", 15);
	buf_reset(&b);
	aml_eisaid(&a, "PNP0A08");
	tap_check_mem(b.data, "\x0c\x41\xd0\x0a\x08", 5);
	tap_check_int(aml_error(&a), 0);
	aml_path(&a, "TOOLONG");
	tap_check_int(aml_error(&a), -EINVAL);
	buf_fini(&b);
}

static void
aml_integers(void)
{
	static const struct {
		uint64_t v;
		const char *enc;
		size_t n;
	} cases[] = {
		{ 0, "\0", 1 },
		{ 1, "\1", 1 },
		{ 2, "\x0a\2", 2 },
		{ 0xff, "\x0a\xff", 2 },
		{ 0x100, "\x0b\0\1", 3 },
		{ 0x10000, "\x0c\0\0\1\0", 5 },
		{ UINT64_C(0x100000000), "\x0e\0\0\0\0\1\0\0\0", 9 },
	};
	struct buf b;
	struct aml a;

	buf_init(&b, MiB);
	aml_init(&a, &b);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_reset(&b);
		aml_int(&a, cases[i].v);
		tap_check_u64(b.len, cases[i].n);
		tap_check_mem(b.data, cases[i].enc, cases[i].n);
	}
	buf_fini(&b);
}

static void
aml_misuse_sticks(void)
{
	struct buf b;
	struct aml a;

	buf_init(&b, MiB);
	aml_init(&a, &b);
	aml_scope(&a, "ABCD");
	tap_check_int(aml_error(&a), -EINVAL); /* still open */
	aml_end(&a);
	tap_check_int(aml_error(&a), 0);
	aml_end(&a);
	tap_check_int(aml_error(&a), -EINVAL);
	buf_fini(&b);
	buf_init(&b, 4);
	aml_init(&a, &b);
	aml_scope(&a, "ABCD");
	aml_end(&a);
	tap_check_int(aml_error(&a), -ENOSPC);
	buf_fini(&b);
}

/* ---- the loader's commands ---- */

static void
loader_tells_the_same_story(void)
{
	struct tables direct;
	struct buf cmds;
	uint8_t *data;

	build(&smp);
	direct = tabs;
	tap_check_int(acpi_build(&smp, &tabs, &err), 0);
	buf_init(&cmds, MiB);
	tap_check_int(tables_loader(&tabs, &cmds), 0);
	tap_check_u64(cmds.len, (tabs.nblobs + tabs.nfixups) * 128);
	/* Do what a firmware would, blob names looked up. */
	for (size_t i = 0; i < cmds.len; i += 128) {
		const uint8_t *c = cmds.data + i;
		unsigned blob = 0, target = 0;
		uint64_t v = 0;

		for (unsigned n = 0; n < tabs.nblobs; n++) {
			if (strcmp((const char *)c + 4, tabs.blob[n].file) == 0)
				blob = n;
			if (strncmp((const char *)c + 60, tabs.blob[n].file,
				56) == 0)
				target = n;
		}
		data = tabs.blob[blob].data.data;
		if (load_le32(c) == 2) {
			memcpy(&v, data + load_le32(c + 116), c[120]);
			v += direct.blob[target].gpa;
			memcpy(data + load_le32(c + 116), &v, c[120]);
		} else if (load_le32(c) == 3) {
			data[load_le32(c + 60)] -= tables_sum(
			    data + load_le32(c + 64), load_le32(c + 68));
		}
	}
	for (unsigned n = 0; n < tabs.nblobs; n++)
		tap_check_mem(tabs.blob[n].data.data, direct.blob[n].data.data,
		    direct.blob[n].data.len);
	buf_fini(&cmds);
	tables_fini(&tabs);
	tables_fini(&direct);
}

static void
placed_at_the_top_of_low_ram(void)
{
	struct vm_mem_config conf = { .size = 64 * MiB, .overcommit = true };
	struct boot_acpi where;
	struct vm_mem *mem;
	uint8_t rsdp[36], sig[4];

	tap_check_int(vm_mem_create(&conf, &mem, &err), 0);
	tap_check_int(acpi_build(&smp, &tabs, &err), 0);
	tap_check_int(acpi_place(mem, &tabs, &where, &err), 0);
	tap_check_u64(where.base + where.size, 64 * MiB);
	tap_check_u64(where.base % 4096, 0);
	tap_check_u64(where.rsdp.v, 0xe0000);
	tap_check_int(vm_mem_read(mem, where.rsdp, rsdp, sizeof(rsdp)), 0);
	tap_check_u64(tables_sum(rsdp, sizeof(rsdp)), 0);
	tap_check(load_le64(rsdp + 24) >= where.base);
	tap_check_int(vm_mem_read(mem, GPA(load_le64(rsdp + 24)), sig, 4), 0);
	tap_check_mem(sig, "XSDT", 4);
	tables_fini(&tabs);
	vm_mem_destroy(mem);
	conf.size = MiB;
	tap_check_int(vm_mem_create(&conf, &mem, &err), 0);
	tap_check_int(acpi_build(&smp, &tabs, &err), 0);
	tap_check_int(acpi_place(mem, &tabs, &where, &err), -ENOMEM);
	tap_check_has(err.text, "memory.size: 1024 KiB leave no room");
	tables_fini(&tabs);
	vm_mem_destroy(mem);
}

static const struct tap_test tests[] = {
	TAP_TEST(roots_agree),
	TAP_TEST(fadt_points_to_dsdt_and_facs),
	TAP_TEST(spcr_only_with_com1),
	TAP_TEST(madt_lists_every_cpu),
	TAP_TEST(golden_plain),
	TAP_TEST(golden_smp),
	TAP_TEST(iasl_takes_all_tables),
	TAP_TEST(iasl_takes_many_buses),
	TAP_TEST(iasl_takes_600_cpus),
	TAP_TEST(aml_package_lengths),
	TAP_TEST(aml_names),
	TAP_TEST(aml_integers),
	TAP_TEST(aml_misuse_sticks),
	TAP_TEST(loader_tells_the_same_story),
	TAP_TEST(placed_at_the_top_of_low_ram),
};
TAP_MAIN(tests)
