/*
 * Accesses and instructions that touch two pages, string instructions that
 * fault in the middle, and addresses that are not canonical: which fault comes,
 * for which address, and that registers and memory are as they have to be.
 *
 * Ring-3 rows are the host CPU's own answer on KVM. Offsets are from B, the
 * boundary between two pages A and B that follow each other.
 *
 * Source: Intel SDM vol. 3, 4.7 and 6.15 (#PF), 3.3.7.1 (canonical form);
 * vol. 2, the instructions' exceptions, REP.
 */
#include "sys.h"

#define BOUNDARY ((UINT64_C(1) << 39) + 0x201000)
#define USER_CODE (UINT64_C(2) << 39)
/* The last pages of the lower half, for code and data at its end. */
#define LOW_TOP UINT64_C(0x800000000000)
#define FLAG_DF 0x400

enum { PF = 14, GP = 13, SS = 12, UD = 6 };

enum {
	TO_TOP = 1, /* B is the end of the lower half */
	AT_B = 2, /* the code lies so that 'at' bytes of it are before B */
	DOWN = 4, /* DF */
	OTHER_B = 8, /* B is not A's neighbour in memory */
	PAGE_ONLY = 16, /* any address in the page may be in CR2 */
	RULE_ONLY = 32, /* CPUs were seen to report #PF instead */
};

struct code {
	const char *start, *end;
};
#define CODE(name)                           \
	{                                    \
		sys_##name, sys_##name##_end \
	}

struct row {
	const char *what;
	struct code code;
	uint8_t cpl;
	uint8_t how;
	uint64_t a, b; /* rights of the pages, 0 = not present */
	int at, rdi, rsi, rsp;
	uint64_t rcx;
	int vector, error, cr2;
	/* afterwards, where it differs from before */
	int done; /* iterations of a string instruction, by size */
	int size;
	int rip; /* of the fault, from the code's start */
};

/* clang-format off */
SYS_CODE(load8, "movq (%rdi), %rax; ud2");
SYS_CODE(load4, "movl (%rdi), %eax; ud2");
SYS_CODE(load2, "movzwl (%rdi), %eax; ud2");
SYS_CODE(load16, "movdqu (%rdi), %xmm0; ud2");
SYS_CODE(store8, "movq %rax, (%rdi); ud2");
SYS_CODE(store4, "movl %eax, (%rdi); ud2");
SYS_CODE(store2, "movw %ax, (%rdi); ud2");
SYS_CODE(store16, "movdqu %xmm0, (%rdi); ud2");
SYS_CODE(add8, "addq %rax, (%rdi); ud2");
SYS_CODE(lockadd8, "lock addq %rax, (%rdi); ud2");
SYS_CODE(xadd4, "lock xaddl %eax, (%rdi); ud2");
SYS_CODE(xchg8, "xchgq %rax, (%rdi); ud2");
SYS_CODE(cx8, "lock cmpxchg8b (%rdi); ud2");
SYS_CODE(shl8, "shlq $3, (%rdi); ud2");
SYS_CODE(bts, "lock btsq $40, (%rdi); ud2");
SYS_CODE(setcc, "setz (%rdi); ud2");
SYS_CODE(push, "pushq %rax; ud2");
SYS_CODE(push_pair, "pushq %rax; pushq %rcx; ud2");
SYS_CODE(push2, "pushw %ax; ud2");
SYS_CODE(pushm, "pushq (%rdi); ud2");
SYS_CODE(pop, "popq %rax; ud2");
SYS_CODE(pop_pair, "popq %rax; popq %rdx; ud2");
SYS_CODE(popm, "popq (%rdi); ud2");
SYS_CODE(call, "call 1f; 1: ud2");
SYS_CODE(callr, "call *%rdi");
SYS_CODE(callm, "call *(%rdi)");
SYS_CODE(jmpm, "jmp *(%rdi)");
SYS_CODE(jmpr, "jmp *%rdi");
SYS_CODE(ret, "ret");
SYS_CODE(leave, "movq %rdi, %rbp; leave; ud2");
SYS_CODE(enter, "enter $16, $0; ud2");
SYS_CODE(enter_far, "enter $0x800, $0; ud2");
SYS_CODE(iret, "iretq");
SYS_CODE(fxsave, "fxsave (%rdi); ud2");
SYS_CODE(rbp, "movq %rdi, %rbp; movq (%rbp), %rax; ud2");
SYS_CODE(rsp, "movq (%rsp), %rax; ud2");
SYS_CODE(rsi_rbp, "movq %rdi, %rbp; movq (%rsi,%rbp), %rax; ud2");
SYS_CODE(lea, "leaq (%rdi), %rax; ud2");
SYS_CODE(repmovsb, "rep movsb; ud2");
SYS_CODE(repmovsq, "rep movsq; ud2");
SYS_CODE(movsb, "movsb; ud2");
SYS_CODE(repstosb, "rep stosb; ud2");
SYS_CODE(repstosq, "rep stosq; ud2");
SYS_CODE(replodsb, "rep lodsb; ud2");
SYS_CODE(repscasb, "repne scasb; ud2");
SYS_CODE(repcmpsb, "repe cmpsb; ud2");
SYS_CODE(repcmpsw, "repe cmpsw; ud2");
SYS_CODE(cmpsb, "cmpsb; ud2");
SYS_CODE(movabs, "movabsq $0x1122334455667788, %rax; ud2");
SYS_CODE(nop, "nop; ud2");
SYS_CODE(ud, "ud2");
SYS_CODE(prefixes, ".byte 0x66, 0x66, 0x66, 0x90; ud2");
SYS_CODE(toolong, ".fill 15, 1, 0x66; nop; ud2");
SYS_CODE(jmp_in, "jmp 1f; .fill 3, 1, 0xcc; 1: ud2");
SYS_CODE(invlpg, "invlpg (%rdi); ud2");

