/* Segment registers: loads and their faults, limits, rights. */
#include "rows.h"

	row	M_P32, "P32: nothing at all"
	runs
	want	got_cs, S_C32
	want	got_sp, STACKS + STACK_SIZE
	done
	row	M_P32R3, "P32 ring 3: nothing at all"
	runs
	want	got_cs, S_C32R3
	want	got_sp, STACKS + 0x3000 + STACK_SIZE
	done
	row	M_P16, "P16: nothing at all"
	runs
	done
	row	M_REAL, "real: nothing at all"
	runs
	done
	row	M_V86, "V86: nothing at all"
	runs
	done
	row	M_C32, "C32: nothing at all"
	runs
	done
	row	M_C32R3, "C32 ring 3: nothing at all"
	runs
	done
	row	M_L64, "L64: nothing at all"
	runs
	done
	row	M_L64R3, "L64 ring 3: nothing at all"
	runs
	want	got_cs, S_C64R3
	done
