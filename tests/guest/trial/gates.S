/* Call gates, interrupt and trap gates, far transfers, IRET, SYSENTER. */
#include "rows.h"

#define TOP (STACKS+STACK_SIZE)
#define TOP3 (STACKS+0x3000+STACK_SIZE)
#define TASK_GATE (0x0000850000000000|(S_TB<<16))
#define C32R3 (S_C32R3&~3)
#define D32R3 (S_D32R3&~3)

	/* ---- call gates (SDM vol. 3, 5.8.3 and on) ---- */
	row	M_P32, "call gate: the same level"
	lcall	$S_G32, $0
1:
	lands	6, LANDING-CODE
	want	got_cs, S_C32
	want	got_sp, TOP-8
	want	TOP-4, S_C32, 0xffff
	want	TOP-8, CODE+7, 0xffffffff
	done
	row	M_P32R3, "call gate: to an inner level"
	lcall	$S_G32, $0
	lands	6, LANDING-CODE
	want	got_cs, S_C32
	want	got_ss, S_D32
	want	got_sp, SP0-16
	want	SP0-4, S_D32R3, 0xffff
	want	SP0-8, TOP3, 0xffffffff
	want	SP0-12, S_C32R3, 0xffff
	want	SP0-16, CODE+7, 0xffffffff
	done
	row	M_P32R3, "call gate: parameters"
	pushl	$0x11
	pushl	$0x22
	lcall	$S_G32P, $0
	lands	6, LANDING-CODE
	want	got_sp, SP0-24
	want	SP0-8, TOP3-8, 0xffffffff
	want	SP0-12, 0x11, 0xffffffff
	want	SP0-16, 0x22, 0xffffffff
	want	SP0-20, S_C32R3, 0xffff
	done
	row	M_P32R3, "call gate: 16-bit, parameters"
	pushl	$0x22221111
	lcall	$S_G16, $0
	lands	6, LANDING-CODE
	want	got_cs, S_C16
	want	got_sp, SP0-12
	want	SP0-2, S_D32R3, 0xffff
	want	SP0-4, TOP3-4, 0xffff
	want	SP0-8, 0x22221111, 0xffffffff
	want	SP0-10, S_C32R3, 0xffff
	want	SP0-12, 12, 0xffff
	done
	row	M_P32R3, "call gate: to ring 1"
	lcall	$S_GR1, $0
	lands	6, LANDING-CODE
	want	got_cs, S_C32R1
	want	got_ss, S_D32R1
	want	got_sp, SP1-16
	done
	row	M_P32R3, "call gate: and back by RETF, dropping parameters"
	poke	LANDING, 0x0008ca, 3
	pushl	$0x11
	pushl	$0x22
	lcall	$S_G32P, $0
	runs
	want	got_cs, S_C32R3
	want	got_sp, TOP3
	done
	row	M_P32, "call gate: JMP"
	ljmp	$S_G32, $0
	lands	6, LANDING-CODE
	want	got_sp, TOP
	done
	row	M_P32R3, "call gate: JMP to an inner level"
1:	ljmp	$S_G32, $0
	faults	13, S_C32
	done
	row	M_P32R3, "call gate: JMP to conforming code"
	poke	GDT+S_G32+2, S_CONF, 2
	ljmp	$S_G32, $0
	lands	6, LANDING-CODE
	want	got_cs, S_CONF|3
	done
	row	M_P32R3, "call gate: CALL to conforming code keeps the level"
	poke	GDT+S_G32+2, S_CONF, 2
	lcall	$S_G32, $0
	lands	6, LANDING-CODE
	want	got_cs, S_CONF|3
	want	got_sp, TOP3-8
	done
	.macro	gate_bad mode, what, sel, vec, err
	row	\mode, "call gate: \what"
