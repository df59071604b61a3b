/*
 * Values of nets: lists of addresses, DHCP client ids, ports, forwards; bit
 * rates. Each list is one grammar of its words.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "zone/impl.h"
#include "zone/nic.h"

#define WORD_MAX 600 /* a client id of 255 bytes, in hexadecimal */
#define CID_BYTES_MAX 255
#define CIDS_MAX 20
#define FORWARDS_MAX 32
#define PORT_MAX 65535
#define RATE_MIN UINT64_C(1200) /* bit/s: below it no frame passes in time */

const char *
zone_word(const char **list, char sep, size_t *n)
{
	const char *word = *list, *end;

	if (word == NULL)
		return NULL;
	end = strchrnul(word, sep);
	*n = (size_t)(end - word);
	*list = *end != '\0' ? end + 1 : NULL;
	return word;
}

/* Plain decimal digits, as everywhere in a zone. */
static int
number(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	if (!isdigit((unsigned char)s[0]) || (s[0] == '0' && s[1] != '\0'))
		return -EINVAL;
	return str_to_u64(s, min, max, ret);
}

int
zone_ip_parse(const char *text, struct zone_ip *ret)
{
	char copy[INET6_ADDRSTRLEN + 4], *slash;
	struct zone_ip ip = { .family = AF_INET };
	uint64_t bits;

	if (str_format(copy, sizeof(copy), "%s", text) < 0)
		return -EINVAL;
	slash = strchr(copy, '/');
	if (slash != NULL)
		*slash++ = '\0';
	if (inet_pton(AF_INET, copy, ip.addr) != 1) {
		ip.family = AF_INET6;
		if (inet_pton(AF_INET6, copy, ip.addr) != 1)
			return -EINVAL;
	}
	bits = ip.family == AF_INET ? 32 : 128;
	if (slash != NULL && number(slash, 0, bits, &bits) != 0)
		return -EINVAL;
	ip.prefix = (uint8_t)bits;
	*ret = ip;
	return 0;
}

/* ---- one word ---- */

static bool
is_host(char *s)
{
	struct zone_ip ip;

	return strchr(s, '/') == NULL && zone_ip_parse(s, &ip) == 0;
}

static bool
is_guest_ip(char *s)
{
	struct zone_ip ip;

	return strcmp(s, "dhcp") == 0 || strcmp(s, "addrconf") == 0 ||
	    (strchr(s, '/') != NULL && zone_ip_parse(s, &ip) == 0);
}

static bool
is_cid(char *s)
{
	size_t n;

	if (strcmp(s, "*") == 0)
		return true;
	if (strncmp(s, "0x", 2) != 0)
		return false;
	n = strspn(s + 2, "0123456789abcdefABCDEF");
	return n >= 2 && n % 2 == 0 && n <= 2 * CID_BYTES_MAX &&
	    s[2 + n] == '\0';
}

static bool
is_port_range(char *s)
{
	char *dash = strchr(s, '-');
	uint64_t first, last;

	if (dash != NULL)
		*dash++ = '\0';
	if (number(s, 1, PORT_MAX, &first) != 0)
		return false;
	return dash == NULL || number(dash, first, PORT_MAX, &last) == 0;
}

static bool
is_rate(char *s)
{
	uint64_t bits;

	return zone_rate_parse(s, &bits) == 0;
}

/* "addr:port", addr may be empty. */
static bool
is_endpoint(char *s)
{
	char *colon = strrchr(s, ':');
	struct in_addr addr;
	uint64_t port;

	if (colon == NULL)
		return false;
	*colon = '\0';
	return (*s == '\0' || inet_pton(AF_INET, s, &addr) == 1) &&
	    number(colon + 1, 1, PORT_MAX, &port) == 0;
}

static bool
is_forward(char *s)
{
	char *dash = strchr(s, '-');

	if (dash == NULL ||
	    (strncmp(s, "tcp:", 4) != 0 && strncmp(s, "udp:", 4) != 0))
		return false;
	*dash++ = '\0';
	return is_endpoint(s + 4) && is_endpoint(dash);
}

/* ---- lists ---- */

static const struct {
	bool (*is)(char *word); /* may change it */
	char sep; /* '\0': a single word */
	size_t most;
} lists[] = {
	[ZONE_HOSTS] = { is_host, ',', ZONE_NIC_IPS_MAX },
	[ZONE_IPS] = { is_guest_ip, ',', ZONE_NIC_IPS_MAX },
	[ZONE_CIDS] = { is_cid, ',', CIDS_MAX },
	[ZONE_PORTS] = { is_port_range, ',', ZONE_NIC_PORTS_MAX },
	[ZONE_RATE] = { is_rate, '\0', 1 },
	[ZONE_FORWARDS] = { is_forward, ';', FORWARDS_MAX },
};

size_t
zone_net_most(enum zone_type type)
{
	return lists[type].most;
}

int
zone_net_check(
    enum zone_type type, const char *text, const char **ret_word, size_t *n)
{
	char copy[WORD_MAX];
	size_t count = 0;

	while ((*ret_word = zone_word(&text, lists[type].sep, n)) != NULL) {
		if (++count > lists[type].most)
			return -E2BIG;
		if (*n == 0 || *n >= sizeof(copy))
			return -EINVAL;
		memcpy(copy, *ret_word, *n);
		copy[*n] = '\0';
		if (!lists[type].is(copy))
			return -EINVAL;
	}
	return 0;
}

/* As dladm(8) has it: Mbit/s unless a letter says other; powers of ten. */
int
zone_rate_parse(const char *text, uint64_t *ret)
{
	static const struct {
		char letter;
		uint64_t unit;
	} units[] = { { 'K', 1000 }, { 'M', 1000000 }, { 'G', 1000000000 } };
	uint64_t unit = units[1].unit, v;
	size_t n = strlen(text);
	char digits[24];

	for (size_t i = 0; n > 0 && i < ARRAY_LEN(units); i++)
		if (toupper((unsigned char)text[n - 1]) == units[i].letter) {
			unit = units[i].unit;
			n--;
			break;
		}
	if (n >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, n);
	digits[n] = '\0';
	if (number(digits, 1, UINT64_MAX, &v) != 0 ||
	    __builtin_mul_overflow(v, unit, &v) || v < RATE_MIN)
		return -EINVAL;
	*ret = v;
	return 0;
}
