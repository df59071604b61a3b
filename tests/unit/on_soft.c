/*
 * The engine of the tests that run guests: the software engine.
 */
#include "guest.h"

const struct engine_ops *const test_engine = &engine_soft;
