/*
 * Why KVM_RUN returned, and what is done about it. Numbers, lengths and offsets
 * in struct kvm_run come from the kernel, but the guest had a hand in them:
 * each is checked.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "vmm/kvm/kvm_impl.h"

/* Newer than the headers this is built with */
#define EXIT_NOTIFY 37
#define EXIT_MEMORY_FAULT 39
#define EMULATION_HAS_BYTES UINT64_C(1)

typedef int (*exit_fn)(struct engine_vcpu *vcpu);

/* ---- failures ---- */

/* Bytes at the vCPU's RIP, through its page tables, page by page. */
void
kvm_fetch_bytes(struct engine_vcpu *vcpu)
{
	struct engine_report *rep = &vcpu->report;
	struct kvm_translation tr = { 0 };
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	uint64_t at;
	size_t n;

	if (kvm_ioctl_ptr(vcpu->fd, KVM_GET_REGS, &regs) != 0 ||
	    kvm_ioctl_ptr(vcpu->fd, KVM_GET_SREGS, &sregs) != 0)
		return;
	at = sregs.cs.base + regs.rip;
	rep->insn_len = 0;
	while (rep->insn_len < sizeof(rep->insn)) {
		tr.linear_address = at;
		if (kvm_ioctl_ptr(vcpu->fd, KVM_TRANSLATE, &tr) != 0 ||
		    !tr.valid)
			return;
		n = MIN(sizeof(rep->insn) - rep->insn_len,
		    (size_t)(PAGE_SIZE_4K - at % PAGE_SIZE_4K));
		if (vm_mem_read(vcpu->vm->mem, GPA(tr.physical_address),
			rep->insn + rep->insn_len, n) != 0)
			return;
		rep->insn_len += (unsigned)n;
		at += n;
	}
}

int
kvm_fail(struct engine_vcpu *vcpu, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(vcpu->report.reason, sizeof(vcpu->report.reason), fmt, ap);
	va_end(ap);
	kvm_fetch_bytes(vcpu);
	return ENGINE_EXIT_FAILED;
}

static const char *const internal_error_name[] = {
	[KVM_INTERNAL_ERROR_EMULATION] = "KVM cannot emulate an instruction",
	[KVM_INTERNAL_ERROR_SIMUL_EX] = "exceptions at the same time in KVM",
	[KVM_INTERNAL_ERROR_DELIVERY_EV] =
	    "an exit while an event was being delivered",
	[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] =
	    "an exit that KVM does not know",
};

/*
 * What KVM tried to emulate is surer than a second look, and cheap: this may
 * be one of thousands a second, and none that ends the machine.
 */
static int
exit_emulation(struct engine_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	unsigned n = run->emulation_failure.insn_size;

	snprintf(vcpu->report.reason, sizeof(vcpu->report.reason),
	    "%s (KVM_EXIT_INTERNAL_ERROR, suberror %u)",
	    internal_error_name[KVM_INTERNAL_ERROR_EMULATION],
	    KVM_INTERNAL_ERROR_EMULATION);
	vcpu->report.insn_len = 0;
	if (run->emulation_failure.ndata >= 3 &&
	    (run->emulation_failure.flags & EMULATION_HAS_BYTES) && n != 0 &&
	    n <= sizeof(vcpu->report.insn)) {
		memcpy(vcpu->report.insn, run->emulation_failure.insn_bytes, n);
		vcpu->report.insn_len = n;
	}
	return vcpu->vm->stepped ? ENGINE_EXIT_EMULATION : ENGINE_EXIT_FAILED;
}

static int
exit_internal_error(struct engine_vcpu *vcpu)
{
	const uint32_t sub = vcpu->run->internal.suberror;
	const char *name = NULL;

	if (sub == KVM_INTERNAL_ERROR_EMULATION)
		return exit_emulation(vcpu);
	if (sub < ARRAY_LEN(internal_error_name))
		name = internal_error_name[sub];
	return kvm_fail(vcpu, "%s (KVM_EXIT_INTERNAL_ERROR, suberror %u)",
	    name != NULL ? name : "internal error of KVM", sub);
}

static int
exit_fail_entry(struct engine_vcpu *vcpu)
{
	return kvm_fail(vcpu,
	    "the processor refuses to enter the guest, hardware reason "
	    "0x%" PRIx64,
	    (uint64_t)vcpu->run->fail_entry.hardware_entry_failure_reason);
}

static int
exit_unknown(struct engine_vcpu *vcpu)
{
	return kvm_fail(vcpu, "unknown exit of the processor, 0x%" PRIx64,
	    (uint64_t)vcpu->run->hw.hardware_exit_reason);
}

static int
exit_system_event(struct engine_vcpu *vcpu)
{
	return kvm_fail(vcpu, "system event %u of KVM, which x86 has not",
	    vcpu->run->system_event.type);
}

static int
exit_memory_fault(struct engine_vcpu *vcpu)
{
	return kvm_fail(vcpu, "KVM cannot provide a page of guest memory");
}

/* ---- accesses ---- */

static uint64_t
load_width(const uint8_t *p, unsigned width)
{
	uint64_t v = 0;

	memcpy(&v, p, width);
	return v;
}

