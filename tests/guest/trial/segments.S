/* Segment registers: loads and their faults, limits, rights. */
#include "rows.h"

	.irp	mode, M_REAL, M_P16, M_P32, M_P32R1, M_P32R2, M_P32R3, M_V86, M_C32, M_C32R3, M_L64, M_L64R3
	row	\mode, "nothing at all (mode \mode)"
	runs
	done
	.endr

	/* ---- loads (SDM vol. 3, 5.4, 5.6, 5.7) ---- */
	.macro	loads mode, what, reg, sel
	row	\mode, "\reg: \what"
	movw	$\sel, %ax
	movw	%ax, %\reg
	runs
	want	got_\reg, \sel
	done
	.endm
	.macro	load_bad mode, what, reg, sel, vec, err
	row	\mode, "\reg: \what"
	movw	$\sel, %ax
1:	movw	%ax, %\reg
	faults	\vec, \err
	done
	.endm
	.irp	reg, ds, es, fs, gs
	loads	M_P32, "flat data", \reg, S_D32
	loads	M_P32, "null", \reg, 0
	loads	M_P32, "null with RPL", \reg, 3
	loads	M_P32, "read-only", \reg, S_RO
	loads	M_P32, "readable code", \reg, S_XR
	loads	M_P32, "conforming code", \reg, S_CONF
	loads	M_P32, "from the LDT", \reg, S_LD32
	loads	M_P32, "DPL 3 from ring 0", \reg, S_D32R3
	load_bad M_P32, "past the GDT", \reg, S_BEYOND, 13, S_BEYOND
	load_bad M_P32, "past the LDT", \reg, S_LBEYOND, 13, S_LBEYOND
	load_bad M_P32, "execute-only", \reg, S_XO, 13, S_XO
	load_bad M_P32, "a system segment", \reg, S_LDT, 13, S_LDT
	load_bad M_P32, "a call gate", \reg, S_G32, 13, S_G32
	load_bad M_P32, "not present", \reg, S_NPD, 11, S_NPD
	load_bad M_P32, "RPL 3 of DPL 0", \reg, S_D32|3, 13, S_D32
	load_bad M_P32R3, "DPL 0 from ring 3", \reg, S_D32, 13, S_D32
	load_bad M_P32R3, "DPL 0 code from ring 3", \reg, S_XR|3, 13, S_XR
	loads	M_P32R3, "conforming code of DPL 0 from ring 3", \reg, S_CONF|3
	load_bad M_P32R1, "DPL 0 from ring 1", \reg, S_D32|1, 13, S_D32
	loads	M_L64R3, "null in 64-bit mode", \reg, 0
	load_bad M_L64, "not present in 64-bit mode", \reg, S_NPD, 11, S_NPD
	load_bad M_L64R3, "DPL 0 in 64-bit mode", \reg, S_D32|3, 13, S_D32
	load_bad M_C32R3, "DPL 0 in compatibility mode", \reg, S_D32|3, 13, S_D32
	.endr
	load_bad M_P32, "null", ss, 0, 13, 0
	load_bad M_P32, "past the GDT", ss, S_BEYOND, 13, S_BEYOND
	load_bad M_P32, "read-only", ss, S_RO, 13, S_RO
	load_bad M_P32, "code", ss, S_XR, 13, S_XR
	load_bad M_P32, "a system segment", ss, S_LDT, 13, S_LDT
	load_bad M_P32, "not present", ss, S_NPD, 12, S_NPD
	load_bad M_P32, "RPL 3 in ring 0", ss, S_D32|3, 13, S_D32
	load_bad M_P32, "DPL 3 in ring 0", ss, S_D32R3&~3, 13, S_D32R3&~3
	load_bad M_P32R3, "DPL 0 in ring 3", ss, S_D32|3, 13, S_D32
	load_bad M_P32R3, "null in ring 3", ss, 3, 13, 0
	loads	M_P32R3, "its own", ss, S_D32R3
	loads	M_P32R1, "ring 1", ss, S_D32R1
	loads	M_L64, "null in 64-bit ring 0", ss, 0
	load_bad M_L64, "null with RPL 3 in 64-bit ring 0", ss, 3, 13, 0
	load_bad M_L64R3, "null in 64-bit ring 3", ss, 3, 13, 0
	load_bad M_C32, "null in compatibility mode", ss, 0, 13, 0
	row	M_P32, "MOV to CS"
1:	.byte	0x8e, 0xc8
	faults	6
	done
	row	M_P32, "MOV to segment register 6"
1:	.byte	0x8e, 0xf0
	faults	6
	done
	row	M_P32, "a load sets the accessed bit"
	poke	GDT+S_LIM+5, 0x92, 1
	movl	$S_LIM, %eax
	movl	%eax, %es
	runs
	want	GDT+S_LIM+5, 0x93, 0xff
	done
	row	M_P32, "a load that faults does not"
	poke	GDT+S_XO+5, 0x98, 1
	movl	$S_XO, %eax
