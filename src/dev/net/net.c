/*
 * Which network back end a configuration asks for, and the common face of all.
 */
#include "dev/net/net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/net/net_impl.h"

static bool
starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static int
open_named(const struct config_node *node, const struct config_key *keys,
    const char *name, struct net_backend **ret, struct error *err)
{
	cleanup_free char *type = NULL;
	cleanup_free char *fwd = NULL;
	uint64_t queues = 1, mtu = 0;
	int r;

	r = config_get_uint(node, keys, "queues", &queues, err);
	if (r != 0)
		return r;
	r = config_get_uint(node, keys, "mtu", &mtu, err);
	if (r != 0 && r != -ENOENT)
		return r;
	r = config_get_str(node, keys, "type", &type, err);
	if (r != 0 && r != -ENOENT)
		return r;
	r = config_get_str(node, keys, "hostfwd", &fwd, err);
	if (r != 0 && r != -ENOENT)
		return r;
	if (strcmp(name, "slirp") == 0)
		return net_slirp_open(fwd, (unsigned)mtu, ret, err);
	if (fwd != NULL)
		return error_set(err, EINVAL,
		    "hostfwd goes with the slirp back end, not with '%s'",
		    name);
	if (type != NULL && strcmp(type, "packet") == 0)
		return net_packet_open(name, ret, err);
	if (starts_with(name, "fd="))
		return net_fd_open(name + 3, ret, err);
	if (starts_with(name, "tap") ||
	    (type != NULL && strcmp(type, "tap") == 0))
		return net_tap_open(name, (unsigned)queues, ret, err);
	return error_set(err, EINVAL,
	    "no network back end '%s': tapN, slirp or fd=N (or type=tap with "
	    "the name of a tap, type=packet with a socket's)",
	    name);
}

int
net_open(const struct config_node *node, const struct config_key *keys,
    struct net_backend **ret, struct error *err)
{
	cleanup_free char *name = NULL;
	int r = config_get_str(node, keys, "backend", &name, err);

	if (r == -ENOENT)
		return error_set(err, EINVAL,
		    "no network back end given: tapN, slirp or fd=N");
	if (r != 0)
		return r;
	return open_named(node, keys, name, ret, err);
}

void
net_close(struct net_backend *nb)
{
	unsigned i;

	if (nb == NULL)
		return;
	for (i = 0; i < nb->nqueues; i++)
		net_detach(nb, i);
	nb->kind->close(nb);
}

/*
 * The first word is the back end; the rest is key=value, a word alone is
 * key=true. FreeBSD's hostfwd has colons and semicolons, never commas.
 */
int
net_parse(struct config_node *node, const char *opts, struct error *err)
{
	cleanup_free char *copy = NULL;
	char *rest, *word, *eq;
	int r;

	if (opts == NULL || *opts == '\0')
		return 0; /* net_open() says what is missing */
	copy = alloc_strdup(opts);
	if (copy == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rest = copy;
	word = strsep(&rest, ",");
	r = config_set(node, "backend", word, err);
	while (r == 0 && (word = strsep(&rest, ",")) != NULL) {
		eq = strchr(word, '=');
		if (eq != NULL)
			*eq++ = '\0';
		if (*word == '\0')
			return error_set(err, EINVAL,
			    "empty option in '%s': write key=value", opts);
		r = config_set(node, word, eq != NULL ? eq : "true", err);
	}
	return r;
}

unsigned
net_queues(const struct net_backend *nb)
{
	return nb->nqueues;
}

unsigned
net_offloads(const struct net_backend *nb)
{
	return nb->offloads;
}

int
net_set_offloads(struct net_backend *nb, unsigned offloads)
{
	return nb->kind->set_offloads(nb, offloads & nb->offloads);
}

int
net_set_hdr_len(struct net_backend *nb, unsigned len)
{
	int r = nb->kind->set_hdr_len(nb, len);

	if (r == 0)
		nb->hdr_len = len;
	return r;
}

int
net_attach(struct net_backend *nb, unsigned q, struct mevent_loop *loop,
    const struct net_ops *ops, void *arg, struct error *err)
{
	struct net_queue *nq = &nb->q[q];
	int r;

	nq->nb = nb;
	nq->index = q;
	nq->loop = loop;
	nq->ops = ops;
	nq->arg = arg;
	nq->want_recv = nq->want_send = false;
	r = nb->kind->attach(nb, q, loop, ops, arg, err);
	if (r != 0)
		nq->ops = NULL;
	return r;
}

void
net_detach(struct net_backend *nb, unsigned q)
{
	if (nb->q[q].ops == NULL)
		return;
	nb->kind->detach(nb, q);
	nb->q[q].ops = NULL;
}

void
net_want_recv(struct net_backend *nb, unsigned q, bool on)
{
	if (nb->q[q].want_recv == on)
		return;
	nb->q[q].want_recv = on;
	nb->kind->want(nb, q);
}

void
net_want_send(struct net_backend *nb, unsigned q, bool on)
{
	if (nb->q[q].want_send == on)
		return;
	nb->q[q].want_send = on;
	nb->kind->want(nb, q);
}

ssize_t
net_send(
    struct net_backend *nb, unsigned q, const struct iovec *iov, int iovcnt)
{
	return nb->kind->send(nb, q, iov, iovcnt);
}

ssize_t
net_recv(
    struct net_backend *nb, unsigned q, const struct iovec *iov, int iovcnt)
{
	return nb->kind->recv(nb, q, iov, iovcnt);
}

/*
 * FreeBSD's OUI for bhyve, then 24 bits of a hash (FNV-1a) over the VM's name
 * and the device's address: the same VM keeps its addresses.
 */
static void
make_mac(const char *vmname, unsigned slot, unsigned func, uint8_t ret[6])
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	char text[300];
	const char *p;

	snprintf(text, sizeof(text), "%u-%u-%s", slot, func, vmname);
	for (p = text; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	ret[0] = 0x58;
	ret[1] = 0x9c;
	ret[2] = 0xfc;
	ret[3] = (uint8_t)(h >> 16);
	ret[4] = (uint8_t)(h >> 8);
	ret[5] = (uint8_t)h;
}

int
net_mac(const struct config_node *node, const struct config_key *keys,
    const char *vmname, unsigned slot, unsigned func, uint8_t ret[6],
    struct error *err)
{
	cleanup_free char *text = NULL;
	uint8_t mac[6];
	int r = config_get_str(node, keys, "mac", &text, err);

	if (r == -ENOENT) {
		make_mac(vmname, slot, func, ret);
		return 0;
	}
	if (r != 0)
		return r;
	if (str_to_mac(text, mac) != 0)
		return error_set(err, EINVAL,
		    "mac=%s: not an Ethernet address; write six hexadecimal "
		    "bytes, as 58:9c:fc:01:02:03",
		    text);
	if (mac[0] & 1)
		return error_set(err, EINVAL,
		    "mac=%s: a multicast address cannot be a NIC's own; its "
		    "first byte must be even",
		    text);
	if (memcmp(mac, "\0\0\0\0\0\0", 6) == 0)
		return error_set(err, EINVAL, "mac=%s: all zero", text);
	memcpy(ret, mac, 6);
	return 0;
}
