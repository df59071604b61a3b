/*
 * The guests of the machine tests, one after the other: loaded as one piece at
 * GUEST_CODE (guest.h), entered in flat 32-bit mode with interrupts off.
 */
#define PORT 0x500
#define STOP_PORT 0x510
#define DATA 0x10000

#define GUEST(name) .globl guest_##name; guest_##name:
#define AT(label) (label - guest_base + 0x1000)
/* Note %eax. */
#define NOTE movw $PORT, %dx; outl %eax, %dx
#define STOP movw $STOP_PORT, %dx; outb %al, %dx

	.section .rodata
	.balign 16
	.globl guest_base
guest_base:
	.code32

/* Port accesses: every width, a read, a string of three. */
GUEST(pio)
	movw	$PORT, %dx
	movl	$0x11223344, %eax
	outb	%al, %dx
	outw	%ax, %dx
	outl	%eax, %dx
	inl	%dx, %eax
	outl	%eax, %dx
	movl	$AT(1f), %esi
	movl	$3, %ecx
	cld
	rep outsw
	STOP
	hlt
1:	.word	0xa1, 0xa2, 0xa3

/* MMIO at 0xe0000000: write and read back. */
GUEST(mmio)
	movl	$0xe0000000, %edi
	movl	$0x55667788, (%edi)
	movb	$0x99, 4(%edi)
	movl	8(%edi), %eax
	NOTE
	movl	$0xd0000000, %edi	/* nothing there */
	movl	(%edi), %eax
	NOTE
	STOP
	hlt

/* An exception without a handler. */
GUEST(triple_fault)
	lidt	AT(1f)
	ud2
1:	.word	0
	.long	0

GUEST(halt)
	cli
	hlt

GUEST(spin)
	jmp	guest_spin

	.globl guest_end
guest_end:

	.section .note.GNU-stack, "", @progbits