/* One element, or a string instruction's many. */
static int
exit_io(struct engine_vcpu *vcpu)
{
	const struct engine_client *client = vcpu->vm->client;
	struct kvm_run *run = vcpu->run;
	const unsigned width = run->io.size;
	const uint64_t total = (uint64_t)width * run->io.count;
	void *m = vcpu->vm->machine;
	uint8_t *p, *end;
	uint64_t v;

	if ((width != 1 && width != 2 && width != 4) ||
	    run->io.data_offset > vcpu->vm->run_size ||
	    total > vcpu->vm->run_size - run->io.data_offset)
		return kvm_fail(vcpu,
		    "malformed port exit: %u x %u bytes at 0x%" PRIx64,
		    run->io.count, width, (uint64_t)run->io.data_offset);
	p = (uint8_t *)run + run->io.data_offset;
	for (end = p + total; p < end; p += width) {
		if (run->io.direction == KVM_EXIT_IO_OUT) {
			client->pio_write(m, run->io.port, width,
			    (uint32_t)load_width(p, width));
		} else {
			v = client->pio_read(m, run->io.port, width);
			memcpy(p, &v, width);
		}
	}
	return KVM_EXIT_GO_ON;
}

static void
mmio_access(struct engine_vcpu *vcpu, gpa_t gpa, uint8_t *data, unsigned width)
{
	const struct engine_client *client = vcpu->vm->client;
	void *m = vcpu->vm->machine;
	uint64_t v;

	if (vcpu->run->mmio.is_write) {
		client->mmio_write(m, gpa, width, load_width(data, width));
	} else {
		v = client->mmio_read(m, gpa, width);
		memcpy(data, &v, width);
	}
}

static int
exit_mmio(struct engine_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	const gpa_t gpa = GPA(run->mmio.phys_addr);
	const unsigned len = run->mmio.len;
	unsigned i;

	if (len == 0 || len > sizeof(run->mmio.data))
		return kvm_fail(vcpu, "malformed MMIO exit of %u bytes", len);
	if ((len & (len - 1)) == 0) {
		mmio_access(vcpu, gpa, run->mmio.data, len);
	} else {
		/* A part of an access that crosses a page. */
		for (i = 0; i < len; i++)
			mmio_access(
			    vcpu, gpa_add(gpa, i), run->mmio.data + i, 1);
	}
	return KVM_EXIT_GO_ON;
}

static int
exit_rdmsr(struct engine_vcpu *vcpu)
{
	kvm_exit_rdmsr(vcpu);
	return KVM_EXIT_GO_ON;
}

static int
exit_wrmsr(struct engine_vcpu *vcpu)
{
	kvm_exit_wrmsr(vcpu);
	return KVM_EXIT_GO_ON;
}

static int
exit_eoi(struct engine_vcpu *vcpu)
{
	vcpu->vm->client->eoi(vcpu->vm->machine, vcpu->run->eoi.vector);
	return KVM_EXIT_GO_ON;
}

static int
exit_hypercall(struct engine_vcpu *vcpu)
{
	vcpu->run->hypercall.ret = (uint64_t)-ENOSYS;
	return KVM_EXIT_GO_ON;
}

/* ---- the rest ---- */

static int
exit_go_on(struct engine_vcpu *vcpu)
{
	return KVM_EXIT_GO_ON;
}

static int
exit_shutdown(struct engine_vcpu *vcpu)
{
	return ENGINE_EXIT_TRIPLE_FAULT;
}

static int
exit_debug(struct engine_vcpu *vcpu)
{
	return ENGINE_EXIT_DEBUG;
}

static const exit_fn handler[] = {
	[KVM_EXIT_UNKNOWN] = exit_unknown,
	[KVM_EXIT_IO] = exit_io,
	[KVM_EXIT_HYPERCALL] = exit_hypercall,
	[KVM_EXIT_DEBUG] = exit_debug,
	[KVM_EXIT_MMIO] = exit_mmio,
	[KVM_EXIT_IRQ_WINDOW_OPEN] = exit_go_on,
	[KVM_EXIT_SHUTDOWN] = exit_shutdown,
	[KVM_EXIT_FAIL_ENTRY] = exit_fail_entry,
	[KVM_EXIT_INTR] = exit_go_on,
	[KVM_EXIT_SET_TPR] = exit_go_on,
	[KVM_EXIT_TPR_ACCESS] = exit_go_on,
	[KVM_EXIT_INTERNAL_ERROR] = exit_internal_error,
	[KVM_EXIT_SYSTEM_EVENT] = exit_system_event,
	[KVM_EXIT_IOAPIC_EOI] = exit_eoi,
	[KVM_EXIT_X86_RDMSR] = exit_rdmsr,
	[KVM_EXIT_X86_WRMSR] = exit_wrmsr,
	[KVM_EXIT_X86_BUS_LOCK] = exit_go_on,
	[EXIT_NOTIFY] = exit_go_on,
	[EXIT_MEMORY_FAULT] = exit_memory_fault,
};

int
kvm_handle_exit(struct engine_vcpu *vcpu)
{
	uint32_t reason = vcpu->run->exit_reason;

	if (reason >= ARRAY_LEN(handler) || handler[reason] == NULL)
		return kvm_fail(
		    vcpu, "exit reason %u of KVM is not known here", reason);
	return handler[reason](vcpu);
}
