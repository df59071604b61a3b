/*
 * Interrupts of the machine on an engine: messages, the PIC, the I/O APIC,
 * irqfds, processors that start each other.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "guest.h"
#include "tap.h"
#include "vmm/memmap.h"

GUEST_ENTRY(wait);
GUEST_ENTRY(isr);
GUEST_ENTRY(pic);
GUEST_ENTRY(isr_pic);
GUEST_ENTRY(level);
GUEST_ENTRY(isr_level);
GUEST_ENTRY(smp);
GUEST_ENTRY(ap);
GUEST_ENTRY(ap_end);
GUEST_ENTRY(halt);

/* A message of vector 0x40 to APIC 0, fixed, edge. */
#define MSI_ADDR UINT64_C(0xfee00000)
#define MSI_DATA 0x4040

static void
create(struct guest *g, unsigned vcpus, const uint8_t *entry)
{
	const struct vm_config conf = guest_config(vcpus);

	guest_create(g, &conf, entry);
}

static void
send_msi(struct guest *g, uint32_t value)
{
	if (value == 1)
		tap_check(vm_msi(g->vm, MSI_ADDR, MSI_DATA) > 0);
}

static void
msi(void)
{
	static const uint32_t want[] = { 1, 0x40 };
	struct guest g;

	create(&g, 1, guest_wait);
	guest_set_gate(&g, 0x40, guest_isr);
	g.on_note = send_msi;
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_check_notes(&g, want, ARRAY_LEN(want));
	guest_destroy(&g);
}

static void
pulse_irq4(struct guest *g)
{
	vm_irq_pulse(g->vm, 4);
}

static void
pulse_on_note(struct guest *g, uint32_t value)
{
	if (value == 2)
		pulse_irq4(g);
}

static void
check_pic(struct guest *g)
{
	static const uint32_t want[] = { 2, 0x54 };

	guest_set_gate(g, 0x54, guest_isr_pic);
	tap_check_int(guest_run(g), VM_STOP_POWEROFF);
	guest_check_notes(g, want, ARRAY_LEN(want));
	guest_destroy(g);
}

/* Raised while interrupts are off: waits for the window. */
static void
pic_window(void)
{
	struct guest g;

	create(&g, 1, guest_pic);
	g.on_note = pulse_on_note;
	check_pic(&g);
}

static void
pulse_after_note(struct guest *g, uint32_t value)
{
	if (value == 2)
		guest_after_ms(g, 50, pulse_irq4);
}

/* Raised while the processor is halted: wakes it. */
static void
pic_wakes(void)
{
	struct guest g;

	create(&g, 1, guest_pic);
	g.on_note = pulse_after_note;
	check_pic(&g);
}

/* Raise at the guest's word, keep it up for two deliveries, look for a third.
 */
static void
drive_level(struct guest *g, uint32_t value)
{
	if (value == 3) {
		vm_irq_set(g->vm, 16, g, true);
	} else if (g->notes == 3) {
		vm_irq_set(g->vm, 16, g, false);
		guest_after_ms(g, 100, guest_power_off);
	}
}

static void
ioapic_level(void)
{
	static const uint32_t want[] = { 3, 0x41, 0x41 };
	struct guest g;

	create(&g, 1, guest_level);
	guest_set_gate(&g, 0x41, guest_isr_level);
	g.on_note = drive_level;
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_check_notes(&g, want, ARRAY_LEN(want));
	guest_destroy(&g);
}

static void
smp_start(void)
{
	static const uint32_t want[] = { 0x77 };
	struct guest g;

	create(&g, 2, guest_smp);
	tap_check_int(vm_mem_write(vm_mem(g.vm), GPA(0x8000), guest_ap,
			  (size_t)(guest_ap_end - guest_ap)),
	    0);
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_check_notes(&g, want, 1);
	guest_destroy(&g);
}

static void
signal_irqfd(struct guest *g, uint32_t value)
{
	const int *fd = g->arg;

	if (value == 1)
		eventfd_write(*fd, 1);
}

