/*
 * Which engine runs the guest.
 */
#include "vmm/engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

/* In the order of preference. */
static const struct engine_ops *const engines[] = {
	&engine_kvm,
#ifdef HAVE_ENGINE_SOFT
	&engine_soft,
#endif
};

static int
choose_named(const char *name, const struct engine_ops **ret, struct error *err)
{
	const char *names[ARRAY_LEN(engines) + 1] = { "auto" };
	size_t i;
	int rc;

	for (i = 0; i < ARRAY_LEN(engines); i++) {
		names[i + 1] = engines[i]->name;
		if (strcmp(engines[i]->name, name) != 0)
			continue;
		rc = engines[i]->probe(err);
		if (rc == 0)
			*ret = engines[i];
		return rc;
	}
	error_set(err, EINVAL, "there is no engine '%s'", name);
	error_add_hint(err, str_nearest(name, names, ARRAY_LEN(names)));
	return -EINVAL;
}

/* Is KVM there, and what speaks against it? */
static int
judge_kvm(char *why, size_t size, bool *ret_fast, struct error *err)
{
	struct kvm_speed speed;
	int rc;

	rc = engine_kvm.probe(err);
	if (rc == 0)
		rc = kvm_calibrate(&speed, err);
	if (rc != 0)
		return rc;
	snprintf(why, size, "KVM runs guest kernels at %.*f MIPS",
	    speed.fast ? 0 : 1, speed.ring0_mips);
	*ret_fast = speed.fast;
	return 0;
}

int
engine_choose(
    const char *name, const struct engine_ops **ret, struct error *err)
{
	const struct engine_ops *other;
	struct error kvm_err = ERROR_INIT;
	bool fast = false;
	char why[64];
	int rc;

	if (strcmp(name, "auto") != 0) {
		rc = choose_named(name, ret, err);
		if (rc == 0)
			log_info("vmm", "engine %s, as configured", name);
		return rc;
	}
	rc = judge_kvm(why, sizeof(why), &fast, &kvm_err);
	other = engines[ARRAY_LEN(engines) - 1];
	if (rc == 0 && fast) {
		*ret = &engine_kvm;
		log_info("vmm", "engine kvm: %s", why);
		return 0;
	}
	if (other != &engine_kvm && other->probe(err) == 0) {
		*ret = other;
		log_info("vmm", "engine %s: %s", other->name,
		    rc == 0 ? why : kvm_err.text);
		return 0;
	}
	if (rc != 0)
		return error_set(err, -rc, "%s", kvm_err.text);
	*ret = &engine_kvm;
	log_warn("vmm", "engine kvm: %s, and there is no other engine", why);
	return 0;
}
