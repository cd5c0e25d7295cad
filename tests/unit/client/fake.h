/* A small coordinator for tests: one job, everything in memory, on the machines and the server that the real one uses;
 * and it can be told to lie. */
#ifndef TESTS_CLIENT_FAKE_H
#define TESTS_CLIENT_FAKE_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "base/sodium.h"
#include "job/aggregate.h"
#include "job/figures.h"
#include "job/plan.h"
#include "medsecurefl/client.h"
#include "medsecurefl/provision.h"
#include "medsecurefl/transcript.h"
#include "net/server.h"
#include "pki/kit.h"
#include "pki/round.h"
#include "round/message.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static inline void ok_at(msfl_status status, const char *file, int line) {
    if (status != MSFL_OK) print_error("%s: %s\n", msfl_status_name(status), msfl_error_message());
    _assert_int_equal(status, MSFL_OK, file, line);
}
#define ok(call) ok_at(call, __FILE__, __LINE__)

enum { FAKE_SITES = 3, FAKE_MODELS = 16 };

/* How long a test waits for what has to come. How fast it comes, on a busy machine or under a sanitizer, is not tested.
 */
enum { FAKE_PATIENCE_MS = 120000 };

typedef struct fake {
    char folder[64], kits[96];
    pki_kit *kit;
    pki_gate *gate;
    net_server *server;
    msfl_identity_secret *secret;
    msfl_roster *roster;
    const msfl_roster_info *info;
    pthread_mutex_t lock;
    /* the job */
    job_spec spec;
    job_shape *shape;
    char *text;
    uint8_t hash[MSFL_HASH_BYTES], task[MSFL_HASH_BYTES];
    char id[JOB_ID_MAX + 1];
    const char *state;
    msfl_packed *ctx;
    msfl_coordinator *machine;
    uint8_t **spool; /* FAKE_SITES x (n_chunks + 1) of the open round */
    size_t n_spool;
    uint64_t version;
    float *models[FAKE_MODELS];
    char plan[8192];
    uint64_t plan_number;
    uint64_t posts, chunks, refusals, bytes_up; /* chunks: messages with a part of a ciphertext */
    char reports[8192];                         /* all of them, one after the other */
    /* lies */
    uint32_t lie_min_cohort;
    bool lie_text, lie_model, lie_plan_rate, lie_plan_clip;
    bool lie_clip;      /* other bounds, in announcement and plan alike */
    uint64_t cut_after; /* bytes of an outbox body after which the connection is refused, once */
} fake;

static inline uint64_t fake_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- spool --- */

static inline uint8_t **fake_slot(fake *f, uint32_t client, uint64_t chunk) {
    return &f->spool[client * f->n_spool + chunk];
}

static inline msfl_status fake_put(void *self, uint64_t number, uint32_t client, uint64_t chunk, const uint8_t *bytes,
                                   size_t length) {
    (void)number;
    uint8_t **at = fake_slot(self, client, chunk);
    msfl_free(*at);
    *at = msfl_alloc(length, 1);
    memcpy(*at, bytes, length);
    return MSFL_OK;
}

static inline msfl_status fake_get(void *self, uint64_t number, uint32_t client, uint64_t chunk, uint8_t *bytes,
                                   size_t length) {
    (void)number;
    memcpy(bytes, *fake_slot(self, client, chunk), length);
    return MSFL_OK;
}

/* --- handlers --- */

static inline uint32_t fake_party(fake *f, net_request *request) {
    uint32_t n;
    ok(pki_round_party(f->kit->roster, net_request_peer(request)->name, &n));
    return n;
}

static inline msfl_status fake_roster(void *ctx, net_request *request) {
    fake *f = ctx;
    char *text;
    size_t length;
    char path[160];
    snprintf(path, sizeof path, "%s/ca", f->kits);
    msfl_status status = pki_folder_read(path, PKI_FILE_ROSTER, PKI_ROSTER_BYTES_MAX, &text, &length);
    if (status == MSFL_OK) status = net_answer_bytes(request, 200, "application/yaml", text, length);
    msfl_free(text);
    return status;
}

