/*
 * ELF kernels with a PVH note: the loadable segments go to their physical
 * addresses, and the entry point is the 32-bit one that the note names.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "boot/boot.h"
#include "boot/image.h"

#define PVH_NOTE_TYPE 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define ELF_MAX_PHDRS 512
#define ELF_MAX_NOTES 1024 /* in one segment */

/* What both classes have, widened. */
struct elf {
	const struct image_src *src;
	bool is64;
	uint64_t phoff;
	unsigned phnum, phentsize;
	bool has_entry;
};

struct phdr {
	uint32_t type;
	uint64_t off, paddr, filesz, memsz, align;
};

static int
bad(const struct elf *e, struct error *err, const char *what, uint64_t value,
    const char *right)
{
	return error_set(err, ENOEXEC, "kernel %s: ELF %s %#llx; %s",
	    e->src->name, what, (unsigned long long)value, right);
}

static int
check_ident(const struct elf *e, const unsigned char *id, unsigned type,
    unsigned machine, struct error *err)
{
	if (id[EI_DATA] != ELFDATA2LSB || id[EI_VERSION] != EV_CURRENT)
		return bad(e, err, "data encoding", id[EI_DATA],
		    "a little-endian file (1) is needed");
	if (type != ET_EXEC && type != ET_DYN)
		return bad(
		    e, err, "file type", type, "an executable (2) is needed");
	if (machine != EM_X86_64 && machine != EM_386)
		return bad(e, err, "machine", machine,
		    "x86-64 (0x3e) or i386 (0x3) is needed");
	return 0;
}

static int
read_header(struct elf *e, struct error *err)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr h32;
		Elf64_Ehdr h64;
	} u;
	unsigned type, machine, want;

	memset(&u, 0, sizeof(u));
	if (image_read(e->src, 0, &u, MIN(e->src->size, sizeof(u))) < 0 ||
	    e->src->size < sizeof(u.h32))
		return error_set(err, ENOEXEC,
		    "kernel %s: %llu bytes are too short for an ELF file; it "
		    "is damaged",
		    e->src->name, (unsigned long long)e->src->size);
	e->is64 = u.ident[EI_CLASS] == ELFCLASS64;
	if (!e->is64 && u.ident[EI_CLASS] != ELFCLASS32)
		return bad(e, err, "class", u.ident[EI_CLASS],
		    "1 (32-bit) or 2 (64-bit) is needed");
	e->phoff = e->is64 ? u.h64.e_phoff : u.h32.e_phoff;
	e->phnum = e->is64 ? u.h64.e_phnum : u.h32.e_phnum;
	e->phentsize = e->is64 ? u.h64.e_phentsize : u.h32.e_phentsize;
	type = e->is64 ? u.h64.e_type : u.h32.e_type;
	machine = e->is64 ? u.h64.e_machine : u.h32.e_machine;
	want = e->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	if (e->phnum == 0 || e->phnum > ELF_MAX_PHDRS)
		return bad(e, err, "program header count", e->phnum,
		    "1 to 512 are accepted");
	if (e->phentsize != want)
		return bad(e, err, "program header size", e->phentsize,
		    e->is64 ? "0x38 is needed" : "0x20 is needed");
	return check_ident(e, u.ident, type, machine, err);
}

static int
read_phdr(const struct elf *e, unsigned i, struct phdr *ret, struct error *err)
{
	union {
		Elf32_Phdr p32;
		Elf64_Phdr p64;
	} u;
	uint64_t off;

	if (__builtin_add_overflow(
		e->phoff, (uint64_t)i * e->phentsize, &off) ||
	    image_read(e->src, off, &u, e->phentsize) < 0)
		return bad(e, err, "program headers at", e->phoff,
		    "they lie outside the file; it is damaged");
	if (e->is64)
		*ret =
		    (struct phdr){ u.p64.p_type, u.p64.p_offset, u.p64.p_paddr,
			    u.p64.p_filesz, u.p64.p_memsz, u.p64.p_align };
	else
		*ret =
		    (struct phdr){ u.p32.p_type, u.p32.p_offset, u.p32.p_paddr,
			    u.p32.p_filesz, u.p32.p_memsz, u.p32.p_align };
	return 0;
}

static int
check_overlap(const struct elf *e, const struct phdr *ph,
    const struct image_plan *plan, struct error *err)
{
	for (unsigned i = 0; i < plan->nsegs; i++) {
		const struct image_seg *s = &plan->seg[i];

		if (ph->paddr < s->gpa + s->mem_len &&
		    s->gpa < ph->paddr + ph->memsz)
			return bad(e, err, "segment at", ph->paddr,
			    "it overlaps another one");
	}
	return 0;
}

