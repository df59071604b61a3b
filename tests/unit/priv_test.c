/*
 * Sets of privileges: limitpriv over a brand's rows.
 */
#include "jail/priv.h"

#include <errno.h>

#include "base/str.h"
#include "tap.h"

/* As the bhyve brand with an exclusive network. */
static const struct jail_brand_priv brand[] = {
	{ JAIL_PRIV_DEFAULT, "net_rawaccess" },
	{ JAIL_PRIV_DEFAULT, "proc_clock_highres" },
	{ JAIL_PRIV_DEFAULT, "proc_lock_memory" },
	{ JAIL_PRIV_DEFAULT, "sys_admin" },
	{ JAIL_PRIV_DEFAULT, "sys_mount" },
	{ JAIL_PRIV_PROHIBITED, "dtrace_kernel" },
	{ JAIL_PRIV_PROHIBITED, "virt_manage" },
	{ JAIL_PRIV_REQUIRED, "proc_exec" },
	{ JAIL_PRIV_REQUIRED, "sys_mount" },
};

static const struct {
	const char *text;
	const char *has[4], *lacks[6];
} good[] = {
	{ NULL, { "file_read", "proc_lock_memory", "net_access", "proc_exec" },
	    { "sys_time", "dtrace_kernel", "file_chown" } },
	{ "default", { "file_read", "proc_lock_memory", "net_access" },
	    { "sys_time" } },
	{ "default,-file_link_any,-net_access,-proc_fork,-proc_info,"
	  "!proc_session",
	    { "file_read", "file_write", "sys_admin" },
	    { "file_link_any", "net_access", "proc_fork", "proc_info",
		"proc_session" } },
	{ "default,sys_time", { "sys_time", "sys_mount" }, { "sys_resource" } },
	{ "default,sys_time,-sys_time", { "sys_mount" }, { "sys_time" } },
	{ "basic,sys_mount", { "file_write", "sys_mount" },
	    { "net_rawaccess", "proc_lock_memory" } },
	{ "proc_exec,sys_mount", { "proc_exec", "sys_mount" },
	    { "file_read", "file_write" } },
	{ "all", { "sys_time", "file_chown" },
	    { "dtrace_kernel", "virt_manage" } },
	{ "zone,-file_write", { "sys_time", "file_chown" },
	    { "file_write", "virt_manage" } },
};

static void
sets(void)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct error err = ERROR_INIT;
		struct jail_privset set = { 0 };

		tap_context("'%s'", good[i].text != NULL ? good[i].text : "");
		if (jail_privs_resolve(
			good[i].text, brand, ARRAY_LEN(brand), &set, &err) != 0)
			tap_fail("%s", err.text);
		for (size_t k = 0;
		     k < ARRAY_LEN(good[i].has) && good[i].has[k] != NULL; k++)
			if (!jail_priv_has(&set, good[i].has[k]))
				tap_fail("lacks %s", good[i].has[k]);
		for (size_t k = 0;
		     k < ARRAY_LEN(good[i].lacks) && good[i].lacks[k] != NULL;
		     k++)
			if (jail_priv_has(&set, good[i].lacks[k]))
				tap_fail("has %s", good[i].lacks[k]);
	}
}

static void
refusals(void)
{
	static const struct {
		const char *text;
		int code;
		const char *why;
	} rows[] = {
		{ "default,dtrace_kernel", -EPERM,
		    "limitpriv: privilege 'dtrace_kernel' is in the brand's "
		    "prohibited set" },
		{ "default,-proc_exec", -EPERM,
		    "'proc_exec' is in the brand's required set" },
		{ "file_read", -EPERM, "'proc_exec'" },
		{ "default,file_red", -EINVAL,
		    "'file_red' is no privilege; did you mean 'file_read'?" },
		{ "default,-default", -EINVAL, "'default' is no privilege" },
		{ "default,--file_read", -EINVAL, "'-file_read'" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;
		struct jail_privset set = { { 7, 7 } };

		tap_context("'%s'", rows[i].text);
		tap_check_int(jail_privs_resolve(rows[i].text, brand,
				  ARRAY_LEN(brand), &set, &err),
		    rows[i].code);
		tap_check_has(err.text, rows[i].why);
		tap_check_u64(set.bits[0], 7); /* untouched */
	}
}

static void
unknown_names(void)
{
	static const struct jail_brand_priv bad[] = {
		{ JAIL_PRIV_REQUIRED, "proc_exc" },
	};
	struct jail_privset set = { { ~UINT64_C(0), ~UINT64_C(0) } };
	struct error err = ERROR_INIT;

	tap_check(!jail_priv_has(&set, "no_such"));
	tap_check_int(jail_privs_resolve(NULL, bad, 1, &set, &err), -EINVAL);
	tap_check_has(err.text, "did you mean 'proc_exec'?");
}

static const struct tap_test tests[] = {
	TAP_TEST(sets),
	TAP_TEST(refusals),
	TAP_TEST(unknown_names),
};
TAP_MAIN(tests)
