/*
 * An AHCI controller with a disk on port 0 and a CD drive on port 1, from the
 * guest's side: bring-up, data, queued commands, MSI and the line, what a
 * guest may do wrong, resets under load.
 */
#include "guest.h"

#define V_MSI 0x51
#define V_LINE 0x52
#define GHC 0x04
#define IS 0x08
#define PX(p, r) (0x100 + (p)*0x80 + (r))
#define P_CLB 0x00
#define P_FB 0x08
#define P_IS 0x10
#define P_IE 0x14
#define P_CMD 0x18
#define P_TFD 0x20
#define P_SIG 0x24
#define P_SSTS 0x28
#define P_SCTL 0x2c
#define P_SACT 0x34
#define P_CI 0x38

static struct pci_fn fn;
static uint64_t hba;
static struct {
	uint8_t clb[1024];
	uint8_t fb[256];
	uint8_t pad[768];
	uint8_t table[32][256];
} port[2] __attribute__((aligned(4096)));
static uint8_t data[32][4096] __attribute__((aligned(4096)));
static uint8_t copy[32][4096];

static uint32_t
get(unsigned p, unsigned reg)
{
	return mmio_read32(hba + PX(p, reg));
}

static void
put(unsigned p, unsigned reg, uint32_t v)
{
	mmio_write32(hba + PX(p, reg), v);
}

struct until {
	unsigned p, reg;
	uint32_t mask, value;
};

static bool
is_so(void *arg)
{
	const struct until *u = arg;

	return (mmio_read32(hba + PX(u->p, u->reg)) & u->mask) == u->value;
}

static bool
until(unsigned p, unsigned reg, uint32_t mask, uint32_t value)
{
	struct until u = { p, reg, mask, value };

	return wait_until(is_so, &u, PATIENCE);
}

static bool
start(unsigned p)
{
	put(p, P_CMD, 0x10);
	if (!until(p, P_CMD, 0x8000, 0))
		return false;
	put(p, P_CLB, (uint32_t)(uint64_t)port[p].clb);
	put(p, P_FB, (uint32_t)(uint64_t)port[p].fb);
	put(p, 0x30, 0xffffffff);
	put(p, P_IS, 0xffffffff);
	put(p, P_CMD, 0x18); /* FRE, CLO */
	put(p, P_CMD, 0x11);
	return until(p, P_TFD, 0x88, 0);
}

static void
store32(uint8_t *at, uint64_t v)
{
	memcpy(at, &v, 4);
}

/* One descriptor; len 0: none. */
static void
prepare(unsigned p, unsigned slot, uint8_t cmd, uint32_t lba, unsigned count,
    void *mem, uint32_t len)
{
	uint8_t *hdr = &port[p].clb[slot * 32], *t = port[p].table[slot];
	bool queued = cmd == 0x60 || cmd == 0x61;

	memset(t, 0, 256);
	t[0] = 0x27;
	t[1] = 0x80;
	t[2] = cmd;
	t[3] = (uint8_t)(queued ? count : 1);
	store32(&t[4], lba);
	t[7] = 0x40;
	t[12] = (uint8_t)(queued ? slot << 3 : count);
	store32(&t[0x80], (uint64_t)mem);
	store32(&t[0x8c], len - 1);
	memset(hdr, 0, 32);
	store32(hdr, 5 | (len != 0 ? 1 << 16 : 0));
	store32(&hdr[8], (uint64_t)t);
}

static bool
run(unsigned p)
{
	put(p, P_IS, 0xffffffff);
	put(p, P_CI, 1);
	return until(p, P_CI, 1, 0);
}

static void
fill(uint8_t *p, uint32_t n, uint32_t seed)
{
	for (; n > 0; n--) {
		seed = seed * 1664525 + 1013904223;
		*p++ = (uint8_t)(seed >> 24);
	}
}

static void
test_data(void)
{
	uint8_t *cd = port[1].table[0] + 0x40;

	prepare(0, 0, 0xec, 0, 0, data, 512);
	ok(run(0) && data[0][0] == 0x40, "IDENTIFY");
	fill(data[0], sizeof(data), 7);
	memcpy(copy, data, sizeof(data));
	prepare(0, 0, 0x35, 64, 0, data, sizeof(data));
	port[0].table[0][13] = 1; /* 256 sectors */
	ok(run(0), "WRITE DMA EXT of 128 KiB");
	memset(data, 0, sizeof(data));
	prepare(0, 0, 0x25, 64, 0, data, sizeof(data));
	port[0].table[0][13] = 1;
	ok(run(0) && memcmp(data, copy, sizeof(data)) == 0, "and the reading");
	prepare(1, 0, 0xa0, 0, 0, data, 8);
	cd[0] = 0x25;
	ok(run(1) && data[0][2] == 0x1f && data[0][3] == 0xff &&
		data[0][6] == 8,
	    "READ CAPACITY of the CD");
}

static bool
queued(uint8_t cmd)
{
	for (unsigned i = 0; i < 32; i++)
		prepare(0, i, cmd, 1024 + i * 8, 8, data[i], 4096);
	put(0, P_SACT, 0xffffffff);
	put(0, P_CI, 0xffffffff);
	return until(0, P_SACT, 0xffffffff, 0) && (get(0, P_TFD) & 0x89) == 0;
}

