/* A session out of chunk operations: a coordinator that checks and adds, and a key holder that opens the sum. */
#include "base/error.h"
#include "base/mem.h"
#include "scheme/table.h"

#include <pthread.h>
#include <string.h>

typedef enum phase { COLLECTING, CLOSED, SPOILED } phase;

typedef struct session {
    const msfl_setup *setup;
    const msfl_keys *keys;
    const msfl_pair_ops *ops;
    uint8_t label[MSFL_HASH_BYTES];
    pthread_mutex_t lock; /* guards all below */
    phase phase;
    uint32_t n;
    bool *in; /* n_clients */
    uint8_t *sum;
} session;

static void session_free(void *inner) {
    session *s = inner;
    if (s == NULL) return;
    pthread_mutex_destroy(&s->lock);
    msfl_free(s->in);
    msfl_free(s->sum);
    msfl_free(s);
}

static msfl_status session_new(const msfl_setup *setup, msfl_keys *keys, const msfl_session_info *info, void **out) {
    session *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    s->setup = setup;
    s->keys = keys;
    s->ops = setup->scheme->pair;
    pthread_mutex_init(&s->lock, NULL);
    msfl_session_label(setup, keys, info, s->label);
    s->in = msfl_alloc(setup->request.n_clients, sizeof *s->in);
    s->sum = msfl_alloc(setup->facts.upload_bytes, 1);
    if (s->in == NULL || s->sum == NULL) {
        session_free(s);
        return MSFL_NO_MEMORY;
    }
    *out = s;
    return MSFL_OK;
}

/* A sender needs nothing of its own: the session is borrowed. */
static msfl_status sender_new(void *inner, uint32_t client, void **sender) {
    (void)client;
    *sender = inner;
    return MSFL_OK;
}

static void sender_free(void *sender) {
    (void)sender;
}

static msfl_status encrypt(void *sender, uint64_t j, const uint32_t *values, uint8_t *out) {
    const session *s = sender;
    return s->ops->encrypt(s->setup->inner, s->keys->inner, s->label, j, values, out);
}

static msfl_status finish(void *sender, uint8_t *trailer) {
    (void)sender;
    (void)trailer;
    return MSFL_OK;
}

/** Under the lock. */
static msfl_status welcome(const session *s, uint32_t client) {
    static const char *const why[] = {"", "the session is closed",
                                      "the session was spoiled by a failure while an upload was added; repeat it"};
    if (s->phase != COLLECTING) return msfl_fail(MSFL_ERR_POLICY, "client %u: %s", client, why[s->phase]);
    if (s->in[client]) return msfl_fail(MSFL_ERR_EXISTS, "client %u: its update is in the sum already", client);
    return MSFL_OK;
}

static msfl_status check_upload(const session *s, uint32_t client, const uint8_t *bytes) {
    for (uint64_t j = 0; j < s->setup->n_chunks; j++) {
        size_t length = msfl_setup_chunk_bytes(s->setup, j);
        uint32_t addends = 0;
        msfl_status status = s->ops->check(s->setup->inner, s->keys->inner, s->label, j, bytes, length, &addends);
        if (status != MSFL_OK) return msfl_fail_in(status, "client %u", client);
        if (addends != 1) {
            return msfl_fail(MSFL_ERR_MISMATCH, "client %u: chunk %llu is a sum of %u, not one client's", client,
                             (unsigned long long)j, addends);
        }
        bytes += length;
    }
    return MSFL_OK;
}

/** Under the lock. The bytes were checked, so a failure here is one of this machine: the sum is then given up. */
static msfl_status add_upload(session *s, uint32_t client, const uint8_t *bytes, uint64_t upload_bytes) {
    if (s->n == 0) {
        memcpy(s->sum, bytes, upload_bytes);
        return MSFL_OK;
    }
    size_t at = 0;
    for (uint64_t j = 0; j < s->setup->n_chunks; j++) {
        size_t length = msfl_setup_chunk_bytes(s->setup, j);
        msfl_status status = s->ops->add(s->setup->inner, s->keys->inner, s->label, j, s->sum + at, bytes + at, length);
        if (status != MSFL_OK) {
            if (j > 0) s->phase = SPOILED;
            return msfl_fail_in(status, "client %u: adding", client);
        }
        at += length;
    }
    return MSFL_OK;
}

static msfl_status upload(void *inner, uint32_t client, const uint8_t *bytes, uint64_t length, const uint8_t *trailer,
                          size_t trailer_length) {
    (void)trailer;
    (void)trailer_length;
    session *s = inner;
    /* Asked twice: now, to spare the work, and again with the lock held, when it counts. */
    pthread_mutex_lock(&s->lock);
    msfl_status status = welcome(s, client);
    pthread_mutex_unlock(&s->lock);
    if (status == MSFL_OK) status = check_upload(s, client, bytes);
    if (status != MSFL_OK) return status;
    pthread_mutex_lock(&s->lock);
    status = welcome(s, client);
    if (status == MSFL_OK) status = add_upload(s, client, bytes, length);
    if (status == MSFL_OK) {
        s->in[client] = true;
        s->n++;
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

static msfl_status close_session(void *inner) {
    session *s = inner;
    msfl_status status = MSFL_OK;
    pthread_mutex_lock(&s->lock);
    if (s->phase != COLLECTING) {
        status = msfl_fail(MSFL_ERR_POLICY, "the session was closed or given up before");
    } else if (s->n < s->setup->request.min_cohort) {
        status = msfl_fail(MSFL_ERR_POLICY, "%u updates are in, at least %u are needed before a sum may be opened",
                           s->n, s->setup->request.min_cohort);
    } else {
        s->phase = CLOSED;
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

static uint32_t cohort(const void *inner) {
    session *s = (session *)(uintptr_t)inner; /* the lock is no part of what is promised not to change */
    pthread_mutex_lock(&s->lock);
    uint32_t n = s->n;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static msfl_status open_chunk(const void *inner, uint64_t j, uint64_t *totals) {
    session *s = (session *)(uintptr_t)inner;
    pthread_mutex_lock(&s->lock);
    bool closed = s->phase == CLOSED;
    pthread_mutex_unlock(&s->lock);
    if (!closed) return msfl_fail(MSFL_ERR_POLICY, "a sum is opened after its session was closed");
    /* Nothing changes the sum after the close. */
    uint32_t addends = 0;
    const uint8_t *chunk = s->sum + j * msfl_setup_chunk_bytes(s->setup, 0); /* all but the last are alike */
    return s->ops->decrypt(s->setup->inner, s->keys->inner, s->label, j, chunk, msfl_setup_chunk_bytes(s->setup, j),
                           &addends, totals);
}

const msfl_session_ops msfl_pair_session = {
    .session_new = session_new,
    .session_free = session_free,
    .sender_new = sender_new,
    .sender_free = sender_free,
    .encrypt = encrypt,
    .finish = finish,
    .upload = upload,
    .close = close_session,
    .cohort = cohort,
    .open = open_chunk,
};
