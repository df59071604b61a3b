/*
 * Frames from words. A layer is a row of a table: its bytes, and where its
 * fields are; what chains the layers (types, lengths) is filled in unless the
 * words say otherwise.
 */
#include "frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "tap.h"

const uint8_t frames_me[6] = { 0x02, 0x08, 0x20, 0xaa, 0xbb, 0xcc };

#define LAYERS_MAX 24

enum kind { NUMBER, MAC, IP4, IP6, END_OF_FIELDS };

struct field {
	const char *name;
	unsigned char kind, off, size;
};

struct layer {
	const char *name;
	const char *bytes; /* hex */
	int is; /* what the layer before says of it */
	struct field fields[12];
};

/* clang-format off */
static const struct layer layers[] = {
	{ "eth", "020000000001 020820aabbcc 88b5", -1, {
		{ "dst", MAC, 0, 6 }, { "src", MAC, 6, 6 }, { "next", NUMBER, 12, 2 } } },
	{ "vlan", "0000 88b5", 0x8100, {
		{ "vid", NUMBER, 0, 2 }, { "next", NUMBER, 2, 2 } } },
	{ "arp", "0001 0800 06 04 0001 020820aabbcc 0a000005 000000000000 0a000001", 0x0806, {
		{ "hlen", NUMBER, 4, 1 }, { "plen", NUMBER, 5, 1 }, { "op", NUMBER, 6, 2 }, { "sha", MAC, 8, 6 },
		{ "spa", IP4, 14, 4 }, { "tha", MAC, 18, 6 }, { "tpa", IP4, 24, 4 } } },
	{ "ip4", "45 00 0000 0000 0000 40 fd 0000 0a000005 0a000001", 0x0800, {
		{ "first", NUMBER, 0, 1 }, { "len", NUMBER, 2, 2 }, { "frag", NUMBER, 6, 2 }, { "next", NUMBER, 9, 1 },
		{ "src", IP4, 12, 4 }, { "dst", IP4, 16, 4 } } },
	{ "ip6", "60000000 0000 3b ff fd000000000000000000000000000005 fd000000000000000000000000000001", 0x86dd, {
		{ "first", NUMBER, 0, 1 }, { "len", NUMBER, 4, 2 }, { "next", NUMBER, 6, 1 }, { "hops", NUMBER, 7, 1 },
		{ "src", IP6, 8, 16 }, { "dst", IP6, 24, 16 } } },
	{ "hop", "3b 00 010400000000", 0, { { "next", NUMBER, 0, 1 }, { "len", NUMBER, 1, 1 } } },
	{ "rt", "3b 00 000000000000", 43, { { "next", NUMBER, 0, 1 }, { "len", NUMBER, 1, 1 } } },
	{ "dopt", "3b 00 010400000000", 60, { { "next", NUMBER, 0, 1 }, { "len", NUMBER, 1, 1 } } },
	{ "ah", "3b 04 0000 00000001 00000001 000000000000000000000000", 51, { { "next", NUMBER, 0, 1 } } },
	{ "frag", "3b 00 0001 00000007", 44, { { "next", NUMBER, 0, 1 }, { "at", NUMBER, 2, 2 } } },
	{ "udp", "1234 5678 0000 0000", 17, {
		{ "sp", NUMBER, 0, 2 }, { "dp", NUMBER, 2, 2 }, { "len", NUMBER, 4, 2 } } },
	{ "tcp", "1234 0050 00000001 00000000 5002 ffff 0000 0000", 6, {
		{ "sp", NUMBER, 0, 2 }, { "dp", NUMBER, 2, 2 } } },
	{ "icmp6", "80 00 0000 00000000", 58, { { "type", NUMBER, 0, 1 }, { "code", NUMBER, 1, 1 } } },
	{ "target", "fd000000000000000000000000000005", -1, { { "ip", IP6, 0, 16 } } },
	{ "raw8", "0000000000000000", -1, { { "a", NUMBER, 0, 8 } } },
	{ "lladdr", "01 01 020820aabbcc", -1, {
		{ "type", NUMBER, 0, 1 }, { "len", NUMBER, 1, 1 }, { "mac", MAC, 2, 6 } } },
	{ "prefix", "03 04 40 c0 00015180 00015180 00000000 20010db8000000010000000000000000", -1, {
		{ "bits", NUMBER, 2, 1 }, { "flags", NUMBER, 3, 1 }, { "valid", NUMBER, 4, 4 }, { "ip", IP6, 16, 16 } } },
	/* BOOTP with DHCP's magic number */
	{ "dhcp4", "01 01 06 00 00000001 0000 0000 00000000 00000000 00000000 00000000 020820aabbcc", -1, {
		{ "op", NUMBER, 0, 1 }, { "hlen", NUMBER, 2, 1 }, { "xid", NUMBER, 4, 4 }, { "ci", IP4, 12, 4 },
		{ "yi", IP4, 16, 4 }, { "chaddr", MAC, 28, 6 }, { "magic", NUMBER, 236, 4 } } },
	{ "dhcp6", "01 000001", -1, { { "type", NUMBER, 0, 1 }, { "xid", NUMBER, 1, 3 } } },
	{ "ia", "0003 0028 00000001 00000000 00000000 0005 0018 20010db8000000090000000000000042 00000e10 00000e10", -1, {
		{ "code", NUMBER, 0, 2 }, { "len", NUMBER, 2, 2 }, { "ip", IP6, 20, 16 }, { "valid", NUMBER, 40, 4 } } },
	{ "duid", "0001 000a 0003 0001 020820aabbcc", -1, {
		{ "type", NUMBER, 4, 2 }, { "mac", MAC, 8, 6 } } },
	{ "duidt", "0001 000e 0001 0001 11223344 020820aabbcc", -1, { { "mac", MAC, 12, 6 } } },
};
/* clang-format on */

