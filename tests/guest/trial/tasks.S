/* Task state: switches by JMP, CALL, events and IRET; ports; inner stacks. */
#include "rows.h"

#define TB_BUSY (GDT + S_TB + 5)
#define TA_BUSY (GDT + S_TSS + 5)

	/* In the new task, whose segments are not all there: another handles it. */
	.macro	by_task_d vec
	poke	IDT+8*\vec, 0x0000850000000000|(S_TD<<16)
	.endm
	.macro	in_task_d err, ip
	lands	6, LANDING-CODE
	want	got_tr, S_TD
	want	SP_D-4, \err, 0xffffffff
	want	TSS_D, S_TB, 0xffff
	want	TSS_B+0x20, \ip, 0xffffffff
	.endm

	/* ---- the ways in (SDM vol. 3, 8.3) ---- */
	row	M_P32, "JMP to a TSS"
	movl	$0x12345678, %ebx
	ljmp	$S_TB, $0
1:
	lands	6, LANDING-CODE
	want	got_tr, S_TB
	want	got_cs, S_C32
	want	got_sp, SP_B
	want	got_cr0, 8, 8
	want	got_fl, 2, 0x4000
	want	got_bx, 0
	want	TB_BUSY, 0x8b, 0xff
	want	TA_BUSY, 0x89, 0xff
	want	TSS_B, 0, 0xffff
	want	TSS_A+0x34, 0x12345678, 0xffffffff
	want	TSS_A+0x4c, S_C32, 0xffff
	want	TSS_A+0x38, STACKS+STACK_SIZE, 0xffffffff
	want	TSS_A+0x20, CODE+12, 0xffffffff
	done

	row	M_P32, "CALL to a TSS: nested"
	lcall	$S_TB, $0
1:
	lands	6, LANDING-CODE
	want	got_tr, S_TB
	want	got_fl, 0x4000, 0x4000
	want	TB_BUSY, 0x8b, 0xff
	want	TA_BUSY, 0x8b, 0xff
	want	TSS_B, S_TSS, 0xffff
	want	TSS_A+0x20, CODE+7, 0xffffffff
	done

	row	M_P32R3, "CALL through a task gate from ring 3"
	lcall	$S_TGATE, $0
1:
	lands	6, LANDING-CODE
	want	got_tr, S_TB
	want	got_cs, S_C32
	want	got_fl, 0x4000, 0x4000
	want	TSS_A+0x4c, S_C32R3, 0xffff
	want	TSS_A+0x50, S_D32R3, 0xffff
	done

	row	M_P32R3, "JMP through a task gate from ring 3"
	ljmp	$S_TGATE, $0
1:
	lands	6, LANDING-CODE
	want	got_tr, S_TB
	want	TSS_B, 0, 0xffff
	want	TA_BUSY, 0x89, 0xff
	done

	row	M_P32R3, "JMP to a TSS of DPL 0 from ring 3"
1:	ljmp	$S_TB|3, $0
	faults	13, S_TB
	done
	row	M_P32, "JMP to a TSS with RPL above its DPL"
1:	ljmp	$S_TB|3, $0
	faults	13, S_TB
	done
	row	M_P32, "JMP to the busy TSS"
1:	ljmp	$S_TSS, $0
	faults	13, S_TSS
	done
	row	M_P32, "JMP to a TSS in the LDT"
1:	ljmp	$S_LTSS, $0
	faults	13, S_LTSS
	done
	row	M_P32, "CALL to a TSS that is not present"
1:	lcall	$S_TNP, $0
	faults	11, S_TNP
	done
	row	M_P32, "CALL to a TSS that is too short"
1:	lcall	$S_TSHORT, $0
	faults	10, S_TSHORT
	done
	row	M_P32, "task gate to a busy TSS"
	poke	GDT+S_TB+5, 0x8b, 1
1:	lcall	$S_TGATE, $0
	faults	13, S_TB
	done
	row	M_P32, "task gate that is not present"
	poke	GDT+S_TGATE+5, 0x65, 1
1:	lcall	$S_TGATE, $0
	faults	11, S_TGATE
	done
	row	M_P32R3, "task gate of DPL 0 from ring 3"
	poke	GDT+S_TGATE+5, 0x85, 1
