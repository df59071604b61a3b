/* Debug traps, breakpoints, software interrupts, alignment checks. */
#include "rows.h"

#define DR(n) (START + ST_DR + 8 * (n))
#define DR7 DR(4)
#define TF 0x100
#define AC 0x40000
#define RF 0x10000
#define BS 0x4000
#define BITS 0xe00f
/* DR7: breakpoint n, R/W, LEN */
#define EXEC 0
#define WRITE 1
#define IO 2
#define ACCESS 3
#define L1 0
#define L2 1
#define L4 3
#define L8 2
/* operators of the assembler bind in other ways */
#define BP(n, rw, len) ((2 << (2 * (n))) | ((rw) << (16 + 4 * (n))) | ((len) << (18 + 4 * (n))))

	/* ---- single step (18.3.1.4) ---- */
	.irp	mode, M_P32, M_P32R3, M_L64, M_L64R3, M_C32R3, M_P16, M_V86, M_REAL
	row	\mode, "TF traps after one instruction (mode \mode)", fl=TF
	nop
1:	nop
	faults	1
	want	got_dr6, BS, BITS
	want	got_fl, TF, TF
	done
	.endr
	row	M_P32, "TF is clear in the handler"
	pushl	$TF|2
	popfl
	nop
1:	nop
	faults	1
	want	got_dr6, BS, BITS
	done
	row	M_P32, "POPF that clears TF is still trapped", fl=TF
	poke	STACKS+STACK_SIZE, 2, 4
	popfl
1:	nop
	faults	1
	want	got_fl, 0, TF
	done
	row	M_P32, "POP SS puts the trap off", fl=TF
	poke	STACKS+STACK_SIZE, S_D32, 4
	popl	%ss
	nop
1:	nop
	faults	1
	done
	row	M_L64, "MOV SS puts the trap off"
	movl	%ss, %eax
	pushq	$TF|2
	popfq
	movl	%eax, %ss
	nop
1:	nop
	faults	1
	done
	row	M_P32, "STI does not put the trap off", fl=TF
	sti
1:	nop
	faults	1
	done
	row	M_P32R3, "INT n is not trapped, nor its handler", fl=TF
	int	$V_TRAP3
1:
	faults	V_TRAP3
	want	got_fl, TF, TF
	want	got_dr6, 0, BITS
	done
	row	M_P32, "a stepped REP stops after each iteration"
	movl	$5, %ecx
	movl	$DATA, %edi
	pushl	$TF|2
	popfl
1:	rep stosb
	faults	1
	want	got_cx, 4
	want	got_dr6, BS, BITS
	done
	row	M_P32, "a stepped REP of nothing", fl=TF
	rep stosb
1:	nop
	faults	1
	done
	row	M_P32, "a stepped HLT wakes", fl=TF
	hlt
1:	nop
	faults	1
	done
	row	M_P32R3, "a stepped instruction that faults: the fault only", fl=TF
1:	hlt
	faults	13, 0
	want	got_dr6, 0, BITS
	done
	.macro	syscall_setup fmask
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$1, %eax
	wrmsr
	movl	$0xc0000081, %ecx
	xorl	%eax, %eax
	movl	$S_C64, %edx
	wrmsr
	movl	$0xc0000082, %ecx
	movl	$LANDING, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$0xc0000084, %ecx
	movl	$\fmask, %eax
	wrmsr
	pushq	$TF|2
	popfq
	syscall
	.endm
	row	M_L64, "SYSCALL that masks TF is not trapped"
	syscall_setup TF
	lands	6, LANDING-CODE
	done
	row	M_L64, "SYSCALL that keeps TF is trapped"
	syscall_setup 0
	lands	1, LANDING-CODE
	done
	row	M_L64, "SYSRET that sets TF is trapped at once"
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$1, %eax
	wrmsr
	movl	$0xc0000081, %ecx
	xorl	%eax, %eax
	/* CS = this + 16 */
	movl	$(S_C64R3-16)<<16, %edx
	wrmsr
	movl	$LANDING, %ecx
	movl	$TF|2, %r11d
	sysretq
	lands	1, LANDING-CODE
	want	got_cs, S_C64R3
	done
	.irp	mode, M_P32, M_C32, M_C32R3, M_P16
	row	\mode, "SYSCALL outside 64-bit code (mode \mode)"
