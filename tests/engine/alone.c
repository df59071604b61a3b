/*
 * Instructions that run by themselves are kept as they were lowered: other
 * bytes, in either page, and another mode must be seen.
 */
#include <string.h>

#include "soft.h"
#include "tap.h"
#include "vmm/soft/cpu.h"

static struct regs
run_at(uint64_t rip, unsigned mode)
{
	struct regs r = { .rip = rip, .rflags = 0x202 };
	struct fault f;

	r.gpr[X86_RAX] = 5;
	soft_test_run(&r, mode, false, &f);
	tap_check_int(f.vector, -1);
	return r;
}

/* MOV $imm, %eax: two of its bytes before the page's end, three behind */
static void
bytes_of_both_pages(void)
{
	const uint64_t rip = CODE_ADDR + PAGE - 2;
	const uint8_t mov[] = { 0xb8, 1, 0, 0, 0 };
	uint8_t byte;

	tap_check_int(soft_test_init(), 0);
	soft_test_set_code(rip, mov, sizeof(mov));
	for (unsigned k = 0; k < 2; k++)
		tap_check_int((int64_t)run_at(rip, 8).gpr[X86_RAX], 1);
	byte = 2;
	soft_test_set_code(rip + 4, &byte, 1);
	tap_check_int((int64_t)run_at(rip, 8).gpr[X86_RAX], 0x02000001);
	byte = 3;
	soft_test_set_code(rip + 1, &byte, 1);
	tap_check_int((int64_t)run_at(rip, 8).gpr[X86_RAX], 0x02000003);
	/* MOV $imm, %ecx */
	byte = 0xb9;
	soft_test_set_code(rip, &byte, 1);
	tap_check_int((int64_t)run_at(rip, 8).gpr[X86_RAX], 5);
	soft_test_destroy();
}

/* 48 FF C0: INC %rax in 64-bit code, DEC %eax alone in 32-bit code */
static void
mode(void)
{
	const uint64_t rip = CODE_ADDR + PAGE - 1;
	const uint8_t insn[] = { 0x48, 0xff, 0xc0 };

	tap_check_int(soft_test_init(), 0);
	soft_test_set_code(rip, insn, sizeof(insn));
	for (unsigned k = 0; k < 2; k++) {
		tap_check_int((int64_t)run_at(rip, 8).gpr[X86_RAX], 6);
		tap_check_int(
		    (int64_t)run_at(rip, 8).rip, (int64_t)(rip + sizeof(insn)));
		tap_check_int((int64_t)run_at(rip, 4).gpr[X86_RAX], 4);
		tap_check_int((int64_t)run_at(rip, 4).rip, (int64_t)(rip + 1));
	}
	soft_test_destroy();
}

static const struct tap_test tests[] = {
	TAP_TEST(bytes_of_both_pages),
	TAP_TEST(mode),
};
TAP_MAIN(tests)