1:	lcall	$S_TGATE, $0
	faults	13, S_TGATE
	done
	row	M_P32, "task gate to a selector in the LDT"
	poke	GDT+S_TGATE+2, S_LTSS, 2
1:	lcall	$S_TGATE, $0
	faults	13, S_LTSS
	done
	row	M_P32, "task gate to no selector"
	poke	GDT+S_TGATE+2, 0, 2
1:	lcall	$S_TGATE, $0
	faults	13, 0
	done
	row	M_P32, "task gate past the GDT"
	poke	GDT+S_TGATE+2, S_BEYOND, 2
1:	lcall	$S_TGATE, $0
	faults	13, S_BEYOND
	done
	row	M_C32, "JMP to a TSS in compatibility mode"
1:	ljmp	$S_TB, $0
	faults	13, S_TB
	done
	row	M_C32, "JMP to a task gate in compatibility mode"
1:	ljmp	$S_TGATE, $0
	faults	13, S_TGATE
	done

	/* ---- events ---- */
	row	M_P32R3, "INT n through a task gate"
	int	$V_TASK
1:
	lands	6, LANDING-CODE
	want	got_tr, S_TB
	want	got_fl, 0x4000, 0x4000
	want	TSS_B, S_TSS, 0xffff
	want	TSS_A+0x20, CODE+2, 0xffffffff
	want	TSS_A+0x24, 0, 0x10000
	done
	row	M_P32R3, "#GP through a task gate: its error code on the new stack"
	poke	IDT+8*13, 0x0000850000000000|(S_TB<<16)
	movl	$S_LIM, %eax
	movl	%eax, %ds
1:
	lands	6, LANDING-CODE
	want	got_tr, S_TB
	want	got_sp, SP_B-4
	want	SP_B-4, S_LIM, 0xffffffff
	want	TSS_A+0x20, CODE+5, 0xffffffff
	want	TSS_A+0x24, 0x10000, 0x10000
	done
	row	M_P32R3, "#UD through a task gate: no error code"
	poke	IDT+8*6, 0x0000850000000000|(S_TB<<16)
	entry	TSS_B+0x20, 2f
	ud2
	nop
2:	int3
1:
	lands	3, 4
	want	got_tr, S_TB
	want	got_sp, SP_B
	done
	row	M_P32R3, "INT n to a busy TSS: error code without EXT"
	poke	GDT+S_TB+5, 0x8b, 1
1:	int	$V_TASK
	faults	13, S_TB
	done
	row	M_P32R3, "#UD to a busy TSS: error code with EXT"
	poke	GDT+S_TB+5, 0x8b, 1
	poke	IDT+8*6, 0x0000850000000000|(S_TB<<16)
1:	ud2
	faults	13, S_TB|1
	done
	row	M_P32, "#DE into a task whose SS is bad: #TS there is a double fault"
	poke	IDT, 0x0000850000000000|(S_TB<<16)
	poke	TSS_B+0x50, S_RO, 2
	by_task_d 8
	xorl	%ecx, %ecx
	divl	%ecx
	in_task_d 0, LANDING
	done
	row	M_V86, "#UD in virtual-8086 mode through a task gate"
	poke	IDT+8*6, 0x0000850000000000|(S_TB<<16)
	entry	TSS_B+0x20, 2f
	ud2
	.code32
2:	int3
	lands	3, 3
	want	got_tr, S_TB
	want	got_cs, S_C32
	want	TSS_A+0x24, 0x20000, 0x20000
	want	TSS_A+0x4c, CODE>>4, 0xffff
	done

	/* ---- back ---- */
	row	M_P32, "IRET with NT returns to the caller"
	entry	TSS_B+0x20, 2f
	movl	$77, %ebp
	lcall	$S_TB, $0
1:	ud2
2:	movl	$88, %ebp
	iretl