1:	syscall
	faults	6
	done
	row	\mode, "SYSRET outside 64-bit code (mode \mode)"
1:	sysretl
	faults	6
	done
	.endr

	/* ---- software interrupts ---- */
	row	M_P32, "INT3"
	int3
1:
	faults	3
	want	got_fl, 0, RF
	done
	row	M_P32R3, "INT3 through a gate of DPL 0"
1:	int3
	faults	13, 3*8+2
	done
	row	M_P32R3, "INT3 through a gate of DPL 3"
	poke	IDT+8*3+5, 0xee, 1
	int3
1:
	faults	3
	done
	row	M_P32R3, "INT 1 through a gate of DPL 0"
1:	int	$1
	faults	13, 1*8+2
	done
	row	M_P32R3, "INT1 minds no DPL"
	.byte	0xf1
1:
	faults	1
	want	got_dr6, 0, BITS
	done
	row	M_P32, "INTO without overflow"
	into
	runs
	done
	row	M_P32, "INTO with overflow", fl=0x800
	into
1:
	faults	4
	done
	row	M_L64, "INTO in 64-bit mode"
1:	.byte	0xce
	faults	6
	done
	row	M_P32, "BOUND below"
	poke	DATA, 5, 4
	poke	DATA+4, 9, 4
1:	boundl	%eax, DATA
	faults	5
	want	got_fl, RF, RF
	done
	row	M_P32, "BOUND inside"
	poke	DATA, 5, 4
	poke	DATA+4, 9, 4
	movl	$9, %eax
	boundl	%eax, DATA
	runs
	done
	row	M_P32, "BOUND above"
	poke	DATA, 5, 4
	poke	DATA+4, 9, 4
	movl	$10, %eax
1:	boundl	%eax, DATA
	faults	5
	done
	row	M_P32, "faults set RF in the saved flags"
1:	ud2
	faults	6
	want	got_fl, RF, RF
	done
	row	M_REAL, "real: INT3"
	int3
1:
	faults	3
	done
	row	M_REAL, "real: INT n"
	int	$0x31
1:
	faults	0x31
	done
	row	M_REAL, "real: INTO", fl=0x800
	into
1:
	faults	4
	done
	row	M_REAL, "real: division by zero"
	xorw	%cx, %cx
1:	divw	%cx
	faults	0
	done
	row	M_REAL, "real: IVT too short is #GP"
	lidtl	%cs:2f-9902b
	movw	$0, %cx
1:	int	$0x31
2:	.word	14*4-1
	.long	IVT
	faults	13
	done
	row	M_REAL, "real: interrupts clear IF and TF", fl=0x200
	pushw	$0x301
	popfw
	int	$0x31
1:
	faults	0x31
	want	got_fl, 0x301, 0x301
	done
	row	M_V86, "V86: INT3 minds no IOPL"
	poke	IDT+8*3+5, 0xee, 1
	int3
1:
	faults	3
	done
	row	M_V86, "V86: INTO minds no IOPL", fl=0x800
	poke	IDT+8*4+5, 0xee, 1
	into
1:
	faults	4
	done
	row	M_V86, "V86: INT1"
	.byte	0xf1
1:
	faults	1
	done
	.irp	code, 0x31, 3
	row	M_V86, "V86: INT \code with IOPL below 3"
1:	.byte	0xcd, \code
	faults	13, 0
	done
	.endr
	row	M_V86, "V86: INT n with IOPL 3", fl=0x3000
	int	$V_TRAP3
1:
	faults	V_TRAP3
	want	got_hsp, SP0-36
	want	got_fl, 0x23000, 0x23000
	done
	row	M_V86, "V86: INT n with IOPL 3, gate of DPL 0", fl=0x3000
1:	int	$V_INT0
	faults	13, V_INT0*8+2
	done
	row	M_V86, "V86: INT n to a handler of ring 1", fl=0x3000
	poke	IDT+8*V_TRAP3+2, S_C32R1&~3, 2
