/*
 * The MC146818A. See rtc.h.
 */
#include "dev/lpc/rtc.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/lpc/clock.h"
#include "vmm/memmap.h"

#define RTC_PORT 0x70
#define CMOS_SIZE 128u
#define CMOS_INDEX 0x7f /* bit 7 of the index masks NMI, which is not here */

enum {
	REG_SEC = 0x00,
	REG_SEC_ALARM = 0x01,
	REG_MIN = 0x02,
	REG_MIN_ALARM = 0x03,
	REG_HOUR = 0x04,
	REG_HOUR_ALARM = 0x05,
	REG_WDAY = 0x06,
	REG_MDAY = 0x07,
	REG_MONTH = 0x08,
	REG_YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c,
	REG_D = 0x0d,
	REG_CENTURY = 0x32,

	CMOS_EQUIPMENT = 0x14,
	CMOS_BASE_KB = 0x15, /* 16 bits */
	CMOS_EXT_KB = 0x17, /* 16 bits, above 1 MiB */
	CMOS_EXT2_KB = 0x30, /* the same */
	CMOS_ABOVE_16M = 0x34, /* 16 bits, of 64 KiB */
	CMOS_BOOT_3RD = 0x38, /* SeaBIOS: high nibble */
	CMOS_BOOT = 0x3d, /* SeaBIOS: 2 disk, 3 CD, 4 network */
	CMOS_ABOVE_4G = 0x5b, /* 24 bits, of 64 KiB */
	CMOS_APS = 0x5f, /* CPUs besides the first */
};

#define A_UIP 0x80
#define A_RATE 0x0f
#define B_SET 0x80
#define B_BINARY 0x04
#define B_24H 0x02
#define BC_PERIODIC 0x40 /* the same bits enable in B and flag in C */
#define BC_ALARM 0x20
#define BC_UPDATE 0x10
#define BC_ALL (BC_PERIODIC | BC_ALARM | BC_UPDATE)
#define C_IRQ 0x80
#define D_VALID 0x80
#define HOUR_PM 0x80
#define ALARM_ANY 0xc0 /* both bits: matches every value */

#define UIP_NS 244000u /* before an update starts */
#define DAY_S 86400
#define TIME_MAX_S INT64_C(7258118400) /* 2200: in ns it fits 64 bits */
#define RTC_BASE_HZ 32768u

struct rtc {
	struct vm *vm;
	struct mevent *timer;
	pthread_mutex_t lock;
	uint8_t index;
	uint8_t ram[CMOS_SIZE]; /* also what was written while B_SET */
	int64_t offset_s; /* guest's clock minus CLOCK_REALTIME */
	uint64_t seen_ns; /* up to when flags of C are computed */
	bool irq;
};

/* The guest's clock, ns since 1970. */
static uint64_t
rtc_now(const struct rtc *rtc)
{
	int64_t now =
	    (int64_t)lpc_wall_ns() + rtc->offset_s * (int64_t)NS_PER_S;

	return now < 0 ? 0 : (uint64_t)now;
}

/* ---- formats ---- */

static uint8_t
encode(const struct rtc *rtc, unsigned v)
{
	if ((rtc->ram[REG_B] & B_BINARY) != 0)
		return (uint8_t)v;
	return (uint8_t)(v / 10 % 10 << 4 | v % 10);
}

static unsigned
decode(const struct rtc *rtc, uint8_t v)
{
	if ((rtc->ram[REG_B] & B_BINARY) != 0)
		return v;
	return (v >> 4) * 10u + (v & 0x0f);
}

static uint8_t
encode_hour(const struct rtc *rtc, unsigned h)
{
	if ((rtc->ram[REG_B] & B_24H) != 0)
		return encode(rtc, h);
	return (uint8_t)(encode(rtc, h % 12 == 0 ? 12 : h % 12) |
	    (h >= 12 ? HOUR_PM : 0));
}

static unsigned
decode_hour(const struct rtc *rtc, uint8_t v)
{
	if ((rtc->ram[REG_B] & B_24H) != 0)
		return decode(rtc, v);
	return decode(rtc, v & 0x7f) % 12 + ((v & HOUR_PM) != 0 ? 12 : 0);
}

