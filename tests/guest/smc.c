/*
 * Code that changes: by its own stores of every kind, through an alias, by DMA,
 * by another CPU; and atomics of several CPUs on memory that holds code, or
 * that crosses a line or page. All in ring 3: on KVM the host CPU's own answer.
 *
 * Source: Intel SDM vol. 3, 8.1 (locked operations, self- and cross-modifying
 * code), 11.6 (self-modifying code).
 */
#include "sys.h"
#include "virtio.h"

/* On the host's CPU it is only shown that the expectations are right. */
#define ITERATIONS (sys_is_soft() ? 2000u : 100u)
#define ALIAS UINT64_C(0x30000000)

static uint8_t area[4 * 4096] __attribute__((aligned(0x200000)));
#define PAGE(n) (area + 4096 * (n))

/* ---- a CPU and itself ---- */

struct row {
	const char *what;
	const char *start, *end;
	unsigned at; /* where in the area */
	uint32_t want;
};

/* clang-format off */
/* "store" changes the immediate of the MOV at 1, or its lowest byte, to 2. */
#define NEXT_INSN(name, store) \
	SYS_CODE(name, store "\n1: movl $1, %eax\n ret")
#define LATER(name, store) \
	SYS_CODE(name, store "\n.fill 40, 1, 0x90\n1: movl $1, %eax\n ret")
NEXT_INSN(byte, "movb $2, 1f+1(%rip)");
NEXT_INSN(word, "movw $2, 1f+1(%rip)");
NEXT_INSN(dword, "movl $2, 1f+1(%rip)");
NEXT_INSN(reg, "movl $2, %ecx; movl %ecx, 1f+1(%rip)");
NEXT_INSN(alu, "addb $1, 1f+1(%rip)");
NEXT_INSN(inc, "incl 1f+1(%rip)");
NEXT_INSN(shift, "shlb $1, 1f+1(%rip)");
NEXT_INSN(lock, "lock incl 1f+1(%rip)");
NEXT_INSN(lockadd, "lock addb $1, 1f+1(%rip)");
NEXT_INSN(xchg, "movl $2, %ecx; xchgl %ecx, 1f+1(%rip)");
NEXT_INSN(xadd, "movl $1, %ecx; lock xaddl %ecx, 1f+1(%rip)");
NEXT_INSN(cmpxchg, "movl $1, %eax; movl $2, %ecx; lock cmpxchgl %ecx, 1f+1(%rip)");
NEXT_INSN(cx8b, "movl $0xb8909090, %eax; movl $1, %edx; movl %eax, %ebx; movl $2, %ecx\n"
    "lock cmpxchg8b 1f-3(%rip); .byte 0x90, 0x90, 0x90");
NEXT_INSN(bts, "btsl $1, 1f+1(%rip); btrl $0, 1f+1(%rip)");
NEXT_INSN(setcc, "xorl %ecx, %ecx; setz 1f+1(%rip); setz 1f+2(%rip); movb $2, 1f+1(%rip); setnz 1f+2(%rip)");
NEXT_INSN(pop, "pushq $2; popw 1f+1(%rip); addq $6, %rsp");
NEXT_INSN(sse, "movdqu 2f(%rip), %xmm0; movdqu %xmm0, 1f(%rip); jmp 1f\n"
    "2: movl $2, %eax; ret; .fill 10, 1, 0x90");
NEXT_INSN(movnti, "movl $2, %ecx; movnti %ecx, 1f+1(%rip)");
NEXT_INSN(movs, "leaq 2f(%rip), %rsi; leaq 1f(%rip), %rdi; movl $5, %ecx; rep movsb; jmp 1f\n"
    "2: movl $2, %eax");
NEXT_INSN(stos, "leaq 1f+1(%rip), %rdi; movb $2, %al; movl $1, %ecx; rep stosb");
NEXT_INSN(stosd, "leaq 1f+1(%rip), %rdi; movl $2, %eax; stosl");
LATER(later, "movb $2, 1f+1(%rip)");
LATER(later_movs, "leaq 2f(%rip), %rsi; leaq 1f(%rip), %rdi; movl $5, %ecx; rep movsb; jmp 1f\n"
    "2: movl $2, %eax");