1:	int	$V_TRAP3
	faults	13, S_C32R1&~3
	done
	.irp	insn, cli, sti, pushfw, popfw, iretw
	row	M_V86, "V86: \insn with IOPL below 3"
1:	\insn
	faults	13, 0
	done
	.endr
	row	M_V86, "V86: POPF with IOPL 3 changes IF, not IOPL", fl=0x3000
	pushw	$0x0202
	popfw
	runs
	want	got_fl, 0x3200, 0x3200
	done
	row	M_V86, "V86: HLT"
1:	hlt
	faults	13, 0
	done

	/* ---- instruction breakpoints ---- */
	.irp	mode, M_P32, M_P32R3, M_L64, M_L64R3, M_C32R3, M_V86, M_P16, M_REAL
	row	\mode, "breakpoint at an instruction (mode \mode)"
	entry	DR(0), 1f
	poke	DR7, BP(0, EXEC, L1)
	nop
1:	incw	%ax
	faults	1
	want	got_ax, 0
	want	got_dr6, 1, BITS
	want	got_fl, 0, RF
	done
	.endr
	row	M_P32R3, "breakpoint: disabled"
	entry	DR(0), 2f
	poke	DR7, 0x400
	nop
2:	incl	%eax
	runs
	want	got_ax, 1
	done
	row	M_P32R3, "breakpoint: by the local bit"
	entry	DR(3), 1f
	poke	DR7, 1<<6
	nop
1:	incl	%eax
	faults	1
	want	got_dr6, 8, BITS
	done
	row	M_P32R3, "breakpoint: not amid an instruction"
	entry	DR(0), 2f+1
	poke	DR7, BP(0, EXEC, L1)
	nop
2:	movl	$1, %eax
	runs
	done
	row	M_P32R3, "RF passes a breakpoint", fl=RF
	entry	DR(0), 2f
	poke	DR7, BP(0, EXEC, L1)
2:	incl	%eax
	runs
	want	got_ax, 1
	done
	row	M_P32R3, "RF lasts for one instruction", fl=RF
	entry	DR(0), 1f
	poke	DR7, BP(0, EXEC, L1)
	nop
1:	incl	%eax
	faults	1
	done
	row	M_P32, "IRET with RF passes the breakpoint it goes to"
	entry	DR(0), 2f
	poke	DR7, BP(0, EXEC, L1)
	pushl	$RF|2
	pushl	%cs
	call	4f
4:	addl	$3f-4b, (%esp)
	incl	%eax
	iretl
2:
3:	incl	%eax
	runs
	want	got_ax, 2
	done
	row	M_P32, "POPF does not set RF"
	entry	DR(0), 1f
	poke	DR7, BP(0, EXEC, L1)
	pushl	$RF|2
	popfl
1:	incl	%eax
	faults	1
	done
	row	M_P32, "breakpoint in the shadow of MOV SS"
	entry	DR(0), 2f
	poke	DR7, BP(0, EXEC, L1)
	movl	%ds, %eax
	movl	%eax, %ss
2:	nop
	runs
	done
	row	M_P32, "breakpoint before the step trap of its instruction", fl=TF
	entry	DR(1), 1f
	poke	DR7, BP(1, EXEC, L1)
	nop
1:	nop
	faults	1
	want	got_dr6, BS, BS
	done

	/* ---- data breakpoints ---- */
	.macro	data mode, what, bp, at, insn:vararg
	row	\mode, "data: \what"
	poke	DR(0), \at
	poke	DR7, \bp
	nop
	\insn