1:	lcall	$\sel, $0
	faults	\vec, \err
	done
	.endm
	gate_bad M_P32R3, "DPL below CPL", S_G0, 13, S_G0
	gate_bad M_P32, "DPL below RPL", S_G0|3, 13, S_G0
	gate_bad M_P32, "not present", S_GNP, 11, S_GNP
	gate_bad M_P32, "to data", S_GDATA, 13, S_D32
	gate_bad M_P32, "to null", S_GNULL, 13, 0
	gate_bad M_P32, "to an outer level", S_GR3, 13, C32R3
	gate_bad M_C32, "of 32 bits to 32-bit code in long mode", S_G32, 13, S_G32
	gate_bad M_C32, "of 16 bits in long mode", S_G16, 13, S_G16
	gate_bad M_C32, "of 64 bits to 32-bit code", S_G64C, 13, S_C32
	row	M_P32, "call gate: to code that is not present"
	poke	GDT+S_G32+2, S_NPC, 2
1:	lcall	$S_G32, $0
	faults	11, S_NPC
	done
	row	M_P32, "call gate: past the limit of its code"
	poke	GDT+S_G32+2, S_CLIM, 2
1:	lcall	$S_G32, $0
	faults	13, 0
	want	got_sp, TOP
	done
	row	M_P32R3, "call gate: SS0 is read-only"
	poke	TSS_A+8, S_RO, 2
	poke	IDT+8*10, TASK_GATE
	lcall	$S_G32, $0
	lands	6, LANDING-CODE
	want	SP_B-4, S_RO, 0xffffffff
	done
	row	M_P32R3, "call gate: ESP0 outside SS0"
	poke	TSS_A+8, S_SSLIM, 2
	poke	TSS_A+4, 0x1000, 4
	poke	IDT+8*12, TASK_GATE
	lcall	$S_G32, $0
	lands	6, LANDING-CODE
	want	SP_B-4, S_SSLIM, 0xffffffff
	done
	row	M_L64R3, "64-bit call gate: stack and null SS"
	poke	DATA+4, S_G64, 2
	lcall	*DATA
	lands	6, LANDING-CODE
	want	got_cs, S_C64
	want	got_ss, 0
	want	got_sp, SP0-32
	want	SP0-8, S_D32R3
	want	SP0-16, TOP3
	want	SP0-24, S_C64R3
	want	SP0-32, CODE+7
	done
	row	M_C32R3, "64-bit call gate from compatibility mode"
	lcall	$S_G64, $0
	lands	6, LANDING-CODE
	want	got_cs, S_C64
	want	SP0-24, S_C32R3
	done
	row	M_L64, "64-bit call gate: the same level"
	poke	DATA+4, S_G64, 2
	lcall	*DATA
	lands	6, LANDING-CODE
	want	got_sp, TOP-16
	want	TOP-8, S_C64
	done
	row	M_L64, "64-bit call gate: type in its second half"
	poke	GDT+S_G64+12, 0x100, 2
	poke	DATA+4, S_G64, 2
1:	lcall	*DATA
	faults	13, S_G64
	done
	row	M_L64, "64-bit call gate: target that is not canonical"
	poke	GDT+S_G64+8, 0x8000, 4
	poke	DATA+4, S_G64, 2
1:	lcall	*DATA
	faults	13, 0
	done
	row	M_L64, "64-bit call gate: its second half past the GDT"
	poke	GDT+0x1f8, 0x0002ec0000080400
	poke	DATA+4, 0x1f8, 2
1:	lcall	*DATA
	faults	13, 0x1f8
	done

	/* ---- interrupt and trap gates ---- */
	row	M_P32R3, "interrupt gate: clears IF TF NT, not AC", fl=0x47200
	int	$V_CONF
	lands	6, LANDING-CODE
	want	got_cs, S_CONF|3
	want	got_fl, 0x43000, 0x47300
	want	got_sp, TOP3-12
	want	TOP3-4, 0x47200, 0x47300
	done
	row	M_P32R3, "trap gate: keeps IF", fl=0x200
	poke	IDT+8*V_CONF+5, 0xef, 1
	int	$V_CONF
	lands	6, LANDING-CODE
	want	got_fl, 0x200, 0x200
	done
	row	M_P32R3, "16-bit gate"
	int	$V_I16
	lands	6, LANDING-CODE
	want	got_cs, S_C16
	want	got_sp, SP0-10
	want	SP0-2, S_D32R3, 0xffff
	want	SP0-4, TOP3, 0xffff
	want	SP0-8, S_C32R3, 0xffff
	want	SP0-10, 2, 0xffff
	done
	row	M_P32R3, "interrupt gate: to ring 1"
	poke	IDT+8*V_CONF+2, S_C32R1&~3, 2
	int	$V_CONF
	lands	6, LANDING-CODE
	want	got_cs, S_C32R1
	want	got_sp, SP1-20
	done
	.macro	int_bad mode, what, v, vec, err
	row	\mode, "INT n: \what (mode \mode)"
