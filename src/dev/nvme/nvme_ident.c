/*
 * IDENTIFY (5.15): structures by the offsets of figures 245, 247 and 249.
 */
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "dev/nvme/nvme_impl.h"

#define IDENT_SIZE 4096
#define MODEL "bhyve-NVMe"
#define FIRMWARE "1.0"
#define SUBNQN "nqn.2014-08.org.nvmexpress:fb5dfb5d:"

/* ASCII fields are padded with blanks, 1.5. */
static void
put_text(uint8_t *p, size_t size, const char *text)
{
	memset(p, ' ', size);
	memcpy(p, text, MIN(strlen(text), size));
}

static void
ident_controller(struct nvme *n, uint8_t *p)
{
	store_le16(p + 0, 0xfb5d); /* VID, SSVID */
	store_le16(p + 2, 0xfb5d);
	put_text(p + 4, NVME_SERIAL, n->serial);
	put_text(p + 24, 40, MODEL);
	put_text(p + 64, 8, FIRMWARE);
	p[73] = 0xfc; /* IEEE OUI, little-endian */
	p[74] = 0x9c;
	p[75] = 0x58;
	p[77] = NVME_MDTS;
	store_le32(p + 80, NVME_VERSION);
	p[111] = 1; /* CNTRLTYPE: I/O controller */
	if (nvme_has_shadows(n))
		store_le16(p + 256, 0x100); /* OACS: Doorbell Buffer Config */
	p[258] = 3; /* ACL: 4 */
	p[259] = NVME_EVENTS - 1; /* AERL */
	p[260] = 0x03; /* FRMW: one slot, read-only */
	p[261] = 0x04; /* LPA: offsets and long lengths */
	p[262] = NVME_ERRORS - 1; /* ELPE */
	store_le16(p + 266, 343); /* WCTEMP, CCTEMP: kelvins */
	store_le16(p + 268, 353);
	p[512] = NVME_SQE_SHIFT << 4 | NVME_SQE_SHIFT;
	p[513] = NVME_CQE_SHIFT << 4 | NVME_CQE_SHIFT;
	store_le32(p + 516, 1); /* NN */
	store_le16(p + 520, (uint16_t)(0x08 | (n->dsm ? 0x04 : 0))); /* ONCS */
	p[525] = 0x07; /* VWC: there; FLUSH knows all namespaces */
	(void)str_format(
	    (char *)p + 768, 256, SUBNQN "%s:%s", MODEL, n->serial);
	store_le16(p + 2048, 2500); /* PSD0: 25 W at most */
}

static void
ident_namespace(struct nvme *n, uint8_t *p)
{
	const struct block_info *in = block_info(n->bd);
	uint16_t grain = (uint16_t)((in->physical_size >> n->lba_shift) - 1);

	store_le64(p + 0, n->lbas); /* NSZE, NCAP, NUSE */
	store_le64(p + 8, n->lbas);
	store_le64(p + 16, n->lbas);
	p[33] = n->dsm ? 0x08 : 0; /* DLFEAT: WRITE ZEROES may deallocate */
	if (in->physical_size > UINT32_C(1) << n->lba_shift) {
		p[24] = 0x10; /* NSFEAT: the next ones say something */
		store_le16(p + 64, grain); /* NPWG, NPWA, NPDG, NPDA */
		store_le16(p + 66, grain);
		store_le16(p + 68, grain);
		store_le16(p + 70, grain);
	}
	p[99] = n->readonly; /* NSATTR */
	store_be64(p + 120, n->eui64);
	p[130] = (uint8_t)n->lba_shift; /* LBAF0 */
}

static uint16_t
ident_active(struct nvme_req *req, uint8_t *p)
{
	if (req->sqe.nsid >= NVME_NSID_ALL - 1)
		return NVME_INVALID_NS;
	if (req->sqe.nsid == 0)
		store_le32(p, 1);
	return NVME_OK;
}

/* Type and length, two bytes on the identifier. */
static void
ident_descriptors(struct nvme *n, uint8_t *p)
{
	if (n->eui64 != 0) {
		p[0] = 1;
		p[1] = 8;
		store_be64(p + 4, n->eui64);
		return;
	}
	p[0] = 3;
	p[1] = sizeof(n->uuid);
	memcpy(p + 4, n->uuid, sizeof(n->uuid));
}

uint16_t
nvme_identify(struct nvme *n, struct nvme_req *req)
{
	uint16_t status = NVME_OK;
	uint8_t p[IDENT_SIZE];
	unsigned cns = req->sqe.cdw10 & 0xff;
	bool of_namespace =
	    cns == NVME_CNS_NAMESPACE || cns == NVME_CNS_DESCRIPTORS;

	if (of_namespace && req->sqe.nsid != 1)
		return NVME_INVALID_NS;
	memset(p, 0, sizeof(p));
	switch (cns) {
	case NVME_CNS_NAMESPACE:
		ident_namespace(n, p);
		break;
	case NVME_CNS_CONTROLLER:
		ident_controller(n, p);
		break;
	case NVME_CNS_ACTIVE:
		status = ident_active(req, p);
		break;
	case NVME_CNS_DESCRIPTORS:
		ident_descriptors(n, p);
		break;
	default:
		return NVME_INVALID_FIELD;
	}
	return status == NVME_OK ? nvme_put(n, req, p, sizeof(p)) : status;
}
