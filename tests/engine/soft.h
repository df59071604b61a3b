/*
 * One instruction on the software engine, in the same place and state as
 * natively: CPL 3, 64-bit mode, the fixed regions mapped to guest RAM.
 */
#ifndef ENGINE_SOFT_H
#define ENGINE_SOFT_H

#include "state.h"

int soft_test_init(void); /* 0 or -errno */
uint8_t *soft_test_code(void); /* guest RAM behind CODE_ADDR */
uint8_t *soft_test_data(void);
/* mode: 4 or 8 */
void soft_test_run(struct regs *r, unsigned mode, bool fp, struct fault *ret);

#endif