/* Waits while the version is the one that was seen, a fifth of a second at most: tests are short. */
static inline void fake_wait(fake *f, net_request *request) {
    const char *seen = net_request_header(request, "X-Msfl-Seen");
    for (int i = 0; i < 20 && seen != NULL; i++) {
        pthread_mutex_lock(&f->lock);
        const bool same = strtoull(seen, NULL, 10) == f->version;
        pthread_mutex_unlock(&f->lock);
        if (!same) return;
        usleep(10000);
    }
}

static inline msfl_status fake_version(fake *f, net_request *request) {
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, f->version);
    return net_answer_field(request, "X-Msfl-Version", text);
}

static inline msfl_status fake_jobs(void *ctx, net_request *request) {
    fake *f = ctx;
    char hex[65], text[512];
    fake_wait(f, request);
    pthread_mutex_lock(&f->lock);
    msfl_hex(f->hash, 32, hex);
    snprintf(text, sizeof text,
             "{\"epoch\":%u,\"jobs\":[{\"id\":\"%s\",\"name\":\"t\",\"state\":\"%s\",\"hash\":\"%s\"}]}",
             f->kit->roster->epoch, f->id, f->state, hex);
    msfl_status status = fake_version(f, request);
    pthread_mutex_unlock(&f->lock);
    return status == MSFL_OK ? net_answer_text(request, 200, "application/json", text) : status;
}

static inline msfl_status fake_job(void *ctx, net_request *request) {
    fake *f = ctx;
    if (!f->lie_text) return net_answer_text(request, 200, "application/json", f->text);
    char *other = msfl_strdup(f->text), *at = strstr(other, "\"min_cohort\":3");
    at[strlen("\"min_cohort\":")] = '2';
    msfl_status status = net_answer_text(request, 200, "application/json", other);
    msfl_free(other);
    return status;
}

static inline msfl_status fake_inbox(void *ctx, net_request *request) {
    fake *f = ctx;
    fake_wait(f, request);
    msfl_effects effects = {0};
    msfl_buffer frames = {0};
    pthread_mutex_lock(&f->lock);
    msfl_status status = fake_version(f, request);
    if (status == MSFL_OK) status = msfl_coordinator_poll(f->machine, fake_party(f, request), &effects);
    pthread_mutex_unlock(&f->lock);
    for (size_t i = 0; i < effects.n; i++) {
        if (effects.items[i].kind != MSFL_EFFECT_SEND) continue;
        msfl_put32(&frames, (uint32_t)effects.items[i].length);
        msfl_put_bytes(&frames, effects.items[i].bytes, effects.items[i].length);
    }
    if (status == MSFL_OK) {
        status = net_answer_bytes(request, frames.length > 0 ? 200 : 204, "application/vnd.medsecurefl.frames",
                                  frames.bytes, frames.length);
    }
    msfl_effects_clear(&effects);
    msfl_buffer_clear(&frames);
    return status;
}

typedef struct fake_body {
    msfl_buffer in, out;
} fake_body;

static inline msfl_status fake_begin(void *ctx, net_request *request) {
    (void)ctx;
    net_request_set_user(request, calloc(1, sizeof(fake_body)));
    return MSFL_OK;
}

static inline void fake_done(void *ctx, net_request *request) {
    (void)ctx;
    fake_body *b = net_request_user(request);
    msfl_buffer_clear(&b->in);
    msfl_buffer_clear(&b->out);
    free(b);
}

