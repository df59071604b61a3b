/*
 * The real-time clock and CMOS memory, ports 70h and 71h.
 *
 * Sources: Motorola MC146818A datasheet (address map, registers A-D,
 * interrupts, update cycle); Intel ICH9 datasheet (316972), 13.6. CMOS bytes
 * with memory sizes and CPU count: what SeaBIOS and OVMF read (SeaBIOS
 * src/hw/rtc.h, edk2 OvmfPkg/PlatformPei/MemDetect.c).
 *
 * The time is the host's plus an offset that the guest changes by setting the
 * clock. It is computed when it is read; a timer runs only while the guest has
 * enabled one of the interrupts.
 *
 * Threads: ports on vCPU threads, the timer on the machine's loop; one lock.
 */
#ifndef DEV_LPC_RTC_H
#define DEV_LPC_RTC_H

#include <stdbool.h>

#include "base/error.h"
#include "vmm/vm.h"

struct rtc;

int
rtc_create(struct vm *vm, bool localtime, struct rtc **ret, struct error *err);
void rtc_destroy(struct rtc *rtc); /* NULL is allowed */

#endif
