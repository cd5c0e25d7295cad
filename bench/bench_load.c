/* msfl-bench-load: many hospitals in one process against one coordinator, to see what it bears.
 *
 *   msfl-bench-load KITS N JOB [--threads T] [--seed S]
 *
 * KITS/hospital-1 ... hospital-N are kits whose private keys lie plain. Every hospital takes part in every round of JOB
 * with random updates: it asks for the jobs over a new connection, hears its inbox, fetches plan and weights, encrypts,
 * uploads, and later fetches the record; each of these calls is timed. Signatures, keys and ciphertexts are real; only
 * training and journals are left out, and the connection ends when a hospital has nothing to say. Prints one JSON
 * object: milliseconds by percentile for each step, failures, bytes. Never a timed test. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "client/link.h"
#include "job/figures.h"
#include "job/plan.h"
#include "medsecurefl/machine.h"
#include "pki/round.h"
#include "text/json.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNKS_MAX = 4096, ATTEMPTS = 6 };

typedef enum step { STEP_CONNECT, STEP_INBOX, STEP_PLAN, STEP_MODEL, STEP_UPLOAD, STEP_RECORD, STEPS } step;
static const char *const step_names[STEPS] = {"connect", "inbox", "plan", "model", "upload", "record"};

typedef struct hospital {
    pki_kit *kit;
    msfl_identity_secret *secret;
    msfl_site *site;
    uint32_t number;
    uint64_t n_done;     /* rounds whose upload was acknowledged */
    uint8_t **spool;     /* chunks of the open round */
    size_t *spool_bytes; /* their lengths */
} hospital;

typedef struct load {
    const char *kits, *job;
    uint32_t n, n_threads;
    uint64_t seed;
    hospital *hospitals;
    msfl_roster *roster;
    job_spec spec;
    job_shape *shape;
    uint8_t task[MSFL_HASH_BYTES];
    float *values; /* n_values, shared by all updates */
    pthread_mutex_t lock;
    uint32_t next;
    double *ms[STEPS]; /* by step: n_ms of them */
    size_t n_ms[STEPS], capacity[STEPS];
    uint64_t failures, bytes_up, uploads;
    char first_failure[300];
} load;

/* --- bookkeeping --- */

static void took(load *l, step s, uint64_t from_ns) {
    const double ms = (double)(msfl_now_ns() - from_ns) * 1e-6;
    pthread_mutex_lock(&l->lock);
    if (l->n_ms[s] < l->capacity[s]) l->ms[s][l->n_ms[s]++] = ms;
    pthread_mutex_unlock(&l->lock);
}

static void failed(load *l, const char *what) {
    pthread_mutex_lock(&l->lock);
    if (l->failures++ == 0) snprintf(l->first_failure, sizeof l->first_failure, "%s: %s", what, msfl_error_message());
    pthread_mutex_unlock(&l->lock);
}

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- a hospital's spool --- */

static msfl_status put(void *self, uint64_t number, uint32_t client, uint64_t chunk, const uint8_t *bytes,
                       size_t length) {
    hospital *h = self;
    (void)number, (void)client;
    if (chunk >= CHUNKS_MAX) return msfl_fail(MSFL_ERR_LIMIT, "more than %d chunks", CHUNKS_MAX);
    msfl_free(h->spool[chunk]);
    h->spool[chunk] = msfl_alloc(length, 1);
    if (h->spool[chunk] == NULL) return MSFL_NO_MEMORY;
    memcpy(h->spool[chunk], bytes, length);
    h->spool_bytes[chunk] = length;
    return MSFL_OK;
}

static msfl_status get(void *self, uint64_t number, uint32_t client, uint64_t chunk, uint8_t *bytes, size_t length) {
    hospital *h = self;
    (void)number, (void)client;
    if (chunk >= CHUNKS_MAX || h->spool[chunk] == NULL || h->spool_bytes[chunk] != length) return MSFL_ERR_MISSING;
    memcpy(bytes, h->spool[chunk], length);
    return MSFL_OK;
}

static void drop_spool(hospital *h) {
    for (uint64_t j = 0; j < CHUNKS_MAX; j++) {
        msfl_free(h->spool[j]);
        h->spool[j] = NULL;
    }
}

/* --- making them --- */

