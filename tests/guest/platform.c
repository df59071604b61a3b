/*
 * The fixed devices of the PC: PM timer, PIT, RTC and CMOS, UART, keyboard
 * controller, debug port, fw_cfg. Expectations are from the data sheets.
 */
#include "guest.h"

static void
test_pm_timer(void)
{
	uint32_t a = inl(0x608), b, i;
	bool mono = true;

	for (i = 0; i < 1000; i++) {
		b = inl(0x608);
		if (((b - a) & 0xffffff) > 0x7fffff)
			mono = false;
		a = b;
	}
	ok(mono, "PM timer never runs backwards");
	a = inl(0x608);
	delay_us(2000);
	ok(((inl(0x608) - a) & 0xffffff) >= 7000, "PM timer counts");
}

/* Channel 2 as a kernel calibrates with it: gate by port 61h, poll OUT2. */
static void
test_pit(void)
{
	uint32_t t0, ticks;
	unsigned n = 0;
	uint16_t a, b;

	outb(0x61, (inb(0x61) & ~2) | 1);
	outb(0x43, 0xb0); /* channel 2, lobyte/hibyte, mode 0 */
	outb(0x42, 11932 & 0xff); /* 10 ms */
	outb(0x42, 11932 >> 8);
	t0 = inl(0x608);
	while (!(inb(0x61) & 0x20) && n < 10000000)
		n++;
	ticks = (inl(0x608) - t0) & 0xffffff;
	ok(ticks >= 35000, "PIT channel 2 mode 0 ends, not before 10 ms (%u)",
	    ticks);
	outb(0x43, 0x34); /* channel 0, mode 2 */
	outb(0x40, 0);
	outb(0x40, 0);
	/* it goes round in 55 ms, in which the host may take the CPU away */
	for (n = 0, a = b = 0; n < 10 && (uint16_t)(a - b) <= 1000; n++) {
		outb(0x43, 0x00); /* latch */
		a = inb(0x40);
		a |= (uint16_t)(inb(0x40) << 8);
		delay_us(1000);
		outb(0x43, 0x00);
		b = inb(0x40);
		b |= (uint16_t)(inb(0x40) << 8);
	}
	ok((uint16_t)(a - b) > 1000, "PIT channel 0 counts down");
	outb(0x43, 0x30); /* mode 0, no count: stopped */
}

static uint8_t
cmos(uint8_t i)
{
	outb(0x70, i);
	return inb(0x71);
}

static bool
is_periodic(void *arg)
{
	return cmos(0x0c) & 0x40;
}

static void
test_rtc(void)
{
	uint8_t s, y;
	unsigned low;

	ok((cmos(0x0d) & 0x80) != 0, "RTC battery good");
	ok((cmos(0x0b) & 2) != 0, "RTC in 24-hour mode");
	s = cmos(0);
	y = cmos(9);
	ok((s & 0xf) <= 9 && (s >> 4) <= 5, "RTC seconds are BCD");
	ok(y >= 0x24, "RTC year is plausible (%x)", y);
	ok(cmos(0x32) == 0x20, "RTC century");
	outb(0x70, 0x40);
	outb(0x71, 0xa5);
	ok(cmos(0x40) == 0xa5, "NVRAM keeps a byte");
	low = cmos(0x34) | (unsigned)cmos(0x35) << 8;
	ok(low * 64 + 16384 >= 32 * 1024, "CMOS memory size");
	cmos(0x0c);
	outb(0x70, 0x0a);
	outb(0x71, 0x26);
	outb(0x70, 0x0b);
	outb(0x71, 0x42); /* periodic interrupt, 24h */
	ok(wait_until(is_periodic, NULL, PATIENCE), "RTC periodic flag is set");
	outb(0x70, 0x0b);
	outb(0x71, 0x02);
	/* The flag goes on at its rate with the interrupt off. */
	outb(0x70, 0x0a);
	outb(0x71, 0x20);
	cmos(0x0c);
	ok((cmos(0x0c) & 0xc0) == 0, "reading register C clears the flags");
}

