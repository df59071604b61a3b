/*
 * What an AHCI controller reads and writes in the guest's memory: command
 * headers and tables (AHCI 1.3.1, 4.2), the received FISes (4.2.1).
 *
 * The guest may change all of it at any moment: each structure is copied once,
 * and the copy is checked and used.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "dev/ahci/ahci_impl.h"

uint32_t
ahci_fetch(struct ahci_cmd *c, uint64_t clb)
{
	struct vm_mem *mem = c->p->ahci->mem;
	uint8_t hdr[HDR_SIZE], table[TABLE_ACMD + AHCI_PACKET];
	uint64_t at;

	if (!pci_bus_master(c->p->ahci->pd))
		return IS_HBFS;
	c->header = clb + (uint64_t)c->slot * HDR_SIZE;
	if (vm_mem_read(mem, GPA(c->header), hdr, sizeof(hdr)) != 0)
		return IS_HBFS;
	at = load_le64(&hdr[8]) & ~UINT64_C(0x7f);
	if (vm_mem_read(mem, GPA(at), table, sizeof(table)) != 0)
		return IS_HBFS;
	memcpy(c->fis, table, sizeof(c->fis));
	memcpy(c->packet, &table[TABLE_ACMD], sizeof(c->packet));
	c->prdt = (struct ahci_prdt){
		.next = at + TABLE_PRDT,
		.left = load_le16(&hdr[2]),
	};
	c->moved = 0;
	/* 4.2.2: a FIS has 2 to 16 dwords. */
	if ((hdr[0] & HDR_CFL) < 2 || (hdr[0] & HDR_CFL) > 16 ||
	    c->fis[0] != FIS_H2D)
		return IS_IFS;
	return 0;
}

/* The next descriptor, 4.2.3.3. 1: got one; 0: there are no more. */
static int
prd_take(struct ahci_cmd *c)
{
	struct ahci_prdt *t = &c->prdt;
	uint8_t prd[PRD_SIZE];
	uint32_t dw3;

	if (t->left == 0)
		return 0;
	if (vm_mem_read(c->p->ahci->mem, GPA(t->next), prd, sizeof(prd)) != 0)
		return -EFAULT;
	dw3 = load_le32(&prd[12]);
	t->addr = load_le64(&prd[0]) & ~UINT64_C(1);
	/* Bit 0 of the count is always one: lengths are even. */
	t->len = (dw3 & PRD_BYTES & ~1u) + 2;
	t->intr = t->intr || (dw3 & PRD_INTR) != 0;
	t->next += PRD_SIZE;
	t->left--;
	return 1;
}

/* The next piece of memory, at most max bytes; 0: the table has ended. */
static int64_t
prd_piece(struct ahci_cmd *c, uint64_t max, struct iovec *ret)
{
	struct ahci_prdt *t = &c->prdt;
	uint32_t n;
	int rc;

	if (t->len == 0) {
		rc = prd_take(c);
		if (rc <= 0)
			return rc;
	}
	n = (uint32_t)MIN((uint64_t)t->len, max);
	ret->iov_base = vm_mem_ram(c->p->ahci->mem, GPA(t->addr), n);
	ret->iov_len = n;
	if (ret->iov_base == NULL)
		return -EFAULT;
	t->addr += n;
	t->len -= n;
	return n;
}

int64_t
ahci_gather(struct ahci_cmd *c, uint64_t max, uint32_t unit, int *ret_iovcnt)
{
	uint64_t sum = 0, over;
	int64_t got = 0;
	int n = 0;

	while (n < AHCI_IOV && sum < max) {
		struct iovec v;
		struct iovec *last = &c->iov[MAX(n, 1) - 1];

		got = prd_piece(c, max - sum, &v);
		if (got <= 0)
			break;
		sum += (uint64_t)got;
		/* Neighbours become one. */
		if (n > 0 &&
		    (uint8_t *)last->iov_base + last->iov_len == v.iov_base)
			last->iov_len += v.iov_len;
		else
			c->iov[n++] = v;
	}
	over = sum % unit;
	if (got <= 0 && (got < 0 || over != 0))
		return got;
	/* Full: what is no whole unit comes next time. */
	if (over != 0 && over >= (uint64_t)got)
		return -EMSGSIZE;
	c->iov[n > 0 ? n - 1 : 0].iov_len -= over;
	c->prdt.addr -= over;
	c->prdt.len += (uint32_t)over;
	*ret_iovcnt = n;
	return (int64_t)(sum - over);
}

static int64_t
copy(struct ahci_cmd *c, uint8_t *buf, uint32_t n, bool put)
{
	uint32_t done = 0;

	while (done < n) {
		struct iovec v;
		int64_t got = prd_piece(c, n - done, &v);

		if (got < 0)
			return got;
		if (got == 0)
			break;
		if (put) {
			memcpy(v.iov_base, buf + done, v.iov_len);
			vm_mem_dirty(c->p->ahci->mem, v.iov_base, v.iov_len);
		} else {
			memcpy(buf + done, v.iov_base, v.iov_len);
		}
		done += (uint32_t)got;
	}
	/* The compiler must not look there again: the guest writes too. */
	__asm__ volatile("" ::: "memory");
	return done;
}

int64_t
ahci_put(struct ahci_cmd *c, const void *buf, uint32_t n)
{
	return copy(c, (uint8_t *)(uintptr_t)buf, n, true);
}

int64_t
ahci_get(struct ahci_cmd *c, void *buf, uint32_t n)
{
	return copy(c, buf, n, false);
}

void
ahci_post_fis_locked(
    struct ahci_port *p, unsigned where, const void *fis, unsigned len)
{
	if ((p->cmd & CMD_FRE) != 0 && pci_bus_master(p->ahci->pd))
		(void)vm_mem_write(p->ahci->mem, GPA(p->fb + where), fis, len);
}

void
ahci_post_moved_locked(struct ahci_cmd *c)
{
	uint8_t le[4];

	store_le32(le, c->moved);
	if (pci_bus_master(c->p->ahci->pd))
		(void)vm_mem_write(c->p->ahci->mem, GPA(c->header + HDR_PRDBC),
		    le, sizeof(le));
}
