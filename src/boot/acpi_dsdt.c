/*
 * dsdt.asl as the build had it compiled: iasl -tc writes a C array without
 * 'static' and 'const', which stand here in front of it.
 */
#include "boot/acpi.h"

/* clang-format off */
static const
#include "dsdt.hex"

const uint8_t *const acpi_dsdt = dsdt_aml_code;
const size_t acpi_dsdt_size = sizeof(dsdt_aml_code);