1:	int	$\v
	faults	\vec, \err
	done
	.endm
	.irp	mode, M_P32R3, M_L64R3
	int_bad \mode, "gate of DPL 0", V_INT0, 13, V_INT0*8+2
	int_bad \mode, "not present", V_NP, 11, V_NP*8+2
	int_bad \mode, "not an interrupt gate", V_TYPE, 13, V_TYPE*8+2
	int_bad \mode, "to null", V_NULL, 13, 0
	int_bad \mode, "to data", V_DATA, 13, S_D32
	int_bad \mode, "past the IDT", V_BEYOND, 13, V_BEYOND*8+2
	.endr
	int_bad M_P32, "to code that is not present", V_NPC, 11, S_NPC
	int_bad M_P32, "to an outer level", V_R3, 13, C32R3
	int_bad M_P32, "past the limit of its code", V_LIMIT, 13, 0
	int_bad M_L64, "to an outer level", V_R3, 13, C32R3
	int_bad M_L64, "to 32-bit code", V_CONF, 13, S_CONF
	int_bad M_L64, "task gate", V_TASK, 13, V_TASK*8+2
	int_bad M_L64, "16-bit gate", V_I16, 13, V_I16*8+2
	row	M_P32, "#UD by a gate that is not present: EXT"
	poke	IDT+8*6+5, 0x0e, 1
1:	ud2
	faults	11, 6*8+3
	done
	row	M_P32, "#UD by a gate to null: EXT"
	poke	IDT+8*6+2, 0, 2
1:	ud2
	faults	13, 1
	done
	row	M_P32, "#UD by a gate past the limit of its code: EXT"
	poke	IDT+8*6, 0x00008e0000000000|(S_CLIM<<16)|0x200
1:	ud2
	faults	13, 1
	done
	row	M_P32R3, "#GP by a gate that is not present: double fault"
	poke	IDT+8*13+5, 0x0e, 1
1:	hlt
	faults	8, 0
	done
	row	M_P32, "#DE by a gate that is not present: double fault"
	poke	IDT+5, 0x0e, 1
	xorl	%ecx, %ecx
1:	divl	%ecx
	faults	8, 0
	done
	row	M_P32, "INT n by a gate that is not present, #NP not either"
	poke	IDT+8*11+5, 0x0e, 1
1:	int	$V_NP
	faults	8, 0
	done
	.irp	mode, M_L64, M_L64R3, M_C32R3
	row	\mode, "IST (mode \mode)"
	int	$V_IST1
1:
	faults	V_IST1
	want	got_hsp, SP_IST1-40
	done
	.endr
	row	M_L64, "long mode: the stack is aligned, SS:RSP always saved"
	movl	$STACKS+0xe07, %esp
	int	$V_TRAP3
1:
	faults	V_TRAP3
	want	got_hsp, STACKS+0xe00-40
	want	got_sp, STACKS+0xe07
	want	got_ss, S_D32
	done
	row	M_L64R3, "long mode: null SS in the handler"
	int	$V_TRAP3
1:
	faults	V_TRAP3
	want	got_hss, 0
	want	got_ss, S_D32R3
	done
	row	M_L64R3, "long mode: RSP0 that is not canonical"
	poke	TSS_A+0x804, 0x800000000000
	poke	IDT+16*12+4, 1, 1
1:	int	$V_TRAP3
	faults	12, 0
	done
	row	M_L64R3, "long mode: RSP0 that is not canonical, exception: EXT"
	poke	TSS_A+0x804, 0x800000000000
	poke	IDT+16*12+4, 1, 1