/* Registers of the guest's time at 's' into 'regs'. */
static void
time_to_regs(const struct rtc *rtc, uint64_t s, uint8_t *regs)
{
	time_t t = (time_t)s;
	struct tm tm;
	unsigned year;

	if (gmtime_r(&t, &tm) == NULL)
		return;
	year = (unsigned)tm.tm_year + 1900;
	regs[REG_SEC] = encode(rtc, (unsigned)tm.tm_sec);
	regs[REG_MIN] = encode(rtc, (unsigned)tm.tm_min);
	regs[REG_HOUR] = encode_hour(rtc, (unsigned)tm.tm_hour);
	regs[REG_WDAY] = encode(rtc, (unsigned)tm.tm_wday + 1);
	regs[REG_MDAY] = encode(rtc, (unsigned)tm.tm_mday);
	regs[REG_MONTH] = encode(rtc, (unsigned)tm.tm_mon + 1);
	regs[REG_YEAR] = encode(rtc, year % 100);
	regs[REG_CENTURY] = encode(rtc, year / 100);
}

/* Make the clock show what the registers say; nonsense is normalised. */
static void
time_from_regs(struct rtc *rtc)
{
	const uint8_t *r = rtc->ram;
	unsigned century = decode(rtc, r[REG_CENTURY]);
	struct tm tm = {
		.tm_sec = (int)decode(rtc, r[REG_SEC]),
		.tm_min = (int)decode(rtc, r[REG_MIN]),
		.tm_hour = (int)decode_hour(rtc, r[REG_HOUR]),
		.tm_mday = (int)decode(rtc, r[REG_MDAY]),
		.tm_mon = (int)decode(rtc, r[REG_MONTH]) - 1,
		.tm_year =
		    (int)(century * 100 + decode(rtc, r[REG_YEAR])) - 1900,
	};
	time_t t = timegm(&tm);

	t = MIN(MAX(t, 0), TIME_MAX_S);
	rtc->offset_s = (int64_t)t - (int64_t)(lpc_wall_ns() / NS_PER_S);
	rtc->seen_ns = rtc_now(rtc);
}

static bool
is_time(unsigned reg)
{
	return reg == REG_CENTURY ||
	    (reg <= REG_YEAR && reg != REG_SEC_ALARM && reg != REG_MIN_ALARM &&
		reg != REG_HOUR_ALARM);
}

static bool
is_set(const struct rtc *rtc)
{
	return (rtc->ram[REG_B] & B_SET) != 0;
}

/* Bring the time registers in 'ram' up to date. */
static void
time_load(struct rtc *rtc)
{
	if (!is_set(rtc))
		time_to_regs(rtc, rtc_now(rtc) / NS_PER_S, rtc->ram);
}

/* ---- interrupts ---- */

/* Register A, rate select with the usual 32.768 kHz base; 0 = none. */
static uint64_t
period_ns(const struct rtc *rtc)
{
	unsigned rate = rtc->ram[REG_A] & A_RATE;

	if (rate == 0)
		return 0;
	if (rate <= 2)
		rate += 7;
	return lpc_muldiv(UINT64_C(1) << (rate - 1), NS_PER_S, RTC_BASE_HZ);
}

static bool
alarm_fits(uint8_t alarm, unsigned want, unsigned have)
{
	return (alarm & ALARM_ANY) == ALARM_ANY || want == have;
}

/* First second in (after, after + a day] at which the alarm rings. */
static bool
alarm_next(const struct rtc *rtc, uint64_t after, uint64_t *ret)
{
	const uint8_t *r = rtc->ram;
	unsigned sec = decode(rtc, r[REG_SEC_ALARM]);
	unsigned min = decode(rtc, r[REG_MIN_ALARM]);
	unsigned hour = decode_hour(rtc, r[REG_HOUR_ALARM]);

	for (uint64_t t = after + 1; t <= after + DAY_S;) {
		unsigned d = (unsigned)(t % DAY_S);

		if (!alarm_fits(r[REG_HOUR_ALARM], hour, d / 3600))
			t += 3600 - d % 3600;
		else if (!alarm_fits(r[REG_MIN_ALARM], min, d / 60 % 60))
			t += 60 - d % 60;
		else if (!alarm_fits(r[REG_SEC_ALARM], sec, d % 60))
			t++;
		else {
			*ret = t;
			return true;
		}
	}
	return false;
}