static void
test_uart(void)
{
	outb(0x3ff, 0x5a);
	ok(inb(0x3ff) == 0x5a, "UART scratch register");
	ok((inb(0x3fd) & 0x60) == 0x60, "transmitter empty");
	/* Loopback of modem lines and data; nothing is printed meanwhile. */
	outb(0x3fc, 0x1b); /* loop, DTR, RTS, OUT2 */
	uint8_t msr = inb(0x3fe);
	outb(0x3fa, 0x07); /* FIFO on, cleared */
	outb(0x3f8, 0x77);
	uint8_t lsr = inb(0x3fd), rb = inb(0x3f8);
	outb(0x3fc, 0x0b);
	ok((msr & 0xf0) == 0xb0, "loopback: RTS-CTS, DTR-DSR, OUT2-DCD (%x)",
	    msr);
	ok((lsr & 1) && rb == 0x77, "loopback: a byte comes back");
	ok((inb(0x3fa) & 0xc0) == 0xc0, "IIR says FIFOs are on");
	/* A wide access is byte accesses at rising ports: LCR and MCR. */
	outw(0x3fe, 0x3300);
	ok(inb(0x3ff) == 0x33, "16-bit write reaches the scratch register");
	ok((inw(0x3fe) >> 8) == 0x33, "16-bit read too");
}

static void
test_misc(void)
{
	uint32_t i;

	ok(inb(0x2ff) == 0xff || cmdline()[0] != '\0',
	    "an absent port reads all ones");
	ok(inb(0x402) == 0xe9, "debug port answers");
	outb(0x402, 'x');
	outb(0x402, '\n');
	ok((inb(0x92) & 2) != 0, "A20 is on");
	outb(0x64, 0xaa);
	for (i = 0; i < 1000 && !(inb(0x64) & 1); i++)
		;
	ok(inb(0x60) == 0x55, "keyboard controller self-test");
	ok((inb(0x64) & 2) == 0, "keyboard controller takes commands");
	outb(0x80, 0x12);
}

static uint8_t fwbuf[4096] __attribute__((aligned(16)));
struct fw_dma {
	uint32_t control, length;
	uint64_t address;
};

static uint32_t
fw_dma(uint32_t control, uint64_t addr, uint32_t len)
{
	static volatile struct fw_dma d __attribute__((aligned(16)));
	uint64_t a = (uint64_t)&d;
	unsigned n = 0;

	d.control = __builtin_bswap32(control);
	d.length = __builtin_bswap32(len);
	d.address = __builtin_bswap64(addr);
	outl(0x514, __builtin_bswap32((uint32_t)(a >> 32)));
	outl(0x518, __builtin_bswap32((uint32_t)a));
	while ((__builtin_bswap32(d.control) & ~1u) != 0 && n++ < 1000000)
		;
	return __builtin_bswap32(d.control);
}

static void
test_fw_cfg(void)
{
	uint32_t r;
	unsigned i;

	outw(0x510, 0);
	for (i = 0; i < 4; i++)
		fwbuf[i] = inb(0x511);
	ok(memcmp(fwbuf, "QEMU", 4) == 0, "fw_cfg signature by port");
	outw(0x510, 1);
	r = inb(0x511);
	ok((r & 3) == 3, "fw_cfg has DMA");
	ok(inl(0x514) == __builtin_bswap32(0x51454d55), "DMA signature");
	memset(fwbuf, 0, 8);
	r = fw_dma(0x00000000u | 8 | 2, (uint64_t)fwbuf, 4);
	ok(r == 0 && memcmp(fwbuf, "QEMU", 4) == 0, "fw_cfg signature by DMA");
	r = fw_dma(0x00190000u | 8 | 2, (uint64_t)fwbuf, 4);
	ok(r == 0, "directory by DMA (%u files)",
	    __builtin_bswap32(*(uint32_t *)fwbuf));
	r = fw_dma(8 | 2, UINT64_C(0xfffffffffffff000), 0xffffffff);
	ok(r & 1, "DMA outside memory is an error");
	r = fw_dma(8 | 2, 0xfec00000, 16);
	ok(r & 1, "DMA aimed at MMIO is an error");
	r = fw_dma(8 | 16, (uint64_t)fwbuf, 4);
	ok(r & 1, "writing a read-only item is an error");
	outw(0x510, 0xbeef);
	ok(inb(0x511) == 0, "an absent item reads zero");
}

void
user_main(void)
{
	test_pm_timer();
	test_pit();
	test_rtc();
	test_uart();
	test_misc();
	test_fw_cfg();
	tap_done();
}