1:	nop
	faults	1
	want	got_dr6, 1, BITS
	want	got_fl, 0, RF
	done
	.endm
	.macro	nodata mode, what, bp, at, insn:vararg
	row	\mode, "data: \what"
	poke	DR(0), \at
	poke	DR7, \bp
	nop
	\insn
	runs
	want	got_dr6, 0, BITS
	done
	.endm
	data	M_P32R3, "a store", BP(0,WRITE,L4), DATA, movl %eax, DATA
	nodata	M_P32R3, "a load is no store", BP(0,WRITE,L4), DATA, movl DATA, %eax
	data	M_P32R3, "a load", BP(0,ACCESS,L4), DATA, movl DATA, %eax
	data	M_P32R3, "a store, for access", BP(0,ACCESS,L4), DATA, movl %eax, DATA
	data	M_P32R3, "last byte of four", BP(0,WRITE,L4), DATA, movb %al, DATA+3
	nodata	M_P32R3, "the byte after", BP(0,WRITE,L4), DATA, movb %al, DATA+4
	nodata	M_P32R3, "the byte before", BP(0,WRITE,L4), DATA+8, movb %al, DATA+7
	data	M_P32R3, "first byte of a larger access", BP(0,WRITE,L1), DATA+3, movl %eax, DATA
	nodata	M_P32R3, "just past a larger access", BP(0,WRITE,L1), DATA+4, movl %eax, DATA
	data	M_P32R3, "two bytes: the address is cut", BP(0,WRITE,L2), DATA+1, movb %al, DATA
	data	M_P32R3, "an access across pages", BP(0,WRITE,L1), DATA+0x1001, movl %eax, DATA+0xffe
	data	M_P32R3, "read-modify-write", BP(0,WRITE,L4), DATA, incl DATA
	data	M_P32R3, "locked", BP(0,WRITE,L4), DATA, lock xaddl %eax, DATA
	data	M_P32R3, "CMP loads", BP(0,ACCESS,L4), DATA, cmpl %eax, DATA
	data	M_P32R3, "a push", BP(0,WRITE,L4), (STACKS+0x3000+STACK_SIZE-4), pushl %eax
	data	M_P32R3, "a string", BP(0,WRITE,L1), 0, stosb
	data	M_L64R3, "64-bit: a store", BP(0,WRITE,L8), DATA, movb %al, DATA+7
	data	M_L64R3, "64-bit: a push", BP(0,WRITE,L8), (STACKS+0x3000+STACK_SIZE-8), pushq %rax
	data	M_L64R3, "64-bit: eight bytes, one of them", BP(0,ACCESS,L8), DATA, movb DATA+5, %al
	data	M_L64, "64-bit: ring 0", BP(0,WRITE,L4), DATA, movl %eax, DATA
	data	M_C32R3, "compatibility mode", BP(0,WRITE,L4), DATA, movl %eax, DATA
	data	M_REAL, "real mode", BP(0,WRITE,L2), DATA+0x10, movw %ax, 0x10
	data	M_V86, "virtual-8086 mode", BP(0,WRITE,L2), DATA+0x10, movw %ax, 0x10
	data	M_P16, "16-bit segments", BP(0,WRITE,L2), (STACKS+0x100), movw %ax, %ss:0x100
	nodata	M_P32R3, "a fetch is no access", BP(0,ACCESS,L4), CODE, nop
	nodata	M_P32R3, "not armed", 0x30400, DATA, movl %eax, DATA
	row	M_P32, "data: the page was used before, in a loop"
	poke	DR(0), DATA+8
	movl	$DATA, %edi
	movl	$BP(0,WRITE,L4), %eax
	movl	$3, %ecx
2:	movl	%ecx, (%edi)
	movl	4(%edi), %edx
	addl	$4, %edi
	cmpl	$2, %ecx
	jne	3f
	movl	%eax, %dr7
3:	decl	%ecx
	jnz	2b
	ud2
	lands	1, 17
	want	got_cx, 1
	want	DATA+8, 1, 0xffffffff
	done
	row	M_P32, "data: CALL traps at its target"
	poke	DR(2), (STACKS+STACK_SIZE-68)
	poke	DR7, BP(2, WRITE, L4)
	subl	$64, %esp
	call	1f
	nop
1:	nop
	faults	1
	want	got_dr6, 4, BITS
	done
	row	M_P32, "data: two at once"
	poke	DR(0), DATA
	poke	DR(1), DATA+2
	poke	DR7, BP(0, WRITE, L1)|BP(1, ACCESS, L2)
	movl	%eax, DATA
