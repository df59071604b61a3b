/*
 * Which of the guest's frames the library may see. libslirp connects to
 * whatever address stands in a packet, and takes one address of the network for
 * this host's resolver on every port: both would lead around a gateway that is
 * not to lead to this host's own services.
 */
#include <netinet/in.h>
#include <string.h>

#include "base/buf.h"
#include "unet/impl.h"

#define ETH_LEN 14
#define ETH_IPV4 0x0800
#define ETH_IPV6 0x86dd
#define IPV4_LEN 20
#define IPV6_LEN 40
#define DNS_PORT 53

/* To the name server: its own port, in one piece. */
static bool
dns_only(unsigned proto, const uint8_t *l4, size_t len)
{
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return true; /* the library answers an echo, else drops it */
	return len >= 4 && load_be16(l4 + 2) == DNS_PORT;
}

static bool
ipv4_may_pass(const struct unet_conf *conf, const uint8_t *ip, size_t len)
{
	size_t head = (ip[0] & 15u) * 4;
	const uint8_t *to = ip + 16;

	/* "this network" and loopback: RFC 1122, 3.2.1.3 */
	if (to[0] == 0 || to[0] == 127)
		return false;
	if (memcmp(to, &conf->dns, 4) != 0)
		return true;
	if ((load_be16(ip + 6) & 0x3fff) != 0 || head > len)
		return false; /* a fragment */
	return dns_only(ip[9], ip + head, len - head);
}

static bool
ipv6_may_pass(const struct unet_conf *conf, const uint8_t *ip, size_t len)
{
	static const uint8_t zero[12];
	const uint8_t *to = ip + 24;

	/* ::, ::1, IPv4-compatible; IPv4-mapped: RFC 4291, 2.5 */
	if (memcmp(to, zero, 10) == 0 &&
	    (load_be16(to + 10) == 0 || load_be16(to + 10) == 0xffff))
		return false;
	if (!conf->ipv6 || memcmp(to, &conf->dns6, 16) != 0)
		return true;
	return dns_only(ip[6], ip + IPV6_LEN, len - IPV6_LEN);
}

bool
unet_may_pass(const struct unet_conf *conf, const uint8_t *frame, size_t len)
{
	const uint8_t *ip = frame + ETH_LEN;

	if (len < UNET_FRAME_MIN)
		return false;
	len -= ETH_LEN;
	if (load_be16(frame + 12) == ETH_IPV4)
		return len >= IPV4_LEN && ipv4_may_pass(conf, ip, len);
	if (load_be16(frame + 12) == ETH_IPV6)
		return len >= IPV6_LEN && ipv6_may_pass(conf, ip, len);
	return true;
}
