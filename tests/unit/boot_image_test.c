/*
 * The planners: right images, and one wrong thing at a time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "boot/image.h"
#include "boot_synth.h"
#include "tap.h"

static const struct image_room room = { 128 * MiB };
static struct image_plan plan;
static struct error err;

static int
plan_of(const void *bytes, size_t n)
{
	struct image_src src = { .name = "k", .size = n, .bytes = bytes };

	err = (struct error)ERROR_INIT;
	memset(&plan, 0xee, sizeof(plan));
	return image_plan(&src, &room, &plan, &err);
}

static void
check_refused(const void *bytes, size_t n, int code, const char *part)
{
	struct image_plan before;
	int rc;

	memset(&before, 0xee, sizeof(before));
	rc = plan_of(bytes, n);
	if (part != NULL)
		tap_check_has(err.text, part);
	tap_check_int(rc, -code);
	tap_check_int(err.code, code);
	tap_check_mem(&plan, &before, sizeof(plan));
}

/* ---- what kind of file ---- */

static void
unknown_magic_is_refused(void)
{
	uint8_t junk[1024] = { 0 };

	check_refused(junk, sizeof(junk), ENOEXEC, "neither a bzImage");
	check_refused(junk, 1, ENOEXEC, "neither a bzImage");
	memcpy(junk, "\x1f\x8b\x08", 3);
	check_refused(junk, sizeof(junk), ENOEXEC, "kernel k:");
}

/* ---- bzImage ---- */

static uint8_t bz[SYNTH_BZ_SIZE];

static void
bzimage_is_planned(void)
{
	synth_bzimage(bz);
	tap_check_int(plan_of(bz, sizeof(bz)), 0);
	tap_check_int(plan.proto, IMAGE_LINUX64);
	tap_check_u64(plan.nsegs, 1);
	tap_check_u64(plan.seg[0].off, SYNTH_BZ_SETUP);
	tap_check_u64(plan.seg[0].len, SYNTH_BZ_PAYLOAD);
	tap_check_u64(plan.seg[0].gpa, SYNTH_BZ_PREF);
	tap_check_u64(plan.entry, SYNTH_BZ_PREF + 0x200);
	tap_check_u64(plan.end, SYNTH_BZ_PREF + SYNTH_BZ_INIT_SIZE);
	tap_check_u64(plan.cmdline_max, 2047);
	tap_check(plan.initrd_high);
	tap_check_u64(plan.setup_len, 0x26c - 0x1f1);
	tap_check_mem(plan.setup, bz + 0x1f1, plan.setup_len);
}

static void
bzimage_address_is_aligned(void)
{
	synth_bzimage(bz);
	store_le64(bz + 0x258, 0x1000001);
	tap_check_int(plan_of(bz, sizeof(bz)), 0);
	tap_check_u64(plan.seg[0].gpa, 0x1200000);
	store_le64(bz + 0x258, 0);
	tap_check_int(plan_of(bz, sizeof(bz)), 0);
	tap_check_u64(plan.seg[0].gpa, 0x200000);
}

static void
bzimage_fixed_address_is_kept(void)
{
	synth_bzimage(bz);
	bz[0x234] = 0;
	store_le64(bz + 0x258, 0x100000);
	tap_check_int(plan_of(bz, sizeof(bz)), 0);
	tap_check_u64(plan.seg[0].gpa, 0x100000);
	store_le64(bz + 0x258, 0x80000);
	check_refused(bz, sizeof(bz), ENOEXEC, "not relocatable");
}

static void
bzimage_setup_sects_zero_is_four(void)
{
	synth_bzimage(bz);
	bz[0x1f1] = 0;
	tap_check_int(plan_of(bz, sizeof(bz)), 0);
	tap_check_u64(plan.seg[0].off, SYNTH_BZ_SETUP);
}

