/*
 * Print what the program's tables say, in the words of mdoc: the text between
 * the markers of the manual pages. manual.py compares and updates.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "dev/pci/pci.h"
#include "machine/machine.h"
#include "machine/schema.h"

static const char *
format_of(const struct config_key *k, char *buf, size_t size)
{
	static const char *const names[] = {
		[CONFIG_ENUM] = "",
		[CONFIG_STRING] = "string",
		[CONFIG_BOOL] = "boolean",
		[CONFIG_UINT] = "integer",
		[CONFIG_SIZE] = "size",
		[CONFIG_MAC] = "MAC",
		[CONFIG_UUID] = "UUID",
		[CONFIG_PATH] = "path",
	};

	if (k->type == CONFIG_ENUM)
		return k->range;
	snprintf(buf, size, "%s%s%s", names[k->type],
	    k->range != NULL ? " " : "", k->range != NULL ? k->range : "");
	return buf;
}

static void
print_keys(const char *section, const char *node, const struct config_key *keys)
{
	size_t n = strlen(node);
	char buf[64];

	printf("\001keys %s\n.Bl -tag -width Ds -compact\n", section);
	for (const struct config_key *k = keys; k->name != NULL; k++) {
		const char *end = k->help + strlen(k->help) - 1;

		printf(".It Va %s%s%s Pq \"%s", node, n > 0 ? "." : "", k->name,
		    format_of(k, buf, sizeof(buf)));
		if (k->dflt != NULL)
			printf(", default %s", k->dflt);
		printf("\"\n%c%s%s\n", toupper((unsigned char)k->help[0]),
		    k->help + 1, *end == '.' ? "" : ".");
	}
	printf(".El\n");
}

/* Models that share a table are listed under the first. */
static bool
printed_before(size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (pci_models[j]->keys == pci_models[i]->keys)
			return true;
	return false;
}

static void
print_text(const char *section, int (*fn)(struct buf *b))
{
	struct buf b;

	buf_init(&b, 1 << 20);
	if (fn(&b) == 0)
		printf("\001%s\n%.*s", section, (int)b.len, (char *)b.data);
	buf_fini(&b);
}

int
main(void)
{
	for (const struct schema_table *t = schema_tables; t->section; t++)
		print_keys(t->section, t->node, t->keys);
	for (size_t i = 0; pci_models[i] != NULL; i++) {
		char section[64];

		snprintf(
		    section, sizeof(section), "pci.%s", pci_models[i]->name);
		if (!printed_before(i))
			print_keys(section, "", pci_models[i]->keys);
	}
	printf("\001aliases\n");
	for (const struct schema_alias *a = schema_aliases; a->from; a++)
		printf(".It Va %s Ta Va %s\n", a->from, a->to);
	print_text("options", options_usage);
	print_text("devices", options_help_pci);
	print_text("lpc", options_help_lpc);
	printf("\001unbuilt\n");
	for (size_t i = 0; schema_unbuilt_models[i] != NULL; i++)
		if (pci_model_find(schema_unbuilt_models[i]) == NULL)
			printf("%s\n", schema_unbuilt_models[i]);
	return 0;
}
