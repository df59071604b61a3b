/*
 * Resources are the same when their keys are; of a type without keys, or there
 * once, by their order.
 */
#include "zone/diff.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "zone/impl.h"

static bool
values_equal(const struct zone_res *a, const struct zone_res *b,
    const struct zone_prop *p)
{
	size_t n = zone_res_count(a, p);

	if (n != zone_res_count(b, p))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!zone_val_equal(
			p, zone_res_value(a, p, i), zone_res_value(b, p, i)))
			return false;
	return true;
}

static bool
keys_equal(const struct zone_res *a, const struct zone_res *b)
{
	const struct zone_prop *p = zone_res_type(a)->props;

	for (; p->name != NULL; p++)
		if ((p->flags & ZP_KEY) != 0 && !values_equal(a, b, p))
			return false;
	return true;
}

static bool
has_key(const struct zone_rtype *t)
{
	for (const struct zone_prop *p = t->props; p->name != NULL; p++)
		if ((p->flags & ZP_KEY) != 0)
			return true;
	return false;
}

/* The one in conf that is 'res' of the other, the nth of its type there. */
static const struct zone_res *
counterpart(
    const struct zone_conf *conf, const struct zone_res *res, size_t nth)
{
	const struct zone_rtype *t = zone_res_type(res);
	const struct zone_res *r = NULL;
	bool keyed = has_key(t);

	for (size_t i = 0; (r = zone_conf_next(conf, t, r)) != NULL; i++)
		if (keyed ? keys_equal(r, res) : i == nth)
			return r;
	return NULL;
}

static void
diff_props(const struct zone_res *was, const struct zone_res *is,
    zone_diff_fn fn, void *arg)
{
	struct zone_diff d = { was, is, NULL };

	for (d.prop = zone_res_type(is)->props; d.prop->name != NULL; d.prop++)
		if (d.prop->rctl == NULL && !values_equal(was, is, d.prop))
			fn(arg, &d);
}

static void
diff_type(const struct zone_conf *was, const struct zone_conf *is,
    const struct zone_rtype *t, zone_diff_fn fn, void *arg)
{
	const struct zone_res *r = NULL, *other;
	struct zone_diff d = { NULL, NULL, NULL };

	for (size_t i = 0; (r = zone_conf_next(is, t, r)) != NULL; i++) {
		other = counterpart(was, r, i);
		d.is = r;
		if (other != NULL)
			diff_props(other, r, fn, arg);
		else if (!zone_res_only_alias(r))
			fn(arg, &d);
	}
	d.is = NULL;
	for (size_t i = 0; (r = zone_conf_next(was, t, r)) != NULL; i++) {
		d.was = r;
		if (counterpart(is, r, i) == NULL && !zone_res_only_alias(r))
			fn(arg, &d);
	}
}

void
zone_conf_diff(const struct zone_conf *was, const struct zone_conf *is,
    zone_diff_fn fn, void *arg)
{
	diff_props(zone_conf_global(was), zone_conf_global(is), fn, arg);
	for (const struct zone_rtype *t = zone_rtypes + 1; t->name != NULL; t++)
		diff_type(was, is, t, fn, arg);
}

void
zone_diff_text(const struct zone_diff *diff, char *buf, size_t size)
{
	const struct zone_res *res = diff->is != NULL ? diff->is : diff->was;
	const struct zone_rtype *t = zone_res_type(res);
	const char *key = NULL;

	for (const struct zone_prop *p = t->props; p->name != NULL; p++)
		if (key == NULL && t != zone_rtypes &&
		    (p->flags & ZP_KEY) != 0 && (p->flags & ZP_LIST) == 0)
			key = zone_res_get(res, p->name);
	snprintf(buf, size, "%s%s%.160s%s%s", t->name, key != NULL ? " " : "",
	    key != NULL ? key : "", t == zone_rtypes ? " " : ": ",
	    diff->prop != NULL      ? diff->prop->name
		: diff->was == NULL ? "added"
				    : "removed");
}