static void
bzimage_long_header_is_cut_to_the_zero_page(void)
{
	synth_bzimage(bz);
	bz[0x201] = 0xff;
	tap_check_int(plan_of(bz, sizeof(bz)), 0);
	tap_check_u64(plan.setup_len, sizeof(plan.setup));
}

static void
bzimage_initrd_limit_without_xlf(void)
{
	synth_bzimage(bz);
	store_le16(bz + 0x236, 1);
	tap_check_int(plan_of(bz, sizeof(bz)), 0);
	tap_check(!plan.initrd_high);
	tap_check_u64(plan.initrd_max, 0x80000000);
}

struct patch {
	unsigned off, width;
	uint64_t value;
	int code;
	const char *text;
};

static void
bzimage_wrong_fields_are_refused(void)
{
	static const struct patch patches[] = {
		{ 0x1fe, 2, 0, ENOEXEC, "0xaa55" },
		{ 0x206, 2, 0x20b, ENOEXEC, "boot protocol 2.11" },
		{ 0x201, 1, 0x10, ENOEXEC, "setup header ends" },
		{ 0x236, 2, 2, ENOEXEC, "64-bit entry" },
		{ 0x211, 1, 0, ENOEXEC, "zImage" },
		{ 0x1f4, 4, 0, ENOEXEC, "damaged" },
		{ 0x1f4, 4, 0x20, ENOEXEC, "damaged" },
		{ 0x1f4, 4, SYNTH_BZ_PAYLOAD / 16 + 1, ENOEXEC, "truncated" },
		{ 0x1f4, 4, UINT32_MAX, ENOEXEC, "truncated" },
		{ 0x1f1, 1, 255, ENOEXEC, "truncated" },
		{ 0x230, 4, 0x300000, ENOEXEC, "kernel_alignment" },
		{ 0x230, 4, 0, ENOEXEC, "kernel_alignment" },
		{ 0x230, 4, 0x80000000, ENOEXEC, "kernel_alignment" },
		{ 0x258, 8, UINT64_MAX, ENOEXEC, "above 4 GiB" },
		{ 0x258, 8, UINT32_MAX, ENOMEM, "in every machine" },
		{ 0x260, 4, 0x10000000, ENOMEM, "give the machine 273M" },
		{ 0x260, 4, UINT32_MAX, ENOMEM, "in every machine" },
	};

	for (size_t i = 0; i < ARRAY_LEN(patches); i++) {
		synth_bzimage(bz);
		memcpy(
		    bz + patches[i].off, &patches[i].value, patches[i].width);
		check_refused(bz, sizeof(bz), patches[i].code, patches[i].text);
	}
}

static void
bzimage_cut_anywhere_is_refused(void)
{
	synth_bzimage(bz);
	/* The size is counted in units of 16: the last may be short. */
	for (size_t n = 1; n <= sizeof(bz) - 16; n++)
		check_refused(bz, n, ENOEXEC, NULL);
}

static void
bzimage_last_unit_may_be_short(void)
{
	synth_bzimage(bz);
	for (size_t n = sizeof(bz) - 15; n <= sizeof(bz); n++)
		tap_check_int(plan_of(bz, n), 0);
}

/* ---- ELF ---- */

static struct synth_elf elf;

static void
elf_is_planned(void)
{
	synth_elf64(&elf);
	tap_check_int(plan_of(&elf, sizeof(elf)), 0);
	tap_check_int(plan.proto, IMAGE_PVH);
	tap_check_u64(plan.nsegs, 2);
	tap_check_u64(plan.entry, SYNTH_ELF_ENTRY);
	tap_check_u64(plan.end, SYNTH_ELF_BSS_END);
	tap_check_u64(plan.seg[1].gpa, SYNTH_ELF_DATA);
	tap_check_u64(plan.seg[1].len, sizeof(elf.data));
	tap_check_u64(plan.cmdline_max, 65535);
}