static inline msfl_status fake_message(fake *f, uint32_t from, const uint8_t *message, size_t length,
                                       msfl_buffer *out) {
    msfl_effects effects = {0};
    pthread_mutex_lock(&f->lock);
    const msfl_phase before = msfl_coordinator_phase(f->machine);
    msfl_status status = msfl_coordinator_receive(f->machine, fake_now(), from, message, length, &effects);
    if (status == MSFL_OK) status = msfl_coordinator_tick(f->machine, fake_now(), &effects);
    /* Of uploads; an answer of the committee may come when the round is over. */
    if (status != MSFL_OK && length > 12 && (message[8] == 3 || message[8] == 4)) f->refusals++;
    if (msfl_coordinator_phase(f->machine) != before) f->version++;
    pthread_mutex_unlock(&f->lock);
    for (size_t i = 0; i < effects.n; i++) {
        const msfl_effect *e = &effects.items[i];
        if (e->kind != MSFL_EFFECT_SEND || e->to != from) continue;
        msfl_put32(out, (uint32_t)e->length);
        msfl_put_bytes(out, e->bytes, e->length);
    }
    msfl_effects_clear(&effects);
    return status;
}

static inline msfl_status fake_bytes(void *ctx, net_request *request, const uint8_t *bytes, size_t length) {
    fake *f = ctx;
    fake_body *b = net_request_user(request);
    pthread_mutex_lock(&f->lock);
    f->bytes_up += length;
    const bool cut = f->cut_after > 0 && f->bytes_up >= f->cut_after;
    if (cut) f->cut_after = 0;
    pthread_mutex_unlock(&f->lock);
    if (cut) return msfl_fail(MSFL_ERR_IO, "cut"), MSFL_ERR_IO;
    msfl_put_bytes(&b->in, bytes, length);
    while (b->in.length >= 4 && b->in.length >= 4 + (size_t)msfl_load32(b->in.bytes)) {
        const size_t n = msfl_load32(b->in.bytes);
        if (n >= MSFL_FRAME_BYTES && msfl_load32(b->in.bytes + 12) == MSFL_MSG_CHUNK) {
            pthread_mutex_lock(&f->lock);
            f->chunks++;
            pthread_mutex_unlock(&f->lock);
        }
        msfl_status status = fake_message(f, fake_party(f, request), b->in.bytes + 4, n, &b->out);
        if (status != MSFL_OK) return status;
        memmove(b->in.bytes, b->in.bytes + 4 + n, b->in.length - 4 - n);
        b->in.length -= 4 + n;
    }
    return MSFL_OK;
}

static inline msfl_status fake_outbox(void *ctx, net_request *request) {
    fake *f = ctx;
    fake_body *b = net_request_user(request);
    pthread_mutex_lock(&f->lock);
    f->posts++;
    f->version++;
    pthread_mutex_unlock(&f->lock);
    return net_answer_bytes(request, 200, "application/vnd.medsecurefl.frames", b->out.bytes, b->out.length);
}

static inline msfl_status fake_plan(void *ctx, net_request *request) {
    fake *f = ctx;
    pthread_mutex_lock(&f->lock);
    const bool there = strtoull(net_request_param(request, 1), NULL, 10) == f->plan_number;
    msfl_status status = there ? net_answer_text(request, 200, "application/json", f->plan)
                               : msfl_fail(MSFL_ERR_MISSING, "no such round");
    pthread_mutex_unlock(&f->lock);
    return status;
}

static inline msfl_status fake_model(void *ctx, net_request *request) {
    fake *f = ctx;
    const unsigned long index = strtoul(net_request_param(request, 1), NULL, 10);
    if (index >= FAKE_MODELS || f->models[index] == NULL) return msfl_fail(MSFL_ERR_MISSING, "no such model");
    uint8_t hash[MSFL_HASH_BYTES];
    char etag[33], path[160];
    job_weights_hash(f->shape, f->models[index], hash);
    msfl_hex(hash, 16, etag);
    snprintf(path, sizeof path, "%s/model-%s", f->folder, net_request_peer(request)->name);
    float *copy = msfl_alloc(f->shape->n_values, sizeof *copy);
    memcpy(copy, f->models[index], f->shape->n_values * sizeof *copy);
    if (f->lie_model) copy[0] += 1;
    msfl_status status = msfl_file_write(path, copy, f->shape->n_values * sizeof *copy);
    msfl_free(copy);
    if (status != MSFL_OK) return status;
    return net_answer_file(request, open(path, O_RDONLY), f->shape->n_values * sizeof *copy, "application/octet-stream",
                           etag);
}

