/*
 * virtio-console (virtio 1.2, 5.3) with up to 16 ports, each on a byte-stream
 * back end, usually a UNIX socket:
 *
 *   -s 5,virtio-console,port1=/run/vm0.agent,port2=/run/vm0.log
 *
 * Port 0 has queues 0 (to the guest) and 1 (from it), then come the two control
 * queues, then two a port. Data flows only while the guest has the port open;
 * a back end that takes nothing more holds the guest's buffers back.
 *
 * Threads: all on the machine's main loop, which the ttys use too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "dev/pci/models.h"
#include "dev/tty/tty.h"
#include "dev/virtio/virtio.h"

#define MAX_PORTS 16
#define QUEUE_SIZE 64
#define MAX_SEGS 64
#define CTL_RX 2
#define CTL_TX 3

#define F_MULTIPORT 1

/* Control messages, 5.3.6.2 */
enum {
	CTL_DEVICE_READY = 0,
	CTL_DEVICE_ADD = 1,
	CTL_PORT_READY = 3,
	CTL_CONSOLE_PORT = 4,
	CTL_PORT_OPEN = 6,
	CTL_PORT_NAME = 7,
};

struct cons_cfg { /* 5.3.4 */
	uint16_t cols, rows;
	uint32_t max_nr_ports;
	uint32_t emerg_wr;
} __attribute__((packed));

struct ctl_msg {
	uint32_t id;
	uint16_t event;
	uint16_t value;
} __attribute__((packed));

struct port {
	struct vcons *vc;
	unsigned id;
	char *name; /* NULL: no such port */
	bool console; /* the guest should make it a console (hvc) */
	struct tty *tty;
	bool guest_open;
	bool client;
	bool starved; /* input waits for guest buffers */
	size_t tx_done; /* bytes of the chain at the queue's head written */
};

struct vcons {
	struct virtio_dev *vd;
	struct cons_cfg cfg;
	bool running;
	bool multiport;
	struct port port[MAX_PORTS];
	/* control messages that wait for a buffer; a fixed set suffices */
	struct ctl_msg pending[MAX_PORTS * 4];
	unsigned npending;
};

static struct virtqueue *
port_queue(struct port *p, unsigned dir)
{
	unsigned base = p->id == 0 ? 0 : 2 * p->id + 2;

	return virtio_queue(p->vc->vd, base + dir);
}

/* ---- control messages to the guest ---- */
static void
ctl_flush(struct vcons *vc)
{
	struct virtqueue *vq = virtio_queue(vc->vd, CTL_RX);
	struct iovec iov[4];
	struct vq_chain ch;
	struct ctl_msg *m;
	unsigned done = 0;
	size_t n, len;
	uint8_t msg[sizeof(*m) + 64];

	if (!vc->running || !vc->multiport || !vq_enabled(vq))
		return;
	while (done < vc->npending && vq_pop(vq, &ch, iov, 4) == 1) {
		m = &vc->pending[done++];
		memcpy(msg, m, sizeof(*m));
		len = sizeof(*m);
		if (m->event == CTL_PORT_NAME) {
			n = strlen(vc->port[m->id].name);
			memcpy(msg + len, vc->port[m->id].name, MIN(n, 64));
			len += MIN(n, 64);
		}
		if (ch.nwrite == 0 || iov[ch.nread].iov_len < len) {
			vq_push(vq, ch.head, 0);
			continue;
		}
		memcpy(iov[ch.nread].iov_base, msg, len);
		vq_dirty(vq, iov + ch.nread, 1);
		vq_push(vq, ch.head, (uint32_t)len);
	}
	vc->npending -= done;
	memmove(vc->pending, vc->pending + done,
	    vc->npending * sizeof(vc->pending[0]));
	vq_flush(vq);
}

static void
ctl_send(struct vcons *vc, unsigned id, unsigned event, unsigned value)
{
	struct ctl_msg m = { id, (uint16_t)event, (uint16_t)value };
	unsigned i;

	/* a newer state of the same thing replaces the one that waits */
	for (i = 0; i < vc->npending; i++) {
		if (vc->pending[i].id == id && vc->pending[i].event == event) {
			vc->pending[i].value = (uint16_t)value;
			return;
		}
	}
	if (vc->npending < ARRAY_LEN(vc->pending))
		vc->pending[vc->npending++] = m;
}