static void
elf32_is_planned(void)
{
	struct synth_elf32 e;

	synth_elf32(&e);
	tap_check_int(plan_of(&e, sizeof(e)), 0);
	tap_check_int(plan.proto, IMAGE_PVH);
	tap_check_u64(plan.entry, SYNTH_ELF_ENTRY);
}

static void
elf_note_may_be_4_bytes_and_not_the_first(void)
{
	struct {
		Elf64_Nhdr a;
		char a_name[8]; /* padded from 5 */
		Elf64_Nhdr b;
		char b_name[4];
		uint32_t entry;
	} notes = { { 5, 0, 18 }, "XenX", { 4, 4, 18 }, "Xen",
		SYNTH_ELF_ENTRY };

	synth_elf64(&elf);
	memcpy(elf.data, &notes, sizeof(notes));
	elf.ph[2].p_offset = offsetof(struct synth_elf, data);
	elf.ph[2].p_filesz = sizeof(notes);
	tap_check_int(plan_of(&elf, sizeof(elf)), 0);
	tap_check_u64(plan.entry, SYNTH_ELF_ENTRY);
}

static void
elf_without_note_is_refused(void)
{
	synth_elf64(&elf);
	elf.nh.n_type = 17;
	check_refused(&elf, sizeof(elf), ENOEXEC,
	    "kernel k: ELF without a PVH note (type 18, name Xen); build it "
	    "with CONFIG_PVH=y or give the bzImage");
	synth_elf64(&elf);
	memcpy(elf.note_name, "GNU", 4);
	check_refused(&elf, sizeof(elf), ENOEXEC, "without a PVH note");
	synth_elf64(&elf);
	elf.eh.e_phnum = 2;
	check_refused(&elf, sizeof(elf), ENOEXEC, "without a PVH note");
}

static void
elf_wrong_header_is_refused(void)
{
	static const struct patch patches[] = {
		{ EI_CLASS, 1, 3, ENOEXEC, "class" },
		{ EI_DATA, 1, ELFDATA2MSB, ENOEXEC, "encoding" },
		{ EI_VERSION, 1, 9, ENOEXEC, "encoding" },
		{ offsetof(Elf64_Ehdr, e_type), 2, ET_REL, ENOEXEC, "type" },
		{ offsetof(Elf64_Ehdr, e_machine), 2, EM_AARCH64, ENOEXEC,
		    "machine 0xb7" },
		{ offsetof(Elf64_Ehdr, e_phnum), 2, 0, ENOEXEC, "count" },
		{ offsetof(Elf64_Ehdr, e_phnum), 2, 0xffff, ENOEXEC, "count" },
		{ offsetof(Elf64_Ehdr, e_phentsize), 2, 0x20, ENOEXEC,
		    "header size" },
		{ offsetof(Elf64_Ehdr, e_phoff), 8, UINT64_MAX, ENOEXEC,
		    "program headers" },
		{ offsetof(Elf64_Ehdr, e_phoff), 8, UINT64_MAX - 0x40, ENOEXEC,
		    "program headers" },
		{ offsetof(Elf64_Ehdr, e_phoff), 8, sizeof(elf) - 10, ENOEXEC,
		    "program headers" },
	};

	for (size_t i = 0; i < ARRAY_LEN(patches); i++) {
		synth_elf64(&elf);
		memcpy((uint8_t *)&elf + patches[i].off, &patches[i].value,
		    patches[i].width);
		check_refused(
		    &elf, sizeof(elf), patches[i].code, patches[i].text);
	}
}