struct placed {
	const struct layer *layer;
	size_t off;
	unsigned set; /* fields that the words set, by index */
};

struct build {
	uint8_t *buf;
	size_t n;
	struct placed at[LAYERS_MAX];
	size_t nat;
};

static bool
append_hex(struct build *b, const char *hex)
{
	for (unsigned byte; *hex != '\0'; hex += 2) {
		while (*hex == ' ')
			hex++;
		if (b->n == FRAME_MAX || sscanf(hex, "%2x", &byte) != 1)
			return false;
		b->buf[b->n++] = (uint8_t)byte;
	}
	return true;
}

static const struct layer *
layer_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(layers); i++)
		if (strcmp(layers[i].name, name) == 0)
			return &layers[i];
	return NULL;
}

static int
field_named(const struct layer *l, const char *name)
{
	for (int i = 0; i < 12 && l->fields[i].name != NULL; i++)
		if (strcmp(l->fields[i].name, name) == 0)
			return i;
	return -1;
}

static void
put(uint8_t *p, unsigned size, uint64_t v)
{
	for (unsigned i = 0; i < size; i++)
		p[i] = (uint8_t)(v >> (8 * (size - 1 - i)));
}

static bool
set_field(struct build *b, struct placed *p, const char *name, const char *text)
{
	int i = field_named(p->layer, name);
	const struct field *f = &p->layer->fields[i < 0 ? 0 : i];
	uint8_t *to = b->buf + p->off + f->off;
	uint64_t v;

	if (i < 0)
		return false;
	p->set |= 1u << i;
	if (f->kind == MAC)
		return strcmp(text, "me") == 0
		    ? memcpy(to, frames_me, 6) != NULL
		    : str_to_mac(text, to) == 0;
	if (f->kind == IP4 || f->kind == IP6)
		return inet_pton(
			   f->kind == IP4 ? AF_INET : AF_INET6, text, to) == 1;
	if (str_to_u64(text, 0, UINT64_MAX, &v) < 0)
		return false;
	put(to, f->size, v);
	return true;
}