static int
add_load(const struct elf *e, const struct phdr *ph,
    const struct image_room *room, struct image_plan *plan, struct error *err)
{
	int rc;

	if (ph->filesz > ph->memsz)
		return bad(e, err, "segment with a file size of", ph->filesz,
		    "it is larger than its memory size");
	if (ph->off > e->src->size || ph->filesz > e->src->size - ph->off)
		return bad(e, err, "segment at file offset", ph->off,
		    "it reaches beyond the end of the file; it is damaged");
	if (ph->memsz == 0)
		return 0;
	if (ph->paddr < BOOT_KERNEL)
		return bad(e, err, "segment at", ph->paddr,
		    "boot data lies below 1 MiB; link it higher");
	if (ph->paddr > room->low_end || ph->memsz > room->low_end - ph->paddr)
		return error_set(err, ENOMEM,
		    "kernel %s: ELF segment at %#llx of %llu KiB does not fit: "
		    "RAM for it ends at %#llx; give the machine more memory or "
		    "link it lower",
		    e->src->name, (unsigned long long)ph->paddr,
		    (unsigned long long)(ph->memsz / KiB),
		    (unsigned long long)room->low_end);
	if (plan->nsegs == IMAGE_MAX_SEGS)
		return bad(e, err, "loadable segments: more than",
		    IMAGE_MAX_SEGS, "link it with fewer");
	if ((rc = check_overlap(e, ph, plan, err)) < 0)
		return rc;
	plan->seg[plan->nsegs++] =
	    (struct image_seg){ ph->off, ph->filesz, ph->paddr, ph->memsz };
	plan->end = MAX(plan->end, ph->paddr + ph->memsz);
	return 0;
}

/* The note's descriptor: 4 or 8 bytes, an address below 4 GiB. */
static int
take_entry(struct elf *e, uint64_t off, uint32_t descsz,
    struct image_plan *plan, struct error *err)
{
	uint64_t entry = 0;

	if (descsz != 4 && descsz != 8)
		return bad(e, err, "PVH note of size", descsz,
		    "4 or 8 bytes are needed");
	if (image_read(e->src, off, &entry, descsz) < 0)
		return bad(e, err, "PVH note at file offset", off,
		    "it reaches beyond the end of the file; it is damaged");
	plan->entry = entry;
	e->has_entry = true;
	return 0;
}

static int
scan_notes(struct elf *e, const struct phdr *ph, struct image_plan *plan,
    struct error *err)
{
	uint64_t pad = ph->align == 8 ? 8 : 4, off = ph->off, end;

	if (ph->off > e->src->size || ph->filesz > e->src->size - ph->off)
		return bad(e, err, "notes at file offset", ph->off,
		    "they reach beyond the end of the file; it is damaged");
	end = ph->off + ph->filesz;
	for (unsigned n = 0; n < ELF_MAX_NOTES; n++) {
		Elf64_Nhdr nh; /* the same in both classes */
		uint64_t desc, next;
		char name[4] = "";

		if (end - off < sizeof(nh) ||
		    image_read(e->src, off, &nh, sizeof(nh)) < 0)
			return 0;
		desc = ROUND_UP(off + sizeof(nh) + nh.n_namesz, pad);
		next = ROUND_UP(desc + nh.n_descsz, pad);
		if (nh.n_namesz == 4)
			(void)image_read(e->src, off + sizeof(nh), name, 4);
		if (nh.n_type == PVH_NOTE_TYPE && memcmp(name, "Xen", 4) == 0)
			return take_entry(e, desc, nh.n_descsz, plan, err);
		if (next > end)
			return 0;
		off = next;
	}
	return 0;
}

static int
check_entry(
    const struct elf *e, const struct image_plan *plan, struct error *err)
{
	for (unsigned i = 0; i < plan->nsegs; i++) {
		const struct image_seg *s = &plan->seg[i];

		if (plan->entry >= s->gpa && plan->entry - s->gpa < s->mem_len)
			return 0;
	}
	return bad(e, err, "PVH entry point", plan->entry,
	    "it lies in no loadable segment");
}

/* First of all: without it the file is no kernel, whatever else is wrong. */
static int
find_entry(struct elf *e, struct image_plan *plan, struct error *err)
{
	for (unsigned i = 0; !e->has_entry && i < e->phnum; i++) {
		struct phdr ph = { 0 };
		int rc = read_phdr(e, i, &ph, err);

		if (rc == 0 && ph.type == PT_NOTE)
			rc = scan_notes(e, &ph, plan, err);
		if (rc < 0)
			return rc;
	}
	if (e->has_entry)
		return 0;
	return error_set(err, ENOEXEC,
	    "kernel %s: ELF without a PVH note (type 18, name Xen); build it "
	    "with CONFIG_PVH=y or give the bzImage",
	    e->src->name);
}

static int
find_segments(const struct elf *e, const struct image_room *room,
    struct image_plan *plan, struct error *err)
{
	for (unsigned i = 0; i < e->phnum; i++) {
		struct phdr ph = { 0 };
		int rc = read_phdr(e, i, &ph, err);

		if (rc == 0 && ph.type == PT_LOAD)
			rc = add_load(e, &ph, room, plan, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
elf_plan(const struct image_src *src, const struct image_room *room,
    struct image_plan *ret, struct error *err)
{
	struct elf e = { .src = src };
	struct image_plan plan = {
		.proto = IMAGE_PVH,
		.initrd_max = UINT64_C(1) << 32,
		.cmdline_max = BOOT_CMDLINE_SIZE - 1,
	};
	int rc;

	if ((rc = read_header(&e, err)) < 0 ||
	    (rc = find_entry(&e, &plan, err)) < 0 ||
	    (rc = find_segments(&e, room, &plan, err)) < 0 ||
	    (rc = check_entry(&e, &plan, err)) < 0)
		return rc;
	*ret = plan;
	return 0;
}