1:	movl	%eax, %es
	faults	13, S_XO
	want	GDT+S_XO+5, 0x98, 0xff
	done
	row	M_P32, "POP DS: not present, the stack stays"
	pushl	$S_NPD
1:	popl	%ds
	faults	11, S_NPD
	want	got_sp, STACKS+STACK_SIZE-4
	want	got_ds, S_D32
	done
	row	M_P32, "LES loads both"
	poke	DATA, 0x11223344, 4
	poke	DATA+4, S_LIM, 2
	lesl	DATA, %ebx
	runs
	want	got_bx, 0x11223344
	want	got_es, S_LIM
	done
	row	M_P32, "LDS: bad selector, nothing is loaded"
	poke	DATA, 0x11223344, 4
	poke	DATA+4, S_XO, 2
1:	ldsl	DATA, %ebx
	faults	13, S_XO
	want	got_bx, 0
	done
	row	M_P32, "LSS"
	poke	DATA, STACKS+0x800, 4
	poke	DATA+4, S_D32, 2
	lssl	DATA, %esp
	runs
	want	got_sp, STACKS+0x800
	done
	row	M_P32, "LSS: not present"
	poke	DATA+4, S_NPD, 2
1:	lssl	DATA, %esp
	faults	12, S_NPD
	want	got_sp, STACKS+STACK_SIZE
	done

	/* ---- limits and rights ---- */
	.macro	access what, sel, vec, insn:vararg
	row	M_P32, "\what"
	movl	$\sel, %eax
	movl	%eax, %es
1:	\insn
	.if \vec
	faults	\vec, 0
	.else
	runs
	.endif
	done
	.endm
	access	"limit: last byte", S_LIM, 0, movb %al, %es:0xff
	access	"limit: past it", S_LIM, 13, movb %al, %es:0x100
	access	"limit: four bytes at the end", S_LIM, 0, movl %eax, %es:0xfc
	access	"limit: four bytes across it", S_LIM, 13, movl %eax, %es:0xfd
	access	"limit: offsets wrap", S_LIM, 13, movl %eax, %es:0xffffffff
	access	"limit: a read too", S_LIM, 13, movl %es:0xfd, %eax
	access	"limit: read-modify-write", S_LIM, 13, incl %es:0xfd
	access	"limit: sixteen bytes", S_LIM, 13, movups %es:0xf1, %xmm0
	access	"expand-down: above the limit", S_DOWN, 0, movb %al, %es:0x1000
	access	"expand-down: at the limit", S_DOWN, 13, movb %al, %es:0xfff
	access	"expand-down: across the limit", S_DOWN, 13, movl %eax, %es:0xffe
	access	"expand-down: the top wraps", S_DOWN, 13, movl %eax, %es:0xfffffffe
	access	"expand-down, 16-bit: above the limit", S_DOWN16, 0, movb %al, %es:0x1000
	access	"expand-down, 16-bit: top", S_DOWN16, 0, movb %al, %es:0xffff
	access	"expand-down, 16-bit: above the top", S_DOWN16, 13, movb %al, %es:0x10000
	access	"expand-down, 16-bit: across the top", S_DOWN16, 13, movw %ax, %es:0xffff
	access	"rights: write to read-only", S_RO, 13, movb %al, %es:0
	access	"rights: read of read-only", S_RO, 0, movb %es:0, %al
	access	"rights: write to code", S_XR, 13, movb %al, %es:0
	access	"rights: read of code", S_XR, 0, movb %es:0, %al
	access	"rights: null", 0, 13, movb %es:0, %al
	access	"rights: null, string", 0, 13, stosb
	access	"rights: LEA needs none", 0, 0, leal %es:0, %eax
	row	M_P32, "execute-only code: no reads through CS"
	movl	$CODE, %ebx
	ljmp	$S_LC32, $CODE+2f-9902b
2:	movl	%cs:(%ebx), %eax
	movb	$0x98, LDT+8+5
	ljmp	$S_LC32, $CODE+3f-9902b
3:
1:	movl	%cs:(%ebx), %eax
	faults	13, 0
	done
	row	M_P32, "writes through CS"
1:	movl	%eax, %cs:DATA
	faults	13, 0
	done
	row	M_P32, "SS: past its limit is #SS"
	movl	$S_SSLIM, %eax
	movl	%eax, %ss
	movl	$0xd00, %esp
	movl	$0xf0d, %ebp
