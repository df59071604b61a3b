/*
 * What both executors of the differential tests take and give: registers, FP
 * state, one fault. Memory is at fixed low addresses that any address size can
 * reach, natively and in the guest alike.
 */
#ifndef ENGINE_STATE_H
#define ENGINE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096u
#define CTX_ADDR 0x20350000 /* native only */
#define STUB_ADDR UINT64_C(0x20360000) /* native only */
#define OWN_ADDR UINT64_C(0x550000000000) /* Linux puts programs above */
#define CODE_ADDR UINT64_C(0x21000000) /* two pages, executable */
#define CODE_SIZE (2 * PAGE)
#define DATA_ADDR UINT64_C(0x22000000) /* two pages, then a read-only one */
#define DATA_RW (2 * PAGE)
#define DATA_SIZE (3 * PAGE)
#define GS_BASE UINT64_C(0x1234000)

/* Standard XSAVE format: legacy region, header, upper halves of YMM */
#define XSAVE_SIZE 832
#define XS_FCW 0
#define XS_FSW 2
#define XS_FTW 4
#define XS_FOP 6
#define XS_MXCSR 24
#define XS_MXCSR_MASK 28
#define XS_ST 32
#define XS_XMM 160
#define XS_FREE 416
#define XS_HEADER 512
#define XS_YMMH 576

struct regs {
	uint64_t gpr[16];
	uint64_t rip;
	uint64_t rflags;
	uint8_t xsave[XSAVE_SIZE] __attribute__((aligned(64)));
};

struct fault {
	int vector; /* -1: none */
	uint64_t error;
	uint64_t cr2; /* for vector 14 */
};

#endif
