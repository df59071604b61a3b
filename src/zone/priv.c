/*
 * The names of privileges. What each means on this host is the confinement's
 * matter; here only a typing error is caught.
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "zone/type.h"

const char *const zone_privs[] = { "contract_event", "contract_identity",
	"contract_observer", "cpc_cpu", "dtrace_kernel", "dtrace_proc",
	"dtrace_user", "file_chown", "file_chown_self", "file_dac_execute",
	"file_dac_read", "file_dac_search", "file_dac_write",
	"file_downgrade_sl", "file_flag_set", "file_link_any", "file_owner",
	"file_read", "file_setid", "file_upgrade_sl", "file_write",
	"graphics_access", "graphics_map", "hyprlofs_control", "ipc_dac_read",
	"ipc_dac_write", "ipc_owner", "net_access", "net_bindmlp",
	"net_icmpaccess", "net_mac_aware", "net_mac_implicit",
	"net_observability", "net_privaddr", "net_rawaccess", "proc_audit",
	"proc_chroot", "proc_clock_highres", "proc_exec", "proc_fork",
	"proc_info", "proc_lock_memory", "proc_meminfo", "proc_owner",
	"proc_priocntl", "proc_prioup", "proc_secflags", "proc_session",
	"proc_setid", "proc_taskid", "proc_zone", "sys_acct", "sys_admin",
	"sys_audit", "sys_config", "sys_devices", "sys_dl_config",
	"sys_flow_config", "sys_ip_config", "sys_ipc_config",
	"sys_iptun_config", "sys_linkdir", "sys_mount", "sys_net_config",
	"sys_nfs", "sys_ppp_config", "sys_res_bind", "sys_res_config",
	"sys_resource", "sys_share", "sys_smb", "sys_suser_compat", "sys_time",
	"sys_trans_label", "virt_manage", "win_colormap", "win_config",
	"win_dac_read", "win_dac_write", "win_devices", "win_dga",
	"win_downgrade_sl", "win_fontpath", "win_mac_read", "win_mac_write",
	"win_selection", "win_upgrade_sl", "xvm_control", NULL };

static int
unknown(const char *name, struct error *err)
{
	error_set(err, EINVAL, "'%.64s' is no privilege", name);
	error_add_hint(
	    err, str_nearest(name, zone_privs, ARRAY_LEN(zone_privs) - 1));
	return -EINVAL;
}

static bool
known(const char *name)
{
	for (size_t i = 0; zone_privs[i] != NULL; i++)
		if (strcmp(zone_privs[i], name) == 0)
			return true;
	return false;
}

int
zone_privs_check(const char *text, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(text);
	char *save = NULL;
	bool first = true;

	if (copy == NULL)
		return error_set(err, ENOMEM, "out of memory");
	for (char *s = strtok_r(copy, ",", &save); s != NULL;
	     s = strtok_r(NULL, ",", &save)) {
		if (strcmp(s, "default") == 0) {
			if (!first)
				return error_set(err, EINVAL,
				    "'default' must be the first privilege");
		} else if (strcmp(s, "zone") == 0) {
			return error_set(err, EINVAL,
			    "the set 'zone' cannot be used here; "
			    "use 'default'");
		} else {
			if (*s == '-' || *s == '!')
				s++;
			if (!known(s))
				return unknown(s, err);
		}
		first = false;
	}
	return 0;
}