1:	movl	(%ebp), %eax
	faults	12, 0
	done
	row	M_P32, "SS: POP past its limit"
	movl	$S_SSLIM, %eax
	movl	%eax, %ss
	poke	IDT+8*12, 0x0000850000000000|(S_TB<<16)
	movl	$0xf0c, %esp
	popl	%eax
	popl	%eax
	lands	6, LANDING-CODE
	want	got_tr, S_TB
	want	SP_B-4, 0, 0xffffffff
	want	TSS_A+0x20, CODE+13, 0xffffffff
	want	TSS_A+0x38, 0xf10, 0xffffffff
	done
	row	M_P32R3, "stack past a limit in ring 3"
	poke	GDT+(S_D32R3&~3), 0x00c3, 2
	poke	GDT+(S_D32R3&~3)+6, 0x40, 1
	movl	$S_D32R3, %eax
	movl	%eax, %ss
	movl	$0x40, %esp
	pushl	%eax
	movl	$0xc8, %esp
1:	pushl	%eax
	faults	12, 0
	want	got_sp, 0xc8
	done
	row	M_P32, "CS: falling off its end"
	poke	GDT+S_CLIM, 0x0b, 2
	ljmp	$S_CLIM, $2f-9902b
2:	nop
	nop
	nop
	nop
	nop
1:	nop
	faults	13, 0
	want	got_cs, S_CLIM
	done
	row	M_P32, "CS: a jump past its end"
	ljmp	$S_CLIM, $2f-9902b
2:
1:	jmp	.+0x300
	faults	13, 0
	want	got_cs, S_CLIM
	done
	row	M_P32, "CS: a call past its end pushes nothing"
	ljmp	$S_CLIM, $2f-9902b
2:	movl	$0x300, %eax
1:	call	*%eax
	faults	13, 0
	want	got_sp, STACKS+STACK_SIZE
	done
	row	M_P32, "CS: an instruction across its end"
	poke	GDT+S_CLIM, 0x0b, 2
	ljmp	$S_CLIM, $2f-9902b
2:	nop
	nop
	nop
1:	movw	$1, %ax
	faults	13, 0
	done
	row	M_P32, "CS: a jump not taken past its end"
	ljmp	$S_CLIM, $2f-9902b
2:	.byte	0x0f, 0x84
	.long	0x300
	runs
	done
	row	M_P32, "CS: its limit changes, the code stays"
	poke	GDT+S_CLIM, 0x1f, 2
	xorl	%ecx, %ecx
2:	incl	%ecx
	ljmp	$S_CLIM, $3f-9902b
3:	movb	$0x13, GDT+S_CLIM
	nop
	nop
	nop
1:	jmp	2b
	faults	13, 0
	want	got_cx, 2
	done
	row	M_REAL, "real: running past ffff"
	poke	CODE+0xfffe, 0x9090, 2
	.byte	0xe9
	.word	0xfffe-3
	lands	13, 0
	done
	row	M_REAL, "real: an instruction across ffff"
	poke	CODE+0xfffe, 0xb8, 1
	.byte	0xe9
	.word	0xfffe-3
	lands	13, 0xfffe
	done
	row	M_REAL, "real: a jump of 32 bits past ffff"
	poke	CODE+0x10, 0x90, 1
1:	.byte	0x66, 0xe9
	.long	0x12345
	faults	13
	done
	row	M_REAL, "real: a jump wraps"
	poke	CODE+0x8000, 0x800de9, 3
	.byte	0xe9
	.word	0x8000-3
	.skip	13
	runs
	done
	row	M_P16, "16-bit stack wraps"
	movl	$2, %esp
	pushw	$0x1234
	pushw	$0x5678
	movl	%esp, %ebx
	movl	$STACK_SIZE, %esp
	runs
	want	got_bx, 0xfffe
	want	STACKS, 0x1234, 0xffff
	done
	row	M_REAL, "real: word at ffff"
1:	movw	%ds:0xffff, %ax
	faults	13
	done
	row	M_REAL, "real: word at ffff of the stack"
	movw	$0xffff, %bp
1:	movw	(%bp), %ax
	faults	12
	done
	row	M_REAL, "real: byte at ffff"
	movb	%ds:0xffff, %al
	runs
	done
	row	M_REAL, "real: 32-bit address past 64 KiB"
	movl	$0x10000, %ebx
1:	addr32 movb (%ebx), %al
	faults	13
	done
	row	M_REAL, "real: a limit from protected mode stays"
	cli
	lgdtl	%cs:3f-9902b
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	movw	$S_D32, %bx
	movw	%bx, %es
	andb	$0xfe, %al
	movl	%eax, %cr0
	xorw	%bx, %bx
	movw	%bx, %es
	movl	$DATA+0x10, %ebx
	addr32 movb %es:(%ebx), %al
	jmp	2f
3:	.word	0x1ff
	.long	GDT
2:
	runs
	done
	row	M_V86, "V86: word at ffff"
