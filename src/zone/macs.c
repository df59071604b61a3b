/*
 * Is an Ethernet address of a zone that of another zone of this host? Two
 * guests with one address on a switch take each other's frames, and neither
 * knows why.
 *
 * There may be a thousand zones, so the others' files are searched as text, and
 * only one that has the address is read as XML.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "zone/store.h"
#include "zone/xmldoc.h"

#define ATTRIBUTE "mac-addr"
#define MACS_MAX 64 /* nets that are looked at */

struct mine {
	uint8_t mac[6];
	const struct zone_res *net;
};

struct search {
	const struct zone_store *store;
	struct mine mine[MACS_MAX];
	size_t n;
	struct buf text; /* of the file that is looked at */
	struct error *err;
};

static bool
mac_of(const struct zone_res *net, uint8_t mac[6])
{
	const char *text = zone_res_get(net, "mac-addr");

	return text != NULL && str_to_mac(text, mac) == 0;
}

static void
collect(struct search *s, const struct zone_conf *conf)
{
	const struct zone_rtype *net = zone_rtype_find("net");

	for (const struct zone_res *r = zone_conf_next(conf, net, NULL);
	     r != NULL && s->n < MACS_MAX; r = zone_conf_next(conf, net, r))
		if (mac_of(r, s->mine[s->n].mac))
			s->mine[s->n++].net = r;
}

static const struct mine *
find(const struct search *s, const uint8_t mac[6])
{
	for (size_t i = 0; i < s->n; i++)
		if (memcmp(s->mine[i].mac, mac, 6) == 0)
			return &s->mine[i];
	return NULL;
}

/*
 * Is one of the addresses the value of an attribute of that name, however it
 * is written? Something else that looks so is found out later.
 */
static bool
mentions(const struct search *s)
{
	const char *p = (const char *)s->text.data;
	uint8_t mac[6];
	char value[20];

	while ((p = strstr(p, ATTRIBUTE)) != NULL) {
		size_t n;

		p += strlen(ATTRIBUTE);
		p += strspn(p, " \t\r\n=\"'");
		n = strcspn(p, " \t\r\n\"'");
		/* a character reference: nobody writes it, XML allows it */
		if (memchr(p, '&', n) != NULL)
			return true;
		if (n < sizeof(value)) {
			memcpy(value, p, n);
			value[n] = '\0';
			if (str_to_mac(value, mac) == 0 && find(s, mac) != NULL)
				return true;
		}
	}
	return false;
}

static int
compare(struct search *s, const char *zone)
{
	const struct zone_rtype *net = zone_rtype_find("net");
	struct zone_conf *conf = NULL;
	const struct mine *mine = NULL;
	uint8_t mac[6];
	int rc = 0;

	/* a file that cannot be read makes no zone that runs */
	if (zone_store_load(s->store, zone, false, &conf, NULL, NULL) < 0)
		return 0;
	for (const struct zone_res *r = zone_conf_next(conf, net, NULL);
	     r != NULL && rc == 0; r = zone_conf_next(conf, net, r))
		if (mac_of(r, mac) && (mine = find(s, mac)) != NULL)
			rc = error_set(s->err, EEXIST,
			    "net %.64s: mac-addr '%s' is that of net %.64s of "
			    "zone '%s'; clear one, and another is made",
			    zone_res_get(mine->net, "physical"),
			    zone_res_get(mine->net, "mac-addr"),
			    zone_res_get(r, "physical"), zone);
	zone_conf_free(conf);
	return rc;
}

static int
look(struct search *s, const struct zone_entry *e)
{
	char file[ZONE_NAME_MAX + 8];

	buf_reset(&s->text);
	if (str_format(file, sizeof(file), "%s.xml", e->name) < 0 ||
	    zone_store_read(s->store, file, &s->text) < 0 ||
	    buf_str(&s->text) == NULL || !mentions(s))
		return 0;
	return compare(s, e->name);
}

int
zone_store_macs(const struct zone_store *store, const char *name,
    const struct zone_conf *conf, struct error *err)
{
	struct search s = { .store = store, .err = err };
	struct zone_index *ix = NULL;
	const struct zone_entry *e;
	int rc;

	collect(&s, conf);
	if (s.n == 0)
		return 0;
	rc = zone_store_index(store, &ix, err);
	if (rc < 0)
		return rc;
	buf_init(&s.text, ZONE_XML_MAX);
	for (size_t i = 0; rc == 0 && (e = zone_index_at(ix, i)) != NULL; i++)
		if (strcmp(e->name, name) != 0 &&
		    e->state >= ZONE_STATE_INSTALLED)
			rc = look(&s, e);
	buf_fini(&s.text);
	zone_index_free(ix);
	return rc;
}
