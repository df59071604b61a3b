/*
 * Offsets and bits of configuration space.
 *
 * Sources: PCI Local Bus Specification 3.0, chapter 6 (header: 6.1, command
 * and status: 6.2.2-6.2.3, BARs: 6.2.5, capabilities: 6.7, MSI: 6.8.1, MSI-X:
 * 6.8.2); PCI Express Base Specification 3.0, 7.8 (PCI Express capability).
 */
#ifndef DEV_PCI_PCI_REGS_H
#define DEV_PCI_PCI_REGS_H

#define PCI_CFG_SIZE 4096u /* per function, PCI Express 7.2 */
#define PCI_CFG_CONVENTIONAL 256u

#define PCI_VENDOR 0x00
#define PCI_DEVICE 0x02
#define PCI_COMMAND 0x04
#define PCI_COMMAND_IO 0x0001
#define PCI_COMMAND_MEM 0x0002
#define PCI_COMMAND_MASTER 0x0004
#define PCI_COMMAND_PARITY 0x0040
#define PCI_COMMAND_SERR 0x0100
#define PCI_COMMAND_INTX_OFF 0x0400
#define PCI_STATUS 0x06
#define PCI_STATUS_INTX 0x0008
#define PCI_STATUS_CAPS 0x0010
#define PCI_REVISION 0x08
#define PCI_CLASS_PI 0x09
#define PCI_SUBCLASS 0x0a
#define PCI_CLASS 0x0b
#define PCI_HEADER_TYPE 0x0e
#define PCI_HEADER_MULTIFUNC 0x80
#define PCI_BAR0 0x10
#define PCI_BAR_END 0x28
#define PCI_BAR_IO_SPACE 0x1
#define PCI_BAR_MEM_64 0x4
#define PCI_SUBVENDOR 0x2c
#define PCI_SUBDEVICE 0x2e
#define PCI_CAP_PTR 0x34
#define PCI_INTR_LINE 0x3c
#define PCI_INTR_PIN 0x3d
#define PCI_HEADER_END 0x40

#define PCI_CAP_ID_MSI 0x05
#define PCI_CAP_ID_VENDOR 0x09
#define PCI_CAP_ID_EXPRESS 0x10
#define PCI_CAP_ID_MSIX 0x11

/* Message control, offset 2 of the MSI and MSI-X capabilities */
#define PCI_MSG_CTRL 2
#define PCI_MSI_ENABLE 0x0001
#define PCI_MSI_64BIT 0x0080
#define PCI_MSI_MASKABLE 0x0100
#define PCI_MSI_ADDR 4
#define PCI_MSI_DATA 12 /* with 64-bit address */
#define PCI_MSI_MASK 16
#define PCI_MSI_PENDING 20
#define PCI_MSI_LEN 24

#define PCI_MSIX_ENABLE 0x8000
#define PCI_MSIX_MASK_ALL 0x4000
#define PCI_MSIX_TABLE 4
#define PCI_MSIX_PBA 8
#define PCI_MSIX_LEN 12
#define PCI_MSIX_MAX 2048u
#define PCI_MSIX_ENTRY 16u
#define PCI_MSIX_ENTRY_MASKED 1u

#define PCI_EXP_LEN 60 /* capability version 2 */

#endif