1:	movw	%ds:0xffff, %ax
	faults	13, 0
	done
	row	M_V86, "V86: any selector may be loaded"
	movw	$0xffff, %ax
	movw	%ax, %gs
	runs
	want	got_vgs, 0xffff
	done
	row	M_L64, "64-bit: bases but those of FS and GS are 0"
	poke	DATA+0x10, 0x77, 1
	poke	DATA, 0x55, 1
	movl	$S_LIM, %eax
	movl	%eax, %es
	movl	%eax, %fs
	movb	%es:DATA, %al
	movb	%fs:0x10, %ah
	runs
	want	got_ax, 0x7755, 0xffff
	done
	row	M_L64, "64-bit: limits do not count"
	movl	$S_LIM, %eax
	movl	%eax, %fs
	movb	%fs:0x1000, %al
	runs
	done
	row	M_L64, "64-bit: not canonical is #GP"
	movabsq	$0x800000000000, %rbx
1:	movb	(%rbx), %al
	faults	13, 0
	done
	row	M_L64, "64-bit: not canonical by RSP is #SS"
	movabsq	$0x800000000000, %rbp
1:	movb	(%rbp), %al
	faults	12, 0
	done
	row	M_L64R3, "64-bit: a push that is not canonical"
	movabsq	$0x800000000004, %rsp
1:	pushq	%rax
	faults	12, 0
	done

	/* ---- LAR, LSL, VERR, VERW, ARPL ---- */
	.macro	looks mode, what, insn, sel, zf, value
	row	\mode, "\insn: \what"
	movl	$\sel, %eax
	movl	$0x11111111, %ebx
	\insn	%eax, %ebx
	runs
	want	got_fl, \zf<<6, 0x40
	want	got_bx, \value
	done
	.endm
	looks	M_P32, "data", larl, S_D32, 1, 0x00c09300
	looks	M_P32, "null", larl, 0, 0, 0x11111111
	looks	M_P32, "past the GDT", larl, S_BEYOND, 0, 0x11111111
	looks	M_P32, "busy TSS", larl, S_TSS, 1, 0x00008b00
	looks	M_P32, "call gate", larl, S_G32, 1, 0x0000ec00
	looks	M_P32, "task gate", larl, S_TGATE, 1, 0x0000e500
	looks	M_P32, "not present counts", larl, S_NPD, 1, 0x00c01300
	looks	M_P32R3, "DPL 0 from ring 3", larl, S_D32, 0, 0x11111111
	looks	M_P32R3, "conforming from ring 3", larl, S_CONF, 1, 0x00c09f00
	looks	M_C32, "task gate in long mode", larl, S_TGATE, 0, 0x11111111
	looks	M_C32, "16-bit TSS in long mode", larl, S_TC, 0, 0x11111111
	looks	M_L64, "call gate in long mode", larl, S_G64, 1, 0x0000ec00
	looks	M_P32, "bytes", lsll, S_LIM, 1, 0xff
	looks	M_P32, "pages", lsll, S_D32, 1, 0xffffffff
	looks	M_P32, "call gate", lsll, S_G32, 0, 0x11111111
	looks	M_P32, "16-bit TSS", lsll, S_TC, 1, 0x2b
	looks	M_C32, "16-bit TSS in long mode", lsll, S_TC, 0, 0x11111111
	looks	M_P32R3, "RPL above DPL", lsll, S_D32R2, 0, 0x11111111
	.macro	verifies mode, what, insn, sel, zf
	row	\mode, "\insn: \what"
	movl	$\sel, %eax
	\insn	%ax
	runs
	want	got_fl, \zf<<6, 0x40
	done
	.endm
	verifies M_P32, "data", verr, S_D32, 1
	verifies M_P32, "data", verw, S_D32, 1
	verifies M_P32, "read-only", verw, S_RO, 0
	verifies M_P32, "read-only", verr, S_RO, 1
	verifies M_P32, "code", verw, S_XR, 0
	verifies M_P32, "execute-only", verr, S_XO, 0
	verifies M_P32, "system segment", verr, S_LDT, 0
	verifies M_P32, "null", verr, 0, 0
	verifies M_P32R3, "DPL 0", verr, S_D32, 0
	verifies M_P32R3, "conforming", verr, S_CONF, 1
	verifies M_P32R3, "own", verw, S_D32R3, 1
	row	M_REAL, "real: VERR"
1:	verr	%ax
	faults	6
	done
	row	M_V86, "V86: LAR"
1:	larw	%ax, %ax
	faults	6
	done
	row	M_P32, "ARPL raises"
	movl	$0x10, %eax
	movl	$3, %ebx
	arpl	%bx, %ax
	runs
	want	got_ax, 0x13
	want	got_fl, 0x40, 0x40
	done
	row	M_P32, "ARPL leaves"
	movl	$0x13, %eax
	movl	$1, %ebx
	arpl	%bx, %ax
	runs
	want	got_ax, 0x13
	want	got_fl, 0, 0x40
	done
