/*
 * The local APIC: timer in all modes, priorities, EOI order, IRR, ISR and TMR,
 * IPIs to every kind of destination, NMI, INIT, error register, and x2APIC.
 * cpus=N on the command line; "x2apic": the same in that mode.
 *
 * On both engines: KVM's local APIC answers too.
 *
 * Source: Intel SDM vol. 3, chapter 10.
 */
#include "sys.h"

#define V(n) (0x40 + (n))
#define MASKED 0x10000u
#define PERIODIC 0x20000u
#define DEADLINE 0x40000u
enum {
	ID = 0x20,
	TPR = 0x80,
	PPR = 0xa0,
	EOI = 0xb0,
	LDR = 0xd0,
	DFR = 0xe0,
	SVR = 0xf0,
	ISR = 0x100,
	TMR = 0x180,
	IRR = 0x200,
	ESR = 0x280,
	ICR = 0x300,
	ICR2 = 0x310,
	LVT_TIMER = 0x320,
	LVT_ERROR = 0x370,
	INITIAL = 0x380,
	CURRENT = 0x390,
	DIVIDE = 0x3e0,
};

static bool x2apic;
static unsigned ncpus = 1;

static bool
bit(unsigned first, unsigned v)
{
	return lapic_read(first + (v / 32) * 16) >> (v & 31) & 1;
}

static bool
came(void *arg)
{
	return irq_count[(uint64_t)arg] != 0;
}

static bool
within(unsigned v, unsigned ms)
{
	return wait_until(came, (void *)(uint64_t)v, ms);
}

static void
self_ipi(unsigned v)
{
	lapic_ipi(lapic_id(), 0x40000u | v);
}

static void
clear_counts(void)
{
	for (unsigned i = 32; i < 256; i++)
		irq_count[i] = 0;
}

/* ---- timer ---- */

static void
timer(uint32_t lvt, uint32_t divide, uint32_t count)
{
	lapic_write(INITIAL, 0);
	lapic_write(DIVIDE, divide);
	lapic_write(LVT_TIMER, lvt);
	lapic_write(INITIAL, count);
}

/* Counts in 1000 ticks of the PM timer, about 279 us each. */
static uint64_t
measure(uint32_t divide)
{
	uint32_t t0, t, a, b;

	timer(V(0) | MASKED, divide, 0xffffffff);
	t0 = inl(0x608);
	a = lapic_read(CURRENT);
	delay_us(5000);
	t = (inl(0x608) - t0) & 0xffffff;
	b = lapic_read(CURRENT);
	return (uint64_t)(a - b) * 1000 / t;
}

static bool
about(uint64_t a, uint64_t b)
{
	return a * 20 >= b * 19 && b * 20 >= a * 19;
}

/* Again if the host took the CPU away between two reads. */
static bool
has_rate(uint32_t divide, uint64_t rate)
{
	uint64_t got = 0;

	for (unsigned i = 0; i < 100; i++) {
		got = measure(divide);
		if (about(got, rate))
			return true;
	}
	print("# divide register %x: rate %lu, expected %lu\n", divide, got,
	    rate);
	return false;
}

static uint64_t
steady_rate(uint32_t divide)
{
	uint64_t a, b = measure(divide);

	do {
		a = b;
		b = measure(divide);
	} while (!about(a, b));
	return b;
}

static bool
is_requested(void *arg)
{
	return bit(IRR, (unsigned)(uint64_t)arg);
}

