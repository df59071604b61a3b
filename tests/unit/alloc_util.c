#include "alloc_util.h"

#include <errno.h>

#include "base/alloc.h"
#include "tap.h"

void
alloc_each_fails(int (*work)(void), unsigned long min, unsigned long max)
{
	unsigned long n;
	int rc = 0;

	for (n = 1; n <= max + 1; n++) {
		alloc_fail_at(n);
		rc = work();
		if (!alloc_fail_hit())
			break;
		tap_check_int(rc, -ENOMEM);
	}
	alloc_fail_at(0);
	tap_check_int(rc, 0);
	tap_check(n - 1 >= min && n - 1 <= max);
}
