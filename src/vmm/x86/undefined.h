/*
 * Which arithmetic flags an instruction leaves undefined: what comparisons of
 * two executors leave out.
 *
 * Source: Intel SDM vol. 1, appendix A (EFLAGS cross-reference), as classes in
 * X86_FLAG_CLASSES; for shifts and rotates, where it depends on the count, the
 * pages of the instructions in vol. 2.
 */
#ifndef VMM_X86_UNDEFINED_H
#define VMM_X86_UNDEFINED_H

#include "vmm/x86/decode.h"

/* X86_FL_* bits; rcx: as it was before, for counts in CL. */
uint32_t x86_undefined_flags(const struct x86_insn *in, uint64_t rcx);
/* SHLD, SHRD of 16 bits by more than 16: so is the destination. */
bool x86_undefined_result(const struct x86_insn *in, uint64_t rcx);

#endif