static void
test_timer(void)
{
	/* the value of DIVIDE, and by how much it divides (figure 10-10) */
	static const uint8_t divide[][2] = { { 0xb, 0 }, { 0, 1 }, { 1, 2 },
		{ 2, 3 }, { 3, 4 }, { 8, 5 }, { 9, 6 }, { 0xa, 7 } };
	uint32_t a, b;
	uint64_t rate = 0;
	bool good = true;

	cli();
	timer(V(0) | MASKED, 0xb, 1000000000);
	a = lapic_read(CURRENT);
	delay_us(200);
	b = lapic_read(CURRENT);
	ok(b < a && a <= 1000000000, "the current count falls");
	if (!x2apic) { /* there it is #GP */
		lapic_write(CURRENT, 5);
		ok(lapic_read(CURRENT) > 5,
		    "writing the current count does nothing");
	}
	lapic_write(INITIAL, 0);
	ok(lapic_read(CURRENT) == 0, "initial count 0 stops the timer");
	for (unsigned i = 0; i < 8; i++) {
		if (i == 0)
			rate = steady_rate(divide[i][0]);
		else if (!has_rate(divide[i][0], rate >> divide[i][1]))
			good = false;
		if (lapic_read(DIVIDE) != divide[i][0])
			good = false;
	}
	ok(good, "every divisor");
	timer(V(0) | MASKED, 0xb, 1000);
	delay_us(3000);
	ok(!bit(IRR, V(0)), "a masked timer requests nothing");
	ok(lapic_read(CURRENT) == 0, "but counts down to 0");
	lapic_write(LVT_TIMER, V(0));
	delay_us(1000);
	ok(!bit(IRR, V(0)) || !sys_is_soft(),
	    "nor when it is unmasked afterwards (KVM's does)");
	timer(V(0), 0xb, 1000);
	ok(wait_until(is_requested, (void *)V(0), PATIENCE),
	    "one shot requests while IF is clear");
	sti();
	ok(within(V(0), PATIENCE), "and comes with IF set");
	delay_us(3000);
	ok(irq_count[V(0)] == 1, "once");
	clear_counts();
	timer(V(0) | PERIODIC, 0xb, 100000);
	while (irq_count[V(0)] < 5)
		cpu_pause();
	ok(true, "periodic goes on");
	lapic_write(LVT_TIMER, V(0) | PERIODIC | MASKED);
	a = irq_count[V(0)];
	delay_us(20000);
	ok(irq_count[V(0)] - a <= 1, "masked it does not");
	ok(lapic_read(INITIAL) == 100000 && lapic_read(CURRENT) != 0,
	    "and counts on");
	lapic_write(LVT_TIMER, V(0) | PERIODIC);
	clear_counts();
	ok(within(V(0), PATIENCE), "unmasked it comes again");
	/* to one shot while it runs: this period is the last one */
	lapic_write(LVT_TIMER, V(0));
	clear_counts();
	delay_us(100000);
	ok(irq_count[V(0)] <= 1, "periodic turned into one shot ends");
	timer(V(0) | MASKED, 0xb, 0);
}

static void
test_deadline(void)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	if (!(r[2] & 1u << 24)) {
		skip("TSC deadline", "the CPU model has none");
		return;
	}
	clear_counts();
	lapic_write(LVT_TIMER, V(1) | DEADLINE);
	ok(rdmsr(0x6e0) == 0, "no deadline to begin with");
	lapic_write(INITIAL, 1000);
	ok(lapic_read(CURRENT) == 0 && lapic_read(INITIAL) == 0,
	    "the initial count is ignored in TSC-deadline mode");
	wrmsr(0x6e0, 1);
	ok(within(V(1), PATIENCE), "a deadline in the past comes at once");
	ok(rdmsr(0x6e0) == 0, "and disarms");
	clear_counts();
	wrmsr(0x6e0, rdtsc() + (UINT64_C(1) << 36));
	ok(rdmsr(0x6e0) != 0, "a deadline far away is armed");
	wrmsr(0x6e0, 0);
	ok(rdmsr(0x6e0) == 0, "0 disarms it");
	wrmsr(0x6e0, rdtsc() + (UINT64_C(1) << 36));
	lapic_write(LVT_TIMER, V(1));
	ok(rdmsr(0x6e0) == 0, "leaving the mode disarms it");
	lapic_write(LVT_TIMER, V(1) | DEADLINE | MASKED);
	wrmsr(0x6e0, rdtsc());
	delay_us(2000);
	ok(irq_count[V(1)] == 0 && !bit(IRR, V(1)),
	    "a masked deadline requests nothing");
	lapic_write(LVT_TIMER, MASKED);
}

