/*
 * What a thread is for, said by the thread itself before it does that work, so
 * that a process which confines itself can confine each role more tightly.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

enum thread_role {
	THREAD_VCPU, /* runs a vCPU; says so before its first guest code */
	THREAD_IO, /* a device's blocking calls */
};

/*
 * fn is called on every thread that enters a role from now on; set before
 * there are any. It must not fail softly: what cannot be confined must not run.
 */
void thread_on_enter(void (*fn)(enum thread_role role, void *arg), void *arg);
void thread_enter(enum thread_role role);

#endif
