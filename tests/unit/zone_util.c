#include "zone_util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "zone/stmt.h"
#include "zone/text.h"
#include "zone/verify.h"

struct apply {
	struct zone_conf *conf;
	struct zone_res *res;
	size_t at;
	struct error *err;
};

static int
apply_set(struct apply *a, const struct zone_stmt *st)
{
	const struct zone_prop *p = NULL;
	const struct zone_arg *arg = st->args;
	int rc;

	if (st->nargs != 1 || arg->name == NULL || !arg->assigned)
		return error_set(a->err, EINVAL, "set: form");
	rc = zone_prop_get(a->res ? zone_res_type(a->res) : ZONE_GLOBAL,
	    arg->name, &p, a->err);
	if (rc < 0)
		return rc;
	if (a->res != NULL)
		return zone_res_set(
		    a->res, p, arg->values, arg->nvalues, a->err);
	if (arg->nvalues != 1)
		return error_set(a->err, EINVAL, "set: one value");
	return zone_conf_set(a->conf, p, arg->values, a->err);
}

static int
apply_list(struct apply *a, const struct zone_stmt *st,
    int (*change)(struct zone_res *, const struct zone_prop *,
	const struct zone_raw *, struct error *))
{
	const struct zone_prop *p = NULL;
	struct zone_raw word = { 0 };
	const struct zone_arg *arg = st->args;
	int rc;

	if (st->nargs != 2 || arg[0].name == NULL)
		return error_set(a->err, EINVAL, "list: form");
	rc = zone_prop_get(zone_res_type(a->res), arg[0].name, &p, a->err);
	word.text = arg[1].name;
	if (rc == 0 && arg[1].name != NULL)
		return change(a->res, p, &word, a->err);
	for (size_t i = 0; i < arg[1].nvalues && rc == 0; i++)
		rc = change(a->res, p, &arg[1].values[i], a->err);
	return rc;
}

static int
apply_one(struct apply *a, const struct zone_stmt *st)
{
	const struct zone_rtype *t = NULL;
	const struct zone_prop *p = NULL;
	int rc;

	if (st->verb == ZONE_VERB_SET)
		return apply_set(a, st);
	if (st->verb == ZONE_VERB_ADD && a->res != NULL)
		return apply_list(a, st, zone_res_add);
	if (st->verb == ZONE_VERB_REMOVE && a->res != NULL)
		return apply_list(a, st, zone_res_remove);
	if (st->verb == ZONE_VERB_END && a->res != NULL) {
		rc = zone_conf_put(a->conf, a->at, a->res, a->err);
		if (rc == 0)
			a->res = NULL;
		return rc;
	}
	if (st->nargs == 0 || st->args[0].name == NULL)
		return 0;
	if (st->verb == ZONE_VERB_ADD) {
		rc = zone_rtype_get(st->args[0].name, &t, a->err);
		if (rc == 0)
			rc = zone_conf_begin(
			    a->conf, t, &a->res, &a->at, a->err);
		return rc;
	}
	if (st->verb == ZONE_VERB_CLEAR) {
		rc = zone_prop_get(ZONE_GLOBAL, st->args[0].name, &p, a->err);
		return rc < 0 ? rc : zone_conf_clear(a->conf, p, a->err);
	}
	return 0;
}

int
zone_apply(struct zone_conf *conf, const char *text, struct error *err)
{
	struct error local = ERROR_INIT;
	struct apply a = { conf, NULL, ZONE_NEW, err != NULL ? err : &local };
	struct zone_stmt *st = NULL;
	int rc;

	for (;;) {
		rc = zone_stmt_parse(&text, &st, a.err);
		if (rc <= 0)
			break;
		rc = apply_one(&a, st);
		zone_stmt_free(st);
		if (rc < 0)
			break;
	}
	if (rc == 0 && a.res != NULL)
		rc = error_set(a.err, EINVAL, "end is missing");
	zone_res_free(a.res);
	return rc;
}

const char *
zone_export_text(const struct zone_conf *conf, struct buf *b)
{
	buf_init(b, ZONE_TEXT_MAX);
	zone_export(conf, b);
	return buf_str(b);
}

/* ---- random configurations ---- */

struct dice {
	uint64_t state;
	unsigned serial; /* makes keys differ */
};

static unsigned
roll(struct dice *d, unsigned n)
{
	d->state = d->state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(d->state >> 33) % n;
}