/* The first PUSH overwrites the second with MOV $7, %eax. */
SYS_CODE(pushes, "movq %rsp, %rdx; movq 3f(%rip), %rcx; leaq 2f+8(%rip), %rsp; jmp 1f\n"
    ".p2align 4\n1: pushq %rcx\n2: pushq %rcx; movl $1, %eax; nop; nop\n"
    "movq %rdx, %rsp; ret\n .p2align 3\n3: movl $7, %eax; nop; nop; nop");
/* The opcode of the branch after a comparison. */
SYS_CODE(branch, "movl $1, %eax; movb $0x75, 1f(%rip); cmpl %eax, %eax\n1: jz 2f; movl $2, %eax\n2: ret");
/* Instruction boundaries move: ADD $imm32 becomes ADD $imm8 and NOPs. */
SYS_CODE(length, "xorl %eax, %eax; movq 2f(%rip), %rcx; movq %rcx, 1f(%rip)\n"
    "1: addl $0x100, %ecx; nop; nop; ret\n2: addl $5, %eax; .fill 5, 1, 0x90");
/* 1 + 2 + ... + 100 */
SYS_CODE(loop, "xorl %eax, %eax; movl $100, %ecx\n1: addl $1, %eax; incb 1b+2(%rip)\n"
    "decl %ecx; jnz 1b; ret");
/* A counter beside the code. */
SYS_CODE(data, "movl $1000, %ecx\n1: incl 2f(%rip); decl %ecx; jnz 1b\n movl 2f(%rip), %eax; ret\n2: .long 0");
/* The immediate lies in two pages; 13 bytes before them. */
SYS_CODE(straddle, "movl $0x02020202, 1f+1(%rip)\n1: movl $0x01010101, %eax; ret");
SYS_CODE(straddle_lock, "lock addl $0x01010101, 1f+1(%rip); nop\n1: movl $0x01010101, %eax; ret");
/* The immediate's last byte, in the next page, changes between two calls. */
SYS_CODE(straddle_call, "call 1f; movb $2, 1f+4(%rip); call 1f; ret\n1: movl $1, %eax; ret");
/* A subroutine in the next page, called before and after. */
SYS_CODE(sub, "call 1f; movb $2, 1f+1(%rip); call 1f; ret\n .fill 4096 - (. - sys_sub), 1, 0x90\n1: movl $1, %eax; ret");

#define ROW(name) sys_##name, sys_##name##_end
static const struct row rows[] = {
{ "MOV of a byte into the next instruction", ROW(byte), 0, 2 },
{ "MOV of a word", ROW(word), 0, 2 },
{ "MOV of a doubleword", ROW(dword), 0, 2 },
{ "MOV from a register", ROW(reg), 0, 2 },
{ "ADD to memory", ROW(alu), 0, 2 },
{ "INC", ROW(inc), 0, 2 },
{ "SHL", ROW(shift), 0, 2 },
{ "LOCK INC", ROW(lock), 0, 2 },
{ "LOCK ADD", ROW(lockadd), 0, 2 },
{ "XCHG", ROW(xchg), 0, 2 },
{ "LOCK XADD", ROW(xadd), 0, 2 },
{ "LOCK CMPXCHG", ROW(cmpxchg), 0, 2 },
{ "LOCK CMPXCHG8B", ROW(cx8b), 0, 2 },
{ "BTS and BTR", ROW(bts), 0, 2 },
{ "SETcc", ROW(setcc), 0, 2 },
{ "POP to memory", ROW(pop), 0, 2 },
{ "MOVDQU", ROW(sse), 0, 2 },
{ "MOVNTI", ROW(movnti), 0, 2 },
{ "REP MOVSB", ROW(movs), 0, 2 },
{ "REP STOSB", ROW(stos), 0, 2 },
{ "STOSD", ROW(stosd), 0, 2 },
{ "MOV, 40 instructions ahead", ROW(later), 0, 2 },
{ "REP MOVSB, 40 instructions ahead", ROW(later_movs), 0, 2 },
{ "PUSH over the PUSH that follows", ROW(pushes), 0, 7 },
{ "the branch after a comparison", ROW(branch), 0, 2 },
{ "instructions of other lengths", ROW(length), 0, 5 },
{ "a loop that changes itself each time", ROW(loop), 0, 5050 },
{ "data beside code", ROW(data), 0, 1000 },
{ "an immediate in two pages", ROW(straddle), 4096 - 13, 0x02020202 },
{ "an immediate in two pages, LOCK ADD", ROW(straddle_lock), 4096 - 15, 0x02020202 },
{ "an immediate in two pages, between calls", ROW(straddle_call), 4096 - 20, 0x02000001 },
{ "a subroutine in the next page", ROW(sub), 0, 2 },
{ "MOV in the last instructions of a page", ROW(byte), 4096 - 13, 2 },
};
/* clang-format on */

