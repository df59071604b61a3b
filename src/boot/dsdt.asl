/*
 * The constant part of the namespace: PCI root bridge, interrupt routing, the
 * ISA devices of the LPC bridge. What depends on the configuration (CPUs, COM
 * ports, windows of the root bridge, the routing table of occupied slots) is in
 * the SSDT that acpi_ssdt.c writes.
 *
 * Sources: ACPI 6.5 (sections named below), PCI Firmware Specification 3.3
 * (_OSC), Intel ICH9 datasheet 13.1.17 (PIRQ routing registers).
 */
DefinitionBlock ("", "DSDT", 2, "ZHYVE ", "ZHYVEPC ", 1)
{
	External (\_SB.LADR, IntObj)		/* address of the LPC bridge */

	/* 7.4.2.6: SLP_TYPa of soft-off, PM_S5_TYP of dev/platform.h */
	Name (\_S5, Package () { 5, 0, 0, 0 })

	/* 5.8.1: 0 PIC, 1 I/O APIC */
	Name (PICM, 0)
	Method (\_PIC, 1)
	{
		PICM = Arg0
	}

	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A08"))
			Name (_CID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_SEG, 0)
			Name (_BBN, 0)

			/*
			 * PCI Firmware Specification 4.5.1: the guest may take
			 * the PCI Express capability structures, and nothing
			 * else is here to be controlled.
			 */
			Method (_OSC, 4)
			{
				CreateDWordField (Arg3, 0, CDW1)
				If (Arg0 != ToUUID (
				    "33db4d5b-1ff7-401c-9657-7441c03dd766"))
				{
					CDW1 |= 0x04	/* unknown UUID */
					Return (Arg3)
				}
				CreateDWordField (Arg3, 8, CDW3)
				Local0 = CDW3 & 0x10
				If (Arg1 != 1)
				{
					CDW1 |= 0x08	/* unknown revision */
				}
				If (Local0 != CDW3)
				{
					CDW1 |= 0x10	/* bits were masked */
				}
				CDW3 = Local0
				Return (Arg3)
			}
		}
	}

	Scope (\_SB.PCI0)
	{
		Device (LPC)
		{
			Method (_ADR)
			{
				Return (\_SB.LADR)
			}

			OperationRegion (PIRQ, PCI_Config, 0x60, 0x0c)
			Field (PIRQ, ByteAcc, NoLock, Preserve)
			{
				PRQA, 8, PRQB, 8, PRQC, 8, PRQD, 8,
				Offset (0x08),
				PRQE, 8, PRQF, 8, PRQG, 8, PRQH, 8
			}

			/* Link devices: bit 7 of the register is "off". */
			Method (LSTA, 1)
			{
				If (Arg0 & 0x80)
				{
					Return (0x09)
				}
				Return (0x0b)
			}
			Name (CURR, ResourceTemplate ()
			{
				IRQ (Level, ActiveLow, Shared) {}
			})
			Method (LCRS, 1, Serialized)
			{
				CreateWordField (CURR, 1, MASK)
				If (Arg0 & 0x80)
				{
					MASK = 0
				}
				Else
				{
					MASK = 1 << (Arg0 & 0x0f)
				}
				Return (CURR)
			}
			/* The IRQ that a resource template names. */
			Method (LIRQ, 1)
			{
				CreateWordField (Arg0, 1, MASK)
				FindSetRightBit (MASK, Local0)
				If (Local0)
				{
					Return (Local0 - 1)
				}
				Return (0x80)
			}
			Name (LPRS, ResourceTemplate ()
			{
				IRQ (Level, ActiveLow, Shared) { 5, 10, 11 }
			})

			Device (LNKA)
			{
				Name (_HID, EisaId ("PNP0C0F"))
				Name (_UID, 1)
				Method (_STA) { Return (LSTA (PRQA)) }
				Method (_PRS) { Return (LPRS) }
				Method (_CRS) { Return (LCRS (PRQA)) }
				Method (_SRS, 1) { PRQA = LIRQ (Arg0) }
				Method (_DIS) { PRQA |= 0x80 }
			}
			Device (LNKB)
			{
				Name (_HID, EisaId ("PNP0C0F"))
				Name (_UID, 2)
				Method (_STA) { Return (LSTA (PRQB)) }
				Method (_PRS) { Return (LPRS) }
				Method (_CRS) { Return (LCRS (PRQB)) }
				Method (_SRS, 1) { PRQB = LIRQ (Arg0) }
				Method (_DIS) { PRQB |= 0x80 }
			}
			Device (LNKC)
			{
				Name (_HID, EisaId ("PNP0C0F"))
				Name (_UID, 3)
				Method (_STA) { Return (LSTA (PRQC)) }
				Method (_PRS) { Return (LPRS) }
				Method (_CRS) { Return (LCRS (PRQC)) }
				Method (_SRS, 1) { PRQC = LIRQ (Arg0) }
				Method (_DIS) { PRQC |= 0x80 }
			}
			Device (LNKD)
			{
				Name (_HID, EisaId ("PNP0C0F"))
				Name (_UID, 4)
				Method (_STA) { Return (LSTA (PRQD)) }
				Method (_PRS) { Return (LPRS) }
				Method (_CRS) { Return (LCRS (PRQD)) }
				Method (_SRS, 1) { PRQD = LIRQ (Arg0) }
				Method (_DIS) { PRQD |= 0x80 }
			}
			Device (LNKE)
			{
				Name (_HID, EisaId ("PNP0C0F"))
				Name (_UID, 5)
				Method (_STA) { Return (LSTA (PRQE)) }
				Method (_PRS) { Return (LPRS) }
				Method (_CRS) { Return (LCRS (PRQE)) }
				Method (_SRS, 1) { PRQE = LIRQ (Arg0) }
				Method (_DIS) { PRQE |= 0x80 }
			}
			Device (LNKF)
			{
				Name (_HID, EisaId ("PNP0C0F"))
				Name (_UID, 6)
				Method (_STA) { Return (LSTA (PRQF)) }
				Method (_PRS) { Return (LPRS) }
				Method (_CRS) { Return (LCRS (PRQF)) }
				Method (_SRS, 1) { PRQF = LIRQ (Arg0) }
				Method (_DIS) { PRQF |= 0x80 }
			}
			Device (LNKG)
			{
				Name (_HID, EisaId ("PNP0C0F"))
				Name (_UID, 7)
				Method (_STA) { Return (LSTA (PRQG)) }
				Method (_PRS) { Return (LPRS) }
				Method (_CRS) { Return (LCRS (PRQG)) }
				Method (_SRS, 1) { PRQG = LIRQ (Arg0) }
				Method (_DIS) { PRQG |= 0x80 }
			}
			Device (LNKH)
			{
				Name (_HID, EisaId ("PNP0C0F"))
				Name (_UID, 8)
				Method (_STA) { Return (LSTA (PRQH)) }
				Method (_PRS) { Return (LPRS) }
				Method (_CRS) { Return (LCRS (PRQH)) }
				Method (_SRS, 1) { PRQH = LIRQ (Arg0) }
				Method (_DIS) { PRQH |= 0x80 }
			}

			Device (RTC)
			{
				Name (_HID, EisaId ("PNP0B00"))
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, 0x70, 0x70, 1, 2)
					IRQNoFlags () { 8 }
				})
			}
			Device (TIMR)
			{
				Name (_HID, EisaId ("PNP0100"))
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, 0x40, 0x40, 1, 4)
					IRQNoFlags () { 0 }
				})
			}
			Device (PIC)
			{
				Name (_HID, EisaId ("PNP0000"))
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, 0x20, 0x20, 1, 2)
					IO (Decode16, 0xa0, 0xa0, 1, 2)
					IO (Decode16, 0x4d0, 0x4d0, 1, 2)
					IRQNoFlags () { 2 }
				})
			}
			/* Ports that no driver claims, but nobody may reuse */
			Device (SYSR)
			{
				Name (_HID, EisaId ("PNP0C02"))
				Name (_UID, 1)
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, 0x61, 0x61, 1, 1)
					IO (Decode16, 0x92, 0x92, 1, 1)
					IO (Decode16, 0xb2, 0xb2, 1, 2)
					IO (Decode16, 0x600, 0x600, 1, 0x80)
				})
			}
		}
	}
}