/* Flags of what has happened since we looked last. */
static void
flags_update(struct rtc *rtc)
{
	uint64_t now = rtc_now(rtc), period = period_ns(rtc);
	uint64_t was = rtc->seen_ns, ring;

	if (now < was) /* the host's clock was set back */
		was = now;
	if (period != 0 && now / period != was / period)
		rtc->ram[REG_C] |= BC_PERIODIC;
	if (!is_set(rtc) && now / NS_PER_S != was / NS_PER_S) {
		rtc->ram[REG_C] |= BC_UPDATE;
		if (alarm_next(rtc, was / NS_PER_S, &ring) &&
		    ring <= now / NS_PER_S)
			rtc->ram[REG_C] |= BC_ALARM;
	}
	rtc->seen_ns = now;
}

static void
irq_update(struct rtc *rtc)
{
	bool level = (rtc->ram[REG_C] & rtc->ram[REG_B] & BC_ALL) != 0;

	if (level != rtc->irq) {
		rtc->irq = level;
		vm_irq_set(rtc->vm, GSI_RTC, rtc, level);
	}
}

/* Arm the timer for the next event that would interrupt. */
static void
timer_update(struct rtc *rtc)
{
	/* What is flagged already interrupts no more until C is read. */
	uint8_t wanted = rtc->ram[REG_B] & ~rtc->ram[REG_C] & BC_ALL;
	uint64_t now = rtc_now(rtc), next = UINT64_MAX, period, ring;

	period = period_ns(rtc);
	if ((wanted & BC_PERIODIC) != 0 && period != 0)
		next = (now / period + 1) * period;
	if ((wanted & BC_UPDATE) != 0 && !is_set(rtc))
		next = MIN(next, (now / NS_PER_S + 1) * NS_PER_S);
	if ((wanted & BC_ALARM) != 0 && !is_set(rtc) &&
	    alarm_next(rtc, now / NS_PER_S, &ring))
		next = MIN(next, ring * NS_PER_S);
	mevent_timer_set(rtc->timer, next == UINT64_MAX ? 0 : next - now, 0);
}

