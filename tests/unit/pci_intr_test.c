/*
 * Interrupts of PCI functions: MSI-X, MSI and INTx with their masks.
 */
#include <pthread.h>

#include "pci_util.h"

#define TABLE (UINT64_C(0x100000000) + 0x4000)
#define PBA (TABLE + 0x1000)
#define MSIX_CTRL (last->msix.cap + 2)
#define MSI_CTRL (last->msi.cap + 2)

static void
msix_setup(unsigned vector, uint32_t data)
{
	uint64_t e = TABLE + vector * 16;

	fake_store(vm, e, 4, 0xfee00000);
	fake_store(vm, e + 4, 4, 0);
	fake_store(vm, e + 8, 4, data);
	fake_store(vm, e + 12, 4, 0);
}

static void
msix_masks(void)
{
	standard();
	cfg_out(4, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
	tap_check_u64(fake_load(vm, TABLE + 12, 4), 1);
	pci_msix_send(last, 0); /* not enabled */
	tap_check(!pci_msix_enabled(last));
	cfg_out(4, MSIX_CTRL, 2, 0x8000);
	tap_check(pci_msix_enabled(last));
	tap_check_u64(vm->nmsi, 0);
	msix_setup(70, 0x4170);
	pci_msix_send(last, 70);
	tap_check_u64(vm->nmsi, 1);
	tap_check_u64(vm->msi[0].addr, 0xfee00000);
	tap_check_u64(vm->msi[0].data, 0x4170);
	/* masked entry: pending, sent once when unmasked */
	fake_store(vm, TABLE + 70 * 16 + 12, 4, 1);
	pci_msix_send(last, 70);
	pci_msix_send(last, 70);
	tap_check_u64(vm->nmsi, 1);
	tap_check_u64(fake_load(vm, PBA + 8, 8), 1 << 6);
	tap_check_u64(fake_load(vm, PBA + 8, 4), 1 << 6);
	tap_check_u64(fake_load(vm, PBA, 8), 0);
	fake_store(vm, TABLE + 70 * 16 + 8, 8, 0x4171); /* data and unmask */
	tap_check_u64(vm->nmsi, 2);
	tap_check_u64(vm->msi[1].data, 0x4171);
	tap_check_u64(fake_load(vm, PBA + 8, 8), 0);
	/* function mask */
	cfg_out(4, MSIX_CTRL, 2, 0xc000);
	pci_msix_send(last, 70);
	tap_check_u64(vm->nmsi, 2);
	cfg_out(4, MSIX_CTRL, 2, 0x8000);
	tap_check_u64(vm->nmsi, 3);
	/* without bus mastering nothing leaves */
	cfg_out(4, PCI_COMMAND, 2, PCI_COMMAND_MEM);
	pci_msix_send(last, 70);
	pci_msix_send(last, 100);
	pci_msix_send(last, UINT32_MAX);
	tap_check_u64(vm->nmsi, 3);
	finish();
}

/* Every access to table and pending bits is safe; odd ones do nothing. */
static void
msix_hostile(void)
{
	standard();
	cfg_out(4, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
	cfg_out(4, MSIX_CTRL, 2, 0x8000);
	for (unsigned off = 0; off < 0x4000; off++) {
		for (unsigned w = 1; w <= 8; w *= 2) {
			fake_store(vm, TABLE - 16 + off, w, UINT64_MAX);
			fake_load(vm, TABLE - 16 + off, w);
		}
	}
	tap_check_u64(fake_load(vm, TABLE, 4), 0xfffffffc);
	tap_check_u64(fake_load(vm, TABLE + 12, 4), 1);
	tap_check_u64(fake_load(vm, TABLE + 2, 4), 0xffffffff);
	tap_check_u64(fake_load(vm, TABLE + 100 * 16, 4), 0);
	tap_check_u64(fake_load(vm, PBA, 8), 0);
	tap_check_u64(fake_load(vm, PBA + 16, 8), 0);
	tap_check_u64(vm->nmsi, 0);
	finish();
}

static void
msi_masks(void)
{
	unsigned cap;

	standard();
	cap = last->msi.cap;
	cfg_out(4, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	pci_msi_send(last);
	tap_check_u64(vm->nmsi, 0);
	cfg_out(4, cap + 4, 4, 0xfee01003);
	cfg_out(4, cap + 12, 2, 0x4141);
	cfg_out(4, MSI_CTRL, 2, 1);
	tap_check(pci_msi_enabled(last));
	pci_msi_send(last);
	tap_check_u64(vm->nmsi, 1);
	tap_check_u64(vm->msi[0].addr, 0xfee01000);
	tap_check_u64(vm->msi[0].data, 0x4141);
	cfg_out(4, cap + 16, 4, 1);
	pci_msi_send(last);
	tap_check_u64(vm->nmsi, 1);
	tap_check_u64(cfg_in(4, cap + 20, 4), 1);
	tap_check_u64(cfg_in(4, cap + 20, 1), 1);
	tap_check_u64(cfg_in(4, cap + 21, 1), 0);
	cfg_out(4, cap + 16, 4, 0);
	tap_check_u64(vm->nmsi, 2);
	tap_check_u64(cfg_in(4, cap + 20, 4), 0);
	finish();
}

static void
intx_line(void)
{
	unsigned gsi;

	standard();
	/* slot 4, INTA: PIRQE */
	tap_check_u64(pci_pirq_of(4, 0), 4);
	tap_check_u64(pci_pirq_of(31, 2), 2);
	gsi = GSI_PIRQ0 + 4;
	tap_check_u64(cfg_in(4, PCI_INTR_PIN, 1), 1);
	pci_intx_set(last, true);
	tap_check(fake_irq(vm, gsi));
	tap_check_u64(cfg_in(4, PCI_STATUS, 2) & PCI_STATUS_INTX, 8);
	tap_check_u64(cfg_in(4, PCI_COMMAND, 4) >> 16 & PCI_STATUS_INTX, 8);
	tap_check_u64(cfg_in(4, PCI_STATUS + 1, 1), 0);
	cfg_out(4, PCI_COMMAND, 2, PCI_COMMAND_INTX_OFF);
	tap_check(!fake_irq(vm, gsi));
	tap_check_u64(cfg_in(4, PCI_STATUS, 2) & PCI_STATUS_INTX, 8);
	cfg_out(4, PCI_COMMAND, 2, 0);
	tap_check(fake_irq(vm, gsi));
	cfg_out(4, MSIX_CTRL, 2, 0x8000);
	tap_check(!fake_irq(vm, gsi));
	cfg_out(4, MSIX_CTRL, 2, 0);
	tap_check(fake_irq(vm, gsi));
	pci_intx_set(last, false);
	tap_check(!fake_irq(vm, gsi));
	tap_check_u64(cfg_in(4, PCI_STATUS, 2) & PCI_STATUS_INTX, 0);
	pci_intx_set(last, true);
	finish();
}

/*
 * Interrupts are sent from another thread while the guest moves everything
 * under it (for TSan; what arrives is not determined).
 */
static void *
sender(void *arg)
{
	bool *stop = arg;

	for (unsigned i = 0; !__atomic_load_n(stop, __ATOMIC_RELAXED); i++) {
		pci_msix_send(last, i % 100);
		pci_msi_send(last);
		pci_intx_set(last, i % 2 != 0);
		pci_bus_master(last);
		pci_bar_addr(last, 0, &(uint64_t){ 0 });
	}
	return NULL;
}

static void
senders_race_with_registers(void)
{
	bool stop = false;
	pthread_t thread;

	standard();
	tap_check_int(pthread_create(&thread, NULL, sender, &stop), 0);
	for (unsigned i = 0; i < 2000; i++) {
		cfg_out(4, PCI_COMMAND, 2, i % 3 == 0 ? 0 : 0x407 >> (i % 2));
		cfg_out(4, MSIX_CTRL, 2, (i & 3) << 14);
		cfg_out(4, MSI_CTRL, 2, i >> 2 & 1);
		msix_setup(i % 100, i);
		cfg_out(4, 0x14, 4, 0xd0000000 + (i % 5 << 12));
		cfg_in(4, PCI_STATUS, 2);
		fake_load(vm, PBA, 8);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	finish();
}

static const struct tap_test tests[] = {
	TAP_TEST(msix_masks),
	TAP_TEST(msix_hostile),
	TAP_TEST(msi_masks),
	TAP_TEST(intx_line),
	TAP_TEST(senders_race_with_registers),
};
TAP_MAIN(tests)
