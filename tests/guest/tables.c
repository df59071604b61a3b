/*
 * The tables in memory: ACPI from the RSDP that the loader named, SMBIOS and
 * MP table by their anchors. Checksums, lengths, and what they must agree on
 * with CPUID and PCI.
 */
#include "guest.h"

struct hvm_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t entries, pad;
};
struct memmap_entry {
	uint64_t addr, size;
	uint32_t type, pad;
};
extern struct hvm_info *start_info;

static bool
sum_ok(const void *p, uint32_t n)
{
	const uint8_t *b = p;
	uint8_t s = 0;

	while (n-- > 0)
		s = (uint8_t)(s + *b++);
	return s == 0;
}

static const uint8_t *madt, *mcfg, *fadt, *spcr;

static uint32_t
le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24;
}

static uint64_t
le64(const uint8_t *p)
{
	return le32(p) | (uint64_t)le32(p + 4) << 32;
}

static void
walk_xsdt(uint64_t at)
{
	const uint8_t *x = (const uint8_t *)at, *t;
	uint32_t n = (le32(x + 4) - 36) / 8, i;

	ok(memcmp(x, "XSDT", 4) == 0 && sum_ok(x, le32(x + 4)), "XSDT");
	for (i = 0; i < n; i++) {
		t = (const uint8_t *)le64(x + 36 + 8 * i);
		ok(sum_ok(t, le32(t + 4)), "%c%c%c%c at %lx, %u bytes", t[0],
		    t[1], t[2], t[3], (uint64_t)t, le32(t + 4));
		if (memcmp(t, "APIC", 4) == 0)
			madt = t;
		if (memcmp(t, "MCFG", 4) == 0)
			mcfg = t;
		if (memcmp(t, "FACP", 4) == 0)
			fadt = t;
		if (memcmp(t, "SPCR", 4) == 0)
			spcr = t;
	}
}

static void
check_madt(unsigned want)
{
	const uint8_t *p, *end;
	unsigned cpus = 0, ioapics = 0;

	end = madt + le32(madt + 4);
	for (p = madt + 44; p + 2 <= end && p[1] >= 2; p += p[1]) {
		if ((p[0] == 0 && le32(p + 4) & 1) || p[0] == 9)
			cpus++;
		if (p[0] == 1) {
			ioapics++;
			ok(le32(p + 4) == 0xfec00000, "I/O APIC address");
		}
	}
	ok(p == end, "MADT entries fill the table");
	ok(cpus == want, "MADT has %u CPUs", cpus);
	ok(ioapics == 1, "and one I/O APIC");
}

static const uint8_t *
scan(uint64_t from, uint64_t to, const char *sig, unsigned n)
{
	for (; from < to; from += 16) {
		if (memcmp((const void *)from, sig, n) == 0)
			return (const uint8_t *)from;
	}
	return NULL;
}

static void
check_smbios(void)
{
	const uint8_t *e = scan(0xf0000, 0x100000, "_SM3_", 5), *p;
	uint32_t seen = 0, n = 0;

	if (e == NULL)
		e = scan(0xe0000, 0x100000, "_SM3_", 5);
	if (!ok(e != NULL && sum_ok(e, e[6]), "SMBIOS 3 entry point"))
		return;
	p = (const uint8_t *)le64(e + 16);
	while (n++ < 256 && p[0] != 127) {
		if (p[0] < 32)
			seen |= 1u << p[0];
		p += p[1];
		while (p[0] != 0 || p[1] != 0)
			p++;
		p += 2;
	}
	ok(p[0] == 127, "it ends with type 127");
	ok((seen & 0x9001f) == 0x9001f || (seen & 0x1001b) == 0x1001b,
	    "types 0, 1, 3, 4, 16 are there (%x)", seen);
}

void
user_main(void)
{
	const char *s = cmdline();
	const uint8_t *r, *mp;
	struct memmap_entry *m;
	uint64_t ram = 0, last = 0;
	unsigned want = 1, i;
	struct pci_fn hb;
	bool sorted = true;

	for (; *s != '\0'; s++) {
		if (memcmp(s, "cpus=", 5) == 0)
			want = (unsigned)(s[5] - '0');
	}
	ok(start_info->magic == 0x336ec578, "hvm_start_info magic");
	ok(start_info->version >= 1, "version 1");
	m = (struct memmap_entry *)start_info->memmap;
	for (i = 0; i < start_info->entries; i++) {
		print("# %lx + %lx type %u\n", m[i].addr, m[i].size, m[i].type);
		if (m[i].addr < last)
			sorted = false;
		last = m[i].addr + m[i].size;
		if (m[i].type == 1)
			ram += m[i].size;
	}
	ok(sorted && i > 0, "memory map is sorted and disjoint");
	print("# %lu KiB of RAM\n", ram >> 10);
	r = (const uint8_t *)start_info->rsdp;
	if (!ok(r != NULL && memcmp(r, "RSD PTR ", 8) == 0, "RSDP"))
		tap_done();
	ok(sum_ok(r, 20) && sum_ok(r, le32(r + 20)), "its checksums");
	walk_xsdt(le64(r + 24));
	if (ok(madt != NULL, "MADT is there"))
		check_madt(want);
	pci_find(0x8086, 0x29c0, 0, &hb);
	if (ok(mcfg != NULL, "MCFG is there"))
		ok(le64(mcfg + 44) == (pci_read(&hb, 0x60, 4) & 0xf0000000),
		    "it agrees with PCIEXBAR");
	if (ok(fadt != NULL, "FADT is there")) {
		ok(le32(fadt + 76) == 0x608, "PM timer port");
		ok(le32(fadt + 56) == 0x600, "PM1a event port");
	}
	ok(spcr != NULL, "SPCR is there");
	check_smbios();
	mp = scan(0x9fc00, 0xa0000, "_MP_", 4);
	if (mp == NULL)
		mp = scan(0xf0000, 0x100000, "_MP_", 4);
	if (ok(mp != NULL && sum_ok(mp, 16), "MP floating pointer")) {
		mp = (const uint8_t *)(uint64_t)le32(mp + 4);
		ok(memcmp(mp, "PCMP", 4) == 0 &&
			sum_ok(mp, mp[4] | (uint32_t)mp[5] << 8),
		    "MP configuration table");
	}
	tap_done();
}
