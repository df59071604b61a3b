/* sys_run(): registers from the frame, IRETQ; the trap hook comes back. */
	.section .text, "ax"
	.code64
	.globl	sys_enter, sys_back
	/* rdi = struct trap_frame: r15 first, then as its comment says */
sys_enter:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, sys_rsp
	pushq	168(%rdi)		/* ss */
	pushq	160(%rdi)		/* rsp */
	pushq	152(%rdi)		/* rflags */
	pushq	144(%rdi)		/* cs */
	pushq	136(%rdi)		/* rip */
	movq	0(%rdi), %r15
	movq	8(%rdi), %r14
	movq	16(%rdi), %r13
	movq	24(%rdi), %r12
	movq	32(%rdi), %r11
	movq	40(%rdi), %r10
	movq	48(%rdi), %r9
	movq	56(%rdi), %r8
	movq	72(%rdi), %rsi
	movq	80(%rdi), %rbp
	movq	88(%rdi), %rbx
	movq	96(%rdi), %rdx
	movq	104(%rdi), %rcx
	movq	112(%rdi), %rax
	movq	64(%rdi), %rdi
	iretq
sys_back:
	movq	sys_rsp, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	/* the code under test may have left AC, DF, TF */
	pushq	$2
	popfq
	ret
	.bss
	.align	8
sys_rsp:
	.skip	8
