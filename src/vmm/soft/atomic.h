/*
 * Guest atomics as the host's own instructions, on guest memory that need not
 * be aligned: the compiler's atomics would not use LOCK there.
 */
#ifndef VMM_SOFT_ATOMIC_H
#define VMM_SOFT_ATOMIC_H

#include "vmm/soft/cpu.h"

/* clang-format off */
#define SOFT_ATOMIC_SIZES(insn, ...)                                       \
	switch (size) {                                                    \
	case 1:                                                            \
		__asm__ volatile(insn "b %b" __VA_ARGS__);                    \
		break;                                                     \
	case 2:                                                            \
		__asm__ volatile(insn "w %w" __VA_ARGS__);                    \
		break;                                                     \
	case 4:                                                            \
		__asm__ volatile(insn "l %k" __VA_ARGS__);                    \
		break;                                                     \
	default:                                                           \
		__asm__ volatile(insn "q %q" __VA_ARGS__);                    \
		break;                                                     \
	}
/* clang-format on */

/* Exchange; returns what was there. size: 1, 2, 4, 8. */
static inline uint64_t
soft_xchg(void *p, unsigned size, uint64_t v)
{
	SOFT_ATOMIC_SIZES("xchg", "0, (%1)" : "+r"(v) : "r"(p) : "memory")
	return v;
}

/* Add; returns what was there. */
static inline uint64_t
soft_xadd(void *p, unsigned size, uint64_t v)
{
	SOFT_ATOMIC_SIZES("lock xadd", "0, (%1)"
			  : "+r"(v)
			  : "r"(p)
			  : "memory", "cc")
	return v;
}

/* Store v if *expect is there; *expect becomes what was there. */
static inline bool
soft_cmpxchg(void *p, unsigned size, uint64_t *expect, uint64_t v)
{
	uint64_t acc = *expect;
	bool ok = false;

	SOFT_ATOMIC_SIZES("lock cmpxchg", "2, (%3)"
			  : "+a"(acc), "=@ccz"(ok)
			  : "r"(v), "r"(p)
			  : "memory")
	*expect = acc;
	return ok;
}

#undef SOFT_ATOMIC_SIZES
#endif
