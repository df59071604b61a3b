/*
 * One instruction on the CPU itself, at CPL 3 in 64-bit mode or in the 32-bit
 * compatibility mode of a 64-bit process.
 */
#ifndef ENGINE_NATIVE_H
#define ENGINE_NATIVE_H

#include "state.h"

/* Map the fixed regions and take over the fault signals. 0 or -errno. */
int native_init(void);
extern uint8_t *const native_code; /* CODE_ADDR */
extern uint8_t *const native_data; /* DATA_ADDR; last page is read-only */
uint8_t *native_data_writable(void); /* the same memory */

/*
 * Run the instruction of len bytes that lies at r->rip in native_code and what
 * its signals say. fp: load and store FP state too. branch: RIP after it is
 * found by a trap, else the next instruction is taken for granted. mode: 4 or
 * 8. r becomes the state after it.
 */
void native_run(struct regs *r, unsigned len, unsigned mode, bool fp,
    bool branch, struct fault *ret);

#endif
