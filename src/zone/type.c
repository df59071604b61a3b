/*
 * One function a type, one row a function.
 */
#include "zone/type.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "zone/impl.h"

#define MAX_VCPUS 254 /* xAPIC ids; 255 is broadcast */
#define SHOWN 128 /* bytes of a value that an error repeats */
#define WORDS_MAX 32

/* What a check is about; out is the form to keep, NULL for the text itself. */
struct check {
	enum zone_type type;
	const char *range;
	const char *text;
	char *out;
	struct error *err;
};

/* Length of the UTF-8 character at s, 0 when it is none that XML can hold. */
static size_t
utf8_length(const unsigned char *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c = *s;
	size_t n;

	if (c < 0x80)
		return 1;
	n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;
	if (n == 0 || c > 0xf4)
		return 0;
	c &= 0x7fU >> n;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ||
	    c == 0xfffe || c == 0xffff)
		return 0;
	return n;
}

int
zone_text_check(const char *text, struct error *err)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n, len = strlen(text);

	if (len > ZONE_VALUE_MAX)
		return error_set(err, E2BIG,
		    "%zu bytes are too long; a value has at most %d", len,
		    ZONE_VALUE_MAX);
	for (; *s != '\0'; s += n) {
		if (*s == '"')
			return error_set(
			    err, EINVAL, "a value cannot hold a double quote");
		if ((*s < ' ' && *s != '\t') || *s == 0x7f)
			return error_set(err, EINVAL,
			    "a value cannot hold the control character \\x%02x",
			    *s);
		n = utf8_length(s);
		if (n == 0)
			return error_set(err, EILSEQ,
			    "byte \\x%02x: a value must be valid UTF-8", *s);
	}
	return 0;
}

static int
wrong(const struct check *c)
{
	return error_set(c->err, EINVAL, "'%.*s' is wrong; it takes %s", SHOWN,
	    c->text, zone_type_what(c->type));
}

static int
keep(struct check *c, const char *text)
{
	c->out = alloc_strdup(text);
	return c->out == NULL ? error_set(c->err, ENOMEM, "out of memory") : 0;
}

static int
check_string(struct check *c)
{
	return 0;
}

static int
check_path(struct check *c)
{
	const char *p = c->text;
	size_t n;

	if (*p != '/')
		return error_set(
		    c->err, EINVAL, "'%.*s' must begin with '/'", SHOWN, p);
	if (strlen(p) >= 4096)
		return error_set(c->err, ENAMETOOLONG, "path too long");
	while (*p == '/') {
		p++;
		n = (size_t)(strchrnul(p, '/') - p);
		if ((n == 0 && c->text[1] != '\0') || (n == 1 && *p == '.') ||
		    (n == 2 && memcmp(p, "..", 2) == 0))
			return error_set(c->err, EINVAL,
			    "'%.*s' holds an empty, '.' or '..' part", SHOWN,
			    c->text);
		p += n;
	}
	return 0;
}

static int
check_bool(struct check *c)
{
	bool v;

	if (str_to_bool(c->text, &v) != 0)
		return wrong(c);
	return keep(c, v ? "true" : "false");
}

/* "min..max", either may be missing. */
static void
range_bounds(const char *range, int64_t *min, int64_t *max)
{
	const char *dots = range != NULL ? strstr(range, "..") : NULL;

	if (dots == NULL)
		return;
	if (dots != range)
		*min = strtoll(range, NULL, 10);
	if (dots[2] != '\0')
		*max = strtoll(dots + 2, NULL, 10);
}

/* Plain decimal digits: neither octal nor hexadecimal is meant in a zone. */
static int
decimal(const char *s, uint64_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)*s) || (s[0] == '0' && s[1] != '\0'))
		return -EINVAL;
	errno = 0;
	*ret = strtoull(s, &end, 10);
	if (*end != '\0')
		return -EINVAL;
	return errno == ERANGE ? -ERANGE : 0;
}

