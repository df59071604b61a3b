/*
 * Synthetic kernel images for the tests of the loaders: right in every field,
 * so that a test breaks exactly one.
 */
#ifndef UNIT_BOOT_SYNTH_H
#define UNIT_BOOT_SYNTH_H

#include <elf.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

/* ---- bzImage: 4 setup sectors, then SYNTH_BZ_PAYLOAD bytes ---- */

#define SYNTH_BZ_SETUP (5 * 512)
#define SYNTH_BZ_PAYLOAD 8192
#define SYNTH_BZ_SIZE (SYNTH_BZ_SETUP + SYNTH_BZ_PAYLOAD)
#define SYNTH_BZ_PREF 0x1000000
#define SYNTH_BZ_INIT_SIZE 0x200000

static inline void
synth_bzimage(uint8_t img[SYNTH_BZ_SIZE])
{
	memset(img, 0, SYNTH_BZ_SETUP);
	memset(img + SYNTH_BZ_SETUP, 0x90, SYNTH_BZ_PAYLOAD);
	img[0x1f1] = 4; /* setup_sects */
	store_le32(img + 0x1f4, SYNTH_BZ_PAYLOAD / 16);
	store_le16(img + 0x1fe, 0xaa55);
	img[0x200] = 0xeb;
	img[0x201] = 0x268 - 0x202 + 4; /* up to kernel_info_offset */
	memcpy(img + 0x202, "HdrS", 4);
	store_le16(img + 0x206, 0x020f);
	img[0x211] = 0x81; /* LOADED_HIGH, CAN_USE_HEAP */
	store_le32(img + 0x22c, 0x7fffffff);
	store_le32(img + 0x230, 0x200000);
	img[0x234] = 1;
	store_le16(img + 0x236, 0x3);
	store_le32(img + 0x238, 2047);
	store_le64(img + 0x250, UINT64_C(0xdeadbeef)); /* setup_data */
	store_le64(img + 0x258, SYNTH_BZ_PREF);
	store_le32(img + 0x260, SYNTH_BZ_INIT_SIZE);
}

/* ---- ELF64: a text segment, a data segment with bss, a PVH note ---- */

struct synth_elf {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[3];
	Elf64_Nhdr nh;
	char note_name[4];
	uint64_t note_entry;
	uint8_t text[4096];
	uint8_t data[256];
};
#define SYNTH_ELF_TEXT 0x100000
#define SYNTH_ELF_DATA 0x200000
#define SYNTH_ELF_BSS_END 0x210000
#define SYNTH_ELF_ENTRY (SYNTH_ELF_TEXT + 0x40)

static inline Elf64_Phdr
synth_phdr(
    uint32_t type, size_t off, uint64_t addr, size_t filesz, size_t memsz)
{
	return (Elf64_Phdr){ .p_type = type,
		.p_offset = off,
		.p_vaddr = addr,
		.p_paddr = addr,
		.p_filesz = filesz,
		.p_memsz = memsz,
		.p_align = 4 };
}

static inline void
synth_elf64(struct synth_elf *e)
{
	static const unsigned char ident[EI_NIDENT] = { 0x7f, 'E', 'L', 'F',
		ELFCLASS64, ELFDATA2LSB, EV_CURRENT };

	memset(e, 0, sizeof(*e));
	memcpy(e->eh.e_ident, ident, sizeof(ident));
	e->eh.e_type = ET_EXEC;
	e->eh.e_machine = EM_X86_64;
	e->eh.e_version = EV_CURRENT;
	e->eh.e_phoff = offsetof(struct synth_elf, ph);
	e->eh.e_ehsize = sizeof(e->eh);
	e->eh.e_phentsize = sizeof(e->ph[0]);
	e->eh.e_phnum = 3;
	e->ph[0] = synth_phdr(PT_LOAD, offsetof(struct synth_elf, text),
	    SYNTH_ELF_TEXT, sizeof(e->text), sizeof(e->text));
	e->ph[1] = synth_phdr(PT_LOAD, offsetof(struct synth_elf, data),
	    SYNTH_ELF_DATA, sizeof(e->data),
	    SYNTH_ELF_BSS_END - SYNTH_ELF_DATA);
	e->ph[2] = synth_phdr(PT_NOTE, offsetof(struct synth_elf, nh), 0,
	    offsetof(struct synth_elf, text) - offsetof(struct synth_elf, nh),
	    0);
	e->nh = (Elf64_Nhdr){ 4, 8, 18 };
	memcpy(e->note_name, "Xen", 4);
	e->note_entry = SYNTH_ELF_ENTRY;
	memset(e->text, 0xf4, sizeof(e->text));
	memset(e->data, 0xda, sizeof(e->data));
}

/* ---- ELF32 with a 4-byte note ---- */

struct synth_elf32 {
	Elf32_Ehdr eh;
	Elf32_Phdr ph[2];
	Elf32_Nhdr nh;
	char note_name[4];
	uint32_t note_entry;
	uint8_t text[512];
};

static inline void
synth_elf32(struct synth_elf32 *e)
{
	static const unsigned char ident[EI_NIDENT] = { 0x7f, 'E', 'L', 'F',
		ELFCLASS32, ELFDATA2LSB, EV_CURRENT };

	memset(e, 0, sizeof(*e));
	memcpy(e->eh.e_ident, ident, sizeof(ident));
	e->eh.e_type = ET_EXEC;
	e->eh.e_machine = EM_386;
	e->eh.e_version = EV_CURRENT;
	e->eh.e_phoff = offsetof(struct synth_elf32, ph);
	e->eh.e_phentsize = sizeof(e->ph[0]);
	e->eh.e_phnum = 2;
	e->ph[0] = (Elf32_Phdr){ .p_type = PT_NOTE,
		.p_offset = offsetof(struct synth_elf32, nh),
		.p_filesz = offsetof(struct synth_elf32, text) -
		    offsetof(struct synth_elf32, nh) };
	e->ph[1] = (Elf32_Phdr){ .p_type = PT_LOAD,
		.p_offset = offsetof(struct synth_elf32, text),
		.p_paddr = SYNTH_ELF_TEXT,
		.p_filesz = sizeof(e->text),
		.p_memsz = sizeof(e->text) };
	e->nh = (Elf32_Nhdr){ 4, 4, 18 };
	memcpy(e->note_name, "Xen", 4);
	e->note_entry = SYNTH_ELF_ENTRY;
	memset(e->text, 0xf4, sizeof(e->text));
}

#endif