static uint32_t
call(const void *at)
{
	uint32_t r;

	__asm__ volatile("call *%1"
			 : "=a"(r)
			 : "r"(at)
			 : "rcx", "rdx", "rbx", "rsi", "rdi", "memory", "cc");
	return r;
}

static void
serialize(void)
{
	uint32_t r[4];

	cpuid(0, 0, r);
}

static void
test_self(void)
{
	const struct row *r;
	uint32_t got = 0;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r = &rows[i];
		/* again and again in the same place: blocks are there */
		for (unsigned k = 0; k < 3; k++) {
			memset(area, 0xcc, 2 * 4096);
			memcpy(area + r->at, r->start,
			    (size_t)(r->end - r->start));
			serialize();
			got = call(area + r->at);
			if (got != r->want)
				break;
		}
		if (!ok(got == r->want, "%s", r->what))
			print("# %u, expected %u\n", got, r->want);
	}
}

/* ---- by other ways ---- */

/* Its second half is another block in the same page, which stays. */
SYS_CODE(f, "movl $0, %eax; jmp 1f; .fill 80, 1, 0xcc\n1: ret");
#define IMMEDIATE(f) ((volatile uint8_t *)(f) + 1)

static uint64_t
map_alias(uint64_t unused)
{
	extern uint64_t pds[2048];

	pds[ALIAS >> 21] = (uint64_t)area | PWU | PS;
	invlpg(ALIAS);
	return 0;
}

static void
test_alias(void)
{
	uint32_t bad = 0;

	ring0(map_alias, 0);
	SYS_COPY(PAGE(2), f);
	for (unsigned i = 0; i < 100; i++) {
		IMMEDIATE(ALIAS + 2 * 4096)[0] = (uint8_t)i;
		serialize();
		bad += call(PAGE(2)) != i;
	}
	ok(bad == 0, "stores through another linear address (%u)", bad);
	for (unsigned i = 0; i < 100; i++) {
		IMMEDIATE(PAGE(2))[0] = (uint8_t)i;
		serialize();
		bad += call((void *)(ALIAS + 2 * 4096)) != i;
	}
	ok(bad == 0, "code at another linear address (%u)", bad);
}

static struct vdev disk;
static struct vq queue;

static bool
transfer(uint32_t type, uint64_t sector, void *data)
{
	static struct {
		uint32_t type, reserved;
		uint64_t sector;
	} h __attribute__((aligned(16)));
	static volatile uint8_t status;
	struct vring_used_elem u;

	h.type = type;
	h.sector = sector;
	status = 0xee;
	vq_desc(&queue, 0, &h, 16, DESC_NEXT, 1);
	vq_desc(&queue, 1, data, 512,
	    (uint16_t)(DESC_NEXT | (type == 0 ? DESC_WRITE : 0)), 2);
	vq_desc(&queue, 2, &status, 1, DESC_WRITE, 0);
	vq_add(&queue, 0);
	vq_kick(&queue);
	return vq_wait(&queue, PATIENCE, &u) && status == 0;
}

