/*
 * A vCPU's FP/SIMD thunks and what is kept beside cpu->xsave; private to the
 * FP files.
 */
#ifndef VMM_SOFT_FPU_CACHE_H
#define VMM_SOFT_FPU_CACHE_H

#include "vmm/soft/codemem.h"
#include "vmm/soft/fpu.h"

#define SOFT_FP_THUNKS 8192
#define SOFT_FP_HASH_BITS 12

struct soft_fp {
	struct soft_codemem code;
	const struct soft_codemem *chain; /* has such code too; or NULL */
	uint32_t used; /* bytes of it */
	uint32_t nthunks;
	uint32_t serial;
	uint32_t host_mxcsr; /* while the guest's is live */
	uint8_t bounce[64] __attribute__((aligned(64)));
	uint8_t image[512] __attribute__((aligned(64))); /* FXSAVE */
	uint16_t hash[1 << SOFT_FP_HASH_BITS];
	struct soft_fp_thunk thunk[SOFT_FP_THUNKS];
};

#endif