static inline msfl_status fake_report(void *ctx, net_request *request) {
    fake *f = ctx;
    fake_body *b = net_request_user(request);
    pthread_mutex_lock(&f->lock);
    const size_t used = strlen(f->reports);
    snprintf(f->reports + used, sizeof f->reports - used, "%.*s\n", (int)b->in.length, (const char *)b->in.bytes);
    pthread_mutex_unlock(&f->lock);
    return net_answer_text(request, 200, "application/json", "{}");
}

static inline msfl_status fake_keep(void *ctx, net_request *request, const uint8_t *bytes, size_t length) {
    (void)ctx;
    fake_body *b = net_request_user(request);
    msfl_put_bytes(&b->in, bytes, length);
    return b->in.status;
}

/* --- the federation --- */

static inline void fake_serve(fake *f) {
    static net_route routes[8];
    const net_route all[8] = {
        {NET_GET, "/v1/roster", NET_ANY_PARTY, 0, NULL, NULL, fake_roster, NULL, f},
        {NET_GET, "/v1/jobs", NET_ANY_PARTY, 0, NULL, NULL, fake_jobs, NULL, f},
        {NET_GET, "/v1/jobs/{job}", NET_ANY_PARTY, 0, NULL, NULL, fake_job, NULL, f},
        {NET_GET, "/v1/jobs/{job}/inbox", NET_ANY_PARTY, 0, NULL, NULL, fake_inbox, NULL, f},
        {NET_POST, "/v1/jobs/{job}/outbox", NET_ANY_PARTY, 1 << 28, fake_begin, fake_bytes, fake_outbox, fake_done, f},
        {NET_GET, "/v1/jobs/{job}/rounds/{number}", NET_ANY_PARTY, 0, NULL, NULL, fake_plan, NULL, f},
        {NET_GET, "/v1/jobs/{job}/models/{index}", NET_ANY_PARTY, 0, NULL, NULL, fake_model, NULL, f},
        {NET_POST, "/v1/jobs/{job}/report", NET_ANY_PARTY, 2048, fake_begin, fake_keep, fake_report, fake_done, f},
    };
    memcpy(routes, all, sizeof all);
    char host[256];
    uint32_t port;
    ok(pki_url_split(f->kit->config.url, host, &port));
    const net_server_options o = {.address = "127.0.0.1",
                                  .port = (uint16_t)port,
                                  .ca = f->kit->ca,
                                  .certificate = f->kit->certificate,
                                  .key = (const char *)f->kit->key,
                                  .gate = f->gate,
                                  .routes = routes,
                                  .n_routes = 8,
                                  .limits = net_limits_default()};
    ok(net_server_start(&o, &f->server));
}

/* A port that nobody listens on, and none that the system gives to outgoing connections. A name that this process holds
 * until its end stands for it, so that tests beside this one look elsewhere (tests/tools/ports.py). */
static inline unsigned fake_port(void) {
    for (;;) {
        uint16_t random;
        msfl_random_bytes(&random, sizeof random);
        const unsigned port = 20000 + random % 12000u;
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        const int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "msfl-test-port-%u", port);
        const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
        const int held = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const bool free_now = held >= 0 && bind(held, (struct sockaddr *)&name, size) == 0 && fd >= 0 &&
                              bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
        if (fd >= 0) close(fd);
        if (free_now) return port;
        if (held >= 0) close(held);
    }
}

