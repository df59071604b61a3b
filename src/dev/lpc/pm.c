/*
 * The PM block. See pm.h.
 */
#include "dev/lpc/pm.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "dev/lpc/clock.h"
#include "dev/platform.h"
#include "vmm/memmap.h"

#define PM_LEN 128
#define APM_PORT 0xb2

/* 4.8.3.1: bits of PM1 status and enable */
#define PM1_TMR 0x0001
#define PM1_GBL 0x0020
#define PM1_PWRBTN 0x0100
#define PM1_RTC 0x0400
#define PM1_WAK 0x8000 /* status only */
#define PM1_STS_MASK (PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_RTC | PM1_WAK)
#define PM1_EN_MASK (PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_RTC)

/* 4.8.3.2: PM1 control */
#define PM1_SCI_EN 0x0001
#define PM1_CNT_KEEP 0x1c03 /* SCI_EN, BM_RLD, SLP_TYP */
#define PM1_SLP_TYP_SHIFT 10
#define PM1_SLP_EN 0x2000

#define SMI_EN_APMC 0x0020
/* OVMF's shutdown writes the sleep type that QEMU has for S5. */
#define S5_TYP_OVMF 0

#define TMR_BITS 24
#define TMR_MASK ((1u << TMR_BITS) - 1)
/* TMR_STS is set whenever the highest bit changes (4.8.3.3). */
#define TMR_HALF (UINT64_C(1) << (TMR_BITS - 1))

struct pm {
	struct vm *vm;
	struct mevent *timer; /* armed only while PM1_TMR is enabled */
	uint64_t start_ns;

	pthread_mutex_t lock;
	uint16_t base; /* 0 = not decoded */
	uint16_t sts, en, cnt;
	uint64_t halves; /* of the PM timer that PM1_TMR has seen */
	uint64_t gpe_sts, gpe_en;
	uint32_t smi_en;
	uint8_t apm_cnt, apm_sts;
	bool sci;
};

static uint64_t
timer_ticks(const struct pm *pm)
{
	return lpc_muldiv(lpc_clock_ns() - pm->start_ns, PM_TIMER_HZ, NS_PER_S);
}

static uint16_t
status_of(struct pm *pm)
{
	uint64_t halves = timer_ticks(pm) / TMR_HALF;

	if (halves != pm->halves) {
		pm->halves = halves;
		pm->sts |= PM1_TMR;
	}
	return pm->sts;
}

static void
sci_update(struct pm *pm)
{
	bool level = (pm->cnt & PM1_SCI_EN) != 0 &&
	    ((status_of(pm) & pm->en) != 0 || (pm->gpe_sts & pm->gpe_en) != 0);

	if (level != pm->sci) {
		pm->sci = level;
		vm_irq_set(pm->vm, GSI_SCI, pm, level);
	}
}

static void
timer_update(struct pm *pm)
{
	uint64_t left = TMR_HALF - timer_ticks(pm) % TMR_HALF;

	/* While the status is set, the next change brings no news. */
	if ((pm->en & PM1_TMR) == 0 || (status_of(pm) & PM1_TMR) != 0)
		left = 0;
	mevent_timer_set(pm->timer,
	    left == 0 ? 0 : lpc_muldiv(left, NS_PER_S, PM_TIMER_HZ) + 1, 0);
}

static void
on_timer(void *arg, uint64_t expirations)
{
	struct pm *pm = arg;

	pthread_mutex_lock(&pm->lock);
	sci_update(pm);
	timer_update(pm);
	pthread_mutex_unlock(&pm->lock);
}

/* ---- the block ---- */