1:	nop
	faults	1
	want	got_dr6, 3, BITS
	done
	row	M_P32, "data: with a step", fl=TF
	poke	DR(0), DATA
	poke	DR7, BP(0, WRITE, L1)
	movl	%eax, DATA
1:	nop
	faults	1
	want	got_dr6, BS|1, BITS
	done
	row	M_P32, "data: REP stops after the iteration"
	poke	DR(0), DATA+1
	poke	DR7, BP(0, WRITE, L1)
	movl	$DATA, %edi
	movl	$4, %ecx
1:	rep stosb
	faults	1
	want	got_cx, 2
	want	got_fl, RF, RF
	done
	row	M_P32, "data: REP, last iteration"
	poke	DR(0), DATA+3
	poke	DR7, BP(0, WRITE, L1)
	movl	$DATA, %edi
	movl	$4, %ecx
	rep stosb
1:	nop
	faults	1
	want	got_cx, 0
	done
	row	M_P32, "data: REP MOVS reads"
	poke	DR(0), DATA+5
	poke	DR7, BP(0, ACCESS, L1)
	movl	$DATA+4, %esi
	movl	$DATA+0x800, %edi
	movl	$4, %ecx
1:	rep movsb
	faults	1
	want	got_cx, 2
	done
	row	M_P32, "data: MOV SS puts the trap off"
	poke	DR(0), DATA
	poke	DR7, BP(0, ACCESS, L2)
	poke	DATA, S_D32, 2
	movw	DATA, %ss
	incl	%eax
1:	nop
	faults	1
	want	got_ax, 1
	done
	row	M_P32R3, "data: an event's stack"
	poke	DR(0), SP0-4
	poke	DR7, BP(0, WRITE, L1)
	nop
	runs
	done

	/* ---- ports ---- */
	row	M_P32, "port: IN"
	poke	START+ST_CR4, 0x608, 4
	poke	DR(0), 0x80
	poke	DR7, BP(0, IO, L1)
	inb	$0x80, %al
1:	nop
	faults	1
	want	got_dr6, 1, BITS
	done
	row	M_P32, "port: part of a wide OUT"
	poke	START+ST_CR4, 0x608, 4
	poke	DR(0), 0x82
	poke	DR7, BP(0, IO, L1)
	outl	%eax, $0x80
1:	nop
	faults	1
	done
	row	M_P32, "port: OUTS"
	poke	START+ST_CR4, 0x608, 4
	poke	DR(0), 0x80
	poke	DR7, BP(0, IO, L1)
	movl	$0x80, %edx
	movl	$DATA, %esi
	movl	$3, %ecx
1:	rep outsb
	faults	1
	want	got_cx, 2
	done
	row	M_P32, "port: another one"
	poke	START+ST_CR4, 0x608, 4
	poke	DR(0), 0x81
	poke	DR7, BP(0, IO, L1)
	inb	$0x80, %al
	runs
	done
	row	M_P32, "port: without CR4.DE"
	poke	DR(0), 0x80
	poke	DR7, BP(0, IO, L1)
	inb	$0x80, %al
	runs
	done

	/* ---- the registers ---- */
	row	M_P32, "GD"
	movl	$0x2400, %eax
	movl	%eax, %dr7
	nop
1:	movl	%dr0, %ebx
	faults	1
	want	got_dr6, 0x2000, BITS
	want	got_dr7, 0x400
	want	got_fl, RF, RF
	done
	row	M_P32R3, "MOV DR in ring 3"
1:	movl	%dr0, %eax
	faults	13, 0
	done
	row	M_P32, "DR4 and DR5 are DR6 and DR7"
	poke	DR(0), 0x1234
	movl	%db4, %eax
	movl	%db5, %ebx
	runs
	want	got_ax, 0xffff0ff0
	want	got_bx, 0x400
	done
	row	M_P32, "DR4 with CR4.DE"
	poke	START+ST_CR4, 0x608, 4
1:	movl	%db4, %eax
	faults	6
	done
	row	M_L64, "DR7: upper half"
	movl	$1, %eax
	shlq	$32, %rax