static int
check_number(struct check *c)
{
	int64_t min = c->type == ZONE_INT ? INT64_MIN : 0, max = INT64_MAX, v;
	bool minus = c->type == ZONE_INT && c->text[0] == '-';
	uint64_t u;
	int rc;

	range_bounds(c->range, &min, &max);
	rc = decimal(c->text + minus, &u);
	if (rc == -EINVAL)
		return wrong(c);
	/* a UINT without an upper bound may use all 64 bits */
	if (rc == 0 && max == INT64_MAX && !minus && u >= (uint64_t)min)
		return 0;
	v = minus ? -(int64_t)u : (int64_t)u;
	if (rc != 0 || u > INT64_MAX || v < min || v > max)
		return error_set(c->err, ERANGE, "%.*s is not in %s", SHOWN,
		    c->text, c->range != NULL ? c->range : "64 bits");
	return 0;
}

static int
check_size(struct check *c)
{
	char buf[32];
	uint64_t v;

	/* "08M" and "0x10" would surprise */
	if (c->text[0] == '0' && c->text[1] != '\0')
		return wrong(c);
	if (str_to_size(c->text, 1, &v) != 0)
		return wrong(c);
	(void)zone_type_format(ZONE_SIZE, 1, v, buf, sizeof(buf));
	return keep(c, buf);
}

static int
ram_bytes(const char *s, uint64_t *ret)
{
	static const char suffixes[] = "bkmgtpe";
	const char *suffix;
	uint64_t v;
	char *end;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno != 0)
		return -errno;
	if (*end == '\0') {
		*ret = v < MiB ? v * MiB : v;
		return 0;
	}
	suffix = strchr(suffixes, tolower((unsigned char)*end));
	if (suffix == NULL || end[1] != '\0' ||
	    __builtin_mul_overflow(
		v, UINT64_C(1) << (10 * (suffix - suffixes)), &v))
		return -EINVAL;
	*ret = v;
	return 0;
}

static int
check_ram(struct check *c)
{
	uint64_t v;

	if (ram_bytes(c->text, &v) != 0)
		return wrong(c);
	if (v < MiB || v % MiB != 0)
		return error_set(c->err, ERANGE,
		    "'%.*s' is no whole number of MiB", SHOWN, c->text);
	return 0;
}

/* Split a list in place; the words point into it. */
static size_t
split(char *list, char sep, const char **words, size_t max)
{
	size_t n = 0;

	for (char *p = list; p != NULL && n < max;) {
		words[n++] = p;
		p = strchr(p, sep);
		if (p != NULL)
			*p++ = '\0';
	}
	return n;
}

/* The range, as words for an error and for the nearest of them. */
static int
not_a_word(const struct check *c, const char *word)
{
	const char *words[WORDS_MAX];
	cleanup_free char *copy = alloc_strdup(c->range);
	size_t n;

	error_set(
	    c->err, EINVAL, "'%.*s' is not one of %s", SHOWN, word, c->range);
	if (copy != NULL && strlen(word) < SHOWN) {
		n = split(copy, '|', words, WORDS_MAX);
		error_add_hint(c->err, str_nearest(word, words, n));
	}
	return -EINVAL;
}

static int
check_enum(struct check *c)
{
	if (strchr(c->text, '|') == NULL &&
	    zone_list_has(c->range, '|', c->text))
		return 0;
	return not_a_word(c, c->text);
}

static int
check_words(struct check *c)
{
	const char *words[WORDS_MAX + 1];
	cleanup_free char *copy = alloc_strdup(c->text);
	size_t n;

	if (copy == NULL)
		return error_set(c->err, ENOMEM, "out of memory");
	n = split(copy, ',', words, WORDS_MAX + 1);
	for (size_t i = 0; i < n; i++)
		if (strchr(words[i], '|') != NULL ||
		    !zone_list_has(c->range, '|', words[i]))
			return not_a_word(c, words[i]);
	return n > WORDS_MAX ? wrong(c) : 0;
}

static int
check_mac(struct check *c)
{
	uint8_t mac[6];

	if (str_to_mac(c->text, mac) != 0)
		return wrong(c);
	if ((mac[0] & 1) != 0)
		return error_set(c->err, EINVAL,
		    "'%s' is a multicast address; a link has its own", c->text);
	if (memcmp(mac, "\0\0\0\0\0\0", sizeof(mac)) == 0)
		return error_set(c->err, EINVAL,
		    "'%s' is nobody's address; clear it, and one is made",
		    c->text);
	return 0;
}

static int
check_uuid(struct check *c)
{
	uint8_t uuid[16];

	return str_to_uuid(c->text, uuid) != 0 ? wrong(c) : 0;
}

