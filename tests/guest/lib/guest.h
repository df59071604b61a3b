/*
 * The test guests' library: bare metal, 64-bit, ring 3 with all ports
 * allowed (see start.S). A guest is one C file with user_main(); it prints TAP
 * on COM1 and ends through the reset, power-off, halt or triple-fault path.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void user_main(void);

/* ---- ports and MMIO, legal in ring 3 by the I/O bitmap ---- */
static inline void
outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static inline void
outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static inline void
outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static inline uint8_t
inb(uint16_t port)
{
	uint8_t v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline uint16_t
inw(uint16_t port)
{
	uint16_t v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline uint32_t
inl(uint16_t port)
{
	uint32_t v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
/* One plain MOV of the exact width: what an MMIO emulator must see. */
#define MMIO_ACCESSORS(bits, type, reg)                         \
	static inline type mmio_read##bits(uint64_t a)          \
	{                                                       \
		type v;                                         \
		__asm__ volatile("mov %1, %0"                   \
				 : "=" reg(v)                   \
				 : "m"(*(volatile type *)a)     \
				 : "memory");                   \
		return v;                                       \
	}                                                       \
	static inline void mmio_write##bits(uint64_t a, type v) \
	{                                                       \
		__asm__ volatile("mov %1, %0"                   \
				 : "=m"(*(volatile type *)a)    \
				 : reg(v)                       \
				 : "memory");                   \
	}
MMIO_ACCESSORS(8, uint8_t, "q")
MMIO_ACCESSORS(16, uint16_t, "r")
MMIO_ACCESSORS(32, uint32_t, "r")
MMIO_ACCESSORS(64, uint64_t, "r")

static inline void
cpu_pause(void)
{
	__asm__ volatile("pause" ::: "memory");
}
static inline uint64_t
rdtsc(void)
{
	uint32_t lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}
static inline void
cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(sub));
}

/* ---- ring 0 services ---- */
void sti(void);
void cli(void);
void halt_wait(void); /* STI; HLT; back after an interrupt, IF as before */
void halt_dead(void) __attribute__((noreturn)); /* CLI; HLT */
void triple_fault(void) __attribute__((noreturn));
uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t value);
/* Run fn(arg) in ring 0 */
uint64_t ring0(uint64_t (*fn)(uint64_t), uint64_t arg);
/* Make [gpa, gpa+len) addressable at its own address (2 MiB pages). */
void map_phys(uint64_t gpa, uint64_t len);

/* ---- interrupts ---- */
typedef void (*irq_fn)(unsigned vector);
/* Handler for a vector, called in ring 0 with interrupts off. */
void irq_handler(unsigned vector, irq_fn fn);
extern volatile uint32_t irq_count[256];
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx,
	    rcx, rax, vector, error, rip, cs, rflags, rsp, ss;
};
/* Sees exceptions first; true: handled, go back to f. */
extern bool (*trap_hook)(struct trap_frame *f);
/* Exceptions of the boot processor use this stack (IST 1); NULL: no more. */
void guest_trap_stack(void *top);
/* Local APIC in x2APIC or xAPIC mode as found. */
void lapic_enable(void);
uint32_t lapic_read(unsigned reg); /* byte offset of the xAPIC page */
void lapic_write(unsigned reg, uint32_t v);
uint32_t lapic_id(void);
/*
 * In a handler: no EOI was written for its interrupt yet. A KVM that emulates
 * the local APIC badly writes one itself before the handler starts.
 */
bool lapic_in_service(unsigned vector);
#define EARLY_EOI "this KVM writes an EOI when it delivers an interrupt"
void lapic_ipi(uint32_t apic_id, uint32_t icr_low);
/* Start an AP at fn (ring 3, own stack), by INIT and SIPI. */
bool ap_start(uint32_t apic_id, void (*fn)(void));
/* I/O APIC pin: redirection entry low and high words. */
void ioapic_route(unsigned pin, uint32_t low, uint32_t apic_id);
#define MSI_ADDR(apic) (UINT64_C(0xfee00000) | (uint64_t)(apic) << 12)

/* ---- output ---- */
void putch(char c);
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* TAP: one line; returns cond. Ends with tap_done(), which powers off. */
bool ok(bool cond, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void skip(const char *what, const char *why);
void tap_done(void) __attribute__((noreturn));

/* ---- ends ---- */
void guest_exit(int how) __attribute__((noreturn)); /* 0: S5 */
void power_off(void) __attribute__((noreturn));
void reboot(void) __attribute__((noreturn));
/* Seconds, by the ACPI PM timer (PMBASE 0x600). */
void delay_us(unsigned us);
/* For what must come, in ms: a busy host gives a thread its turn late. */
#define PATIENCE 20000
bool wait_until(bool (*cond)(void *), void *arg, unsigned ms);

/* ---- memory and text ---- */
void *memcpy(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
void *balloc(size_t n, size_t align); /* zeroed, never freed */
const char *cmdline(void); /* "" when the loader gave none */

/* ---- PCI ---- */
struct pci_fn {
	uint8_t bus, slot, func;
	uint16_t vendor, device;
};
uint32_t pci_read(const struct pci_fn *f, unsigned off, unsigned width);
void
pci_write(const struct pci_fn *f, unsigned off, unsigned width, uint32_t v);
/* n-th function with these ids (0xffff = any). */
bool pci_find(uint16_t vendor, uint16_t device, unsigned n, struct pci_fn *ret);
/* Address of a memory or I/O BAR as assigned, mapped; 0 = none. */
uint64_t pci_bar(const struct pci_fn *f, unsigned idx);
unsigned pci_find_cap(const struct pci_fn *f, uint8_t id, unsigned after);
void pci_enable(const struct pci_fn *f); /* memory, I/O, bus master */
/* Route MSI-X vector n to this CPU's interrupt vector; enables MSI-X. */
bool pci_msix_set(const struct pci_fn *f, unsigned n, uint8_t vector);

#endif
