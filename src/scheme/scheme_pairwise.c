/* pairwise: masks that cancel, with recovery of clients that drop out. The clients' exchange happens when the session
 * begins: all of them are local parties here. */
#include "base/error.h"
#include "base/mem.h"
#include "medsecurefl/pairwise.h"
#include "scheme/table.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static msfl_status setup_new(const msfl_scheme_request *r, void **out) {
    if (r->n_clients > MSFL_PAIRWISE_CLIENTS_MAX) {
        return msfl_fail(MSFL_ERR_PARAMS, "%u clients: 2 to %d are possible, since everyone agrees with everyone",
                         r->n_clients, MSFL_PAIRWISE_CLIENTS_MAX);
    }
    if (r->security_bits > 128 || r->ring_degree != 0) {
        return msfl_fail(r->ring_degree != 0 ? MSFL_ERR_USAGE : MSFL_ERR_PARAMS,
                         "masks stand on X25519: 128-bit security, and there is no ring degree");
    }
    msfl_pairwise_info *info = msfl_alloc(1, sizeof *info);
    if (info == NULL) return MSFL_NO_MEMORY;
    *info = (msfl_pairwise_info){.n_clients = r->n_clients,
                                 .threshold = r->n_clients / 2 + 1,
                                 .min_cohort = r->min_cohort,
                                 .value_bits = r->value_bits,
                                 .n_values = r->n_values};
    msfl_status status = msfl_pairwise_check(info);
    if (status != MSFL_OK) {
        msfl_free(info);
        return status;
    }
    *out = info;
    return MSFL_OK;
}

static void setup_free(void *inner) {
    msfl_free(inner);
}

static void facts(const void *inner, msfl_scheme_facts *out) {
    const msfl_pairwise_info *info = inner;
    uint64_t n = info->n_clients;
    *out =
        (msfl_scheme_facts){.security_bits = 128,
                            .log2_failure = -INFINITY,
                            /* adverts and packets of all others in, its own out, and the answer */
                            .setup_bytes = n * MSFL_PAIRWISE_ADVERT_BYTES + 2 * (n - 1) * MSFL_PAIRWISE_PACKET_BYTES +
                                           msfl_pairwise_answer_bytes(info)};
    snprintf(out->parameters, sizeof out->parameters, "masks modulo 2^%u, X25519, %u of %u shares recover a drop-out",
             msfl_pairwise_slot_bits(info), info->threshold, info->n_clients);
}

static uint64_t chunks(const void *inner) {
    return msfl_pairwise_chunks(inner);
}

static uint32_t chunk_values(const void *inner, uint64_t j) {
    return msfl_pairwise_chunk_values(inner, j);
}

static size_t chunk_bytes(const void *inner, uint64_t j) {
    return msfl_pairwise_chunk_bytes(inner, j);
}

/* --- session --- */

typedef struct session {
    msfl_pairwise_info info;
    msfl_pairwise_client **clients; /* n_clients */
    msfl_pairwise_server *server;
    pthread_mutex_t lock; /* guards server and all below, until the close */
    bool *taken;          /* a client has one sender */
    uint32_t cohort;      /* after the close */
} session;

typedef struct sender {
    msfl_pairwise_client *client; /* borrowed from the session */
} sender;

static void session_free(void *inner) {
    session *s = inner;
    if (s == NULL) return;
    for (uint32_t i = 0; s->clients != NULL && i < s->info.n_clients; i++)
        msfl_pairwise_client_free(s->clients[i]);
    msfl_pairwise_server_free(s->server);
    pthread_mutex_destroy(&s->lock);
    msfl_free(s->clients);
    msfl_free(s->taken);
    msfl_free(s);
}

/** Adverts to all, packets to all, partners fixed. */
static msfl_status exchange(session *s) {
    const uint32_t n = s->info.n_clients;
    uint8_t *adverts = msfl_alloc(n, MSFL_PAIRWISE_ADVERT_BYTES);
    uint8_t *packets = msfl_alloc((size_t)n * n, MSFL_PAIRWISE_PACKET_BYTES);
    const uint8_t **list = msfl_alloc(n, sizeof *list);
    bool *partners = msfl_alloc(n, sizeof *partners);
    msfl_status status = MSFL_NO_MEMORY;
    if (adverts == NULL || packets == NULL || list == NULL || partners == NULL) goto done;
    status = MSFL_OK;
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++) {
        status = msfl_pairwise_client_new(&s->info, i, &s->clients[i]);
        if (status != MSFL_OK) break;
        msfl_pairwise_client_advert(s->clients[i], adverts + (size_t)i * MSFL_PAIRWISE_ADVERT_BYTES);
        list[i] = adverts + (size_t)i * MSFL_PAIRWISE_ADVERT_BYTES;
        partners[i] = true;
    }
    if (status == MSFL_OK) status = msfl_pairwise_server_new(&s->info, list, &s->server);
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++)
        status = msfl_pairwise_client_share(s->clients[i], list, packets + (size_t)i * n * MSFL_PAIRWISE_PACKET_BYTES);
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++) {
        for (uint32_t from = 0; from < n; from++)
            list[from] = from == i ? NULL : packets + ((size_t)from * n + i) * MSFL_PAIRWISE_PACKET_BYTES;
        status = msfl_pairwise_client_start(s->clients[i], list);
    }
    if (status == MSFL_OK) status = msfl_pairwise_server_start(s->server, partners);
