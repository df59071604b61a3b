/*
 * System-mode tests: run a few instructions at a privilege of choice, with all
 * registers given, until they trap, and tell how they ended. For use in ring 0
 * (inside ring0()), interrupts off, on the boot processor.
 */
#ifndef SYS_H
#define SYS_H

#include "guest.h"

#define SYS_CS0 0x08
#define SYS_CS3 0x2b
#define SYS_SS0 0x10
#define SYS_SS3 0x33
#define SYS_UD 6 /* code under test ends with UD2: no fault */

/*
 * In: general registers, rip, cs, rflags, rsp, ss. Out: those at the trap, its
 * vector and error code (0 without one), and CR2.
 */
struct sys_regs {
	struct trap_frame f;
	uint64_t cr2;
};

/*
 * Traps get a stack of their own (IST) between the two. Both inside one
 * ring0(), because that comes by a trap too.
 */
void sys_init(void);
void sys_done(void);
void sys_run(struct sys_regs *r);
/* f filled for code at rip in ring cpl, stack rsp; the rest 0. */
void
sys_regs_init(struct sys_regs *r, unsigned cpl, const void *rip, uint64_t rsp);

/*
 * A PML4 of one's own, in which the kernel lives on supervisor pages, for SMEP
 * and SMAP. sys_pte(): the entry of the 4 KiB page at lin in it; missing tables
 * are made, with all rights.
 */
uint64_t *sys_space(void);
uint64_t *sys_pte(uint64_t *space, uint64_t lin);

/* Bits of the entries */
#define P UINT64_C(1)
#define W UINT64_C(2)
#define U UINT64_C(4)
#define A UINT64_C(0x20)
#define D UINT64_C(0x40)
#define PS UINT64_C(0x80)
#define G UINT64_C(0x100)
#define NX (UINT64_C(1) << 63)
#define ADDR UINT64_C(0x000ffffffffff000)
#define PWU (P | W | U)

/* Bits of the page fault's error code */
#define eP 1
#define eW 2
#define eU 4
#define eR 8
#define eI 16

/* Copy code between two labels of an __asm__ block; returns its size. */
#define SYS_COPY(dst, name)                            \
	(memcpy((void *)(dst), sys_##name,             \
	     (size_t)(sys_##name##_end - sys_##name)), \
	    (unsigned)(sys_##name##_end - sys_##name))
#define SYS_CODE(name, text)                                                 \
	extern char sys_##name[], sys_##name##_end[];                        \
	__asm__(".pushsection .rodata\nsys_" #name ":\n" text "\nsys_" #name \
		"_end:\n.popsection\n")

/* Runs the loop in ring 0 far slower than in ring 3: an emulating KVM. */
bool sys_ring0_emulated(void);
/* The software engine, by CPUID's brand. */
bool sys_is_soft(void);

static inline uint64_t
read_cr0(void)
{
	uint64_t v;
	__asm__ volatile("mov %%cr0, %0" : "=r"(v)::"memory");
	return v;
}
static inline uint64_t
read_cr3(void)
{
	uint64_t v;
	__asm__ volatile("mov %%cr3, %0" : "=r"(v)::"memory");
	return v;
}
static inline uint64_t
read_cr4(void)
{
	uint64_t v;
	__asm__ volatile("mov %%cr4, %0" : "=r"(v)::"memory");
	return v;
}
static inline void
write_cr0(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr0" ::"r"(v) : "memory");
}
static inline void
write_cr3(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr3" ::"r"(v) : "memory");
}
static inline void
write_cr4(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr4" ::"r"(v) : "memory");
}
static inline void
invlpg(uint64_t a)
{
	__asm__ volatile("invlpg (%0)" ::"r"(a) : "memory");
}
/* In ring 0; guest.h's are for ring 3. */
static inline uint64_t
rdmsr_0(uint32_t msr)
{
	uint32_t lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}
static inline void
wrmsr_0(uint32_t msr, uint64_t v)
{
	__asm__ volatile(
	    "wrmsr" ::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
	    : "memory");
}

#define CR0_WP (UINT64_C(1) << 16)
#define CR0_PG (UINT64_C(1) << 31)
#define CR4_PSE (UINT64_C(1) << 4)
#define CR4_PAE (UINT64_C(1) << 5)
#define CR4_PGE (UINT64_C(1) << 7)
#define CR4_SMEP (UINT64_C(1) << 20)
#define CR4_SMAP (UINT64_C(1) << 21)
#define MSR_EFER 0xc0000080
#define EFER_NXE (UINT64_C(1) << 11)

#endif