/* The layer before says what this one is. */
static void
chain(struct build *b, const struct layer *l)
{
	struct placed *p = b->nat > 0 ? &b->at[b->nat - 1] : NULL;
	int i = p != NULL ? field_named(p->layer, "next") : -1;

	if (i < 0 || l->is < 0 || (p->set & 1u << i) != 0)
		return;
	put(b->buf + p->off + p->layer->fields[i].off, p->layer->fields[i].size,
	    (uint64_t)l->is);
}

static bool
begin_layer(struct build *b, const struct layer *l)
{
	if (b->nat == LAYERS_MAX)
		return false;
	chain(b, l);
	b->at[b->nat++] = (struct placed){ .layer = l, .off = b->n };
	if (!append_hex(b, l->bytes))
		return false;
	if (strcmp(l->name, "dhcp4") == 0) {
		size_t rest = 240 - (b->n - b->at[b->nat - 1].off);

		if (b->n + rest > FRAME_MAX)
			return false;
		memset(b->buf + b->n, 0, rest);
		b->n += rest;
		put(b->buf + b->n - 4, 4, 0x63825363);
	}
	return true;
}

static void
fill_lengths(struct build *b)
{
	static const struct {
		const char *layer;
		unsigned less;
	} rows[] = { { "ip4", 0 }, { "ip6", 40 }, { "udp", 0 } };

	for (size_t k = 0; k < b->nat; k++)
		for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
			struct placed *p = &b->at[k];
			int i = field_named(p->layer, "len");

			if (strcmp(p->layer->name, rows[r].layer) != 0 ||
			    (p->set & 1u << i) != 0)
				continue;
			put(b->buf + p->off + p->layer->fields[i].off, 2,
			    b->n - p->off - rows[r].less);
		}
}

/* "zeros=N", "bytes=HEX", "less=N", "pad=N" (beyond every length). */
static int
whole(struct build *b, const char *name, const char *text, size_t *pad)
{
	uint64_t v = 0;

	if (strcmp(name, "bytes") == 0)
		return append_hex(b, text) ? 1 : -1;
	if (strcmp(name, "zeros") != 0 && strcmp(name, "less") != 0 &&
	    strcmp(name, "pad") != 0)
		return 0;
	if (str_to_u64(text, 0, FRAME_MAX, &v) < 0)
		return -1;
	if (name[0] == 'p')
		*pad = v;
	else if (name[0] == 'z' && b->n + v <= FRAME_MAX) {
		memset(b->buf + b->n, 0, v);
		b->n += v;
	} else if (name[0] == 'l' && v <= b->n) {
		fill_lengths(b);
		b->nat = 1; /* the lengths stay as they are */
		b->n -= v;
	} else
		return -1;
	return 1;
}

bool
frames_build(const char *words, bool out, uint8_t *buf, size_t *ret_n)
{
	struct build b = { .buf = buf };
	char *copy = strdup(words), *save, *w, *eq;
	bool ok = copy != NULL && begin_layer(&b, &layers[0]);
	size_t pad = 0;

	if (ok && !out)
		for (int i = 0; i < 6; i++) {
			uint8_t dst = buf[i];

			buf[i] = buf[6 + i];
			buf[6 + i] = dst;
		}
	for (w = ok ? strtok_r(copy, " \t", &save) : NULL; ok && w != NULL;
	     w = strtok_r(NULL, " \t", &save)) {
		int rc;

		if ((eq = strchr(w, '=')) == NULL) {
			const struct layer *l = layer_named(w);

			ok = l != NULL && begin_layer(&b, l);
			continue;
		}
		*eq = '\0';
		rc = whole(&b, w, eq + 1, &pad);
		ok = rc > 0 ||
		    (rc == 0 && set_field(&b, &b.at[b.nat - 1], w, eq + 1));
	}
	free(copy);
	if (ok)
		fill_lengths(&b);
	ok = ok && b.n + pad <= FRAME_MAX;
	if (!ok)
		return false;
	memset(buf + b.n, 0, pad);
	*ret_n = b.n + pad;
	return true;
}

