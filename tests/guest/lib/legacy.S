/*
 * legacy_run(struct legacy *): out of long mode, into 32-bit paging or PAE
 * paging, a few instructions in ring 0 or 3 until they trap, and back. All of
 * it lies below 16 MiB, which the caller's tables map as it is.
 */
	.set	L_CR3, 0
	.set	L_CR4, 4
	.set	L_CR0, 8
	.set	L_EFER, 12
	.set	L_EIP, 16
	.set	L_ESP, 20
	.set	L_CPL, 24
	.set	L_EDI, 28
	.set	L_EAX, 32
	.set	L_VECTOR, 36
	.set	L_ERROR, 40
	.set	L_CR2, 44

	.section .text, "ax"
	.code64
	.globl	legacy_run
legacy_run:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	sgdt	old_gdt
	sidt	old_idt
	movq	%rsp, old_rsp
	movl	%edi, arg
	movq	%cr3, %rax
	movl	%eax, old_cr3
	movq	%cr4, %rax
	movl	%eax, old_cr4
	movq	%cr0, %rax
	movl	%eax, old_cr0
	movl	$0xc0000080, %ecx
	rdmsr
	movl	%eax, old_efer
	movb	$0x89, tss_type
	lgdt	new_gdt
	lidt	new_idt
	pushq	$0x08
	pushq	$down
	lretq

	.code32
down:
	movl	$0x10, %eax
	movl	%eax, %ss
	movl	$stack0, %esp
	movl	%cr0, %eax
	andl	$0x7fffffff, %eax
	movl	%eax, %cr0
	movl	arg, %ebx
	movl	$0xc0000080, %ecx
	xorl	%edx, %edx
	movl	L_EFER(%ebx), %eax
	wrmsr
	movl	L_CR4(%ebx), %eax
	movl	%eax, %cr4
	movl	L_CR3(%ebx), %eax
	movl	%eax, %cr3
	xorl	%eax, %eax
	movl	%eax, %cr2
	movl	L_CR0(%ebx), %eax
	movl	%eax, %cr0
	jmp	1f
1:	movl	$0x28, %eax
	ltr	%ax
	movl	$0x23, %eax
	movl	%eax, %ds
	movl	%eax, %es
	cmpl	$3, L_CPL(%ebx)
	je	2f
	movl	L_ESP(%ebx), %esp
	pushl	$2
	pushl	$0x08
	jmp	3f
2:	pushl	$0x23
	pushl	L_ESP(%ebx)
	pushl	$2
	pushl	$0x1b
3:	pushl	L_EIP(%ebx)
	movl	L_EDI(%ebx), %edi
	movl	L_EAX(%ebx), %eax
	iretl

	/* Vectors 0 to 31 */
	.altmacro
	.macro	entry n
	.align	16
	.if (\n == 8) || (\n >= 10 && \n <= 14) || (\n == 17)
	nop
	.else
	pushl	$0
	.endif
	pushl	$\n
	jmp	up
	.endm
	.align	16
entries:
	.set	i, 0
	.rept	32
	entry	%i
	.set	i, i + 1
	.endr

up:	cld
	movl	arg, %ebx
	movl	%eax, L_EAX(%ebx)
	popl	L_VECTOR(%ebx)
	popl	L_ERROR(%ebx)
	popl	L_EIP(%ebx)
	movl	%cr2, %eax
	movl	%eax, L_CR2(%ebx)
	movl	$stack0, %esp
	movl	%cr0, %eax
	andl	$0x7fffffff, %eax
	movl	%eax, %cr0
	movl	old_cr4, %eax
	movl	%eax, %cr4
	movl	old_cr3, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	xorl	%edx, %edx
	movl	old_efer, %eax
	andl	$0xfffffbff, %eax
	wrmsr
	movl	old_cr0, %eax
	movl	%eax, %cr0
	jmp	1f
1:	lgdt	old_gdt
	ljmp	$0x08, $home

	.code64
home:
	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movq	old_rsp, %rsp
	lidt	old_idt
	andb	$0xfd, gdt_tss + 5	/* not busy */
	movl	$0x38, %eax
	ltr	%ax
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	/* Fill the gates; called once. */
	.globl	legacy_init
legacy_init:
	movl	$entries, %eax
	movl	$idt32, %edi
	movl	$32, %ecx
1:	movw	%ax, (%rdi)
	movw	$0x08, 2(%rdi)
	movw	$0x8e00, 4(%rdi)
	movl	%eax, %edx
	shrl	$16, %edx
	movw	%dx, 6(%rdi)
	addl	$16, %eax
	addl	$8, %edi
	decl	%ecx
	jnz	1b
	movl	$tss32, %eax
	movw	%ax, tss_desc + 2
	shrl	$16, %eax
	movb	%al, tss_desc + 4
	movb	%ah, tss_desc + 7
	ret

	.data
	.align	16
gdt32:
	.quad	0
	.quad	0x00cf9b000000ffff	/* 08 code, ring 0 */
	.quad	0x00cf93000000ffff	/* 10 data, ring 0 */
	.quad	0x00cffb000000ffff	/* 18 code, ring 3 */
	.quad	0x00cff3000000ffff	/* 20 data, ring 3 */
tss_desc:
	.word	103, 0			/* 28 TSS */
	.byte	0
tss_type:
	.byte	0x89, 0, 0
gdt32_end:
	.align	8
	.word	0, 0, 0
new_gdt:
	.word	gdt32_end - gdt32 - 1
	.quad	gdt32
	.align	8
	.word	0, 0, 0
new_idt:
	.word	32 * 8 - 1
	.quad	idt32
	.align	16
tss32:
	.long	0, stack0, 0x10
	.skip	104 - 12
	.bss
	.align	16
idt32:	.skip	256
old_gdt: .skip	16
old_idt: .skip	16
old_rsp: .skip	8
arg:	.skip	4
old_cr3: .skip	4
old_cr4: .skip	4
old_cr0: .skip	4
old_efer: .skip	4
	.align	16
	.skip	4096
stack0:
	.skip	16