/* The job, and a machine for it. */
static inline void fake_take(fake *f, const char *job) {
    ok(job_spec_parse("job", job, strlen(job), true, &f->spec));
    ok(job_spec_text(&f->spec, &f->text));
    job_hash(f->text, strlen(f->text), f->hash);
    job_task(f->hash, msfl_roster_hash(f->roster), f->task);
    job_id(&f->spec, f->hash, f->id);
    ok(job_shape_new(&f->spec, &f->shape));
    msfl_params params;
    ok(job_shape_params(f->shape, f->info, &params));
    ok(msfl_packed_new(&params, &f->ctx));
    f->n_spool = msfl_packed_chunks(f->ctx, f->shape->update_slots) + 1;
    f->spool = calloc(FAKE_SITES * f->n_spool, sizeof *f->spool);
    msfl_coordinator_config config = {
        .roster = f->roster, .secret = f->secret, .ctx = f->ctx, .spool = {f, fake_put, fake_get}, .resend_ms = 200};
    memcpy(config.task, f->task, sizeof config.task);
    ok(msfl_coordinator_new(&config, &f->machine));
    f->models[0] = msfl_alloc(f->shape->n_values, sizeof(float));
    if (f->shape->model != NULL) ok(job_shape_initial(f->shape, f->models[0]));
    f->state = "running";
    f->version++;
}

static inline void fake_drop(fake *f) {
    msfl_coordinator_free(f->machine);
    for (size_t i = 0; i < FAKE_SITES * f->n_spool; i++)
        msfl_free(f->spool[i]);
    free(f->spool);
    for (int i = 0; i < FAKE_MODELS; i++) {
        msfl_free(f->models[i]);
        f->models[i] = NULL;
    }
    msfl_packed_free(f->ctx);
    job_shape_free(f->shape);
    job_spec_clear(&f->spec);
    msfl_free(f->text);
}

/* Another job for the same hospitals; none of them is running. */
static inline void fake_next(fake *f, const char *job) {
    pthread_mutex_lock(&f->lock);
    fake_drop(f);
    fake_take(f, job);
    pthread_mutex_unlock(&f->lock);
}

