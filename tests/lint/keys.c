/*
 * Print what the program's tables say, in the words of mdoc: the text between
 * the markers of the manual pages. manual.py compares and updates.
 */
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
	size_t name = 4, format = 6, dflt = 7, n = strlen(node);
	char buf[64];

#define WIDER(var, text) (var = strlen(text) > var ? strlen(text) : var)
	for (const struct config_key *k = keys; k->name != NULL; k++) {
		size_t len = strlen(k->name) + (n > 0 ? n + 1 : 0);

		name = len > name ? len : name;
		WIDER(format, format_of(k, buf, sizeof(buf)));
		WIDER(dflt, k->dflt != NULL ? k->dflt : "");
	}
	printf("\001keys %s\n", section);
	printf(".Bl -column \"%0*d\" \"%0*d\" \"%0*d\"\n", (int)name, 0,
	    (int)format, 0, (int)dflt, 0);
	printf(".It Sy Name Ta Sy Format Ta Sy Default Ta Sy Description\n");
	for (const struct config_key *k = keys; k->name != NULL; k++)
		printf(".It Va %s%s%s Ta \"%s\" Ta \"%s\" Ta \"%s\"\n", node,
		    n > 0 ? "." : "", k->name, format_of(k, buf, sizeof(buf)),
		    k->dflt != NULL ? k->dflt : "-", k->help);
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
	for (size_t i = 0; pci_models[i] != NULL; i++)
		if (!printed_before(i))
			print_keys(
			    pci_models[i]->name, "", pci_models[i]->keys);
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
