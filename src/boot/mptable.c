/*
 * Building and placing the MP table. Section numbers are those of the
 * MultiProcessor Specification 1.4.
 */
#include "boot/mptable.h"

#include <string.h>

#include "base/str.h"
#include "boot/boot.h"
#include "boot/tables.h"
#include "vmm/memmap.h"

/* Table 4-3: entry types */
enum { MP_CPU, MP_BUS, MP_IOAPIC, MP_IO_INT, MP_LOCAL_INT };
/* 4.3.4: interrupt types */
enum { MP_INT, MP_NMI, MP_SMI, MP_EXTINT };

#define MP_SPEC_REV 4
#define MP_HEADER_SIZE 44
#define MP_IOAPIC_ID 0
#define MP_APIC_VERSION 0x14
#define MP_IOAPIC_VERSION 0x20
#define MP_CPU_ENABLED 1
#define MP_CPU_BOOT 2
#define MP_FEATURES ((1u << 9) | 1u) /* APIC, FPU: CPUID.1:EDX */
#define MP_ALL_APICS 0xff
#define MP_CONFORMS 0 /* polarity and trigger as usual for the bus */
#define MP_LEVEL_HIGH 0x000d

void
mptable_pointer(uint32_t gpa, uint8_t ret[16])
{
	memset(ret, 0, 16);
	memcpy(ret, "_MP_", 4);
	store_le32(ret + 4, gpa);
	ret[8] = 1; /* in units of 16 bytes */
	ret[9] = MP_SPEC_REV;
	/* Feature bytes 0: a configuration table; virtual wire mode */
	ret[10] = (uint8_t)-tables_sum(ret, 16);
}

static void
put_cpu(struct buf *b, uint8_t apic_id, bool boot)
{
	buf_put_u8(b, MP_CPU);
	buf_put_u8(b, apic_id);
	buf_put_u8(b, MP_APIC_VERSION);
	buf_put_u8(b, MP_CPU_ENABLED | (boot ? MP_CPU_BOOT : 0));
	buf_put_le32(b, 0); /* signature: CPUID has it */
	buf_put_le32(b, MP_FEATURES);
	buf_append_zero(b, 8);
}

static void
put_bus(struct buf *b, uint8_t id, const char name[6])
{
	buf_put_u8(b, MP_BUS);
	buf_put_u8(b, id);
	buf_append(b, name, 6);
}

static void
put_int(struct buf *b, unsigned entry, unsigned type, uint16_t flags,
    unsigned bus, unsigned irq, unsigned dest, unsigned pin)
{
	buf_put_u8(b, (uint8_t)entry);
	buf_put_u8(b, (uint8_t)type);
	buf_put_le16(b, flags);
	buf_put_u8(b, (uint8_t)bus);
	buf_put_u8(b, (uint8_t)irq);
	buf_put_u8(b, (uint8_t)dest);
	buf_put_u8(b, (uint8_t)pin);
}

static unsigned
put_isa_ints(struct buf *b, unsigned isa)
{
	unsigned n = 0;

	put_int(b, MP_IO_INT, MP_EXTINT, MP_CONFORMS, isa, 0, MP_IOAPIC_ID, 0);
	for (unsigned irq = 0; irq < 16; irq++) {
		if (irq == 2) /* the cascade; its pin is the timer's */
			continue;
		put_int(b, MP_IO_INT, MP_INT,
		    irq == GSI_SCI ? MP_LEVEL_HIGH : MP_CONFORMS, isa, irq,
		    MP_IOAPIC_ID, irq == GSI_PIT ? 2 : irq);
		n++;
	}
	return n + 1;
}

static unsigned
put_pci_ints(struct buf *b, const struct boot_bus *bus)
{
	unsigned n = 0;

	for (unsigned slot = 0; slot < 32; slot++) {
		if (!(bus->slots >> slot & 1))
			continue;
		for (unsigned pin = 0; pin < 4; pin++, n++)
			put_int(b, MP_IO_INT, MP_INT, MP_CONFORMS, bus->number,
			    slot << 2 | pin, MP_IOAPIC_ID,
			    GSI_PIRQ0 + pci_pirq_of(slot, pin));
	}
	return n;
}