/* --- links */

struct bit {
	const char *name;
	unsigned bit;
};
static const struct bit protects[] = { { "mac", LINK_PROTECT_MAC },
	{ "ip", LINK_PROTECT_IP }, { "dhcp", LINK_PROTECT_DHCP },
	{ "restricted", LINK_PROTECT_RESTRICTED },
	{ "strict", LINK_PROTECT_STRICT } };
static const struct bit dynamics[] = { { "dhcpv4", LINK_DYN_DHCPV4 },
	{ "dhcpv6", LINK_DYN_DHCPV6 }, { "slaac", LINK_DYN_SLAAC } };

static bool
add_bit(const struct bit *v, size_t n, const char *name, unsigned *to)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].name, name) == 0) {
			*to |= v[i].bit;
			return true;
		}
	return false;
}

static bool
add_allowed(struct link_spec *s, const char *text)
{
	struct link_prefix *p = &s->allowed[s->nallowed];
	char addr[64];
	unsigned bits;

	if (s->nallowed == LINK_ALLOWED_MAX ||
	    sscanf(text, "%63[^/]/%u", addr, &bits) != 2)
		return false;
	p->family = strchr(addr, ':') != NULL ? AF_INET6 : AF_INET;
	p->prefix = (uint8_t)bits;
	s->nallowed++;
	return inet_pton(p->family, addr, p->addr) == 1;
}

static bool
add_cid(struct link_spec *s, const char *hex)
{
	uint8_t bytes[FRAME_MAX];
	struct build b = { .buf = bytes };
	struct link_cid *c = &s->cids[s->ncids];

	s->any_cid |= strcmp(hex, "*") == 0;
	if (s->any_cid)
		return true;
	if (s->ncids == LINK_CIDS_MAX || !append_hex(&b, hex) ||
	    b.n > LINK_CID_MAX)
		return false;
	memcpy(c->bytes, bytes, b.n);
	c->len = (uint8_t)b.n;
	s->ncids++;
	return true;
}

static bool
add_ports(struct link_spec *s, const char *text)
{
	unsigned first, last;
	int n = sscanf(text, "%u-%u", &first, &last);

	if (n < 1 || s->nports == LINK_PORTS_MAX)
		return false;
	s->ports[s->nports++] = (struct link_ports){ (uint16_t)first,
		(uint16_t)(n == 2 ? last : first) };
	return true;
}

static bool
link_word(struct link_spec *s, const char *name, const char *v)
{
	uint64_t n = 0;

	if (strcmp(name, "protect") == 0)
		return add_bit(protects, ARRAY_LEN(protects), v, &s->protect);
	if (strcmp(name, "dynamic") == 0)
		return add_bit(dynamics, ARRAY_LEN(dynamics), v, &s->dynamic);
	if (strcmp(name, "allowed") == 0)
		return add_allowed(s, v);
	if (strcmp(name, "cid") == 0)
		return add_cid(s, v);
	if (strcmp(name, "blocked") == 0)
		return add_ports(s, v);
	if (str_to_u64(v, 0, UINT64_MAX, &n) < 0)
		return false;
	if (strcmp(name, "vlan") == 0)
		s->vlan = (unsigned)n;
	else if (strcmp(name, "maxbw") == 0)
		s->maxbw = n;
	else
		return false;
	return true;
}

