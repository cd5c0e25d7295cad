/* The screen of the coordinator: a page with its style sheet and scripts, embedded in the program, and who looks at it.
 * What it shows comes from /v1/status and /v1/events, which are not served here. docs/design/dashboard.md has the
 * reasons.
 */
#ifndef MSFL_DASHBOARD_DASHBOARD_H
#define MSFL_DASHBOARD_DASHBOARD_H

#include "net/server.h"

/** Routes that dashboard_routes gives. */
enum { DASHBOARD_ROUTES = 6 };

/** What a request that changes something must carry, with the value "1". */
#define DASHBOARD_ACTION_HEADER "X-Msfl-Action"

/**
 * Routes for `/`, `/style.css`, `/app.js`, `/chart.js`, `/icon.svg` and `/v1/me`, for both listeners.
 *
 * @param roles  for whom, a set of NET_ROLE; the local listener ignores it
 * @param out    DASHBOARD_ROUTES of them; they need no context and stay valid
 */
void dashboard_routes(uint32_t roles, net_route *out);

/** Whether a party may submit and abort: the coordinator and operators. NULL, the local listener: never. */
bool dashboard_may_act(const pki_peer *peer);

/**
 * Whether a request that changes something was meant by who sent it. Call it first in the handler of such a POST.
 *
 * A browser that holds a certificate shows it to whoever makes it ask, a page of another site among them. Such a page
 * cannot set a header of its own without asking first (a preflight request, which this server refuses), so the header
 * is the proof; and a browser says by itself where a request comes from (Sec-Fetch-Site; Fetch Metadata Request
 * Headers, section 2.3), which must then be our own page or nowhere.
 *
 * @retval MSFL_ERR_POLICY  the header is missing, the request comes from another site, or this party may not act
 */
msfl_status dashboard_check_action(const net_request *request) MSFL_NODISCARD;

#endif
