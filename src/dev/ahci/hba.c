/*
 * The registers of an AHCI controller (AHCI 1.3.1, section 3) and what writing
 * them does at once; the rest is left to the ports' data threads.
 */
#include "base/str.h"
#include "dev/ahci/ahci_impl.h"

/* ---- interrupts, 10.7 ---- */

/*
 * IS collects the ports that have something to say and keeps it until it is
 * written. A message is sent for each bit that becomes set.
 */
static void
irq_update_locked(struct ahci *h)
{
	uint32_t was = h->is;
	bool level;

	for (unsigned i = 0; i < h->nports; i++)
		if ((h->port[i].is & h->port[i].ie) != 0)
			h->is |= BIT32(i);
	level = (h->ghc & GHC_IE) != 0 && h->is != 0;
	if (level && (!h->level || (h->is & ~was) != 0) &&
	    pci_msi_enabled(h->pd))
		pci_msi_send(h->pd);
	if (level != h->level)
		pci_intx_set(h->pd, level);
	h->level = level;
}

void
ahci_port_event_locked(struct ahci_port *p, uint32_t bits)
{
	p->is |= bits;
	irq_update_locked(p->ahci);
}

/* ---- resets ---- */

static void
ring(struct ahci_port *p)
{
	mevent_notify(p->bell);
}

/* Whatever is in work is given up; the data thread says when it is. */
static void
stop_locked(struct ahci_port *p)
{
	__atomic_store_n(&p->stop, true, __ATOMIC_RELEASE);
	p->ci = p->sact = 0;
	ring(p);
}

/* 3.3: as after power-on, with a device that is there and has spun up. */
static void
link_up_locked(struct ahci_port *p)
{
	p->ssts = SSTS_UP;
	p->serr |= SERR_DIAG_X;
	p->is |= IS_PCS;
	p->tfd = ATA_BSY;
	p->sig = SIG_NONE;
	p->want_signature = true;
}

static void
port_registers_locked(struct ahci_port *p)
{
	p->is = p->ie = 0;
	p->cmd = (p->cmd & CMD_CR) | CMD_SUD | CMD_POD;
	p->sctl = p->serr = p->sact = p->ci = 0;
	p->tfd = 0x7f;
	p->sig = SIG_NONE;
	p->ssts = 0;
	if (p->present)
		link_up_locked(p);
}

void
ahci_power_on(struct ahci *h)
{
	h->ghc = GHC_AE;
	h->is = 0;
	for (unsigned i = 0; i < h->nports; i++) {
		port_registers_locked(&h->port[i]);
		ata_power_on(&h->port[i]);
	}
}

void
ahci_signature_locked(struct ahci_port *p)
{
	uint8_t fis[FIS_D2H_LEN] = { FIS_D2H, 0, 0, ATA_ERR, 1, 0, 0, 0, 0, 0,
		0, 0, 1 };

	if (!p->want_signature || p->stop || (p->cmd & CMD_FRE) == 0 ||
	    p->ssts != SSTS_UP)
		return;
	p->want_signature = false;
	if (p->atapi) {
		fis[5] = SIG_ATAPI >> 16 & 0xff;
		fis[6] = SIG_ATAPI >> 24;
	} else {
		fis[2] = ATA_READY;
	}
	p->sig = p->atapi ? SIG_ATAPI : SIG_ATA;
	p->tfd = (uint32_t)fis[3] << 8 | fis[2];
	ahci_post_fis_locked(p, RX_D2H, fis, sizeof(fis));
}

/* 10.4.3 */
static void
hba_reset_locked(struct ahci *h)
{
	h->ghc = GHC_AE | GHC_HR;
	h->is = 0;
	h->resetting = 0;
	for (unsigned i = 0; i < h->nports; i++) {
		struct ahci_port *p = &h->port[i];

		port_registers_locked(p);
		if (!p->present)
			continue;
		p->want_reset = p->hba_reset = true;
		h->resetting++;
		stop_locked(p);
	}
	irq_update_locked(h);
}