static int
check_hostid(struct check *c)
{
	const char *s = c->text;
	size_t n;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		s += 2;
	n = strspn(s, "0123456789abcdefABCDEF");
	if (n == 0 || n > 8 || s[n] != '\0' ||
	    strtoul(s, NULL, 16) > 0xfffffffe)
		return wrong(c);
	return 0;
}

/* Digits, or digits, a point and one or two digits: in hundredths. */
static int
cpus_hundredths(const char *s, uint64_t *ret)
{
	const char *point = strchrnul(s, '.');
	char whole[8] = "", part[3] = "00";
	size_t n = (size_t)(point - s), d;
	uint64_t v;

	if (n == 0 || n >= sizeof(whole))
		return -EINVAL;
	memcpy(whole, s, n);
	if (decimal(whole, &v) != 0)
		return -EINVAL;
	if (*point == '.') {
		d = strlen(point + 1);
		if (d < 1 || d > 2 || strspn(point + 1, "0123456789") != d)
			return -EINVAL;
		memcpy(part, point + 1, d);
	}
	*ret = v * 100 + strtoul(part, NULL, 10);
	return 0;
}

static int
check_cpus(struct check *c)
{
	char buf[32];
	uint64_t v;

	if (cpus_hundredths(c->text, &v) != 0 || v == 0)
		return wrong(c);
	(void)zone_type_format(ZONE_CPUS, 100, v, buf, sizeof(buf));
	return keep(c, buf);
}

static int
check_cpurange(struct check *c)
{
	cleanup_free char *copy = alloc_strdup(c->text);
	const char *part[3];
	uint64_t min, max;
	size_t n;

	if (copy == NULL)
		return error_set(c->err, ENOMEM, "out of memory");
	n = split(copy, '-', part, 3);
	if (n > 2 || decimal(part[0], &min) != 0 ||
	    decimal(part[n - 1], &max) != 0 || min < 1 || max > 65535)
		return wrong(c);
	if (min > max)
		return error_set(c->err, EINVAL,
		    "'%s' is a range that ends before it begins", c->text);
	if (n == 2 && min == max)
		return keep(c, part[0]);
	return 0;
}

static int
check_topology(struct check *c)
{
	struct zone_topology t;

	return zone_topology_parse(c->text, &t, c->err);
}

/* A letter or digit, then also the others. */
static bool
is_name(const char *s, const char *others)
{
	if (!isalnum((unsigned char)*s))
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr(others, *s) == NULL)
			return false;
	return true;
}

static int
check_zonename(struct check *c)
{
	return zone_name_check(c->text, c->err);
}

static int
check_ident(struct check *c)
{
	return is_name(c->text, "-_.") && strlen(c->text) < 256 ? 0 : wrong(c);
}

/* RFC 1123, 2.1 */
static int
check_hostname(struct check *c)
{
	const char *list = c->text, *s;
	size_t n;

	if (strlen(c->text) > 253)
		return wrong(c);
	while ((s = zone_word(&list, '.', &n)) != NULL) {
		if (n < 1 || n > 63 || s[0] == '-' || s[n - 1] == '-')
			return wrong(c);
		for (size_t i = 0; i < n; i++)
			if (!isalnum((unsigned char)s[i]) && s[i] != '-')
				return wrong(c);
	}
	return 0;
}

static int
check_privs(struct check *c)
{
	return zone_privs_check(c->text, c->err);
}

static int
check_one_addr(const struct check *c, char *s)
{
	unsigned char in[16];
	uint64_t bits = 0, max;
	char *slash = strchr(s, '/');

	if (slash != NULL)
		*slash++ = '\0';
	if (inet_pton(AF_INET, s, in) == 1)
		max = 32;
	else if (inet_pton(AF_INET6, s, in) == 1)
		max = 128;
	else
		return wrong(c);
	if (slash != NULL && (decimal(slash, &bits) != 0 || bits > max))
		return error_set(c->err, EINVAL,
		    "'%.*s': the prefix is not 0 to %" PRIu64, SHOWN, c->text,
		    max);
	return 0;
}

static int
check_addrs(struct check *c)
{
	cleanup_free char *copy = alloc_strdup(c->text);
	char *next;
	int rc = 0;

	if (copy == NULL)
		return error_set(c->err, ENOMEM, "out of memory");
	for (char *s = copy; s != NULL && rc == 0; s = next) {
		next = c->type == ZONE_ADDRS ? strchr(s, ',') : NULL;
		if (next != NULL)
			*next++ = '\0';
		rc = check_one_addr(c, s);
	}
	return rc;
}

