/*
 * Registers, priorities and delivery of the local APIC model.
 *
 * IRR, TMR and the pending errors are written by other threads with atomic
 * read-modify-writes. Of the rest, other threads only read what decides about
 * a message (LDR, DFR, SVR, PPR, base); a message that races with a change of
 * them sees the old or the new value, as on a bus.
 */
#include "vmm/soft/lapic.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "vmm/soft/lapic_regs.h"

#define REG_BIT(v) (1u << ((v)&31))

/* Bits of each LVT register that software can write (figure 10-8). */
static const uint32_t lvt_bits[] = {
	[LAPIC_LVT_TIMER - LAPIC_LVT_TIMER] = 0x700ff,
	[LAPIC_LVT_THERMAL - LAPIC_LVT_TIMER] = 0x107ff,
	[LAPIC_LVT_PERF - LAPIC_LVT_TIMER] = 0x107ff,
	[LAPIC_LVT_LINT0 - LAPIC_LVT_TIMER] = 0x1a7ff,
	[LAPIC_LVT_LINT1 - LAPIC_LVT_TIMER] = 0x1a7ff,
	[LAPIC_LVT_ERROR - LAPIC_LVT_TIMER] = 0x100ff,
};

/* ---- bit vectors ---- */

static int
highest_vector(const struct lapic *l, unsigned first)
{
	for (int i = 7; i >= 0; i--) {
		uint32_t w = lapic_reg_read(l, first + (unsigned)i);

		if (w != 0)
			return i * 32 + 31 - __builtin_clz(w);
	}
	return -1;
}

static bool
vector_set(struct lapic *l, unsigned first, uint8_t v)
{
	return atomic_fetch_or(&l->reg[first + v / 32], REG_BIT(v)) &
	    REG_BIT(v);
}

static bool
vector_clear(struct lapic *l, unsigned first, uint8_t v)
{
	return atomic_fetch_and(&l->reg[first + v / 32], ~REG_BIT(v)) &
	    REG_BIT(v);
}

/* ---- priorities (10.8.3.1) ---- */

/* A lower one may let in what waits in IRR: the vCPU has to look. */
static void
update_ppr(struct lapic *l)
{
	uint32_t tpr = lapic_reg_read(l, LAPIC_TPR) & 0xff;
	int isr = highest_vector(l, LAPIC_ISR);
	uint32_t isrv = isr < 0 ? 0 : (uint32_t)isr;

	lapic_reg_write(
	    l, LAPIC_PPR, tpr >> 4 >= isrv >> 4 ? tpr : isrv & 0xf0);
	if (lapic_pending(l) >= 0)
		l->ops->wake(l->arg);
}

static void
set_tpr(struct lapic *l, uint32_t tpr)
{
	lapic_reg_write(l, LAPIC_TPR, tpr & 0xff);
	update_ppr(l);
}

unsigned
lapic_cr8(const struct lapic *l)
{
	return (lapic_reg_read(l, LAPIC_TPR) >> 4) & 0xf;
}

void
lapic_set_cr8(struct lapic *l, unsigned cr8)
{
	set_tpr(l, (cr8 & 0xf) << 4);
}

int
lapic_pending(struct lapic *l)
{
	int v = highest_vector(l, LAPIC_IRR);

	if (v < 0 || (uint32_t)v >> 4 <= lapic_reg_read(l, LAPIC_PPR) >> 4)
		return -1;
	return v;
}

int
lapic_ack(struct lapic *l)
{
	int v = lapic_pending(l);

	if (v < 0)
		return -1;
	vector_clear(l, LAPIC_IRR, (uint8_t)v);
	vector_set(l, LAPIC_ISR, (uint8_t)v);
	update_ppr(l);
	return v;
}

unsigned
lapic_priority(const struct lapic *l)
{
	return lapic_reg_read(l, LAPIC_PPR);
}

