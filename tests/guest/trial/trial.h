/*
 * System-mode test guests: tables of cases (rows), each a few instructions that
 * run in a mode and at a privilege of their choice, and what a real CPU must
 * have done when they end in an exception. For C and the assembler.
 *
 * Every row gets all tables anew, so rows do not depend on each other. A row
 * that is to run through ends in UD2, which is then the exception to be seen.
 */
#ifndef TRIAL_H
#define TRIAL_H

/* Modes of rows. */
#define M_REAL 0
#define M_P16 1 /* protected, 16-bit segments, ring 0 */
#define M_P32 2 /* flat 32-bit, ring 0 to 3 */
#define M_P32R1 3
#define M_P32R2 4
#define M_P32R3 5
#define M_V86 6
#define M_C32 7 /* compatibility mode, ring 0 and 3 */
#define M_C32R3 8
#define M_L64 9 /* 64-bit, ring 0 and 3 */
#define M_L64R3 10
#define M_P32PG 11 /* as M_P32, with paging: everything is where it is */

/*
 * Everything rows touch is below 1 MiB. In parentheses, because the
 * preprocessor sets bare numbers off with spaces, which end a macro's argument.
 */
#define GDT (0x10000)
#define IDT (0x12000)
#define LDT (0x13000)
#define TSS_A (0x14000) /* of the row */
#define TSS_B (0x15000) /* further tasks: 32-bit, 16-bit */
#define TSS_C (0x16000)
#define TSS_D (0x17000)
#define LOW (0x18000) /* real-mode half of enter.S */
#define IVT (0x1c000)
#define CODE (0x20000) /* the row */
#define LANDING (CODE + 0x400) /* UD2: where gates and tasks lead */
#define STACKS (0x30000) /* of the row: ring r at STACKS + r * 0x1000 */
#define STACK_SIZE (0xf00)
#define SP0 (STACKS + 0x4f00) /* inner stacks in the TSS */
#define SP1 (STACKS + 0x5f00)
#define SP2 (STACKS + 0x6f00)
#define SP_IST1 (STACKS + 0x7f00)
#define SP_B (STACKS + 0x8f00) /* of task B */
#define SP_C (0xef00) /* of task C, in its SS */
#define SP_D (STACKS + 0x9f00)
#define DATA (0x40000)

/*
 * Page directories and tables of M_P32PG. With the second pair, DATA is
 * DATA + 0x1000.
 */
#define PD_A (0x50000)
#define PT_A (0x51000)
#define PD_B (0x52000)
#define PT_B (0x53000)

/* Selectors. GDT limit is 0x1ff, LDT limit 0x1f, IDT has 64 gates. */
#define S_C64 0x08
#define S_D32 0x10 /* flat */
#define S_C32 0x18
#define S_C16 0x20 /* base CODE */
#define S_D16 0x28 /* base STACKS, 64 KiB, 16-bit */
#define S_C32R3 0x33
#define S_D32R3 0x3b
#define S_C64R3 0x43
#define S_C32R1 0x49
#define S_D32R1 0x51
#define S_C32R2 0x5a
#define S_D32R2 0x62
#define S_TSS 0x68
#define S_TSS64 0x70
#define S_LDT 0x80
#define S_LOW16 0x90 /* code, data of enter.S in real mode's form */
#define S_LOWD 0x98
#define S_TB 0xa0 /* available 32-bit TSS, DPL 0 */
#define S_TC 0xa8 /* available 16-bit TSS */
#define S_TGATE 0xb0 /* task gate to B, DPL 3 */
#define S_G32 0xb8 /* call gates to LANDING, DPL 3: 32-bit to S_C32 */
#define S_G32P 0xc0 /* with 2 parameters */
#define S_G16 0xc8 /* 16-bit to S_C16, 2 parameters */
#define S_GNP 0xd0 /* not present */
#define S_G0 0xd8 /* DPL 0 */
#define S_GDATA 0xe0 /* to a data segment */
#define S_GNULL 0xe8 /* to selector 0 */
#define S_GR3 0xf0 /* to S_C32R3 */
#define S_GR1 0xf8 /* to S_C32R1 */
#define S_G64 0x100 /* 64-bit, DPL 3, to S_C64 */
#define S_G64C 0x110 /* 64-bit, to S_C32 */
#define S_NPD 0x120 /* data, not present */
#define S_RO 0x128 /* data, read-only */
#define S_XO 0x130 /* code, execute-only */
#define S_XR 0x138 /* code, readable, base DATA limit fff */
#define S_CONF 0x140 /* code, conforming, readable, flat */
#define S_NPC 0x148 /* code, not present */
#define S_CLIM 0x150 /* code, base CODE, limit 1ff */
#define S_LIM 0x158 /* data, base DATA, limit ff */
#define S_DOWN 0x160 /* data, expand-down, base DATA, limit fff, B=1 */
#define S_DOWN16 0x168 /* the same, B=0 */
#define S_LD 0x170 /* code, L and D both */
#define S_TSHORT 0x178 /* available 32-bit TSS, limit 66 */
#define S_TNP 0x180 /* TSS, not present */
#define S_CONF3 0x188 /* code, conforming, DPL 3 */
#define S_SSLIM 0x190 /* data, base STACKS, limit f0f, 32-bit */
#define S_TD 0x198 /* available 32-bit TSS, like B */
#define S_BEYOND 0x200
/* In the LDT */
#define S_LD32 0x04 /* flat data */
#define S_LC32 0x0c /* flat code */
#define S_LTSS 0x14 /* an available TSS, which may only be in the GDT */
#define S_LBEYOND 0x24