static void
test_dma(void)
{
	static uint8_t sector[512] __attribute__((aligned(512)));
	uint32_t bad = 0, n = 20;

	if (!ok(vdev_open(&disk, 2, 0) && vdev_negotiate(&disk, 0) &&
		    vdev_queue(&disk, 0, 16, -1, &queue),
		"the disk is there"))
		return;
	vdev_ready(&disk);
	SYS_COPY(sector, f);
	for (unsigned i = 0; i < n; i++) {
		sector[1] = (uint8_t)(i + 1);
		bad += !transfer(1, i, sector);
	}
	for (unsigned i = 0; i < n; i++) {
		bad += !transfer(0, i, PAGE(3));
		bad += call(PAGE(3)) != i + 1;
	}
	ok(bad == 0, "code read from the disk over code (%u)", bad);
}

/* ---- two CPUs ---- */

static volatile uint32_t goal; /* what f returns from now on */
static volatile uint64_t seen; /* goal << 32 | what f returned then */
static volatile bool stop;
static uint8_t *volatile subject; /* f */

/* Calls f all the time, so that its code is being decoded during the change. */
static void
caller(void)
{
	uint32_t g;

	while (!stop) {
		g = goal;
		serialize();
		seen = (uint64_t)g << 32 | call(subject);
	}
	seen = 0;
}

#define ADDS 20000
#define SPLIT_ADDS 500
static uint8_t *volatile counter;
static volatile uint32_t adds;
static volatile uint32_t round_no, round_done;

#define ADD_TO(p)                           \
	__asm__ volatile("lock addq $1, %0" \
			 : "+m"(*(volatile uint64_t *)(p))::"memory", "cc")

static void
adder(void)
{
	uint32_t n = 0;

	for (;;) {
		while (round_no == n)
			cpu_pause();
		n = round_no;
		for (unsigned i = 0; i < adds; i++)
			ADD_TO(counter);
		round_done = n;
	}
}

static void
other(void)
{
	caller();
	adder();
}

static bool
sees(void *arg)
{
	return seen >> 32 == (uint64_t)arg;
}

typedef void change_fn(volatile uint8_t *imm, uint32_t now, uint32_t next);

static void
by_mov(volatile uint8_t *imm, uint32_t now, uint32_t next)
{
	*(volatile uint32_t *)imm = next;
}
static void
by_byte(volatile uint8_t *imm, uint32_t now, uint32_t next)
{
	for (unsigned i = 0; i < 4; i++)
		imm[i] = (uint8_t)(next >> 8 * i);
}
static void
by_inc(volatile uint8_t *imm, uint32_t now, uint32_t next)
{
	__asm__ volatile("incl %0" : "+m"(*(volatile uint32_t *)imm));
}
static void
by_lock_inc(volatile uint8_t *imm, uint32_t now, uint32_t next)
{
	__asm__ volatile("lock incl %0" : "+m"(*(volatile uint32_t *)imm));
}
static void
by_xchg(volatile uint8_t *imm, uint32_t now, uint32_t next)
{
	__asm__ volatile("xchgl %1, %0"
			 : "+m"(*(volatile uint32_t *)imm), "+r"(next));
}
static void
by_xadd(volatile uint8_t *imm, uint32_t now, uint32_t next)
{
	uint32_t one = 1;

	__asm__ volatile("lock xaddl %1, %0"
			 : "+m"(*(volatile uint32_t *)imm), "+r"(one));
}
static void
by_cmpxchg(volatile uint8_t *imm, uint32_t now, uint32_t next)
{
	__asm__ volatile("lock cmpxchgl %2, %0"
			 : "+m"(*(volatile uint32_t *)imm), "+a"(now)
			 : "r"(next));
}
static void
by_movs(volatile uint8_t *imm, uint32_t now, uint32_t next)
{
	const void *src = &next;
	uint64_t n = 4;

	__asm__ volatile("rep movsb" : "+D"(imm), "+S"(src), "+c"(n)::"memory");
}