void
ahci_stopped_locked(struct ahci_port *p)
{
	struct ahci *h = p->ahci;

	__atomic_store_n(&p->stop, false, __ATOMIC_RELEASE);
	p->halted = false;
	if ((p->cmd & CMD_ST) == 0)
		p->cmd &= ~CMD_CR;
	if (p->hba_reset) {
		p->hba_reset = false;
		if (--h->resetting == 0)
			h->ghc &= ~GHC_HR;
	}
	ahci_signature_locked(p);
	irq_update_locked(h);
}

/* ---- a port's registers, 3.3 ---- */

static void
write_cmd_locked(struct ahci_port *p, uint32_t v)
{
	const uint32_t keep = CMD_SUD | CMD_POD | CMD_CCS_MASK | CMD_CR;
	const uint32_t take = CMD_ST | CMD_FRE | CMD_ATAPI;
	uint32_t was = p->cmd;

	/* 3.3.7: commands are taken only while FISes are received. */
	if ((v & CMD_FRE) == 0)
		v &= ~CMD_ST;
	p->cmd = (was & keep) | (v & take);
	if ((p->cmd & CMD_FRE) != 0)
		p->cmd |= CMD_FR;
	if ((v & CMD_CLO) != 0 && (was & CMD_ST) == 0)
		p->tfd &= ~(uint32_t)(ATA_BSY | ATA_DRQ);
	if ((was & CMD_ST) != 0 && (v & CMD_ST) == 0) {
		stop_locked(p);
	} else if ((was & CMD_ST) == 0 && (v & CMD_ST) != 0) {
		p->cmd = (p->cmd & ~CMD_CCS_MASK) | CMD_CR;
		ring(p);
	}
	ahci_signature_locked(p);
}

/* 3.3.11, 10.4.2: DET=1 holds the link in reset, 4 turns it off. */
static void
write_sctl_locked(struct ahci_port *p, uint32_t v)
{
	uint32_t was = p->sctl & SCTL_DET, det = v & SCTL_DET;

	p->sctl = v & SCTL_MASK;
	if (det == was || !p->present)
		return;
	if (det == 0) {
		link_up_locked(p);
		ahci_signature_locked(p);
		irq_update_locked(p->ahci);
		return;
	}
	p->ssts = det == 4 ? SSTS_OFFLINE : SSTS_NO_PHY;
	p->tfd = 0x7f;
	p->want_reset = true;
	p->want_signature = false;
	stop_locked(p);
}

static void
write_ci_locked(struct ahci_port *p, uint32_t v)
{
	if ((p->cmd & CMD_ST) == 0 || p->stop)
		return;
	p->ci |= v;
	ring(p);
}

static void
set_half(uint64_t *reg, bool high, uint32_t v, uint64_t mask)
{
	if (high)
		*reg = (uint32_t)*reg | (uint64_t)v << 32;
	else
		*reg = (*reg & ~UINT64_C(0xffffffff)) | v;
	*reg &= mask;
}

static void
port_write_locked(struct ahci_port *p, unsigned reg, uint32_t v)
{
	switch (reg) {
	case PX_CLB:
	case PX_CLBU:
		set_half(&p->clb, reg == PX_CLBU, v, CLB_MASK);
		break;
	case PX_FB:
	case PX_FBU:
		set_half(&p->fb, reg == PX_FBU, v, FB_MASK);
		break;
	case PX_IS:
		p->is &= ~v | IS_PCS;
		break;
	case PX_IE:
		p->ie = v & IE_MASK;
		irq_update_locked(p->ahci);
		break;
	case PX_CMD:
		write_cmd_locked(p, v);
		break;
	case PX_SCTL:
		write_sctl_locked(p, v);
		break;
	case PX_SERR:
		p->serr &= ~v;
		if ((p->serr & SERR_DIAG_X) == 0)
			p->is &= ~IS_PCS;
		break;
	case PX_SACT:
		if ((p->cmd & CMD_ST) != 0 && !p->stop)
			p->sact |= v;
		break;
	case PX_CI:
		write_ci_locked(p, v);
		break;
	default:
		break;
	}
}