3:
	lands	6, 12
	want	got_tr, S_TSS
	want	got_bp, 77
	want	got_fl, 0, 0x4000
	want	TB_BUSY, 0x89, 0xff
	want	TA_BUSY, 0x8b, 0xff
	want	TSS_B+0x24, 0, 0x4000
	want	TSS_B+0x3c, 88, 0xffffffff
	want	TSS_B+0x20, CODE+20, 0xffffffff
	done
	row	M_P32R3, "ring 3 to ring 0 task and back by IRET"
	entry	TSS_B+0x20, 2f
	lcall	$S_TGATE, $0
1:	ud2
2:	iretl
	lands	6, 7
	want	got_cs, S_C32R3
	want	got_sp, STACKS+0x3000+STACK_SIZE
	want	got_tr, S_TSS
	done
	row	M_P32, "IRET with NT: the link is not busy", fl=0x4000
	poke	TSS_A, S_TB, 2
1:	iretl
	faults	10, S_TB
	done
	row	M_P32, "IRET with NT: the link is in the LDT", fl=0x4000
	poke	TSS_A, S_LTSS, 2
1:	iretl
	faults	10, S_LTSS
	done
	row	M_P32, "IRET with NT: no link", fl=0x4000
	poke	TSS_A, 0, 2
1:	iretl
	faults	10, 0
	done
	row	M_P32, "IRET with NT: the link is past the GDT", fl=0x4000
	poke	TSS_A, S_BEYOND, 2
1:	iretl
	faults	10, S_BEYOND
	done
	row	M_P32, "IRET with NT: not a TSS", fl=0x4000
	poke	TSS_A, S_D32, 2
1:	iretl
	faults	10, S_D32
	done
	row	M_P32, "IRET with NT: busy, not present", fl=0x4000
	poke	TSS_A, S_TB, 2
	poke	GDT+S_TB+5, 0x0b, 1
1:	iretl
	faults	11, S_TB
	done
	row	M_L64, "IRET with NT in long mode", fl=0x4000
1:	iretq
	faults	13, 0
	done

	/* ---- 16-bit tasks ---- */
	row	M_P32, "CALL to a 16-bit TSS"
	movl	$0x1234, %ebx
	lcall	$S_TC, $0
1:
	lands	6, LANDING-CODE
	want	got_tr, S_TC
	want	got_cs, S_C16
	want	got_ss, S_D16
	want	got_sp, SP_C, 0xffff
	want	got_fs, 0
	want	got_fl, 0x4000, 0x4000
	want	TSS_C, S_TSS, 0xffff
	want	GDT+S_TC+5, 0x83, 0xff
	done
	row	M_P32, "16-bit task and back: its registers are saved as words"
	offset	TSS_C+0x0e, 2f, 2
	lcall	$S_TC, $0
1:	ud2
	.code16
2:	movw	$0x4321, %bx
	iretw
	.code32
	lands	6, 7
	want	got_tr, S_TSS
	want	TSS_C+0x18, 0x4321, 0xffff
	want	TSS_C+0x0e, 13, 0xffff
	want	TSS_C+0x22, S_D32, 0xffff
	want	GDT+S_TC+5, 0x81, 0xff
	done
	row	M_P32, "16-bit TSS of 43 bytes"
	poke	GDT+S_TC, 0x2a, 2
