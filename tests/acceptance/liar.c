/*
 * A guest that lies about who it is. Every frame ends in a mark, so that who
 * listens elsewhere knows it: "LIE" must never get there, "TRUTH" must.
 *	liar LINK MAC IPV4
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMES 5
#define FRAME_MAX 512

static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t foreign_mac[6] = { 0x02, 0x66, 0x66, 0x66, 0x66, 0x66 };
static uint8_t mac[6], ip[4];
static const uint8_t foreign_ip[4] = { 10, 77, 0, 1 };
static const uint8_t group6[16] = { 0xff, 0x02, [15] = 1 };
static const uint8_t foreign_ip6[16] = { 0xfe, 0x80, [15] = 0x66 };
static uint8_t own_ip6[16] = { 0xfe, 0x80 };

static uint8_t frame[FRAME_MAX];
static size_t len;

static void
put(const void *p, size_t n)
{
	memcpy(frame + len, p, n);
	len += n;
}

static void
put16(unsigned v)
{
	put((uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

static void
ether(const uint8_t *to, const uint8_t *from, unsigned type)
{
	len = 0;
	put(to, 6);
	put(from, 6);
	put16(type);
}

static void
checksum(size_t at, size_t from, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)(frame[from + i] << 8 |
		    (i + 1 < n ? frame[from + i + 1] : 0));
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	frame[at] = (uint8_t)(~sum >> 8);
	frame[at + 1] = (uint8_t)~sum;
}

static void
ipv4_udp(const uint8_t *src, unsigned sport, unsigned dport, size_t payload)
{
	size_t at = len;

	put((uint8_t[]){ 0x45, 0 }, 2);
	put16((unsigned)(28 + payload));
	put((uint8_t[]){ 0, 1, 0, 0, 64, 17, 0, 0 }, 8);
	put(src, 4);
	put(everybody, 4);
	checksum(at + 10, at, 20, 0);
	put16(sport);
	put16(dport);
	put16((unsigned)(8 + payload));
	put16(0); /* no checksum */
}

static void
icmp6(const uint8_t *src, const void *body, size_t n)
{
	static const uint8_t head[8] = { 0x60, 0, 0, 0, 0, 0, 58, 255 };
	size_t at = len;
	uint32_t sum = 58 + (uint32_t)n;

	put(head, 4);
	put16((unsigned)n);
	put(head + 6, 2);
	put(src, 16);
	put(group6, 16);
	put(body, n);
	for (size_t i = 0; i < 32; i += 2)
		sum += (uint32_t)(frame[at + 8 + i] << 8 | frame[at + 9 + i]);
	checksum(at + 42, at + 40, n, sum);
}

static void
lie_truth(void)
{
	ether(everybody, mac, ETH_P_IP);
	ipv4_udp(ip, 7777, 7777, 8);
}

static void
lie_mac(void)
{
	ether(everybody, foreign_mac, ETH_P_IP);
	ipv4_udp(ip, 7777, 7777, 8);
}

static void
lie_ip(void)
{
	ether(everybody, mac, ETH_P_IP);
	ipv4_udp(foreign_ip, 7777, 7777, 8);
}

static void
lie_arp(void)
{
	static const uint8_t head[8] = { 0, 1, 8, 0, 6, 4, 0, 2 };

	ether(everybody, mac, ETH_P_ARP);
	put(head, sizeof(head));
	put(mac, 6);
	put(foreign_ip, 4);
	put(everybody, 6);
	put(foreign_ip, 4);
}

static void
lie_nd(void)
{
	uint8_t na[32] = { 136, 0, 0, 0, 0x20, [24] = 2, 1 };

	memcpy(na + 8, foreign_ip6, 16);
	memcpy(na + 26, mac, 6);
	ether((const uint8_t[]){ 0x33, 0x33, 0, 0, 0, 1 }, mac, ETH_P_IPV6);
	icmp6(own_ip6, na, sizeof(na));
}

static void
lie_ra(void)
{
	static const uint8_t ra[16] = { 134, 0, 0, 0, 64, 0, 7, 8 };

	ether((const uint8_t[]){ 0x33, 0x33, 0, 0, 0, 1 }, mac, ETH_P_IPV6);
	icmp6(own_ip6, ra, sizeof(ra));
}

static void
lie_vlan(void)
{
	ether(everybody, mac, ETH_P_8021Q);
	put16(5);
	put16(ETH_P_IP);
	ipv4_udp(ip, 7777, 7777, 8);
}

/* An offer to somebody else, as a server makes it. */
static void
lie_dhcp(void)
{
	uint8_t offer[244] = { 2, 1, 6, 0, 1, 2, 3, 4 };
	static const uint8_t magic[8] = { 0x63, 0x82, 0x53, 0x63, 53, 1, 2,
		255 };

	memcpy(offer + 16, foreign_ip, 4);
	memcpy(offer + 28, foreign_mac, 6);
	memcpy(offer + 236, magic, sizeof(magic));
	ether(everybody, mac, ETH_P_IP);
	ipv4_udp(ip, 67, 68, sizeof(offer) + 8);
	put(offer, sizeof(offer));
}

static void
lie_group(void)
{
	ether((const uint8_t[]){ 0x01, 0x80, 0xc2, 0, 0, 0x0e }, mac, 0x88cc);
	put((const uint8_t[46]){ 2, 7, 4 }, 46);
}

static const struct {
	const char *name;
	void (*make)(void);
} lies[] = {
	{ "mac", lie_mac },
	{ "ip", lie_ip },
	{ "arp", lie_arp },
	{ "nd", lie_nd },
	{ "ra", lie_ra },
	{ "vlan", lie_vlan },
	{ "dhcp", lie_dhcp },
	{ "group", lie_group },
	{ "truth", lie_truth },
};

int
main(int argc, char **argv)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = 6 };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	if (argc != 4 || fd == -1 ||
	    sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1],
		&mac[2], &mac[3], &mac[4], &mac[5]) != 6 ||
	    inet_pton(AF_INET, argv[3], ip) != 1) {
		fprintf(stderr, "usage: liar LINK MAC IPV4\n");
		return 2;
	}
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	memcpy(own_ip6 + 8, mac, 3);
	own_ip6[8] ^= 2;
	own_ip6[11] = 0xff;
	own_ip6[12] = 0xfe;
	memcpy(own_ip6 + 13, mac + 3, 3);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		bool truth = strcmp(lies[i].name, "truth") == 0;

		lies[i].make();
		put(truth ? "TRUTH!!!" : "LIE!LIE!", 8);
		for (int n = 0; n < TIMES; n++)
			if (sendto(fd, frame, len, 0, (struct sockaddr *)&to,
				sizeof(to)) == -1) {
				perror(lies[i].name);
				return 1;
			}
		printf("liar: sent %d of %s\n", TIMES, lies[i].name);
	}
	return 0;
}
