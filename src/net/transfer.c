/* Uploads and downloads that go on after a cut. */
#include "base/error.h"
#include "base/mem.h"
#include "net/client_private.h"
#include "net/spool.h"

#include <stdio.h>
#include <string.h>

enum { STEP = 65536, RESTARTS_MAX = 2 };

/* --- up --- */

typedef struct outgoing {
    msfl_hash done;    /**< of the first `hashed` bytes */
    msfl_hash running; /**< the same and what has gone of the piece on its way */
    net_client *client;
    const char *path;
    char *url;
    const net_source *source;
    uint64_t hashed;
    /* of the piece on its way: */
    uint64_t first, at, length, offset;
    msfl_status failed;
    uint32_t wait_ms;
    bool has_offset;
} outgoing;

static ssize_t read_piece(void *ctx, uint8_t *out, size_t max) {
    outgoing *o = ctx;
    uint64_t left = o->length - o->at;
    size_t n = left < max ? (size_t)left : max;
    o->failed = o->source->read(o->source->ctx, o->first + o->at, out, n);
    if (o->failed != MSFL_OK) return -1;
    msfl_hash_add(&o->running, out, n);
    o->at += n;
    return (ssize_t)n;
}

static bool rewind_piece(void *ctx) {
    outgoing *o = ctx;
    o->at = 0;
    o->running = o->done;
    return true;
}

static void piece_field(void *ctx, uint32_t status, const char *name, const char *value) {
    outgoing *o = ctx;
    (void)status;
    if (strcmp(name, "upload-offset") == 0) o->has_offset = net_number(value, INT64_MAX, &o->offset);
    if (strcmp(name, "retry-after") == 0) o->wait_ms = net_retry_after_ms(value);
}

