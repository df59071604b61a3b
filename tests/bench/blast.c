/*
 * Sends 60-byte frames on an interface as fast as it takes them, for some
 * seconds: the host's half of the receive benchmark. Usage: blast IFACE SECONDS
 */
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 64

int
main(int argc, char **argv)
{
	static unsigned char frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		2, 0, 0, 0, 0, 1, 0x88, 0xb5 };
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	struct iovec iov = { frame, sizeof(frame) };
	struct mmsghdr msg[BATCH];
	time_t end;
	int s;

	if (argc != 3)
		return 2;
	s = socket(AF_PACKET, SOCK_RAW, 0);
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	if (s < 0 || to.sll_ifindex == 0) {
		perror(argv[1]);
		return 1;
	}
	memset(msg, 0, sizeof(msg));
	for (int i = 0; i < BATCH; i++) {
		msg[i].msg_hdr.msg_name = &to;
		msg[i].msg_hdr.msg_namelen = sizeof(to);
		msg[i].msg_hdr.msg_iov = &iov;
		msg[i].msg_hdr.msg_iovlen = 1;
	}
	end = time(NULL) + atoi(argv[2]);
	while (time(NULL) < end)
		(void)sendmmsg(s, msg, BATCH, 0);
	return 0;
}
