#include "net/curl.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"

#include <ctype.h>
#include <curl/curl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct net_curl {
    CURL *easy;
    const volatile int *cancel;
    char error[CURL_ERROR_SIZE];
    net_call *call; /* the one that is running */
    uint64_t body_left;
    bool gave_up;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool ready;

static void init_once(void) {
    ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

/* --- callbacks --- */

static uint32_t status_of(CURL *easy) {
    long status = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status < 0 || status > 999 ? 0 : (uint32_t)status;
}

static size_t on_read(char *out, size_t size, size_t n, void *ctx) {
    net_curl *c = ctx;
    size_t max = size * n;
    if (max > c->body_left) max = (size_t)c->body_left;
    if (max == 0) return 0;
    ssize_t got = c->call->read(c->call->ctx, (uint8_t *)out, max);
    if (got < 0) {
        c->gave_up = true;
        return CURL_READFUNC_ABORT;
    }
    c->body_left -= (uint64_t)got;
    return (size_t)got;
}

static int on_seek(void *ctx, curl_off_t offset, int origin) {
    net_curl *c = ctx;
    if (origin != SEEK_SET || offset != 0 || c->call->rewind == NULL || !c->call->rewind(c->call->ctx)) {
        return CURL_SEEKFUNC_FAIL;
    }
    c->body_left = c->call->body_length;
    return CURL_SEEKFUNC_OK;
}

static size_t on_write(char *bytes, size_t size, size_t n, void *ctx) {
    net_curl *c = ctx;
    if (c->call->write == NULL) return size * n;
    if (c->call->write(c->call->ctx, status_of(c->easy), (const uint8_t *)bytes, size * n)) return size * n;
    c->gave_up = true;
    return 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx) {
    net_curl *c = ctx;
    size_t length = size * n;
    char name[64], value[1024];
    const char *colon = memchr(line, ':', length);
    if (c->call->field == NULL || colon == NULL || (size_t)(colon - line) >= sizeof name) return length;
    size_t name_length = (size_t)(colon - line);
    for (size_t i = 0; i < name_length; i++)
        name[i] = (char)tolower((unsigned char)line[i]);
    name[name_length] = 0;
    const char *at = colon + 1, *end = line + length;
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
        end--;
    if ((size_t)(end - at) >= sizeof value) return length;
    memcpy(value, at, (size_t)(end - at));
    value[end - at] = 0;
    c->call->field(c->call->ctx, status_of(c->easy), name, value);
    return length;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t e) {
    const net_curl *c = ctx;
    (void)a, (void)b, (void)d, (void)e;
    return msfl_is_set(c->cancel);
}

/* --- the handle --- */

static bool set_blob(CURL *easy, CURLoption option, const void *bytes, size_t length) {
    struct curl_blob blob = {(void *)bytes, length, CURL_BLOB_NOCOPY};
    return curl_easy_setopt(easy, option, &blob) == CURLE_OK;
}

/* Everything that decides whom we talk to, and that nothing of the environment decides it. */
static bool set_security(CURL *e, const net_curl_options *o) {
    bool good = curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_SSLVERSION,
                                 (long)(CURL_SSLVERSION_TLSv1_3 | CURL_SSLVERSION_MAX_TLSv1_3)) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L) == CURLE_OK &&
                /* Debian's libcurl would add the system's authorities to ours. */
                curl_easy_setopt(e, CURLOPT_CAPATH, NULL) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_CAINFO, NULL) == CURLE_OK &&
                set_blob(e, CURLOPT_CAINFO_BLOB, o->ca, strlen(o->ca));
    if (o->certificate != NULL) {
        good = good && curl_easy_setopt(e, CURLOPT_SSLCERTTYPE, "PEM") == CURLE_OK &&
               curl_easy_setopt(e, CURLOPT_SSLKEYTYPE, "PEM") == CURLE_OK &&
               set_blob(e, CURLOPT_SSLCERT_BLOB, o->certificate, strlen(o->certificate)) &&
               set_blob(e, CURLOPT_SSLKEY_BLOB, o->key, o->key_length);
    }
    if (o->pins != NULL) good = good && curl_easy_setopt(e, CURLOPT_PINNEDPUBLICKEY, o->pins) == CURLE_OK;
    /* An empty string and not NULL: NULL means what http_proxy and no_proxy say. */
    good = good && curl_easy_setopt(e, CURLOPT_PROXY, o->proxy != NULL ? o->proxy : "") == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_NOPROXY, "") == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK;
    if (o->proxy_auth != NULL) {
        good = good && curl_easy_setopt(e, CURLOPT_PROXYUSERPWD, o->proxy_auth) == CURLE_OK &&
               curl_easy_setopt(e, CURLOPT_PROXYAUTH, (long)(CURLAUTH_BASIC | CURLAUTH_DIGEST)) == CURLE_OK;
    }
    return good;
}