/* ---- priorities ---- */

static unsigned order[8], norder;

static void
note(unsigned v)
{
	if (norder < 8)
		order[norder++] = v;
}

/* Looks at the registers while it is in service. */
static uint32_t isr_seen, ppr_seen;

static void
look(unsigned v)
{
	note(v);
	isr_seen = bit(ISR, v);
	ppr_seen = lapic_read(PPR);
}

static void
test_priority(void)
{
	static const uint8_t sent[] = { 0x45, 0x82, 0x61, 0x83, 0x44 };
	static const uint8_t want[] = { 0x83, 0x82, 0x61, 0x45, 0x44 };
	bool good = true;

	cli();
	clear_counts();
	for (unsigned i = 0; i < 5; i++) {
		irq_handler(sent[i], note);
		self_ipi(sent[i]);
	}
	for (unsigned i = 0; i < 5; i++)
		good = good && bit(IRR, sent[i]);
	ok(good, "requests wait in IRR");
	norder = 0;
	sti();
	within(0x44, PATIENCE);
	cli();
	good = norder == 5;
	for (unsigned i = 0; i < 5 && good; i++)
		good = order[i] == want[i];
	ok(good, "and come by vector, highest first");
	/* the task priority */
	lapic_write(TPR, 0x60);
	ok(lapic_read(PPR) == 0x60, "PPR follows TPR");
	self_ipi(0x61);
	self_ipi(0x71);
	clear_counts();
	sti();
	ok(within(0x71, PATIENCE), "a class above TPR's comes");
	ok(irq_count[0x61] == 0 && bit(IRR, 0x61), "TPR's own class waits");
	lapic_write(TPR, 0x5f);
	ok(within(0x61, PATIENCE), "until TPR falls");
	lapic_write(TPR, 0x0f);
	ok(lapic_read(TPR) == 0x0f && lapic_read(PPR) == 0x0f,
	    "the sub-class of TPR is kept");
	lapic_write(TPR, 0);
	irq_handler(0x91, look);
	self_ipi(0x91);
	ok(within(0x91, PATIENCE), "an interrupt is served");
	if (sys_is_soft()) {
		ok(isr_seen, "ISR has it meanwhile");
		ok(ppr_seen == 0x90, "and PPR its class (%x)", ppr_seen);
	} else
		skip("ISR and PPR while it is served", "not seen on KVM");
	ok(!bit(ISR, 0x91) && lapic_read(PPR) == 0, "EOI ends that");
	/* the same vector twice is one request */
	cli();
	clear_counts();
	irq_handler(0x91, NULL);
	self_ipi(0x91);
	self_ipi(0x91);
	sti();
	delay_us(1000);
	ok(irq_count[0x91] == 1, "two requests of a vector are one");
}

/* A handler that lets others in: 0x51 sends 0x49 and 0x92. */
static uint32_t counts_inside[2];

static void
low_handler(unsigned v)
{
	self_ipi(0x49);
	self_ipi(0x92);
	__asm__ volatile("sti; nop" ::: "memory");
	for (unsigned i = 0; i < 10000 && irq_count[0x92] == 0; i++)
		cpu_pause();
	__asm__ volatile("cli" ::: "memory");
	counts_inside[0] = irq_count[0x49];
	counts_inside[1] = irq_count[0x92];
}

static void
test_nesting(void)
{
	clear_counts();
	irq_handler(0x51, low_handler);
	self_ipi(0x51);
	within(0x49, PATIENCE);
	ok(counts_inside[1] == 1, "a higher class interrupts a handler");
	ok(counts_inside[0] == 0, "a lower one does not");
	ok(irq_count[0x49] == 1, "it comes after EOI");
	irq_handler(0x51, NULL);
}