static void
irqfd(void)
{
	cleanup_close int other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	cleanup_close int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	static const uint32_t want[] = { 1, 0x40 };
	struct engine_vm *ev;
	struct guest g;

	create(&g, 1, guest_wait);
	guest_set_gate(&g, 0x40, guest_isr);
	g.on_note = signal_irqfd;
	g.arg = &fd;
	guest_prepare(&g);
	ev = vm_engine(g.vm);
	/* Another message first, and company in a batch. */
	if (test_engine->irqfd(ev, fd, MSI_ADDR, 0x4099, true) == -ENOSYS) {
		guest_destroy(&g);
		tap_skip("engine %s has none", test_engine->name);
	}
	tap_check_int(test_engine->irq_batch(ev, true), 0);
	tap_check_int(test_engine->irqfd(ev, other, MSI_ADDR, 0x4077, true), 0);
	tap_check_int(test_engine->irqfd(ev, fd, MSI_ADDR, MSI_DATA, true), 0);
	tap_check_int(test_engine->irq_batch(ev, false), 0);
	tap_check_int(
	    test_engine->irqfd(ev, other, MSI_ADDR, 0x4077, false), 0);
	tap_check_int(vm_run(g.vm), VM_STOP_POWEROFF);
	guest_check_notes(&g, want, ARRAY_LEN(want));
	tap_check_int(test_engine->irqfd(ev, fd, MSI_ADDR, MSI_DATA, false), 0);
	tap_check_int(
	    test_engine->irqfd(ev, fd, MSI_ADDR, MSI_DATA, false), -ENOENT);
	guest_destroy(&g);
}

static void
send_nmi(struct guest *g)
{
	tap_check_int(vm_nmi(g->vm, 0), 0);
}

/*
 * Reaches a processor that is halted with interrupts off. An input is open,
 * lest the machine be found dead before a late timer.
 */
static void
nmi(void)
{
	static const uint32_t want[] = { 0x40 };
	struct guest g;

	create(&g, 1, guest_halt);
	bus_write(vm_mmio(g.vm), MEMMAP_IOAPIC, 4, 0x10 + 2 * 9);
	bus_write(vm_mmio(g.vm), MEMMAP_IOAPIC + 0x10, 4, 0x41);
	guest_set_gate(&g, 2, guest_isr);
	guest_after_ms(&g, 20, send_nmi);
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_check_notes(&g, want, 1);
	guest_destroy(&g);
}

/* Times that the main thread or a vCPU's went to sleep; 0 for others. */
static unsigned long
thread_sleeps(const char *tid)
{
	char path[300], line[256];
	unsigned long n = 0;
	bool ours = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "Name:\tvcpu", 10) == 0 ||
		    atoi(tid) == getpid())
			ours = true;
		sscanf(line, "voluntary_ctxt_switches: %lu", &n);
	}
	fclose(f);
	return ours ? n : 0;
}

static unsigned long
count_sleeps(void)
{
	unsigned long sum = 0;
	struct dirent *de;
	DIR *dir;

	dir = opendir("/proc/self/task");
	tap_check(dir != NULL);
	while ((de = readdir(dir)) != NULL)
		if (de->d_name[0] != '.')
			sum += thread_sleeps(de->d_name);
	closedir(dir);
	return sum;
}

static unsigned long sleeps;

static void
idle_end(struct guest *g)
{
	sleeps = count_sleeps() - sleeps;
	guest_power_off(g);
}

static void
idle_begin(struct guest *g)
{
	sleeps = count_sleeps();
	guest_after_ms(g, 1000, idle_end);
}

static void
idle_soon(struct guest *g, uint32_t value)
{
	guest_after_ms(g, 500, idle_begin);
}

/* With an input open, nobody looks after a guest that idles. */
static void
idle_is_quiet(void)
{
	struct guest g;

	create(&g, 1, guest_level);
	g.on_note = idle_soon;
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	tap_note("%lu sleeps in a second", sleeps);
	/* one is the main loop, into the timer's wait */
	tap_check(sleeps <= 3);
	guest_destroy(&g);
}

static const struct tap_test tests[] = {
	TAP_TEST(msi),
	TAP_TEST(pic_window),
	TAP_TEST(pic_wakes),
	TAP_TEST(ioapic_level),
	TAP_TEST(smp_start),
	TAP_TEST(irqfd),
	TAP_TEST(nmi),
	TAP_TEST(idle_is_quiet),
};
TAP_MAIN(tests)
