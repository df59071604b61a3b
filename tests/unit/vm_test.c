/*
 * The machine's threads, stops, pauses and interrupt lines, on an engine of the
 * test's own that runs nothing.
 */
#include "vmm/vm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "tap.h"
#include "vmm/memmap.h"

struct engine_vm {
	const struct engine_client *client;
	void *machine;
};

struct engine_vcpu {
	struct engine_vm *vm;
	unsigned id;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool kicked;
	bool has_exit;
	enum engine_exit next;
	pthread_t thread;
	struct vcpu_state state;
	atomic_bool dead;
	atomic_uint asked, runs;
};

#define MAX_VCPUS 4
static struct engine_vcpu *fake[MAX_VCPUS];
static unsigned fail_vcpu = MAX_VCPUS;
static atomic_uint extint_level, msis;
static _Atomic uint32_t last_msi;

static int
fake_probe(struct error *err)
{
	return 0;
}

static int
fake_cpuid(struct cpuid_table *ret, uint64_t *ret_tsc_hz, struct error *err)
{
	ret->count = 2;
	ret->row[0] = (struct cpuid_leaf){ 0, 0, 0, 1, 0x756e6547, 0, 0 };
	ret->row[1] = (struct cpuid_leaf){ 1, 0, 0, 0, 0, 0, 0 };
	*ret_tsc_hz = 1000000000;
	return 0;
}

static int
fake_vm_create(const struct engine_vm_config *conf, struct engine_vm **ret,
    struct error *err)
{
	*ret = calloc(1, sizeof(**ret));
	(*ret)->client = conf->client;
	(*ret)->machine = conf->machine;
	return 0;
}

static void
fake_vm_destroy(struct engine_vm *vm)
{
	free(vm);
}

static int
fake_vcpu_create(struct engine_vm *vm, const struct engine_vcpu_config *conf,
    struct engine_vcpu **ret, struct error *err)
{
	struct engine_vcpu *v;

	if (conf->id == fail_vcpu)
		return error_set(err, ENOSPC, "no more vCPUs");
	v = calloc(1, sizeof(*v));
	v->vm = vm;
	v->id = conf->id;
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->cond, NULL);
	fake[conf->id] = v;
	*ret = v;
	return 0;
}

static void
fake_vcpu_destroy(struct engine_vcpu *v)
{
	fake[v->id] = NULL;
	free(v);
}

static enum engine_exit
fake_run(struct engine_vcpu *v)
{
	enum engine_exit why = ENGINE_EXIT_KICKED;

	pthread_mutex_lock(&v->lock);
	v->thread = pthread_self();
	atomic_fetch_add(&v->runs, 1);
	while (!v->kicked && !v->has_exit)
		pthread_cond_wait(&v->cond, &v->lock);
	if (v->has_exit)
		why = v->next;
	v->kicked = v->has_exit = false;
	pthread_mutex_unlock(&v->lock);
	return why;
}

static void
fake_wake(struct engine_vcpu *v, bool exit, enum engine_exit why)
{
	pthread_mutex_lock(&v->lock);
	if (exit) {
		v->has_exit = true;
		v->next = why;
	} else {
		v->kicked = true;
	}
	pthread_cond_broadcast(&v->cond);
	pthread_mutex_unlock(&v->lock);
}

static void
fake_kick(struct engine_vcpu *v)
{
	fake_wake(v, false, ENGINE_EXIT_KICKED);
}

static void
fake_report(struct engine_vcpu *v, struct engine_report *ret)
{
	*ret = (struct engine_report){ .reason = "tired" };
}

static int
fake_get(struct engine_vcpu *v, struct vcpu_state *ret)
{
	tap_check(pthread_equal(v->thread, pthread_self()) || v->runs == 0);
	*ret = v->state;
	return 0;
}

static int
fake_set(struct engine_vcpu *v, const struct vcpu_state *st)
{
	if (st->rip == 0xbad)
		return -EINVAL;
	v->state = *st;
	return 0;
}

static bool
fake_is_dead(struct engine_vcpu *v)
{
	atomic_fetch_add(&v->asked, 1);
	return atomic_load(&v->dead);
}

