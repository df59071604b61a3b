/*
 * Disassembler, Intel syntax, for reports.
 */
#ifndef VMM_X86_DISASM_H
#define VMM_X86_DISASM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Text of the instruction at bytes (n readable) in 16-, 32- or 64-bit code;
 * rip is the instruction's address, for branch targets. Returns the
 * instruction's length, or 0 with "(bad)" or "(short)" in buf. buf is always
 * NUL-terminated, cut if too small; size > 0.
 */
size_t x86_disasm(char *buf, size_t size, const uint8_t *bytes, size_t n,
    unsigned mode_bits, uint64_t rip);

#endif
