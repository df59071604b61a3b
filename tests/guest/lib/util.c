/*
 * Text, time, ends and PCI for the test guests; ring 3.
 */
#include <stdarg.h>

#include "guest.h"

#define COM1 0x3f8
#define PM_TMR 0x608
#define PM_HZ 3579545u

void *
memcpy(void *d, const void *s, size_t n)
{
	char *a = d;
	const char *b = s;

	while (n-- > 0)
		*a++ = *b++;
	return d;
}

void *
memset(void *d, int c, size_t n)
{
	char *a = d;

	while (n-- > 0)
		*a++ = (char)c;
	return d;
}

int
memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (; n > 0; n--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

size_t
strlen(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0')
		n++;
	return n;
}

int
strcmp(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline;
};
extern struct start_info *start_info;

const char *
cmdline(void)
{
	return start_info->cmdline != 0 ? (const char *)start_info->cmdline
					: "";
}

void
putch(char c)
{
	while (!(inb(COM1 + 5) & 0x20))
		cpu_pause();
	outb(COM1, (uint8_t)c);
}

static void
put_num(uint64_t v, unsigned base)
{
	char buf[24];
	int i = 0;

	do {
		buf[i++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0);
	while (i > 0)
		putch(buf[--i]);
}

static void
vprint(const char *fmt, va_list ap)
{
	const char *s;
	bool l;
	int64_t d;

	for (; *fmt != '\0'; fmt++) {
		if (*fmt != '%') {
			putch(*fmt);
			continue;
		}
		fmt++;
		l = false;
		while (*fmt == 'l') {
			l = true;
			fmt++;
		}
		switch (*fmt) {
		case 's':
			for (s = va_arg(ap, const char *); *s != '\0'; s++)
				putch(*s);
			break;
		case 'c':
			putch((char)va_arg(ap, int));
			break;
		case 'd':
			d = l ? va_arg(ap, int64_t) : va_arg(ap, int);
			if (d < 0)
				putch('-');
			put_num(d < 0 ? (uint64_t)-d : (uint64_t)d, 10);
			break;
		case 'u':
			put_num(l ? va_arg(ap, uint64_t) : va_arg(ap, unsigned),
			    10);
			break;
		case 'x':
			put_num(l ? va_arg(ap, uint64_t) : va_arg(ap, unsigned),
			    16);
			break;
		default:
			putch(*fmt);
		}
	}
}

void
print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
}

static unsigned tests, failures;

bool
ok(bool cond, const char *fmt, ...)
{
	va_list ap;

	print(cond ? "ok %u - " : "not ok %u - ", ++tests);
	if (!cond)
		failures++;
	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
	putch('\n');
	return cond;
}

void
skip(const char *what, const char *why)
{
	print("ok %u - %s # SKIP %s\n", ++tests, what, why);
}

void
tap_done(void)
{
	print("1..%u\n", tests);
	power_off();
}

void
delay_us(unsigned us)
{
	uint32_t ticks = (uint32_t)((uint64_t)us * PM_HZ / 1000000) + 1;
	uint32_t t0 = inl(PM_TMR);

	while (((inl(PM_TMR) - t0) & 0xffffff) < ticks)
		cpu_pause();
}

bool
wait_until(bool (*cond)(void *), void *arg, unsigned ms)
{
	uint32_t t, last = inl(PM_TMR);
	uint64_t sum = 0;

	for (;;) {
		if (cond(arg))
			return true;
		t = inl(PM_TMR);
		sum += (t - last) & 0xffffff;
		last = t;
		if (sum > (uint64_t)ms * PM_HZ / 1000)
			return cond(arg);
	}
}

void
power_off(void)
{
	outw(0x604, 5 << 10 | 1 << 13); /* PM1a_CNT: SLP_TYP 5, SLP_EN */
	outw(0x604, 0 << 10 | 1 << 13); /* QEMU's S5 */
	outb(0xf4, 0); /* QEMU's isa-debug-exit, when it is there */
	for (;;)
		cpu_pause();
}

void
reboot(void)
{
	outb(0xcf9, 6);
	for (;;)
		cpu_pause();
}

void
guest_exit(int how)
{
	power_off();
}

/* ---- PCI configuration mechanism 1 ---- */
static uint32_t
cf8(const struct pci_fn *f, unsigned off)
{
	return 0x80000000u | (uint32_t)f->bus << 16 | (uint32_t)f->slot << 11 |
	    (uint32_t)f->func << 8 | (off & 0xfc);
}

uint32_t
pci_read(const struct pci_fn *f, unsigned off, unsigned width)
{
	outl(0xcf8, cf8(f, off));
	if (width == 1)
		return inb((uint16_t)(0xcfc + (off & 3)));
	if (width == 2)
		return inw((uint16_t)(0xcfc + (off & 2)));
	return inl(0xcfc);
}

void
pci_write(const struct pci_fn *f, unsigned off, unsigned width, uint32_t v)
{
	outl(0xcf8, cf8(f, off));
	if (width == 1)
		outb((uint16_t)(0xcfc + (off & 3)), (uint8_t)v);
	else if (width == 2)
		outw((uint16_t)(0xcfc + (off & 2)), (uint16_t)v);
	else
		outl(0xcfc, v);
}

bool
pci_find(uint16_t vendor, uint16_t device, unsigned n, struct pci_fn *ret)
{
	struct pci_fn f = { 0 };
	uint32_t id;
	unsigned i;

	for (i = 0; i < 256; i++) {
		f.slot = (uint8_t)(i / 8);
		f.func = (uint8_t)(i % 8);
		id = pci_read(&f, 0, 4);
		f.vendor = (uint16_t)id;
		f.device = (uint16_t)(id >> 16);
		if (f.vendor == 0xffff) {
			if (f.func == 0)
				i += 7;
			continue;
		}
		if ((vendor == 0xffff || vendor == f.vendor) &&
		    (device == 0xffff || device == f.device) && n-- == 0) {
			*ret = f;
			return true;
		}
		if (f.func == 0 && !(pci_read(&f, 0x0e, 1) & 0x80))
			i += 7;
	}
	return false;
}

static uint32_t
bar_size(const struct pci_fn *f, unsigned off, uint32_t lo)
{
	uint32_t m;

	pci_write(f, off, 4, 0xffffffff);
	m = pci_read(f, off, 4);
	pci_write(f, off, 4, lo);
	m &= lo & 1 ? ~3u : ~15u;
	if (lo & 1)
		m |= 0xffff0000;
	return ~m + 1;
}

/*
 * QEMU without firmware leaves BARs unassigned; then take addresses from a
 * window of our own, so that the same guest runs there.
 */
uint64_t
pci_bar(const struct pci_fn *f, unsigned idx)
{
	static uint32_t next_mem = 0xe0000000, next_io = 0xa000;
	unsigned off = 0x10 + 4 * idx;
	uint32_t lo = pci_read(f, off, 4), size;
	uint64_t a;

	if (lo & 1) {
		if ((lo & ~3u) == 0) {
			size = bar_size(f, off, lo);
			next_io = (next_io + size - 1) & ~(size - 1);
			pci_write(f, off, 4, next_io);
			lo = next_io;
			next_io += size;
		}
		return lo & ~3u;
	}
	a = lo & ~UINT64_C(15);
	if ((lo & 6) == 4)
		a |= (uint64_t)pci_read(f, off + 4, 4) << 32;
	if (a == 0) {
		size = bar_size(f, off, lo);
		if (size == 0)
			return 0;
		next_mem = (next_mem + size - 1) & ~(size - 1);
		pci_write(f, off, 4, next_mem);
		if ((lo & 6) == 4)
			pci_write(f, off + 4, 4, 0);
		a = next_mem;
		next_mem += size < 4096 ? 4096 : size;
	}
	map_phys(a, 0x10000);
	return a;
}

unsigned
pci_find_cap(const struct pci_fn *f, uint8_t id, unsigned after)
{
	unsigned off, n;

	if (!(pci_read(f, 6, 2) & 0x10))
		return 0;
	off = pci_read(f, after == 0 ? 0x34 : after + 1, 1) & 0xfc;
	for (n = 0; off >= 0x40 && n < 48; n++) {
		if (pci_read(f, off, 1) == id)
			return off;
		off = pci_read(f, off + 1, 1) & 0xfc;
	}
	return 0;
}

void
pci_enable(const struct pci_fn *f)
{
	pci_write(f, 4, 2, pci_read(f, 4, 2) | 7);
}

bool
pci_msix_set(const struct pci_fn *f, unsigned n, uint8_t vector)
{
	unsigned cap = pci_find_cap(f, 0x11, 0);
	uint32_t t;
	uint64_t e;

	if (cap == 0)
		return false;
	t = pci_read(f, cap + 4, 4);
	e = pci_bar(f, t & 7) + (t & ~7u) + 16 * n;
	map_phys(e, 16);
	pci_enable(f);
	pci_write(f, cap + 2, 2, pci_read(f, cap + 2, 2) | 0x8000);
	mmio_write32(e, (uint32_t)MSI_ADDR(lapic_id()));
	mmio_write32(e + 4, 0);
	mmio_write32(e + 8, vector);
	mmio_write32(e + 12, 0);
	return true;
}