static const struct row rows[] = {
/* plain loads and stores */
{ "load across, both present", CODE(load8), 3, 0, PWU, PWU, .rdi = -4, .vector = UD },
{ "load across, B not present: B is reported", CODE(load8), 3, 0, PWU, 0, .rdi = -4, .vector = PF, .error = eU, .cr2 = 0 },
{ "load across, A not present: the operand is", CODE(load8), 3, 0, 0, PWU, .rdi = -4, .vector = PF, .error = eU, .cr2 = -4 },
{ "load across, neither present: A", CODE(load8), 3, 0, 0, 0, .rdi = -4, .vector = PF, .error = eU, .cr2 = -4 },
{ "load across by one byte", CODE(load2), 3, 0, PWU, 0, .rdi = -1, .vector = PF, .error = eU },
{ "load across, B supervisor", CODE(load4), 3, 0, PWU, P | W, .rdi = -2, .vector = PF, .error = eP | eU },
{ "kernel load across, B not present", CODE(load8), 0, 0, PWU, 0, .rdi = -7, .vector = PF, .error = 0 },
{ "16-byte load across, B not present", CODE(load16), 3, 0, PWU, 0, .rdi = -8, .vector = PF, .error = eU },
{ "16-byte store across, B read-only", CODE(store16), 3, 0, PWU, P | U, .rdi = -1, .vector = PF, .error = eP | eU | eW },
{ "store across, both writable", CODE(store8), 3, 0, PWU, PWU, .rdi = -3, .vector = UD },
{ "store across, B not present: nothing in A", CODE(store8), 3, 0, PWU, 0, .rdi = -4, .vector = PF, .error = eU | eW },
{ "store across, B read-only: nothing in A", CODE(store8), 3, 0, PWU, P | U, .rdi = -4, .vector = PF, .error = eP | eU | eW },
{ "store across, A read-only: nothing in B", CODE(store8), 3, 0, P | U, PWU, .rdi = -4, .vector = PF, .error = eP | eU | eW, .cr2 = -4 },
{ "store across, A read-only, B not present", CODE(store4), 3, 0, P | U, 0, .rdi = -1, .vector = PF, .error = eP | eU | eW, .cr2 = -1 },
{ "store across, A not present, B read-only", CODE(store4), 3, 0, 0, P | U, .rdi = -2, .vector = PF, .error = eU | eW, .cr2 = -2 },
{ "2-byte store across, B read-only", CODE(store2), 3, 0, PWU, P | U, .rdi = -1, .vector = PF, .error = eP | eU | eW },
{ "kernel store across, B read-only", CODE(store8), 0, 0, PWU, P | U, .rdi = -1, .vector = PF, .error = eP | eW },
/* read-modify-write */
{ "ADD across", CODE(add8), 3, 0, PWU, PWU, .rdi = -3, .vector = UD },
{ "ADD across, B read-only: nothing in A", CODE(add8), 3, 0, PWU, P | U, .rdi = -3, .vector = PF, .error = eP | eU | eW },
{ "ADD across, B not present", CODE(add8), 3, 0, PWU, 0, .rdi = -5, .vector = PF, .error = eU | eW },
{ "ADD across, A read-only", CODE(add8), 3, 0, P | U, PWU, .rdi = -5, .vector = PF, .error = eP | eU | eW, .cr2 = -5 },
{ "LOCK ADD across", CODE(lockadd8), 3, 0, PWU, PWU, .rdi = -1, .vector = UD },
{ "LOCK ADD across, B read-only", CODE(lockadd8), 3, 0, PWU, P | U, .rdi = -1, .vector = PF, .error = eP | eU | eW },
{ "LOCK XADD across, A not present", CODE(xadd4), 3, 0, 0, PWU, .rdi = -1, .vector = PF, .error = eU | eW, .cr2 = -1 },
{ "LOCK XADD across, B not present: EAX stays", CODE(xadd4), 3, 0, PWU, 0, .rdi = -1, .vector = PF, .error = eU | eW },
{ "XCHG across, B read-only: RAX stays", CODE(xchg8), 3, 0, PWU, P | U, .rdi = -4, .vector = PF, .error = eP | eU | eW },
{ "CMPXCHG8B across, B read-only", CODE(cx8), 3, 0, PWU, P | U, .rdi = -4, .vector = PF, .error = eP | eU | eW },
{ "SHL across, B not present", CODE(shl8), 3, 0, PWU, 0, .rdi = -4, .vector = PF, .error = eU | eW },
{ "LOCK BTS across, B read-only", CODE(bts), 3, 0, PWU, P | U, .rdi = -4, .vector = PF, .error = eP | eU | eW },
{ "SETcc in A, B not present", CODE(setcc), 3, 0, PWU, 0, .rdi = -1, .vector = UD },
{ "FXSAVE across, B not present", CODE(fxsave), 3, PAGE_ONLY, PWU, 0, .rdi = -256, .vector = PF, .error = eU | eW },
/* stack */
{ "PUSH across, B not present: RSP stays", CODE(push), 3, 0, PWU, 0, .rsp = 4, .vector = PF, .error = eU | eW },
{ "PUSH across, A not present", CODE(push), 3, 0, 0, PWU, .rsp = 4, .vector = PF, .error = eU | eW, .cr2 = -4 },
{ "PUSH below B, A not present", CODE(push), 3, 0, 0, PWU, .rsp = 0, .vector = PF, .error = eU | eW, .cr2 = -8 },
{ "two PUSH, the second faults", CODE(push_pair), 3, 0, 0, PWU, .rsp = 8, .vector = PF, .error = eU | eW, .cr2 = -8, .rip = 1, .size = -8, .done = 1 },
{ "2-byte PUSH across, A read-only", CODE(push2), 3, 0, P | U, PWU, .rsp = 1, .vector = PF, .error = eP | eU | eW, .cr2 = -1 },
{ "PUSH of memory: the source comes first", CODE(pushm), 3, 0, PWU, 0, .rdi = 8, .rsp = 4, .vector = PF, .error = eU, .cr2 = 8 },
{ "POP across, B not present: RSP stays", CODE(pop), 3, 0, PWU, 0, .rsp = -4, .vector = PF, .error = eU },
{ "two POP, the second faults", CODE(pop_pair), 3, 0, PWU, 0, .rsp = -8, .vector = PF, .error = eU, .rip = 1, .size = 8, .done = 1 },
{ "POP to memory, B read-only: RSP stays", CODE(popm), 3, 0, PWU, P | U, .rdi = -4, .rsp = -64, .vector = PF, .error = eP | eU | eW },
{ "CALL, the stack across, B not present", CODE(call), 3, 0, PWU, 0, .rsp = 4, .vector = PF, .error = eU | eW },
{ "CALL, A read-only", CODE(call), 3, 0, P | U, PWU, .rsp = 0, .vector = PF, .error = eP | eU | eW, .cr2 = -8 },
{ "CALL by a register, A not present", CODE(callr), 3, 0, 0, PWU, .rsp = 0, .rdi = 16, .vector = PF, .error = eU | eW, .cr2 = -8 },
{ "CALL by memory across, B not present", CODE(callm), 3, 0, PWU, 0, .rdi = -4, .rsp = -64, .vector = PF, .error = eU },
{ "JMP by memory across, A not present", CODE(jmpm), 3, 0, 0, PWU, .rdi = -4, .vector = PF, .error = eU, .cr2 = -4 },
{ "RET across, B not present", CODE(ret), 3, 0, PWU, 0, .rsp = -4, .vector = PF, .error = eU },
{ "LEAVE, RBP across, B not present: RSP stays", CODE(leave), 3, 0, PWU, 0, .rdi = -4, .rsp = -64, .vector = PF, .error = eU, .rip = 3 },
{ "ENTER across, B not present", CODE(enter), 3, 0, PWU, 0, .rsp = 4, .vector = PF, .error = eU | eW },
{ "ENTER, the frame's far end not present", CODE(enter_far), 3, 0, 0, PWU, .rsp = 8, .vector = PF, .error = eU | eW, .cr2 = -0x800 },
{ "IRET, the frame across, B not present", CODE(iret), 3, 0, PWU, 0, .rsp = -16, .vector = PF, .error = eU },
{ "IRET, the frame across, A not present", CODE(iret), 3, PAGE_ONLY, 0, PWU, .rsp = -16, .vector = PF, .error = eU, .cr2 = -16 },
{ "kernel IRET, the frame across, B not present", CODE(iret), 0, 0, P | W, 0, .rsp = -24, .vector = PF, .error = 0 },
/* strings */
{ "REP MOVSB, destination faults in the middle", CODE(repmovsb), 3, 0, PWU, 0, .rdi = -8, .rsi = -64, .rcx = 20, .vector = PF, .error = eU | eW, .done = 8, .size = 1 },
{ "REP MOVSB, source faults in the middle", CODE(repmovsb), 3, 0, PWU, 0, .rdi = -64, .rsi = -3, .rcx = 20, .vector = PF, .error = eU, .done = 3, .size = 1 },
{ "REP MOVSQ, an element across faults whole", CODE(repmovsq), 3, 0, PWU, 0, .rdi = -12, .rsi = -64, .rcx = 5, .vector = PF, .error = eU | eW, .done = 1, .size = 8 },
{ "REP MOVSQ, the source's element across", CODE(repmovsq), 3, 0, PWU, 0, .rdi = -256, .rsi = -28, .rcx = 5, .vector = PF, .error = eU, .done = 3, .size = 8 },
{ "REP MOVSB at once, B read-only", CODE(repmovsb), 3, 0, PWU, P | U, .rdi = 0, .rsi = -64, .rcx = 20, .vector = PF, .error = eP | eU | eW, .done = 0, .size = 1 },
{ "REP MOVSB, source and destination fault: source", CODE(repmovsb), 3, 0, PWU, 0, .rdi = 64, .rsi = 32, .rcx = 20, .vector = PF, .error = eU, .cr2 = 32, .size = 1 },
{ "MOVSB without REP, B not present", CODE(movsb), 3, 0, PWU, 0, .rdi = 0, .rsi = -64, .vector = PF, .error = eU | eW },
{ "REP MOVSB with RCX 0 does not fault", CODE(repmovsb), 3, 0, PWU, 0, .rdi = 0, .rsi = 0, .rcx = 0, .vector = UD },
{ "REP MOVSB downward into A", CODE(repmovsb), 3, DOWN, 0, PWU, .rdi = 2, .rsi = 64, .rcx = 20, .vector = PF, .error = eU | eW, .cr2 = -1, .done = 3, .size = 1 },
{ "REP MOVSQ downward into A", CODE(repmovsq), 3, DOWN, 0, PWU, .rdi = 12, .rsi = 64, .rcx = 20, .vector = PF, .error = eU | eW, .cr2 = -4, .done = 2, .size = 8 },
{ "REP STOSB into B", CODE(repstosb), 3, 0, PWU, 0, .rdi = -100, .rcx = 4096, .vector = PF, .error = eU | eW, .done = 100, .size = 1 },
{ "REP STOSQ, an element across", CODE(repstosq), 3, 0, PWU, P | U, .rdi = -100, .rcx = 4096, .vector = PF, .error = eP | eU | eW, .done = 12, .size = 8 },
{ "REP LODSB into B", CODE(replodsb), 3, 0, PWU, 0, .rsi = -5, .rcx = 9, .vector = PF, .error = eU, .done = 5, .size = 1 },
{ "REPNE SCASB into B", CODE(repscasb), 3, 0, PWU, 0, .rdi = -5, .rcx = 9, .vector = PF, .error = eU, .done = 5, .size = 1 },
{ "REPE CMPSB, RDI into B", CODE(repcmpsb), 3, 0, PWU, 0, .rdi = -5, .rsi = -64, .rcx = 9, .vector = PF, .error = eU, .done = 5, .size = 1 },
{ "REPE CMPSW, RSI across", CODE(repcmpsw), 3, 0, PWU, 0, .rdi = -65, .rsi = -5, .rcx = 9, .vector = PF, .error = eU, .done = 2, .size = 2 },
{ "kernel REP MOVSB, B read-only", CODE(repmovsb), 0, 0, PWU, P | U, .rdi = -9, .rsi = -64, .rcx = 20, .vector = PF, .error = eP | eW, .done = 9, .size = 1 },
/* instructions across: 'at' bytes are in A */
{ "instruction across", CODE(movabs), 3, AT_B, PWU, PWU, .at = 5, .vector = UD },
{ "instruction across, B elsewhere", CODE(movabs), 3, AT_B | OTHER_B, PWU, PWU, .at = 5, .vector = UD },
{ "instruction across, B not present: RIP in A, CR2 is B", CODE(movabs), 3, AT_B, PWU, 0, .at = 5, .vector = PF, .error = eU | eI },
{ "one byte in A, B not present", CODE(movabs), 3, AT_B, PWU, 0, .at = 1, .vector = PF, .error = eU | eI },
{ "one byte in B, not present", CODE(movabs), 3, AT_B, PWU, 0, .at = 9, .vector = PF, .error = eU | eI },
{ "instruction across, B is NX", CODE(movabs), 3, AT_B, PWU, PWU | NX, .at = 3, .vector = PF, .error = eP | eU | eI },
{ "instruction across, B is supervisor", CODE(movabs), 3, AT_B, PWU, P | W, .at = 3, .vector = PF, .error = eP | eU | eI },
{ "instruction across, A not present", CODE(movabs), 3, AT_B, 0, PWU, .at = 3, .vector = PF, .error = eU | eI, .cr2 = -3 },
{ "prefixes across, B not present", CODE(prefixes), 3, AT_B, PWU, 0, .at = 2, .vector = PF, .error = eU | eI },
{ "the first instruction ends A, B not present", CODE(nop), 3, AT_B, PWU, 0, .at = 1, .vector = PF, .error = eU | eI, .rip = 1 },
{ "a jump over the boundary, B is NX", CODE(jmp_in), 3, AT_B, PWU, PWU | NX, .at = 2, .vector = PF, .error = eP | eU | eI, .cr2 = 3, .rip = 5 },
{ "#UD in A comes before B's fault", CODE(ud), 3, AT_B, PWU, 0, .at = 2, .vector = UD },
{ "UD2 across, B not present", CODE(ud), 3, AT_B, PWU, 0, .at = 1, .vector = PF, .error = eU | eI },
{ "fetch across before the operand's fault", CODE(load8), 3, AT_B, PWU, 0, .at = 2, .rdi = 64, .vector = PF, .error = eU | eI },
{ "16 bytes are too long", CODE(toolong), 3, AT_B, PWU, PWU, .at = 4, .vector = GP },
{ "kernel instruction across, B is NX", CODE(movabs), 0, AT_B, P | W, P | W | NX, .at = 4, .vector = PF, .error = eP | eI },
{ "kernel instruction across, B not present", CODE(movabs), 0, AT_B, P | W, 0, .at = 9, .vector = PF, .error = eI },
/* canonical form; B is the end of the lower half, A below it */
{ "load beyond the lower half", CODE(load8), 3, TO_TOP, PWU, 0, .rdi = 0, .vector = GP },
{ "load across the end", CODE(load8), 3, TO_TOP | RULE_ONLY, PWU, 0, .rdi = -4, .vector = GP },
{ "load across the end, A not present either", CODE(load8), 3, TO_TOP | RULE_ONLY, 0, 0, .rdi = -4, .vector = GP },
{ "load up to the end", CODE(load8), 3, TO_TOP, PWU, 0, .rdi = -8, .vector = UD },
{ "store across the end", CODE(store8), 3, TO_TOP | RULE_ONLY, PWU, 0, .rdi = -1, .vector = GP },
{ "read-modify-write beyond", CODE(add8), 3, TO_TOP, PWU, 0, .rdi = 8, .vector = GP },
{ "by RBP: #SS", CODE(rbp), 3, TO_TOP, PWU, 0, .rdi = 0, .vector = SS, .rip = 3 },
{ "by RSP: #SS", CODE(rsp), 3, TO_TOP, PWU, 0, .rsp = 0, .vector = SS },
{ "by RBP as index: #GP", CODE(rsi_rbp), 3, TO_TOP, PWU, 0, .rdi = 0, .rsi = 0, .vector = GP, .rip = 3 },
{ "PUSH beyond: #SS", CODE(push), 3, TO_TOP, PWU, 0, .rsp = 16, .vector = SS },
{ "PUSH across the end: #SS", CODE(push), 3, TO_TOP | RULE_ONLY, PWU, 0, .rsp = 4, .vector = SS },
{ "PUSH up to the end", CODE(push), 3, TO_TOP, PWU, 0, .rsp = 0, .vector = UD, .done = 1, .size = -8 },
{ "POP beyond: #SS", CODE(pop), 3, TO_TOP, PWU, 0, .rsp = 0, .vector = SS },
{ "RET with RSP beyond: #SS", CODE(ret), 3, TO_TOP, PWU, 0, .rsp = 0, .vector = SS },
{ "CALL with RSP beyond: #SS", CODE(call), 3, TO_TOP, PWU, 0, .rsp = 64, .vector = SS },
{ "IRET with RSP beyond: #SS", CODE(iret), 3, TO_TOP | RULE_ONLY, PWU, 0, .rsp = 0, .vector = SS },
{ "ENTER with RSP beyond: #SS", CODE(enter), 3, TO_TOP, PWU, 0, .rsp = 64, .vector = SS },
{ "LEAVE with RBP beyond: #SS", CODE(leave), 3, TO_TOP, PWU, 0, .rdi = 0, .rsp = -64, .vector = SS, .rip = 3 },
{ "MOVSB to beyond: #GP", CODE(movsb), 3, TO_TOP, PWU, 0, .rdi = 0, .rsi = -64, .vector = GP },
{ "REP MOVSB over the end", CODE(repmovsb), 3, TO_TOP, PWU, 0, .rdi = -5, .rsi = -64, .rcx = 9, .vector = GP, .done = 5, .size = 1 },
{ "REP LODSB over the end", CODE(replodsb), 3, TO_TOP, PWU, 0, .rsi = -5, .rcx = 9, .vector = GP, .done = 5, .size = 1 },
{ "LEA of such an address is fine", CODE(lea), 3, TO_TOP, PWU, 0, .rdi = 0, .vector = UD },
{ "JMP beyond: #GP at the jump", CODE(jmpr), 3, TO_TOP, PWU, 0, .rdi = 0, .vector = GP },
{ "CALL beyond: #GP at the call, RSP stays", CODE(callr), 3, TO_TOP, PWU, 0, .rdi = 0, .rsp = -64, .vector = GP },
{ "code runs over the end: #GP there", CODE(nop), 3, TO_TOP | AT_B, PWU, 0, .at = 1, .vector = GP, .rip = 1 },
{ "an instruction across the end", CODE(movabs), 3, TO_TOP | AT_B, PWU, 0, .at = 5, .vector = GP },
{ "INVLPG of such an address does nothing", CODE(invlpg), 0, TO_TOP, PWU, 0, .rdi = 0, .vector = UD },
};
/* clang-format on */

