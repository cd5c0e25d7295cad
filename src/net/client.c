#include "net/client_private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "base/private.h"
#include "base/sodium.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

net_client_options net_client_options_default(void) {
    return (net_client_options){
        .connect_timeout_ms = 20000, .idle_timeout_s = 60, .total_timeout_ms = 600000, .retry = net_retry_default()};
}

net_client_options net_client_options_of(const pki_kit *kit) {
    net_client_options o = net_client_options_default();
    o.url = kit->config.url;
    o.ca = kit->ca;
    o.certificate = kit->certificate;
    o.key = kit->key;
    o.key_length = kit->key_length;
    o.roster = kit->roster;
    o.proxy = kit->config.proxy;
    o.proxy_auth_file = kit->config.proxy_auth;
    return o;
}

/* The keys that the coordinator may show, in libcurl's form. */
static msfl_status make_pins(const pki_roster *roster, char **out) {
    *out = NULL;
    const pki_party *p = pki_roster_coordinator(roster);
    if (p == NULL || p->n_certificates == 0) {
        return msfl_fail(MSFL_ERR_POLICY, "the roster has no certificate of a coordinator: fetch the newest one");
    }
    char hash[PKI_CERTIFICATES_MAX][64];
    for (uint32_t i = 0; i < p->n_certificates; i++)
        msfl_base64(p->certificates[i].key, PKI_KEY_HASH_BYTES, hash[i]);
    *out = p->n_certificates == 1 ? msfl_format("sha256//%s", hash[0])
                                  : msfl_format("sha256//%s;sha256//%s", hash[0], hash[1]);
    return *out == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

/* user:password, one line, in a file that only we may read. */
static msfl_status read_auth(const char *path, char **out) {
    uint8_t *bytes;
    size_t length;
    *out = NULL;
    msfl_status status = msfl_private_read(path, "the proxy's password file", 1024, &bytes, &length);
    if (status != MSFL_OK) return status;
    while (length > 0 && (bytes[length - 1] == '\n' || bytes[length - 1] == '\r'))
        bytes[--length] = 0;
    if (length == 0 || memchr(bytes, ':', length) == NULL || memchr(bytes, '\n', length) != NULL) {
        msfl_secret_free(bytes);
        return msfl_fail(MSFL_ERR_FORMAT, "%s does not hold one line user:password", path);
    }
    *out = (char *)bytes;
    return MSFL_OK;
}

msfl_status net_client_new(const net_client_options *o, net_client **out) {
    *out = NULL;
    char host[PKI_HOST_MAX + 1];
    uint32_t port;
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = pki_url_split(o->url, host, &port);
    if (status == MSFL_OK && o->proxy != NULL && o->proxy[0] != 0 && strncmp(o->proxy, "http://", 7) != 0) {
        status = msfl_fail(MSFL_ERR_USAGE, "a proxy is http://host:port");
    }
    if (status != MSFL_OK) return status;
    net_client *c = msfl_alloc(1, sizeof *c);
    if (c == NULL) return MSFL_NO_MEMORY;
    c->options = *o;
    c->url = msfl_strdup(o->url);
    if (c->url == NULL) status = MSFL_NO_MEMORY;
    bool proxy = o->proxy != NULL && o->proxy[0] != 0;
    if (status == MSFL_OK && o->roster != NULL) status = make_pins(o->roster, &c->pins);
    if (status == MSFL_OK && proxy && o->proxy_auth_file != NULL && o->proxy_auth_file[0] != 0) {
        status = read_auth(o->proxy_auth_file, &c->proxy_auth);
    }
    net_curl_options curl = {.ca = o->ca,
                             .certificate = o->certificate,
                             .key = o->key,
                             .key_length = o->key_length,
                             .pins = c->pins,
                             .proxy = proxy ? o->proxy : NULL,
                             .proxy_auth = c->proxy_auth,
                             .connect_timeout_ms = o->connect_timeout_ms,
                             .idle_timeout_s = o->idle_timeout_s,
                             .total_timeout_ms = o->total_timeout_ms,
                             .cancel = o->cancel};
    if (status == MSFL_OK) status = net_curl_new(&curl, &c->curl);
    if (status != MSFL_OK) {
        net_client_free(c);
        return status;
    }
    *out = c;
    return MSFL_OK;
}

void net_client_free(net_client *c) {
    if (c == NULL) return;
    net_curl_free(c->curl);
    if (c->proxy_auth != NULL) msfl_secret_free(c->proxy_auth);
    msfl_free(c->pins);
    msfl_free(c->url);
    msfl_free(c);
}

/* --- attempts --- */

void net_attempts_begin(net_attempts *a) {
    *a = (net_attempts){.from_ns = msfl_now_ns()};
}

void net_attempts_moved(net_attempts *a) {
    net_attempts_begin(a);
}

msfl_status net_attempts_wait(net_client *c, net_attempts *a, net_call *call, uint32_t server_ms) {
    enum { STEP_MS = 50 };
    if (call->fault == NET_FAULT_NONE) c->proved = true;
    if (call->fault == NET_FAULT_CUT && a->n == (c->proved ? 1 : 0)) {
        net_curl_diagnose(c->curl, call);
        if (!net_fault_may_pass(call->fault)) return net_call_failure(c, call);
    }
    msfl_status failure = net_call_failure(c, call);
    uint64_t random;
    msfl_random_bytes(&random, sizeof random);
    uint32_t delay = net_retry_delay_ms(&c->options.retry, a->n, random, server_ms);
    uint64_t passed = (msfl_now_ns() - a->from_ns) / 1000000;
    if (++a->n >= c->options.retry.attempts_max || passed + delay > c->options.retry.total_ms) return failure;
    if (c->options.notice != NULL) c->options.notice(c->options.ctx, msfl_error_message(), delay);
    for (uint32_t slept = 0; slept < delay; slept += STEP_MS) {
        if (msfl_is_set(c->options.cancel)) {
            return msfl_fail(MSFL_ERR_CANCELLED, "stopped on request");
        }
        uint32_t ms = delay - slept < STEP_MS ? delay - slept : STEP_MS;
        struct timespec pause = {.tv_sec = 0, .tv_nsec = (long)ms * 1000000};
        (void)nanosleep(&pause, NULL);
    }
    return MSFL_OK;
}

uint32_t net_retry_after_ms(const char *value) {
    uint64_t seconds;
    return net_number(value, 3600, &seconds) ? (uint32_t)seconds * 1000 : 0;
}

void net_etag_copy(const char *value, char out[NET_NAME_MAX + 3]) {
    size_t n = strlen(value);
    out[0] = 0;
    if (n < 3 || n > NET_NAME_MAX + 2 || value[0] != '"' || value[n - 1] != '"' || !net_value_is_good(value)) return;
    memcpy(out, value + 1, n - 2);
    out[n - 2] = 0;
}

/* --- a call --- */

typedef struct exchange {
    net_ask *ask;
    size_t at;
    uint32_t wait_ms;
    bool too_long;
    net_answer *out;
} exchange;

static ssize_t on_read(void *ctx, uint8_t *out, size_t max) {
    exchange *x = ctx;
    if (x->ask->read != NULL) return x->ask->read(x->ask->ctx, out, max);
    size_t left = (size_t)x->ask->length - x->at, n = left < max ? left : max;
    memcpy(out, (const uint8_t *)x->ask->body + x->at, n);
    x->at += n;
    return (ssize_t)n;
}

static bool on_rewind(void *ctx) {
    exchange *x = ctx;
    if (x->ask->read != NULL) return false;
    x->at = 0;
    return true;
}

static void on_field(void *ctx, uint32_t status, const char *name, const char *value) {
    exchange *x = ctx;
    (void)status;
    if (strcmp(name, "etag") == 0) net_etag_copy(value, x->out->etag);
    if (strcmp(name, "retry-after") == 0) x->wait_ms = net_retry_after_ms(value);
    if (strcmp(name, "upload-offset") == 0) x->out->has_offset = net_number(value, INT64_MAX, &x->out->offset);
    if (x->ask->field != NULL && strcmp(name, x->ask->field) == 0) {
        x->ask->has_number = net_number(value, INT64_MAX, &x->ask->number);
    }
}

static bool on_write(void *ctx, uint32_t status, const uint8_t *bytes, size_t length) {
    exchange *x = ctx;
    (void)status;
    if (x->out->body.length + length > x->ask->answer_max) {
        x->too_long = true;
        return false;
    }
    msfl_put_bytes(&x->out->body, bytes, length);
    return x->out->body.status == MSFL_OK;
}

/* One attempt. */
static void attempt(net_client *c, const char *url, exchange *x, net_call *call) {
    const net_ask *a = x->ask;
    x->ask->has_number = false;
    *call = (net_call){.method = a->method,
                       .url = url,
                       .headers = a->headers,
                       .has_body = a->body != NULL || a->read != NULL,
                       .body_length = a->length,
                       .read = on_read,
                       .rewind = on_rewind,
                       .field = on_field,
                       .write = on_write,
                       .ctx = x};
    net_curl_perform(c->curl, call);
    if (x->too_long) call->fault = NET_FAULT_TOO_LONG;
}

msfl_status net_client_ask(net_client *c, net_ask *ask, net_answer *out) {
    *out = (net_answer){0};
    char *url = msfl_format("%s%s", c->url, ask->path);
    if (url == NULL) return MSFL_NO_MEMORY;
    net_attempts attempts;
    net_attempts_begin(&attempts);
    msfl_status status;
    for (;;) {
        msfl_buffer_clear(&out->body);
        *out = (net_answer){0};
        exchange x = {.ask = ask, .out = out};
        net_call call;
        attempt(c, url, &x, &call);
        if (call.fault == NET_FAULT_NONE && !net_status_may_pass(call.status)) {
            out->status = call.status;
            c->proved = true;
            status = MSFL_OK;
            break;
        }
        /* Before a connection stood nothing can have been done; 429 and 503 say that nothing was. */
        bool nothing_done = call.fault == NET_FAULT_RESOLVE || call.fault == NET_FAULT_CONNECT ||
                            (call.fault == NET_FAULT_NONE && (call.status == 429 || call.status == 503));
        bool again = (call.fault == NET_FAULT_NONE || net_fault_may_pass(call.fault)) &&
                     (ask->repeat == NET_REPEAT || nothing_done) && ask->read == NULL;
        status = again ? net_attempts_wait(c, &attempts, &call, x.wait_ms) : net_call_failure(c, &call);
        if (status != MSFL_OK) break;
    }
    if (status != MSFL_OK) {
        msfl_buffer_clear(&out->body);
        *out = (net_answer){0};
    }
    msfl_free(url);
    return status;
}

msfl_status net_client_call(net_client *c, const char *method, const char *path, const void *body, size_t length,
                            size_t answer_max, net_repeat repeat, net_answer *out) {
    net_ask ask = {
        .method = method, .path = path, .body = body, .length = length, .answer_max = answer_max, .repeat = repeat};
    return net_client_ask(c, &ask, out);
}