static inline void fake_new(fake *f, const char *job) {
    char plan[512], path[160];
    memset(f, 0, sizeof *f);
    pthread_mutex_init(&f->lock, NULL);
    f->version = 1;
    f->state = "running";
    snprintf(f->folder, sizeof f->folder, "%s/msfl-client-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->kits, sizeof f->kits, "%s/kits", f->folder);
    snprintf(plan, sizeof plan,
             "federation: f\ncoordinator: {name: hub, url: 'https://localhost:%u'}\n"
             "hospitals: [{name: site-0}, {name: site-1}, {name: site-2}]\n",
             fake_port());
    snprintf(path, sizeof path, "%s/plan.yaml", f->folder);
    ok(msfl_file_write(path, plan, strlen(plan)));
    msfl_provision_options options = {0};
    msfl_provision_result result;
    ok(msfl_provision_create(path, f->kits, &options, &result));
    snprintf(path, sizeof path, "%s/hub", f->kits);
    ok(pki_kit_load(path, NULL, (int64_t)time(NULL), &f->kit));
    ok(pki_gate_new(f->kit->ca, strlen(f->kit->ca), f->kit->roster, &f->gate));
    ok(pki_round_secret(f->kit->identity, &f->secret));
    ok(pki_roster_round(f->kit->roster, &f->roster));
    f->info = msfl_roster_borrow(f->roster);
    fake_take(f, job);
    fake_serve(f);
}

static inline void fake_free(fake *f) {
    char command[128];
    net_server_stop(f->server);
    fake_drop(f);
    msfl_roster_free(f->roster);
    msfl_identity_free(f->secret);
    pki_gate_free(f->gate);
    pki_kit_free(f->kit);
    pthread_mutex_destroy(&f->lock);
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    assert_int_equal(system(command), 0);
}

/* --- rounds --- */

static inline void fake_open(fake *f, job_kind kind, uint32_t round) {
    job_plan plan = {.round = round,
                     .kind = kind,
                     .model = kind == JOB_UPDATE ? round - 1 : round,
                     .learning_rate = f->spec.rule.learning_rate};
    float clip[MSFL_MODEL_TENSORS_MAX];
    const job_clip_rule rule = job_shape_clip_rule(f->shape);
    job_clip_init(&rule, clip);
    if (f->lie_clip) clip[0] *= 1.0001F;
    if (kind == JOB_UPDATE) plan.clip = clip;
    msfl_update_layout *layout;
    ok(job_plan_layout(&plan, f->shape, &layout));
    msfl_round_offer offer = {.min_cohort = f->lie_min_cohort != 0 ? f->lie_min_cohort : f->spec.min_cohort,
                              .n_values = msfl_update_slots(layout),
                              .deadline_ms = fake_now() + FAKE_PATIENCE_MS,
                              .delivery = f->spec.delivery};
    msfl_update_layout_hash(layout, offer.layout);
    msfl_update_layout_free(layout);
    job_weights_hash(f->shape, f->models[plan.model], offer.model);
    msfl_effects effects = {0};
    char *text;
    pthread_mutex_lock(&f->lock);
    ok(msfl_coordinator_open(f->machine, fake_now(), &offer, &effects));
    msfl_effects_clear(&effects);
    plan.number = f->plan_number = msfl_coordinator_round(f->machine)->info.number;
    if (f->lie_plan_rate) plan.learning_rate *= 2;
    if (f->lie_plan_clip) clip[0] *= 2;
    ok(job_plan_text(&plan, f->shape->sent.n_tensors, &text));
    snprintf(f->plan, sizeof f->plan, "%s", text);
    msfl_free(text);
    f->version++;
    pthread_mutex_unlock(&f->lock);
}

/* Whether the sum was opened within so many milliseconds. */
static inline bool fake_opened(fake *f, unsigned ms) {
    for (unsigned i = 0; i < ms / 10; i++) {
        msfl_effects effects = {0};
        pthread_mutex_lock(&f->lock);
        (void)!msfl_coordinator_tick(f->machine, fake_now(), &effects);
        const msfl_phase phase = msfl_coordinator_phase(f->machine);
        pthread_mutex_unlock(&f->lock);
        msfl_effects_clear(&effects);
        if (phase == MSFL_PHASE_OPENED) return true;
        usleep(10000);
    }
    return false;
}

static inline void fake_abort(fake *f) {
    msfl_effects effects = {0};
    pthread_mutex_lock(&f->lock);
    ok(msfl_coordinator_abort(f->machine, "test", &effects));
    f->version++;
    pthread_mutex_unlock(&f->lock);
    msfl_effects_clear(&effects);
}

/* Decode the opened sum; `mean` NULL for figures. */
static inline void fake_close(fake *f, job_kind kind, uint32_t round, float *mean, uint64_t *counters,
                              uint32_t n_counters) {
    job_plan plan = {.round = round, .kind = kind};
    float clip[MSFL_MODEL_TENSORS_MAX];
    const job_clip_rule rule = job_shape_clip_rule(f->shape);
    job_clip_init(&rule, clip);
    if (kind == JOB_UPDATE) plan.clip = clip;
    msfl_update_layout *layout;
    msfl_update_decoder *decoder;
    size_t n;
    uint64_t first = 0;
    ok(job_plan_layout(&plan, f->shape, &layout));
    pthread_mutex_lock(&f->lock);
    (void)msfl_coordinator_cohort(f->machine, &n);
    ok(msfl_update_decoder_new(layout, (uint32_t)n, &decoder));
    const uint64_t slots = msfl_update_slots(layout);
    uint64_t *totals = msfl_alloc(msfl_packed_chunk_slots(f->ctx, slots, 0), sizeof *totals);
    for (uint64_t j = 0; j < msfl_packed_chunks(f->ctx, slots); j++) {
        const uint32_t k = msfl_packed_chunk_slots(f->ctx, slots, j);
        ok(msfl_coordinator_total(f->machine, j, totals));
        ok(msfl_update_decode(decoder, first, k, totals, mean));
        first += k;
    }
    for (uint32_t i = 0; i < n_counters; i++)
        counters[i] = msfl_update_counter(decoder, i);
    uint8_t result[MSFL_HASH_BYTES] = {1};
    msfl_effects effects = {0};
    ok(msfl_coordinator_finish(f->machine, result, &effects));
    msfl_effects_clear(&effects);
    f->version++;
    pthread_mutex_unlock(&f->lock);
    msfl_free(totals);
    msfl_update_decoder_free(decoder);
    msfl_update_layout_free(layout);
}

static inline void fake_end(fake *f) {
    pthread_mutex_lock(&f->lock);
    f->state = "done";
    f->version++;
    pthread_mutex_unlock(&f->lock);
}

/* --- hospitals --- */

typedef struct fake_site {
    fake *f;
    int index;
    char kit[160];
    volatile int cancel;
    msfl_client_options options;
    msfl_observer observer;
    pthread_t thread;
    msfl_status status;
    char message[1024];
    char log[65536];
} fake_site;

static inline void fake_observe(void *ctx, const msfl_event *e) {
    fake_site *s = ctx;
    if (e->text == NULL) return;
    pthread_mutex_lock(&s->f->lock);
    const size_t used = strlen(s->log);
    snprintf(s->log + used, sizeof s->log - used, "%s: %s\n", e->track, e->text);
    pthread_mutex_unlock(&s->f->lock);
    if (getenv("MSFL_TEST_LOG") != NULL) fprintf(stderr, "[site-%d] %s: %s\n", s->index, e->track, e->text);
}

static inline bool fake_said(fake_site *s, const char *words) {
    pthread_mutex_lock(&s->f->lock);
    const bool said = strstr(s->log, words) != NULL;
    pthread_mutex_unlock(&s->f->lock);
    return said;
}

/* Waits until it has said so. */
static inline bool fake_says(fake_site *s, const char *words) {
    for (unsigned i = 0; i < FAKE_PATIENCE_MS / 10 && !fake_said(s, words); i++)
        usleep(10000);
    return fake_said(s, words);
}

/* Waits until the coordinator was told so. */
static inline bool fake_hears(fake *f, const char *words) {
    bool heard = false;
    for (unsigned i = 0; i < FAKE_PATIENCE_MS / 10 && !heard; i++) {
        pthread_mutex_lock(&f->lock);
        heard = strstr(f->reports, words) != NULL;
        pthread_mutex_unlock(&f->lock);
        if (!heard) usleep(10000);
    }
    return heard;
}

static inline void *fake_run(void *ctx) {
    fake_site *s = ctx;
    s->status = msfl_client_run(&s->options);
    snprintf(s->message, sizeof s->message, "%s", s->status == MSFL_OK ? "" : msfl_error_message());
    return NULL;
}

static inline void fake_write(const fake *f, int index, const char *name, const char *text) {
    char path[200];
    snprintf(path, sizeof path, "%s/site-%d/%s", f->kits, index, name);
    ok(msfl_file_write(path, text, strlen(text)));
}

/* Configure: a share of common phantom images. */
static inline void fake_data(const fake *f, int index) {
    char text[256];
    snprintf(text, sizeof text,
             "data: {path: phantom, phantom_images: 120, share: {of: 3, index: %d, seed: 5}}\nthreads: 1\n", index);
    fake_write(f, index, "site.yaml", text);
}

static inline void fake_start(fake *f, fake_site *s, int index) {
    memset(s, 0, sizeof *s);
    s->f = f;
    s->index = index;
    snprintf(s->kit, sizeof s->kit, "%s/site-%d", f->kits, index);
    s->observer = (msfl_observer){.observe = fake_observe, .ctx = s, .cancel = &s->cancel};
    s->options = (msfl_client_options){.kit = s->kit, .once = true, .observer = &s->observer};
    assert_int_equal(pthread_create(&s->thread, NULL, fake_run, s), 0);
}

static inline void fake_join(fake_site *s) {
    pthread_join(s->thread, NULL);
}

static inline void fake_stop(fake_site *s) {
    msfl_set_flag(&s->cancel);
    fake_join(s);
}

#endif
