/*
 * What the files of manifest/ share.
 */
#ifndef MANIFEST_IMPL_H
#define MANIFEST_IMPL_H

#include "manifest/manifest.h"

/* flags of a row */
#define ROW_FILL 0x01 /* create writes the default */
#define ROW_SHOW 0x02 /* get shows the default */
#define ROW_FILE 0x04 /* kept beside the configuration */
#define ROW_OLD 0x08 /* deprecated: becomes another one */
#define ROW_ONCE 0x10 /* said to create or update, not kept */
#define ROW_REQUIRED 0x20
#define ROW_NUMBERS 0x40 /* of a LIST: shows plain numbers as such */

/* How a number is written in the configuration. */
enum row_unit {
	UNIT_PLAIN,
	UNIT_MIB, /* "512M", a size */
	UNIT_RAM, /* "512", MiB by itself */
	UNIT_CENTI, /* 150 is "1.5": per cent of a CPU */
	UNIT_CPUS, /* a topology */
};

struct row {
	struct manifest_prop p;
	unsigned flags;
	/* what a text, or each element of a LIST, must be besides */
	bool (*ok)(const char *text);
	const char *what; /* that, for a sentence: "an IP address" */
	/*
	 * Where it is kept. res "global", "attr", or a resource that is there
	 * once, with its property; of nics and disks the resource's property,
	 * and the name of a pair where it has none.
	 */
	const char *res, *prop, *pair;
	enum row_unit unit;
};

extern const struct row manifest_rows[]; /* ends with a name of NULL */
const struct row *row_find(const char *scope, const char *name);
/* The first row of a scope that is at or behind r; NULL at the end. */
const struct row *row_next(const struct row *r, const char *scope);
#define EACH_ROW(r, scope)                                            \
	for (const struct row *r = row_next(manifest_rows, scope); r; \
	     r = row_next(r + 1, scope))

/* "min..max"; an absent end is left as it is. */
void row_range(const char *range, json_int_t *min, json_int_t *max);

/* ---- faults ---- */

enum fault_kind { FAULT_PROPERTY, FAULT_VALUE, FAULT_MISSING, FAULT_BRAND };
struct check {
	struct manifest_faults *f;
	enum manifest_use use;
	bool no_memory;
	char where[64]; /* "", "nics.0." */
};
void fault(struct check *c, enum fault_kind kind, const char *name,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The nearest row of the scope, for a name that is none; NULL. */
const char *row_nearest(const char *scope, const char *name);

/* A value of a row; false: it was wrong, and is told. *v may be replaced. */
bool check_value(struct check *c, const struct row *r, json_t *v);
/* nics and disks: elements by themselves, then what they have to agree on. */
void check_items(struct check *c, const char *scope, const char *name,
    json_t *items, bool fresh);
void check_item(struct check *c, const char *scope, json_t *item, bool fresh);

/* The rules of configurations, for a manifest of create without faults. */
void check_whole(struct check *c, const json_t *m);

bool ok_ip(const char *text);
bool ok_mac(const char *text);
bool ok_mask(const char *text);

/* ---- values and texts ---- */

/* As the configuration keeps it; a LIST joined with commas. Freed by caller. */
char *row_text(const struct row *r, const json_t *v);
/* The other way; NULL: it is not that (or no memory). */
json_t *row_json(const struct row *r, const char *text);

/* Set or unset a row of a NIC or disk: by its property, else as a pair. */
int row_set_item(struct zone_res *res, const struct row *r, const json_t *v,
    struct error *err);
/* The same of the resource at 'at' of a configuration. */
int row_set_at(struct zone_conf *conf, size_t at, const struct row *r,
    const json_t *v, struct error *err);
/* After NICs or disks went: a primary NIC, a function 0 of each device. */
int manifest_settle(struct zone_conf *conf, struct error *err);

#endif