bool
frames_link(const char *words, struct link_spec *ret)
{
	char *copy = strdup(words), *save, *save2, *w, *v, *eq;
	bool ok = copy != NULL;

	memset(ret, 0, sizeof(*ret));
	strcpy(ret->name, "guarded");
	memcpy(ret->mac, frames_me, 6);
	ret->queues = 1;
	for (w = ok ? strtok_r(copy, " \t", &save) : NULL; ok && w != NULL;
	     w = strtok_r(NULL, " \t", &save)) {
		if ((eq = strchr(w, '=')) == NULL) {
			ok = false;
			break;
		}
		*eq = '\0';
		for (v = strtok_r(eq + 1, ",", &save2); ok && v != NULL;
		     v = strtok_r(NULL, ",", &save2))
			ok = link_word(ret, w, v);
	}
	free(copy);
	return ok;
}

/* --- the table */

static const char *const names[] = {
#define X(id, name, illumos) name,
	LINK_DROPS(X)
#undef X
};

const char *
frames_verdict(int verdict)
{
	return verdict >= 0 && verdict < LINK_DROP_COUNT ? names[verdict]
	    : verdict == FRAME_PASS                      ? "pass"
							 : "?";
}

static bool
verdict_named(const char *name, int *ret)
{
	for (int i = FRAME_PASS; i < LINK_DROP_COUNT; i++)
		if (strcmp(frames_verdict(i), name) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

static int wanted;

int
frames_wanted(void)
{
	return wanted;
}

struct walk {
	const struct frames_ops *ops;
	bool open, left_out; /* of this link nothing is tried */
	unsigned frames;
};

static void
run_frame(struct walk *w, bool out, const char *text)
{
	char verdict[16], limit[16] = "";
	uint8_t frame[FRAME_MAX];
	int skip = 0, got;
	size_t n;

	if (sscanf(text, "%15s %n", verdict, &skip) != 1 ||
	    !verdict_named(verdict, &wanted))
		tap_fail("no verdict of ours");
	text += skip;
	if (sscanf(text, "not:%15s %n", limit, &skip) == 1)
		text += skip;
	if (!frames_build(text, out, frame, &n))
		tap_fail("frame not understood");
	if (strcmp(limit, w->ops->name) == 0)
		return;
	got = w->ops->send(w->ops->arg, out, frame, n);
	tap_check_str(frames_verdict(got), frames_verdict(wanted));
	w->frames++;
}

/* One line: "link WORDS", "set WORDS", "wait SECONDS", "out|in VERDICT ...". */
static void
run_line(struct walk *w, const char *line)
{
	struct link_spec spec;
	char word[16];
	int skip = 0;

	if (sscanf(line, "%15s %n", word, &skip) != 1 || word[0] == '#')
		return;
	line += skip;
	if (strcmp(word, "link") == 0) {
		char limit[16] = "";

		if (sscanf(line, "not:%15s %n", limit, &skip) == 1)
			line += skip;
		w->left_out = strcmp(limit, w->ops->name) == 0;
	}
	if (w->left_out)
		return;
	if (strcmp(word, "link") == 0 || strcmp(word, "set") == 0) {
		if (!frames_link(line, &spec))
			tap_fail("link not understood");
		if (word[0] == 's') {
			w->ops->update(w->ops->arg, &spec);
			return;
		}
		if (w->open)
			w->ops->end(w->ops->arg);
		w->open = true;
		w->ops->begin(w->ops->arg, &spec);
	} else if (strcmp(word, "wait") == 0)
		w->ops->wait(w->ops->arg, (unsigned)atoi(line));
	else if (strcmp(word, "out") == 0 || strcmp(word, "in") == 0)
		run_frame(w, word[0] == 'o', line);
	else
		tap_fail("'%s'?", word);
}

unsigned
frames_run(const struct frames_ops *ops)
{
	struct walk w = { .ops = ops };
	FILE *f = fopen(FRAMES_FILE, "re");
	char line[1024];
	unsigned no = 0;

	if (f == NULL)
		tap_fail("%s: %s", FRAMES_FILE, strerror(errno));
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		tap_context("frames.txt:%u: %s", ++no, line);
		run_line(&w, line);
	}
	fclose(f);
	if (w.open)
		ops->end(ops->arg);
	return w.frames;
}