static void
test_disabled(void)
{
	clear_counts();
	lapic_write(SVR, 0xff);
	ok(lapic_read(LVT_TIMER) & MASKED,
	    "software-disabled: the LVT masks are set");
	lapic_write(LVT_TIMER, V(2));
	ok(lapic_read(LVT_TIMER) & MASKED, "and stay set");
	self_ipi(V(2));
	delay_us(1000);
	ok(irq_count[V(2)] == 0, "fixed interrupts are refused");
	lapic_write(SVR, 0x1ff);
	delay_us(1000);
	ok(irq_count[V(2)] == 0, "for good");
	ok(lapic_read(SVR) == 0x1ff, "enabled again");
}

static void
test_errors(void)
{
	if (!sys_is_soft()) {
		skip("errors", "KVM's local APIC has none");
		return;
	}
	lapic_write(ESR, 0);
	lapic_write(ESR, 0);
	clear_counts();
	lapic_write(LVT_ERROR, V(3));
	self_ipi(5);
	ok(within(V(3), PATIENCE),
	    "an illegal vector raises the error interrupt");
	lapic_write(ESR, 0);
	ok((lapic_read(ESR) & 0x60) != 0, "ESR tells (%x)", lapic_read(ESR));
	lapic_write(ESR, 0);
	ok(lapic_read(ESR) == 0, "and is clear after the next write");
	lapic_write(LVT_ERROR, MASKED);
}

/* ---- a level-triggered pin of the I/O APIC: the UART's, input 4 ---- */

#define REMOTE_IRR 0x4000u
#define LEVEL 0x8000u
#define V_UART 0x62

static unsigned served;
static uint32_t rte_inside, tmr_inside;

static uint32_t
rte(void)
{
	mmio_write32(0xfec00000, 0x10 + 2 * 4);
	return mmio_read32(0xfec00010);
}

/* Lets the line stay up twice. */
static void
uart_handler(unsigned v)
{
	rte_inside = rte();
	tmr_inside = bit(TMR, v);
	if (++served == 3)
		outb(0x3f9, 0);
}

static bool
served_thrice(void *arg)
{
	return served >= 3;
}

static void
test_level(void)
{
	uint32_t nobody, after, count;
	bool came_again;

	irq_handler(V_UART, uart_handler);
	clear_counts();
	outb(0x3fc, 0x0b); /* OUT2 lets the interrupt out */
	/* nothing may be printed while the interrupt is on */
	ioapic_route(4, V_UART | LEVEL, 9);
	outb(0x3f9, 2); /* transmitter empty: the line rises */
	delay_us(1000);
	nobody = rte();
	ioapic_route(4, V_UART | LEVEL, lapic_id());
	came_again = wait_until(served_thrice, NULL, PATIENCE);
	delay_us(2000);
	count = irq_count[V_UART];
	after = rte();
	outb(0x3f9, 0);
	ioapic_route(4, 0x10000, lapic_id());
	ok(!(nobody & REMOTE_IRR), "no remote IRR when no APIC took it");
	ok(came_again, "a line that is up comes, and again after each EOI (%u)",
	    count);
	if (sys_is_soft()) {
		ok(count == 3, "until it falls");
		ok(rte_inside & REMOTE_IRR, "remote IRR is set meanwhile");
	} else
		skip("remote IRR while it is served", "not seen on KVM");
	ok(tmr_inside, "and TMR");
	ok(!(after & REMOTE_IRR), "EOI clears remote IRR");
	served = 0;
	clear_counts();
	self_ipi(V_UART);
	within(V_UART, PATIENCE);
	ok(!tmr_inside, "an IPI of the same vector is an edge: TMR is clear");
	irq_handler(V_UART, NULL);
}

/* ---- other CPUs ---- */

static volatile uint32_t up, hits[4], ap_loops[4];
static volatile bool clusters; /* the model of logical destinations */

/* Flat: a bit each. Cluster: 0 and 1 are members of cluster 0, 2 and 3 of 1. */
static void
set_logical(unsigned id)
{
	static const uint8_t member[] = { 0x01, 0x02, 0x11, 0x12 };

	if (x2apic)
		return;
	lapic_write(DFR, clusters ? 0x0fffffff : 0xffffffff);
	lapic_write(LDR, (clusters ? member[id] : 1u << id) << 24);
}

