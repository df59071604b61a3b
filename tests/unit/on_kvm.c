/*
 * The engine of the tests that run guests: KVM.
 */
#include "guest.h"

const struct engine_ops *const test_engine = &engine_kvm;