/* The aligned 32 bits at off. */
static uint32_t
block_get(struct pm *pm, unsigned off)
{
	switch (off) {
	case PM1A_EVT_OFF:
		return status_of(pm) | (uint32_t)pm->en << 16;
	case PM1A_CNT_OFF:
		return pm->cnt;
	case PM_TMR_OFF:
		return (uint32_t)timer_ticks(pm) & TMR_MASK;
	case PM_GPE0_OFF:
		return (uint32_t)pm->gpe_sts;
	case PM_GPE0_OFF + 4:
		return (uint32_t)(pm->gpe_sts >> 32);
	case PM_GPE0_OFF + 8:
		return (uint32_t)pm->gpe_en;
	case PM_GPE0_OFF + 12:
		return (uint32_t)(pm->gpe_en >> 32);
	case PM_SMI_EN_OFF:
		return pm->smi_en;
	default:
		return 0;
	}
}

static uint64_t
replace64(uint64_t old, unsigned shift, uint32_t mask, uint32_t v)
{
	uint64_t m = (uint64_t)mask << shift;

	return (old & ~m) | ((uint64_t)v << shift & m);
}

static void
sleep_enter(struct pm *pm)
{
	static struct log_limit limit;
	unsigned typ = pm->cnt >> PM1_SLP_TYP_SHIFT & 7;

	if (typ == PM_S5_TYP || typ == S5_TYP_OVMF)
		vm_stop(
		    pm->vm, VM_STOP_POWEROFF, "guest entered sleep state S5");
	else
		log_ratelimited(&limit, LOG_WARN, "pm",
		    "guest asked for sleep type %u, which does not exist", typ);
}

/* mask: which bits of v were written */
static void
block_set(struct pm *pm, unsigned off, uint32_t mask, uint32_t v)
{
	switch (off) {
	case PM1A_EVT_OFF:
		pm->sts = status_of(pm) & (uint16_t) ~(v & mask);
		pm->en = (uint16_t)replace64(pm->en, 0, mask >> 16, v >> 16) &
		    PM1_EN_MASK;
		timer_update(pm);
		break;
	case PM1A_CNT_OFF:
		pm->cnt =
		    (uint16_t)replace64(pm->cnt, 0, mask & PM1_CNT_KEEP, v);
		if ((v & mask & PM1_SLP_EN) != 0)
			sleep_enter(pm);
		break;
	case PM_GPE0_OFF:
		pm->gpe_sts &= ~(uint64_t)(v & mask);
		break;
	case PM_GPE0_OFF + 4:
		pm->gpe_sts &= ~((uint64_t)(v & mask) << 32);
		break;
	case PM_GPE0_OFF + 8:
		pm->gpe_en = replace64(pm->gpe_en, 0, mask, v);
		break;
	case PM_GPE0_OFF + 12:
		pm->gpe_en = replace64(pm->gpe_en, 32, mask, v);
		break;
	case PM_SMI_EN_OFF:
		pm->smi_en = (uint32_t)replace64(pm->smi_en, 0, mask, v);
		break;
	default:
		break;
	}
}

/* A PIO access is at most 4 bytes wide, so it touches two words at most. */
static uint64_t
block_read(void *dev, uint64_t offset, unsigned width)
{
	struct pm *pm = dev;
	unsigned off = (unsigned)offset & ~3u, shift = (offset & 3) * 8;
	uint64_t v;

	pthread_mutex_lock(&pm->lock);
	v = block_get(pm, off);
	if (shift + width * 8 > 32)
		v |= (uint64_t)block_get(pm, off + 4) << 32;
	pthread_mutex_unlock(&pm->lock);
	return v >> shift;
}

static void
block_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct pm *pm = dev;
	unsigned off = (unsigned)offset & ~3u, shift = (offset & 3) * 8;
	uint64_t mask = (UINT64_MAX >> (64 - 8 * width)) << shift;

	value <<= shift;
	pthread_mutex_lock(&pm->lock);
	block_set(pm, off, (uint32_t)mask, (uint32_t)value);
	if (mask >> 32 != 0)
		block_set(pm, off + 4, (uint32_t)(mask >> 32),
		    (uint32_t)(value >> 32));
	sci_update(pm);
	pthread_mutex_unlock(&pm->lock);
}

/* ---- SMI command ---- */

