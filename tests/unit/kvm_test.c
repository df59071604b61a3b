/*
 * What only KVM can do wrong: instructions that it cannot emulate, and speed.
 */
#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "guest.h"
#include "tap.h"

GUEST_ENTRY(fwait);
GUEST_ENTRY(quiet_msr);

static void
create(struct guest *g, const uint8_t *entry)
{
	const struct vm_config conf = guest_config(1);

	guest_create(g, &conf, entry);
}

/* An instruction that KVM cannot emulate ends the machine with a report. */
static void
emulation_failure(void)
{
	cleanup_close int fd = fd_memfd("log", 0, 0);
	static char text[16384];
	enum vm_stop why;
	struct guest g;

	create(&g, guest_fwait);
	log_setup(fd, LOG_HUMAN, LOG_INFO);
	why = guest_run(&g);
	log_setup(STDERR_FILENO, LOG_HUMAN, LOG_INFO);
	if (why == VM_STOP_POWEROFF) {
		guest_destroy(&g);
		tap_skip("this KVM runs FWAIT in ring 0");
	}
	tap_check_int(why, VM_STOP_ERROR);
	tap_check_has(vm_stop_cause(g.vm), "cannot emulate");
	tap_check(fd_pread_full(fd, text, sizeof(text) - 1, 0) > 0);
	tap_check_has(text, "at rip: 9b b8 04");
	tap_check_has(text, "wait");
	tap_check_has(text, "cr0 ");
	tap_check_has(text, "cs   0010");
	guest_destroy(&g);
}

static void
quiet_msr(void)
{
	static const uint32_t want[] = { 0 };
	struct guest g;

	create(&g, guest_quiet_msr);
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_check_notes(&g, want, 1);
	guest_destroy(&g);
}

static void
calibration(void)
{
	struct error err = ERROR_INIT;
	const struct engine_ops *eng;
	struct kvm_speed speed;

	guest_need_engine();
	if (kvm_calibrate(&speed, &err) != 0)
		tap_fail("kvm_calibrate: %s", err.text);
	tap_note("%.1f MIPS in %u us", speed.ring0_mips,
	    (unsigned)(speed.elapsed_ns / 1000));
	tap_check(speed.ring0_mips > 0.01);
	tap_check(speed.fast == (speed.ring0_mips >= 100));
	tap_check(speed.elapsed_ns < UINT64_C(500000000));
	tap_check_int(engine_choose("kvm", &eng, &err), 0);
	tap_check_str(eng->name, "kvm");
	tap_check_int(engine_choose("auto", &eng, &err), 0);
	tap_check_int(engine_choose("kvn", &eng, &err), -EINVAL);
	tap_check_has(err.text, "kvm");
}

static const struct tap_test tests[] = {
	TAP_TEST(emulation_failure),
	TAP_TEST(quiet_msr),
	TAP_TEST(calibration),
};
TAP_MAIN(tests)
