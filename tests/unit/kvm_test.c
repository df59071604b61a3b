/*
 * What only KVM can do wrong: instructions that it cannot emulate, and speed.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/passed.h"
#include "base/str.h"
#include "guest.h"
#include "tap.h"

GUEST_ENTRY(fwait);
GUEST_ENTRY(unknown);
GUEST_ENTRY(quiet_msr);

static void
create(struct guest *g, const uint8_t *entry)
{
	const struct vm_config conf = guest_config(1);

	guest_create(g, &conf, entry);
}

/*
 * An instruction that KVM cannot emulate, and that nobody may execute for it,
 * ends the machine with a report.
 */
static void
emulation_failure(void)
{
	cleanup_close int fd = fd_memfd("log", 0, 0);
	struct vm_config conf = guest_config(1);
	static char text[16384];
	enum vm_stop why;
	struct guest g;

	conf.no_step = true;
	guest_create(&g, &conf, guest_fwait);
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

/* With it the guest goes on, and the log says so once. */
static void
stepped(void)
{
	static const uint32_t want[] = { 4 };
	cleanup_close int fd = fd_memfd("log", 0, 0);
	static char text[16384];
	enum vm_stop why;
	struct guest g;

	create(&g, guest_fwait);
	log_setup(fd, LOG_HUMAN, LOG_INFO);
	why = guest_run(&g);
	guest_check_notes(&g, want, 1);
	guest_destroy(&g);
	log_setup(STDERR_FILENO, LOG_HUMAN, LOG_INFO);
	tap_check_int(why, VM_STOP_POWEROFF);
	tap_check(fd_pread_full(fd, text, sizeof(text) - 1, 0) > 0);
	if (strstr(text, "in software") == NULL)
		tap_skip("this KVM runs FWAIT in ring 0");
	tap_check_has(text, "kvm does not know 'fwait' at rip ");
	tap_check_has(text, " 1 instructions that engine kvm does not know");
}

/*
 * What no engine knows is reported as before: an AVX-512 addition in ring 0.
 */
static void
nobody_knows(void)
{
	cleanup_close int fd = fd_memfd("log", 0, 0);
	static char text[16384];
	enum vm_stop why;
	struct guest g;

	create(&g, guest_unknown);
	log_setup(fd, LOG_HUMAN, LOG_INFO);
	why = guest_run(&g);
	log_setup(STDERR_FILENO, LOG_HUMAN, LOG_INFO);
	guest_destroy(&g);
	if (why == VM_STOP_TRIPLE_FAULT)
		tap_skip("this KVM answers with #UD by itself");
	tap_check_int(why, VM_STOP_ERROR);
	tap_check(fd_pread_full(fd, text, sizeof(text) - 1, 0) > 0);
	tap_check_has(text, "the software engine cannot step over it");
	tap_check_has(text, "at rip: 62 f1 7c 48 58 c1");
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
	tap_check_int(engine_choose("kvm", &eng, &err), 0);
	tap_check_str(eng->name, "kvm");
	tap_check_int(engine_choose("auto", &eng, &err), 0);
	tap_check_int(engine_choose("kvn", &eng, &err), -EINVAL);
	tap_check_has(err.text, "kvm");
}

/* What keeps people from KVM is said in words. */
static void
no_permission(void)
{
	const struct engine_ops *eng;
	struct error err = ERROR_INIT;

	guest_need_engine();
	if (geteuid() != 0)
		tap_skip("only root can become somebody else");
	tap_check_int(setgroups(0, NULL), 0);
	tap_check_int(setresgid(65534, 65534, 65534), 0);
	tap_check_int(setresuid(65534, 65534, 65534), 0);
	if (access("/dev/kvm", R_OK | W_OK) == 0)
		tap_skip("everybody may use /dev/kvm here");
	tap_check_int(engine_choose("kvm", &eng, &err), -EACCES);
	tap_check_has(err.text, "permission denied on /dev/kvm");
}

/* A descriptor that was opened before the process lost its rights. */
static void
passed_descriptor(void)
{
	static const uint32_t want[] = { 0 };
	struct error err = ERROR_INIT;
	const struct engine_ops *eng;
	struct guest g;
	int fd;

	guest_need_engine();
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	tap_check(fd >= 0);
	tap_check_int(passed_add("/dev/kvm", fd), 0);
	if (geteuid() == 0) {
		tap_check_int(setgroups(0, NULL), 0);
		tap_check_int(setresgid(65534, 65534, 65534), 0);
		tap_check_int(setresuid(65534, 65534, 65534), 0);
	}
	tap_check_int(engine_choose("kvm", &eng, &err), 0);
	create(&g, guest_quiet_msr);
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_check_notes(&g, want, 1);
	guest_destroy(&g);
	passed_clear();
}

static void
no_descriptors(void)
{
	struct vm_config conf = guest_config(8);
	const struct rlimit lim = { 16, 16 };
	struct error err = ERROR_INIT;
	struct vm *vm;

	tap_check_int(vm_create(&conf, &vm, &err), 0);
	tap_check_int(setrlimit(RLIMIT_NOFILE, &lim), 0);
	tap_check_int(vm_prepare(vm, &err), -EMFILE);
	tap_check_has(err.text, "ulimit -n");
	vm_destroy(vm);
}

/* Each allocation of building a machine fails once; nothing is left over. */
static void
allocations_fail(void)
{
	const struct vm_config conf = guest_config(2);
	struct error err = ERROR_INIT;
	struct vm *vm = NULL;
	unsigned long n;
	int rc;

	for (n = 1; n < 1000; n++) {
		alloc_fail_at(n);
		rc = vm_create(&conf, &vm, &err);
		if (rc == 0) {
			rc = vm_prepare(vm, &err);
			vm_destroy(vm);
		}
		if (!alloc_fail_hit())
			break;
		tap_check_int(rc, -ENOMEM);
		tap_check(err.text[0] != '\0');
	}
	alloc_fail_at(0);
	tap_note("%lu allocations", n - 1);
	tap_check_int(rc, 0);
	tap_check(n > 10);
}

static const struct tap_test tests[] = {
	TAP_TEST(emulation_failure),
	TAP_TEST(stepped),
	TAP_TEST(nobody_knows),
	TAP_TEST(quiet_msr),
	TAP_TEST(calibration),
	TAP_TEST(no_permission),
	TAP_TEST(passed_descriptor),
	TAP_TEST(no_descriptors),
	TAP_TEST(allocations_fail),
};
TAP_MAIN(tests)
