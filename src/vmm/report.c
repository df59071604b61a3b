/*
 * The last words of a vCPU that cannot go on: enough to find the instruction
 * and the state that it failed in, without running it again.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "vmm/vm_impl.h"
#include "vmm/x86/disasm.h"

#define CR0_PE 0x1
#define EFER_LMA 0x400

static void
report_seg(const char *name, const struct x86_seg *seg)
{
	log_err("vmm", "  %-4s %04x base %016" PRIx64 " limit %08x attr %05x",
	    name, seg->sel, seg->base, seg->limit, seg->attr);
}

static void
report_gprs(const struct vcpu_state *st)
{
	static const char *const name[X86_GPR_COUNT] = { "rax", "rcx", "rdx",
		"rbx", "rsp", "rbp", "rsi", "rdi", "r8 ", "r9 ", "r10", "r11",
		"r12", "r13", "r14", "r15" };
	unsigned i;

	for (i = 0; i < X86_GPR_COUNT; i += 4)
		log_err("vmm",
		    "  %s %016" PRIx64 " %s %016" PRIx64 " %s %016" PRIx64
		    " %s %016" PRIx64,
		    name[i], st->gpr[i], name[i + 1], st->gpr[i + 1],
		    name[i + 2], st->gpr[i + 2], name[i + 3], st->gpr[i + 3]);
}

static void
report_state(const struct vcpu_state *st)
{
	static const char *const name[X86_SEG_COUNT] = { "es", "cs", "ss", "ds",
		"fs", "gs" };
	unsigned i;

	log_err("vmm", "  rip %016" PRIx64 " rflags %08" PRIx64, st->rip,
	    st->rflags);
	report_gprs(st);
	log_err("vmm",
	    "  cr0 %08" PRIx64 " cr2 %016" PRIx64 " cr3 %016" PRIx64
	    " cr4 %08" PRIx64 " cr8 %" PRIx64 " efer %" PRIx64,
	    st->cr0, st->cr2, st->cr3, st->cr4, st->cr8, st->efer);
	for (i = 0; i < X86_SEG_COUNT; i++)
		report_seg(name[i], &st->seg[i]);
	report_seg("tr", &st->tr);
	report_seg("ldtr", &st->ldtr);
	log_err("vmm",
	    "  gdtr %016" PRIx64 " limit %04x idtr %016" PRIx64 " limit %04x",
	    st->gdtr.base, st->gdtr.limit, st->idtr.base, st->idtr.limit);
}

unsigned
vcpu_code_bits(const struct vcpu_state *st)
{
	uint32_t attr = st->seg[X86_CS].attr;

	if ((st->efer & EFER_LMA) && (attr & X86_ATTR_L))
		return 64;
	return (st->cr0 & CR0_PE) && (attr & X86_ATTR_DB) ? 32 : 16;
}

static void
report_insn(const struct engine_report *rep, const struct vcpu_state *st)
{
	char bytes[3 * sizeof(rep->insn) + 1] = "", text[96] = "";
	unsigned i;

	for (i = 0; i < rep->insn_len && i < sizeof(rep->insn); i++)
		snprintf(&bytes[(size_t)3 * i], 4, " %02x", rep->insn[i]);
	if (i == 0)
		return;
	if (st != NULL)
		x86_disasm(text, sizeof(text), rep->insn, i, vcpu_code_bits(st),
		    st->rip);
	log_err("vmm", "  at rip:%s  %s", bytes, text);
}

void
vcpu_log_failure(struct vcpu *vcpu)
{
	const struct engine_ops *eng = vcpu->vm->conf.engine;
	cleanup_free struct vcpu_state *st = alloc_zero(1, sizeof(*st));
	struct engine_report report = { 0 };
	bool known;

	eng->vcpu_report(vcpu->engine, &report);
	known = st != NULL && eng->vcpu_get(vcpu->engine, st) == 0;
	log_err("vmm", "vCPU %u cannot go on: %s", vcpu->id, report.reason);
	report_insn(&report, known ? st : NULL);
	if (known)
		report_state(st);
	else
		log_err("vmm", "  its state cannot be read");
}
