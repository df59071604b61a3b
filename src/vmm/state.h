/*
 * The whole architectural state of a vCPU in one form for every engine, so that
 * a VM saved on one resumes on the other. Plain data, no pointers.
 */
#ifndef VMM_STATE_H
#define VMM_STATE_H

#include <stdbool.h>
#include <stdint.h>

/* Index in gpr[]: the encoding order of the instruction set. */
enum x86_gpr {
	X86_RAX,
	X86_RCX,
	X86_RDX,
	X86_RBX,
	X86_RSP,
	X86_RBP,
	X86_RSI,
	X86_RDI,
	X86_R8,
	X86_R9,
	X86_R10,
	X86_R11,
	X86_R12,
	X86_R13,
	X86_R14,
	X86_R15,
	X86_GPR_COUNT
};

/* Index in seg[]: the encoding order of MOV Sreg. */
enum x86_sreg { X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_SEG_COUNT };

/*
 * A segment register with its hidden part. attr is laid out as bits 8-23 of a
 * descriptor's second word with the limit nibble left out (Intel SDM vol. 3,
 * 24.4.1): type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15, and
 * 'unusable' 16. limit is in bytes, already scaled by G.
 */
struct x86_seg {
	uint64_t base;
	uint32_t limit;
	uint32_t attr;
	uint16_t sel;
	uint16_t pad[3];
};
#define X86_ATTR_S 0x0010
#define X86_ATTR_DPL(a) (((a) >> 5) & 3)
#define X86_ATTR_P 0x0080
#define X86_ATTR_L 0x2000
#define X86_ATTR_DB 0x4000
#define X86_ATTR_G 0x8000
#define X86_ATTR_UNUSABLE 0x10000

struct x86_dtable {
	uint64_t base;
	uint16_t limit;
	uint16_t pad[3];
};

struct x86_msr {
	uint32_t index;
	uint32_t pad;
	uint64_t value;
};

enum vcpu_run_state {
	VCPU_RUNNABLE,
	VCPU_UNINITIALIZED, /* an AP that waits for INIT */
	VCPU_INIT_RECEIVED, /* waits for SIPI */
	VCPU_HALTED, /* in HLT */
};

#define VCPU_STATE_MSRS 96
#define VCPU_STATE_XSAVE 4096

struct vcpu_state {
	uint64_t gpr[X86_GPR_COUNT];
	uint64_t rip;
	uint64_t rflags;
	struct x86_seg seg[X86_SEG_COUNT];
	struct x86_seg tr, ldtr;
	struct x86_dtable gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4, cr8;
	uint64_t efer;
	uint64_t apic_base;
	uint64_t xcr0;
	uint64_t dr[8]; /* 4 and 5 unused */

	/* events in flight */
	uint8_t run_state; /* enum vcpu_run_state */
	uint8_t shadow; /* 1 = STI/MOV SS interrupt shadow */
	uint8_t nmi_pending, nmi_masked;
	uint8_t exc_injected, exc_vector, exc_has_error, int_injected;
	uint8_t int_vector, int_soft;
	uint8_t pad[6];
	uint32_t exc_error;
	uint32_t sipi_vector;

	uint32_t nmsrs;
	uint32_t xsave_size; /* valid bytes in xsave */
	struct x86_msr msrs[VCPU_STATE_MSRS];
	/* XSAVE area, standard (not compacted) format, Intel SDM vol. 1, 13.4
	 */
	uint8_t xsave[VCPU_STATE_XSAVE];
	/* xAPIC register page, Intel SDM vol. 3, table 11-1, 16-byte strides */
	uint8_t lapic[1024];
};

/* State after RESET (Intel SDM vol. 3, table 10-1). bsp: runnable, else
 * waits for INIT. */
void vcpu_state_reset(struct vcpu_state *st, unsigned id, bool bsp);
/* 32-bit flat protected mode, paging off (PVH entry). */
void vcpu_state_flat32(struct vcpu_state *st);
/*
 * 64-bit mode with paging through cr3, flat segments with the selectors that
 * Linux's 64-bit boot protocol wants: CS 0x10, DS ES SS 0x18.
 */
void vcpu_state_flat64(struct vcpu_state *st, uint64_t cr3);

#endif