1:	ljmp	$S_TC, $0
	faults	10, S_TC
	done

	/* ---- what the new task's state may not be (table 8-1) ---- */
	.macro	bad what, off, sel, vec, err
	row	M_P32, "new task: \what"
	poke	TSS_B+\off, \sel, 2
	by_task_d \vec
	ljmp	$S_TB, $0
	in_task_d \err, LANDING
	done
	.endm
	bad	"CS null", 0x4c, 0, 10, 0
	bad	"CS is data", 0x4c, S_D32, 10, S_D32
	bad	"CS not present", 0x4c, S_NPC, 11, S_NPC
	bad	"CS with DPL above RPL", 0x4c, S_C32R3&~3, 10, S_C32R3&~3
	bad	"CS past the GDT", 0x4c, S_BEYOND, 10, S_BEYOND
	bad	"SS null", 0x50, 0, 10, 0
	bad	"SS read-only", 0x50, S_RO, 10, S_RO
	bad	"SS is code", 0x50, S_XR, 10, S_XR
	bad	"SS not present", 0x50, S_NPD, 12, S_NPD
	bad	"SS of RPL 3", 0x50, S_D32|3, 10, S_D32
	bad	"SS of DPL 3", 0x50, S_D32R3&~3, 10, S_D32R3&~3
	bad	"DS execute-only", 0x54, S_XO, 10, S_XO
	bad	"DS not present", 0x54, S_NPD, 11, S_NPD
	bad	"ES is a system segment", 0x48, S_LDT, 10, S_LDT
	bad	"FS past the GDT", 0x58, S_BEYOND, 10, S_BEYOND
	bad	"GS past the LDT", 0x5c, S_LBEYOND, 10, S_LBEYOND
	bad	"LDT is data", 0x60, S_D32, 10, S_D32
	bad	"LDT in an LDT", 0x60, S_LD32, 10, S_LD32
	bad	"LDT past the GDT", 0x60, S_BEYOND, 10, S_BEYOND
	row	M_P32, "new task: LDT not present"
	poke	TSS_B+0x60, S_LDT, 2
	by_task_d 10
	movb	$0x02, GDT+S_LDT+5
	ljmp	$S_TB, $0
	in_task_d S_LDT, LANDING
	done
	row	M_P32, "new task: its segments may be in its LDT"
	poke	TSS_B+0x60, S_LDT, 2
	poke	TSS_B+0x54, S_LD32, 2
	poke	TSS_B+0x4c, S_LC32, 2
	ljmp	$S_TB, $0
	lands	6, LANDING-CODE
	want	got_ldt, S_LDT
	want	got_ds, S_LD32
	want	got_cs, S_LC32
	done
	row	M_P32, "new task: EIP past its code segment"
	poke	TSS_B+0x4c, S_CLIM, 2
	poke	TSS_B+0x20, 0x200, 4
	by_task_d 13
	ljmp	$S_TB, $0
	in_task_d 0, 0x200
	done
	row	M_P32, "new task in ring 3"
	poke	TSS_B+0x4c, S_C32R3, 2
	poke	TSS_B+0x50, S_D32R3, 2
	poke	TSS_B+0x54, S_D32R3, 2
	poke	TSS_B+0x48, 0, 2
	poke	TSS_B+0x58, 0, 2
	poke	TSS_B+0x5c, 0, 2
	ljmp	$S_TB, $0
	lands	6, LANDING-CODE
	want	got_cs, S_C32R3
	want	got_sp, SP_B
	want	got_hsp, SP0-20
	done
	row	M_P32, "new task in ring 3 with DS of ring 0"
	poke	TSS_B+0x4c, S_C32R3, 2
	poke	TSS_B+0x50, S_D32R3, 2
	poke	TSS_B+0x48, 0, 2
	poke	TSS_B+0x58, 0, 2
	poke	TSS_B+0x5c, 0, 2
	by_task_d 10
	ljmp	$S_TB, $0
	in_task_d S_D32, LANDING
	done
	row	M_P32, "new task in virtual-8086 mode"
	poke	TSS_B+0x24, 0x20002, 4
	poke	TSS_B+0x20, LANDING-CODE, 4
	poke	TSS_B+0x4c, CODE>>4, 2
	poke	TSS_B+0x50, STACKS>>4, 2
	poke	TSS_B+0x38, 0x800, 4
	poke	TSS_B+0x48, 0x1234, 2
	poke	TSS_B+0x54, 0x4000, 2
	ljmp	$S_TB, $0
	lands	6, LANDING-CODE
	want	got_fl, 0x20000, 0x20000
	want	got_ves, 0x1234
	want	got_sp, 0x800
	done

	/* ---- paging ---- */
	row	M_P32PG, "new task: its CR3"
	poke	TSS_B+0x1c, PD_B, 4
	poke	DATA, 1, 4
	poke	DATA+0x1000, 2, 4
	entry	TSS_B+0x20, 2f
	movl	DATA, %eax
	lcall	$S_TB, $0
2:	movl	DATA, %eax
	runs
	want	got_ax, 2
	done
	row	M_P32PG, "and back: the old CR3"
	poke	TSS_A+0x1c, PD_A, 4
	poke	TSS_B+0x1c, PD_B, 4
	poke	DATA, 1, 4
	poke	DATA+0x1000, 2, 4
	entry	TSS_B+0x20, 2f
	lcall	$S_TB, $0
	movl	DATA, %eax
	ud2
