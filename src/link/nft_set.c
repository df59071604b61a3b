/*
 * Each change is one transaction. An element that is there keeps its timeout
 * when it is added (until Linux 6.12), and one that is not cannot be deleted:
 * so it is added, deleted, and added with its timeout.
 */
#include "link/nft_set.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "base/fd.h"

#define BATCH_MAX 1024 /* five messages of less than 200 bytes */
#define ANSWER_S 10

struct batch {
	uint8_t b[BATCH_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	size_t n;
	size_t head; /* of the message that is being made */
	uint32_t seq;
	const char *table, *set;
	const uint8_t *key;
	size_t nkey;
};

int
nft_set_open(void)
{
	const struct timeval limit = { .tv_sec = ANSWER_S };
	struct sockaddr_nl self = { .nl_family = AF_NETLINK };
	int rc,
	    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&self, sizeof(self)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* ---- messages ---- */

/* Room for n bytes; callers keep within BATCH_MAX, see nft_change(). */
static void *
room(struct batch *b, size_t n)
{
	uint8_t *p = b->b + b->n;

	memset(p, 0, NLA_ALIGN(n));
	b->n += NLA_ALIGN(n);
	return p;
}

static size_t
attr(struct batch *b, unsigned type, const void *data, size_t n)
{
	size_t at = b->n;
	struct nlattr *a = room(b, NLA_HDRLEN);

	a->nla_type = (uint16_t)type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + n);
	if (n > 0)
		memcpy(room(b, n), data, n);
	return at;
}

static size_t
nest(struct batch *b, unsigned type)
{
	return attr(b, type | NLA_F_NESTED, NULL, 0);
}

static void
end_nest(struct batch *b, size_t at)
{
	struct nlattr *a = (void *)(b->b + at);

	a->nla_len = (uint16_t)(b->n - at);
}

static void
begin(struct batch *b, unsigned type, unsigned flags, unsigned family,
    unsigned resource)
{
	struct nlmsghdr *h;
	struct nfgenmsg *g;

	b->head = b->n;
	h = room(b, NLMSG_HDRLEN);
	h->nlmsg_type = (uint16_t)type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = b->seq++;
	g = room(b, sizeof(*g));
	g->nfgen_family = (uint8_t)family;
	g->version = NFNETLINK_V0;
	g->res_id = (uint16_t)(resource >> 8 | resource << 8); /* big endian */
}

static void
end(struct batch *b)
{
	struct nlmsghdr *h = (void *)(b->b + b->head);

	h->nlmsg_len = (uint32_t)(b->n - b->head);
}

static void
element(struct batch *b, unsigned what, unsigned flags, uint64_t ms)
{
	size_t list, elem, key;
	uint8_t be[8];

	begin(b, NFNL_SUBSYS_NFTABLES << 8 | what, NLM_F_ACK | flags,
	    NFPROTO_NETDEV, 0);
	attr(b, NFTA_SET_ELEM_LIST_TABLE, b->table, strlen(b->table) + 1);
	attr(b, NFTA_SET_ELEM_LIST_SET, b->set, strlen(b->set) + 1);
	list = nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
	elem = nest(b, NFTA_LIST_ELEM);
	key = nest(b, NFTA_SET_ELEM_KEY);
	attr(b, NFTA_DATA_VALUE, b->key, b->nkey);
	end_nest(b, key);
	if (ms != 0) {
		for (int i = 0; i < 8; i++)
			be[i] = (uint8_t)(ms >> (56 - 8 * i));
		attr(b, NFTA_SET_ELEM_TIMEOUT, be, sizeof(be));
	}
	end_nest(b, elem);
	end_nest(b, list);
	end(b);
}

/* ---- the kernel's answers ---- */

/* 1: another acknowledgement is waited for */
static int
answer(const struct nlmsghdr *h, uint32_t first, uint32_t next, unsigned *acks)
{
	const struct nlmsgerr *e = (const void *)(h + 1);

	if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_seq < first ||
	    h->nlmsg_seq >= next || h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)))
		return 1; /* of one that was given up */
	if (e->error != 0)
		return e->error;
	return --*acks == 0 ? 0 : 1;
}

static int
wait_for(int sock, uint32_t first, uint32_t next, unsigned acks)
{
	uint8_t buf[4096] __attribute__((aligned(NLMSG_ALIGNTO)));
	int rc = 1;

	while (rc == 1) {
		ssize_t got = recv(sock, buf, sizeof(buf), 0);
		size_t left = got > 0 ? (size_t)got : 0;
		const struct nlmsghdr *h = (const void *)buf;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		for (; rc == 1 && NLMSG_OK(h, left); h = NLMSG_NEXT(h, left))
			rc = answer(h, first, next, &acks);
	}
	return rc;
}

static int
change(int sock, struct batch *b, const uint64_t *ms)
{
	static uint32_t last;
	uint32_t first = b->seq = last + 1;
	unsigned acks = 2;

	if (b->nkey > NFT_SET_KEY_MAX || strlen(b->table) > 63 ||
	    strlen(b->set) > 31)
		return -EINVAL;
	begin(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	end(b);
	element(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE, 0);
	element(b, NFT_MSG_DELSETELEM, 0, 0);
	if (ms != NULL) {
		element(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE, *ms);
		acks++;
	}
	begin(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	end(b);
	last = b->seq;
	if (send(sock, b->b, b->n, 0) != (ssize_t)b->n)
		return -errno;
	return wait_for(sock, first, b->seq, acks);
}

int
nft_set_put(int sock, const char *table, const char *set, const uint8_t *key,
    size_t n, uint64_t ms)
{
	struct batch b = { .table = table, .set = set, .key = key, .nkey = n };

	return change(sock, &b, &ms);
}

int
nft_set_take(
    int sock, const char *table, const char *set, const uint8_t *key, size_t n)
{
	struct batch b = { .table = table, .set = set, .key = key, .nkey = n };

	return change(sock, &b, NULL);
}
