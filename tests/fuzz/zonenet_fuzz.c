/*
 * A net whose pairs say anything, and a routes.json: what zone/nic.h accepts,
 * link/spec.h accepts; the guest's JSON is JSON.
 *
 * Input: lines "NAME VALUE", a NUL, routes.json. A line "net" begins another
 * net.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "link/spec.h"
#include "zone/facts.h"
#include "zone/impl.h"
#include "zone/nic.h"
#include "zone/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct zone_res *
begin(unsigned n)
{
	const struct zone_rtype *net = zone_rtype_find("net");
	struct zone_res *res = zone_res_create(net);
	char name[16], mac[32];

	snprintf(name, sizeof(name), "net%u", n);
	snprintf(mac, sizeof(mac), "2:0:0:0:0:%x", n & 255);
	if (res == NULL ||
	    zone_res_set(res, zone_prop_find(net, "physical"),
		&(struct zone_raw){ .text = name }, 1, NULL) < 0 ||
	    zone_res_set(res, zone_prop_find(net, "mac-addr"),
		&(struct zone_raw){ .text = mac }, 1, NULL) < 0)
		abort();
	return res;
}

static void
end(struct zone_conf *conf, struct zone_res *res)
{
	if (zone_conf_put(conf, ZONE_NEW, res, NULL) < 0)
		abort();
}

/* A row if there is one of that name, else a pair. */
static void
say(struct zone_res *res, const char *name, const char *value)
{
	const struct zone_rtype *net = zone_res_type(res);
	const struct zone_prop *p = zone_prop_find(net, name);
	struct zone_raw raw = { .text = value };

	if (p != NULL && (p->flags & (ZP_LIST | ZP_KEY)) == 0) {
		(void)zone_res_set(res, p, &raw, 1, NULL);
		return;
	}
	raw.nfields = 2;
	raw.fields[0] = (struct zone_raw_field){ "name", name };
	raw.fields[1] = (struct zone_raw_field){ "value", value };
	(void)zone_res_add(res, zone_prop_find(net, "property"), &raw, NULL);
}

static void
read_nets(struct zone_conf *conf, char *text)
{
	struct zone_res *res = begin(0);
	unsigned n = 1;
	char *save = NULL, *value;

	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		value = strchr(line, ' ');
		if (value != NULL)
			*value++ = '\0';
		if (value != NULL) {
			say(res, line, value);
		} else if (strcmp(line, "net") == 0 && n < 40) {
			end(conf, res);
			res = begin(n++);
		}
	}
	end(conf, res);
}

/* What we write, the link's side reads. */
static void
through_link(const struct zone_nic *nic)
{
	struct error err = ERROR_INIT;
	struct nvlist *link = NULL;
	struct link_spec *spec = malloc(sizeof(*spec));

	if (spec == NULL || zone_nic_link(nic, "z", 1, &link, &err) < 0)
		abort();
	/* a tag may be too long for an interface */
	if (link_spec_read(link, 1, spec, &err) < 0 &&
	    strstr(err.text, "tag") == NULL) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	nvlist_free(link);
	free(spec);
}

static void
facts(const struct zone_conf *conf, const char *routes)
{
	const struct zone_facts_in in = { .conf = conf, .routes = routes };
	const char *const *keys = NULL, *const *values = NULL;
	struct error err = ERROR_INIT;
	struct nvlist *list = NULL;
	size_t n = 0, m = 0;
	json_t *v;

	if (zone_facts_make(&in, &list, &err) < 0) {
		if (err.text[0] == '\0' || strchr(err.text, '\n') != NULL)
			abort();
		return;
	}
	if (nvlist_get_strs(list, "keys", &keys, &n) < 0 ||
	    nvlist_get_strs(list, "values", &values, &m) < 0 || n != m)
		abort();
	for (size_t i = 0; i < n; i++) {
		if (values[i][0] != '[')
			continue;
		v = json_loads(values[i], 0, NULL);
		if (v == NULL)
			abort();
		json_decref(v);
	}
	nvlist_free(list);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zone_conf *conf = zone_conf_create();
	char *text = malloc(size + 2);
	struct zone_nics nics = { NULL, 0 };
	struct error err = ERROR_INIT;
	size_t n;

	if (conf == NULL || text == NULL)
		abort();
	memcpy(text, data, size);
	memset(text + size, 0, 2);
	n = strlen(text);
	if (zone_conf_set_text(conf, "zonename", "z", NULL) < 0)
		abort();
	read_nets(conf, text);
	if (zone_nics_read(conf, &nics, &err) == 0) {
		for (size_t i = 0; i < nics.n; i++)
			through_link(&nics.v[i]);
		facts(conf, n < size ? text + n + 1 : NULL);
	} else if (strncmp(err.text, "net net", 7) != 0) {
		abort();
	}
	(void)zone_verify_nets(conf, &err);
	zone_nics_fini(&nics);
	zone_conf_free(conf);
	free(text);
	return 0;
}
