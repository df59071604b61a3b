/*
 * Instructions as functions: everything that has no operation of its own.
 * Faults leave by soft_raise(). Rows that end a block find the next
 * instruction's address in cpu->rip.
 */
#ifndef VMM_SOFT_INSN_H
#define VMM_SOFT_INSN_H

#include "vmm/soft/mmu.h"
#include "vmm/soft/ops.h"
#include "vmm/soft/seg.h"

/* Value of operand n (registers, memory, immediates), zero-extended. */
uint64_t soft_get(struct soft_cpu *cpu, const struct x86_insn *in, unsigned n);
void soft_put(
    struct soft_cpu *cpu, const struct x86_insn *in, unsigned n, uint64_t v);

#define INSN(name)                                                          \
	void soft_insn_##name(struct soft_cpu *cpu __attribute__((unused)), \
	    const struct x86_insn *in __attribute__((unused)))

/* insn.c */
INSN(mov);
INSN(xchg);
INSN(lea);
INSN(push);
INSN(pop);
INSN(pusha);
INSN(popa);
INSN(enter);
INSN(leave);
INSN(imul);
INSN(movsxd);
INSN(cbw);
INSN(cwd);
INSN(cmov);
INSN(setcc);
INSN(xlat);
INSN(bswap);
INSN(movbe);
INSN(movnti);
INSN(nop);
INSN(clflush);
INSN(salc);
INSN(bound);
INSN(flagop);
INSN(pushf);
INSN(popf);
INSN(lahf);
INSN(sahf);
/* arith.c */
INSN(mul);
INSN(imul1);
INSN(div);
INSN(idiv);
INSN(bt);
INSN(bsx);
INSN(xzcnt);
INSN(popcnt);
INSN(shxd);
INSN(cmpxchg);
INSN(cmpxchg8b);
INSN(xadd);
INSN(crc32);
INSN(adx);
INSN(bmi);
INSN(decimal);
INSN(rdrand);
/* branch.c */
INSN(jmp);
INSN(call);
INSN(ret);
INSN(jcc);
INSN(loop);
INSN(jcxz);
INSN(jmpf);
INSN(callf);
INSN(retf);
INSN(iret);
INSN(int);
INSN(syscall);
INSN(sysret);
INSN(sysenter);
INSN(sysexit);
INSN(lxs);
/* string.c */
INSN(movs);
INSN(stos);
INSN(lods);
INSN(scas);
INSN(cmps);
INSN(ins);
INSN(outs);
/* system.c */
INSN(in);
INSN(out);
INSN(hlt);
INSN(cli);
INSN(sti);
INSN(pause);
INSN(cpuid);
INSN(rdtsc);
INSN(rdpid);
INSN(rdmsr);
INSN(wrmsr);
INSN(rdpmc);
INSN(mov_cr);
INSN(mov_dr);
INSN(clts);
INSN(smsw);
INSN(lmsw);
INSN(lgdt);
INSN(sgdt);
INSN(sldt);
INSN(lldt);
INSN(lar);
INSN(verr);
INSN(arpl);
INSN(invlpg);
INSN(invpcid);
INSN(wbinvd);
INSN(swapgs);
INSN(fsgsbase);
INSN(clac);
INSN(vmcall);
/* xstate.c */
INSN(fxsave);
INSN(xsave);
INSN(xgetbv);

/* arith.c: the flags of CMP a,b in the given size */
void soft_compare(struct soft_cpu *cpu, uint64_t a, uint64_t b, unsigned size);
/* system.c */
bool soft_io_allowed(struct soft_cpu *cpu, uint16_t port, unsigned size);
void soft_write_cr0(struct soft_cpu *cpu, uint64_t v);
/* An interrupt waits and IF may have become 1: look soon. */
void soft_if_changed(struct soft_cpu *cpu);
/* xstate.c: leaf 0dh depends on XCR0 */
void soft_xsave_cpuid(struct soft_cpu *cpu, uint32_t subleaf, uint32_t r[4]);
/* kvmclock.c: an MSR of it was written. Returns false for a bad address. */
bool soft_kvmclock_write(struct soft_cpu *cpu, uint64_t v);
bool soft_kvmclock_wall(struct soft_cpu *cpu, uint64_t gpa);
/* msr.c: false = #GP */
bool soft_msr_read(struct soft_cpu *cpu, uint32_t msr, uint64_t *ret);
bool soft_msr_write(struct soft_cpu *cpu, uint32_t msr, uint64_t v);
uint64_t soft_guest_tsc(struct soft_cpu *cpu);

#endif
