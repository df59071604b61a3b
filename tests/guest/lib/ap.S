/* Start of a further CPU: real mode at 0x8000, then the boot CPU's tables. */
	.section .text, "ax"
	.code16
	.globl ap_tramp, ap_tramp_end, ap_tramp_stack
ap_tramp:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	0x8000 + (ap_gdtp - ap_tramp)
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$0x18, $(0x8000 + ap_32 - ap_tramp)
	.code32
ap_32:
	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
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
	ljmpl	$0x08, $(0x8000 + ap_64 - ap_tramp)
	.code64
ap_64:
	movq	0x8000 + (ap_tramp_stack - ap_tramp), %rsp
	movl	$0x10, %eax
	movl	%eax, %ss
	movq	$ap_main0, %rax
	call	*%rax
1:	hlt
	jmp	1b
	.align 8
ap_tramp_stack:
	.quad	0
ap_gdt:
	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
	.quad	0x00cf9b000000ffff
ap_gdtp:
	.word	31
	.long	0x8000 + (ap_gdt - ap_tramp)
ap_tramp_end:

	.globl ap_enter_user
	/* rdi = stack, rsi = function: to ring 3, interrupts off */
ap_enter_user:
	pushq	$0x33
	pushq	%rdi
	pushq	$2
	pushq	$0x2b
	pushq	%rsi
	iretq
