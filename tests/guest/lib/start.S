/*
 * Entry of a test guest. The loader (zhyve or QEMU) finds the PVH note and
 * enters start32 in 32-bit flat protected mode with EBX = hvm_start_info.
 * We build page tables, enter long mode, load GDT, IDT and TSS, and go to ring
 * 3, with all ports allowed by the TSS: some KVMs emulate ring 0, but run
 * ring 3 natively.
 *
 * Only plain instructions in ring 0: the slow KVMs lack some.
 */
	.section .note.PVH, "a", @note
	.align 4
	.long 4, 4, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long start32

	.section .text.start, "ax"
	.code32
	.globl start32
start32:
	movl	%ebx, start_info
	movl	$stack_top, %esp

	/* PML4[0] -> PDPT; PDPT[0..3] -> 4 PDs of 2 MiB pages, all user. */
	movl	$pdpt + 7, pml4
	movl	$pds + 7, %eax
	movl	$pdpt, %edi
	movl	$4, %ecx
1:	movl	%eax, (%edi)
	addl	$4096, %eax
	addl	$8, %edi
	decl	%ecx
	jnz	1b
	movl	$0x87, %eax		/* PS, U, W, P */
	movl	$pds, %edi
	movl	$2048, %ecx
2:	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	decl	%ecx
	jnz	2b

	movl	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	movl	%eax, %cr4
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	$0x80010033, %eax	/* PG WP NE ET MP PE */
	movl	%eax, %cr0
	lgdt	gdt_ptr32
	ljmp	$0x08, $start64

	.code64
start64:
	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$stack_top, %esp
	call	guest_early		/* C, ring 0: IDT, TSS */
	movl	$0x38, %eax
	ltr	%ax
	jmp	enter_user

	/* Go to ring 3, interrupts off. */
	.globl enter_user
enter_user:
	pushq	$0x33
	pushq	$user_stack_top
	pushq	$2
	pushq	$0x2b
	pushq	$user_main_start
	iretq
user_main_start:
	movl	$0x33, %eax
	movl	%eax, %ds
	movl	%eax, %es
	call	user_main
	movl	$0, %edi
	call	guest_exit
3:	jmp	3b

	/* Interrupt entries: stub n pushes (error code) and vector. */
	.altmacro
	.macro	stub n
	.align 16
	.if (\n == 8) || (\n >= 10 && \n <= 14) || (\n == 17)
	nop
	.else
	pushq	$0
	.endif
	pushq	$\n
	jmp	common
	.endm
	.align 16
	.globl	idt_stubs
idt_stubs:
	.set	i, 0
	.rept	256
	stub	%i
	.set	i, i + 1
	.endr

common:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %rdi
	cld
	call	guest_trap
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

	.data
	.align 16
	.globl gdt
gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* 08 code64 ring 0 */
	.quad	0x00cf93000000ffff	/* 10 data   ring 0 */
	.quad	0x00cffb000000ffff	/* 18 unused */
	.quad	0x00cff3000000ffff	/* 20 unused */
	.quad	0x00affb000000ffff	/* 28 code64 ring 3 */
	.quad	0x00cff3000000ffff	/* 30 data   ring 3 */
	.globl gdt_tss
gdt_tss:
	.quad	0, 0			/* 38 TSS, filled by guest_early */
gdt_end:
gdt_ptr32:
	.word	gdt_end - gdt - 1
	.long	gdt
	.globl start_info
start_info:
	.quad	0

	.bss
	.align 4096
	.globl pml4, pdpt, pds
pml4:	.skip	4096
pdpt:	.skip	4096
pds:	.skip	4096 * 4
	.skip	16384
	.globl	stack_top
stack_top:
	.skip	65536
	.globl	user_stack_top
user_stack_top:
	.skip	16