static void
end_of_interrupt(struct lapic *l)
{
	int v = highest_vector(l, LAPIC_ISR);

	if (v < 0)
		return;
	vector_clear(l, LAPIC_ISR, (uint8_t)v);
	update_ppr(l);
	if (lapic_reg_read(l, LAPIC_TMR + (unsigned)v / 32) & REG_BIT(v))
		l->ops->eoi(l->arg, (uint8_t)v);
}

/* ---- delivery ---- */

/*
 * An illegal vector in the error entry would raise the same error again: that
 * vector is looked at here, not on delivery.
 */
static void
signal_error(struct lapic *l, uint32_t bits)
{
	uint32_t lvt = lapic_reg_read(l, LAPIC_LVT_ERROR);
	uint32_t old = atomic_fetch_or(&l->esr_new, bits);

	if ((old & bits) == bits || (lvt & LAPIC_LVT_MASKED) != 0)
		return;
	if ((lvt & 0xff) < 16)
		atomic_fetch_or(&l->esr_new, LAPIC_ESR_RECV_VECTOR);
	else
		lapic_local_event(l, LAPIC_LVT_ERROR);
}

bool
lapic_accept(struct lapic *l, uint8_t vector, bool level)
{
	if (!lapic_enabled(l) ||
	    !(lapic_reg_read(l, LAPIC_SVR) & LAPIC_SVR_ENABLE))
		return false;
	if (vector < 16) {
		signal_error(l, LAPIC_ESR_RECV_VECTOR);
		return false;
	}
	/* TMR first: who sees the request must see its kind. */
	if (level)
		vector_set(l, LAPIC_TMR, vector);
	else if (lapic_reg_read(l, LAPIC_TMR + vector / 32) & REG_BIT(vector))
		vector_clear(l, LAPIC_TMR, vector);
	if (!vector_set(l, LAPIC_IRR, vector))
		l->ops->wake(l->arg);
	return true;
}

void
lapic_local_event(struct lapic *l, unsigned lvt)
{
	uint32_t v = lapic_reg_read(l, lvt);

	if (!lapic_enabled(l) || (v & LAPIC_LVT_MASKED) != 0)
		return;
	/* The timer and error entries have no mode field: it reads 0, fixed. */
	if (LAPIC_LVT_DELIVERY(v) == LAPIC_FIXED)
		lapic_accept(l, v & 0xff, false);
	else if (LAPIC_LVT_DELIVERY(v) == LAPIC_NMI)
		l->ops->nmi(l->arg);
}

bool
lapic_extint_enabled(const struct lapic *l)
{
	uint32_t lvt = lapic_reg_read(l, LAPIC_LVT_LINT0);

	if (!lapic_enabled(l))
		return true; /* LINT0 is the INTR pin then */
	return (lvt & LAPIC_LVT_MASKED) == 0 &&
	    LAPIC_LVT_DELIVERY(lvt) == LAPIC_EXTINT;
}

/* ---- messages ---- */

/*
 * Did the sender mean all? 32 bits have a value of their own for that; 8 bits
 * of ones are the broadcast of the old form whatever the receiver's mode is.
 */
static bool
is_broadcast(uint32_t dest, bool dest_x2apic)
{
	return dest == (dest_x2apic ? UINT32_MAX : 0xff);
}

/* 10.6.2.2 (flat and cluster models), 10.12.10.2 (x2APIC) */
static bool
match_logical(const struct lapic *l, uint32_t dest)
{
	uint32_t ldr = lapic_reg_read(l, LAPIC_LDR);

	if (lapic_x2apic(l))
		return ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff) != 0;
	ldr >>= 24;
	if (dest > 0xff)
		return false;
	if (lapic_reg_read(l, LAPIC_DFR) >> 28 == 0xf)
		return (ldr & dest) != 0;
	return ldr >> 4 == dest >> 4 && (ldr & dest & 0xf) != 0;
}