/*
 * PCI buses have their PCI numbers; ISA gets the first one behind that is
 * free. Returns it.
 */
static unsigned
put_buses(struct buf *b, const struct boot_buses *buses)
{
	unsigned isa = 0;

	for (unsigned i = 0; i < buses->n; i++) {
		put_bus(b, buses->bus[i].number, "PCI   ");
		if (buses->bus[i].number == isa)
			isa++;
	}
	put_bus(b, (uint8_t)isa, "ISA   ");
	return isa;
}

static unsigned
put_ioapic(struct buf *b)
{
	buf_put_u8(b, MP_IOAPIC);
	buf_put_u8(b, MP_IOAPIC_ID);
	buf_put_u8(b, MP_IOAPIC_VERSION);
	buf_put_u8(b, 1); /* enabled */
	buf_put_le32(b, (uint32_t)MEMMAP_IOAPIC);
	return 1;
}

/* 4.3 in the order that the specification wants: by type */
static unsigned
put_entries(const struct cpu_topology *topo, const struct boot_buses *buses,
    struct buf *b)
{
	unsigned n = 0, isa;

	for (unsigned i = 0; i < topo->cpus; i++) {
		uint32_t id = topology_apic_id(topo, i);

		if (id >= MP_ALL_APICS)
			continue;
		put_cpu(b, (uint8_t)id, i == 0);
		n++;
	}
	isa = put_buses(b, buses);
	n += buses->n + 1 + put_ioapic(b) + put_isa_ints(b, isa);
	for (unsigned i = 0; i < buses->n; i++)
		n += put_pci_ints(b, &buses->bus[i]);
	put_int(
	    b, MP_LOCAL_INT, MP_EXTINT, MP_CONFORMS, isa, 0, MP_ALL_APICS, 0);
	put_int(b, MP_LOCAL_INT, MP_NMI, MP_CONFORMS, isa, 0, MP_ALL_APICS, 1);
	return n + 2;
}

int
mptable_build(const struct cpu_topology *topo, const struct boot_buses *buses,
    struct buf *b)
{
	size_t at = b->len;
	unsigned n;
	uint8_t *h;

	buf_append_zero(b, MP_HEADER_SIZE);
	n = put_entries(topo, buses, b);
	if (buf_error(b) < 0)
		return buf_error(b);
	h = b->data + at;
	memcpy(h, "PCMP", 4);
	store_le16(h + 4, (uint16_t)(b->len - at));
	h[6] = MP_SPEC_REV;
	memcpy(h + 8, "ZHYVE   ", 8);
	memcpy(h + 16, "PC          ", 12);
	store_le16(h + 34, (uint16_t)n);
	store_le32(h + 36, (uint32_t)MEMMAP_LAPIC);
	h[7] = (uint8_t)-tables_sum(h, b->len - at);
	return 0;
}

/* ---- placing it ---- */

#define POINTER_ADDR (BOOT_EBDA + 0x10)
#define CONFIG_ADDR (BOOT_TABLES + 0x1000)
#define CONFIG_MAX 0xf000 /* SMBIOS follows */

int
mptable_place(struct vm_mem *mem, const struct cpu_topology *topo,
    const struct boot_buses *buses)
{
	uint8_t ebda_kib = 1, pointer[16];
	struct buf b;
	int rc;

	buf_init(&b, CONFIG_MAX);
	mptable_pointer(CONFIG_ADDR, pointer);
	rc = mptable_build(topo, buses, &b);
	if (rc == 0)
		rc = vm_mem_write(mem, GPA(CONFIG_ADDR), b.data, b.len);
	if (rc == 0)
		rc = vm_mem_write(mem, GPA(BOOT_EBDA), &ebda_kib, 1);
	if (rc == 0)
		rc = vm_mem_write(
		    mem, GPA(POINTER_ADDR), pointer, sizeof(pointer));
	buf_fini(&b);
	return rc;
}

int
boot_mptable_write(const struct boot_machine *bm, struct error *err)
{
	struct boot_buses buses;
	int rc;

	boot_buses_find(bm->pci, &buses);
	rc = mptable_place(vm_mem(bm->vm), bm->topo, &buses);
	return rc == 0 ? 0 : error_sys(err, -rc, "cannot write the MP table");
}
