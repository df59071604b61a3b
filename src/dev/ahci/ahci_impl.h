/*
 * Inside of the AHCI controller.
 *
 *   ahci.c          options, building
 *   hba.c           registers, interrupts, resets; on vCPU threads
 *   port.c          a port's data thread: takes commands, ends them
 *   dma.c           what lies in guest memory: command tables, FISes
 *   ata.c           ATA commands; ata_data.c: IDENTIFY and log pages
 *   atapi.c         packet commands of a CD drive
 *
 * Each port has a data thread, on which its commands run and its block device
 * lives. A register write of a vCPU changes registers, rings the port's bell
 * and returns: it never waits for I/O.
 *
 * Locks. ahci->lock guards every register of the controller and its ports; the
 * data threads take it to fetch a command and to report its end. Only the PCI
 * core's interrupt functions are called with it held.
 *
 * Stopping. Clearing PxCMD.ST, a COMRESET and a reset of the controller set the
 * port's 'stop': from then on nothing of the old commands reaches a register or
 * the received FIS area. The data thread then waits for their I/O and only then
 * clears PxCMD.CR, GHC.HR or BSY, as which the guest sees that its memory is
 * its own again.
 */
#ifndef DEV_AHCI_AHCI_IMPL_H
#define DEV_AHCI_AHCI_IMPL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "dev/ahci/ahci_regs.h"
#include "dev/block/block.h"
#include "dev/pci/pci.h"
#include "vmm/vm.h"

#define AHCI_CFIS 20 /* bytes of a command FIS that mean something */
#define AHCI_PACKET 16
/*
 * Segments of one request to the block device. A table with more of them is
 * worked off in several requests.
 */
#define AHCI_IOV 256
#define AHCI_BUF 4096

/* ATA status and error registers, ATA8-ACS 6.1 */
#define ATA_BSY 0x80
#define ATA_DRDY 0x40
#define ATA_DF 0x20
#define ATA_DSC 0x10
#define ATA_DRQ 0x08
#define ATA_ERR 0x01
#define ATA_READY (ATA_DRDY | ATA_DSC)
#define ATA_E_ABRT 0x04
#define ATA_E_IDNF 0x10
#define ATA_E_UNC 0x40

struct ahci_port;

/* Where we are in a command's table of descriptors. */
struct ahci_prdt {
	uint64_t next; /* guest address of the next entry */
	unsigned left; /* entries from there on */
	uint64_t addr; /* rest of the entry that was taken last */
	uint32_t len;
	bool intr; /* an entry with the I bit was used up */
};

struct ahci_cmd {
	struct block_req br;
	struct ahci_port *p;
	uint8_t slot;
	bool ncq;
	/* Our copies, the only ones that are looked at. */
	uint8_t fis[AHCI_CFIS];
	uint8_t packet[AHCI_PACKET];
	uint64_t header; /* guest address */
	struct ahci_prdt prdt;
	uint32_t moved; /* bytes, for PRDBC */

	/* data from or to the medium */
	uint64_t offset, left; /* bytes */
	bool sync; /* flush before the end */
	void (*next)(struct ahci_cmd *c); /* after the request in flight */
	struct iovec iov[AHCI_IOV];
};

/* Why the last queued command failed; ATA8-ACS A.7, log 10h. */
struct ata_ncq_error {
	bool valid;
	uint8_t tag, status, error, device;
	uint64_t lba;
	uint16_t count;
};

struct ata_state {
	bool write_cache, read_ahead, smart;
	uint8_t mult; /* sectors a block of READ MULTIPLE; 0: off */
	uint8_t udma; /* modes as SET FEATURES chose them */
	bool srst; /* the control register holds SRST */
	struct ata_ncq_error ncq_error;
	/* of a CD drive: SPC-4, 4.5 */
	uint8_t sense_key, asc, ascq;
	bool locked;
};

struct ahci_port {
	struct ahci *ahci;
	unsigned num;
	bool present;
	bool atapi;
	struct iothread *thr;
	struct block_dev *bd;
	struct mevent *bell; /* on the data thread: registers changed */

	/* registers; ahci->lock */
	uint64_t clb, fb;
	uint32_t is, ie, cmd, tfd, sig, ssts, sctl, serr, sact, ci;
	bool halted; /* after an error, until ST is cleared */
	bool want_reset; /* the device shall be as after power-on */
	bool want_signature; /* its first FIS waits for FRE */
	bool hba_reset; /* GHC.HR waits for us */
	bool stop; /* atomic, too: see above */

	/* the data thread's */
	struct ahci_cmd *cmds; /* AHCI_SLOTS of them */
	uint32_t working; /* slots whose command is not through */
	unsigned last; /* slot that was taken last */
	bool alone; /* a command that is not queued is in work */
	struct ahci_cmd *waiting; /* one for its turn to be alone */
	uint32_t ncq_done; /* not reported yet */
	bool draining;
	struct ata_state ata;
	uint8_t buf[AHCI_BUF]; /* of the command that is alone */
	unsigned range, nranges; /* of a TRIM, in buf */