static uint64_t *space;
static uint8_t *phys[3]; /* A, B, another B */
static uint8_t *code_page;
static bool only_user;
#define FILL 0x5a

static uint64_t
boundary(const struct row *r)
{
	return r->how & TO_TOP ? LOW_TOP : BOUNDARY;
}

/* Pages, and the code at its place; returns its address. */
static uint64_t
prepare(const struct row *r)
{
	uint64_t b = boundary(r), n = (uint64_t)(r->code.end - r->code.start);
	uint8_t *second = phys[r->how & OTHER_B ? 2 : 1];

	for (unsigned i = 0; i < 3; i++)
		memset(phys[i], FILL, 4096);
	*sys_pte(space, b - 4096) = r->a ? (uint64_t)phys[0] | r->a : 0;
	if (!(r->how & TO_TOP))
		*sys_pte(space, b) = r->b ? (uint64_t)second | r->b : 0;
	invlpg(b - 4096);
	invlpg(b);
	if (!(r->how & AT_B)) {
		memcpy(code_page, r->code.start, n);
		return r->cpl == 3 ? USER_CODE : (uint64_t)code_page;
	}
	for (uint64_t i = 0; i < n; i++) {
		if (i < (uint64_t)r->at)
			phys[0][4096 - r->at + i] = (uint8_t)r->code.start[i];
		else
			second[i - r->at] = (uint8_t)r->code.start[i];
	}
	return b - (uint64_t)r->at;
}

