#include "net/upload.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct net_spool {
    net_spool_options options;
    char *folder;
    pthread_mutex_t lock;
    net_upload *open[NET_SPOOL_OPEN_MAX];
    uint64_t counter;
};

/* One PUT on its way. */
typedef struct piece {
    net_upload *to;
    uint64_t writer;
    net_range range;
    const char *conflict; /**< the state to tell instead of taking it: "complete" or "partial"; NULL: none */
    uint64_t offset;      /**< to tell with it */
} piece;

msfl_status net_spool_new(const net_spool_options *options, net_spool **out) {
    *out = NULL;
    msfl_status status = msfl_folder_make(options->folder);
    if (status != MSFL_OK) return status;
    net_spool *spool = msfl_alloc(1, sizeof *spool);
    char *folder = msfl_strdup(options->folder);
    if (spool == NULL || folder == NULL) {
        msfl_free(spool);
        msfl_free(folder);
        return MSFL_NO_MEMORY;
    }
    spool->options = *options;
    spool->folder = folder;
    (void)pthread_mutex_init(&spool->lock, NULL);
    *out = spool;
    return MSFL_OK;
}

void net_spool_free(net_spool *spool) {
    if (spool == NULL) return;
    for (size_t i = 0; i < NET_SPOOL_OPEN_MAX; i++)
        net_upload_free(spool->open[i]);
    (void)pthread_mutex_destroy(&spool->lock);
    msfl_free(spool->folder);
    msfl_free(spool);
}

/* Under the spool's lock: the upload, taken into the table if it is not there. Its holder calls put_back. */
static msfl_status find(net_spool *spool, const char *peer, const char *key, net_upload **out) {
    size_t free_at = NET_SPOOL_OPEN_MAX;
    *out = NULL;
    for (size_t i = 0; i < NET_SPOOL_OPEN_MAX; i++) {
        net_upload *u = spool->open[i];
        if (u != NULL && strcmp(u->peer, peer) == 0 && strcmp(u->key, key) == 0) {
            u->used = ++spool->counter;
            u->holders++;
            *out = u;
            return MSFL_OK;
        }
        bool better =
            u == NULL || (u->holders == 0 && (free_at == NET_SPOOL_OPEN_MAX ||
                                              (spool->open[free_at] != NULL && u->used < spool->open[free_at]->used)));
        if (better && (free_at == NET_SPOOL_OPEN_MAX || spool->open[free_at] != NULL)) free_at = i;
    }
    if (free_at == NET_SPOOL_OPEN_MAX) {
        return msfl_fail(MSFL_ERR_CANCELLED, "%d uploads are being written at once", NET_SPOOL_OPEN_MAX);
    }
    msfl_status status = net_upload_new(spool->folder, peer, key, out);
    if (status != MSFL_OK) return status;
    net_upload_free(spool->open[free_at]);
    spool->open[free_at] = *out;
    (*out)->used = ++spool->counter;
    (*out)->holders = 1;
    return MSFL_OK;
}

static void put_back(net_spool *spool, net_upload *u) {
    pthread_mutex_lock(&spool->lock);
    u->holders--;
    pthread_mutex_unlock(&spool->lock);
}

static msfl_status hold(net_spool *spool, net_request *request, net_upload **out) {
    char key[NET_KEY_MAX + 1];
    *out = NULL;
    if (net_request_peer(request) == NULL) return msfl_fail(MSFL_ERR_POLICY, "uploads have an owner");
    (void)snprintf(key, sizeof key, "%s", net_request_param(request, 0));
    if (spool->options.key != NULL) {
        msfl_status named = spool->options.key(spool->options.hooks.ctx, request, key);
        if (named != MSFL_OK) return named;
    }
    if (key[0] == '.') return msfl_fail(MSFL_ERR_FORMAT, "a key does not begin with '.'");
    pthread_mutex_lock(&spool->lock);
    msfl_status status = find(spool, net_request_peer(request)->name, key, out);
    pthread_mutex_unlock(&spool->lock);
    return status;
}

static msfl_status put_offset(net_request *request, uint64_t offset) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)offset);
    return net_answer_field(request, "Upload-Offset", text);
}

static msfl_status say(net_request *request, uint32_t http, uint64_t offset, const char *what) {
    char text[96];
    snprintf(text, sizeof text, "{\"offset\":%llu,\"state\":\"%s\"}\n", (unsigned long long)offset, what);
    msfl_status status = put_offset(request, offset);
    return status == MSFL_OK ? net_answer_text(request, http, "application/json", text) : status;
}

/* --- GET: how far are we? --- */

static msfl_status ask(void *ctx, net_request *request) {
    net_spool *spool = ctx;
    net_upload *u;
    uint64_t length;
    msfl_status status = hold(spool, request, &u);
    if (status != MSFL_OK || u == NULL) return status;
    pthread_mutex_lock(&u->lock);
    bool complete = net_upload_is_complete(u, &length);
    if (!complete) status = net_upload_open(u, spool->folder, false, 0);
    if (status == MSFL_OK) {
        status = complete ? say(request, 200, length, "complete") : say(request, 200, u->offset, "partial");
    }
    pthread_mutex_unlock(&u->lock);
    put_back(spool, u);
    return status;
}

/* --- PUT --- */