1:	movq	%rax, %dr7
	faults	13, 0
	done
	row	M_L64, "DR6: upper half"
	movl	$1, %eax
	shlq	$32, %rax
1:	movq	%rax, %dr6
	faults	13, 0
	done
	row	M_P32, "DR6: fixed bits"
	xorl	%eax, %eax
	movl	%eax, %dr6
	movl	%dr6, %ebx
	runs
	want	got_bx, 0xffff0ff0
	done

	/* ---- alignment ---- */
	.macro	align mode, what, fl, am, vec, insn:vararg
	row	\mode, "alignment: \what", fl=\fl
	.if \am
	poke	START+ST_CR0+2, 5, 1
	.endif
	.if (\mode) < M_C32 && \am
	poke	START+ST_CR0, 0x40033, 4
	.endif
	nop
	.if \vec == 17
1:	\insn
	faults	17, 0
	.else
	\insn
	runs
	.endif
	done
	.endm
	align	M_P32R3, "four bytes", AC, 1, 17, movl DATA+2, %eax
	align	M_P32R3, "four bytes, aligned", AC, 1, 0, movl DATA+4, %eax
	align	M_P32R3, "a store", AC, 1, 17, movl %eax, DATA+1
	align	M_P32R3, "two bytes", AC, 1, 17, movw DATA+1, %ax
	align	M_P32R3, "two bytes, aligned", AC, 1, 0, movw DATA+2, %ax
	align	M_P32R3, "one byte", AC, 1, 0, movb DATA+3, %al
	align	M_P32R3, "without AC", 0, 1, 0, movl DATA+2, %eax
	align	M_P32R3, "without AM", AC, 0, 0, movl DATA+2, %eax
	align	M_P32R2, "ring 2", AC, 1, 0, movl DATA+2, %eax
	align	M_P32, "ring 0", AC, 1, 0, movl DATA+2, %eax
	align	M_L64R3, "64-bit: eight bytes", AC, 1, 17, movq DATA+4, %rax
	align	M_L64R3, "64-bit: eight bytes, aligned", AC, 1, 0, movq DATA+8, %rax
	align	M_L64R3, "64-bit: across pages", AC, 1, 17, movq DATA+0xffc, %rax
	align	M_L64, "64-bit: ring 0", AC, 1, 0, movq DATA+4, %rax
	align	M_C32R3, "compatibility mode", AC, 1, 17, movl DATA+2, %eax
	align	M_V86, "virtual-8086 mode", AC, 1, 17, movw 1, %ax
	align	M_P32R3, "read-modify-write", AC, 1, 17, incl DATA+2
	align	M_P32R3, "locked", AC, 1, 17, lock incl DATA+2
	align	M_P32R3, "LEA is no access", AC, 1, 0, leal DATA+1, %eax
	align	M_P32R3, "x87: ten bytes", AC, 1, 17, fldt DATA+4
	align	M_P32R3, "x87: eight bytes", AC, 1, 17, fldl DATA+4
	align	M_P32R3, "MOVUPS on eight", AC, 1, 0, movups DATA+8, %xmm0
	align	M_P32R3, "FXSAVE needs 16 anyway: #GP or #AC", AC, 1, 0, fxsave DATA
	row	M_P32R3, "alignment: a push", fl=AC
	poke	START+ST_CR0, 0x40033, 4
	decl	%esp
1:	pushl	%eax
	faults	17, 0
	done
	row	M_P32R3, "alignment: POPF clears AC", fl=AC
	poke	START+ST_CR0, 0x40033, 4
	pushl	$2
	popfl
	movl	DATA+2, %eax
	runs
	done
	row	M_P32R3, "alignment: POPF sets AC"
	poke	START+ST_CR0, 0x40033, 4
	movl	DATA+2, %eax
	pushl	$AC|2
	popfl
1:	movl	DATA+2, %eax
	faults	17, 0
	done
	row	M_P32R3, "alignment: a string", fl=AC
	poke	START+ST_CR0, 0x40033, 4
	movl	$DATA+1, %edi
	movl	$2, %ecx
1:	rep stosl
	faults	17, 0
	want	got_cx, 2
	done