static msfl_status hospital_make(load *l, uint32_t i) {
    hospital *h = &l->hospitals[i];
    char *folder = msfl_format("%s/hospital-%u", l->kits, i + 1);
    h->spool = msfl_alloc(CHUNKS_MAX, sizeof *h->spool);
    h->spool_bytes = msfl_alloc(CHUNKS_MAX, sizeof *h->spool_bytes);
    if (folder == NULL || h->spool == NULL || h->spool_bytes == NULL) return MSFL_NO_MEMORY;
    msfl_status status = pki_kit_load(folder, NULL, (int64_t)time(NULL), &h->kit);
    msfl_free(folder);
    if (status == MSFL_OK && l->roster == NULL) status = pki_roster_round(h->kit->roster, &l->roster);
    if (status == MSFL_OK) status = pki_round_party(h->kit->roster, h->kit->config.name, &h->number);
    if (status == MSFL_OK) status = pki_round_secret(h->kit->identity, &h->secret);
    return status;
}

static msfl_status site_make(load *l, hospital *h) {
    msfl_site_config config = {.roster = l->roster,
                               .secret = h->secret,
                               .client = h->number,
                               .min_cohort = l->spec.min_cohort,
                               .spool = {h, put, get}};
    memcpy(config.task, l->task, sizeof l->task);
    return msfl_site_new(&config, &h->site);
}

static msfl_status job_fetch(load *l) {
    client_link *link;
    char *text = NULL;
    size_t length;
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_status status = client_link_new(l->hospitals[0].kit, NULL, ATTEMPTS, &link);
    if (status != MSFL_OK) return status;
    status = client_link_job(link, l->job, &text, &length);
    if (status == MSFL_OK) status = job_spec_parse("job", text, length, false, &l->spec);
    if (status == MSFL_OK) status = job_shape_new(&l->spec, &l->shape);
    if (status == MSFL_OK) {
        job_hash(text, length, hash);
        job_task(hash, msfl_roster_hash(l->roster), l->task);
        l->values = msfl_alloc(l->shape->n_values, sizeof *l->values);
        if (l->values == NULL) status = MSFL_NO_MEMORY;
    }
    for (uint64_t i = 0; status == MSFL_OK && i < l->shape->n_values; i++)
        l->values[i] = 0.01f * (float)((i * 2654435761u + l->seed) % 2001) / 1000.0f - 0.01f;
    msfl_free(text);
    client_link_free(link);
    return status;
}

/* --- one hospital's turn --- */

static msfl_status hear(hospital *h, const msfl_buffer *frames) {
    const uint8_t *message;
    size_t length;
    bool broken = false;
    msfl_reader r = msfl_reader_init(frames->bytes, frames->length);
    while (client_frame_next(&r, &message, &length, &broken)) {
        msfl_effects effects = {0};
        (void)!msfl_site_receive(h->site, now_ms(), message, length, &effects);
        msfl_effects_clear(&effects);
    }
    return broken ? msfl_fail(MSFL_ERR_FORMAT, "the coordinator's frames") : MSFL_OK;
}

static msfl_status collect(const msfl_effects *effects, msfl_buffer *frames) {
    for (size_t i = 0; i < effects->n; i++) {
        if (effects->items[i].kind == MSFL_EFFECT_SEND) {
            client_frame_put(frames, effects->items[i].bytes, effects->items[i].length);
        }
    }
    return frames->status;
}

/* Encrypt the update of the round that is offered: the whole body of the upload. */
static msfl_status encrypt(load *l, hospital *h, const msfl_update_layout *layout, msfl_buffer *frames) {
    const msfl_announcement a = *msfl_site_round(h->site);
    const uint64_t counters[JOB_UPDATE_COUNTERS] = {0};
    const msfl_update_input input = {.values = l->values,
                                     .n_samples = 1 + h->number % l->spec.samples_max,
                                     .counters = counters,
                                     .rounding_seed = l->seed + h->number};
    msfl_packed *ctx = NULL;
    msfl_update_encoder *encoder = NULL;
    uint32_t *slots = NULL;
    msfl_effects effects = {0};
    msfl_status status = msfl_packed_new(&a.info.params, &ctx);
    if (status == MSFL_OK) status = msfl_update_encoder_new(layout, &input, &encoder);
    if (status == MSFL_OK) status = msfl_site_start(h->site, ctx, a.info.model, a.info.layout, &effects);
    const uint64_t n_chunks = status == MSFL_OK ? msfl_packed_chunks(ctx, a.info.n_values) : 0;
    if (status == MSFL_OK) {
        slots = msfl_alloc(msfl_packed_chunk_slots(ctx, a.info.n_values, 0), sizeof *slots);
        if (slots == NULL) status = MSFL_NO_MEMORY;
    }
    uint64_t first = 0;
    for (uint64_t j = 0; j < n_chunks && status == MSFL_OK; j++) {
        const uint32_t n = msfl_packed_chunk_slots(ctx, a.info.n_values, j);
        status = msfl_update_quantise(encoder, first, n, slots, NULL);
        if (status == MSFL_OK) status = msfl_site_encrypt(h->site, j, slots, &effects);
        first += n;
    }
    if (status == MSFL_OK) status = msfl_site_finish(h->site, &effects);
    if (status == MSFL_OK) status = collect(&effects, frames);
    msfl_effects_clear(&effects);
    msfl_free(slots);
    msfl_update_encoder_free(encoder);
    msfl_packed_free(ctx);
    return status;
}