/* Which CPUs got the vector: their own counters, by id. */
static void
hit(unsigned v)
{
	hits[lapic_id() & 3]++;
}

static void
ap(void)
{
	uint32_t id = lapic_id() & 3;

	bool mine = false;

	set_logical(id);
	__atomic_or_fetch(&up, 1u << id, __ATOMIC_SEQ_CST);
	sti();
	for (;;) {
		ap_loops[id]++;
		if (mine != clusters) {
			mine = clusters;
			set_logical(id);
			__atomic_or_fetch(&up, 1u << id, __ATOMIC_SEQ_CST);
		}
		cpu_pause();
	}
}

static bool
settled(void *arg)
{
	return (hits[0] | hits[1] << 8 | hits[2] << 16 | hits[3] << 24) ==
	    (uint64_t)arg;
}

struct dest {
	const char *what;
	uint32_t dest, icr;
	uint32_t want; /* a byte for each CPU: how often */
};

static void
test_dest(const struct dest *d)
{
	for (unsigned i = 0; i < 4; i++)
		hits[i] = 0;
	lapic_ipi(d->dest, d->icr | 0x4000 | V(8));
	wait_until(settled, (void *)(uint64_t)d->want, PATIENCE);
	delay_us(2000); /* for one too many */
	if (!ok(settled((void *)(uint64_t)d->want), "%s", d->what))
		print("# %u %u %u %u times\n", hits[0], hits[1], hits[2],
		    hits[3]);
}

/* clang-format off */
#define LOGICAL 0x800
static const struct dest common[] = {
	{ "physical, CPU 2", 2, 0, 0x00010000 },
	{ "physical, oneself", 0, 0, 0x00000001 },
	{ "physical, nobody", 9, 0, 0 },
	{ "shorthand self", 3, 0x40000, 0x00000001 },
	{ "shorthand all", 3, 0x80000, 0x01010101 },
	{ "shorthand all but self", 0, 0xc0000, 0x01010100 },
};
static const struct dest flat[] = {
	{ "physical, broadcast", 0xff, 0, 0x01010101 },
	{ "flat logical, CPU 1", 2, LOGICAL, 0x00000100 },
	{ "flat logical, CPUs 0 and 3", 9, LOGICAL, 0x01000001 },
	{ "flat logical, nobody", 0xf0, LOGICAL, 0 },
	{ "flat logical, all", 0xff, LOGICAL, 0x01010101 },
};
static const struct dest x2[] = {
	{ "physical, broadcast", 0xffffffff, 0, 0x01010101 },
	{ "x2APIC 0xff is CPU 255, nobody", 0xff, 0, 0 },
	{ "x2APIC logical, CPU 1", 2, LOGICAL, 0x00000100 },
	{ "x2APIC logical, CPUs 1 and 2", 6, LOGICAL, 0x00010100 },
	{ "x2APIC logical, another cluster", 0x10006, LOGICAL, 0 },
	{ "x2APIC logical, all", 0xffffffff, LOGICAL, 0x01010101 },
};
static const struct dest cluster[] = {
	{ "cluster logical, one member", 0x02, LOGICAL, 0x00000100 },
	{ "cluster logical, both members", 0x13, LOGICAL, 0x01010000 },
	{ "cluster logical, not in this cluster", 0x2f, LOGICAL, 0 },
	{ "cluster logical, broadcast", 0xff, LOGICAL, 0x01010101 },
};
/* clang-format on */

static bool
hits_are(void *arg)
{
	return hits[0] + hits[1] + hits[2] + hits[3] == (uint64_t)arg;
}

