/*
 * The shortest guest: its first instructions power the machine off. For the
 * time from exec to the first guest instruction.
 */
	.section .note.PVH, "a", @note
	.align 4
	.long 4, 4, 18
	.asciz "Xen"
	.long start32
	.section .text.start, "ax"
	.code32
	.globl start32
start32:
	movw	$0x604, %dx
	movw	$0x3400, %ax
	outw	%ax, %dx
1:	jmp	1b