1:	ud2
	faults	12, 1
	done
	row	M_L64, "long mode: handler that is not canonical"
	poke	IDT+16*V_TRAP3+8, 0x8000, 4
1:	int	$V_TRAP3
	faults	13, 0
	done

	/* ---- far jumps and calls ---- */
	.macro	far_bad mode, what, sel, vec, err, off=0
	row	\mode, "far jump: \what"
1:	ljmp	$\sel, $\off
	faults	\vec, \err
	done
	row	\mode, "far call: \what"
1:	lcall	$\sel, $\off
	faults	\vec, \err
	done
	.endm
	far_bad	M_P32, "null", 0, 13, 0
	far_bad	M_P32, "null with RPL", 3, 13, 0
	far_bad	M_P32, "data", S_D32, 13, S_D32
	far_bad	M_P32, "past the GDT", S_BEYOND, 13, S_BEYOND
	far_bad	M_P32, "past the LDT", S_LBEYOND, 13, S_LBEYOND
	far_bad	M_P32, "not present", S_NPC, 11, S_NPC
	far_bad	M_P32, "an LDT", S_LDT, 13, S_LDT
	far_bad	M_P32, "outer code", C32R3, 13, C32R3
	far_bad	M_P32, "RPL above CPL", S_C32|3, 13, S_C32
	far_bad	M_P32R3, "inner code", S_C32, 13, S_C32
	far_bad	M_P32, "conforming outer code", S_CONF3, 13, S_CONF3
	far_bad	M_P32, "past the limit", S_CLIM, 13, 0, 0x300
	far_bad	M_C32, "L and D", S_LD, 13, S_LD
	row	M_P32, "far jump: LDT code"
	ljmp	$S_LC32, $LANDING
	lands	6, LANDING-CODE
	want	got_cs, S_LC32
	done
	row	M_P32R3, "far jump: conforming code"
	ljmp	$S_CONF, $LANDING
	lands	6, LANDING-CODE
	want	got_cs, S_CONF|3
	done
	row	M_P32, "far call: what is pushed"
	lcall	$S_C32, $LANDING
	lands	6, LANDING-CODE
	want	got_sp, TOP-8
	want	TOP-4, S_C32, 0xffff
	want	TOP-8, CODE+7, 0xffffffff
	done
	row	M_P32, "far call of 16 bits: what is pushed, the offset is cut"
	.byte	0x66, 0x9a
	.word	LANDING-CODE, S_C16
	lands	6, LANDING-CODE
	want	got_cs, S_C16
	want	got_sp, TOP-4
	want	TOP-2, S_C32, 0xffff
	want	TOP-4, 6, 0xffff
	done
	row	M_P16, "far call, 16-bit"
	lcallw	$S_C16, $LANDING-CODE
	lands	6, LANDING-CODE
	want	got_sp, STACK_SIZE-4
	want	TOP-4, 5|S_C16<<16, 0xffffffff
	done
	row	M_P16, "far jump to 32-bit code"
	ljmpl	$S_C32, $LANDING
	lands	6, LANDING-CODE
	want	got_cs, S_C32
	done
	.irp	mode, M_REAL, M_V86
	row	\mode, "far call, far return (mode \mode)"
	lcallw	$(CODE>>4)+1, $2f-9902b-16
	jmp	3f
	.skip	16
2:	movw	%cs, %ax
	lretw	$4
3:
	runs
	want	got_ax, (CODE>>4)+1
	want	got_sp, STACK_SIZE+4
	done
	.endr
	row	M_L64, "far jump by immediate in 64-bit mode"
1:	.byte	0xea
	faults	6
	done
	row	M_L64, "far jump to compatibility mode and back"
	pushq	$S_C32
	pushq	$CODE+(2f-9902b)
	lretq
	.code32
2:	incl	%eax
	ljmp	$S_C64, $CODE+(3f-9902b)
	.code64
3:	shlq	$36, %rax
	shrq	$32, %rax
	runs
	want	got_cs, S_C64
	want	got_ax, 0x10
	done
	row	M_L64, "far jump: 64-bit offset"
	poke	DATA, LANDING
	poke	DATA+8, S_C64, 2
	rex.w ljmp *DATA
	lands	6, LANDING-CODE
	done
	row	M_L64, "far jump: not canonical"
	poke	DATA, 0x800000000000
	poke	DATA+8, S_C64, 2