static uint32_t
port_read_locked(const struct ahci_port *p, unsigned reg)
{
	switch (reg) {
	case PX_CLB:
		return (uint32_t)p->clb;
	case PX_CLBU:
		return (uint32_t)(p->clb >> 32);
	case PX_FB:
		return (uint32_t)p->fb;
	case PX_FBU:
		return (uint32_t)(p->fb >> 32);
	case PX_IS:
		return p->is;
	case PX_IE:
		return p->ie;
	case PX_CMD:
		return p->cmd;
	case PX_TFD:
		return p->tfd;
	case PX_SIG:
		return p->sig;
	case PX_SSTS:
		return p->ssts;
	case PX_SCTL:
		return p->sctl;
	case PX_SERR:
		return p->serr;
	case PX_SACT:
		return p->sact;
	case PX_CI:
		return p->ci;
	default:
		return 0;
	}
}

/* ---- the controller's, 3.1 ---- */

static void
hba_write_locked(struct ahci *h, unsigned reg, uint32_t v)
{
	switch (reg) {
	case HBA_GHC:
		if ((v & GHC_HR) != 0) {
			hba_reset_locked(h);
			return;
		}
		h->ghc = (h->ghc & ~GHC_IE) | (v & GHC_IE);
		irq_update_locked(h);
		break;
	case HBA_IS:
		h->is &= ~v;
		irq_update_locked(h);
		break;
	default:
		break;
	}
}

static uint32_t
hba_read_locked(const struct ahci *h, unsigned reg)
{
	switch (reg) {
	case HBA_CAP:
		return CAP_S64A | CAP_SNCQ | CAP_SCLO | CAP_ISS_GEN3 | CAP_SAM |
		    CAP_PMD | CAP_NCS | (h->nports - 1);
	case HBA_GHC:
		return h->ghc;
	case HBA_IS:
		return h->is;
	case HBA_PI:
		return h->pi;
	case HBA_VS:
		return VS_1_3_1;
	default:
		return 0;
	}
}

static struct ahci_port *
port_at(struct ahci *h, uint64_t off)
{
	uint64_t n = (off - AHCI_PORT_BASE) / AHCI_PORT_SIZE;

	if (off < AHCI_PORT_BASE || n >= h->nports || !h->port[n].present)
		return NULL;
	return &h->port[n];
}

static uint32_t
read_dword_locked(struct ahci *h, uint64_t off)
{
	const struct ahci_port *p = port_at(h, off);

	if (off < AHCI_PORT_BASE)
		return hba_read_locked(h, (unsigned)off);
	return p != NULL ? port_read_locked(p, off % AHCI_PORT_SIZE) : 0;
}

static void
write_dword_locked(struct ahci *h, uint64_t off, uint32_t v)
{
	struct ahci_port *p = port_at(h, off);

	/* 10.4.3: software waits; one that does not is not heard. */
	if ((h->ghc & GHC_HR) != 0)
		return;
	if (off < AHCI_PORT_BASE)
		hba_write_locked(h, (unsigned)off, v);
	else if (p != NULL)
		port_write_locked(p, off % AHCI_PORT_SIZE, v);
}

/* 3: registers are accessed as dwords or qwords; smaller reads do no harm. */
uint64_t
ahci_bar_read(struct pci_dev *pd, unsigned idx, uint64_t off, unsigned width)
{
	struct ahci *h = pci_dev_priv(pd);
	uint64_t v;

	if (off % width != 0)
		return UINT64_MAX;
	pthread_mutex_lock(&h->lock);
	v = read_dword_locked(h, ROUND_DOWN(off, 4));
	if (width == 8)
		v |= (uint64_t)read_dword_locked(h, off + 4) << 32;
	pthread_mutex_unlock(&h->lock);
	return v >> (off % 4 * 8);
}

void
ahci_bar_write(struct pci_dev *pd, unsigned idx, uint64_t off, unsigned width,
    uint64_t value)
{
	struct ahci *h = pci_dev_priv(pd);

	if (width < 4 || off % width != 0)
		return;
	pthread_mutex_lock(&h->lock);
	write_dword_locked(h, off, (uint32_t)value);
	if (width == 8)
		write_dword_locked(h, off + 4, (uint32_t)(value >> 32));
	pthread_mutex_unlock(&h->lock);
}