/* Texts that a lexer could trip over. */
static void
random_text(struct dice *d, char *buf, size_t size)
{
	static const char *const bits[] = { "a", "net", " ", "=", "#", ";", "[",
		"]", "(", ")", ",", "\t", "-", "'", "&", "<", ">", "\\",
		"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\x81", "%s", "$x", "0",
		"x", "end", "/", ":", "&amp;", "]]>" };
	unsigned n = roll(d, 12);

	buf[0] = '\0';
	for (unsigned i = 0; i < n; i++)
		strncat(buf, bits[roll(d, ARRAY_LEN(bits))],
		    size - strlen(buf) - 1);
}

/* One of "a|b|c". */
static void
random_word(struct dice *d, const char *range, char *buf, size_t size)
{
	unsigned n = 1;

	for (const char *s = range; (s = strchr(s, '|')) != NULL; s++)
		n++;
	for (n = roll(d, n); n > 0; n--)
		range = strchr(range, '|') + 1;
	snprintf(buf, size, "%.*s", (int)strcspn(range, "|"), range);
}

static uint64_t
random_in(struct dice *d, const char *range)
{
	uint64_t min = 0, max = 1000000;

	if (range != NULL) {
		min = strtoull(range, NULL, 10);
		if (strstr(range, "..")[2] != '\0')
			max = strtoull(strstr(range, "..") + 2, NULL, 10);
		else
			max = min + 100000;
	}
	return min + roll(d, (unsigned)MIN(max - min + 1, 1U << 30));
}

static void
random_value(struct dice *d, enum zone_type type, const char *range, char *buf,
    size_t size)
{
	static const char *const suffix[] = { "", "K", "M", "G" };
	unsigned n = ++d->serial;

#define SAY(...) snprintf(buf, size, __VA_ARGS__)
	switch (type) {
	case ZONE_STRING:
		random_text(d, buf, size);
		break;
	case ZONE_PATH:
		SAY("/zones/p%u %s", n, roll(d, 2) ? "x" : "=;");
		break;
	case ZONE_BOOL:
		SAY("%s", roll(d, 8) ? "false" : "true");
		break;
	case ZONE_UINT:
		SAY("%" PRIu64, random_in(d, range));
		break;
	case ZONE_INT:
		SAY("%d", (int)roll(d, 100) - 1);
		break;
	case ZONE_SIZE:
		SAY("%u%s", 1 + roll(d, 3000), suffix[roll(d, 4)]);
		break;
	case ZONE_RAM:
		SAY("%u%s", 1 + roll(d, 3000), roll(d, 2) ? "" : "M");
		break;
	case ZONE_ENUM:
	case ZONE_WORDS:
		random_word(d, range, buf, size);
		break;
	case ZONE_MAC:
		SAY("2:8:20:%x:%x:%x", roll(d, 256), n >> 8 & 255, n & 255);
		break;
	case ZONE_UUID:
		SAY("%08x-0000-4000-8000-%012x", roll(d, 1U << 30), n);
		break;
	case ZONE_HOSTID:
		SAY("%s%x", roll(d, 2) ? "0x" : "", roll(d, 1U << 30));
		break;
	case ZONE_CPUS:
		SAY("%u.%02u", 1 + roll(d, 64), roll(d, 100));
		break;
	case ZONE_CPURANGE:
		SAY(roll(d, 2) ? "%u-%u" : "%u", 1 + roll(d, 4),
		    4 + roll(d, 4));
		break;
	case ZONE_TOPOLOGY:
		SAY("%s", roll(d, 2) ? "cpus=4,sockets=2,cores=2" : "4");
		break;
	case ZONE_ZONENAME:
	case ZONE_IDENT:
		SAY("n%u%s", n, roll(d, 2) ? "" : ".x-y_z");
		break;
	case ZONE_PRIVS:
		SAY("default,-net_access%s", roll(d, 2) ? ",!proc_info" : "");
		break;
	case ZONE_ADDRS:
	case ZONE_ADDR:
		SAY("%s", roll(d, 2) ? "192.0.2.1/24" : "2001:db8::1");
		break;
	case ZONE_HOSTNAME:
		SAY("n%u%s", n, roll(d, 2) ? "" : ".example.com");
		break;
	case ZONE_HOSTS:
		SAY("%s", roll(d, 2) ? "192.0.2.254" : "fe80::1,192.0.2.254");
		break;
	case ZONE_IPS:
		SAY("192.0.%u.%u/16,dhcp", n >> 8 & 255, n & 127);
		break;
	case ZONE_CIDS:
		SAY("%s", roll(d, 2) ? "*" : "0x0102,0xFF");
		break;
	case ZONE_PORTS:
		SAY("%u,6000-6063", 1 + roll(d, 65535));
		break;
	case ZONE_RATE:
		SAY("%u%s", 1 + roll(d, 3000), suffix[roll(d, 4)]);
		break;
	case ZONE_FORWARDS:
		SAY("tcp::%u-:22;udp:127.0.0.1:5-10.0.2.15:6",
		    1 + roll(d, 65535));
		break;
	case ZONE_SLOT:
		SAY("%u:%u:%u", n >> 8 & 255, n >> 3 & 31, n & 7);
		break;
	case ZONE_RCTL:
		SAY("%s", zone_rctls[n % 15].name);
		break;
	case ZONE_ACTION:
		SAY("%s", roll(d, 3) ? "deny" : "signal=SIGXRES");
		break;
	}
#undef SAY
}

