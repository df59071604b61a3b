/*
 * An AHCI controller with a disk and a CD drive, and a hostile guest: register
 * accesses of every width, memory, commands that may be well-formed, resets.
 * The machine is built once; each input ends with a reset of the controller.
 */
#include "../unit/ahci_rig.h"

#include "input.h"

static struct sata s;

/* Operations; the numbers are part of the corpus. */
enum op {
	OP_START,
	OP_STOP,
	OP_READ,
	OP_WRITE,
	OP_PORT_WRITE,
	OP_CFG_WRITE,
	OP_MEMORY,
	OP_COMMAND,
	OP_PACKET,
	OP_QUEUED,
	OP_TABLE, /* spoil the table or header of a command */
	OP_ISSUE,
	OP_PAUSE,
	OP_COUNT
};

/* Prepare a slot and issue it. */
static void
op_command(struct input *in, bool packet, bool queued)
{
	unsigned port = packet ? 1 : take(in, 1) & 1,
		 slot = (unsigned)take(in, 1) & 31;
	struct sata_cmd c = { .command = 0xa0 };
	uint8_t k[12];

	if (!packet)
		c.command =
		    queued ? 0x60 + (take(in, 1) & 1) : (uint8_t)take(in, 1);
	c.features = (uint8_t)take(in, 1);
	c.lba = take(in, 2);
	c.count = (uint16_t)take(in, 1);
	c.len = (uint32_t)take(in, 2) & 0x3ffe;
	c.piece = (uint32_t)take(in, 1) * 64;
	if (queued) {
		c.features16 = c.count;
		c.count = (uint16_t)(slot << 3);
	}
	if (packet) {
		for (unsigned i = 0; i < sizeof(k); i++)
			k[i] = (uint8_t)take(in, 1);
		c.packet = k;
	}
	sata_prepare(&s, port, slot, &c);
	if (queued)
		sata_pout(&s, port, PX_SACT, BIT32(slot));
	sata_pout(&s, port, PX_CI, BIT32(slot));
}

static void
op_table(struct input *in)
{
	unsigned port = take(in, 1) & 1, slot = (unsigned)take(in, 1) & 31;
	unsigned at = (unsigned)take(in, 1) & 0xfc;

	store_le32(sata_ram(&s,
		       (at & 0x80) != 0 ? SATA_CLB(port) + slot * 32 + (at & 31)
					: SATA_TABLE(port, slot) + at * 2),
	    (uint32_t)take(in, 4));
}

static void
op_access(struct input *in, bool write)
{
	uint64_t at = s.bar + (take(in, 2) & 0x3ff);
	unsigned width = 1u << (take(in, 1) & 3);

	if (write)
		fake_store(s.vm, at, width, take(in, width));
	else
		(void)fake_load(s.vm, at, width);
}

static void
run_op(struct input *in)
{
	unsigned port, reg, width;

	switch ((enum op)(take(in, 1) % OP_COUNT)) {
	case OP_START:
		port = take(in, 1) & 1;
		sata_pout(&s, port, PX_CLB, SATA_CLB(port));
		sata_pout(&s, port, PX_FB, SATA_FB(port));
		sata_pout(&s, port, PX_IE, 0xffffffff);
		sata_pout(&s, port, PX_CMD, CMD_FRE);
		sata_pout(&s, port, PX_CMD, CMD_FRE | CMD_ST);
		break;
	case OP_STOP:
		sata_pout(&s, take(in, 1) & 1, PX_CMD, CMD_FRE);
		break;
	case OP_READ:
		op_access(in, false);
		break;
	case OP_WRITE:
		op_access(in, true);
		break;
	case OP_PORT_WRITE:
		port = take(in, 1) & 1;
		reg = (unsigned)take(in, 1) & 0x7c;
		sata_pout(&s, port, reg, (uint32_t)take(in, 4));
		break;
	case OP_CFG_WRITE:
		reg = (unsigned)take(in, 1);
		width = 1u << take(in, 1) % 3;
		sata_cfg_out(
		    &s, reg & ~(width - 1), width, (uint32_t)take(in, width));
		break;
	case OP_MEMORY:
		reg = (unsigned)take(in, 3) % (SATA_RAM - 8);
		store_le64(sata_ram(&s, reg), take(in, 8));
		break;
	case OP_COMMAND:
		op_command(in, false, false);
		break;
	case OP_PACKET:
		op_command(in, true, false);
		break;
	case OP_QUEUED:
		op_command(in, false, true);
		break;
	case OP_TABLE:
		op_table(in);
		break;
	case OP_ISSUE:
		port = take(in, 1) & 1;
		sata_pout(&s, port, PX_CI, (uint32_t)take(in, 4));
		break;
	case OP_PAUSE:
		usleep(30);
		break;
	case OP_COUNT:
		break;
	}
}

static void
open_once(void)
{
	struct error err = ERROR_INIT;
	char opts[64];

	if (s.vm != NULL)
		return;
	(void)str_format(opts, sizeof(opts), "hd:/dev/fd/%d,cd:/dev/fd/%d",
	    fuzz_image(), fuzz_image());
	fuzz_built(sata_open(&s, "ahci", opts, &err), &err);
}

/* Back to where every input starts; a controller that hangs is a failure. */
static void
reset(void)
{
	sata_cfg_out(&s, 0x04, 2, 0);
	sata_cfg_out(&s, 0x24, 4, (uint32_t)s.bar);
	sata_cfg_out(&s, 0x04, 2, 6);
	sata_out(&s, HBA_GHC, GHC_AE | GHC_HR);
	for (unsigned i = 0; (sata_in(&s, HBA_GHC) & GHC_HR) != 0; i++) {
		if (i == 400000)
			abort();
		usleep(50);
	}
	memset(sata_ram(&s, SATA_PORT(0)), 0, 0x80000);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };

	open_once();
	reset();
	while (in.p < in.end)
		run_op(&in);
	reset();
	return 0;
}