/* The lists of zone/type_net.c. */
static int
check_net(struct check *c)
{
	const char *word;
	size_t n;
	int rc = zone_net_check(c->type, c->text, &word, &n);

	if (rc == -E2BIG)
		return error_set(c->err, E2BIG, "more than %zu of them",
		    zone_net_most(c->type));
	if (rc < 0 && n < strlen(c->text))
		return error_set(c->err, EINVAL, "'%.*s' is wrong; it takes %s",
		    (int)MIN(n, SHOWN), word, zone_type_what(c->type));
	return rc < 0 ? wrong(c) : 0;
}

static int
check_slot(struct check *c)
{
	struct zone_slot slot;

	return zone_slot_parse(c->text, &slot) != 0 ? wrong(c) : 0;
}

static int
check_rctl(struct check *c)
{
	const char *names[WORDS_MAX];
	size_t n = 0;

	for (; n < WORDS_MAX && zone_rctls[n].name != NULL; n++) {
		names[n] = zone_rctls[n].name;
		if (strcmp(names[n], c->text) == 0)
			return 0;
	}
	error_set(c->err, EINVAL, "'%.*s' is no resource control of a zone",
	    SHOWN, c->text);
	if (strlen(c->text) < SHOWN)
		error_add_hint(c->err, str_nearest(c->text, names, n));
	return -EINVAL;
}

static int
check_action(struct check *c)
{
	if (strcmp(c->text, "none") == 0 || strcmp(c->text, "deny") == 0)
		return 0;
	if (strncmp(c->text, "signal=", 7) == 0 && is_name(c->text + 7, "+-"))
		return 0;
	return wrong(c);
}

static int (*const checks[])(struct check *) = {
	[ZONE_STRING] = check_string,
	[ZONE_PATH] = check_path,
	[ZONE_BOOL] = check_bool,
	[ZONE_UINT] = check_number,
	[ZONE_INT] = check_number,
	[ZONE_SIZE] = check_size,
	[ZONE_RAM] = check_ram,
	[ZONE_ENUM] = check_enum,
	[ZONE_WORDS] = check_words,
	[ZONE_MAC] = check_mac,
	[ZONE_UUID] = check_uuid,
	[ZONE_HOSTID] = check_hostid,
	[ZONE_CPUS] = check_cpus,
	[ZONE_CPURANGE] = check_cpurange,
	[ZONE_TOPOLOGY] = check_topology,
	[ZONE_ZONENAME] = check_zonename,
	[ZONE_IDENT] = check_ident,
	[ZONE_HOSTNAME] = check_hostname,
	[ZONE_PRIVS] = check_privs,
	[ZONE_ADDR] = check_addrs,
	[ZONE_ADDRS] = check_addrs,
	[ZONE_HOSTS] = check_net,
	[ZONE_IPS] = check_net,
	[ZONE_CIDS] = check_net,
	[ZONE_PORTS] = check_net,
	[ZONE_RATE] = check_net,
	[ZONE_FORWARDS] = check_net,
	[ZONE_SLOT] = check_slot,
	[ZONE_RCTL] = check_rctl,
	[ZONE_ACTION] = check_action,
};

int
zone_type_check(enum zone_type type, const char *range, const char *text,
    char **ret, struct error *err)
{
	struct check c = { type, range, text, NULL, err };
	int rc;

	rc = zone_text_check(text, err);
	if (rc == 0)
		rc = checks[type](&c);
	if (rc == 0 && c.out == NULL)
		rc = keep(&c, text);
	if (rc == 0)
		*ret = c.out;
	return rc;
}

int
zone_name_check(const char *name, struct error *err)
{
	if (!is_name(name, "_-.") || strlen(name) > ZONE_NAME_MAX)
		return error_set(err, EINVAL,
		    "'%.*s' is no zone name; it takes %s", SHOWN, name,
		    zone_type_what(ZONE_ZONENAME));
	if (strcmp(name, "global") == 0 || strncmp(name, "SUNW", 4) == 0)
		return error_set(
		    err, EINVAL, "the name '%s' is reserved", name);
	return 0;
}

int
zone_type_number(
    enum zone_type type, unsigned scale, const char *text, uint64_t *ret)
{
	uint64_t v;
	int rc;