/* Offsets are within the second segment's program header. */
static void
elf_wrong_segment_is_refused(void)
{
	static const struct patch patches[] = {
		{ offsetof(Elf64_Phdr, p_offset), 8, UINT64_MAX, ENOEXEC,
		    "beyond the end" },
		{ offsetof(Elf64_Phdr, p_offset), 8, sizeof(elf) - 1, ENOEXEC,
		    "beyond the end" },
		{ offsetof(Elf64_Phdr, p_filesz), 8, UINT64_MAX, ENOEXEC,
		    "larger than its memory" },
		{ offsetof(Elf64_Phdr, p_memsz), 8, UINT64_MAX, ENOMEM,
		    "does not fit" },
		{ offsetof(Elf64_Phdr, p_memsz), 8, 128 * MiB, ENOMEM,
		    "does not fit" },
		{ offsetof(Elf64_Phdr, p_paddr), 8, UINT64_MAX, ENOMEM,
		    "does not fit" },
		{ offsetof(Elf64_Phdr, p_paddr), 8, 0, ENOEXEC, "below 1 MiB" },
		{ offsetof(Elf64_Phdr, p_paddr), 8, 0xfffff, ENOEXEC,
		    "below 1 MiB" },
		{ offsetof(Elf64_Phdr, p_paddr), 8, SYNTH_ELF_TEXT + 4095,
		    ENOEXEC, "overlaps" },
		{ offsetof(Elf64_Phdr, p_paddr), 8, SYNTH_ELF_TEXT, ENOEXEC,
		    "overlaps" },
	};

	for (size_t i = 0; i < ARRAY_LEN(patches); i++) {
		synth_elf64(&elf);
		memcpy((uint8_t *)&elf.ph[1] + patches[i].off,
		    &patches[i].value, patches[i].width);
		check_refused(
		    &elf, sizeof(elf), patches[i].code, patches[i].text);
	}
}

static void
elf_wrong_note_is_refused(void)
{
	synth_elf64(&elf);
	elf.nh.n_descsz = 2;
	check_refused(&elf, sizeof(elf), ENOEXEC, "PVH note of size 0x2");
	synth_elf64(&elf);
	elf.ph[2].p_offset = sizeof(elf) - 4;
	check_refused(&elf, sizeof(elf), ENOEXEC, "notes at");
	synth_elf64(&elf);
	elf.nh.n_namesz = UINT32_MAX;
	check_refused(&elf, sizeof(elf), ENOEXEC, "without a PVH note");
	synth_elf64(&elf);
	elf.note_entry = SYNTH_ELF_BSS_END;
	check_refused(&elf, sizeof(elf), ENOEXEC, "no loadable segment");
	elf.note_entry = UINT64_MAX;
	check_refused(&elf, sizeof(elf), ENOEXEC, "no loadable segment");
}

static void
elf_cut_anywhere_is_refused(void)
{
	synth_elf64(&elf);
	for (size_t n = 1; n < sizeof(elf); n++)
		check_refused(&elf, n, ENOEXEC, NULL);
}

static void
elf_too_many_segments_are_refused(void)
{
	static struct {
		struct synth_elf e;
		Elf64_Phdr ph[IMAGE_MAX_SEGS + 2];
	} many;

	synth_elf64(&many.e);
	many.e.eh.e_phoff = offsetof(__typeof__(many), ph);
	many.e.eh.e_phnum = ARRAY_LEN(many.ph);
	many.ph[0] = many.e.ph[2];
	for (unsigned i = 1; i < ARRAY_LEN(many.ph); i++)
		many.ph[i] = synth_phdr(
		    PT_LOAD, 0, SYNTH_ELF_TEXT + (i - 1) * 0x1000, 16, 0x1000);
	check_refused(&many, sizeof(many), ENOEXEC, "segments: more than");
	many.e.eh.e_phnum--;
	tap_check_int(plan_of(&many, sizeof(many)), 0);
	tap_check_u64(plan.nsegs, IMAGE_MAX_SEGS);
}

/* ---- initrd ---- */

static int
place(uint64_t size, uint64_t high, uint64_t *ret)
{
	struct image_src src = { .name = "i", .size = size };

	err = (struct error)ERROR_INIT;
	return image_place_initrd(&plan, &src, &room, high, ret, &err);
}

