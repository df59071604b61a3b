/*
 * Lock-step: what makes up the state of a vCPU, its comparison, and what is
 * said about a difference.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "base/log.h"
#include "vmm/soft/lockstep.h"
#include "vmm/x86/disasm.h"

#define XSAVE_USED 832

#define FIELD(f) offsetof(struct soft_cpu, f)
#define SPAN(first, last)                                \
	{                                                \
		FIELD(first), FIELD(last) - FIELD(first) \
	}

/* Everything but TLBs, locks and what belongs to the host. */
static const struct {
	size_t at, size;
} spans[] = {
	SPAN(gpr, tlb),
	SPAN(segbase, request),
	SPAN(xgen, nmi_pending),
	SPAN(star, rmw_page),
	{ FIELD(xsave), XSAVE_USED },
};

void
lockstep_copy_state(struct soft_cpu *to, const struct soft_cpu *from)
{
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
		memcpy((char *)to + spans[i].at,
		    (const char *)from + spans[i].at, spans[i].size);
	to->tlb = to->access_checks & SOFT_CHECK_ALIGN ? to->no_tlb
						       : to->tlbs[to->mmu];
	to->fp_live = 0;
	to->step = false;
	atomic_store_explicit(&to->request, 0, memory_order_relaxed);
}

#define ROW(name, f)                                                 \
	{                                                            \
		name, FIELD(f), sizeof(((struct soft_cpu *)NULL)->f) \
	}
static const struct field {
	const char *name;
	size_t at, size;
} fields[] = {
	ROW("RIP", rip),
	ROW("RAX", gpr[0]),
	ROW("RCX", gpr[1]),
	ROW("RDX", gpr[2]),
	ROW("RBX", gpr[3]),
	ROW("RSP", gpr[4]),
	ROW("RBP", gpr[5]),
	ROW("RSI", gpr[6]),
	ROW("RDI", gpr[7]),
	ROW("R8", gpr[8]),
	ROW("R9", gpr[9]),
	ROW("R10", gpr[10]),
	ROW("R11", gpr[11]),
	ROW("R12", gpr[12]),
	ROW("R13", gpr[13]),
	ROW("R14", gpr[14]),
	ROW("R15", gpr[15]),
	ROW("RFLAGS", rflags),
	ROW("code size", mode),
	ROW("CPL", cpl),
	ROW("ES", seg[X86_ES]),
	ROW("CS", seg[X86_CS]),
	ROW("SS", seg[X86_SS]),
	ROW("DS", seg[X86_DS]),
	ROW("FS", seg[X86_FS]),
	ROW("GS", seg[X86_GS]),
	ROW("segment bases", segbase),
	ROW("TR", tr),
	ROW("LDTR", ldtr),
	ROW("GDTR", gdtr),
	ROW("IDTR", idtr),
	ROW("CR0", cr0),
	ROW("CR2", cr2),
	ROW("CR3", cr3),
	ROW("CR4", cr4),
	ROW("XCR0", xcr0),
	ROW("EFER", efer),
	ROW("interrupt shadow", shadow),
	ROW("NMI mask", nmi_masked),
	ROW("kernel GS base", kernel_gs_base),
	{ "x87 state", FIELD(xsave), SOFT_MXCSR },
	{ "MXCSR", FIELD(xsave[SOFT_MXCSR]), 4 },
	{ "x87 registers", FIELD(xsave[SOFT_ST(0)]), 128 },
	{ "XMM registers", FIELD(xsave[SOFT_XMM(0)]), 256 },
	{ "YMM registers", FIELD(xsave[SOFT_YMMH(0)]), 256 },
};
#define NFIELDS (sizeof(fields) / sizeof(fields[0]))

static bool
field_differs(const struct soft_lockstep *ls, const struct field *f)
{
	return memcmp((const char *)ls->a + f->at, (const char *)ls->b + f->at,
		   f->size) != 0;
}

static bool
fault_differs(const struct lockstep_fault *a, const struct lockstep_fault *b)
{
	if (a->why != b->why)
		return true;
	return a->why == SOFT_LEAVE_RAISE &&
	    (a->vector != b->vector || a->has_error != b->has_error ||
		(a->has_error && a->error != b->error));
}

const char *
lockstep_compare(struct soft_lockstep *ls, const struct lockstep_fault *fa,
    const struct lockstep_fault *fb)
{
	uint32_t fl = soft_arith_flags(ls->a) ^ soft_arith_flags(ls->b);
	uint64_t pa;

	if (fa->why == SOFT_LEAVE_FAIL)
		return NULL; /* the subject gives up: its report counts */
	if (ls->shadow_error != NULL)
		return ls->shadow_error;
	if (fault_differs(fa, fb))
		return "fault";
	for (size_t i = 0; i < NFIELDS; i++)
		if (field_differs(ls, &fields[i]))
			return fields[i].name;
	if ((fl & ~ls->undefined) != 0)
		return "flags";
	if (lockstep_mem_differs(ls, &pa))
		return "memory";
	return NULL;
}

/* ---- the report ---- */