static void
test_queued(void)
{
	fill(data[0], sizeof(data), 9);
	memcpy(copy, data, sizeof(data));
	ok(queued(0x61), "32 queued writes");
	memset(data, 0, sizeof(data));
	ok(queued(0x60) && memcmp(data, copy, sizeof(data)) == 0,
	    "32 queued reads bring the same");
}

static volatile bool early_eoi;

static void
on_irq(unsigned vector)
{
	early_eoi = !lapic_in_service(vector);
	put(0, P_IS, 0xffffffff);
	mmio_write32(hba + IS, 0xffffffff);
}

static bool
irq_came(void *arg)
{
	const uint32_t *want = arg;

	return irq_count[want[0]] >= want[1];
}

static void
test_irq(unsigned vector, const char *what)
{
	uint32_t want[2] = { vector, 0 };
	bool good = true;

	put(0, P_IE, 0xffffffff);
	put(0, P_IS, 0xffffffff);
	mmio_write32(hba + IS, 0xffffffff);
	mmio_write32(hba + GHC, 0x80000002);
	for (unsigned i = 0; i < 10 && good; i++) {
		prepare(0, 0, 0xe7, 0, 0, NULL, 0);
		want[1]++;
		put(0, P_CI, 1);
		good = wait_until(irq_came, want, PATIENCE) &&
		    until(0, P_CI, 1, 0);
	}
	ok(good, "ten interrupts by %s", what);
	mmio_write32(hba + GHC, 0x80000000);
	/* While the handler clears the cause, the line is still up. */
	if (vector == V_LINE && early_eoi)
		skip("and no more of them", EARLY_EOI);
	else
		ok(irq_count[vector] == 10, "and no more of them (%u)",
		    irq_count[vector]);
}

static void
test_interrupts(void)
{
	unsigned cap = pci_find_cap(&fn, 5, 0);

	irq_handler(V_MSI, on_irq);
	irq_handler(V_LINE, on_irq);
	/* level, active low: PIRQ of slot 4's first pin is I/O APIC pin 20 */
	ioapic_route(20, 0xa000 | V_LINE, lapic_id());
	test_irq(V_LINE, "the line");
	ioapic_route(20, 0x10000, lapic_id());
	pci_write(&fn, cap + 4, 4, (uint32_t)MSI_ADDR(lapic_id()));
	pci_write(&fn, cap + 8, 4, 0);
	pci_write(&fn, cap + 12, 2, V_MSI);
	pci_write(&fn, cap + 2, 2, 1);
	test_irq(V_MSI, "messages");
}

static const struct {
	const char *what;
	bool table;
	unsigned at;
	uint32_t value, is;
} wrongs[] = {
	{ "table aimed at registers", false, 8, 0xfec00000, 1u << 29 },
	{ "table beyond memory", false, 12, 0x7fffffff, 1u << 29 },
	{ "data aimed at registers", true, 0x80, 0xfec00000, 1u << 29 },
	{ "data beyond memory", true, 0x84, 0xffffffff, 1u << 29 },
	{ "no descriptors", false, 0, 5, 1u << 24 },
	{ "another kind of FIS", true, 0, 0x34, 1u << 27 },
	{ "a command that is none", true, 0, 0x00ff8027, 1u << 30 },
};

static void
test_wrongs(void)
{
	for (unsigned i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		prepare(0, 0, 0x25, 8, 8, data, 4096);
		store32((wrongs[i].table ? port[0].table[0] : port[0].clb) +
			wrongs[i].at,
		    wrongs[i].value);
		put(0, P_CI, 1);
		ok(until(0, P_IS, wrongs[i].is, wrongs[i].is) && start(0),
		    "%s: told, and the port comes back", wrongs[i].what);
		prepare(0, 0, 0x25, 8, 8, data, 4096);
		ok(run(0), "and reads");
	}
}

static void
test_resets(void)
{
	bool good = true;

	for (unsigned i = 0; i < 30 && good; i++) {
		for (unsigned k = 0; k < 32; k++)
			prepare(0, k, 0x60, k * 64, 8, data[k], 4096);
		put(0, P_SACT, 0xffffffff);
		put(0, P_CI, 0xffffffff);
		if (i % 2 == 0) {
			mmio_write32(hba + GHC, 0x80000001);
			for (unsigned n = 0;
			     n < 5000000 && (mmio_read32(hba + GHC) & 1) != 0;
			     n++)
				cpu_pause();
		} else {
			put(0, P_SCTL, 1);
			put(0, P_CMD, 0x10);
			put(0, P_SCTL, 0);
		}
		good = until(0, P_SSTS, 15, 3) && start(0) && start(1) &&
		    queued(0x60);
	}
	ok(good, "resets with 32 commands in work");
}

void
user_main(void)
{
	lapic_enable();
	sti();
	if (!ok(pci_find(0x8086, 0x2922, 0, &fn), "there is a controller"))
		tap_done();
	pci_enable(&fn);
	hba = pci_bar(&fn, 5);
	pci_enable(&fn);
	ok(start(0) && start(1), "both ports start");
	ok(get(0, P_SIG) == 0x101 && get(1, P_SIG) == 0xeb140101,
	    "a disk and a CD drive");
	test_data();
	test_queued();
	test_interrupts();
	test_wrongs();
	test_resets();
	test_data();
	tap_done();
}