static void
initrd_is_placed_high_and_aligned(void)
{
	uint64_t gpa = 0;

	plan = (struct image_plan){ .end = 64 * MiB, .initrd_max = 4 * GiB };
	tap_check_int(place(1, 0, &gpa), 0);
	tap_check_u64(gpa, 128 * MiB - 4096);
	tap_check_int(place(64 * MiB, 0, &gpa), 0);
	tap_check_u64(gpa, 64 * MiB);
	plan.initrd_max = 100 * MiB;
	tap_check_int(place(5000, 0, &gpa), 0);
	tap_check_u64(gpa, 100 * MiB - 8192);
}

static void
initrd_that_does_not_fit_is_refused(void)
{
	uint64_t gpa = 7;

	plan = (struct image_plan){ .end = 64 * MiB, .initrd_max = 4 * GiB };
	tap_check_int(place(64 * MiB + 1, 4 * GiB, &gpa), -ENOMEM);
	tap_check_has(err.text, "initrd i: 65537 KiB do not fit");
	tap_check_int(place(UINT64_MAX, 0, &gpa), -ENOMEM);
	tap_check_u64(gpa, 7);
}

static void
initrd_may_go_above_4g(void)
{
	uint64_t gpa = 0;

	plan = (struct image_plan){
		.end = 64 * MiB, .initrd_max = 4 * GiB, .initrd_high = true
	};
	tap_check_int(place(65 * MiB, GiB, &gpa), 0);
	tap_check_u64(gpa, 5 * GiB - 65 * MiB);
	tap_check_int(place(2 * GiB, GiB, &gpa), -ENOMEM);
}

/* ---- files ---- */

static void
files_that_are_none_are_refused(void)
{
	struct image_src src;
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/none", tap_tmpdir());
	tap_check_int(image_open(&src, "kernel", path, &err), -ENOENT);
	tap_check_has(err.text, "kernel ");
	tap_check_has(err.text, "cannot open: No such file");
	tap_check_int(image_open(&src, "initrd", tap_tmpdir(), &err), -EINVAL);
	tap_check_has(err.text, "not a regular file");
	f = fopen(path, "w");
	tap_check(f != NULL);
	fclose(f);
	tap_check_int(image_open(&src, "kernel", path, &err), -EINVAL);
	tap_check_has(err.text, "is empty");
}

static const struct tap_test tests[] = {
	TAP_TEST(unknown_magic_is_refused),
	TAP_TEST(bzimage_is_planned),
	TAP_TEST(bzimage_address_is_aligned),
	TAP_TEST(bzimage_fixed_address_is_kept),
	TAP_TEST(bzimage_setup_sects_zero_is_four),
	TAP_TEST(bzimage_long_header_is_cut_to_the_zero_page),
	TAP_TEST(bzimage_initrd_limit_without_xlf),
	TAP_TEST(bzimage_wrong_fields_are_refused),
	TAP_TEST(bzimage_cut_anywhere_is_refused),
	TAP_TEST(bzimage_last_unit_may_be_short),
	TAP_TEST(elf_is_planned),
	TAP_TEST(elf32_is_planned),
	TAP_TEST(elf_note_may_be_4_bytes_and_not_the_first),
	TAP_TEST(elf_without_note_is_refused),
	TAP_TEST(elf_wrong_header_is_refused),
	TAP_TEST(elf_wrong_segment_is_refused),
	TAP_TEST(elf_wrong_note_is_refused),
	TAP_TEST(elf_cut_anywhere_is_refused),
	TAP_TEST(elf_too_many_segments_are_refused),
	TAP_TEST(initrd_is_placed_high_and_aligned),
	TAP_TEST(initrd_that_does_not_fit_is_refused),
	TAP_TEST(initrd_may_go_above_4g),
	TAP_TEST(files_that_are_none_are_refused),
};
TAP_MAIN(tests)
