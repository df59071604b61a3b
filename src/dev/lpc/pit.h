/*
 * The interval timer: three counters, and the gate and output of the third at
 * port 61h.
 *
 * Sources: Intel 8254 datasheet (231164), "Operational description" and "Mode
 * definitions"; Intel ICH9 datasheet (316972), 5.7, 13.3 (ports
 * 40h-43h), 13.7.1 (NMI status and control, port 61h).
 *
 * Counters are computed from the clock when they are looked at. Only counter 0
 * has a timer, and only while a terminal count is to come: a one-shot that
 * expired costs nothing. A new count starts at once in every mode.
 *
 * Threads: ports on vCPU threads, the timer on the machine's loop; one lock.
 */
#ifndef DEV_LPC_PIT_H
#define DEV_LPC_PIT_H

#include "base/error.h"
#include "vmm/vm.h"

#define PIT_HZ 1193182u

struct pit;

int pit_create(struct vm *vm, struct pit **ret, struct error *err);
void pit_destroy(struct pit *pit); /* NULL is allowed */

#endif
