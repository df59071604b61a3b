/*
 * The boot sector of a BIOS disk: says so on COM1, through the BIOS's screen
 * too, and powers off by ACPI. Started at 0:7c00h in real mode (BIOS Boot
 * Specification 1.01, 6.5.1).
 */
	.code16
	.globl	_start
_start:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	$0x7c00, %sp
	movw	$(0x7c00 + bios - _start), %si
1:	lodsb				/* INT 10h, AH=0eh: teletype output */
	testb	%al, %al
	jz	2f
	movb	$0x0e, %ah
	movw	$7, %bx
	int	$0x10
	jmp	1b
2:	cli				/* SeaBIOS's timer writes to COM1 too */
	movw	$(0x7c00 + text - _start), %si
	movw	$0x3f8, %dx
3:	lodsb
	testb	%al, %al
	jz	4f
	outb	%al, %dx
	jmp	3b
4:	movw	$0x604, %dx		/* PM1a_CNT: S5 and SLP_EN */
	movw	$0x3400, %ax
	outw	%ax, %dx
5:	hlt
	jmp	5b
bios:	.asciz	"screen: boot sector\r\n"
text:	.asciz	"com1: boot sector\r\n"
	.org	510
	.word	0xaa55