/* clang-format off */
static const struct {
	const char *what;
	change_fn *fn;
	unsigned at; /* of the function; its immediate is one byte behind */
} changes[] = {
	{ "MOV", by_mov, 0 },
	{ "four MOV of bytes", by_byte, 0 },
	{ "REP MOVSB", by_movs, 0 },
	{ "INC", by_inc, 0 },
	{ "LOCK INC", by_lock_inc, 0 },
	{ "XCHG", by_xchg, 0 },
	{ "LOCK XADD", by_xadd, 0 },
	{ "LOCK CMPXCHG", by_cmpxchg, 0 },
	{ "MOV across lines", by_mov, 61 },
	{ "LOCK INC across lines", by_lock_inc, 61 },
	{ "LOCK XADD across pages", by_xadd, 4093 },
	{ "INC across pages", by_inc, 4093 },
};
/* clang-format on */

static bool
test_cross_modifying(void)
{
	uint32_t value = 0, bad, n, iterations = ITERATIONS;
	uint8_t *f;

	/* not where the first change is prepared */
	subject = PAGE(2);
	SYS_COPY(subject, f);
	if (!ok(ap_start(1, other), "a second CPU calls"))
		return false;
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		f = PAGE(2 * (i & 1)) + changes[i].at;
		memset(PAGE(2 * (i & 1)), 0x90, 8192);
		SYS_COPY(f, f);
		*(volatile uint32_t *)(f + 1) = value;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		subject = f;
		/* the caller may be on its way into the old one still */
		goal = ++value;
		*(volatile uint32_t *)(f + 1) = value;
		wait_until(sees, (void *)(uint64_t)value, PATIENCE);
		bad = n = 0;
		for (; n < iterations && bad == 0; n++) {
			changes[i].fn(IMMEDIATE(f), value, value + 1);
			goal = ++value;
			while (seen >> 32 != value)
				cpu_pause();
			bad += (uint32_t)seen != value;
		}
		if (!ok(bad == 0, "seen by another CPU: %s", changes[i].what))
			print("# after %u changes it saw %u, not %u\n", n,
			    (uint32_t)seen, value);
	}
	stop = true;
	while (seen != 0)
		cpu_pause();
	return true;
}

/* ---- atomics of two CPUs on the same memory ---- */

static bool
round_over(void *arg)
{
	return round_done == round_no;
}

static void
test_atomics(void)
{
	/* clang-format off */
	static const struct {
		const char *what;
		unsigned at, adds;
	} places[] = {
	{ "in a page without code", 2 * 4096 + 64, ADDS },
	{ "beside code", 128, ADDS },
	{ "across two lines", 2 * 4096 + 60, SPLIT_ADDS },
	{ "across two lines beside code", 60, SPLIT_ADDS },
	{ "across two pages", 3 * 4096 - 4, SPLIT_ADDS },
	{ "across two pages, one with code", 4096 - 1, SPLIT_ADDS },
	};
	/* clang-format on */
	uint64_t got;

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		memset(area, 0, sizeof(area));
		SYS_COPY(PAGE(0), f);
		serialize();
		call(PAGE(0));
		counter = area + places[i].at;
		*(volatile uint64_t *)counter = 0;
		adds = places[i].adds;
		if (adds == SPLIT_ADDS && !sys_is_soft())
			adds = 50;
		round_no++;
		for (unsigned k = 0; k < adds; k++) {
			ADD_TO(counter);
			if (k % 100 == 0)
				call(PAGE(0));
		}
		wait_until(round_over, NULL, 60000);
		got = *(volatile uint64_t *)counter;
		if (!ok(got == 2 * adds, "two CPUs add %s", places[i].what))
			print("# %lu of %u\n", got, 2 * adds);
	}
}

void
user_main(void)
{
	lapic_enable();
	test_self();
	test_alias();
	test_dma();
	if (test_cross_modifying())
		test_atomics();
	tap_done();
}
