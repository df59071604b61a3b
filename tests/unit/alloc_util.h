/*
 * Every allocation of a piece of work fails once, in turn.
 */
#ifndef UNIT_ALLOC_UTIL_H
#define UNIT_ALLOC_UTIL_H

/*
 * work() over and over, with its nth allocation failing: -ENOMEM each time,
 * and 0 when none is left to fail. It makes min to max of them.
 */
void alloc_each_fails(int (*work)(void), unsigned long min, unsigned long max);

#endif