/*
 * No store of a single instruction may be half done. FXSAVE's area may be, and
 * a CALL (ENTER) may have pushed before it looks at its target (the frame).
 */
static bool
memory_untouched(const struct row *r)
{
	if (r->done != 0 || (r->how & AT_B) || r->code.start == sys_fxsave ||
	    r->code.start == sys_callr || r->code.start == sys_enter_far)
		return true;
	for (unsigned i = 0; i < 4096; i++)
		if (phys[0][i] != FILL || phys[1][i] != FILL)
			return false;
	return true;
}

static bool
check(const struct row *r, const struct sys_regs *was, const struct sys_regs *s,
    uint64_t start)
{
	uint64_t b = boundary(r), rip = start + (uint64_t)(int64_t)r->rip;
	int64_t moved = (int64_t)r->done * r->size;
	struct trap_frame want = was->f;
	bool string = r->rcx != 0, good;
	uint64_t slack = r->how & PAGE_ONLY ? 4096 : 1;

	if (r->how & DOWN)
		moved = -moved;
	if (string) {
		want.rcx -= (uint64_t)r->done;
		if (r->code.start != sys_replodsb)
			want.rdi += (uint64_t)moved;
		if (r->code.start != sys_repstosb &&
		    r->code.start != sys_repstosq &&
		    r->code.start != sys_repscasb)
			want.rsi += (uint64_t)moved;
	} else
		want.rsp += (uint64_t)moved;
	good = s->f.vector == (uint64_t)r->vector;
	if (r->vector == PF)
		good = good && s->f.error == (uint64_t)r->error &&
		    (s->cr2 ^ (b + (uint64_t)(int64_t)r->cr2)) < slack;
	if (r->vector != UD)
		good = good && s->f.rip == rip && s->f.rcx == want.rcx &&
		    s->f.rdi == want.rdi && s->f.rsi == want.rsi &&
		    s->f.rsp == want.rsp &&
		    (s->f.rax == want.rax || r->rip != 0 || string);
	if (!good)
		print(
		    "# vector %u error %x cr2 %lx rip %lx; expected %u %x %lx "
		    "%lx\n# rcx %lx rsi %lx rdi %lx rsp %lx; expected %lx "
		    "%lx %lx %lx\n",
		    (unsigned)s->f.vector, (unsigned)s->f.error, s->cr2,
		    s->f.rip, r->vector, r->error,
		    b + (uint64_t)(int64_t)r->cr2, rip, s->f.rcx, s->f.rsi,
		    s->f.rdi, s->f.rsp, want.rcx, want.rsi, want.rdi, want.rsp);
	if (good && r->vector != UD && !memory_untouched(r)) {
		print("# memory was written in spite of the fault\n");
		good = false;
	}
	return good;
}