static int
fake_msi(struct engine_vm *vm, uint64_t addr, uint32_t data)
{
	atomic_fetch_add(&msis, 1);
	atomic_store(&last_msi, data);
	return 1;
}

static void
fake_extint(struct engine_vm *vm, bool level)
{
	atomic_store(&extint_level, level);
}

static int
fake_route(struct engine_vm *vm, unsigned pin, uint64_t addr, uint32_t data,
    bool masked)
{
	return 0;
}

static const struct engine_ops fake_engine = {
	.name = "fake",
	.probe = fake_probe,
	.cpuid_supported = fake_cpuid,
	.vm_create = fake_vm_create,
	.vm_destroy = fake_vm_destroy,
	.vcpu_create = fake_vcpu_create,
	.vcpu_destroy = fake_vcpu_destroy,
	.vcpu_run = fake_run,
	.vcpu_kick = fake_kick,
	.vcpu_report = fake_report,
	.vcpu_get = fake_get,
	.vcpu_set = fake_set,
	.vcpu_is_dead = fake_is_dead,
	.msi = fake_msi,
	.extint = fake_extint,
	.ioapic_route = fake_route,
};

static struct vm *vm;

static void
create(unsigned vcpus)
{
	const struct vm_config conf = {
		.name = "test",
		.mem = { .size = MiB },
		.topo = { vcpus, vcpus, 1, 1 },
		.engine = &fake_engine,
	};
	struct error err = ERROR_INIT;

	if (vm_create(&conf, &vm, &err) != 0)
		tap_fail("%s", err.text);
}

static void
prepare(unsigned vcpus)
{
	struct error err = ERROR_INIT;

	create(vcpus);
	if (vm_prepare(vm, &err) != 0)
		tap_fail("%s", err.text);
}

static void
outb(uint16_t port, uint8_t v)
{
	tap_check(bus_write(vm_pio(vm), port, 1, v));
}

static void
ioapic_pin(unsigned pin, uint32_t low)
{
	bus_write(vm_mmio(vm), MEMMAP_IOAPIC, 4, 0x10 + 2 * pin);
	bus_write(vm_mmio(vm), MEMMAP_IOAPIC + 0x10, 4, low);
}

static void *
run_thread(void *arg)
{
	enum vm_stop *ret = arg;

	*ret = vm_run(vm);
	return NULL;
}

static void
start(pthread_t *thread, enum vm_stop *ret)
{
	tap_check_int(pthread_create(thread, NULL, run_thread, ret), 0);
}

static void *
stopper(void *arg)
{
	unsigned n = *(unsigned *)arg;

	vm_stop(vm, n == 0 ? VM_STOP_RESET : VM_STOP_POWEROFF,
	    n == 0 ? "zero" : "other");
	return NULL;
}

static void
first_stop_wins(void)
{
	unsigned n[4] = { 0, 1, 2, 3 }, i;
	pthread_t thread[4];
	enum vm_stop why;

	prepare(4);
	tap_check_str(vm_stop_cause(vm), "");
	for (i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, stopper, &n[i]);
	why = vm_run(vm);
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	tap_check_str(
	    vm_stop_cause(vm), why == VM_STOP_RESET ? "zero" : "other");
	vm_stop(vm, VM_STOP_ERROR, "late");
	tap_check(strcmp(vm_stop_cause(vm), "late") != 0);
	vm_destroy(vm);
}

static void
stop_before_run(void)
{
	prepare(2);
	vm_stop(vm, VM_STOP_RESET, "early");
	tap_check_int(vm_run(vm), VM_STOP_RESET);
	tap_check_u64(fake[0]->runs + fake[1]->runs, 0);
	vm_destroy(vm);
}

static void
failures(void)
{
	pthread_t thread;
	enum vm_stop why;

	prepare(2);
	start(&thread, &why);
	fake_wake(fake[1], true, ENGINE_EXIT_FAILED);
	pthread_join(thread, NULL);
	tap_check_int(why, VM_STOP_ERROR);
	tap_check_str(vm_stop_cause(vm), "vCPU 1: tired");
	vm_destroy(vm);
	prepare(2);
	start(&thread, &why);
	fake_wake(fake[0], true, ENGINE_EXIT_TRIPLE_FAULT);
	pthread_join(thread, NULL);
	tap_check_int(why, VM_STOP_TRIPLE_FAULT);
	vm_destroy(vm);
}

