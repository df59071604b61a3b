/*
 * A machine around one AHCI controller, and a driver for it: real memory, buses
 * and PCI core; the test is the guest and reaches the controller by its
 * registers and memory only.
 */
#ifndef UNIT_AHCI_RIG_H
#define UNIT_AHCI_RIG_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "dev/ahci/ahci_regs.h"
#include "dev/pci/models.h"
#include "fake_vm.h"

#define SATA_RAM (8 * MiB)
#define SATA_SLOT 4
/* Where the driver has what, for each port. */
#define SATA_PORT(p) (0x10000u + (p)*0x40000u)
#define SATA_CLB(p) SATA_PORT(p)
#define SATA_FB(p) (SATA_PORT(p) + 0x800)
#define SATA_TABLE(p, slot) (SATA_PORT(p) + 0x1000 + (slot)*0x1000u)
#define SATA_DATA 0x100000u

struct sata {
	struct vm *vm;
	struct pci_bus *pb;
	struct pci_dev *pd;
	struct config_node *root;
	uint64_t bar;
};

/* What a command table says; data is one piece at SATA_DATA by default. */
struct sata_cmd {
	uint8_t command, features, device, control;
	uint64_t lba;
	uint16_t count, features16;
	const uint8_t *packet; /* 12 bytes */
	uint32_t len; /* of the data */
	uint32_t piece; /* bytes a descriptor; 0: all in one */
	bool write;
};

static inline uint8_t *
sata_ram(struct sata *s, uint64_t gpa)
{
	return vm_mem_ram(s->vm->mem, GPA(gpa), 1);
}

static inline void
sata_cfg_out(struct sata *s, unsigned reg, unsigned width, uint32_t v)
{
	fake_out(s->vm, 0xcf8, 4, 0x80000000u | SATA_SLOT << 11 | (reg & 0xfc));
	fake_out(s->vm, (uint16_t)(0xcfc + (reg & 3)), width, v);
}

static inline uint32_t
sata_cfg_in(struct sata *s, unsigned reg, unsigned width)
{
	fake_out(s->vm, 0xcf8, 4, 0x80000000u | SATA_SLOT << 11 | (reg & 0xfc));
	return (uint32_t)fake_in(s->vm, (uint16_t)(0xcfc + (reg & 3)), width);
}

static inline uint32_t
sata_in(struct sata *s, unsigned reg)
{
	return (uint32_t)fake_load(s->vm, s->bar + reg, 4);
}

static inline void
sata_out(struct sata *s, unsigned reg, uint32_t v)
{
	fake_store(s->vm, s->bar + reg, 4, v);
}

static inline unsigned
sata_reg(unsigned port, unsigned reg)
{
	return AHCI_PORT_BASE + port * AHCI_PORT_SIZE + reg;
}

static inline uint32_t
sata_pin(struct sata *s, unsigned port, unsigned reg)
{
	return sata_in(s, sata_reg(port, reg));
}

static inline void
sata_pout(struct sata *s, unsigned port, unsigned reg, uint32_t v)
{
	sata_out(s, sata_reg(port, reg), v);
}

/* Until (register & mask) == value; false after 10 seconds. */
static inline bool
sata_until(
    struct sata *s, unsigned port, unsigned reg, uint32_t mask, uint32_t value)
{
	for (unsigned i = 0; i < 100000; i++) {
		if ((sata_pin(s, port, reg) & mask) == value)
			return true;
		usleep(100);
	}
	return false;
}

static inline void
sata_close(struct sata *s)
{
	pci_bus_destroy(s->pb);
	config_free(s->root);
	fake_vm_destroy(s->vm);
}

/* "-s 4,MODEL,OPTS" */
static inline int
sata_open(
    struct sata *s, const char *model, const char *opts, struct error *err)
{
	const struct pci_model *m = pci_model_find(model);
	struct config_node *node;
	int rc;

	s->vm = fake_vm_create(SATA_RAM);
	s->root = config_create();
	node = config_make_node(s->root, "pci.0.4.0");
	rc = pci_bus_create(s->vm, &s->pb, err);
	if (rc == 0)
		rc = config_set(node, "device", model, err);
	if (rc == 0)
		rc = m->parse(node, opts, err);
	if (rc == 0)
		rc = pci_bus_add(
		    s->pb, (struct pci_addr){ 0, SATA_SLOT, 0 }, node, err);
	if (rc == 0)
		rc = pci_bus_assign(s->pb, err);
	if (rc != 0) {
		sata_close(s);
		return rc;
	}
	s->pd = pci_bus_find(s->pb, (struct pci_addr){ 0, SATA_SLOT, 0 });
	sata_cfg_out(s, 0x04, 2, 6); /* memory, bus master */
	if (!pci_bar_addr(s->pd, AHCI_BAR, &s->bar))
		abort();
	return 0;
}

