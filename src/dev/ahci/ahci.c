/*
 * AHCI controllers as PCI functions: "ahci" with a disk or CD drive on each of
 * its ports, "ahci-hd" and "ahci-cd" with one. Options and building.
 *
 * The identity is that of the ICH9 in AHCI mode (Intel ICH9 datasheet, 15),
 * the controller of a Q35.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/ahci/ahci_impl.h"
#include "dev/pci/models.h"

#define MAP 0x90 /* address map: AHCI mode */
#define PCS 0x92 /* port control and status */

/* A port's own keys, below "port.N". */
#define PORT_KEYS(at)                                                     \
	{ at "type", CONFIG_ENUM, "hd", "hd|cd", 0, "disk or CD drive" }, \
	    BLOCK_CONFIG_KEYS_AT(at),                                     \
	    { at "nmrr", CONFIG_UINT, "0", "0..65535", 0,                 \
		    "rotation rate told to the guest; 1 is an SSD" },     \
	    { at "rev", CONFIG_STRING, "001", NULL, 0,                    \
		    "firmware revision, at most 8 characters" },          \
	{                                                                 \
		at "model", CONFIG_STRING, NULL, NULL, 0,                 \
		    "model name, at most 40 characters"                   \
	}

static const struct config_key ahci_keys[] = {
	PORT_KEYS("port.*."),
	{ NULL },
};
static const struct config_key port_keys[] = {
	PORT_KEYS(""),
	{ NULL },
};

/* ---- -s slot,ahci,[hd:|cd:]path[,option...][,hd:|cd:path...] ---- */

/* One port's text, without the kind in front. */
static int
parse_port(struct config_node *node, unsigned n, const char *type,
    const char *opts, struct error *err)
{
	struct config_node *port;
	char path[16];
	int rc;

	(void)str_format(path, sizeof(path), "port.%u", n);
	port = config_make_node(node, path);
	if (port == NULL)
		return error_sys(err, ENOMEM, "%s", path);
	rc = block_parse(port, opts, err);
	if (rc == 0)
		rc = config_set(port, "type", type, err);
	/* The same tree whichever name was used, as bhyve has it. */
	return rc == 0 ? config_set(node, "device", "ahci", err) : rc;
}

static bool
is_kind(const char *text, const char *kind)
{
	return strncmp(text, kind, 3) == 0;
}

/* Cut at the next ",hd:" or ",cd:". */
static char *
cut_port(char *text)
{
	for (char *p = strchr(text, ','); p != NULL; p = strchr(p + 1, ','))
		if (is_kind(p + 1, "hd:") || is_kind(p + 1, "cd:")) {
			*p = '\0';
			return p + 1;
		}
	return NULL;
}

static int
parse_ports(struct config_node *node, const char *opts, const char *type,
    struct error *err)
{
	cleanup_free char *copy = alloc_strdup(opts != NULL ? opts : "");
	char *text = copy, *next;
	int rc = 0;

	if (copy == NULL)
		return error_sys(err, ENOMEM, "ahci");
	for (unsigned n = 0; rc == 0 && text != NULL; n++, text = next) {
		const char *kind = type;

		if (n == AHCI_MAX_PORTS)
			return error_set(err, E2BIG,
			    "a controller has at most %u ports",
			    AHCI_MAX_PORTS);
		next = cut_port(text);
		if (is_kind(text, "hd:") || is_kind(text, "cd:")) {
			kind = is_kind(text, "cd:") ? "cd" : "hd";
			text += 3;
		}
		rc = parse_port(node, n, kind, text, err);
	}
	return rc;
}

static int
ahci_parse(struct config_node *node, const char *opts, struct error *err)
{
	return parse_ports(node, opts, "hd", err);
}

static int
hd_parse(struct config_node *node, const char *opts, struct error *err)
{
	return parse_port(node, 0, "hd", opts, err);
}

static int
cd_parse(struct config_node *node, const char *opts, struct error *err)
{
	return parse_port(node, 0, "cd", opts, err);
}

/* ---- a port ---- */

static int
read_text(const struct config_node *node, const char *key, char *buf,
    size_t size, const char *dflt, struct error *err)
{
	cleanup_free char *text = NULL;
	int rc = config_get_str(node, port_keys, key, &text, err);

	if (rc == -ENOENT) {
		(void)str_format(buf, size, "%s", dflt);
		return 0;
	}
	if (rc == 0 && str_format(buf, size, "%s", text) != 0)
		return error_set(err, EINVAL, "%s=%s: at most %zu characters",
		    key, text, size - 1);
	return rc;
}

static int
read_names(
    struct ahci_port *p, const struct config_node *node, struct error *err)
{
	const char *path = config_get_raw(node, "path");
	char serial[sizeof(p->serial)];
	uint64_t nmrr = 0;
	int rc;

	block_default_serial(path != NULL ? path : "", serial, sizeof(serial));
	rc = read_text(node, "ser", p->serial, sizeof(p->serial), serial, err);
	if (rc == 0)
		rc = read_text(
		    node, "rev", p->revision, sizeof(p->revision), "001", err);
	if (rc == 0)
		rc = read_text(node, "model", p->model, sizeof(p->model),
		    p->atapi ? "BHYVE SATA DVD ROM" : "BHYVE SATA DISK", err);
	if (rc == 0)
		rc = config_get_uint(node, port_keys, "nmrr", &nmrr, err);
	p->nmrr = (uint16_t)nmrr;
	return rc;
}