static void
lowest_priority(void)
{
	for (unsigned i = 0; i < 4; i++)
		hits[i] = 0;
	for (unsigned i = 0; i < 8; i++) {
		lapic_ipi(0x0e, LOGICAL | 0x100 | 0x4000 | V(8));
		wait_until(hits_are, (void *)(uint64_t)(i + 1), PATIENCE);
	}
	ok(hits_are((void *)8) && hits[0] == 0,
	    "lowest priority: one of the addressed (%u %u %u)", hits[1],
	    hits[2], hits[3]);
}

static volatile uint32_t nmi_seen;

static bool
on_nmi(struct trap_frame *f)
{
	if (f->vector != 2)
		return false;
	__atomic_or_fetch(&nmi_seen, 1u << (lapic_id() & 3), __ATOMIC_SEQ_CST);
	return true;
}

static bool
nmi_on(void *arg)
{
	return nmi_seen == (uint64_t)arg;
}

static void
test_nmi(void)
{
	trap_hook = on_nmi;
	nmi_seen = 0;
	lapic_ipi(1, 0x400 | 0x4000);
	ok(wait_until(nmi_on, (void *)2, PATIENCE), "NMI to CPU 1");
	nmi_seen = 0;
	lapic_ipi(0, 0xc0400 | 0x4000);
	ok(wait_until(nmi_on, (void *)14, PATIENCE), "NMI to all but self (%x)",
	    nmi_seen);
}

static volatile bool again_up;

static void
again(void)
{
	again_up = true;
}

static bool
is_again_up(void *arg)
{
	return again_up;
}

static bool
stands_still(void *arg)
{
	uint32_t n = ap_loops[3];

	delay_us(20000);
	return ap_loops[3] == n;
}

static bool
goes_on(void *arg)
{
	return ap_loops[2] != (uint64_t)arg;
}

static void
test_init(void)
{
	uint32_t n;

	lapic_ipi(3, 0x4500);
	ok(wait_until(stands_still, NULL, PATIENCE), "INIT stops a CPU");
	for (unsigned i = 0; i < 4; i++)
		hits[i] = 0;
	lapic_ipi(3, 0x4000 | V(8));
	delay_us(5000);
	ok(hits[3] == 0, "which takes no interrupts");
	lapic_ipi(2, 0x4608); /* SIPI to one that runs */
	delay_us(20000);
	n = ap_loops[2];
	ok(wait_until(goes_on, (void *)(uint64_t)n, PATIENCE),
	    "SIPI to a CPU that runs is ignored");
	ok(ap_start(3, again) && wait_until(is_again_up, NULL, PATIENCE),
	    "it starts again by SIPI");
}

#define RUN(table)                                                         \
	for (unsigned i_ = 0; i_ < sizeof(table) / sizeof(table[0]); i_++) \
	test_dest(&table[i_])

static void
test_others(void)
{
	unsigned started = 0;

	irq_handler(V(8), hit);
	for (unsigned i = 1; i < 4; i++)
		started += ap_start(i, ap);
	if (!ok(started == 3, "%u further CPUs", started))
		return;
	while (up != 0xe)
		cpu_pause();
	set_logical(0);
	RUN(common);
	if (x2apic) {
		RUN(x2);
		lowest_priority();
	} else {
		RUN(flat);
		lowest_priority();
		up = 0;
		clusters = true;
		set_logical(0);
		while (up != 0xe)
			cpu_pause();
		RUN(cluster);
	}
	test_nmi();
	test_init();
}

void
user_main(void)
{
	for (const char *s = cmdline(); *s != '\0'; s++) {
		if (memcmp(s, "x2apic", 6) == 0)
			x2apic = true;
		if (memcmp(s, "cpus=", 5) == 0)
			ncpus = (unsigned)(s[5] - '0');
	}
	lapic_enable();
	ok(lapic_read(SVR) == 0x1ff && (lapic_read(0x30) & 0xff) >= 0x10,
	    "an integrated APIC, enabled");
	test_timer();
	test_deadline();
	test_priority();
	test_nesting();
	test_disabled();
	test_errors();
	test_level();
	if (ncpus == 4)
		test_others();
	tap_done();
}