	/* configuration */
	char serial[21], revision[9], model[41];
	uint16_t nmrr; /* word 217: nominal media rotation rate */
};

struct ahci {
	struct pci_dev *pd;
	struct vm_mem *mem;
	unsigned nports; /* register banks, without gaps */
	uint32_t pi;
	pthread_mutex_t lock;
	uint32_t ghc, is;
	bool level; /* of the interrupt */
	unsigned resetting; /* ports that hold up GHC.HR */
	struct ahci_port port[AHCI_MAX_PORTS];
};

/* ---- hba.c ---- */
uint64_t
ahci_bar_read(struct pci_dev *pd, unsigned idx, uint64_t off, unsigned width);
void ahci_bar_write(struct pci_dev *pd, unsigned idx, uint64_t off,
    unsigned width, uint64_t value);
void ahci_power_on(struct ahci *h); /* before there are threads */
/* Set bits of PxIS and interrupt; lock held. */
void ahci_port_event_locked(struct ahci_port *p, uint32_t bits);
/* The device's first FIS, if it is due and the guest receives FISes. */
void ahci_signature_locked(struct ahci_port *p);
/* The port has let go of everything. */
void ahci_stopped_locked(struct ahci_port *p);

/* ---- port.c, on the data thread ---- */
int ahci_port_open(struct ahci_port *p, struct error *err);
void ahci_port_close(struct ahci_port *p); /* on any thread */
void ahci_port_batch(void *port); /* block_on_batch() */
/*
 * The end of a command, exactly one of these. They do nothing but free the slot
 * when the port was stopped meanwhile.
 */
void ahci_done(struct ahci_cmd *c);
/* error: of the error register; status ERR is added. */
void ahci_fail(struct ahci_cmd *c, uint8_t error);
/* The guest's memory was not there, or too little of it: IS_HBFS, IS_OFS ... */
void ahci_fatal(struct ahci_cmd *c, uint32_t is);
/*
 * Give the guest n bytes as PIO data, by DMA, or cut to the memory it offers;
 * ends the command.
 */
void ahci_reply(struct ahci_cmd *c, const void *data, uint32_t n, bool pio);
/* After a reset of the device: the signature, with an interrupt if 'tell'. */
void ahci_reset_done(struct ahci_cmd *c, bool tell);

/* Move [offset, offset+len) of the medium; ends the command. */
void ahci_io(struct ahci_cmd *c, enum block_op op, uint64_t offset,
    uint64_t len, bool sync);
/* One request without data of the guest's; then next(c). */
void ahci_submit(struct ahci_cmd *c, enum block_op op, uint64_t offset,
    uint64_t len, void (*next)(struct ahci_cmd *c));

/* ---- dma.c ---- */
/* Copy slot's command to c. 0, or the bit of PxIS that says what is wrong. */
uint32_t ahci_fetch(struct ahci_cmd *c, uint64_t clb);
/*
 * Segments for at most 'max' bytes, a multiple of 'unit', into c->iov. Returns
 * their sum, 0 when the table has ended; -EFAULT: not in guest memory;
 * -EMSGSIZE: not even one unit in AHCI_IOV segments.
 */
int64_t
ahci_gather(struct ahci_cmd *c, uint64_t max, uint32_t unit, int *ret_iovcnt);
/* Copy between guest memory and buf: number of bytes, or -EFAULT. */
int64_t ahci_put(struct ahci_cmd *c, const void *buf, uint32_t n);
int64_t ahci_get(struct ahci_cmd *c, void *buf, uint32_t n);
/* The received FIS area; dropped while the guest does not receive. */
void ahci_post_fis_locked(
    struct ahci_port *p, unsigned where, const void *fis, unsigned len);
void ahci_post_moved_locked(struct ahci_cmd *c);

/* ---- ata.c ---- */
bool ata_is_queued(uint8_t command);
void ata_power_on(struct ahci_port *p);
void ata_exec(struct ahci_cmd *c);
uint64_t ata_lba48(const uint8_t *fis);
/* ---- ata_data.c ---- */
void ata_identify(const struct ahci_port *p, uint8_t buf[512]);
void atapi_identify(const struct ahci_port *p, uint8_t buf[512]);
/* A page of a log, ATA8-ACS A.2; false: there is none. */
bool
ata_log_page(struct ahci_port *p, uint8_t log, uint16_t page, uint8_t buf[512]);
void ata_smart_data(uint8_t buf[512]);

/* ---- atapi.c ---- */
void atapi_exec(struct ahci_cmd *c);
/* A read failed; the error register for it. */
uint8_t atapi_medium_error(struct ahci_port *p);

#endif
