/*
 * The states that a vCPU can start in. An engine makes the reset state by
 * itself; a loader that skips the firmware starts from the ones here.
 */
#include "vmm/state.h"

#include <string.h>

#include "base/buf.h"
#include "vmm/memmap.h"

/* Segment attributes as struct x86_seg has them */
#define ATTR_CODE16 0x009b /* present, code, readable, accessed */
#define ATTR_DATA16 0x0093
#define ATTR_CODE32 0xc09b /* and D, G */
#define ATTR_CODE64 0xa09b /* and L, G */
#define ATTR_DATA32 0xc093
#define ATTR_TSS 0x008b /* busy 32-bit TSS */
#define ATTR_LDT 0x0082

#define CR0_PE UINT64_C(0x1)
#define CR0_ET UINT64_C(0x10)
#define CR0_NE UINT64_C(0x20)
#define CR0_PG UINT64_C(0x80000000)
#define CR4_PAE UINT64_C(0x20)
#define EFER_LME UINT64_C(0x100)
#define EFER_LMA UINT64_C(0x400)

#define MSR_MISC_ENABLE 0x1a0
#define MSR_PAT 0x277

/* xAPIC registers */
#define LAPIC_ID 0x20
#define LAPIC_VERSION 0x30
#define LAPIC_DFR 0xe0
#define LAPIC_SVR 0xf0
#define LAPIC_LVT_CMCI 0x2f0
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_LVT_LINT0 0x350
#define LAPIC_LVT_ERROR 0x370
#define LVT_MASKED 0x10000
#define LVT_EXTINT 0x700

static struct x86_seg
segment(uint16_t sel, uint64_t base, uint32_t limit, uint32_t attr)
{
	return (struct x86_seg){
		.sel = sel, .base = base, .limit = limit, .attr = attr
	};
}

static void
reset_lapic(struct vcpu_state *st, unsigned id, bool bsp)
{
	uint8_t *page = st->lapic;
	unsigned reg;

	store_le32(page + LAPIC_ID, id << 24);
	store_le32(page + LAPIC_VERSION, 0x00050014);
	store_le32(page + LAPIC_DFR, 0xffffffff);
	store_le32(page + LAPIC_SVR, 0xff);
	store_le32(page + LAPIC_LVT_CMCI, LVT_MASKED);
	for (reg = LAPIC_LVT_TIMER; reg <= LAPIC_LVT_ERROR; reg += 0x10)
		store_le32(page + reg, LVT_MASKED);
	/*
	 * Virtual wire mode, MultiProcessor Specification 1.4, 3.6.2.2: what
	 * firmware would set up, for those who start without one.
	 */
	if (bsp)
		store_le32(page + LAPIC_LVT_LINT0, LVT_EXTINT);
}

static void
reset_xsave(struct vcpu_state *st)
{
	uint8_t *x = st->xsave;

	store_le16(x + 0, 0x0040); /* FCW */
	x[4] = 0xff; /* FTW, abridged: 5555h is eight valid zeros */
	store_le32(x + 24, 0x1f80); /* MXCSR */
	store_le32(x + 28, 0xffff); /* its mask */
	store_le64(x + 512, 3); /* XSTATE_BV: x87 and SSE are here */
	st->xsave_size = 576;
}

void
vcpu_state_reset(struct vcpu_state *st, unsigned id, bool bsp)
{
	unsigned i;

	memset(st, 0, sizeof(*st));
	for (i = 0; i < X86_SEG_COUNT; i++)
		st->seg[i] = segment(0, 0, 0xffff, ATTR_DATA16);
	st->seg[X86_CS] = segment(0xf000, 0xffff0000, 0xffff, ATTR_CODE16);
	st->tr = segment(0, 0, 0xffff, ATTR_TSS);
	st->ldtr = segment(0, 0, 0xffff, ATTR_LDT);
	st->gdtr.limit = 0xffff;
	st->idtr.limit = 0xffff;
	st->rip = 0xfff0;
	st->rflags = 2;
	st->gpr[X86_RDX] = 0x600; /* family 6 */
	st->cr0 = 0x60000010;
	st->dr[6] = 0xffff0ff0;
	st->dr[7] = 0x400;
	st->xcr0 = 1;
	st->apic_base = MEMMAP_LAPIC | 0x800 | (bsp ? 0x100 : 0);
	st->run_state = bsp ? VCPU_RUNNABLE : VCPU_UNINITIALIZED;
	st->msrs[0] = (struct x86_msr){ MSR_PAT, 0, 0x0007040600070406 };
	st->msrs[1] = (struct x86_msr){ MSR_MISC_ENABLE, 0, 1 };
	st->nmsrs = 2;
	reset_lapic(st, id, bsp);
	reset_xsave(st);
}

static void
set_flat(struct vcpu_state *st, uint32_t code_attr)
{
	unsigned i;

	for (i = 0; i < X86_SEG_COUNT; i++)
		st->seg[i] = segment(0x18, 0, 0xffffffff, ATTR_DATA32);
	st->seg[X86_CS] = segment(0x10, 0, 0xffffffff, code_attr);
	st->tr = segment(0x20, 0, 0x67, ATTR_TSS);
	st->ldtr = segment(0, 0, 0, ATTR_LDT | X86_ATTR_UNUSABLE);
	st->gdtr = (struct x86_dtable){ .limit = 0 };
	st->idtr = (struct x86_dtable){ .limit = 0 };
	st->rflags = 2;
	st->run_state = VCPU_RUNNABLE;
}

void
vcpu_state_flat32(struct vcpu_state *st)
{
	set_flat(st, ATTR_CODE32);
	st->cr0 = CR0_PE | CR0_ET | CR0_NE;
	st->cr3 = 0;
	st->cr4 = 0;
	st->efer = 0;
}

void
vcpu_state_flat64(struct vcpu_state *st, uint64_t cr3)
{
	set_flat(st, ATTR_CODE64);
	st->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	st->cr3 = cr3;
	st->cr4 = CR4_PAE;
	st->efer = EFER_LME | EFER_LMA;
}