static void
on_timer(void *arg, uint64_t expirations)
{
	struct rtc *rtc = arg;

	pthread_mutex_lock(&rtc->lock);
	flags_update(rtc);
	irq_update(rtc);
	timer_update(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

/* ---- registers ---- */

static uint8_t
reg_read(struct rtc *rtc, unsigned reg)
{
	uint8_t v;

	if (is_time(reg)) {
		time_load(rtc);
		return rtc->ram[reg];
	}
	switch (reg) {
	case REG_A:
		v = rtc->ram[REG_A];
		if (!is_set(rtc) &&
		    rtc_now(rtc) % NS_PER_S >= NS_PER_S - UIP_NS)
			v |= A_UIP;
		return v;
	case REG_C:
		flags_update(rtc);
		v = rtc->ram[REG_C];
		if ((v & rtc->ram[REG_B] & BC_ALL) != 0)
			v |= C_IRQ;
		rtc->ram[REG_C] = 0;
		irq_update(rtc);
		if ((rtc->ram[REG_B] & BC_ALL) != 0)
			timer_update(rtc);
		return v;
	default:
		return rtc->ram[reg];
	}
}

/* Writing B may change format, freeze or start the clock. */
static void
b_write(struct rtc *rtc, uint8_t v)
{
	bool was_set = is_set(rtc);

	time_load(rtc);
	flags_update(rtc);
	if ((v & B_SET) != 0)
		v &= (uint8_t)~BC_UPDATE; /* setting SET clears UIE */
	/* The formats of bytes already there are the guest's business. */
	rtc->ram[REG_B] = v;
	if (was_set && !is_set(rtc))
		time_from_regs(rtc);
}

static void
reg_write(struct rtc *rtc, unsigned reg, uint8_t v)
{
	if (is_time(reg)) {
		time_load(rtc);
		rtc->ram[reg] = v;
		if (!is_set(rtc))
			time_from_regs(rtc);
	} else if (reg == REG_A) {
		flags_update(rtc);
		rtc->ram[REG_A] = v & (uint8_t)~A_UIP;
	} else if (reg == REG_B) {
		b_write(rtc, v);
	} else if (reg != REG_C && reg != REG_D) {
		rtc->ram[reg] = v;
	}
	if (reg < REG_C) {
		irq_update(rtc);
		timer_update(rtc);
	}
}

static uint64_t
rtc_read(void *dev, uint64_t offset, unsigned width)
{
	struct rtc *rtc = dev;
	uint8_t v;

	if (offset == 0)
		return 0xff; /* the index is write-only */
	pthread_mutex_lock(&rtc->lock);
	v = reg_read(rtc, rtc->index);
	pthread_mutex_unlock(&rtc->lock);
	return v;
}

static void
rtc_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct rtc *rtc = dev;

	pthread_mutex_lock(&rtc->lock);
	if (offset == 0)
		rtc->index = (uint8_t)value & CMOS_INDEX;
	else
		reg_write(rtc, rtc->index, (uint8_t)value);
	pthread_mutex_unlock(&rtc->lock);
}

static const struct bus_ops rtc_ops = { rtc_read, rtc_write };

/* ---- life ---- */

static void
cmos_put(struct rtc *rtc, unsigned at, unsigned bytes, uint64_t v)
{
	uint64_t max = (UINT64_C(1) << (8 * bytes)) - 1;

	v = MIN(v, max);
	for (unsigned i = 0; i < bytes; i++)
		rtc->ram[at + i] = (uint8_t)(v >> (8 * i));
}

static void
cmos_fill(struct rtc *rtc)
{
	const struct vm_mem *mem = vm_mem(rtc->vm);
	uint64_t low = vm_mem_low_size(mem);
	uint64_t above1 = low > MiB ? MIN(low, 64 * MiB) - MiB : 0;
	uint64_t above16 = low > 16 * MiB ? low - 16 * MiB : 0;

	rtc->ram[CMOS_EQUIPMENT] = 0x06; /* coprocessor, PS/2 pointer bit */
	cmos_put(rtc, CMOS_BASE_KB, 2, 640);
	cmos_put(rtc, CMOS_EXT_KB, 2, above1 / KiB);
	cmos_put(rtc, CMOS_EXT2_KB, 2, above1 / KiB);
	cmos_put(rtc, CMOS_ABOVE_16M, 2, above16 / (64 * KiB));
	cmos_put(rtc, CMOS_ABOVE_4G, 3, vm_mem_high_size(mem) / (64 * KiB));
	cmos_put(rtc, CMOS_APS, 1, vm_topology(rtc->vm)->cpus - 1);
	rtc->ram[CMOS_BOOT] = 0x32; /* disk, CD, */
	rtc->ram[CMOS_BOOT_3RD] = 0x40; /* network */
	rtc->ram[REG_A] = 0x26; /* running, 1024 Hz */
	rtc->ram[REG_B] = B_24H;
	rtc->ram[REG_D] = D_VALID;
}

/*
 * Taken once: later the process may not be able to read the time zone's rules.
 */
static int64_t
local_offset(void)
{
	time_t t = (time_t)(lpc_wall_ns() / NS_PER_S);
	struct tm tm;

	tzset();
	return localtime_r(&t, &tm) == NULL ? 0 : tm.tm_gmtoff;
}

int
rtc_create(struct vm *vm, bool localtime, struct rtc **ret, struct error *err)
{
	struct rtc *rtc = alloc_zero(1, sizeof(*rtc));
	const struct bus_window win = { "RTC", RTC_PORT, 2, BUS_BYTEWISE,
		&rtc_ops, rtc };
	int rc;

	if (rtc == NULL)
		return error_set(err, ENOMEM, "RTC: out of memory");
	rtc->vm = vm;
	pthread_mutex_init(&rtc->lock, NULL);
	cmos_fill(rtc);
	if (localtime)
		rtc->offset_s = local_offset();
	rtc->seen_ns = rtc_now(rtc);
	rc = mevent_add_timer(vm_loop(vm), on_timer, rtc, &rtc->timer, err);
	if (rc == 0)
		rc = bus_add(vm_pio(vm), &win, err);
	if (rc < 0) {
		rtc_destroy(rtc);
		return rc;
	}
	*ret = rtc;
	return 0;
}

void
rtc_destroy(struct rtc *rtc)
{
	if (rtc == NULL)
		return;
	bus_remove(vm_pio(rtc->vm), RTC_PORT, 2, rtc);
	mevent_delete(rtc->timer);
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}
