/*
 * Print the statements of a random zone that zonecfg accepts:
 *	zone_gen SEED BRANDS
 */
#include <stdio.h>
#include <stdlib.h>

#include "zone_util.h"

int
main(int argc, char **argv)
{
	struct zone_brand *brand = NULL;
	struct error err = ERROR_INIT;
	struct zone_conf *conf;
	struct buf b;

	if (argc != 3 || zone_brand_load(argv[2], "bhyve", &brand, &err) < 0) {
		fprintf(stderr, "zone_gen: %s\n", err.text);
		return 1;
	}
	conf = zone_random(strtoull(argv[1], NULL, 10), brand, "z");
	fputs(zone_export_text(conf, &b), stdout);
	buf_fini(&b);
	zone_conf_free(conf);
	zone_brand_free(brand);
	return 0;
}