2:	movl	DATA, %eax
	iretl
	lands	6, 12
	want	got_ax, 1
	done
	row	M_P32PG, "a new TSS that is not in memory: #PF in the old task"
	poke	PT_A+(TSS_B>>12)*4, 0, 4
1:	ljmp	$S_TB, $0
	faults	14, 0
	want	got_cr2, TSS_B, ~0xfff
	want	got_tr, S_TSS
	want	TB_BUSY, 0x89, 0xff
	done
	row	M_P32PG, "an old TSS that is read-only: #PF in the old task"
	poke	PT_A+(TSS_A>>12)*4, TSS_A|5, 4
1:	ljmp	$S_TB, $0
	faults	14, 3
	want	got_cr2, TSS_A, ~0xfff
	want	got_tr, S_TSS
	want	TB_BUSY, 0x89, 0xff
	want	TA_BUSY, 0x8b, 0xff
	done
	row	M_P32PG, "a new TSS that is read-only: CALL has to write its link"
	poke	PT_A+(TSS_B>>12)*4, TSS_B|5, 4
1:	lcall	$S_TB, $0
	faults	14, 3
	want	got_cr2, TSS_B, ~0xfff
	want	TB_BUSY, 0x89, 0xff
	done
	row	M_P32PG, "a new TSS that is read-only: JMP does not"
	poke	TSS_B+0x1c, PD_A, 4
	poke	PT_A+(TSS_B>>12)*4, TSS_B|5, 4
	ljmp	$S_TB, $0
	lands	6, LANDING-CODE
	want	got_tr, S_TB
	done

	/* ---- TS, T, DR7 ---- */
	row	M_P32, "the T bit traps before the new task's first instruction"
	poke	TSS_B+0x64, 1, 1
	ljmp	$S_TB, $0
	lands	1, LANDING-CODE
	want	got_dr6, 0x8000, 0xe00f
	want	got_tr, S_TB
	done
	row	M_P32, "a switch clears the local breakpoints"
	movl	$0x7ff, %eax
	movl	%eax, %dr7
	ljmp	$S_TB, $0
	lands	6, LANDING-CODE
	want	got_dr7, 0x6aa
	done
	row	M_P32, "FP in the new task: #NM"
	entry	TSS_B+0x20, 1f
	ljmp	$S_TB, $0
1:	fnop
	faults	7
	want	got_tr, S_TB
	done
	row	M_P32, "TR too short to save into"
	poke	GDT+S_TSS, 0x66, 2
1:	ljmp	$S_TB, $0
	faults	10, S_TSS
	done

	/* ---- LTR, LLDT, STR ---- */
	row	M_P32, "LTR: null"
	xorl	%eax, %eax
1:	ltr	%ax
	faults	13, 0
	done
	row	M_P32, "LTR: busy"
	movl	$S_TSS, %eax
1:	ltr	%ax
	faults	13, S_TSS
	done
	row	M_P32, "LTR: in the LDT"
	movl	$S_LTSS, %eax
1:	ltr	%ax
	faults	13, S_LTSS
	done
	row	M_P32, "LTR: not present"
	movl	$S_TNP, %eax
1:	ltr	%ax
	faults	11, S_TNP
	done
	row	M_P32, "LTR: a 16-bit TSS becomes busy"
	movl	$S_TC, %eax
	ltr	%ax
	runs
	want	got_tr, S_TC
	want	GDT+S_TC+5, 0x83, 0xff
	done
	row	M_C32, "LTR: a 16-bit TSS in long mode"
	movl	$S_TC, %eax
1:	ltr	%ax
	faults	13, S_TC
	done
	row	M_L64, "LTR: base that is not canonical"
	movl	$S_TSS64, %eax
	movb	$0x89, GDT+S_TSS64+5
	movl	$0x8000, GDT+S_TSS64+8
1:	ltr	%ax
	faults	13, S_TSS64
	done
	row	M_P32R3, "LTR in ring 3"
	movl	$S_TB, %eax