bool
lapic_match(
    const struct lapic *l, uint32_t dest, bool dest_x2apic, bool logical)
{
	if (!lapic_enabled(l))
		return false;
	if (is_broadcast(dest, dest_x2apic))
		return true;
	return logical ? match_logical(l, dest) : l->id == dest;
}

/* The ICR was written (10.6.1). */
static void
send_ipi(struct lapic *l)
{
	uint32_t lo = lapic_reg_read(l, LAPIC_ICR);
	uint32_t hi = lapic_reg_read(l, LAPIC_ICR2);
	struct lapic_message msg = {
		.dest = lapic_x2apic(l) ? hi : hi >> 24,
		.dest_x2apic = lapic_x2apic(l),
		.logical = lo & 0x800,
		.vector = lo & 0xff,
		.delivery = (lo >> 8) & 7,
		.shorthand = (lo >> 18) & 3,
		.assert = true,
	};

	switch ((enum lapic_delivery)msg.delivery) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
		/* Level and trigger mode count for INIT only. */
		if (msg.vector < 16) {
			signal_error(l, LAPIC_ESR_SEND_VECTOR);
			return;
		}
		break;
	case LAPIC_INIT:
		msg.level = lo & 0x8000;
		msg.assert = !msg.level || (lo & 0x4000) != 0;
		break;
	case LAPIC_SMI:
	case LAPIC_NMI:
	case LAPIC_SIPI:
		break;
	case LAPIC_RESERVED:
	case LAPIC_EXTINT:
		return;
	}
	/* Table 10-4: the shorthands with self take only fixed vectors. */
	if (msg.delivery != LAPIC_FIXED &&
	    (msg.shorthand == LAPIC_TO_SELF || msg.shorthand == LAPIC_TO_ALL))
		return;
	l->ops->send(l->arg, &msg);
}

static void
send_self_ipi(struct lapic *l, uint8_t vector)
{
	if (vector < 16)
		signal_error(l, LAPIC_ESR_SEND_VECTOR);
	else
		lapic_accept(l, vector, false);
}

/* ---- reset ---- */

/* In x2APIC mode the logical id follows from the id (10.12.10.2). */
static void
set_id_registers(struct lapic *l)
{
	if (lapic_x2apic(l)) {
		lapic_reg_write(l, LAPIC_ID, l->id);
		lapic_reg_write(
		    l, LAPIC_LDR, (l->id & ~0xfu) << 12 | 1u << (l->id & 0xf));
	} else {
		lapic_reg_write(l, LAPIC_ID, l->id << 24);
	}
}

static void
reset_registers(struct lapic *l)
{
	for (unsigned i = 0; i < LAPIC_NREGS; i++)
		atomic_store(&l->reg[i], 0);
	atomic_store(&l->esr_new, 0);
	lapic_reg_write(l, LAPIC_VERSION, LAPIC_VERSION_VALUE);
	lapic_reg_write(l, LAPIC_DFR, UINT32_MAX);
	lapic_reg_write(l, LAPIC_SVR, 0xff);
	for (unsigned i = LAPIC_LVT_TIMER; i <= LAPIC_LVT_ERROR; i++)
		lapic_reg_write(l, i, LAPIC_LVT_MASKED);
	set_id_registers(l);
}

void
lapic_reset(struct lapic *l, bool init)
{
	if (!init)
		l->base = UINT64_C(0xfee00000) | LAPIC_BASE_ENABLE |
		    (l->base & (LAPIC_BASE_BSP | LAPIC_BASE_X2APIC));
	reset_registers(l);
	lapic_timer_stop(l);
}

