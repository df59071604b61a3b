/*
 * Macros for tables of cases.
 *
 *	row	M_P32, "what", fl=0
 *	poke	ADDRESS, VALUE, SIZE	memory before it runs
 *	entry	ADDRESS, LABEL		the same: address of a label in the row
 *	...instructions...
 *	1: faulting instruction		(for a trap: the one after)
 *	faults	VECTOR, ERROR		or: runs
 *	want	got_ax, VALUE, MASK	any memory, 8 bytes, after it ran
 *	done
 *
 * Only relative branches: the code is copied to CODE.
 */
#include "trial.h"

.macro	row mode, name, fl=0
	.pushsection .rodata
9901:	.asciz	"\name"
	.popsection
	.pushsection rows, "a"
	.quad	9901b, \mode, \fl, 9902f, 9903f, 9904f, 9905f, 9906f, 9907f
	.popsection
	.pushsection .pokes, "a"
9904:
	.popsection
	.if (\mode) == M_REAL || (\mode) == M_P16 || (\mode) == M_V86
	.code16
	.elseif (\mode) == M_L64 || (\mode) == M_L64R3
	.code64
	.else
	.code32
	.endif
9902:
	.endm

	.macro	poke at, value, size=8
	.pushsection .pokes
	.quad	\at, \value, \size
	.popsection
	.endm

	.macro	entry at, label, size=4
	.pushsection .pokes
	.quad	\at, CODE + (\label-9902b), \size
	.popsection
	.endm

	.macro	offset at, label, size=4
	.pushsection .pokes
	.quad	\at, \label-9902b, \size
	.popsection
	.endm

	.macro	wants
9903:
	.pushsection .pokes
9905:
	.popsection
	.pushsection .wants, "a"
9906:
	.popsection
	.endm

	.macro	want at, value, mask=0xffffffffffffffff
	.pushsection .rodata
9909:	.asciz	"\at"
	.popsection
	.pushsection .wants
	.quad	9909b, \at, \value, \mask
	.popsection
	.endm

	.macro	faults vec, err=NO_ERR
	ud2
	wants
	want	got_vec, \vec
	want	got_err, \err
	want	got_ip, 1b-9902b
	.endm

	/* anywhere: not at a label of the row */
	.macro	lands vec, ip, err=NO_ERR
	ud2
	wants
	want	got_vec, \vec
	want	got_err, \err
	want	got_ip, \ip
	.endm

	.macro	runs
1:
	faults	6
	.endm

	.macro	done
	.pushsection .wants
9907:
	.popsection
	.endm

	/* in all tables */
	.text