static void
ctl_device_ready(struct vcons *vc)
{
	unsigned i;

	for (i = 0; i < MAX_PORTS; i++) {
		if (vc->port[i].name != NULL)
			ctl_send(vc, i, CTL_DEVICE_ADD, 0);
	}
}

static void port_output(struct port *p);

static void
ctl_message(struct vcons *vc, const struct ctl_msg *m)
{
	struct port *p;

	if (m->event == CTL_DEVICE_READY) {
		if (m->value == 1)
			ctl_device_ready(vc);
		return;
	}
	if (m->id >= MAX_PORTS || vc->port[m->id].name == NULL)
		return;
	p = &vc->port[m->id];
	if (m->event == CTL_PORT_READY && m->value == 1) {
		if (p->console)
			ctl_send(vc, p->id, CTL_CONSOLE_PORT, 1);
		ctl_send(vc, p->id, CTL_PORT_NAME, 1);
		ctl_send(vc, p->id, CTL_PORT_OPEN, p->client);
	} else if (m->event == CTL_PORT_OPEN) {
		p->guest_open = m->value != 0;
		if (p->guest_open)
			tty_resume(p->tty);
	}
}

static void
ctl_receive(struct vcons *vc, struct virtqueue *vq)
{
	struct iovec iov[4];
	struct vq_chain ch;
	struct ctl_msg m;

	do {
		vq_want_notify(vq, false);
		while (vq_pop(vq, &ch, iov, 4) == 1) {
			if (ch.nread > 0 && iov[0].iov_len >= sizeof(m)) {
				memcpy(&m, iov[0].iov_base, sizeof(m));
				ctl_message(vc, &m);
			}
			vq_push(vq, ch.head, 0);
		}
	} while (vq_want_notify(vq, true));
	vq_flush(vq);
	ctl_flush(vc);
}

/* ---- data ---- */
/* From the client to the guest; returns what the guest had room for. */
static size_t
port_input(void *arg, const uint8_t *data, size_t n)
{
	struct port *p = arg;
	struct virtqueue *vq;
	struct iovec iov[MAX_SEGS];
	struct vq_chain ch;
	size_t done = 0, k, put;
	unsigned i;

	if (!p->vc->running)
		return n; /* nobody will read it */
	vq = port_queue(p, 0);
	if (!p->guest_open || !vq_enabled(vq)) {
		p->starved = true;
		return 0;
	}
	while (done < n && vq_pop(vq, &ch, iov, MAX_SEGS) == 1) {
		put = 0;
		for (i = ch.nread; i < (unsigned)ch.nread + ch.nwrite; i++) {
			k = MIN(iov[i].iov_len, n - done);
			memcpy(iov[i].iov_base, data + done, k);
			done += k;
			put += k;
		}
		vq_dirty(vq, iov + ch.nread, ch.nwrite);
		vq_push(vq, ch.head, (uint32_t)put);
	}
	vq_flush(vq);
	p->starved = done < n;
	if (p->starved && vq_want_notify(vq, true)) {
		p->starved = false;
		vq_again(vq);
	}
	return done;
}

/* From the guest to the client, as far as it takes it. */
static void
port_output(struct port *p)
{
	struct virtqueue *vq = port_queue(p, 1);
	struct iovec iov[MAX_SEGS];
	struct vq_chain ch;
	size_t skip, k, took;
	unsigned i;

	if (!vq_enabled(vq))
		return;
	do {
		vq_want_notify(vq, false);
		while (vq_pop(vq, &ch, iov, MAX_SEGS) == 1) {
			skip = p->tx_done;
			for (i = 0; i < ch.nread; i++) {
				k = MIN(skip, iov[i].iov_len);
				skip -= k;
				took = tty_write(p->tty,
				    (uint8_t *)iov[i].iov_base + k,
				    iov[i].iov_len - k);
				p->tx_done += took;
				if (took < iov[i].iov_len - k) {
					vq_unpop(vq);
					vq_flush(vq);
					return; /* port_writable goes on */
				}
			}
			p->tx_done = 0;
			vq_push(vq, ch.head, 0);
		}
	} while (vq_want_notify(vq, true));
	vq_flush(vq);
}

static void
port_writable(void *arg)
{
	struct port *p = arg;

	if (p->vc->running)
		port_output(p);
}