static void
say_insns(struct soft_lockstep *ls)
{
	struct soft_cpu *s = ls->start;
	uint64_t rip = s->rip, lin;
	uint8_t bytes[X86_MAX_INSN];
	char text[96], hex[3 * X86_MAX_INSN + 1];
	struct soft_page pg;
	unsigned n, shown = 0;
	size_t len;

	for (; shown < ls->done + 1 && shown < 24; shown++, rip += len) {
		for (n = 0; n < sizeof(bytes); n++) {
			lin = rip + n;
			if (s->mode != 8)
				lin = (uint32_t)(lin + s->seg[X86_CS].base);
			if (!soft_translate_quiet(ls->a, lin, &pg))
				break;
			bytes[n] = *(uint8_t *)soft_lockstep_view(ls->a, pg.pa);
		}
		len =
		    x86_disasm(text, sizeof(text), bytes, n, s->mode * 8, rip);
		if (len == 0)
			return;
		for (size_t i = 0; i < len; i++)
			snprintf(hex + 3 * i, 4, "%02x ", bytes[i]);
		log_err(
		    "lockstep", "  %016" PRIx64 "  %-30s %s", rip, hex, text);
	}
}

static void
say_hex(const char *who, const uint8_t *p, size_t n)
{
	char hex[2 * 64 + 1];

	/* 64 bytes a line are enough to see it. */
	for (size_t i = 0; i < n && i < 64; i++)
		snprintf(hex + 2 * i, 3, "%02x", p[n < 64 ? n - 1 - i : i]);
	log_err("lockstep", "    %s %s", who, hex);
}

static void
say_field(const struct soft_lockstep *ls, const struct field *f)
{
	const char *p[3] = { (const char *)ls->start + f->at,
		(const char *)ls->a + f->at, (const char *)ls->b + f->at };
	size_t from = 0, n = f->size;

	/* Of long fields, from the first difference on. */
	while (n > 64 && p[1][from] == p[2][from]) {
		from++;
		n--;
	}
	log_err("lockstep", "  %s differs", f->name);
	say_hex("before ", (const uint8_t *)p[0] + from, n);
	say_hex("subject", (const uint8_t *)p[1] + from, n);
	say_hex("shadow ", (const uint8_t *)p[2] + from, n);
}

static void
say_fault(const char *who, const struct lockstep_fault *f)
{
	static const char *const how[] = { "none", "exception", "restart",
		"engine failure" };

	log_err("lockstep",
	    "  fault of %s: %s, vector %u error %#x cr2 %#" PRIx64, who,
	    how[f->why], f->vector, f->error, f->cr2);
}

static void
say_memory(struct soft_lockstep *ls, uint64_t pa)
{
	struct soft_page pg = { .pa = pa & ~UINT64_C(0xf) };
	const uint8_t *b = soft_lockstep_view(ls->b, pg.pa), *a;

	for (unsigned i = 0; i < ls->npages; i++) {
		if ((ls->page[i] ^ pa) >> 12 != 0)
			continue;
		a = ls->before + i * 4096u + (pg.pa & 0xfff);
		log_err("lockstep",
		    "  memory differs at physical %#" PRIx64
		    ", 16 bytes of %#" PRIx64,
		    pa, pg.pa);
		say_hex("before ", a, 16);
		say_hex("subject", lockstep_guest(ls, pg.pa), 16);
		say_hex("shadow ", b, 16);
	}
}

void
lockstep_report(struct soft_lockstep *ls, const char *what, const char *note,
    const struct lockstep_fault *fa, const struct lockstep_fault *fb)
{
	const struct soft_cpu *s = ls->start;
	uint64_t pa;

	log_err("lockstep",
	    "difference: %s, after %" PRIu64 " instructions; in %" PRIu64
	    " instructions from %#" PRIx64 "%s",
	    what, ls->stats.insns, ls->done, s->rip, note);
	say_insns(ls);
	for (unsigned i = 0; i < 16; i += 4)
		log_err("lockstep",
		    "  before: %s %016" PRIx64 " %s %016" PRIx64
		    " %s %016" PRIx64 " %s %016" PRIx64,
		    fields[i + 1].name, s->gpr[i], fields[i + 2].name,
		    s->gpr[i + 1], fields[i + 3].name, s->gpr[i + 2],
		    fields[i + 4].name, s->gpr[i + 3]);
	log_err("lockstep",
	    "  flags: before %#" PRIx64 " subject %#" PRIx64 " shadow %#" PRIx64
	    ", undefined %#x",
	    soft_rflags(s), soft_rflags(ls->a), soft_rflags(ls->b),
	    ls->undefined);
	if (fault_differs(fa, fb)) {
		say_fault("subject", fa);
		say_fault("shadow", fb);
	}
	for (size_t i = 0; i < NFIELDS; i++)
		if (field_differs(ls, &fields[i]))
			say_field(ls, &fields[i]);
	if (lockstep_mem_differs(ls, &pa))
		say_memory(ls, pa);
	snprintf(ls->a->report.reason, sizeof(ls->a->report.reason),
	    "lock-step: difference in %s, %" PRIu64
	    " instructions from %#" PRIx64 "%s",
	    what, ls->done, s->rip, note);
}