struct lapic *
lapic_create(uint32_t apic_id, bool bsp, bool x2apic, uint64_t tsc_hz,
    const struct lapic_ops *ops, void *arg)
{
	struct lapic *l = alloc_zero(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->id = apic_id;
	l->ops = ops;
	l->arg = arg;
	l->tsc_hz = tsc_hz == 0 ? 1 : tsc_hz;
	l->base = UINT64_C(0xfee00000) | LAPIC_BASE_ENABLE |
	    (bsp ? LAPIC_BASE_BSP : 0) | (x2apic ? LAPIC_BASE_X2APIC : 0);
	l->timer_due = LAPIC_NEVER;
	reset_registers(l);
	return l;
}

void
lapic_destroy(struct lapic *l)
{
	free(l);
}

uint64_t
lapic_base(const struct lapic *l)
{
	return l->base;
}

/* 10.12.5, figure 10-27. MAXPHYADDR is the caller's matter. */
int
lapic_set_base(struct lapic *l, uint64_t value)
{
	const uint64_t modes = LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC;
	uint64_t was = l->base & modes, now = value & modes;

	if ((value & ~(modes | LAPIC_BASE_BSP | LAPIC_BASE_ADDR)) != 0 ||
	    now == LAPIC_BASE_X2APIC)
		return -1;
	if ((was == 0 && now == modes) ||
	    (was == modes && now == LAPIC_BASE_ENABLE))
		return -1;
	l->base = value;
	if (now == modes)
		set_id_registers(l);
	else if (was != now)
		lapic_reset(l, true);
	return 0;
}

bool
lapic_mmio_enabled(const struct lapic *l)
{
	return lapic_enabled(l) && !lapic_x2apic(l);
}

/* ---- register access ---- */

static bool
reg_readable(unsigned reg)
{
	switch (reg) {
	case LAPIC_ID:
	case LAPIC_VERSION:
	case LAPIC_TPR:
	case LAPIC_PPR:
	case LAPIC_LDR:
	case LAPIC_SVR:
	case LAPIC_ESR:
	case LAPIC_ICR:
	case LAPIC_TIMER_INITIAL:
	case LAPIC_TIMER_CURRENT:
	case LAPIC_TIMER_DIVIDE:
		return true;
	default:
		return (reg >= LAPIC_ISR && reg < LAPIC_ESR) ||
		    (reg >= LAPIC_LVT_TIMER && reg <= LAPIC_LVT_ERROR);
	}
}

/* Those that exist in the xAPIC window only. */
static bool
reg_xapic_only(unsigned reg)
{
	return reg == LAPIC_APR || reg == LAPIC_EOI || reg == LAPIC_RRD ||
	    reg == LAPIC_DFR || reg == LAPIC_ICR2;
}

static uint32_t
read_reg(struct lapic *l, unsigned reg)
{
	if (reg == LAPIC_TIMER_CURRENT)
		return lapic_timer_current(l);
	if (reg == LAPIC_EOI)
		return 0;
	return lapic_reg_read(l, reg);
}

static void
write_svr(struct lapic *l, uint32_t value)
{
	lapic_reg_write(l, LAPIC_SVR, value & LAPIC_SVR_BITS);
	if ((value & LAPIC_SVR_ENABLE) != 0)
		return;
	/* Software-disabled: all LVT masks are set and stay (10.4.7.2). */
	for (unsigned i = LAPIC_LVT_TIMER; i <= LAPIC_LVT_ERROR; i++)
		lapic_reg_write(l, i, lapic_reg_read(l, i) | LAPIC_LVT_MASKED);
}

static void
write_lvt(struct lapic *l, unsigned reg, uint32_t value)
{
	value &= lvt_bits[reg - LAPIC_LVT_TIMER];
	if (!(lapic_reg_read(l, LAPIC_SVR) & LAPIC_SVR_ENABLE))
		value |= LAPIC_LVT_MASKED;
	if (reg == LAPIC_LVT_TIMER)
		lapic_timer_set_lvt(l, value);
	else
		lapic_reg_write(l, reg, value);
}

/* Registers that both access forms write alike; false: there is none. */
static bool
write_reg(struct lapic *l, unsigned reg, uint32_t value)
{
	switch (reg) {
	case LAPIC_TPR:
		set_tpr(l, value);
		return true;
	case LAPIC_EOI:
		end_of_interrupt(l);
		return true;
	case LAPIC_SVR:
		write_svr(l, value);
		return true;
	case LAPIC_ESR:
		lapic_reg_write(l, LAPIC_ESR, atomic_exchange(&l->esr_new, 0));
		return true;
	case LAPIC_LVT_TIMER:
	case LAPIC_LVT_THERMAL:
	case LAPIC_LVT_PERF:
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
	case LAPIC_LVT_ERROR:
		write_lvt(l, reg, value);
		return true;
	case LAPIC_TIMER_INITIAL:
		lapic_timer_set_initial(l, value);
		return true;
	case LAPIC_TIMER_DIVIDE:
		lapic_timer_set_divide(l, value);
		return true;
	default:
		return false;
	}
}

uint32_t
lapic_mmio_read(struct lapic *l, unsigned offset)
{
	unsigned reg = offset >> 4;

	if ((offset & 0xf) != 0)
		return 0;
	if (reg >= LAPIC_NREGS ||
	    (!reg_readable(reg) && !reg_xapic_only(reg))) {
		signal_error(l, LAPIC_ESR_REGISTER);
		return 0;
	}
	return read_reg(l, reg);
}

void
lapic_mmio_write(struct lapic *l, unsigned offset, uint32_t value)
{
	unsigned reg = offset >> 4;

	if ((offset & 0xf) != 0)
		return;
	switch (reg) {
	case LAPIC_ID:
	case LAPIC_VERSION:
	case LAPIC_PPR:
	case LAPIC_TIMER_CURRENT:
		break; /* read-only */
	case LAPIC_LDR:
		lapic_reg_write(l, reg, value & 0xff000000);
		break;
	case LAPIC_DFR:
		lapic_reg_write(l, reg, value | 0x0fffffff);
		break;
	case LAPIC_ICR:
		lapic_reg_write(
		    l, reg, value & LAPIC_ICR_BITS & ~LAPIC_ICR_PENDING);
		send_ipi(l);
		break;
	case LAPIC_ICR2:
		lapic_reg_write(l, reg, value & 0xff000000);
		break;
	default:
		if (reg >= LAPIC_NREGS || !write_reg(l, reg, value))
			signal_error(l, LAPIC_ESR_REGISTER);
	}
}

/* Bits that an x2APIC write may set (10.12.1.2: the others fault). */
static uint64_t
msr_writable_bits(unsigned reg)
{
	switch (reg) {
	case LAPIC_TPR:
	case LAPIC_SELF_IPI:
		return 0xff;
	case LAPIC_SVR:
		return LAPIC_SVR_BITS;
	case LAPIC_ICR:
		return (UINT64_C(0xffffffff) << 32) | LAPIC_ICR_BITS;
	case LAPIC_TIMER_INITIAL:
		return UINT32_MAX;
	case LAPIC_TIMER_DIVIDE:
		return 0xb;
	default:
		if (reg >= LAPIC_LVT_TIMER && reg <= LAPIC_LVT_ERROR)
			/* Pending and remote IRR are ignored, not reserved. */
			return lvt_bits[reg - LAPIC_LVT_TIMER] |
			    LAPIC_LVT_PENDING |
			    (lvt_bits[reg - LAPIC_LVT_TIMER] & 0x8000) >> 1;
		return 0; /* EOI and ESR take 0 only */
	}
}

#define MSR_X2APIC 0x800
#define MSR_TSC_DEADLINE 0x6e0

int
lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *ret)
{
	unsigned reg = msr - MSR_X2APIC;

	if (msr == MSR_TSC_DEADLINE) {
		*ret = lapic_tsc_deadline(l);
		return 0;
	}
	if (!lapic_x2apic(l) || reg >= LAPIC_NREGS || !reg_readable(reg))
		return -1;
	*ret = read_reg(l, reg);
	if (reg == LAPIC_ICR)
		*ret |= (uint64_t)lapic_reg_read(l, LAPIC_ICR2) << 32;
	return 0;
}