	if (type == ZONE_SIZE)
		return str_to_size(text, 1, ret);
	if (type == ZONE_RAM)
		return ram_bytes(text, ret);
	if (type == ZONE_UINT)
		return decimal(text, ret);
	if (type == ZONE_RATE)
		return zone_rate_parse(text, ret);
	if (type != ZONE_CPUS)
		return -EINVAL;
	rc = cpus_hundredths(text, &v);
	if (rc == 0)
		*ret = v * (scale == 0 ? 1 : scale) / 100;
	return rc;
}

int
zone_type_format(
    enum zone_type type, unsigned scale, uint64_t v, char *buf, size_t size)
{
	static const char suffixes[] = { '\0', 'K', 'M', 'G', 'T' };
	uint64_t part;
	size_t i = 0;

	if (type == ZONE_CPUS) {
		if (scale == 0)
			scale = 1;
		part = v % scale * 100 / scale;
		if (part == 0)
			return str_format(buf, size, "%" PRIu64, v / scale);
		if (part % 10 == 0)
			return str_format(buf, size, "%" PRIu64 ".%" PRIu64,
			    v / scale, part / 10);
		return str_format(
		    buf, size, "%" PRIu64 ".%02" PRIu64, v / scale, part);
	}
	if (type == ZONE_SIZE) {
		for (; v != 0 && v % 1024 == 0 && i < 4; i++)
			v /= 1024;
		return str_format(buf, size, "%" PRIu64 "%.1s", v,
		    suffixes[i] != '\0' ? &suffixes[i] : "");
	}
	return str_format(buf, size, "%" PRIu64, v);
}

static uint64_t *
topology_part(struct zone_topology *t, const char *name)
{
	return strcmp(name, "cpus") == 0   ? &t->cpus
	    : strcmp(name, "sockets") == 0 ? &t->sockets
	    : strcmp(name, "cores") == 0   ? &t->cores
	    : strcmp(name, "threads") == 0 ? &t->threads
					   : NULL;
}

int
zone_topology_parse(
    const char *text, struct zone_topology *ret, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(text);
	struct zone_topology t = { 0 };
	const char *parts[5];
	uint64_t *to, product;
	char *value;
	size_t n;

	if (copy == NULL)
		return error_set(err, ENOMEM, "out of memory");
	n = split(copy, ',', parts, 5);
	for (size_t i = 0; i < n; i++) {
		value = strchr(parts[i], '=');
		if (value != NULL)
			*value++ = '\0';
		to = value == NULL && i == 0 ? &t.cpus
		    : value != NULL          ? topology_part(&t, parts[i])
					     : NULL;
		if (to == NULL || *to != 0 || i == 4 ||
		    decimal(value != NULL ? value : parts[i], to) != 0 ||
		    *to < 1 || *to > MAX_VCPUS)
			return error_set(err, EINVAL,
			    "'%.*s' is wrong; it takes 1 to %d, %s", SHOWN,
			    text, MAX_VCPUS, zone_type_what(ZONE_TOPOLOGY));
	}
	product = MAX(t.sockets, 1) * MAX(t.cores, 1) * MAX(t.threads, 1);
	if (t.cpus == 0)
		t.cpus = product;
	if (product > MAX_VCPUS || (n > 1 && product != t.cpus))
		return error_set(err, EINVAL,
		    "'%.*s': sockets, cores and threads make %" PRIu64 " CPUs",
		    SHOWN, text, product);
	*ret = t;
	return 0;
}

int
zone_slot_parse(const char *text, struct zone_slot *ret)
{
	static const unsigned max[] = { 255, 31, 7 };
	uint64_t v[3] = { 0 };
	const char *parts[4];
	char copy[16];
	size_t n, first;

	if (str_format(copy, sizeof(copy), "%s", text) < 0)
		return -EINVAL;
	n = split(copy, ':', parts, 4);
	if (n > 3)
		return -EINVAL;
	first = n == 3 ? 0 : 1;
	for (size_t i = 0; i < n; i++)
		if (decimal(parts[i], &v[first + i]) != 0 ||
		    v[first + i] > max[first + i])
			return -EINVAL;
	*ret = (struct zone_slot){ (unsigned)v[0], (unsigned)v[1],
		(unsigned)v[2] };
	return 0;
}