static void
port_connected(void *arg, bool present)
{
	struct port *p = arg;

	p->client = present;
	if (p->vc->running && p->vc->multiport) {
		ctl_send(p->vc, p->id, CTL_PORT_OPEN, present);
		ctl_flush(p->vc);
	}
}

static const struct tty_ops port_ops = {
	.input = port_input,
	.writable = port_writable,
	.connected = port_connected,
};

/* ---- virtio's callbacks ---- */
static void
vcons_cfg_read(void *dev, unsigned off, void *data, unsigned len)
{
	struct vcons *vc = dev;

	memcpy(data, (uint8_t *)&vc->cfg + off, len);
}

static void
vcons_cfg_write(void *dev, unsigned off, const void *data, unsigned len)
{
}

static void
vcons_start(void *dev, uint64_t features)
{
	struct vcons *vc = dev;
	unsigned i;

	vc->multiport = (features & VIRTIO_BIT(F_MULTIPORT)) != 0;
	vc->running = true;
	for (i = 0; i < MAX_PORTS; i++) {
		/* without control queues port 0 is all there is, and open */
		vc->port[i].guest_open = !vc->multiport && i == 0;
		vc->port[i].tx_done = 0;
		if (vc->port[i].guest_open && vc->port[i].tty != NULL)
			tty_resume(vc->port[i].tty);
	}
}

static void
vcons_reset(void *dev)
{
	struct vcons *vc = dev;
	unsigned i;

	vc->running = false;
	vc->npending = 0;
	for (i = 0; i < MAX_PORTS; i++)
		vc->port[i].guest_open = false;
}

static void
vcons_notify(void *dev, struct virtqueue *vq)
{
	struct vcons *vc = dev;
	unsigned i = vq_index(vq), id = i < 2 ? 0 : i / 2 - 1;
	struct port *p;

	if (i == CTL_RX) {
		ctl_flush(vc);
		return;
	}
	if (i == CTL_TX) {
		ctl_receive(vc, vq);
		return;
	}
	p = &vc->port[id];
	if (p->tty == NULL)
		return;
	if (i % 2 == 1)
		port_output(p);
	else
		tty_resume(p->tty);
}

static const struct virtio_model vcons_model = {
	.name = "virtio-console",
	.id = 3,
	.pci_class = 0x07, /* simple communication */
	.pci_subclass = 0x80,
	.features = VIRTIO_BIT(F_MULTIPORT),
	.cfg_read = vcons_cfg_read,
	.cfg_write = vcons_cfg_write,
	.start = vcons_start,
	.reset = vcons_reset,
	.notify = vcons_notify,
};

/* ---- building ---- */
static const struct config_key vcons_keys[] = {
	{ "port.*.name", CONFIG_STRING, NULL, NULL, 0,
	    "the port's name in the guest" },
	{ "port.*.path", CONFIG_STRING, NULL, NULL, 0,
	    "UNIX socket to listen on, or another serial back end" },
	{ "port.*.console", CONFIG_BOOL, "false", NULL, 0,
	    "the guest should use the port as a console (hvc)" },
	VIRTIO_CONFIG_KEYS,
	{ NULL },
};

/* "name=path[,name=path...]": ports are numbered from 1, as bhyve does. */
static int
vcons_parse(struct config_node *node, const char *opts, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(opts != NULL ? opts : "");
	char *rest = copy, *word, *eq;
	char key[32];
	unsigned n = 0;
	int r = 0;

	if (copy == NULL)
		return error_set(err, ENOMEM, "out of memory");
	while (r == 0 && (word = strsep(&rest, ",")) != NULL) {
		if (*word == '\0')
			continue;
		eq = strchr(word, '=');
		if (eq == NULL || eq == word || eq[1] == '\0')
			return error_set(err, EINVAL,
			    "'%s': write NAME=SOCKET for each port", word);
		*eq++ = '\0';
		n++;
		snprintf(key, sizeof(key), "port.%u.name", n);
		r = config_set(node, key, word, err);
		snprintf(key, sizeof(key), "port.%u.path", n);
		if (r == 0)
			r = config_set(node, key, eq, err);
	}
	return r;
}

/* A bare path is a UNIX socket; anything else is a tty specification. */
static int
open_port(struct vcons *vc, struct port *p, const char *path,
    struct mevent_loop *loop, struct error *err)
{
	char spec[300];
	struct mevent_loop *l = loop;