static void
random_prop(struct dice *d, struct zone_res *res, const struct zone_prop *p)
{
	char text[ZONE_FIELDS_MAX][256];
	struct zone_raw raw = { .text = text[0] };
	unsigned n = p->flags & ZP_LIST ? 1 + roll(d, 3) : 1;

	while (n-- > 0) {
		raw.nfields = p->fields != NULL ? zone_field_count(p) : 0;
		for (size_t i = 0; i < raw.nfields; i++) {
			random_value(d, p->fields[i].type, p->fields[i].range,
			    text[i], sizeof(text[i]));
			raw.fields[i].name = p->fields[i].name;
			raw.fields[i].text = text[i];
		}
		if (raw.nfields == 0)
			random_value(
			    d, p->type, p->range, text[0], sizeof(text[0]));
		if (p->flags & ZP_LIST)
			(void)zone_res_add(res, p, &raw, NULL);
		else
			(void)zone_res_set(res, p, &raw, 1, NULL);
	}
}

static bool
allowed(const struct zone_brand *brand, const struct zone_rtype *t,
    const struct zone_prop *p)
{
	return brand == NULL || zone_brand_allows(brand, t, p);
}

static void
random_res(struct dice *d, struct zone_conf *conf, const struct zone_rtype *t,
    const struct zone_brand *brand)
{
	struct zone_res *res = NULL;
	size_t at = ZONE_NEW;

	if (zone_conf_begin(conf, t, &res, &at, NULL) < 0)
		return;
	for (const struct zone_prop *p = t->props; p->name != NULL; p++)
		if (allowed(brand, t, p) &&
		    ((p->flags & ZP_REQUIRED) || roll(d, 2)))
			random_prop(d, res, p);
	if (zone_conf_put(conf, at, res, NULL) < 0)
		zone_res_free(res);
}

static struct zone_conf *
random_try(struct dice *d, const struct zone_brand *brand, const char *name)
{
	struct zone_conf *conf = zone_conf_create();
	char text[256];

	for (const struct zone_prop *p = ZONE_GLOBAL->props; p->name; p++) {
		if (!(p->flags & ZP_REQUIRED) &&
		    (roll(d, 3) || !allowed(brand, ZONE_GLOBAL, p)))
			continue;
		random_value(d, p->type, p->range, text, sizeof(text));
		(void)zone_conf_set_text(conf, p->name, text, NULL);
	}
	(void)zone_conf_set_text(conf, "zonename", name, NULL);
	(void)zone_conf_set_text(conf, "debugid", "", NULL);
	if (brand != NULL) {
		(void)zone_conf_set_text(
		    conf, "brand", zone_brand_name(brand), NULL);
		(void)zone_conf_set_text(conf, "ip-type", "exclusive", NULL);
	}
	for (const struct zone_rtype *t = zone_rtypes + 1; t->name; t++)
		for (unsigned n = roll(d, 4); n > 1; n--)
			if (allowed(brand, t, NULL))
				random_res(d, conf, t, brand);
	return conf;
}

struct zone_conf *
zone_random(uint64_t seed, const struct zone_brand *brand, const char *name)
{
	struct dice d = { seed * 0x9e3779b97f4a7c15u + 1, 0 };
	struct zone_conf *conf;

	for (;;) {
		conf = random_try(&d, brand, name);
		if (brand == NULL || zone_verify(conf, brand, NULL) == 0)
			return conf;
		zone_conf_free(conf);
	}
}
