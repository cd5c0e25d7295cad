/* What went wrong, in words that say what to do. */
#include "base/error.h"
#include "net/client_private.h"

static const char *fault_name(net_fault fault) {
    switch (fault) {
#define NET_FAULT_TEXT(name, text, again)                                                                              \
    case NET_FAULT_##name:                                                                                             \
        return text;
        NET_FAULTS(NET_FAULT_TEXT)
#undef NET_FAULT_TEXT
    }
    return "unknown";
}

bool net_fault_may_pass(net_fault fault) {
    switch (fault) {
#define NET_FAULT_AGAIN(name, text, again)                                                                             \
    case NET_FAULT_##name:                                                                                             \
        return again;
        NET_FAULTS(NET_FAULT_AGAIN)
#undef NET_FAULT_AGAIN
    }
    return false;
}

static const char *advice(net_fault fault) {
    switch (fault) {
    case NET_FAULT_RESOLVE:
        return "is the host's name right, and does this machine have a name server or a proxy (config.yaml)?";
    case NET_FAULT_CONNECT:
        return "is the coordinator running, and does a firewall or proxy let this machine out to it?";
    case NET_FAULT_PROXY:
        return "the proxy refuses; see proxy and proxy_auth in config.yaml, and the proxy's rules";
    case NET_FAULT_TIMEOUT:
    case NET_FAULT_CUT:
        return "the connection or a proxy on the way is unreliable; what was sent is kept, run this again";
    case NET_FAULT_SERVER_OTHER_CA:
        return "somebody inspects TLS on the way (ask for an exception), or this is another federation's server";
    case NET_FAULT_SERVER_EXPIRED:
        return "the coordinator must rotate its certificate; look at this machine's clock too";
    case NET_FAULT_SERVER_NOT_YET_VALID:
        return "look at this machine's clock";
    case NET_FAULT_SERVER_HOST:
        return "the url in config.yaml names another host than the coordinator's certificate";
    case NET_FAULT_SERVER_UNKNOWN:
        return "the roster here has other certificates of the coordinator: fetch the newest roster";
    case NET_FAULT_SERVER_CERTIFICATE:
        return "the server's certificate is not one that provision makes";
    case NET_FAULT_OUR_EXPIRED:
        return "our certificate is over (or our clock wrong): provision rotate";
    case NET_FAULT_OUR_REVOKED:
        return "our certificate was revoked: ask the authority";
    case NET_FAULT_OUR_OTHER_CA:
        return "the server is of another federation than this kit";
    case NET_FAULT_OUR_UNKNOWN:
        return "the coordinator's roster does not have our certificate: it needs the newest roster";
    case NET_FAULT_OUR_CERTIFICATE:
        return "the server refuses the certificate of this kit: provision check";
    case NET_FAULT_TLS:
        return "the other side does not speak TLS 1.3: is the port right?";
    default:
        return "see the message before";
    }
}

static msfl_status status_of(net_fault fault) {
    switch (fault) {
    case NET_FAULT_SERVER_OTHER_CA:
    case NET_FAULT_SERVER_EXPIRED:
    case NET_FAULT_SERVER_NOT_YET_VALID:
    case NET_FAULT_SERVER_HOST:
    case NET_FAULT_SERVER_UNKNOWN:
    case NET_FAULT_SERVER_CERTIFICATE:
    case NET_FAULT_TLS:
        return MSFL_ERR_CRYPTO;
    case NET_FAULT_OUR_EXPIRED:
    case NET_FAULT_OUR_REVOKED:
    case NET_FAULT_OUR_OTHER_CA:
    case NET_FAULT_OUR_UNKNOWN:
    case NET_FAULT_OUR_CERTIFICATE:
    case NET_FAULT_PROXY:
        return MSFL_ERR_POLICY;
    case NET_FAULT_TOO_LONG:
        return MSFL_ERR_LIMIT;
    case NET_FAULT_CANCELLED:
        return MSFL_ERR_CANCELLED;
    default:
        return MSFL_ERR_IO;
    }
}

msfl_status net_call_failure(const net_client *client, const net_call *call) {
    const char *url = client->url;
    if (call->fault == NET_FAULT_NONE) {
        return msfl_fail(MSFL_ERR_IO, "server-busy: %s answers %u; try again later, its log says why", url,
                         call->status);
    }
    if (call->fault == NET_FAULT_CANCELLED) return msfl_fail(MSFL_ERR_CANCELLED, "stopped on request");
    return msfl_fail(status_of(call->fault), "%s: %s: %s (%s)", fault_name(call->fault), url, advice(call->fault),
                     call->detail);
}
