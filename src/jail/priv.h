/*
 * illumos privileges, and what each is on Linux. One table: name, and whether
 * it becomes a system call list, a capability, a namespace, a Landlock right
 * (facts: privileges(7) of illumos for the names, docs/zones.md for the table).
 */
#ifndef JAIL_PRIV_H
#define JAIL_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define JAIL_PRIV_WORDS 2

struct jail_privset {
	uint64_t bits[JAIL_PRIV_WORDS];
};

struct jail_brand_priv {
	enum {
		JAIL_PRIV_DEFAULT,
		JAIL_PRIV_PROHIBITED,
		JAIL_PRIV_REQUIRED
	} set;
	const char *name;
};

/* limitpriv ("default,-net_access,..."; NULL: default) over the brand's rows.
 */
int
jail_privs_resolve(const char *limitpriv, const struct jail_brand_priv *rows,
    size_t n, struct jail_privset *ret, struct error *err);
bool jail_priv_has(const struct jail_privset *set, const char *name);

#endif