static void
half_prepared(void)
{
	struct error err = ERROR_INIT;

	create(3);
	fail_vcpu = 2;
	tap_check_int(vm_prepare(vm, &err), -ENOSPC);
	tap_check_has(err.text, "no more vCPUs");
	vm_destroy(vm);
	fail_vcpu = MAX_VCPUS;
	create(3);
	vm_destroy(vm);
	vm_destroy(NULL);
}

static void
initial_state(void)
{
	static struct vcpu_state st, got;
	struct error err = ERROR_INIT;

	create(2);
	vcpu_state_reset(&st, 1, false);
	st.rip = 0x1234;
	tap_check_int(vm_set_vcpu_state(vm, 1, &st), 0);
	tap_check_int(vm_set_vcpu_state(vm, 2, &st), -EINVAL);
	tap_check_int(vm_prepare(vm, &err), 0);
	tap_check_int(vm_prepare(vm, &err), -EALREADY);
	tap_check_int(vm_get_vcpu_state(vm, 1, &got), 0);
	tap_check_u64(got.rip, 0x1234);
	st.rip = 0x5678; /* after it, too */
	tap_check_int(vm_set_vcpu_state(vm, 1, &st), 0);
	tap_check_int(vm_get_vcpu_state(vm, 1, &got), 0);
	tap_check_u64(got.rip, 0x5678);
	vm_destroy(vm);
	create(1);
	st.rip = 0xbad;
	tap_check_int(vm_set_vcpu_state(vm, 0, &st), 0);
	tap_check_int(vm_prepare(vm, &err), -EINVAL);
	tap_check_has(err.text, "vCPU 0");
	vm_destroy(vm);
}

static void *
pauser(void *arg)
{
	static struct vcpu_state st[4];
	unsigned self = *(unsigned *)arg, i;

	for (i = 0; i < 100; i++) {
		tap_check_int(vm_pause(vm), 0);
		tap_check_int(vm_get_vcpu_state(vm, i % 3, &st[self]), 0);
		vm_resume(vm);
	}
	return NULL;
}

static void
pauses(void)
{
	static struct vcpu_state st;
	unsigned n[3] = { 0, 1, 2 }, i;
	pthread_t thread, p[3];
	enum vm_stop why;

	prepare(3);
	start(&thread, &why);
	/* Paused before the run counts too. */
	for (i = 0; i < 3; i++)
		pthread_create(&p[i], NULL, pauser, &n[i]);
	for (i = 0; i < 3; i++)
		pthread_join(p[i], NULL);
	tap_check_int(vm_get_vcpu_state(vm, 0, &st), -EBUSY);
	vm_stop(vm, VM_STOP_POWEROFF, "done");
	pthread_join(thread, NULL);
	/* A stopped machine can be looked at. */
	tap_check_int(vm_get_vcpu_state(vm, 0, &st), 0);
	tap_check_int(vm_pause(vm), 0);
	vm_destroy(vm);
}

static void
halt_needs_all(void)
{
	pthread_t thread;
	enum vm_stop why;

	prepare(2);
	atomic_store(&fake[0]->dead, true);
	start(&thread, &why);
	while (atomic_load(&fake[1]->asked) < 2)
		usleep(5000);
	tap_check_str(vm_stop_cause(vm), "");
	atomic_store(&fake[1]->dead, true);
	pthread_join(thread, NULL);
	tap_check_int(why, VM_STOP_HALT);
	vm_destroy(vm);
}

/* Not asked while an interrupt could come; asked once none can any more. */
static void
halt_needs_quiet(void)
{
	pthread_t thread;
	enum vm_stop why;

	prepare(1);
	ioapic_pin(9, 0x41);
	atomic_store(&fake[0]->dead, true);
	start(&thread, &why);
	usleep(350000);
	tap_check_u64(atomic_load(&fake[0]->asked), 0);
	tap_check(atomic_load(&fake[0]->runs) <= 1);
	ioapic_pin(9, 0x10041);
	pthread_join(thread, NULL);
	tap_check_int(why, VM_STOP_HALT);
	vm_destroy(vm);
}

