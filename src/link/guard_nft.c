/*
 * The guard by nftables: rules of nft_rules.c, carried out by libnftables. A
 * table stays when its interface goes: guard_nft_remove() takes it away.
 */
#include "link/guard_nft.h"

#include <errno.h>
#include <jansson.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "link/nft_rules.h"

#define RULES_MAX (256 * 1024)

static struct nft_ctx *
open_nft(void)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);

	if (nft != NULL &&
	    (nft_ctx_buffer_output(nft) != 0 ||
		nft_ctx_buffer_error(nft) != 0)) {
		nft_ctx_free(nft);
		nft = NULL;
	}
	return nft;
}

/* What it says first. */
static int
refused(const char *all, const char *ifname, struct error *err)
{
	const char *text = strstr(all, "Error: ");

	if (text == NULL)
		text = all;
	return error_set(err, EIO, "%s: nftables: %.*s", ifname,
	    (int)strcspn(text, "\n"), text);
}

/* One transaction; 'gone' is what to answer when the table is not there. */
static int
run(const char *text, const char *ifname, bool json, int gone,
    json_t **ret_answer, struct error *err)
{
	struct nft_ctx *nft = open_nft();
	const char *said;
	int rc = 0;

	if (nft == NULL)
		return error_set(err, ENOMEM, "%s: nftables", ifname);
	if (json)
		nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_JSON);
	if (nft_run_cmd_from_buffer(nft, text) != 0) {
		/* can be asked for once */
		said = nft_ctx_get_error_buffer(nft);
		rc = strstr(said, "No such file") != NULL ? gone : -EIO;
		if (rc == -EIO)
			refused(said, ifname, err);
	}
	if (rc == 0 && ret_answer != NULL)
		*ret_answer =
		    json_loads(nft_ctx_get_output_buffer(nft), 0, NULL);
	nft_ctx_free(nft);
	return rc;
}

static int
apply(const struct link_spec *spec, struct error *err)
{
	struct buf b;
	int rc;

	buf_init(&b, RULES_MAX);
	rc = link_nft_rules(spec, &b, err);
	if (rc == 0 && buf_str(&b) == NULL)
		rc = error_set(err, ENOMEM, "out of memory");
	if (rc == 0)
		rc = run(buf_str(&b), spec->name, false, -EIO, NULL, err);
	buf_fini(&b);
	return rc;
}

int
guard_nft_attach(const struct link_spec *spec, struct error *err)
{
	int rc = guard_nft_remove(spec->name, err);

	return rc < 0 ? rc : apply(spec, err);
}

int
guard_nft_remove(const char *ifname, struct error *err)
{
	char text[128];

	if (str_format(text, sizeof(text),
		"delete table netdev " LINK_NFT_TABLE "\n", ifname) < 0)
		return error_set(err, ENAMETOOLONG, "%s", ifname);
	return run(text, ifname, false, 0, NULL, err);
}

/* ---- counters ---- */

static const char *const names[LINK_DROP_COUNT] = {
#define X(id, name, illumos) [LINK_DROP_##id] = name,
	LINK_DROPS(X)
#undef X
};

static void
take(struct link_counters *c, const char *name, const json_t *counter)
{
	uint64_t packets =
	    (uint64_t)json_integer_value(json_object_get(counter, "packets"));
	uint64_t bytes =
	    (uint64_t)json_integer_value(json_object_get(counter, "bytes"));

	if (strcmp(name, "sent") == 0) {
		c->sent = packets;
		c->sent_bytes = bytes;
	} else if (strcmp(name, "received") == 0) {
		c->received = packets;
		c->received_bytes = bytes;
	}
	for (size_t i = 0; i < LINK_DROP_COUNT; i++)
		if (strcmp(names[i], name) == 0)
			c->drops[i] = packets;
}

int
guard_nft_counters(
    const char *ifname, struct link_counters *ret, struct error *err)
{
	struct link_counters c = { .sent = 0 };
	json_t *answer = NULL;
	const json_t *row;
	char text[128];
	size_t i;
	int rc;

	if (str_format(text, sizeof(text),
		"list counters table netdev " LINK_NFT_TABLE "\n", ifname) < 0)
		return error_set(err, ENAMETOOLONG, "%s", ifname);
	rc = run(text, ifname, true, -ENOENT, &answer, err);
	if (rc == -ENOENT)
		return error_set(err, ENOENT, "%s: has no guard", ifname);
	if (rc < 0)
		return rc;
	json_array_foreach(json_object_get(answer, "nftables"), i, row)
	{
		const json_t *counter = json_object_get(row, "counter");
		const char *name =
		    json_string_value(json_object_get(counter, "name"));

		if (name != NULL && strncmp(name, "n_", 2) == 0)
			take(&c, name + 2, counter);
	}
	json_decref(answer);
	*ret = c;
	return 0;
}

/* ---- who fills the sets ---- */

/* 0: nobody. Whoever has made the table may be of a version without learners.
 */
int
guard_nft_learner(const char *ifname, pid_t *ret, struct error *err)
{
	json_t *answer = NULL;
	const json_t *row, *elem;
	char text[128];
	size_t i;
	int rc;

	if (str_format(text, sizeof(text),
		"list set netdev " LINK_NFT_TABLE " " LINK_NFT_LEARNER "\n",
		ifname) < 0)
		return error_set(err, ENAMETOOLONG, "%s", ifname);
	rc = run(text, ifname, true, -ENOENT, &answer, err);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	*ret = 0;
	json_array_foreach(json_object_get(answer, "nftables"), i, row)
	{
		elem = json_array_get(
		    json_object_get(json_object_get(row, "set"), "elem"), 0);
		if (elem != NULL)
			*ret = (pid_t)json_integer_value(elem);
	}
	json_decref(answer);
	return 0;
}

int
guard_nft_set_learner(const char *ifname, pid_t pid, struct error *err)
{
	char add[128] = "", text[320];

	if ((pid != 0 &&
		str_format(add, sizeof(add),
		    "add element netdev " LINK_NFT_TABLE " " LINK_NFT_LEARNER
		    " { %d }\n",
		    ifname, (int)pid) < 0) ||
	    str_format(text, sizeof(text),
		"flush set netdev " LINK_NFT_TABLE " " LINK_NFT_LEARNER "\n%s",
		ifname, add) < 0)
		return error_set(err, ENAMETOOLONG, "%s", ifname);
	return run(text, ifname, false, -EIO, NULL, err);
}

/* Only where one is: rules beside another kind's would hide that it ended. */
int
guard_nft_update(const struct link_spec *spec, struct error *err)
{
	struct link_spec s = *spec;
	struct link_counters c;
	int rc = guard_nft_counters(spec->name, &c, err);

	s.bridge_tags = true; /* or it would not have been made */
	return rc < 0 ? rc : apply(&s, err);
}