static msfl_status fetch_model(load *l, client_link *link, uint32_t index) {
    char path[160];
    net_answer a;
    snprintf(path, sizeof path, "/v1/jobs/%s/models/%u", l->job, index);
    const size_t bytes = l->shape->n_values * sizeof(float);
    msfl_status status = net_client_call(client_link_net(link), "GET", path, NULL, 0, bytes, NET_REPEAT, &a);
    if (status == MSFL_OK && (a.status != 200 || a.body.length != bytes)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "weights: status %u, %zu bytes", a.status, a.body.length);
    }
    msfl_buffer_clear(&a.body);
    return status;
}

static msfl_status take_part(load *l, hospital *h, client_link *link) {
    job_plan plan = {0};
    msfl_update_layout *layout = NULL;
    msfl_buffer frames = {0}, answer = {0};
    char *text = NULL;
    size_t length;
    uint64_t from = msfl_now_ns();
    msfl_status status = client_link_plan(link, l->job, msfl_site_round(h->site)->info.number, &text, &length);
    if (status == MSFL_OK) status = job_plan_parse(text, length, l->shape, &plan);
    if (status == MSFL_OK) status = job_plan_layout(&plan, l->shape, &layout);
    msfl_free(text);
    if (status != MSFL_OK) goto done;
    took(l, STEP_PLAN, from);
    from = msfl_now_ns();
    status = fetch_model(l, link, plan.model);
    if (status != MSFL_OK) goto done;
    took(l, STEP_MODEL, from);
    status = encrypt(l, h, layout, &frames);
    if (status != MSFL_OK) goto done;
    from = msfl_now_ns();
    status = client_link_post(link, l->job, &frames, &answer);
    if (status == MSFL_OK) status = hear(h, &answer);
    if (status == MSFL_OK && msfl_site_phase_of(h->site) != MSFL_SITE_WAITING) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "an upload was not acknowledged");
    }
    if (status != MSFL_OK) goto done;
    took(l, STEP_UPLOAD, from);
    h->n_done++;
    pthread_mutex_lock(&l->lock);
    l->bytes_up += frames.length;
    l->uploads++;
    pthread_mutex_unlock(&l->lock);
done:
    job_plan_clear(&plan);
    msfl_update_layout_free(layout);
    msfl_buffer_clear(&frames);
    msfl_buffer_clear(&answer);
    drop_spool(h);
    return status;
}

/* Whether the job still runs is in `*more`. */
static msfl_status turn(load *l, hospital *h, bool *more) {
    client_link *link = NULL;
    client_job_line *lines = NULL;
    size_t n = 0;
    uint64_t seen = 0;
    uint32_t epoch;
    msfl_buffer frames = {0};
    uint64_t from = msfl_now_ns();
    msfl_status status = client_link_new(h->kit, NULL, ATTEMPTS, &link);
    if (status == MSFL_OK) status = client_link_jobs(link, 0, &seen, &epoch, &lines, &n);
    if (status != MSFL_OK) goto done;
    took(l, STEP_CONNECT, from);
    *more = false;
    for (size_t i = 0; i < n; i++)
        *more |= strcmp(lines[i].id, l->job) == 0 && lines[i].state <= CLIENT_RUNNING;
    const bool waited = msfl_site_phase_of(h->site) == MSFL_SITE_WAITING;
    seen = 0;
    from = msfl_now_ns();
    status = client_link_inbox(link, l->job, &seen, 0, &frames);
    if (status == MSFL_OK) status = hear(h, &frames);
    if (status != MSFL_OK) goto done;
    took(l, waited && msfl_site_phase_of(h->site) != MSFL_SITE_WAITING ? STEP_RECORD : STEP_INBOX, from);
    if (msfl_site_phase_of(h->site) == MSFL_SITE_OFFERED) status = take_part(l, h, link);
done:
    msfl_free(lines);
    msfl_buffer_clear(&frames);
    client_link_free(link);
    return status;
}

