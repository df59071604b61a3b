/*
 * What one engine cannot execute another one may: after ENGINE_EXIT_EMULATION a
 * single instruction is executed by the software engine on the vCPU's state,
 * and the vCPU goes on where it was. Each vCPU has its stepper from the start,
 * as a confined process makes no new executable memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "vmm/vm_impl.h"
#include "vmm/x86/disasm.h"

#define VECTOR_UD 6

struct vcpu_stepper {
	const struct engine_stepper_ops *ops;
	struct engine_stepper *stepper;
	struct vcpu_state was, st;
};

static const struct engine_stepper_ops *
stepper_ops(void)
{
#ifdef HAVE_ENGINE_SOFT
	return &engine_soft_stepper;
#else
	return NULL;
#endif
}

bool
step_wanted(const struct vm_config *conf)
{
	return !conf->no_step && conf->engine->stepped != NULL &&
	    stepper_ops() != NULL;
}

int
step_create(struct vcpu *vcpu, struct error *err)
{
	const struct engine_stepper_ops *ops = stepper_ops();
	struct vm *vm = vcpu->vm;
	const struct engine_stepper_config conf = {
		.client = &vm_client,
		.machine = vm,
		.mem = vm->mem,
		.owner = vm->conf.engine->stepped,
		.vcpu = vcpu->engine,
		.id = vcpu->id,
	};

	if (ops == NULL || !step_wanted(&vm->conf))
		return 0;
	vcpu->step = alloc_zero(1, sizeof(*vcpu->step));
	if (vcpu->step == NULL)
		return error_sys(err, ENOMEM, "stepper of vCPU %u", vcpu->id);
	vcpu->step->ops = ops;
	return ops->create(&conf, &vcpu->step->stepper, err);
}

void
step_destroy(struct vcpu *vcpu)
{
	if (vcpu->step == NULL)
		return;
	vcpu->step->ops->destroy(vcpu->step->stepper);
	free(vcpu->step);
	vcpu->step = NULL;
}

/* Once for a machine, and each one for those who debug. */
static void
step_note(struct vcpu *vcpu, const struct vcpu_state *st)
{
	struct vm *vm = vcpu->vm;
	struct engine_report rep = { 0 };
	char text[96] = "?";
	bool first;

	first = atomic_fetch_add(&vm->steps, 1) == 0;
	if (!first && !log_enabled(LOG_DEBUG))
		return;
	vm->conf.engine->vcpu_report(vcpu->engine, &rep);
	if (rep.insn_len != 0)
		x86_disasm(text, sizeof(text), rep.insn, rep.insn_len,
		    vcpu_code_bits(st), st->rip);
	if (first)
		log_info("vmm",
		    "vCPU %u: %s does not know '%s' at rip %" PRIx64
		    ": this and what follows is executed in software",
		    vcpu->id, vm->conf.engine->name, text, st->rip);
	else
		log_debug("vmm", "vCPU %u: '%s' at rip %" PRIx64 " in software",
		    vcpu->id, text, st->rip);
}

/*
 * Neither engine can. That ends the machine when the guest's kernel did it;
 * a program in the guest gets what KVM would have given it.
 */
static bool
step_refused(struct vcpu *vcpu, const char *why)
{
	static struct log_limit limit;
	struct vcpu_state *st = &vcpu->step->st;

	if (X86_ATTR_DPL(st->seg[X86_SS].attr) == 3) {
		log_ratelimited(&limit, LOG_WARN, "vmm",
		    "vCPU %u: no engine can execute an instruction of a "
		    "program at rip %" PRIx64 " (%s): #UD",
		    vcpu->id, st->rip, why);
		st->exc_injected = 1;
		st->exc_vector = VECTOR_UD;
		return vcpu->vm->conf.engine->stepped->set(
			   vcpu->engine, &vcpu->step->was, st) >= 0;
	}
	log_err("vmm", "vCPU %u: the software engine cannot step over it: %s",
	    vcpu->id, why);
	return false;
}

enum engine_exit
step_run(struct vcpu *vcpu)
{
	const struct engine_stepped_ops *owner = vcpu->vm->conf.engine->stepped;
	struct vcpu_stepper *s = vcpu->step;
	char why[160] = "";
	int rc;

	rc = owner->get(vcpu->engine, &s->was);
	if (rc < 0) {
		log_err("vmm", "vCPU %u: no state to step from: error %d",
		    vcpu->id, -rc);
		return ENGINE_EXIT_FAILED;
	}
	s->st = s->was;
	switch (s->ops->step(s->stepper, &s->st, why, sizeof(why))) {
	case ENGINE_STEP_TRIPLE_FAULT:
		return ENGINE_EXIT_TRIPLE_FAULT;
	case ENGINE_STEP_CANNOT:
		return step_refused(vcpu, why) ? ENGINE_EXIT_EMULATION
					       : ENGINE_EXIT_FAILED;
	case ENGINE_STEP_DONE:
		break;
	}
	step_note(vcpu, &s->was);
	rc = owner->set(vcpu->engine, &s->was, &s->st);
	if (rc < 0) {
		log_err("vmm", "vCPU %u: its state is refused: error %d",
		    vcpu->id, -rc);
		return ENGINE_EXIT_FAILED;
	}
	return rc > 0 ? ENGINE_EXIT_DEBUG : ENGINE_EXIT_EMULATION;
}
