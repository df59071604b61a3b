/*
 * Ring 0 half of a test guest: descriptor tables, traps, the few services that
 * need privilege, the local APIC and the start-up of further CPUs.
 */
#include "guest.h"

struct idt_gate {
	uint16_t off0, sel;
	uint8_t ist, attr;
	uint16_t off1;
	uint32_t off2, zero;
} __attribute__((packed));

struct tss {
	uint32_t r0;
	uint64_t rsp[3];
	uint64_t r1, ist[7], r2;
	uint16_t r3, iomap;
	uint8_t io[8193]; /* all ports allowed; ends with a byte of ones */
} __attribute__((packed));

#define MAX_CPUS 16
extern uint64_t gdt[], gdt_tss[], pml4[512];
extern char idt_stubs[], stack_top[], guest_end[];
void guest_early(void);
void guest_trap(struct trap_frame *f);

static struct idt_gate idt[256] __attribute__((aligned(16)));
static struct tss tss0;
volatile uint32_t irq_count[256];
static irq_fn handlers[256];
static char *brk_ptr;
bool (*trap_hook)(struct trap_frame *f);

/*
 * A service call is UD2 with this in RAX: software interrupts and IOPL do not
 * work in ring 3 of every KVM, exceptions and the I/O bitmap do.
 */
#define SVC_MAGIC UINT64_C(0x7a68797665)
enum service {
	SVC_HALT,
	SVC_DEAD,
	SVC_RDMSR,
	SVC_WRMSR,
	SVC_CALL,
	SVC_TRIPLE,
	SVC_IF
};

static void
load_idt(uint16_t limit)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) p = { limit, (uint64_t)idt };

	__asm__ volatile("lidt %0" ::"m"(p) : "memory");
}

static inline void
wrmsr0(uint32_t msr, uint64_t v)
{
	__asm__ volatile(
	    "wrmsr" ::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
	    : "memory");
}