static void
pinning(void)
{
	struct error err = ERROR_INIT;

	create(1);
	tap_check_int(vm_pin(vm, 1, "0", &err), -EINVAL);
	tap_check_has(err.text, "vCPU 1");
	tap_check_int(vm_pin(vm, 0, "", &err), -EINVAL);
	tap_check_int(vm_pin(vm, 0, "a", &err), -EINVAL);
	tap_check_int(vm_pin(vm, 0, "-1", &err), -EINVAL);
	tap_check_int(vm_pin(vm, 0, "0-", &err), -EINVAL);
	tap_check_int(vm_pin(vm, 0, "0,", &err), -EINVAL);
	tap_check_int(vm_pin(vm, 0, "0--1", &err), -EINVAL);
	tap_check_int(vm_pin(vm, 0, "0 ", &err), -EINVAL);
	tap_check_has(err.text, "no list");
	tap_check_int(vm_pin(vm, 0, "99999", &err), -EINVAL);
	tap_check_has(err.text, "do not exist");
	tap_check_int(vm_pin(vm, 0, "99999999999999999999", &err), -EINVAL);
	tap_check_int(vm_pin(vm, 0, "0", &err), 0);
	tap_check_int(vm_prepare(vm, &err), 0);
	vm_destroy(vm);
}

/* Both controllers open for everything; the PIC's vectors from 0x30 on. */
static void
open_controllers(void)
{
	static const uint8_t icw[] = { 0x11, 0x30, 4, 1, 0 };
	unsigned i;

	for (i = 0; i < ARRAY_LEN(icw); i++) {
		outb(i == 0 ? 0x20 : 0x21, icw[i]);
		outb(i == 0 ? 0xa0 : 0xa1, i == 1 ? 0x38 : icw[i]);
	}
	outb(0x4d1, 0x0c); /* 10 and 11 are levels */
	for (i = 0; i < 24; i++)
		ioapic_pin(i, i >= 16 ? 0x8080 + i : 0x80 + i);
}

static void
lines_are_ored(void)
{
	int a, b;

	prepare(1);
	open_controllers();
	vm_irq_set(vm, 17, &a, true);
	tap_check_u64(atomic_load(&msis), 1);
	tap_check_u64(atomic_load(&last_msi), 0xc091);
	vm_irq_set(vm, 17, &b, true);
	vm_irq_set(vm, 17, &a, true); /* again, no matter */
	vm_irq_set(vm, 17, &a, false);
	tap_check_u64(atomic_load(&msis), 1);
	fake[0]->vm->client->eoi(vm, 0x91);
	tap_check_u64(atomic_load(&msis), 2); /* b holds it */
	vm_irq_set(vm, 17, &b, false);
	fake[0]->vm->client->eoi(vm, 0x91);
	tap_check_u64(atomic_load(&msis), 2);
	vm_irq_set(vm, 24, &a, true);
	vm_irq_set(vm, 99, &a, true);
	vm_destroy(vm);
}

static void
isa_lines(void)
{
	int a;

	prepare(1);
	open_controllers();
	vm_irq_set(vm, GSI_COM1, &a, true);
	tap_check_u64(atomic_load(&last_msi), 0x4084);
	tap_check_u64(atomic_load(&extint_level), 1);
	tap_check_int(fake[0]->vm->client->extint_ack(vm), 0x34);
	tap_check_u64(atomic_load(&extint_level), 0);
	tap_check_int(fake[0]->vm->client->extint_ack(vm), -1);
	outb(0x20, 0x20);
	/* The PIT: input 0 of the PIC, pin 2 of the I/O APIC; an edge each. */
	vm_irq_pulse(vm, GSI_PIT);
	tap_check_u64(atomic_load(&last_msi), 0x4082);
	tap_check_int(fake[0]->vm->client->extint_ack(vm), 0x30);
	outb(0x20, 0x20);
	vm_irq_pulse(vm, GSI_PIT);
	tap_check_u64(atomic_load(&msis), 3);
	vm_destroy(vm);
}

