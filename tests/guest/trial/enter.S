/*
 * From 64-bit mode into a row's mode and back. The GDT at GDT has what is
 * needed here; the real-mode half is copied to LOW.
 */
#include "trial.h"

#define LOWA(x) (LOW + (x) - low_start)
#define L16(x) ((x) - low_start)

	.text
	.code64
	.globl	enter
	/* enter(): runs what struct start says, returns after the trap. */
enter:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, saved_rsp
	sidt	saved_idtr
	lgdt	row_gdtr
	movl	$START, %edi
	movq	ST_DR(%rdi), %rax
	movq	%rax, %dr0
	movq	ST_DR+8(%rdi), %rax
	movq	%rax, %dr1
	movq	ST_DR+16(%rdi), %rax
	movq	%rax, %dr2
	movq	ST_DR+24(%rdi), %rax
	movq	%rax, %dr3
	movl	$0xffff0ff0, %eax
	movq	%rax, %dr6
	movq	ST_DR+32(%rdi), %rax
	movq	%rax, %dr7
	cmpl	$2, ST_CLASS(%rdi)
	je	to_long
	pushq	$S_C32
	pushq	$1f
	lretq
	.code32
1:	movl	$S_D32, %eax
	movl	%eax, %ss
	movl	%eax, %ds
	movl	%eax, %es
	movl	%cr0, %eax
	andl	$0x7fffffff, %eax
	movl	%eax, %cr0
	movl	$0xc0000080, %ecx
	rdmsr
	andl	$~0x100, %eax
	wrmsr
	movl	ST_CR4(%edi), %eax
	movl	%eax, %cr4
	cmpl	$0, ST_CLASS(%edi)
	je	to_real
	movl	ST_CR3(%edi), %eax
	movl	%eax, %cr3
	movl	ST_CR0(%edi), %eax
	movl	%eax, %cr0
	lidt	row_idtr32
	movl	$S_LDT, %eax
	lldt	%ax
	movl	$S_TSS, %eax
	ltr	%ax
	testl	$0x20000, ST_FL(%edi)
	jz	2f
	movl	ST_DS(%edi), %eax
	pushl	%eax
	pushl	%eax
	pushl	%eax
	pushl	%eax
2:	cmpl	$0, ST_OUTER(%edi)
	je	3f
	pushl	ST_SS(%edi)
	pushl	ST_SP(%edi)
	jmp	4f
3:	movl	ST_SS(%edi), %eax
	movl	%eax, %ss
	movl	ST_SP(%edi), %esp
4:	pushl	ST_FL(%edi)
	pushl	ST_CS(%edi)
	pushl	ST_IP(%edi)
	movl	ST_DS(%edi), %eax
	testl	$0x20000, ST_FL(%edi)
	jnz	5f
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ds
5:	xorl	%eax, %eax
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%ebx, %ebx
	xorl	%ebp, %ebp
	xorl	%esi, %esi
	xorl	%edi, %edi
	iretl

to_real:
	movl	$S_LOWD, %eax
	movl	%eax, %ss
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	ljmp	$S_LOW16, $L16(real_entry)

	.code64
to_long:
	movl	ST_CR4(%rdi), %eax
	movq	%rax, %cr4
	movl	ST_CR0(%rdi), %eax
	movq	%rax, %cr0
	lidt	row_idtr64
	movl	$S_LDT, %eax
	lldt	%ax
	movl	$S_TSS64, %eax
	ltr	%ax
	movl	ST_SS(%rdi), %eax
	pushq	%rax
	movl	ST_SP(%rdi), %eax
	pushq	%rax
	movl	ST_FL(%rdi), %eax
	pushq	%rax
	movl	ST_CS(%rdi), %eax
	pushq	%rax
	movl	ST_IP(%rdi), %eax
	pushq	%rax
	movl	ST_DS(%rdi), %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	xorl	%eax, %eax
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%ebx, %ebx
	xorl	%ebp, %ebp
	xorl	%esi, %esi
	xorl	%edi, %edi
	iretq

	/* ---- traps ---- */
	.altmacro
	.macro	stub n
	.align	16
	.if (\n == 8) || (\n >= 10 && \n <= 14) || (\n == 17)
	nop
	nop
	.else
	.byte	0x6a, 0xff		/* push $-1: no error code */
	.endif
	.byte	0x6a, \n		/* push $n */
	.endm
	/* The same bytes serve in 32- and 64-bit code, but for the jump. */
	.code32
	.align	16
	.globl	stubs32
stubs32:
	.set	i, 0
	.rept	64
	stub	%i
	.byte	0xe9
	.long	common32 - . - 4
	.set	i, i + 1
	.endr
common32:
	pushal
	pushl	%ds
	pushl	%es
	pushl	%fs
	pushl	%gs
	movl	$S_D32, %eax
	movl	%eax, %ds
	movl	%eax, %es
	cld
	movl	%esp, %esi
	movl	%ss, %eax
	larl	%eax, %eax
	testl	$0x400000, %eax
	jnz	2f
	movzwl	%si, %esi		/* a 16-bit stack */
2:	movl	%esi, got_hsp
	movl	$RAW, %edi
	movl	$RAW_SIZE / 4, %ecx
