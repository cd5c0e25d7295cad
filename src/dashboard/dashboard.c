#include "dashboard/dashboard.h"

#include "base/error.h"
#include "base/mem.h"
#include "dashboard/assets.h"
#include "text/json.h"

#include <string.h>

/* Nothing from elsewhere, nothing inline, no plug-in, no frame around the page, no form that the browser sends by
 * itself; and no text becomes markup or script (trusted types, of which none can be made). */
static const char content_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/* nosniff comes with every answer of the server. */
static const struct {
    const char *name, *value;
} headers[] = {
    {"Content-Security-Policy", content_policy},
    {"Referrer-Policy", "no-referrer"},
    {"X-Frame-Options", "DENY"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    /* Kept, and asked for every time: a page and a server of two versions never meet. */
    {"Cache-Control", "private, no-cache"},
};

/* If-None-Match (RFC 9110 section 13.1.2): ours among those that the browser has, weak or not. */
static bool has_it(const net_request *request, const dashboard_asset *asset) {
    const char *known = net_request_header(request, "If-None-Match");
    return known != NULL && strstr(known, asset->etag) != NULL;
}

static msfl_status serve_asset(void *ctx, net_request *request) {
    const dashboard_asset *asset = ctx;
    msfl_status status = net_answer_field(request, "ETag", asset->etag);
    for (size_t i = 0; status == MSFL_OK && i < sizeof headers / sizeof headers[0]; i++)
        status = net_answer_field(request, headers[i].name, headers[i].value);
    if (status != MSFL_OK) return status;
    if (has_it(request, asset)) return net_answer_bytes(request, 304, NULL, "", 0);
    return net_answer_bytes(request, 200, asset->type, asset->bytes, asset->length);
}

bool dashboard_may_act(const pki_peer *peer) {
    return peer != NULL && (peer->role == PKI_COORDINATOR || peer->role == PKI_OPERATOR);
}

static msfl_status serve_me(void *ctx, net_request *request) {
    (void)ctx;
    const pki_peer *peer = net_request_peer(request);
    char *text = NULL;
    json_t *me = json_pack("{s:o, s:s, s:b, s:b}", "name", msfl_json_string(peer == NULL ? "" : peer->name), "role",
                           peer == NULL ? "" : pki_role_name(peer->role), "may_act", (int)dashboard_may_act(peer),
                           "local", (int)(peer == NULL));
    if (me == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_json_text(me, true, &text);
    json_decref(me);
    if (status == MSFL_OK) status = net_answer_text(request, 200, "application/json", text);
    msfl_free(text);
    return status;
}

msfl_status dashboard_check_action(const net_request *request) {
    const char *action = net_request_header(request, DASHBOARD_ACTION_HEADER),
               *site = net_request_header(request, "Sec-Fetch-Site");
    if (action == NULL || strcmp(action, "1") != 0) {
        return msfl_fail(MSFL_ERR_POLICY, "a request that changes something carries the header %s: 1",
                         DASHBOARD_ACTION_HEADER);
    }
    if (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0) {
        return msfl_fail(MSFL_ERR_POLICY, "this request was made by a page of another site");
    }
    if (!dashboard_may_act(net_request_peer(request))) {
        return msfl_fail(MSFL_ERR_POLICY, "this is for the coordinator and operators; others look only");
    }
    return MSFL_OK;
}

void dashboard_routes(uint32_t roles, net_route *out) {
    _Static_assert(DASHBOARD_ROUTES == DASHBOARD_ASSETS + 1, "every file, and /v1/me");
    for (size_t i = 0; i < DASHBOARD_ASSETS; i++) {
        /* Handlers get their context as it was given; this one only reads it. */
        out[i] = (net_route){.method = NET_GET,
                             .pattern = dashboard_assets[i].path,
                             .roles = roles,
                             .finish = serve_asset,
                             .ctx = (void *)&dashboard_assets[i]};
    }
    out[DASHBOARD_ASSETS] = (net_route){.method = NET_GET, .pattern = "/v1/me", .roles = roles, .finish = serve_me};
}
