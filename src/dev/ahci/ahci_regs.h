/*
 * Registers and structures in memory of an AHCI controller.
 *
 * Sources: Serial ATA AHCI 1.3.1 (section 3: registers, 4: system memory);
 * Serial ATA 3.1, 10.3 (FIS types).
 */
#ifndef DEV_AHCI_AHCI_REGS_H
#define DEV_AHCI_AHCI_REGS_H

#define BIT32(n) (UINT32_C(1) << (n))

#define AHCI_MAX_PORTS 32
#define AHCI_SLOTS 32
#define AHCI_BAR 5
#define AHCI_PORT_BASE 0x100
#define AHCI_PORT_SIZE 0x80

/* Generic host control, 3.1 */
#define HBA_CAP 0x00
#define HBA_GHC 0x04
#define HBA_IS 0x08
#define HBA_PI 0x0c
#define HBA_VS 0x10
#define HBA_CAP2 0x24

#define CAP_NCS (31u << 8) /* 32 command slots */
#define CAP_PMD BIT32(15) /* PIO of several blocks */
#define CAP_SAM BIT32(18) /* AHCI only, no IDE registers */
#define CAP_ISS_GEN3 (3u << 20)
#define CAP_SCLO BIT32(24)
#define CAP_SNCQ BIT32(30)
#define CAP_S64A BIT32(31)

#define GHC_HR BIT32(0)
#define GHC_IE BIT32(1)
#define GHC_AE BIT32(31)

#define VS_1_3_1 0x00010301

/* Ports, 3.3 */
#define PX_CLB 0x00
#define PX_CLBU 0x04
#define PX_FB 0x08
#define PX_FBU 0x0c
#define PX_IS 0x10
#define PX_IE 0x14
#define PX_CMD 0x18
#define PX_TFD 0x20
#define PX_SIG 0x24
#define PX_SSTS 0x28
#define PX_SCTL 0x2c
#define PX_SERR 0x30
#define PX_SACT 0x34
#define PX_CI 0x38

#define CLB_MASK (~UINT64_C(0x3ff))
#define FB_MASK (~UINT64_C(0xff))

#define IS_DHRS BIT32(0) /* device to host register FIS */
#define IS_PSS BIT32(1) /* PIO setup FIS */
#define IS_SDBS BIT32(3) /* set device bits FIS */
#define IS_DPS BIT32(5) /* a descriptor with the I bit */
#define IS_PCS BIT32(6) /* mirrors PxSERR.DIAG.X */
#define IS_OFS BIT32(24) /* overflow: more data than descriptors */
#define IS_IFS BIT32(27) /* interface fatal error */
#define IS_HBFS BIT32(29) /* host bus fatal error */
#define IS_TFES BIT32(30) /* task file error */
#define IE_MASK 0xfdc000ffu

#define CMD_ST BIT32(0)
#define CMD_SUD BIT32(1)
#define CMD_POD BIT32(2)
#define CMD_CLO BIT32(3)
#define CMD_FRE BIT32(4)
#define CMD_CCS_SHIFT 8
#define CMD_CCS_MASK (31u << CMD_CCS_SHIFT)
#define CMD_FR BIT32(14)
#define CMD_CR BIT32(15)
#define CMD_ATAPI BIT32(24)

#define SSTS_UP 0x133 /* present, Gen 3, active */
#define SSTS_NO_PHY 0x001 /* present, no communication yet */
#define SSTS_OFFLINE 0x004
#define SCTL_MASK 0x00000fffu
#define SCTL_DET 0xfu
#define SERR_DIAG_X BIT32(26)

#define SIG_ATA 0x00000101u
#define SIG_ATAPI 0xeb140101u
#define SIG_NONE 0xffffffffu

/* Command header, 4.2.2 */
#define HDR_SIZE 32
#define HDR_CFL 0x1fu
#define HDR_WRITE BIT32(6)
#define HDR_PRDBC 4 /* where it is */

/* Command table, 4.2.3 */
#define TABLE_ACMD 0x40
#define TABLE_PRDT 0x80
#define PRD_SIZE 16
#define PRD_BYTES 0x3fffffu
#define PRD_INTR BIT32(31)

/* Received FISes, 4.2.1: where, how long */
#define RX_PIO_SETUP 0x20
#define RX_D2H 0x40
#define RX_SDB 0x58
#define FIS_PIO_SETUP_LEN 20
#define FIS_D2H_LEN 20
#define FIS_SDB_LEN 8

#define FIS_H2D 0x27
#define FIS_D2H 0x34
#define FIS_PIO_SETUP 0x5f
#define FIS_SDB 0xa1
#define FIS_H2D_C 0x80 /* a command, not the control register */
#define FIS_INTR 0x40
#define FIS_IN 0x20 /* device to host */
#define CTL_SRST 0x04

#endif