static uint64_t
apm_read(void *dev, uint64_t offset, unsigned width)
{
	struct pm *pm = dev;
	uint8_t v;

	pthread_mutex_lock(&pm->lock);
	v = offset == 0 ? pm->apm_cnt : pm->apm_sts;
	pthread_mutex_unlock(&pm->lock);
	return v;
}

static void
apm_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct pm *pm = dev;

	pthread_mutex_lock(&pm->lock);
	if (offset != 0) {
		pm->apm_sts = (uint8_t)value;
	} else {
		pm->apm_cnt = (uint8_t)value;
		/* Whoever waits for the handler's answer has it. */
		pm->apm_sts = 0;
		if (value == PM_ACPI_ENABLE)
			pm->cnt |= PM1_SCI_EN;
		else if (value == PM_ACPI_DISABLE)
			pm->cnt &= (uint16_t)~PM1_SCI_EN;
		sci_update(pm);
	}
	pthread_mutex_unlock(&pm->lock);
}

static const struct bus_ops block_ops = { block_read, block_write };
static const struct bus_ops apm_ops = { apm_read, apm_write };

/* ---- outside ---- */

static int
move_locked(struct pm *pm, uint16_t base, struct error *err)
{
	const struct bus_window win = { "ACPI PM", base, PM_LEN,
		BUS_W1 | BUS_W2 | BUS_W4, &block_ops, pm };
	int rc = 0;

	if (base == pm->base)
		return 0;
	if (pm->base != 0)
		bus_remove(vm_pio(pm->vm), pm->base, PM_LEN, pm);
	pm->base = 0;
	if (base != 0)
		rc = bus_add(vm_pio(pm->vm), &win, err);
	if (rc == 0)
		pm->base = base;
	return rc;
}

void
pm_move(struct pm *pm, uint16_t base, bool enabled)
{
	static struct log_limit limit;
	struct error err = ERROR_INIT;

	pthread_mutex_lock(&pm->lock);
	if (move_locked(pm, enabled ? base : 0, &err) < 0)
		log_ratelimited(&limit, LOG_WARN, "pm",
		    "PMBASE %#x is not decoded: %s", base, err.text);
	pthread_mutex_unlock(&pm->lock);
}

void
pm_power_button(struct pm *pm)
{
	pthread_mutex_lock(&pm->lock);
	pm->sts |= PM1_PWRBTN;
	sci_update(pm);
	pthread_mutex_unlock(&pm->lock);
}

bool
pm_acpi_enabled(struct pm *pm)
{
	bool on;

	pthread_mutex_lock(&pm->lock);
	on = (pm->cnt & PM1_SCI_EN) != 0 && (pm->en & PM1_PWRBTN) != 0;
	pthread_mutex_unlock(&pm->lock);
	return on;
}

int
pm_create(struct vm *vm, struct pm **ret, struct error *err)
{
	struct pm *pm = alloc_zero(1, sizeof(*pm));
	const struct bus_window apm = { "APM", APM_PORT, 2, BUS_BYTEWISE,
		&apm_ops, pm };
	int rc;

	if (pm == NULL)
		return error_set(err, ENOMEM, "ACPI PM: out of memory");
	pm->vm = vm;
	pm->start_ns = lpc_clock_ns();
	pm->smi_en = SMI_EN_APMC;
	pthread_mutex_init(&pm->lock, NULL);
	rc = mevent_add_timer(vm_loop(vm), on_timer, pm, &pm->timer, err);
	if (rc == 0)
		rc = bus_add(vm_pio(vm), &apm, err);
	if (rc == 0)
		rc = move_locked(pm, PORT_PMBASE, err);
	if (rc < 0) {
		pm_destroy(pm);
		return rc;
	}
	*ret = pm;
	return 0;
}

void
pm_destroy(struct pm *pm)
{
	if (pm == NULL)
		return;
	if (pm->base != 0)
		bus_remove(vm_pio(pm->vm), pm->base, PM_LEN, pm);
	bus_remove(vm_pio(pm->vm), APM_PORT, 2, pm);
	mevent_delete(pm->timer);
	pthread_mutex_destroy(&pm->lock);
	free(pm);
}