int
lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value)
{
	unsigned reg = msr - MSR_X2APIC;

	if (msr == MSR_TSC_DEADLINE) {
		lapic_set_tsc_deadline(l, value);
		return 0;
	}
	if (!lapic_x2apic(l) || reg >= LAPIC_NREGS ||
	    (value & ~msr_writable_bits(reg)) != 0)
		return -1;
	if (reg == LAPIC_SELF_IPI) {
		send_self_ipi(l, (uint8_t)value);
		return 0;
	}
	if (reg == LAPIC_ICR) {
		lapic_reg_write(l, LAPIC_ICR2, (uint32_t)(value >> 32));
		lapic_reg_write(l, LAPIC_ICR,
		    (uint32_t)value & LAPIC_ICR_BITS & ~LAPIC_ICR_PENDING);
		send_ipi(l);
		return 0;
	}
	return write_reg(l, reg, (uint32_t)value) ? 0 : -1;
}

/* ---- state ---- */

void
lapic_save(const struct lapic *l, uint8_t page[1024])
{
	memset(page, 0, LAPIC_NREGS * 16);
	for (unsigned i = 0; i < LAPIC_NREGS; i++) {
		uint32_t v = lapic_reg_read(l, i);

		if (i == LAPIC_TIMER_CURRENT)
			v = lapic_timer_current(l);
		memcpy(page + i * 16, &v, sizeof(v));
	}
}

