/*
 * What a link is to be: a packed list, which the boot hook made, and the file
 * of NIC tags, which a person did. Taken or refused with a sentence; what is
 * taken keeps to the limits that the guard's maps have.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "link/nictag.h"
#include "link/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
check_spec(const struct link_spec *s)
{
	char name[LINK_NAME_MAX + 1];

	check(s->name[0] != '\0' && s->zone[0] != '\0' && s->net[0] != '\0');
	check(s->queues >= 1 && s->queues <= LINK_QUEUES_MAX);
	check(s->vlan <= 4094 && s->protect <= 0x1f && s->dynamic <= 7);
	check(s->mtu == 0 || (s->mtu >= 576 && s->mtu <= 9216));
	check((s->mac[0] & 1) == 0);
	check(s->nallowed <= LINK_ALLOWED_MAX && s->ncids <= LINK_CIDS_MAX &&
	    s->nports <= LINK_PORTS_MAX);
	for (size_t i = 0; i < s->nallowed; i++)
		check(s->allowed[i].prefix <=
		    (s->allowed[i].family == 2 ? 32 : 128));
	for (size_t i = 0; i < s->nports; i++)
		check(s->ports[i].first >= 1 &&
		    s->ports[i].first <= s->ports[i].last);
	for (unsigned i = 0; i < LINK_NAME_ATTEMPTS; i++) {
		link_name("/root", s, 5, i, name);
		check(name[0] == 'z' && strpbrk(name, "/: \t\n") == NULL);
	}
}

static void
one_list(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct nvlist *list = NULL;
	struct link_spec s;

	if (nvlist_unpack(data, size, &list, NULL) != 0)
		return;
	if (link_spec_read(list, 5, &s, &err) == 0)
		check_spec(&s);
	else
		check(err.code != 0 && err.text[0] != '\0');
	nvlist_free(list);
}

/* Written as the file has them, tags are the same. */
static void
check_again(const struct nictags *tags)
{
	struct nictags again = { NULL };
	struct buf b;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < tags->n; i++) {
		const struct nictag *t = &tags->v[i];

		check(nictag_check(t, NULL) == 0);
		check(nictags_find(tags, t->name) == t);
		buf_printf(&b, "%s %s %s %u\n", t->name,
		    nictag_kind_name(t->kind), t->target, t->mtu);
	}
	check(nictags_parse(buf_str(&b), "again", &again, NULL) == 0);
	check(again.n == tags->n);
	for (size_t i = 0; i < tags->n; i++)
		check(strcmp(again.v[i].name, tags->v[i].name) == 0 &&
		    strcmp(again.v[i].target, tags->v[i].target) == 0 &&
		    again.v[i].kind == tags->v[i].kind &&
		    again.v[i].mtu == tags->v[i].mtu);
	nictags_free(&again);
	buf_fini(&b);
}

static void
one_file(const uint8_t *data, size_t size)
{
	struct nictags tags = { NULL };
	struct error err = ERROR_INIT;
	char *text = malloc(size + 1);

	if (text == NULL)
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	if (nictags_parse(text, "nictags", &tags, &err) == 0)
		check_again(&tags);
	else
		check(err.code != 0 && err.text[0] != '\0');
	nictags_free(&tags);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	one_list(data, size);
	one_file(data, size);
	return 0;
}