1:	rex.w ljmp *DATA
	faults	13, 0
	done
	row	M_L64, "far call of 64 bits: what is pushed"
	poke	DATA, LANDING
	poke	DATA+8, S_C64, 2
	rex.w lcall *DATA
	lands	6, LANDING-CODE
	want	got_sp, TOP-16
	want	TOP-8, S_C64
	want	TOP-16, CODE+8
	done

	/* ---- RETF and IRET ---- */
	.macro	frame32 fl, cs, ip, sp=0, ss=0
	pushl	$\ss
	pushl	$\sp
	.ifge \fl
	pushl	$\fl
	.endif
	pushl	$\cs
	pushl	$\ip
	.endm
	.macro	back_bad mode, what, vec, err, cs, ip=LANDING, sp=TOP3, ss=S_D32R3
	row	\mode, "RETF: \what"
	frame32 -1, \cs, \ip, \sp, \ss
1:	lretl
	faults	\vec, \err
	done
	row	\mode, "IRET: \what"
	frame32 2, \cs, \ip, \sp, \ss
1:	iretl
	faults	\vec, \err
	done
	.endm
	back_bad M_P32, "null CS", 13, 0, 0
	back_bad M_P32, "CS is data", 13, S_D32, S_D32
	back_bad M_P32, "CS past the GDT", 13, S_BEYOND, S_BEYOND
	back_bad M_P32, "CS not present", 11, S_NPC, S_NPC
	back_bad M_P32R3, "to an inner level", 13, S_C32, S_C32
	back_bad M_P32, "RPL is not DPL", 13, S_C32, S_C32|3
	back_bad M_P32, "conforming, DPL above RPL", 13, S_CONF3, S_CONF3|1
	back_bad M_P32, "EIP past the limit", 13, 0, S_CLIM, 0x300
	back_bad M_P32, "outer, SS null", 13, 0, S_C32R3, LANDING, TOP3, 0
	back_bad M_P32, "outer, SS of another RPL", 13, S_D32R2&~3, S_C32R3, LANDING, TOP3, S_D32R2
	back_bad M_P32, "outer, SS of another DPL", 13, S_D32, S_C32R3, LANDING, TOP3, S_D32|3
	back_bad M_P32, "outer, SS read-only", 13, S_RO, S_C32R3, LANDING, TOP3, S_RO|3
	back_bad M_P32, "outer, SS past the GDT", 13, S_BEYOND, S_C32R3, LANDING, TOP3, S_BEYOND|3
	row	M_P32, "IRET: outer, SS not present"
	poke	GDT+D32R3+5, 0x73, 1
	frame32	2, S_C32R3, LANDING, TOP3, S_D32R3