static int
open_medium(
    struct ahci_port *p, const struct config_node *node, struct error *err)
{
	struct mevent_loop *loop = iothread_loop(p->thr);
	int rc;

	if (!p->atapi)
		return block_open(loop, node, port_keys, &p->bd, err);
	rc = block_open_readonly(loop, node, port_keys, &p->bd, err);
	/* Blocks of 2048 bytes are read from it. */
	if (rc == 0 &&
	    (block_info(p->bd)->sector_size > 512 ||
		block_info(p->bd)->size < 2048))
		rc = error_set(err, EINVAL,
		    "%s: a CD needs an image of 2048 bytes or more, in sectors "
		    "of 512; set sectorsize=512",
		    config_get_raw(node, "path"));
	return rc;
}

static int
build_port(
    struct ahci_port *p, const struct config_node *node, struct error *err)
{
	struct pci_addr a = pci_dev_addr(p->ahci->pd);
	uint64_t type = 0;
	char name[16];
	int rc;

	p->present = true;
	p->ahci->pi |= BIT32(p->num);
	(void)str_format(name, sizeof(name), "ahci%u:%u:%u:%u", a.bus, a.slot,
	    a.func, p->num);
	rc = config_get_uint(node, port_keys, "type", &type, err);
	p->atapi = type == 1;
	if (rc == 0)
		rc = read_names(p, node, err);
	if (rc == 0)
		rc = iothread_create(name, &p->thr, err);
	if (rc == 0)
		rc = open_medium(p, node, err);
	if (rc == 0)
		rc = ahci_port_open(p, err);
	return rc;
}

static int
build_ports(struct ahci *h, const struct config_node *conf, struct error *err)
{
	const struct config_node *ports = config_find_node(conf, "port");
	const struct config_node *node = NULL;
	int rc = 0;

	while (rc == 0 && ports != NULL &&
	    (node = config_next(ports, node)) != NULL) {
		uint64_t n;

		if (str_to_u64(config_name(node), 0, AHCI_MAX_PORTS - 1, &n) !=
		    0)
			return error_set(err, EINVAL,
			    "port.%s: ports have the numbers 0 to %u",
			    config_name(node), AHCI_MAX_PORTS - 1);
		h->port[n].ahci = h;
		h->port[n].num = (unsigned)n;
		h->nports = MAX(h->nports, (unsigned)n + 1);
		rc = build_port(&h->port[n], node, err);
	}
	if (rc == 0 && h->pi == 0)
		return error_set(err, EINVAL,
		    "a controller without a port; give it the path of an image "
		    "or block device");
	return rc;
}

/* ---- the function ---- */

static int
build_function(struct ahci *h, struct error *err)
{
	struct pci_dev *pd = h->pd;
	int rc;

	pci_set_id(pd, 0x8086, 0x2922, 0x1af4, 0x1100, 2);
	pci_set_class(pd, 0x01, 0x06, 0x01);
	rc = pci_add_bar(pd, AHCI_BAR, PCI_BAR_MEM32,
	    AHCI_PORT_BASE + h->nports * AHCI_PORT_SIZE, err);
	if (rc == 0)
		rc = pci_add_msi(pd, err);
	if (rc != 0)
		return rc;
	pci_add_intx(pd);
	/* Linux turns the ports on here, for this identity. */
	pci_cfg_set(pd, MAP, 1, 0x40);
	pci_cfg_set_wmask(pd, PCS, 2, 0x003f);
	ahci_power_on(h);
	return 0;
}

static void
ahci_free(struct ahci *h)
{
	for (unsigned i = 0; i < AHCI_MAX_PORTS; i++)
		if (h->port[i].present)
			ahci_port_close(&h->port[i]);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static int
ahci_init(struct pci_dev *pd, const struct config_node *conf, struct error *err)
{
	struct ahci *h = alloc_zero(1, sizeof(*h));
	int rc;

	if (h == NULL)
		return error_sys(err, ENOMEM, "ahci");
	h->pd = pd;
	h->mem = vm_mem(pci_dev_vm(pd));
	pthread_mutex_init(&h->lock, NULL);
	rc = build_ports(h, conf, err);
	if (rc == 0)
		rc = build_function(h, err);
	if (rc != 0) {
		ahci_free(h);
		return rc;
	}
	pci_dev_set_priv(pd, h);
	return 0;
}

static void
ahci_fini(struct pci_dev *pd)
{
	ahci_free(pci_dev_priv(pd));
}

#define AHCI_MODEL(model, text, parser)                                 \
	{                                                               \
		.name = model, .help = text, .keys = ahci_keys,         \
		.parse = parser, .init = ahci_init, .fini = ahci_fini,  \
		.bar_read = ahci_bar_read, .bar_write = ahci_bar_write, \
	}

const struct pci_model pci_model_ahci =
    AHCI_MODEL("ahci", "SATA controller with disks and CD drives", ahci_parse);
const struct pci_model pci_model_ahci_hd =
    AHCI_MODEL("ahci-hd", "SATA disk on a raw image or block device", hd_parse);
const struct pci_model pci_model_ahci_cd =
    AHCI_MODEL("ahci-cd", "SATA CD drive with an image", cd_parse);
