/*
 * One hook for the process.
 */
#include "base/thread.h"

#include <stddef.h>

static void (*hook)(enum thread_role role, void *arg);
static void *hook_arg;

void
thread_on_enter(void (*fn)(enum thread_role role, void *arg), void *arg)
{
	hook = fn;
	hook_arg = arg;
}

void
thread_enter(enum thread_role role)
{
	if (hook != NULL)
		hook(role, hook_arg);
}