1:	movl	%ss:(%esi), %eax
	stosl
	addl	$4, %esi
	loop	1b
	movl	%ss, %eax
	movl	%eax, got_hss
	movl	%cs, %eax
	movl	%eax, got_hcs
	xorl	%eax, %eax
	str	%ax
	movl	%eax, got_tr
	sldt	%ax
	movl	%eax, got_ldt
	/* To 64-bit mode; from protected mode without paging. */
back32:
	movl	$S_D32, %eax
	movl	%eax, %ss
	movl	%eax, %ds
	movl	%eax, %es
	movl	$(SP0 + 0x100), %esp
	movl	%cr0, %eax
	movl	%eax, got_cr0
	movl	%cr2, %eax
	movl	%eax, got_cr2
	movl	%dr6, %eax
	movl	%eax, got_dr6
	movl	%dr7, %eax
	movl	%eax, got_dr7
	xorl	%eax, %eax
	movl	%eax, %dr7
	movl	%cr0, %eax
	andl	$0x7fffffff, %eax
	movl	%eax, %cr0
	movl	$0x620, %eax
	movl	%eax, %cr4
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	$0x80010033, %eax
	movl	%eax, %cr0
	ljmp	$S_C64, $back64

	.code64
	.align	16
	.globl	stubs64
stubs64:
	.set	i, 0
	.rept	64
	stub	%i
	.byte	0xe9
	.long	common64 - . - 4
	.set	i, i + 1
	.endr
common64:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	movl	%ds, %eax
	pushq	%rax
	movl	%es, %eax
	pushq	%rax
	movl	%fs, %eax
	pushq	%rax
	movl	%gs, %eax
	pushq	%rax
	movl	$S_D32, %eax
	movl	%eax, %ds
	movl	%eax, %es
	cld
	movq	%rsp, %rsi
	movl	$RAW, %edi
	movl	$RAW_SIZE / 8, %ecx
1:	movq	(%rsi), %rax
	stosq
	addq	$8, %rsi
	loop	1b
	movl	%ss, %eax
	movq	%rax, got_hss
	movl	%cs, %eax
	movq	%rax, got_hcs
	movq	%rsp, got_hsp
	xorl	%eax, %eax
	str	%ax
	movq	%rax, got_tr
	sldt	%ax
	movq	%rax, got_ldt
	movq	%cr0, %rax
	movq	%rax, got_cr0
	movq	%cr2, %rax
	movq	%rax, got_cr2
	movq	%dr6, %rax
	movq	%rax, got_dr6
	movq	%dr7, %rax
	movq	%rax, got_dr7
	xorl	%eax, %eax
	movq	%rax, %dr7
	movl	$0x620, %eax
	movq	%rax, %cr4
	movl	$0x80010033, %eax
	movq	%rax, %cr0
back64:
	movl	$S_D32, %eax
	movl	%eax, %ss
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movq	saved_rsp, %rsp
	lidt	saved_idtr
	pushq	$2
	popfq
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	/* ---- the real-mode half, at LOW ---- */
	.globl	low_start, low_end, low_stubs
	.code16
low_start:
real_entry:
	movl	%cr0, %eax
	andl	$~1, %eax
	movl	%eax, %cr0
	ljmp	$(LOW >> 4), $L16(1f)
1:	xorl	%eax, %eax
	movw	%ax, %ss
	movw	$((START - LOW) & 0xffff), %bx
	lidtl	%cs:L16(ivt_ptr)
	movw	%cs:ST_SS(%bx), %ss
	movl	%cs:ST_SP(%bx), %esp
	pushw	%cs:ST_FL(%bx)
	pushw	%cs:ST_CS(%bx)
	pushw	%cs:ST_IP(%bx)
	movw	%cs:ST_DS(%bx), %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	xorl	%eax, %eax
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%ebx, %ebx
	xorl	%ebp, %ebp
	xorl	%esi, %esi
	xorl	%edi, %edi
	iretw
ivt_ptr:
	.word	0x3ff
	.long	IVT
	.align	8
low_stubs:
	.set	i, 0
	.rept	64
	.align	8
	.byte	0x6a, 0xff
	.byte	0x6a, i
	.byte	0xe9
	.word	common16 - . - 2
	.set	i, i + 1
	.endr
	/* As common32, of a frame of words. */
common16:
	pushal
	pushw	%ds
	pushw	%es
	pushw	%fs
	pushw	%gs
	movw	$(GOT >> 4), %ax
	movw	%ax, %es
	movw	$(RAW - GOT), %di
	movw	%sp, %si
	movw	$RAW_SIZE / 2, %cx
	cld
1:	movw	%ss:(%si), %ax
	stosw
	addw	$2, %si
	loop	1b
	xorl	%eax, %eax
	movw	%ss, %ax
	movl	%eax, %es:(got_hss - GOT)
	movw	%cs, %ax
	movl	%eax, %es:(got_hcs - GOT)
	movw	%sp, %ax
	movl	%eax, %es:(got_hsp - GOT)
	xorl	%eax, %eax
	movl	%eax, %es:(got_tr - GOT)
	lgdtl	%cs:L16(gdt_ptr)
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$S_C32, $back32
gdt_ptr:
	.word	0x1ff
	.long	GDT
low_end:

	.data
	.align	8
row_gdtr:
	.word	0x1ff
	.quad	GDT
row_idtr32:
	.word	64 * 8 - 1
	.quad	IDT
row_idtr64:
	.word	64 * 16 - 1
	.quad	IDT
	.bss
	.align	8
saved_rsp:
	.skip	8
saved_idtr:
	.skip	16