static bool set_transfer(net_curl *c, const net_curl_options *o) {
    CURL *e = c->easy;
    return curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->error) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 65536L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 65536L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)o->total_timeout_ms) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)o->idle_timeout_s) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_READDATA, c) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_SEEKDATA, c) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEDATA, c) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HEADERDATA, c) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_XFERINFODATA, c) == CURLE_OK;
}

msfl_status net_curl_new(const net_curl_options *options, net_curl **out) {
    *out = NULL;
    (void)pthread_once(&once, init_once);
    net_curl *c = msfl_alloc(1, sizeof *c);
    if (c == NULL) return MSFL_NO_MEMORY;
    c->cancel = options->cancel;
    c->easy = ready ? curl_easy_init() : NULL;
    if (c->easy == NULL || !set_security(c->easy, options) || !set_transfer(c, options)) {
        net_curl_free(c);
        return msfl_fail(MSFL_ERR_SYSTEM, "libcurl cannot do what is needed: TLS 1.3 with certificates from memory");
    }
    *out = c;
    return MSFL_OK;
}

void net_curl_free(net_curl *c) {
    if (c == NULL) return;
    if (c->easy != NULL) curl_easy_cleanup(c->easy);
    msfl_free(c);
}

/* --- what went wrong --- */

/* A certificate of the server that did not hold: numbers as in openssl/x509_vfy.h, as libcurl hands them on. */
static net_fault server_fault(CURL *easy) {
    long result = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &result);
    switch (result) {
    case 0:
        return NET_FAULT_SERVER_HOST;
    case 9:
        return NET_FAULT_SERVER_NOT_YET_VALID;
    case 10:
        return NET_FAULT_SERVER_EXPIRED;
    case 2:
    case 7:
    case 18:
    case 19:
    case 20:
    case 21:
    case 30:
        return NET_FAULT_SERVER_OTHER_CA;
    default:
        return NET_FAULT_SERVER_CERTIFICATE;
    }
}

/* The alert by which a server says what it has against our certificate. In TLS 1.3 it comes after the handshake, as the
 * failure of whatever is being read or written; OpenSSL's words for it are all that libcurl hands on. */
static net_fault alert_fault(const char *text) {
    static const struct {
        const char *words;
        net_fault fault;
    } alerts[] = {
        {"alert certificate expired", NET_FAULT_OUR_EXPIRED},
        {"alert certificate revoked", NET_FAULT_OUR_REVOKED},
        {"alert unknown ca", NET_FAULT_OUR_OTHER_CA},
        {"alert access denied", NET_FAULT_OUR_UNKNOWN},
        {"alert certificate required", NET_FAULT_OUR_CERTIFICATE},
        {"alert bad certificate", NET_FAULT_OUR_CERTIFICATE},
        {"alert unsupported certificate", NET_FAULT_OUR_CERTIFICATE},
        {"alert certificate unknown", NET_FAULT_OUR_CERTIFICATE},
    };
    for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++)
        if (strstr(text, alerts[i].words) != NULL) return alerts[i].fault;
    return NET_FAULT_NONE;
}