static msfl_status send_begin(void *ctx, net_request *request) {
    net_spool *spool = ctx;
    net_range range;
    uint64_t length;
    const char *text = net_request_header(request, "Content-Range");
    if (text != NULL && net_content_range_end(text, &range.total)) {
        range.first = range.total; /* all bytes came, but the answer to the last piece was lost */
        range.length = 0;
        text = range.total == 0 ? NULL : text;
    } else if (text != NULL && !net_content_range(text, &range)) {
        text = NULL;
    }
    if (text == NULL || !net_request_length(request, &length) || length != range.length) {
        return msfl_fail(MSFL_ERR_FORMAT, "a piece has Content-Range: bytes first-last/total, and Content-Length");
    }
    if (range.total > spool->options.bytes_max) {
        return msfl_fail(MSFL_ERR_LIMIT, "an upload has at most %llu bytes",
                         (unsigned long long)spool->options.bytes_max);
    }
    piece *p = msfl_alloc(1, sizeof *p);
    if (p == NULL) return MSFL_NO_MEMORY;
    msfl_status status = hold(spool, request, &p->to);
    if (status != MSFL_OK || p->to == NULL) {
        msfl_free(p);
        return status;
    }
    net_upload *u = p->to;
    uint64_t whole;
    p->range = range;
    pthread_mutex_lock(&u->lock);
    if (net_upload_is_complete(u, &whole)) {
        p->conflict = "complete";
        p->offset = whole;
    } else {
        status = net_upload_open(u, spool->folder, true, spool->options.uploads_peer_max);
        /* The newest request has the word: one before it may hang on a connection that is dead already. */
        p->writer = ++u->writer;
        if (range.first != u->offset) p->conflict = "partial";
        p->offset = u->offset;
    }
    pthread_mutex_unlock(&u->lock);
    if (status != MSFL_OK) {
        put_back(spool, u);
        msfl_free(p);
        return status;
    }
    net_request_set_user(request, p);
    return MSFL_OK;
}

static msfl_status send_body(void *ctx, net_request *request, const uint8_t *bytes, size_t length) {
    (void)ctx;
    piece *p = net_request_user(request);
    if (p->conflict != NULL) return MSFL_OK; /* read all the same: a client still sending would not hear the answer */
    net_upload *u = p->to;
    pthread_mutex_lock(&u->lock);
    msfl_status status = MSFL_OK;
    if (p->writer != u->writer) {
        status = msfl_fail(MSFL_ERR_CANCELLED, "a newer request goes on with this upload");
    } else if (u->offset + length > p->range.first + p->range.length) {
        status = msfl_fail(MSFL_ERR_FORMAT, "the piece is longer than its Content-Range");
    } else {
        status = net_upload_append(u, bytes, length);
    }
    pthread_mutex_unlock(&u->lock);
    return status;
}

static msfl_status complete(net_spool *spool, net_request *request, net_upload *u) {
    uint8_t told[MSFL_HASH_BYTES], hash[MSFL_HASH_BYTES];
    const char *text = net_request_header(request, "Upload-Hash");
    msfl_hash h = u->hash;
    msfl_hash_final(&h, hash);
    if (text == NULL || !pki_hex_read(text, told, sizeof told) || !msfl_equal(told, hash, sizeof hash)) {
        msfl_status status = net_upload_restart(u);
        return status == MSFL_OK ? say(request, 422, 0, "hash") : status;
    }
    uint64_t length = u->offset;
    net_upload_forget(u);
    msfl_status status = msfl_file_rename(u->part, u->whole, true);
    const net_spool_hooks *hooks = &spool->options.hooks;
    if (status == MSFL_OK && hooks->complete != NULL) {
        status = hooks->complete(hooks->ctx, net_request_peer(request), u->key, u->whole, length, hash);
    }
    return status == MSFL_OK ? say(request, 201, length, "complete") : status;
}

static msfl_status send_finish(void *ctx, net_request *request) {
    net_spool *spool = ctx;
    piece *p = net_request_user(request);
    if (p->conflict != NULL) return say(request, 409, p->offset, p->conflict);
    net_upload *u = p->to;
    pthread_mutex_lock(&u->lock);
    msfl_status status = MSFL_OK;
    if (p->writer != u->writer) {
        status = msfl_fail(MSFL_ERR_CANCELLED, "a newer request goes on with this upload");
    } else if (fdatasync(u->fd) != 0) { /* what is acknowledged survives a power cut */
        status = msfl_fail_errno(errno, "cannot write %s", u->part);
    } else if (u->offset == p->range.total) {
        status = complete(spool, request, u);
    } else {
        status = say(request, 202, u->offset, "partial");
    }
    pthread_mutex_unlock(&u->lock);
    return status;
}

static void send_done(void *ctx, net_request *request) {
    piece *p = net_request_user(request);
    put_back(ctx, p->to);
    msfl_free(p);
}

/* --- DELETE --- */

static msfl_status discard(void *ctx, net_request *request) {
    net_spool *spool = ctx;
    net_upload *u;
    msfl_status status = hold(spool, request, &u);
    if (status != MSFL_OK || u == NULL) return status;
    pthread_mutex_lock(&u->lock);
    u->writer++;
    net_upload_forget(u);
    if (unlink(u->part) != 0 && errno != ENOENT) status = msfl_fail_errno(errno, "cannot remove %s", u->part);
    pthread_mutex_unlock(&u->lock);
    put_back(spool, u);
    return status == MSFL_OK ? say(request, 200, 0, "partial") : status;
}

void net_spool_routes(net_spool *spool, const char *pattern, uint32_t roles, net_route *routes) {
    routes[0] = (net_route){.method = NET_GET, .pattern = pattern, .roles = roles, .finish = ask, .ctx = spool};
    routes[1] = (net_route){.method = NET_PUT,
                            .pattern = pattern,
                            .roles = roles,
                            .body_max = NET_SEGMENT_BYTES,
                            .begin = send_begin,
                            .body = send_body,
                            .finish = send_finish,
                            .done = send_done,
                            .ctx = spool};
    routes[2] = (net_route){.method = NET_DELETE, .pattern = pattern, .roles = roles, .finish = discard, .ctx = spool};
}
