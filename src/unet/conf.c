/*
 * The addresses of a user-mode network: what was said is checked, what was not
 * is chosen.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "unet/unet.h"

/* Room for guest, gateway and name server. */
#define PREFIX_MIN 8
#define PREFIX_MAX 29
#define PREFIX6_MIN 48
#define PREFIX6_MAX 120

void
unet_conf_init(struct unet_conf *conf)
{
	*conf = (struct unet_conf){ .prefix = 24 };
	conf->guest.s_addr = htonl(0x0a00020f); /* 10.0.2.15 */
}

/* "ADDRESS/PREFIX" of either family into the fields of that family. */
int
unet_conf_address(struct unet_conf *conf, const char *text, struct error *err)
{
	char addr[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	bool v6 = strchr(text, ':') != NULL;
	uint64_t prefix;

	if (slash == NULL || (size_t)(slash - text) >= sizeof(addr))
		goto bad;
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	if (str_to_u64(slash + 1, v6 ? PREFIX6_MIN : PREFIX_MIN,
		v6 ? PREFIX6_MAX : PREFIX_MAX, &prefix) != 0 ||
	    inet_pton(v6 ? AF_INET6 : AF_INET, addr,
		v6 ? (void *)&conf->guest6 : (void *)&conf->guest) != 1)
		goto bad;
	if (v6) {
		conf->prefix6 = (unsigned)prefix;
		conf->ipv6 = true;
	} else {
		conf->prefix = (unsigned)prefix;
	}
	return 0;
bad:
	return error_set(err, EINVAL,
	    "address '%.64s': write ADDRESS/PREFIX, IPv4 with a prefix of "
	    "%d to %d or IPv6 with %d to %d",
	    text, PREFIX_MIN, PREFIX_MAX, PREFIX6_MIN, PREFIX6_MAX);
}

int
unet_conf_gateway(struct unet_conf *conf, const char *text, struct error *err)
{
	bool v6 = strchr(text, ':') != NULL;

	if (inet_pton(v6 ? AF_INET6 : AF_INET, text,
		v6 ? (void *)&conf->gateway6 : (void *)&conf->gateway) == 1)
		return 0;
	return error_set(
	    err, EINVAL, "gateway '%.64s': not an IP address", text);
}

/* ---- IPv4, in host order ---- */

static bool
taken4(uint32_t a, const uint32_t *used, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (used[i] == a)
			return true;
	return false;
}

/* The first of the network's addresses from 'from' on that nobody has. */
static uint32_t
choose4(uint32_t net, unsigned from, const uint32_t *used, size_t n)
{
	uint32_t a = net + from;

	while (taken4(a, used, n))
		a = a == net + 4 ? net + 1 : a + 1;
	return a;
}

static int
settle4(struct unet_conf *c, struct error *err)
{
	const uint32_t mask = ~(UINT32_MAX >> c->prefix);
	uint32_t net = ntohl(c->guest.s_addr) & mask;
	uint32_t used[3] = { ntohl(c->guest.s_addr), ntohl(c->gateway.s_addr),
		ntohl(c->dns.s_addr) };
	static const char *const names[] = { "the guest's address",
		"the gateway", "the name server" };
	char text[INET_ADDRSTRLEN];

	for (size_t i = 1; i < 3; i++)
		if (used[i] == 0)
			used[i] = choose4(net, (unsigned)i + 1, used, i);
	for (size_t i = 0; i < 3; i++) {
		struct in_addr a = { htonl(used[i]) };

		inet_ntop(AF_INET, &a, text, sizeof(text));
		if ((used[i] & mask) != net || used[i] == net ||
		    used[i] == (net | ~mask))
			return error_set(err, EINVAL,
			    "%s %s: no host's address in the guest's network "
			    "of %u bits",
			    names[i], text, c->prefix);
		if (taken4(used[i], used, i))
			return error_set(err, EINVAL,
			    "%s %s: that is another's here", names[i], text);
	}
	c->gateway.s_addr = htonl(used[1]);
	c->dns.s_addr = htonl(used[2]);
	return 0;
}

/* ---- IPv6 ---- */

static bool
same_net6(const struct in6_addr *a, const struct in6_addr *b, unsigned prefix)
{
	unsigned whole = prefix / 8, rest = prefix % 8;

	return memcmp(a, b, whole) == 0 &&
	    (rest == 0 ||
		((a->s6_addr[whole] ^ b->s6_addr[whole]) >> (8 - rest)) == 0);
}

static void
choose6(struct unet_conf *c, const struct in6_addr *used, struct in6_addr *ret)
{
	unsigned whole = c->prefix6 / 8, rest = c->prefix6 % 8;
	struct in6_addr a = c->guest6;

	memset(a.s6_addr + whole + (rest != 0), 0,
	    sizeof(a.s6_addr) - whole - (rest != 0));
	if (rest != 0)
		a.s6_addr[whole] &= (uint8_t)(0xff00 >> rest);
	a.s6_addr[15] |= 2;
	while (memcmp(&a, &c->guest6, sizeof(a)) == 0 ||
	    memcmp(&a, used, sizeof(a)) == 0)
		a.s6_addr[15]++;
	*ret = a;
}

static int
settle6(struct unet_conf *c, struct error *err)
{
	char text[INET6_ADDRSTRLEN];

	if (IN6_IS_ADDR_UNSPECIFIED(&c->gateway6))
		choose6(c, &c->dns6, &c->gateway6);
	if (IN6_IS_ADDR_UNSPECIFIED(&c->dns6))
		choose6(c, &c->gateway6, &c->dns6);
	inet_ntop(AF_INET6, &c->gateway6, text, sizeof(text));
	if (!same_net6(&c->gateway6, &c->guest6, c->prefix6) ||
	    memcmp(&c->gateway6, &c->guest6, sizeof(c->guest6)) == 0)
		return error_set(err, EINVAL,
		    "the gateway %s: no other host's address in the guest's "
		    "network of %u bits",
		    text, c->prefix6);
	return 0;
}

int
unet_conf_settle(struct unet_conf *c, struct error *err)
{
	int rc;

	if (c->mtu != 0 && (c->mtu < UNET_MTU_MIN || c->mtu > UNET_MTU_MAX))
		return error_set(err, EINVAL,
		    "mtu %u: a user-mode network has %d to %d", c->mtu,
		    UNET_MTU_MIN, UNET_MTU_MAX);
	if (!c->ipv6 && !IN6_IS_ADDR_UNSPECIFIED(&c->gateway6))
		return error_set(err, EINVAL,
		    "an IPv6 gateway without an IPv6 address of the guest");
	rc = settle4(c, err);
	return rc == 0 && c->ipv6 ? settle6(c, err) : rc;
}
