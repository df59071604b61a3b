/*
 * The table of docs/zones.md (illumos' zoneadmd has the same one, spread over
 * nested switches). There is no scratch mount, hence no row for it.
 */
#include "zoneadmd/matrix.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

#define NSTATES (ZONE_STATE_DOWN + 1)

const char *const sup_command_names[SUP_NCOMMANDS] = {
#define X(id, name) [SUP_##id] = name,
	SUP_COMMANDS(X)
#undef X
};

static const char *const act_names[] = {
#define X(id, text) [ACT_##id] = text,
	SUP_ACTS(X)
#undef X
};

#define ROW(ready, boot, halt, shutdown, reboot, uninst, nmi, pause, resume)  \
	{                                                                     \
		[SUP_READY] = ACT_##ready, [SUP_BOOT] = ACT_##boot,           \
		[SUP_HALT] = ACT_##halt, [SUP_SHUTDOWN] = ACT_##shutdown,     \
		[SUP_REBOOT] = ACT_##reboot,                                  \
		[SUP_UNINSTALLING] = ACT_##uninst, [SUP_STATUS] = ACT_STATUS, \
		[SUP_NMI] = ACT_##nmi, [SUP_PAUSE] = ACT_##pause,             \
		[SUP_RESUME] = ACT_##resume                                   \
	}

/* clang-format off */
static const enum sup_act matrix[NSTATES][SUP_NCOMMANDS] = {
	/*		    ready        boot        halt     shutdown  reboot  uninst. nmi     pause   resume */
	[ZONE_STATE_CONFIGURED] =
			ROW(REFUSE,      REFUSE,     REFUSE,  REFUSE,   REFUSE, LEAVE,  REFUSE, REFUSE, REFUSE),
	[ZONE_STATE_INCOMPLETE] =
			ROW(REFUSE,      REFUSE,     REFUSE,  REFUSE,   REFUSE, LEAVE,  REFUSE, REFUSE, REFUSE),
	[ZONE_STATE_INSTALLED] =
			ROW(READY,       READY_BOOT, ALREADY, ALREADY,  REFUSE, LEAVE,  REFUSE, REFUSE, REFUSE),
	[ZONE_STATE_READY] =
			ROW(ALREADY,     BOOT,       HALT,    REFUSE,   REFUSE, REFUSE, REFUSE, REFUSE, REFUSE),
	[ZONE_STATE_RUNNING] =
			ROW(READY_AGAIN, ALREADY,    HALT,    SHUTDOWN, REBOOT, REFUSE, NMI,    PAUSE,  RESUME),
	[ZONE_STATE_SHUTTING_DOWN] =
			ROW(READY_AGAIN, ALREADY,    HALT,    SHUTDOWN, REBOOT, REFUSE, NMI,    PAUSE,  RESUME),
	[ZONE_STATE_DOWN] =
			ROW(READY_AGAIN, REBOOT,     HALT,    HALT,     REBOOT, REFUSE, REFUSE, REFUSE, REFUSE),
};
/* clang-format on */

int
sup_command_parse(const char *name, enum sup_command *ret)
{
	for (size_t i = 0; i < SUP_NCOMMANDS; i++)
		if (strcmp(sup_command_names[i], name) == 0) {
			*ret = (enum sup_command)i;
			return 0;
		}
	return -EINVAL;
}

enum sup_act
sup_act_of(enum zone_state state, enum sup_command command)
{
	return state < NSTATES ? matrix[state][command] : ACT_REFUSE;
}

void
sup_matrix_print(struct buf *b)
{
	buf_printf(b, "%-14s", "state");
	for (size_t c = 0; c < SUP_NCOMMANDS; c++)
		buf_printf(b, " %-17s", sup_command_names[c]);
	for (size_t s = 0; s < NSTATES; s++) {
		buf_printf(b, "\n%-14s", zone_state_name((enum zone_state)s));
		for (size_t c = 0; c < SUP_NCOMMANDS; c++)
			buf_printf(b, " %-17s", act_names[matrix[s][c]]);
	}
	buf_put_u8(b, '\n');
}