1:	iretl
	faults	12, D32R3
	done
	row	M_P32, "RETF: the same level"
	frame32	-1, S_C32, LANDING
	lretl	$4
	lands	6, LANDING-CODE
	want	got_sp, TOP-4
	done
	row	M_P32, "RETF to ring 3: segments, both stacks"
	movl	$S_D32R3, %eax
	movl	%eax, %es
	movl	$S_CONF, %eax
	movl	%eax, %fs
	pushl	$S_D32R3
	pushl	$TOP3
	pushl	$0
	pushl	$0
	pushl	$S_C32R3
	pushl	$LANDING
	lretl	$8
	lands	6, LANDING-CODE
	want	got_cs, S_C32R3
	want	got_sp, TOP3+8
	want	got_ss, S_D32R3
	want	got_ds, 0
	want	got_es, S_D32R3
	want	got_fs, S_CONF
	want	got_gs, 0
	done
	row	M_P32, "IRET: the same level, flags"
	frame32	0x243ed7, S_C32, LANDING
	iretl
	lands	6, LANDING-CODE
	want	got_sp, TOP-8
	want	got_fl, 0x243ed7, 0x243ed7
	done
	row	M_P32, "IRET to ring 3"
	frame32	2, S_C32R3, LANDING, TOP3, S_D32R3
	iretl
	lands	6, LANDING-CODE
	want	got_cs, S_C32R3
	want	got_sp, TOP3
	want	got_ds, 0
	done
	row	M_P32R3, "IRET in ring 3: IF and IOPL stay, VM is nothing"
	frame32	0x23202, S_C32R3, LANDING
	iretl
	lands	6, LANDING-CODE
	want	got_fl, 0, 0x23200
	want	got_cs, S_C32R3
	done
	row	M_P32R3, "IRET in ring 3 with IOPL 3: IF", fl=0x3000
	frame32	0x202, S_C32R3, LANDING
	iretl
	lands	6, LANDING-CODE
	want	got_fl, 0x3200, 0x3200
	done
	row	M_P32, "IRET of 16 bits: the upper flags stay", fl=0x200000
	pushw	$2
	pushw	$S_C16
	pushw	$LANDING-CODE
	iretw
	lands	6, LANDING-CODE
	want	got_cs, S_C16
	want	got_fl, 0x200000, 0x200000
	done
	row	M_P32, "IRET to virtual-8086 mode"
	pushl	$0x1111
	pushl	$0x2222
	pushl	$0x3333
	pushl	$0x4444
	frame32	0x23002, CODE>>4, LANDING-CODE, 0x800, STACKS>>4
	iretl
	lands	6, LANDING-CODE
	want	got_fl, 0x23000, 0x23000
	want	got_cs, CODE>>4
	want	got_ss, STACKS>>4
	want	got_sp, 0x800
	want	got_ves, 0x4444
	want	got_vgs, 0x1111
	done
	row	M_P32, "IRET to virtual-8086 mode past 64 KiB"
	.rept	4
	pushl	$0
	.endr
	frame32	0x23002, CODE>>4, 0x10000, 0x800, STACKS>>4
1:	iretl
	faults	13, 0
	done
	row	M_REAL, "real: IRET loads IOPL and NT"
	pushw	$0x7002
	pushw	$CODE>>4
	pushw	$LANDING-CODE
	iretw
	lands	6, LANDING-CODE
	want	got_fl, 0x7000, 0x7000
	done
	row	M_REAL, "real: IRET of 32 bits"
	pushl	$0x40002
	pushl	$CODE>>4
	pushl	$LANDING-CODE
	iretl
	lands	6, LANDING-CODE
	done
	row	M_REAL, "real: IRET past 64 KiB"
	pushl	$2
	pushl	$CODE>>4
	pushl	$0x10000
1:	iretl
	faults	13
	done
	row	M_V86, "V86: IRET with IOPL 3", fl=0x3000
	pushw	$0x0202
	pushw	$CODE>>4
	pushw	$LANDING-CODE
	iretw
	lands	6, LANDING-CODE
	want	got_fl, 0x23200, 0x23200
	done

	.macro	frame64 fl, cs, ip, sp, ss
	pushq	$\ss
	pushq	$\sp
	pushq	$\fl
	pushq	$\cs
	pushq	$\ip
	.endm
	.macro	iret64 what, vec, err, cs, ip=LANDING, sp=TOP, ss=S_D32
	row	M_L64, "64-bit IRET: \what"
	frame64 2, \cs, \ip, \sp, \ss
	.if \vec == 6
	iretq
	lands	6, LANDING-CODE
	want	got_cs, \cs
	want	got_sp, \sp
	want	got_ss, \ss
	.else
