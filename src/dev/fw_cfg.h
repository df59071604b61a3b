/*
 * QEMU's firmware configuration device: selector port 510h, data 511h, DMA
 * 514h. Source: QEMU docs/specs/fw_cfg.rst.
 */
#ifndef DEV_FW_CFG_H
#define DEV_FW_CFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "vmm/vm.h"

struct fw_cfg;

/* Fixed selectors */
enum {
	FW_CFG_SIGNATURE = 0x00,
	FW_CFG_ID = 0x01,
	FW_CFG_UUID = 0x02,
	FW_CFG_RAM_SIZE = 0x03,
	FW_CFG_NOGRAPHIC = 0x04,
	FW_CFG_NB_CPUS = 0x05,
	FW_CFG_KERNEL_SIZE = 0x08,
	FW_CFG_INITRD_SIZE = 0x0b,
	FW_CFG_BOOT_MENU = 0x0e,
	FW_CFG_MAX_CPUS = 0x0f,
	FW_CFG_KERNEL_DATA = 0x11,
	FW_CFG_INITRD_DATA = 0x12,
	FW_CFG_CMDLINE_SIZE = 0x14,
	FW_CFG_CMDLINE_DATA = 0x15,
	FW_CFG_SETUP_SIZE = 0x17,
	FW_CFG_SETUP_DATA = 0x18,
	FW_CFG_FILE_DIR = 0x19,
	FW_CFG_FILE_FIRST = 0x20,
};

int fw_cfg_create(struct vm *vm, struct fw_cfg **ret, struct error *err);
void fw_cfg_destroy(struct fw_cfg *fw); /* NULL is allowed */
/* Items and files are copied; files sort by name when the guest first looks. */
int
fw_cfg_add_item(struct fw_cfg *fw, uint16_t key, const void *data, size_t n);
static inline int
fw_cfg_add_u16(struct fw_cfg *fw, uint16_t key, uint16_t v)
{
	uint8_t b[2];

	store_le16(b, v);
	return fw_cfg_add_item(fw, key, b, sizeof(b));
}

static inline int
fw_cfg_add_u32(struct fw_cfg *fw, uint16_t key, uint32_t v)
{
	uint8_t b[4];

	store_le32(b, v);
	return fw_cfg_add_item(fw, key, b, sizeof(b));
}

static inline int
fw_cfg_add_u64(struct fw_cfg *fw, uint16_t key, uint64_t v)
{
	uint8_t b[8];

	store_le64(b, v);
	return fw_cfg_add_item(fw, key, b, sizeof(b));
}

/* name: at most 55 characters; -EEXIST. */
int fw_cfg_add_file(
    struct fw_cfg *fw, const char *name, const void *data, size_t n);

#endif
