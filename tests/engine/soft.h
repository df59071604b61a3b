/*
 * One instruction on the software engine, in the same place and state as
 * natively: CPL 3, 64-bit mode, the fixed regions mapped to guest RAM.
 */
#ifndef ENGINE_SOFT_H
#define ENGINE_SOFT_H

#include "state.h"

int soft_test_init(void); /* 0 or -errno */
void soft_test_destroy(void);
uint8_t *soft_test_code(void); /* guest RAM behind CODE_ADDR */
uint8_t *soft_test_data(void);
/* mode: 4 or 8 */
void soft_test_run(struct regs *r, unsigned mode, bool fp, struct fault *ret);

/* The same by blocks, as the run loop does, until something faults. */
void soft_test_run_blocks(struct regs *r, struct fault *ret);
/* Write code (within a page) that may have been run before. */
void soft_test_set_code(uint64_t rip, const uint8_t *p, unsigned n);

/* Control registers for what follows */
void soft_test_set_control(uint64_t cr0, uint64_t cr4, uint64_t xcr0);

#endif