static void
pirq_routes(void)
{
	int a, b;

	prepare(1);
	open_controllers();
	vm_irq_set(vm, 16, &a, true);
	tap_check_u64(atomic_load(&extint_level), 0);
	vm_pirq_route(vm, 0, 10);
	tap_check_u64(atomic_load(&extint_level), 1);
	vm_pirq_route(vm, 0, 11);
	tap_check_int(fake[0]->vm->client->extint_ack(vm), 0x3b);
	outb(0xa0, 0x20);
	outb(0x20, 0x20);
	/* Another PIRQ and the ISA line itself on the same input. */
	vm_pirq_route(vm, 1, 11);
	vm_irq_set(vm, 17, &b, true);
	vm_irq_set(vm, 16, &a, false);
	tap_check_u64(atomic_load(&extint_level), 1);
	vm_irq_set(vm, 11, &b, true);
	vm_irq_set(vm, 17, &b, false);
	tap_check_u64(atomic_load(&extint_level), 1);
	vm_irq_set(vm, 11, &b, false);
	tap_check_u64(atomic_load(&extint_level), 0);
	vm_pirq_route(vm, 1, -1);
	vm_irq_set(vm, 17, &b, true);
	tap_check_u64(atomic_load(&extint_level), 0);
	vm_pirq_route(vm, 8, 5);
	vm_pirq_route(vm, 2, 77);
	vm_destroy(vm);
}

static void *
line_toggler(void *arg)
{
	unsigned i;

	for (i = 0; i < 2000; i++) {
		vm_irq_set(vm, 16 + i % 8, arg, true);
		vm_irq_set(vm, 16 + i % 8, arg, false);
		vm_irq_pulse(vm, i % 16);
	}
	return NULL;
}

static void
lines_from_threads(void)
{
	unsigned n[3] = { 0, 1, 2 }, i, pin;
	const struct engine_client *client;
	pthread_t thread[3];

	prepare(1);
	open_controllers();
	for (i = 0; i < 8; i++)
		vm_pirq_route(vm, i, 10 + i % 2);
	for (i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, line_toggler, &n[i]);
	client = fake[0]->vm->client;
	for (i = 0; i < 2000; i++) {
		client->eoi(vm, (uint8_t)(0x90 + i % 8));
		client->extint_ack(vm);
		outb(0xa0, 0x20);
		outb(0x20, 0x20);
	}
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	/* All down in the end. */
	for (pin = 0; pin < 24; pin++)
		client->eoi(vm, (uint8_t)(0x80 + pin));
	i = atomic_load(&msis);
	for (pin = 0; pin < 24; pin++)
		client->eoi(vm, (uint8_t)(0x80 + pin));
	tap_check_u64(atomic_load(&msis), i);
	vm_destroy(vm);
}

static atomic_int called;

static void
call_me(void *arg)
{
	sigset_t set;

	pthread_sigmask(SIG_BLOCK, NULL, &set);
	tap_check(sigismember(&set, SIGTERM));
	atomic_fetch_add(&called, 1);
}

static void
iothreads(void)
{
	struct error err = ERROR_INIT;
	struct iothread *thr;

	tap_check_int(
	    iothread_create("a name much too long", &thr, &err), -EINVAL);
	tap_check_int(iothread_create("io 0:4:0", &thr, &err), 0);
	tap_check_int(mevent_call_wait(iothread_loop(thr), call_me, NULL), 0);
	tap_check_int(atomic_load(&called), 1);
	iothread_destroy(thr);
	iothread_destroy(NULL);
}

static const struct tap_test tests[] = {
	TAP_TEST(first_stop_wins),
	TAP_TEST(stop_before_run),
	TAP_TEST(failures),
	TAP_TEST(half_prepared),
	TAP_TEST(initial_state),
	TAP_TEST(pauses),
	TAP_TEST(halt_needs_all),
	TAP_TEST(halt_needs_quiet),
	TAP_TEST(pinning),
	TAP_TEST(lines_are_ored),
	TAP_TEST(isa_lines),
	TAP_TEST(pirq_routes),
	TAP_TEST(lines_from_threads),
	TAP_TEST(iothreads),
};
TAP_MAIN(tests)