/* Hash the source up to `offset`: what the server has already, from this process or an earlier one. */
static msfl_status hash_to(outgoing *o, uint64_t offset) {
    uint8_t *bytes = msfl_alloc(STEP, 1);
    if (bytes == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    if (offset < o->hashed) {
        net_upload_hash_init(&o->done);
        o->hashed = 0;
    }
    while (status == MSFL_OK && o->hashed < offset) {
        size_t n = offset - o->hashed < STEP ? (size_t)(offset - o->hashed) : STEP;
        status = o->source->read(o->source->ctx, o->hashed, bytes, n);
        if (status == MSFL_OK) msfl_hash_add(&o->done, bytes, n);
        o->hashed += n;
    }
    msfl_free(bytes);
    return status;
}

static void hash_text(const msfl_hash *state, char hex[2 * MSFL_HASH_BYTES + 1]) {
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_hash h = *state;
    msfl_hash_final(&h, hash);
    msfl_hex(hash, sizeof hash, hex);
}

/* Send [offset, offset + length). The piece that ends the upload is read twice: its hash goes ahead of it. */
static msfl_status send_piece(outgoing *o, uint64_t offset, uint64_t length, net_call *call) {
    char range[96], hash[96], hex[2 * MSFL_HASH_BYTES + 1];
    bool last = offset + length == o->source->length;
    msfl_status status = hash_to(o, offset);
    msfl_hash before = o->done;
    if (status == MSFL_OK && last) {
        status = hash_to(o, offset + length);
        hash_text(&o->done, hex);
        snprintf(hash, sizeof hash, "Upload-Hash: %s", hex);
        o->done = before;
        o->hashed = offset;
    }
    if (status != MSFL_OK) return status;
    if (length > 0) {
        snprintf(range, sizeof range, "Content-Range: bytes %llu-%llu/%llu", (unsigned long long)offset,
                 (unsigned long long)(offset + length - 1), (unsigned long long)o->source->length);
    } else {
        snprintf(range, sizeof range, "Content-Range: bytes */%llu", (unsigned long long)o->source->length);
    }
    const char *headers[] = {range, last ? hash : NULL, NULL};
    o->first = offset;
    o->length = length;
    o->has_offset = false;
    o->wait_ms = 0;
    o->failed = MSFL_OK;
    (void)rewind_piece(o);
    *call = (net_call){.method = "PUT",
                       .url = o->url,
                       .headers = headers,
                       .has_body = true,
                       .body_length = length,
                       .read = read_piece,
                       .rewind = rewind_piece,
                       .field = piece_field,
                       .ctx = o};
    net_curl_perform(o->client->curl, call);
    call->headers = NULL;
    if (o->failed != MSFL_OK) return o->failed;
    if (call->fault == NET_FAULT_NONE && call->status == 202 && o->has_offset && o->offset == offset + length) {
        o->done = o->running;
        o->hashed = offset + length;
    }
    return MSFL_OK;
}

static msfl_status ask_offset(outgoing *o, bool *complete, uint64_t *offset) {
    net_answer answer;
    msfl_status status = net_client_call(o->client, "GET", o->path, NULL, 0, 4096, NET_REPEAT, &answer);
    if (status != MSFL_OK) return status;
    *complete = answer.body.length > 0 && memmem(answer.body.bytes, answer.body.length, "complete", 8) != NULL;
    *offset = answer.offset;
    bool good = answer.status == 200 && answer.has_offset;
    uint32_t http = answer.status;
    msfl_buffer_clear(&answer.body);
    if (!good) return msfl_fail(MSFL_ERR_MISMATCH, "%s is no place for uploads (%u)", o->url, http);
    if (*offset > o->source->length || (*complete && *offset != o->source->length)) {
        return msfl_fail(MSFL_ERR_MISMATCH, "another upload of %llu bytes lies at %s", (unsigned long long)*offset,
                         o->url);
    }
    return MSFL_OK;
}

/* What the answer to a piece means for the offset. Sets `*ask` where the server must be asked. */
static msfl_status judge_piece(outgoing *o, net_call *call, net_attempts *attempts, uint32_t *restarts,
                               uint64_t *offset, bool *complete, bool *ask) {
    *ask = false;
    if (call->fault == NET_FAULT_NONE && call->status == 201) {
        *complete = true;
        *offset = o->source->length;
        return MSFL_OK;
    }
    if (call->fault == NET_FAULT_NONE && call->status == 202 && o->has_offset && o->offset <= o->source->length &&
        o->offset > *offset) {
        *offset = o->offset;
        net_attempts_moved(attempts);
        return MSFL_OK;
    }
    if (call->fault == NET_FAULT_NONE && (call->status == 409 || call->status == 422) &&
        ++*restarts <= (call->status == 422 ? RESTARTS_MAX : 100)) {
        *ask = true; /* somebody else wrote, or an earlier answer was lost; 422: from the beginning */
        return MSFL_OK;
    }
    if (call->fault == NET_FAULT_NONE && !net_status_may_pass(call->status)) {
        return msfl_fail(call->status == 413 ? MSFL_ERR_LIMIT : MSFL_ERR_MISMATCH, "%s refuses the upload (%u)", o->url,
                         call->status);
    }
    if (call->fault != NET_FAULT_NONE && !net_fault_may_pass(call->fault)) return net_call_failure(o->client, call);
    *ask = true;
    return net_attempts_wait(o->client, attempts, call, o->wait_ms);
}

msfl_status net_client_upload(net_client *client, const char *path, const net_source *source,
                              const net_progress *progress) {
    if (source->length == 0) return msfl_fail(MSFL_ERR_USAGE, "there is nothing to upload");
    outgoing *o = msfl_alloc(1, sizeof *o);
    if (o == NULL) return MSFL_NO_MEMORY;
    o->client = client;
    o->path = path;
    o->source = source;
    o->url = msfl_format("%s%s", client->url, path);
    net_upload_hash_init(&o->done);
    uint64_t offset = 0;
    uint32_t restarts = 0;
    bool complete = false, ask = true;
    net_attempts attempts;
    net_attempts_begin(&attempts);
    msfl_status status = o->url == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    while (status == MSFL_OK && !complete) {
        net_call call;
        uint64_t before = offset;
        if (ask) status = ask_offset(o, &complete, &offset);
        if (offset > before) net_attempts_moved(&attempts);
        if (status != MSFL_OK || complete) break;
        ask = false;
        uint64_t left = source->length - offset;
        /* left may be 0: all bytes are there, but not the word that they are complete. */
        status = send_piece(o, offset, left < NET_SEGMENT_BYTES ? left : NET_SEGMENT_BYTES, &call);
        if (status == MSFL_OK) status = judge_piece(o, &call, &attempts, &restarts, &offset, &complete, &ask);
        if (progress != NULL && progress->moved != NULL) progress->moved(progress->ctx, offset, source->length);
    }
    msfl_free(o->url);
    msfl_free(o);
    return status;
}

/* --- down --- */

typedef struct incoming {
    const net_sink *sink;
    uint64_t have, total;
    bool has_total, started;
    net_range range;
    bool has_range;
    uint64_t content_length;
    bool has_length;
    char etag[NET_NAME_MAX + 3];
    msfl_status failed;
    uint32_t wait_ms;
    uint64_t moved;
} incoming;

static void in_field(void *ctx, uint32_t status, const char *name, const char *value) {
    incoming *in = ctx;
    (void)status;
    if (strcmp(name, "etag") == 0) net_etag_copy(value, in->etag);
    if (strcmp(name, "content-range") == 0) in->has_range = net_content_range(value, &in->range);
    if (strcmp(name, "content-length") == 0) in->has_length = net_number(value, INT64_MAX, &in->content_length);
    if (strcmp(name, "retry-after") == 0) in->wait_ms = net_retry_after_ms(value);
}

/* Where the bytes that are about to come belong, decided once per answer. */
static msfl_status in_start(incoming *in, uint32_t status) {
    in->started = true;
    if (status == 206) {
        if (!in->has_range || in->range.first != in->have || (in->has_total && in->range.total != in->total)) {
            return msfl_fail(MSFL_ERR_MISMATCH, "the server goes on at another place than was asked for");
        }
        in->total = in->range.total;
    } else {
        if (!in->has_length) return msfl_fail(MSFL_ERR_MISMATCH, "the server does not say how long the file is");
        in->have = 0;
        in->total = in->content_length;
    }
    in->has_total = true;
    if (in->total <= in->sink->bytes_max) return MSFL_OK;
    return msfl_fail(MSFL_ERR_LIMIT, "the file has %llu bytes, more than the %llu that are accepted",
                     (unsigned long long)in->total, (unsigned long long)in->sink->bytes_max);
}

static bool in_write(void *ctx, uint32_t status, const uint8_t *bytes, size_t length) {
    incoming *in = ctx;
    if (status != 200 && status != 206) return true; /* words about a failure */
    if (!in->started) in->failed = in_start(in, status);
    if (in->failed == MSFL_OK && length > in->total - in->have) {
        in->failed = msfl_fail(MSFL_ERR_LIMIT, "more bytes came than were announced");
    }
    if (in->failed == MSFL_OK) in->failed = in->sink->write(in->sink->ctx, in->have, bytes, length);
    if (in->failed != MSFL_OK) return false;
    in->have += length;
    in->moved += length;
    return true;
}

static msfl_status fetch(net_client *client, const char *url, incoming *in, net_call *call) {
    char range[64], condition[NET_NAME_MAX + 24];
    snprintf(range, sizeof range, "Range: bytes=%llu-", (unsigned long long)in->have);
    snprintf(condition, sizeof condition, "If-Range: \"%s\"", in->etag);
    bool goes_on = in->have > 0 && in->etag[0] != 0;
    if (!goes_on) in->have = 0;
    const char *headers[] = {goes_on ? range : NULL, condition, NULL};
    in->started = in->has_range = in->has_length = false;
    in->wait_ms = 0;
    in->moved = 0;
    *call =
        (net_call){.method = "GET", .url = url, .headers = headers, .field = in_field, .write = in_write, .ctx = in};
    net_curl_perform(client->curl, call);
    call->headers = NULL;
    return in->failed;
}

msfl_status net_client_download(net_client *client, const char *path, const net_sink *sink, uint64_t from, char *etag,
                                uint64_t *length) {
    incoming in = {.sink = sink, .have = from};
    char *url = msfl_format("%s%s", client->url, path);
    if (url == NULL) return MSFL_NO_MEMORY;
    snprintf(in.etag, sizeof in.etag, "%s", etag);
    *length = 0;
    net_attempts attempts;
    net_attempts_begin(&attempts);
    msfl_status status = MSFL_OK;
    for (;;) {
        net_call call;
        status = fetch(client, url, &in, &call);
        if (status != MSFL_OK) break;
        bool fine = call.fault == NET_FAULT_NONE && (call.status == 200 || call.status == 206);
        if (fine && !in.started) status = in_start(&in, call.status); /* an empty file */
        if (status != MSFL_OK || (fine && in.have == in.total)) break;
        if (call.fault == NET_FAULT_NONE && call.status == 416 && from > 0) {
            in.have = from = 0; /* it has become shorter than what we have of it */
            continue;
        }
        bool again =
            call.fault == NET_FAULT_NONE ? fine || net_status_may_pass(call.status) : net_fault_may_pass(call.fault);
        if (!again) {
            status = call.fault != NET_FAULT_NONE ? net_call_failure(client, &call)
                                                  : msfl_fail(call.status == 404 ? MSFL_ERR_MISSING : MSFL_ERR_MISMATCH,
                                                              "%s answers %u", url, call.status);
            break;
        }
        if (in.moved > 0) net_attempts_moved(&attempts);
        status = net_attempts_wait(client, &attempts, &call, in.wait_ms);
        if (status != MSFL_OK) break;
    }
    if (status == MSFL_OK) {
        *length = in.total;
        memcpy(etag, in.etag, sizeof in.etag);
    }
    msfl_free(url);
    return status;
}