	if (strncmp(path, "/dev/", 5) != 0 && path[0] == '/') {
		if (str_format(spec, sizeof(spec), "socket,%s", path) < 0)
			return error_set(err, ENAMETOOLONG,
			    "port.%u.path=%s: too long", p->id, path);
		path = spec;
	}
	p->vc = vc;
	return tty_open(l, path, p->name, &port_ops, p, &p->tty, err);
}

static int
configure_port(struct vcons *vc, const struct config_node *conf, unsigned i,
    struct mevent_loop *loop, struct error *err)
{
	cleanup_free char *path = NULL;
	struct port *p = &vc->port[i];
	char key[32];
	int r;

	snprintf(key, sizeof(key), "port.%u.path", i);
	r = config_get_str(conf, vcons_keys, key, &path, err);
	if (r == -ENOENT)
		return 0;
	if (r != 0)
		return r;
	snprintf(key, sizeof(key), "port.%u.console", i);
	r = config_get_bool(conf, vcons_keys, key, &p->console, err);
	if (r != 0)
		return r;
	snprintf(key, sizeof(key), "port.%u.name", i);
	r = config_get_str(conf, vcons_keys, key, &p->name, err);
	if (r == -ENOENT) {
		p->name = alloc_strdup(key);
		if (p->name == NULL)
			return error_set(err, ENOMEM, "out of memory");
	} else if (r != 0) {
		return r;
	}
	p->id = i;
	return open_port(vc, p, path, loop, err);
}

static void
vcons_free(struct vcons *vc)
{
	unsigned i;

	if (vc == NULL)
		return;
	virtio_fini(vc->vd);
	for (i = 0; i < MAX_PORTS; i++) {
		tty_close(vc->port[i].tty);
		free(vc->port[i].name);
	}
	free(vc);
}

static int
check_port_numbers(const struct config_node *conf, struct error *err)
{
	const struct config_node *ports = config_find_node(conf, "port"), *c;
	uint64_t n;

	if (ports == NULL)
		return 0;
	for (c = config_next(ports, NULL); c != NULL; c = config_next(ports, c))
		if (str_to_u64(config_name(c), 0, MAX_PORTS - 1, &n) != 0)
			return error_set(err, EINVAL,
			    "port.%s: ports have the numbers 0 to %d",
			    config_name(c), MAX_PORTS - 1);
	return 0;
}

static int
vcons_build(struct vcons *vc, struct pci_dev *pd,
    const struct config_node *conf, struct error *err)
{
	struct mevent_loop *loop = vm_loop(pci_dev_vm(pd));
	struct virtio_config cfg = { .model = &vcons_model,
		.dev = vc,
		.queue_size = QUEUE_SIZE,
		.cfg_size = sizeof(vc->cfg),
		.loop = loop };
	unsigned i, max = 1;
	int r = check_port_numbers(conf, err);

	for (i = 0; i < MAX_PORTS && r == 0; i++) {
		r = configure_port(vc, conf, i, loop, err);
		if (vc->port[i].name != NULL)
			max = i + 1;
	}
	if (r == 0)
		r = virtio_read_config(conf, vcons_keys, &cfg, err);
	if (r != 0)
		return r;
	vc->cfg.max_nr_ports = max;
	cfg.nqueues = 2 * max + 2;
	return virtio_init(pd, &cfg, &vc->vd, err);
}

static int
vcons_init(
    struct pci_dev *pd, const struct config_node *conf, struct error *err)
{
	struct vcons *vc = calloc(1, sizeof(*vc));
	unsigned i;
	int r;

	if (vc == NULL)
		return error_set(err, ENOMEM, "out of memory");
	for (i = 0; i < MAX_PORTS; i++)
		vc->port[i].vc = vc;
	r = vcons_build(vc, pd, conf, err);
	if (r != 0)
		vcons_free(vc);
	return r;
}

static void
vcons_fini(struct pci_dev *pd)
{
	vcons_free(virtio_priv(pd));
}

const struct pci_model pci_model_virtio_console = {
	.name = "virtio-console",
	.help = "virtio serial ports on UNIX sockets",
	.keys = vcons_keys,
	.parse = vcons_parse,
	.init = vcons_init,
	.fini = vcons_fini,
	.bar_read = virtio_bar_read,
	.bar_write = virtio_bar_write,
	.cfg_read = virtio_cfg_read,
	.cfg_write = virtio_cfg_write,
};