static void *work(void *ctx) {
    load *l = ctx;
    bool more = true;
    while (more) {
        pthread_mutex_lock(&l->lock);
        hospital *h = &l->hospitals[l->next++ % l->n];
        const bool pause = l->next % l->n == 0;
        pthread_mutex_unlock(&l->lock);
        if (turn(l, h, &more) != MSFL_OK) failed(l, h->kit->config.name);
        if (pause) usleep(50000); /* nobody asks again at once */
    }
    return NULL;
}

/* --- what came of it --- */

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(load *l, double seconds) {
    json_t *steps = json_object();
    for (int s = 0; s < STEPS; s++) {
        static const double at[] = {0.5, 0.9, 0.99, 1};
        static const char *const names[] = {"p50", "p90", "p99", "max"};
        json_t *o = json_pack("{sI}", "n", (json_int_t)l->n_ms[s]);
        qsort(l->ms[s], l->n_ms[s], sizeof(double), by_size);
        for (int k = 0; k < 4 && l->n_ms[s] > 0; k++) {
            const size_t i = (size_t)(at[k] * (double)(l->n_ms[s] - 1));
            json_object_set_new(o, names[k], json_real(l->ms[s][i]));
        }
        json_object_set_new(steps, step_names[s], o);
    }
    json_t *o = json_pack("{si si sI sI sI sf so ss}", "hospitals", (int)l->n, "threads", (int)l->n_threads, "uploads",
                          (json_int_t)l->uploads, "bytes_up", (json_int_t)l->bytes_up, "failures",
                          (json_int_t)l->failures, "seconds", seconds, "ms", steps, "first_failure", l->first_failure);
    char *text = NULL;
    if (o != NULL && msfl_json_text(o, false, &text) == MSFL_OK) printf("%s\n", text);
    msfl_free(text);
    json_decref(o);
}

static uint64_t option(int argc, char **argv, const char *name, uint64_t otherwise) {
    for (int i = 4; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0) return strtoull(argv[i + 1], NULL, 10);
    return otherwise;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "msfl-bench-load KITS N JOB [--threads T] [--seed S]\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    load l = {.kits = argv[1],
              .job = argv[3],
              .n = (uint32_t)strtoul(argv[2], NULL, 10),
              .n_threads = (uint32_t)option(argc, argv, "--threads", 32),
              .seed = option(argc, argv, "--seed", 1)};
    pthread_mutex_init(&l.lock, NULL);
    msfl_status status = msfl_crypto_init();
    l.hospitals = msfl_alloc(l.n, sizeof *l.hospitals);
    if (status == MSFL_OK && (l.hospitals == NULL || l.n_threads == 0)) status = MSFL_NO_MEMORY;
    for (int s = 0; s < STEPS && status == MSFL_OK; s++) {
        l.capacity[s] = (size_t)l.n * 200;
        l.ms[s] = msfl_alloc(l.capacity[s], sizeof(double));
        if (l.ms[s] == NULL) status = MSFL_NO_MEMORY;
    }
    for (uint32_t i = 0; i < l.n && status == MSFL_OK; i++)
        status = hospital_make(&l, i);
    if (status == MSFL_OK) status = job_fetch(&l);
    for (uint32_t i = 0; i < l.n && status == MSFL_OK; i++)
        status = site_make(&l, &l.hospitals[i]);
    if (status != MSFL_OK) {
        fprintf(stderr, "msfl-bench-load: %s\n", msfl_error_message());
        return 1;
    }
    pthread_t *threads = msfl_alloc(l.n_threads, sizeof *threads);
    const uint64_t from = msfl_now_ns();
    for (uint32_t i = 0; threads != NULL && i < l.n_threads; i++)
        if (pthread_create(&threads[i], NULL, work, &l) != 0) return 1;
    for (uint32_t i = 0; threads != NULL && i < l.n_threads; i++)
        pthread_join(threads[i], NULL);
    print(&l, (double)(msfl_now_ns() - from) * 1e-9);
    return 0; /* the system frees everything */
}