static inline uint64_t
rdmsr0(uint32_t msr)
{
	uint32_t lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

void
guest_early(void)
{
	unsigned i;
	uint64_t a;

	for (i = 0; i < 256; i++) {
		a = (uint64_t)idt_stubs + 16 * i;
		idt[i].off0 = (uint16_t)a;
		idt[i].sel = 0x08;
		idt[i].attr = 0x8e; /* interrupt gate */
		idt[i].off1 = (uint16_t)(a >> 16);
	}
	outb(0x21, 0xff); /* firmware may have left the PIC unmasked */
	outb(0xa1, 0xff);
	load_idt(sizeof(idt) - 1);
	tss0.rsp[0] = (uint64_t)stack_top;
	tss0.iomap = offsetof(struct tss, io);
	tss0.io[8192] = 0xff;
	a = (uint64_t)&tss0;
	gdt_tss[0] = (sizeof(tss0) - 1) | (a & 0xffffff) << 16 |
	    UINT64_C(0x89) << 40 | ((a >> 24) & 0xff) << 56;
	gdt_tss[1] = a >> 32;
	brk_ptr = guest_end;
}

void
guest_trap_stack(void *top)
{
	tss0.ist[0] = (uint64_t)top;
	for (unsigned i = 0; i < 32; i++)
		idt[i].ist = top != NULL;
}

static void
fatal_trap(const struct trap_frame *f)
{
	uint64_t cr2;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	print("Bail out! trap %u error %x rip %x cs %x fl %x cr2 %x\n",
	    (unsigned)f->vector, (unsigned)f->error, (unsigned)f->rip,
	    (unsigned)f->cs, (unsigned)f->rflags, (unsigned)cr2);
	power_off();
}

static void
service(struct trap_frame *f)
{
	switch (f->rdi) {
	case SVC_HALT:
		/*
		 * The interrupt comes in ring 0 here. Its handler only counts,
		 * so nesting is one deep.
		 */
		__asm__ volatile("sti; hlt; cli" ::: "memory");
		break;
	case SVC_DEAD:
		for (;;)
			__asm__ volatile("cli; hlt" ::: "memory");
	case SVC_RDMSR:
		f->rax = rdmsr0((uint32_t)f->rsi);
		break;
	case SVC_WRMSR:
		wrmsr0((uint32_t)f->rsi, f->rdx);
		break;
	case SVC_CALL:
		f->rax = ((uint64_t(*)(uint64_t))f->rsi)(f->rdx);
		break;
	case SVC_IF:
		if (f->rsi)
			f->rflags |= 0x200;
		else
			f->rflags &= ~UINT64_C(0x200);
		break;
	case SVC_TRIPLE:
		load_idt(0);
		__asm__ volatile("ud2");
		break;
	default:
		fatal_trap(f);
	}
}

void
guest_trap(struct trap_frame *f)
{
	unsigned v = (unsigned)f->vector;

	if (v < 32 && trap_hook != NULL && trap_hook(f))
		return;
	if (v == 6 && f->rax == SVC_MAGIC && (f->cs & 3) == 3) {
		f->rip += 2;
		service(f);
		return;
	}
	if (v < 32)
		fatal_trap(f);
	__atomic_add_fetch(&irq_count[v], 1, __ATOMIC_SEQ_CST);
	if (handlers[v] != NULL)
		handlers[v](v);
	if (v != 0xff)
		lapic_write(0xb0, 0);
}

void
irq_handler(unsigned vector, irq_fn fn)
{
	handlers[vector] = fn;
}

static uint64_t
svc(uint64_t n, uint64_t a, uint64_t b)
{
	uint64_t ret;

	__asm__ volatile("ud2"
			 : "=a"(ret)
			 : "D"(n), "S"(a), "d"(b), "a"(SVC_MAGIC)
			 : "memory");
	return ret;
}

void
halt_wait(void)
{
	svc(SVC_HALT, 0, 0);
}

void
halt_dead(void)
{
	for (;;)
		svc(SVC_DEAD, 0, 0);
}

void
triple_fault(void)
{
	for (;;)
		svc(SVC_TRIPLE, 0, 0);
}

void
sti(void)
{
	svc(SVC_IF, 1, 0);
}

void
cli(void)
{
	svc(SVC_IF, 0, 0);
}

uint64_t
rdmsr(uint32_t msr)
{
	return svc(SVC_RDMSR, msr, 0);
}

void
wrmsr(uint32_t msr, uint64_t value)
{
	svc(SVC_WRMSR, msr, value);
}

uint64_t
ring0(uint64_t (*fn)(uint64_t), uint64_t arg)
{
	return svc(SVC_CALL, (uint64_t)fn, arg);
}

void *
balloc(size_t n, size_t align)
{
	char *p = (char *)(((uint64_t)brk_ptr + align - 1) & ~(align - 1));

	brk_ptr = p + n;
	return memset(p, 0, n);
}

static uint64_t
do_map(uint64_t gpa)
{
	uint64_t *pdpt, *pd;

	if (!(pml4[gpa >> 39 & 511] & 1))
		pml4[gpa >> 39 & 511] = (uint64_t)balloc(4096, 4096) | 7;
	pdpt = (uint64_t *)(pml4[gpa >> 39 & 511] & ~UINT64_C(4095));
	if (!(pdpt[gpa >> 30 & 511] & 1))
		pdpt[gpa >> 30 & 511] = (uint64_t)balloc(4096, 4096) | 7;
	pd = (uint64_t *)(pdpt[gpa >> 30 & 511] & ~UINT64_C(4095));
	pd[gpa >> 21 & 511] = (gpa & ~UINT64_C(0x1fffff)) | 0x87;
	return 0;
}

void
map_phys(uint64_t gpa, uint64_t len)
{
	uint64_t end = gpa + len;

	for (gpa &= ~UINT64_C(0x1fffff); gpa < end; gpa += 0x200000) {
		if (gpa >= UINT64_C(0x100000000))
			ring0(do_map, gpa);
	}
}

/* ---- local APIC (Intel SDM vol. 3, chapter 11) ---- */
static int x2apic = -1;

static bool
in_ring0(void)
{
	uint16_t cs;

	__asm__("mov %%cs, %0" : "=r"(cs));
	return (cs & 3) == 0;
}

static void
find_mode(void)
{
	uint64_t base = in_ring0() ? rdmsr0(0x1b) : rdmsr(0x1b);

	x2apic = (base & 0x400) != 0;
}

uint32_t
lapic_read(unsigned reg)
{
	if (x2apic < 0)
		find_mode();
	if (!x2apic)
		return mmio_read32(0xfee00000 + reg);
	return (uint32_t)(in_ring0() ? rdmsr0(0x800 + (reg >> 4))
				     : rdmsr(0x800 + (reg >> 4)));
}

void
lapic_write(unsigned reg, uint32_t v)
{
	if (x2apic < 0)
		find_mode();
	if (!x2apic)
		mmio_write32(0xfee00000 + reg, v);
	else if (in_ring0())
		wrmsr0(0x800 + (reg >> 4), v);
	else
		wrmsr(0x800 + (reg >> 4), v);
}

bool
lapic_in_service(unsigned vector)
{
	return (lapic_read(0x100 + vector / 32 * 0x10) >> vector % 32 & 1) != 0;
}

uint32_t
lapic_id(void)
{
	uint32_t id = lapic_read(0x20);

	return x2apic ? id : id >> 24;
}

void
lapic_enable(void)
{
	lapic_write(0xf0, 0x1ff); /* SVR: enabled, spurious vector ff */
	lapic_write(0x80, 0);
}

void
lapic_ipi(uint32_t apic_id, uint32_t icr_low)
{
	lapic_read(0x20);
	if (x2apic) {
		(in_ring0() ? wrmsr0 : wrmsr)(
		    0x830, (uint64_t)apic_id << 32 | icr_low);
		return;
	}
	lapic_write(0x310, apic_id << 24);
	lapic_write(0x300, icr_low);
	while (lapic_read(0x300) & 0x1000)
		cpu_pause();
}

/* ---- further CPUs ---- */
extern char ap_tramp[], ap_tramp_end[], ap_tramp_stack[];
void ap_main0(void);
static void (*volatile ap_fn)(void);
static volatile bool ap_up;
static struct tss ap_tss[MAX_CPUS];
static unsigned ap_n;
extern void
ap_enter_user(uint64_t rsp, void (*fn)(void)) __attribute__((noreturn));

/* Ring 0 of an AP, on its own stack. */
void
ap_main0(void)
{
	struct tss *t = &ap_tss[ap_n];
	/* a GDT of its own, because the busy TSS bit is in the descriptor */
	uint64_t *g = balloc(128, 16);
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) p = { 9 * 8 - 1, (uint64_t)g };
	uint64_t a = (uint64_t)t;
	char *stacks = balloc(32768, 16);

	load_idt(sizeof(idt) - 1);
	memcpy(g, gdt, 7 * 8);
	t->rsp[0] = (uint64_t)stacks + 16384;
	t->iomap = offsetof(struct tss, io);
	t->io[8192] = 0xff;
	g[7] = (sizeof(*t) - 1) | (a & 0xffffff) << 16 | UINT64_C(0x89) << 40 |
	    ((a >> 24) & 0xff) << 56;
	g[8] = a >> 32;
	__asm__ volatile("lgdt %0; ltr %w1" ::"m"(p), "r"(0x38) : "memory");
	lapic_write(0xf0, 0x1ff);
	lapic_write(0x80, 0);
	ap_enter_user((uint64_t)stacks + 32768 - 8, ap_fn);
}

