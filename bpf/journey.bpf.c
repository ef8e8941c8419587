// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Where packets are seen: one file a hook in hooks/. Each asks the cheapest question first and leaves as
 * soon as it can. Below them, each resting on those before it: packet/ finds a packet's headers in an
 * skb, record/ writes what was seen into the ring (event.h), flow/ says whose packet it is. The two
 * engines differ in engine_core.h and engine_bcc.h alone. */
#include "engine.h"

#include "packet/view.h"
#include "packet/transport.h"
#include "packet/extensions.h"
#include "packet/quoted.h"
#include "packet/network.h"
#include "packet/tunnel.h"
#include "packet/locate.h"

#include "flow/maps.h"
#include "flow/followed.h"
#include "flow/tracked.h"
#include "flow/filter.h"

#include "record/transport.h"
#include "record/network.h"
#include "record/link.h"
#include "record/conntrack.h"
#include "record/record.h"

#include "flow/translations.h"
#include "flow/taken.h"
#include "flow/stranger.h"

#include "layout.h"

#ifdef TRACER_BCC
int slow(void *ctx)	/* the section of all SLOW functions, by which they are found (engine_bcc.h) */
{
	return 0;
}
#endif

#include "hooks/device.h"
#include "hooks/upper.h"	/* first among programs: a kernel that refuses these refuses them at once */
#include "hooks/device_programs.h"
#include "hooks/free.h"
#include "hooks/route.h"
#include "hooks/nat.h"
#include "hooks/nat_programs.h"
#include "hooks/ovs.h"
