/*
 * \EFI\BOOT\BOOTX64.EFI: says so on the firmware's console and powers off. The
 * structures are cut to what is called (UEFI 2.10, 4.3, 8.1, 12.4.1).
 */
#define ABI __attribute__((ms_abi))

typedef unsigned long uintn;
typedef unsigned short char16;

struct text_out {
	void *reset;
	uintn (*ABI output)(struct text_out *self, const char16 *text);
};

struct runtime {
	char header[24];
	void *others[10];
	void (*ABI reset)(
	    unsigned type, uintn status, uintn size, const void *data);
};

struct system_table {
	char header[24];
	const char16 *vendor;
	unsigned revision;
	void *in_handle, *in, *out_handle;
	struct text_out *out;
	void *err_handle, *err;
	struct runtime *runtime;
};

#define RESET_SHUTDOWN 2

ABI uintn efi_main(void *image, struct system_table *st);

ABI uintn
efi_main(void *image, struct system_table *st)
{
	st->out->output(st->out, u"ZHYVE-EFI booted\r\n");
	st->runtime->reset(RESET_SHUTDOWN, 0, 0, 0);
	return 0;
}
