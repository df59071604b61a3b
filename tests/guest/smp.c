/*
 * All CPUs start, run at the same time, take IPIs and see each other's writes.
 * cpus=N and pkg=N (logical CPUs a package) on the command line.
 */
#include "guest.h"

#define V_IPI 0x60
#define MAXC 8

static volatile uint32_t up_mask;
static uint32_t counter;
static volatile bool go;
static volatile uint32_t ids[MAXC];

static void
ap(void)
{
	uint32_t id = lapic_id(), i;

	ids[id % MAXC] = id + 1;
	__atomic_or_fetch(&up_mask, 1u << id, __ATOMIC_SEQ_CST);
	sti();
	while (!go)
		cpu_pause();
	for (i = 0; i < 100000; i++)
		__atomic_add_fetch(&counter, 1, __ATOMIC_SEQ_CST);
	__atomic_and_fetch(&up_mask, ~(1u << id), __ATOMIC_SEQ_CST);
}

static bool
all_up(void *arg)
{
	return up_mask == (uint64_t)arg;
}

static bool
all_done(void *arg)
{
	return up_mask == 0;
}

static bool
ipis(void *arg)
{
	return irq_count[V_IPI] >= (uint64_t)arg;
}

void
user_main(void)
{
	const char *s = cmdline();
	unsigned n = 2, pkg = 1, i, started = 0;
	uint32_t r[4];

	for (; *s != '\0'; s++) {
		if (memcmp(s, "cpus=", 5) == 0)
			n = (unsigned)(s[5] - '0');
		if (memcmp(s, "pkg=", 4) == 0)
			pkg = (unsigned)(s[4] - '0');
	}
	lapic_enable();
	sti();
	cpuid(1, 0, r);
	ok(r[1] >> 24 == lapic_id(), "CPUID leaf 1 has the APIC id");
	ok((r[1] >> 16 & 0xff) == pkg,
	    "CPUID leaf 1 counts %u logical CPUs a package", pkg);
	for (i = 1; i < n; i++)
		started += ap_start(i, ap);
	ok(started == n - 1, "%u of %u further CPUs started", started, n - 1);
	ok(wait_until(all_up, (void *)(uint64_t)((1u << n) - 2), PATIENCE),
	    "each said so itself (%x)", up_mask);
	go = true;
	ok(wait_until(all_done, NULL, PATIENCE),
	    "all of them ended their work");
	ok(counter == (n - 1) * 100000, "atomic additions add up (%u)",
	    counter);
	for (i = 1; i < n; i++)
		lapic_ipi(i, 0x4000 | V_IPI);
	ok(wait_until(ipis, (void *)(uint64_t)(n - 1), PATIENCE),
	    "halted CPUs wake by IPI (%u)", irq_count[V_IPI]);
	lapic_ipi(0, 0xc4000 | V_IPI); /* all but self */
	ok(wait_until(ipis, (void *)(uint64_t)(2 * (n - 1)), PATIENCE),
	    "broadcast IPI (%u)", irq_count[V_IPI]);
	tap_done();
}