static void
ap_entered(void)
{
	ap_up = true;
}

static bool
is_up(void *arg)
{
	return ap_up;
}

static void (*ap_user_fn)(void);

static void
ap_user(void)
{
	void (*fn)(void) = ap_user_fn;

	ap_entered();
	fn();
	for (;;)
		halt_wait();
}

bool
ap_start(uint32_t apic_id, void (*fn)(void))
{
	const uint64_t page = 0x8000;

	memcpy((void *)page, ap_tramp, (size_t)(ap_tramp_end - ap_tramp));
	*(uint64_t *)(page + (uint64_t)(ap_tramp_stack - ap_tramp)) =
	    (uint64_t)balloc(8192, 16) + 8192;
	ap_n++;
	ap_up = false;
	ap_user_fn = fn;
	ap_fn = ap_user;
	lapic_ipi(apic_id, 0x4500); /* INIT */
	delay_us(10000);
	lapic_ipi(apic_id, 0x4600 | (page >> 12));
	if (wait_until(is_up, NULL, 20))
		return true;
	lapic_ipi(apic_id, 0x4600 | (page >> 12));
	return wait_until(is_up, NULL, PATIENCE);
}

void
ioapic_route(unsigned pin, uint32_t low, uint32_t apic_id)
{
	mmio_write32(0xfec00000, 0x11 + 2 * pin);
	mmio_write32(0xfec00010, apic_id << 24);
	mmio_write32(0xfec00000, 0x10 + 2 * pin);
	mmio_write32(0xfec00010, low);
}
