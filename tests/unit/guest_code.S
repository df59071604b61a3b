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

#define LAPIC_EOI 0xfee000b0
#define LAPIC_SVR 0xfee000f0
#define LAPIC_ICR 0xfee00300
#define LAPIC_ICR2 0xfee00310

#define LAPIC_ON movl $0x1ff, LAPIC_SVR
#define EOI movl $0, LAPIC_EOI
#define IOAPIC_SELECT 0xfec00000
#define IOAPIC_WINDOW 0xfec00010
#define IDLE sti; 1: hlt; jmp 1b

/* Turn the local APIC on, say 1, and wait for interrupts. */
GUEST(wait)
	LAPIC_ON
	movl	$1, %eax
	NOTE
	IDLE

/* Handlers do not return: not every KVM can emulate IRET. */
GUEST(isr)
	movl	$0x40, %eax
	NOTE
	EOI
	STOP
	hlt

/* Virtual wire; the PIC's pair set up, IRQ 4 open, from vector 0x50; say 2. */
GUEST(pic)
	LAPIC_ON
	movl	$0x700, 0xfee00350
	movb	$0x11, %al
	outb	%al, $0x20
	outb	%al, $0xa0
	movb	$0x50, %al
	outb	%al, $0x21
	movb	$0x58, %al
	outb	%al, $0xa1
	movb	$4, %al
	outb	%al, $0x21
	movb	$2, %al
	outb	%al, $0xa1
	movb	$1, %al
	outb	%al, $0x21
	outb	%al, $0xa1
	movb	$0xff, %al
	outb	%al, $0xa1
	movb	$0xef, %al
	outb	%al, $0x21
	movl	$2, %eax
	NOTE
	IDLE

GUEST(isr_pic)
	movl	$0x54, %eax
	NOTE
	movb	$0x20, %al
	outb	%al, $0x20
	STOP
	hlt

/* I/O APIC input 16, vector 0x41, level, to APIC 0; say 3. */
GUEST(level)
	LAPIC_ON
	movl	$0x31, IOAPIC_SELECT
	movl	$0, IOAPIC_WINDOW
	movl	$0x30, IOAPIC_SELECT
	movl	$0x8041, IOAPIC_WINDOW
	movl	$3, %eax
	NOTE
	IDLE

GUEST(isr_level)
	movl	$0x41, %eax
	NOTE
	EOI
	IDLE

/* Wake APIC 1 at page 8 and wait for its sign. */
GUEST(smp)
	LAPIC_ON
	movl	$0x01000000, LAPIC_ICR2
	movl	$0x4500, LAPIC_ICR	/* INIT */
	movl	$0x01000000, LAPIC_ICR2
	movl	$0x4608, LAPIC_ICR	/* SIPI */
1:	movl	DATA, %eax
	testl	%eax, %eax
	jz	1b
	NOTE
	STOP
	hlt

	.code16
GUEST(ap)
	cli
	movw	$(DATA >> 4), %ax
	movw	%ax, %ds
	movl	$0x77, 0
	hlt
GUEST(ap_end)
	.code32

/* Doorbells: a port, an MMIO address, one that wants a value. */
GUEST(doorbell)
	movw	$0x600, %dx
	movw	$7, %ax
	outw	%ax, %dx
	outw	%ax, %dx
	movl	$9, 0xe0001000
	movl	$4, 0xe0001004		/* not the value */
	movl	$5, 0xe0001004
	STOP
	hlt

/* Write to some pages. */
GUEST(dirty)
	movl	$1, DATA
	movl	$1, DATA + 0x2000
	STOP
	hlt

/* What this KVM may not be able to emulate in ring 0. */
GUEST(fwait)
	fninit
	fwait
	movl	$4, %eax
	NOTE
	STOP
	hlt

/* vaddps %zmm1, %zmm0, %zmm0 */
GUEST(unknown)
	lidt	AT(1f)
	.byte	0x62, 0xf1, 0x7c, 0x48, 0x58, 0xc1
	STOP
	hlt
1:	.word	0
	.long	0

/*
 * A machine that moves: FP and vector registers, a debug register and the LAPIC
 * timer hold something while it counts at DATA. When DATA + 4 is set it says
 * what it has still got, and waits for one more timer interrupt.
 */
GUEST(move)
	LAPIC_ON
	movl	%cr4, %eax
	orl	$0x40600, %eax		/* OSXSAVE, OSXMMEXCPT, OSFXSR */
	movl	%eax, %cr4
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	movl	$7, %eax
	xsetbv
	vmovdqu	DATA + 0x100, %ymm3
	fninit
	fldl	DATA + 0x140
	movl	$0x1234, %eax
	movl	%eax, %dr0
	movl	$0xb, 0xfee003e0	/* timer: by 1, periodic, vector 41h */
	movl	$0x20041, 0xfee00320
	movl	$400000, 0xfee00380
	sti
1:	incl	DATA
	cmpl	$0, DATA + 4
	je	1b
	vmovdqu	%ymm3, DATA + 0x200
	fstpl	DATA + 0x240
	movl	%dr0, %eax
	NOTE
	xorl	%ecx, %ecx
	xgetbv
	NOTE
	movl	DATA + 8, %ebx
2:	cmpl	DATA + 8, %ebx
	je	2b
	movl	$0x77, %eax
	NOTE
	STOP
	hlt

GUEST(isr_move)
	incl	DATA + 8
	EOI
	iret

/* An MSR that is nobody's. */
GUEST(msr)
	movl	$0x12345, %ecx
	rdmsr
	orl	$0x80000000, %eax
	NOTE
	STOP
	hlt

/* One that KVM does not know and the engine answers for. */
GUEST(quiet_msr)
	movl	$0xc0010055, %ecx
	movl	$7, %eax
	wrmsr
	rdmsr
	NOTE
	STOP
	hlt

GUEST(isr_gp)
	movl	$0xd, %eax
	NOTE
	STOP
	hlt

/* The x2APIC id. */
GUEST(x2apic)
	movl	$0x802, %ecx
	rdmsr
	NOTE
	STOP
	hlt

GUEST(wild_port)
	movw	$0x7777, %dx
	outb	%al, %dx
	STOP
	hlt

/* Count in memory, for ever. */
GUEST(count)
	incl	DATA
	jmp	guest_count

/* Interrupts on, and a loop. */
GUEST(spin_open)
	sti
2:	jmp	2b

/* Three instructions of one byte each. */
GUEST(steps)
	incl	%eax
	incl	%eax
	incl	%eax
	hlt

	.globl guest_end
guest_end:

	.section .note.GNU-stack, "", @progbits