1:	iretq
	faults	\vec, \err
	.endif
	done
	.endm
	iret64	"the same level loads RSP too", 6, 0, S_C64, LANDING, STACKS+0x700
	iret64	"the same level, null SS", 6, 0, S_C64, LANDING, TOP, 0
	iret64	"to ring 3", 6, 0, S_C64R3, LANDING, TOP3, S_D32R3
	iret64	"to ring 3 in compatibility mode", 6, 0, S_C32R3, LANDING, TOP3, S_D32R3
	iret64	"to compatibility mode", 6, 0, S_C32, LANDING, TOP, S_D32
	iret64	"to compatibility mode, null SS", 13, 0, S_C32, LANDING, TOP, 0
	iret64	"to ring 3, null SS", 13, 0, S_C64R3, LANDING, TOP3, 3
	iret64	"null SS of another RPL", 13, 0, S_C64, LANDING, TOP, 3
	iret64	"SS of another DPL", 13, S_D32, S_C64R3, LANDING, TOP3, S_D32|3
	iret64	"null CS", 13, 0, 0
	iret64	"L and D", 13, S_LD, S_LD
	iret64	"CS not present", 11, S_NPC, S_NPC
	row	M_L64, "64-bit IRET: not canonical"
	frame64	2, S_C64, 0, TOP, S_D32
	movabsq	$0x800000000000, %rax
	movq	%rax, (%rsp)
1:	iretq
	faults	13, 0
	done
	row	M_L64, "64-bit IRET: of 32 bits"
	subq	$20, %rsp
	movl	$S_D32, 16(%rsp)
	movl	$TOP, 12(%rsp)
	movl	$2, 8(%rsp)
	movl	$S_C64, 4(%rsp)
	movl	$LANDING, (%rsp)
	iretl
	lands	6, LANDING-CODE
	want	got_sp, TOP
	done
	row	M_L64, "64-bit RETF to ring 3"
	pushq	$S_D32R3
	pushq	$TOP3
	pushq	$S_C64R3
	pushq	$LANDING
	lretq
	lands	6, LANDING-CODE
	want	got_cs, S_C64R3
	want	got_sp, TOP3
	done
	row	M_L64, "64-bit RETF: not canonical"
	pushq	$S_C64
	movabsq	$0x800000000000, %rax
	pushq	%rax
1:	lretq
	faults	13, 0
	done

	/* ---- SYSENTER, SYSEXIT ---- */
	.macro	msr n, value
	movl	$\n, %ecx
	movl	$\value, %eax
	xorl	%edx, %edx
	wrmsr
	.endm
	.macro	sysenter_setup cs
	msr	0x174, \cs
	msr	0x175, STACKS+0x600
	msr	0x176, LANDING
	.endm
	row	M_L64, "SYSENTER to 64-bit code", fl=0x200
	sysenter_setup S_C64
	sysenter
	lands	6, LANDING-CODE
	want	got_cs, S_C64
	want	got_ss, S_C64+8
	want	got_sp, STACKS+0x600
	want	got_fl, 0, 0x200
	done
	row	M_P32, "SYSENTER to 32-bit code"
	sysenter_setup S_C64 /* the descriptor is not looked at */
	sysenter
	lands	6, LANDING-CODE
	want	got_cs, S_C64
	want	got_sp, STACKS+0x600
	done
	.irp	mode, M_P32, M_L64
	row	\mode, "SYSENTER without a selector (mode \mode)"
	msr	0x174, 0
1:	sysenter
	faults	13, 0
	done
	row	\mode, "SYSEXIT without a selector (mode \mode)"
	msr	0x174, 0
1:	sysexit
	faults	13, 0
	done
	row	\mode, "SYSEXIT to 32-bit code (mode \mode)"
	msr	0x174, 0x20
	movl	$TOP3, %ecx
	movl	$LANDING, %edx
	sysexit
	lands	6, LANDING-CODE
	want	got_cs, S_C32R3
	want	got_ss, S_D32R3
	want	got_sp, TOP3
	done
	.endr
	row	M_L64, "SYSEXIT to 64-bit code"
	msr	0x174, 0x20
	movl	$TOP3, %ecx
	movl	$LANDING, %edx
	rex.w sysexit
	lands	6, LANDING-CODE
	want	got_cs, S_C64R3
	done
	row	M_L64, "SYSEXIT to 64-bit code: not canonical"
	msr	0x174, 0x20
	movabsq	$0x800000000000, %rdx
1:	rex.w sysexit
	faults	13, 0
	done
	row	M_P32R3, "SYSEXIT in ring 3"
1:	sysexit
	faults	13, 0
	done
	row	M_REAL, "real: SYSENTER"
1:	sysenter
	faults	13
	done