/*
 * The page may come from a file: registers get no bits that a guest could not
 * have written, ID and version none at all.
 */
void
lapic_restore(struct lapic *l, const uint8_t page[1024])
{
	uint32_t r[LAPIC_NREGS];

	for (unsigned i = 0; i < LAPIC_NREGS; i++)
		memcpy(&r[i], page + i * 16, sizeof(r[i]));
	lapic_reset(l, true);
	lapic_reg_write(l, LAPIC_SVR, r[LAPIC_SVR] & LAPIC_SVR_BITS);
	if (!lapic_x2apic(l)) {
		lapic_reg_write(l, LAPIC_LDR, r[LAPIC_LDR] & 0xff000000);
		lapic_reg_write(l, LAPIC_DFR, r[LAPIC_DFR] | 0x0fffffff);
	}
	for (unsigned i = LAPIC_ISR; i < LAPIC_ESR; i++)
		lapic_reg_write(l, i, i % 8 == 0 ? r[i] & ~0xffffu : r[i]);
	lapic_reg_write(l, LAPIC_ESR, r[LAPIC_ESR] & 0xff);
	lapic_reg_write(l, LAPIC_ICR, r[LAPIC_ICR] & LAPIC_ICR_BITS);
	lapic_reg_write(l, LAPIC_ICR2, r[LAPIC_ICR2]);
	for (unsigned i = LAPIC_LVT_TIMER; i <= LAPIC_LVT_ERROR; i++)
		write_lvt(l, i, r[i]);
	/*
	 * The machine's reset state has LINT0 as firmware leaves it, virtual
	 * wire, though the APIC is software-disabled; KVM takes it so too.
	 */
	lapic_reg_write(l, LAPIC_LVT_LINT0,
	    r[LAPIC_LVT_LINT0] & lvt_bits[LAPIC_LVT_LINT0 - LAPIC_LVT_TIMER]);
	lapic_reg_write(l, LAPIC_TIMER_INITIAL, r[LAPIC_TIMER_INITIAL]);
	lapic_reg_write(l, LAPIC_TIMER_DIVIDE, r[LAPIC_TIMER_DIVIDE] & 0xb);
	lapic_timer_resume(l, r[LAPIC_TIMER_CURRENT]);
	set_tpr(l, r[LAPIC_TPR]);
	if (highest_vector(l, LAPIC_IRR) >= 0)
		l->ops->wake(l->arg);
}