static bool
run_row(const struct row *r)
{
	uint64_t b = boundary(r), start = prepare(r);
	struct sys_regs was, s;

	sys_regs_init(
	    &was, r->cpl, (void *)start, b + (uint64_t)(int64_t)r->rsp);
	was.f.rdi = b + (uint64_t)(int64_t)r->rdi;
	was.f.rsi = b + (uint64_t)(int64_t)r->rsi;
	was.f.rcx = r->rcx;
	was.f.rax = 0x1717;
	if (r->how & DOWN)
		was.f.rflags |= FLAG_DF;
	/* twice: what the first run put into the TLB changes nothing */
	for (unsigned i = 0; i < 2; i++) {
		s = was;
		sys_run(&s);
		if (!check(r, &was, &s, start))
			return false;
	}
	return true;
}

static uint64_t
run_all(uint64_t unused)
{
	uint64_t cr3 = read_cr3(), efer = rdmsr_0(MSR_EFER);

	sys_init();
	space = sys_space();
	for (unsigned i = 0; i < 3; i++)
		phys[i] = balloc(4096, 4096);
	code_page = balloc(4096, 4096);
	*sys_pte(space, USER_CODE) = (uint64_t)code_page | P | U;
	wrmsr_0(MSR_EFER, efer | EFER_NXE);
	write_cr3((uint64_t)space);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].cpl == 0 && only_user)
			skip(rows[i].what, "this KVM emulates ring 0");
		else if ((rows[i].how & RULE_ONLY) && !sys_is_soft())
			skip(rows[i].what, "CPUs differ");
		else
			ok(run_row(&rows[i]), "%s", rows[i].what);
	}
	write_cr3(cr3);
	wrmsr_0(MSR_EFER, efer);
	sys_done();
	return 0;
}

void
user_main(void)
{
	only_user = sys_ring0_emulated();
	ring0(run_all, 0);
	tap_done();
}