1:	ltr	%ax
	faults	13, 0
	done
	row	M_V86, "LTR in virtual-8086 mode"
1:	ltr	%ax
	faults	6
	done
	row	M_P32, "LLDT: not an LDT"
	movl	$S_TB, %eax
1:	lldt	%ax
	faults	13, S_TB
	done
	row	M_P32, "LLDT: null, then its use"
	xorl	%eax, %eax
	lldt	%ax
	movl	$S_LD32, %eax
1:	movl	%eax, %es
	faults	13, S_LD32
	done
	row	M_L64, "LLDT: the second half is past the GDT"
	poke	GDT+0x1f8, 0x0000820130000010
	movl	$0x1f8, %eax
1:	lldt	%ax
	faults	13, 0x1f8
	done

	/* ---- inner stacks (RSPn) ---- */
	row	M_P32R3, "SS0 null in the TSS"
	poke	TSS_A+8, 0, 2
	poke	IDT+8*10, 0x0000850000000000|(S_TB<<16)
	int	$V_TRAP3
	lands	6, LANDING-CODE
	want	got_tr, S_TB
	want	SP_B-4, 0, 0xffffffff
	done
	row	M_P32R3, "SS0 of DPL 3 in the TSS"
	poke	TSS_A+8, S_D32R3&~3, 2
	poke	IDT+8*10, 0x0000850000000000|(S_TB<<16)
	int	$V_TRAP3
	lands	6, LANDING-CODE
	want	SP_B-4, S_D32R3&~3, 0xffffffff
	done
	row	M_P32R3, "SS0 not present"
	poke	TSS_A+8, S_NPD, 2
	poke	IDT+8*12, 0x0000850000000000|(S_TB<<16)
	int	$V_TRAP3
	lands	6, LANDING-CODE
	want	SP_B-4, S_NPD, 0xffffffff
	done
	row	M_P32R3, "SS0 bad for an exception: EXT"
	poke	TSS_A+8, S_RO, 2
	poke	IDT+8*10, 0x0000850000000000|(S_TB<<16)
	ud2
	lands	6, LANDING-CODE
	want	SP_B-4, S_RO|1, 0xffffffff
	done
	row	M_P32R3, "ESP0 outside SS0"
	poke	TSS_A+8, S_SSLIM, 2
	poke	TSS_A+4, 0x1000, 4
	poke	IDT+8*12, 0x0000850000000000|(S_TB<<16)
	int	$V_TRAP3
	lands	6, LANDING-CODE
	want	SP_B-4, S_SSLIM, 0xffffffff
	done
	/* ---- ports ---- */
	row	M_P32R3, "IN: port allowed by the bitmap"
	inb	$0x80, %al
	runs
	done
	row	M_P32R3, "IN: port not allowed"
1:	inb	$0x81, %al
	faults	13, 0
	done
	row	M_P32R3, "IN: wide, all bits allowed"
	inl	$0x84, %eax
	runs
	done
	row	M_P32R3, "IN: wide, across the end of what is allowed"
1:	inl	$0x85, %eax
	faults	13, 0
	done
	row	M_P32R3, "OUT: IOPL 3", fl=0x3000
	outb	%al, $0x80
	runs
	done
	row	M_P32R3, "OUT: past the bitmap's end"
	movl	$0x2000, %edx
1:	outb	%al, %dx
	faults	13, 0
	done
	row	M_P32R3, "OUT: bitmap past the TSS"
	poke	TSS_A+0x66, 0x400, 2
1:	outb	%al, $0x80
	faults	13, 0
	done
	row	M_V86, "IN in virtual-8086 mode: the bitmap counts with IOPL 3", fl=0x3000
1:	inb	$0x81, %al
	faults	13, 0
	done
	row	M_V86, "IN in virtual-8086 mode: allowed"
	inb	$0x80, %al
	runs
	done
	row	M_L64R3, "IN in 64-bit mode: allowed"
	inb	$0x80, %al
	runs
	done
	row	M_L64R3, "OUTS in 64-bit mode: not allowed"
	movl	$0x81, %edx
	movl	$DATA, %esi
1:	outsb
	faults	13, 0
	done