done:
    msfl_free(adverts);
    msfl_free(packets);
    msfl_free(list);
    msfl_free(partners);
    return status;
}

static msfl_status session_new(const msfl_setup *setup, msfl_keys *keys, const msfl_session_info *info, void **out) {
    session *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    pthread_mutex_init(&s->lock, NULL);
    s->info = *(const msfl_pairwise_info *)setup->inner;
    msfl_session_label(setup, keys, info, s->info.round);
    s->clients = msfl_alloc(s->info.n_clients, sizeof(msfl_pairwise_client *));
    s->taken = msfl_alloc(s->info.n_clients, sizeof *s->taken);
    msfl_status status = s->clients == NULL || s->taken == NULL ? MSFL_NO_MEMORY : exchange(s);
    if (status != MSFL_OK) {
        session_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

static msfl_status sender_new(void *inner, uint32_t client, void **out) {
    session *s = inner;
    sender *mine = msfl_alloc(1, sizeof *mine);
    if (mine == NULL) return MSFL_NO_MEMORY;
    pthread_mutex_lock(&s->lock);
    bool taken = s->taken[client];
    s->taken[client] = true;
    pthread_mutex_unlock(&s->lock);
    if (taken) {
        msfl_free(mine);
        return msfl_fail(MSFL_ERR_POLICY,
                         "client %u has masked in this session before: two vectors under one mask would reveal their "
                         "difference",
                         client);
    }
    mine->client = s->clients[client];
    *out = mine;
    return MSFL_OK;
}

static void sender_free(void *inner) {
    msfl_free(inner);
}

static msfl_status encrypt(void *inner, uint64_t j, const uint32_t *values, uint8_t *out) {
    sender *s = inner;
    return msfl_pairwise_client_mask(s->client, j, values, out);
}

static msfl_status finish(void *inner, uint8_t *trailer) {
    (void)inner;
    (void)trailer;
    return MSFL_OK;
}

static msfl_status upload(void *inner, uint32_t client, const uint8_t *bytes, uint64_t length, const uint8_t *trailer,
                          size_t trailer_length) {
    (void)trailer;
    (void)trailer_length;
    session *s = inner;
    pthread_mutex_lock(&s->lock);
    msfl_status status = msfl_pairwise_server_upload(s->server, client, bytes, length);
    pthread_mutex_unlock(&s->lock);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "client %u", client);
}

/** Under the lock: every client that uploaded answers, once. */
static msfl_status collect_answers(session *s, const bool *uploaded, uint32_t *n) {
    size_t length = msfl_pairwise_answer_bytes(&s->info);
    uint8_t *answer = msfl_alloc(length, 1);
    msfl_status status = answer == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    *n = 0;
    for (uint32_t i = 0; i < s->info.n_clients && status == MSFL_OK; i++) {
        if (!uploaded[i]) continue;
        (*n)++;
        status = msfl_pairwise_client_answer(s->clients[i], uploaded, answer);
        if (status == MSFL_OK) status = msfl_pairwise_server_answer(s->server, i, answer, length);
    }
    msfl_free(answer);
    return status;
}

static msfl_status close_session(void *inner) {
    session *s = inner;
    uint32_t n = 0;
    bool *uploaded = msfl_alloc(s->info.n_clients, sizeof *uploaded);
    if (uploaded == NULL) return MSFL_NO_MEMORY;
    pthread_mutex_lock(&s->lock);
    msfl_status status = msfl_pairwise_server_close(s->server, uploaded);
    if (status == MSFL_OK) status = collect_answers(s, uploaded, &n);
    if (status == MSFL_OK) status = msfl_pairwise_server_unmask(s->server);
    if (status == MSFL_OK) s->cohort = n;
    pthread_mutex_unlock(&s->lock);
    msfl_free(uploaded);
    return status;
}

static uint32_t cohort(const void *inner) {
    const session *s = inner;
    return s->cohort;
}

static msfl_status open_chunk(const void *inner, uint64_t j, uint64_t *totals) {
    const session *s = inner;
    return msfl_pairwise_server_open(s->server, j, totals);
}

static const msfl_session_ops session_ops = {
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

const msfl_scheme msfl_scheme_pairwise = {
    .name = "pairwise",
    .summary = "masks that cancel in the sum; best for a few reliable sites",
    .trust = "More than half of the hospitals must not collude with the coordinator; every hospital takes part in "
             "setting up every round.",
    .traits = MSFL_SCHEME_ENCRYPTS | MSFL_SCHEME_ONE_TIME | MSFL_SCHEME_INTERACTIVE,
    .setup_new = setup_new,
    .setup_free = setup_free,
    .facts = facts,
    .chunks = chunks,
    .chunk_values = chunk_values,
    .chunk_bytes = chunk_bytes,
    .session = &session_ops,
};