/* Bring a port up: memory, FISes, commands. */
static inline bool
sata_start(struct sata *s, unsigned port)
{
	sata_pout(s, port, PX_CLB, SATA_CLB(port));
	sata_pout(s, port, PX_CLBU, 0);
	sata_pout(s, port, PX_FB, SATA_FB(port));
	sata_pout(s, port, PX_FBU, 0);
	sata_pout(s, port, PX_SERR, 0xffffffff);
	sata_pout(s, port, PX_IS, 0xffffffff);
	sata_pout(s, port, PX_CMD, CMD_FRE);
	if (!sata_until(s, port, PX_TFD, 0x88, 0))
		return false;
	sata_pout(s, port, PX_CMD, CMD_FRE | CMD_ST);
	return true;
}

static inline bool
sata_stop(struct sata *s, unsigned port)
{
	sata_pout(s, port, PX_CMD, CMD_FRE);
	return sata_until(s, port, PX_CMD, CMD_CR, 0);
}

/* After a fatal error the device may be busy still; 10.4.1 */
static inline bool
sata_recover(struct sata *s, unsigned port)
{
	if (!sata_stop(s, port))
		return false;
	sata_pout(s, port, PX_CMD, CMD_FRE | CMD_CLO);
	return sata_start(s, port);
}

static inline void
sata_prd(uint8_t *prd, uint64_t addr, uint32_t len)
{
	store_le64(&prd[0], addr);
	store_le32(&prd[8], 0);
	store_le32(&prd[12], len - 1);
}

/* Fill in the table of a slot; the header comes with it. */
static inline void
sata_prepare(
    struct sata *s, unsigned port, unsigned slot, const struct sata_cmd *c)
{
	uint8_t *hdr = sata_ram(s, SATA_CLB(port) + slot * HDR_SIZE);
	uint8_t *t = sata_ram(s, SATA_TABLE(port, slot));
	uint32_t piece = c->piece != 0 ? c->piece : c->len, n = 0;

	memset(t, 0, TABLE_PRDT);
	t[0] = FIS_H2D;
	t[1] = FIS_H2D_C;
	t[2] = c->command;
	t[3] = c->features;
	for (unsigned i = 0; i < 3; i++) {
		t[4 + i] = (uint8_t)(c->lba >> (8 * i));
		t[8 + i] = (uint8_t)(c->lba >> (24 + 8 * i));
	}
	t[7] = c->device;
	t[11] = (uint8_t)(c->features16 >> 8);
	if (c->features16 != 0)
		t[3] = (uint8_t)c->features16;
	store_le16(&t[12], c->count);
	if (c->packet != NULL)
		memcpy(&t[TABLE_ACMD], c->packet, 12);
	for (uint32_t at = 0; at < c->len; at += piece, n++)
		sata_prd(&t[TABLE_PRDT + n * PRD_SIZE],
		    /* not neighbours, so that nothing is joined */
		    SATA_DATA + at + (c->piece != 0 ? (uint64_t)n * piece : 0),
		    MIN(piece, c->len - at));
	memset(hdr, 0, HDR_SIZE);
	store_le32(hdr,
	    5 | (c->write ? HDR_WRITE : 0) | (c->packet != NULL ? 1u << 5 : 0) |
		n << 16);
	store_le32(&hdr[8], SATA_TABLE(port, slot));
}

/* Issue slot 0 and wait until it is through or the port has failed. */
static inline bool
sata_run(struct sata *s, unsigned port, const struct sata_cmd *c)
{
	const uint32_t bad = IS_TFES | IS_HBFS | IS_IFS | IS_OFS;

	sata_prepare(s, port, 0, c);
	sata_pout(s, port, PX_IS, 0xffffffff);
	sata_pout(s, port, PX_CI, 1);
	for (unsigned i = 0; i < 100000; i++) {
		if ((sata_pin(s, port, PX_IS) & bad) != 0 ||
		    (sata_pin(s, port, PX_CI) & 1) == 0)
			return true;
		usleep(100);
	}
	return false;
}

static inline uint32_t
sata_moved(struct sata *s, unsigned port, unsigned slot)
{
	return load_le32(
	    sata_ram(s, SATA_CLB(port) + slot * HDR_SIZE + HDR_PRDBC));
}

#endif
