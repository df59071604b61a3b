/*
 * Addresses that must not be mixed are types that cannot be mixed.
 */
#ifndef VMM_TYPES_H
#define VMM_TYPES_H

#include <stdint.h>

typedef struct {
	uint64_t v;
} gpa_t; /* guest-physical */

typedef struct {
	uint64_t v;
} gva_t; /* guest-virtual (linear) */

#define GPA(x) ((gpa_t){ (x) })
#define GVA(x) ((gva_t){ (x) })

static inline gpa_t
gpa_add(gpa_t a, uint64_t n)
{
	return GPA(a.v + n);
}

#define PAGE_SIZE_4K UINT64_C(4096)

#endif