static net_fault fault_of(const net_curl *c, CURLcode code) {
    net_fault alert = alert_fault(c->error);
    if (code != CURLE_OK && alert != NET_FAULT_NONE) return alert;
    switch (code) {
    case CURLE_OK:
        return NET_FAULT_NONE;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return NET_FAULT_RESOLVE;
    case CURLE_COULDNT_CONNECT:
        return NET_FAULT_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return NET_FAULT_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
        return server_fault(c->easy);
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        return NET_FAULT_SERVER_UNKNOWN;
    case CURLE_ABORTED_BY_CALLBACK:
        return c->gave_up ? NET_FAULT_LOCAL : NET_FAULT_CANCELLED;
    case CURLE_READ_ERROR:
    case CURLE_WRITE_ERROR:
        return NET_FAULT_LOCAL;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_SSL_SHUTDOWN_FAILED:
        return NET_FAULT_CUT;
    case CURLE_SSL_CONNECT_ERROR:
        /* Cut in the handshake, or a change of its bytes on the way: later perhaps. Another protocol: never. */
        return strstr(c->error, "protocol") != NULL || strstr(c->error, "wrong version") != NULL ? NET_FAULT_TLS
                                                                                                 : NET_FAULT_CUT;
    case CURLE_PROXY:
        return NET_FAULT_PROXY;
    default:
        return NET_FAULT_LOCAL;
    }
}

/* A proxy that says no to CONNECT is a failed receive for libcurl; 502 to 504 may pass. */
static net_fault proxy_fault(CURL *easy, net_fault fault) {
    long status = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &status);
    if (fault == NET_FAULT_NONE || status < 400) return fault;
    return status == 502 || status == 503 || status == 504 || status == 429 ? NET_FAULT_CONNECT : NET_FAULT_PROXY;
}

static bool set_call(net_curl *c, const net_call *call, struct curl_slist *headers) {
    CURL *e = c->easy;
    bool has_body = call->has_body, head = strcmp(call->method, "HEAD") == 0;
    return curl_easy_setopt(e, CURLOPT_URL, call->url) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_NOBODY, 0L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HTTPGET, 1L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_UPLOAD, has_body ? 1L : 0L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, has_body ? (curl_off_t)call->body_length : (curl_off_t)-1) ==
               CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_NOBODY, head ? 1L : 0L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, head ? NULL : call->method) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
}

void net_curl_perform(net_curl *c, net_call *call) {
    struct curl_slist *headers = NULL;
    bool good = true;
    call->status = 0;
    call->fault = NET_FAULT_LOCAL;
    call->detail[0] = 0;
    for (size_t i = 0; good && call->headers != NULL && call->headers[i] != NULL; i++) {
        struct curl_slist *longer = curl_slist_append(headers, call->headers[i]);
        good = longer != NULL;
        if (good) headers = longer;
    }
    c->call = call;
    c->body_left = call->body_length;
    c->gave_up = false;
    c->error[0] = 0;
    if (good && set_call(c, call, headers)) {
        CURLcode code = curl_easy_perform(c->easy);
        call->status = code == CURLE_OK ? status_of(c->easy) : 0;
        call->fault = proxy_fault(c->easy, fault_of(c, code));
        snprintf(call->detail, sizeof call->detail, "%.159s", c->error[0] != 0 ? c->error : curl_easy_strerror(code));
    }
    c->call = NULL;
    (void)curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
}

void net_curl_diagnose(net_curl *c, net_call *call) {
    enum { WAIT_MS = 1000 };
    char error[CURL_ERROR_SIZE] = "", byte[16];
    CURL *e = curl_easy_duphandle(c->easy);
    if (e == NULL) return;
    bool good = curl_easy_setopt(e, CURLOPT_ERRORBUFFER, error) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_URL, call->url) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK;
    CURLcode code = good ? curl_easy_perform(e) : CURLE_FAILED_INIT;
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (code == CURLE_OK) code = curl_easy_getinfo(e, CURLINFO_ACTIVESOCKET, &fd);
    if (code == CURLE_OK && fd != CURL_SOCKET_BAD) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        size_t n;
        for (int i = 0; i < 4 && poll(&wait, 1, WAIT_MS) > 0; i++) {
            code = curl_easy_recv(e, byte, sizeof byte, &n);
            if (code != CURLE_AGAIN) break;
        }
    }
    net_fault alert = alert_fault(error);
    if (alert != NET_FAULT_NONE) {
        call->fault = alert;
        snprintf(call->detail, sizeof call->detail, "%.159s", error);
    }
    curl_easy_cleanup(e);
}
