/*
 * Print what the table of manifests says, in the words of mdoc: the text
 * between the markers of vmadm(8). manual.py compares and updates.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "../../cmd/vmadm/vmadm.h"
#include "manifest/manifest.h"

static void
print_row(const struct manifest_prop *p)
{
	printf(".It Cm %s Pq \"%s", p->name, manifest_type_name(p->type));
	if (p->range != NULL)
		printf(" %s", p->range);
	if (p->update == MANIFEST_UPDATE_FACT)
		printf("; only shown");
	else
		printf("; update: %s", manifest_update_name(p->update));
	if (p->dflt != NULL)
		printf("; default %s", p->dflt);
	printf("\"\n%c%s.\n", toupper((unsigned char)p->help[0]), p->help + 1);
}

static void
print_scope(const char *section, const char *scope)
{
	const struct manifest_prop *p = NULL;

	printf("\001keys vm.%s\n.Bl -tag -width Ds -compact\n", section);
	while ((p = manifest_next(p)) != NULL)
		if (strcmp(p->scope, scope) == 0)
			print_row(p);
	printf(".El\n");
}

int
main(void)
{
	print_scope("properties", "");
	print_scope("disks", "disks");
	print_scope("nics", "nics");
	printf("\001commands\n");
#define X(name, fn, vm, usage, help) printf("%s\n", name);
	VMADM_COMMANDS(X)
#undef X
	return 0;
}
