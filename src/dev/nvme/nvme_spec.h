/*
 * Numbers and structures of the NVM Express base specification, revision 1.4;
 * the numbers in brackets are its sections. All of it is little-endian.
 */
#ifndef DEV_NVME_NVME_SPEC_H
#define DEV_NVME_NVME_SPEC_H

#include <stdint.h>

#define NVME_VERSION 0x00010400u
#define NVME_PAGE 4096u /* CC.MPS is 0, the only size offered */

/* ---- registers, 3.1 ---- */
#define NVME_CAP 0x00
#define NVME_VS 0x08
#define NVME_INTMS 0x0c
#define NVME_INTMC 0x10
#define NVME_CC 0x14
#define NVME_CSTS 0x1c
#define NVME_AQA 0x24
#define NVME_ASQ 0x28
#define NVME_ACQ 0x30
#define NVME_DOORBELLS 0x1000 /* 4 bytes each: tail of SQ y, head of CQ y */

#define NVME_CAP_CQR (UINT64_C(1) << 16) /* queues are contiguous */
#define NVME_CAP_TO(half_seconds) ((uint64_t)(half_seconds) << 24)
#define NVME_CAP_CSS_NVM (UINT64_C(1) << 37)

#define NVME_CC_EN 0x1u
#define NVME_CC_CSS(cc) ((cc) >> 4 & 0x7)
#define NVME_CC_MPS(cc) ((cc) >> 7 & 0xf)
#define NVME_CC_AMS(cc) ((cc) >> 11 & 0x7)
#define NVME_CC_SHN(cc) ((cc) >> 14 & 0x3)
#define NVME_CC_IOSQES(cc) ((cc) >> 16 & 0xf)
#define NVME_CC_IOCQES(cc) ((cc) >> 20 & 0xf)
#define NVME_CC_WRITABLE 0x00fffff1u

#define NVME_CSTS_RDY 0x1u
#define NVME_CSTS_CFS 0x2u
#define NVME_CSTS_SHST_BUSY 0x4u
#define NVME_CSTS_SHST_DONE 0x8u
#define NVME_CSTS_SHST 0xcu

#define NVME_AQA_WRITABLE 0x0fff0fffu

/* ---- queue entries, 4.2 and 4.6 ---- */
#define NVME_SQE_SHIFT 6
#define NVME_CQE_SHIFT 4

struct nvme_sqe {
	uint8_t opcode;
	uint8_t flags; /* fused: bits 0-1, SGL: bits 6-7 */
	uint16_t cid;
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

struct nvme_cqe {
	uint32_t result; /* command specific */
	uint32_t reserved;
	uint16_t sqhd, sqid;
	uint16_t cid;
	uint16_t status; /* phase in bit 0 */
};

#define NVME_SQE_PLAIN(flags) (((flags)&0xc3) == 0) /* PRPs, not fused */
#define NVME_NSID_ALL 0xffffffffu

/* ---- status, 4.6.1: type in bits 8-10, DNR as bit 14 ---- */
#define NVME_DNR 0x4000u
#define NVME_OK 0x000u
#define NVME_INVALID_OPCODE (0x001u | NVME_DNR)
#define NVME_INVALID_FIELD (0x002u | NVME_DNR)
#define NVME_DATA_TRANSFER (0x004u | NVME_DNR)
#define NVME_INTERNAL (0x006u | NVME_DNR)
#define NVME_ABORTED (0x007u | NVME_DNR)
#define NVME_INVALID_NS (0x00bu | NVME_DNR)
#define NVME_SEQUENCE (0x00cu | NVME_DNR)
#define NVME_PRP_OFFSET (0x013u | NVME_DNR)
#define NVME_WRITE_PROTECTED (0x020u | NVME_DNR)
#define NVME_LBA_RANGE (0x080u | NVME_DNR)
#define NVME_CAPACITY (0x081u | NVME_DNR)
#define NVME_CQ_INVALID (0x100u | NVME_DNR)
#define NVME_QID_INVALID (0x101u | NVME_DNR)
#define NVME_QSIZE_INVALID (0x102u | NVME_DNR)
#define NVME_AER_LIMIT (0x105u | NVME_DNR)
#define NVME_VECTOR_INVALID (0x108u | NVME_DNR)
#define NVME_LOG_INVALID (0x109u | NVME_DNR)
#define NVME_QUEUE_DELETION (0x10cu | NVME_DNR)
#define NVME_NOT_SAVEABLE (0x10du | NVME_DNR)
#define NVME_WRITE_FAULT (0x280u | NVME_DNR)
#define NVME_READ_ERROR (0x281u | NVME_DNR)

/* ---- commands, 5 and 6 ---- */
enum nvme_admin_opcode {
	NVME_ADMIN_DELETE_SQ = 0x00,
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_GET_LOG = 0x02,
	NVME_ADMIN_DELETE_CQ = 0x04,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_ABORT = 0x08,
	NVME_ADMIN_SET_FEATURES = 0x09,
	NVME_ADMIN_GET_FEATURES = 0x0a,
	NVME_ADMIN_ASYNC_EVENT = 0x0c,
	NVME_ADMIN_DOORBELLS = 0x7c,
};

enum nvme_io_opcode {
	NVME_IO_FLUSH = 0x00,
	NVME_IO_WRITE = 0x01,
	NVME_IO_READ = 0x02,
	NVME_IO_WRITE_ZEROES = 0x08,
	NVME_IO_DSM = 0x09,
};

#define NVME_QUEUE_CONTIGUOUS 0x1u /* CREATE SQ and CQ, dword 11 */
#define NVME_QUEUE_IEN 0x2u

#define NVME_RW_FUA (1u << 30) /* dword 12 */
#define NVME_WZ_DEALLOCATE (1u << 25)
#define NVME_DSM_DEALLOCATE 0x4u /* dword 11 */
#define NVME_DSM_RANGES 256

struct nvme_range { /* 6.7 */
	uint32_t attributes;
	uint32_t length; /* LBAs */
	uint64_t start;
};

enum nvme_cns { /* 5.15.1 */
	NVME_CNS_NAMESPACE = 0x00,
	NVME_CNS_CONTROLLER = 0x01,
	NVME_CNS_ACTIVE = 0x02,
	NVME_CNS_DESCRIPTORS = 0x03,
};

enum nvme_log { /* 5.14.1 */
	NVME_LOG_ERROR = 0x01,
	NVME_LOG_SMART = 0x02,
	NVME_LOG_FIRMWARE = 0x03,
};

enum nvme_feature { /* 5.21.1 */
	NVME_FEAT_ARBITRATION = 0x01,
	NVME_FEAT_POWER = 0x02,
	NVME_FEAT_TEMPERATURE = 0x04,
	NVME_FEAT_ERROR_RECOVERY = 0x05,
	NVME_FEAT_WRITE_CACHE = 0x06,
	NVME_FEAT_QUEUES = 0x07,
	NVME_FEAT_COALESCING = 0x08,
	NVME_FEAT_VECTOR = 0x09,
	NVME_FEAT_ATOMICITY = 0x0a,
	NVME_FEAT_EVENTS = 0x0b,
};

/* Asynchronous events, 5.2: type, information, log page */
#define NVME_EVENT_ERROR 0
#define NVME_EVENT_BAD_DOORBELL 0x00 /* of a queue that does not exist */
#define NVME_EVENT_BAD_VALUE 0x01

#endif