/* Gates of the IDT; all others: interrupt gates to the harness, DPL 0. */
#define V_TASK 0x30 /* task gate to B, DPL 3 */
#define V_TRAP3 0x31 /* trap gate, DPL 3 */
#define V_INT0 0x32 /* interrupt gate, DPL 0 */
#define V_NP 0x33 /* DPL 3, not present */
#define V_TYPE 0x34 /* a call gate, DPL 3 */
#define V_NULL 0x35 /* to selector 0 */
#define V_DATA 0x36 /* to a data segment */
#define V_NPC 0x37 /* to code that is not present */
#define V_I16 0x38 /* 16-bit interrupt gate to S_C16:LANDING, DPL 3 */
#define V_R3 0x39 /* to ring 3 code */
#define V_CONF 0x3a /* to conforming code at LANDING, DPL 3 */
#define V_LIMIT 0x3b /* to S_CLIM, past its limit */
#define V_IST1 0x3c /* long mode: IST 1, DPL 3 */
#define V_BEYOND 0x40

/*
 * What was found when the row ended, 64 bits each: got_vec... ip counts from
 * the row's start; hsp, hss, hcs are the handler's stack as it found it and its
 * segments; vgs, ves are from a frame of virtual-8086 mode.
 */
#define GOT (0x1a000)
/* clang-format off */
#define GOT_FIELDS(F) \
	F(vec, 0) F(err, 1) F(ip, 2) F(cs, 3) F(fl, 4) F(sp, 5) F(ss, 6) \
	F(ax, 7) F(cx, 8) F(dx, 9) F(bx, 10) F(bp, 11) F(si, 12) F(di, 13) \
	F(ds, 14) F(es, 15) F(fs, 16) F(gs, 17) F(hsp, 18) F(hss, 19) F(hcs, 20) \
	F(tr, 21) F(ldt, 22) F(cr0, 23) F(cr2, 24) F(dr6, 25) F(dr7, 26) F(vgs, 27) \
	F(ves, 28)
/* clang-format on */
#define GOT_COUNT 29
#ifdef __ASSEMBLER__
#define GOT_SET(name, n) .set got_##name, GOT + 8 * n;
GOT_FIELDS(GOT_SET)
#else
#define GOT_ENUM(name, n) got_##name = GOT + 8 * n,
enum { GOT_FIELDS(GOT_ENUM) };
#endif

#define RAW (0x1a200) /* the handler's stack, as it was */
#define RAW_SIZE 256

/* struct start, by offset */
#define ST_CLASS 0 /* 0 real, 1 protected, 2 long */
#define ST_CS 4
#define ST_IP 8
#define ST_FL 12
#define ST_SP 16
#define ST_SS 20
#define ST_DS 24 /* also ES FS GS */
#define ST_CR0 28
#define ST_CR4 32
#define ST_CR3 60
#define ST_OUTER 36 /* the frame has SS:SP */
#define ST_DR 0x40 /* DR0-DR3, DR7: 8 bytes each */
#define START (0x19c00) /* where the row's is */

#define NO_ERR 0xffffffff

#endif
