/* Whole jobs against a coordinator in a child process, which is killed at every step that makes something last: whoever
 * goes on from its folder must end with the same bytes. The hospitals are real machines with invented training; the
 * network is a pair of sockets. MSFL_EVERY=1 kills at every single step, otherwise at every few. */
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "coordinator/engine.h"
#include "job/figures.h"
#include "medsecurefl/provision.h"
#include "medsecurefl/transcript.h"
#include "pki/kit.h"
#include "pki/round.h"
#include "round/message.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ok(call)                                                                                                       \
    do {                                                                                                               \
        msfl_status ok_status = (call);                                                                                \
        if (ok_status != MSFL_OK) fail_msg("%s: %s (%s)", #call, msfl_error_message(), msfl_status_name(ok_status));   \
    } while (0)

enum { HOSPITALS = 3, FRAMES_MAX = 64 << 20 };

static char root[64];

static const char *at(const char *path) {
    static char out[8][256];
    static int next;
    next = (next + 1) % 8;
    snprintf(out[next], sizeof out[next], "%s/%s", root, path);
    return out[next];
}

static pki_kit *kit_of(const char *name) {
    pki_kit *kit;
    char path[64];
    snprintf(path, sizeof path, "kits/%s", name);
    ok(pki_kit_load(at(path), NULL, (int64_t)time(NULL), &kit));
    return kit;
}

static int make_root(void **state) {
    (void)state;
    static const char plan[] = "federation: chest\ncoordinator: {name: hub, url: 'https://localhost:1'}\n"
                               "hospitals: [{name: a}, {name: b}, {name: c}]\n";
    msfl_provision_options options = {0};
    msfl_provision_result result;
    /* A kill is not a power cut: memory keeps what a disk would, and faster. */
    snprintf(root, sizeof root, "%s/msfl-engine-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(root));
    ok(msfl_file_write(at("plan.yaml"), plan, strlen(plan)));
    ok(msfl_provision_create(at("plan.yaml"), at("kits"), &options, &result));
    return 0;
}

static int remove_root(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

/* --- the child: an engine behind a socket --- */

typedef enum op { OP_STEP, OP_INBOX, OP_SEND, OP_PLAN, OP_MODEL, OP_TEXT, OP_LIST, OP_SUBMIT, OP_ABORT, OP_STEPS } op;
typedef struct head {
    uint32_t op, party, length;
    uint64_t number;
} head;
static const char *const names[HOSPITALS] = {"a", "b", "c"};

static bool move_bytes(int fd, void *bytes, size_t length, bool out) {
    uint8_t *p = bytes;
    while (length > 0) {
        ssize_t n = out ? send(fd, p, length, MSG_NOSIGNAL) : recv(fd, p, length, 0);
        if (n <= 0) return false;
        p += n;
        length -= (size_t)n;
    }
    return true;
}

static void log_line(void *ctx, coord_level level, const char *job, const char *text) {
    (void)ctx, (void)level;
    if (getenv("MSFL_LOUD") != NULL) fprintf(stderr, "  [%d] %s: %s\n", (int)getpid(), job, text);
}

static msfl_status serve_one(coord_engine *e, const head *h, const uint8_t *body, char *id, msfl_buffer *out) {
    uint64_t version;
    char *text = NULL;
    size_t length = 0;
    uint8_t hash[32], *bytes = NULL;
    uint32_t wait_ms;
    msfl_status status = MSFL_OK;
    switch (h->op) {
    case OP_STEP:
        return coord_engine_step(e, h->number, &wait_ms);
    case OP_INBOX:
        return coord_engine_inbox(e, id, names[h->party], 0, 0, out, &version);
    case OP_SEND:
        return coord_engine_receive(e, id, names[h->party], body, h->length, out);
    case OP_PLAN:
        status = coord_engine_plan(e, id, h->number, &text);
        if (status == MSFL_OK) length = strlen(text);
        break;
    case OP_TEXT:
        status = coord_engine_text(e, id, &text, &length, hash);
        break;
    case OP_MODEL:
        status = coord_engine_model(e, id, (uint32_t)h->number, &text, hash);
        if (status == MSFL_OK) status = msfl_file_read(text, FRAMES_MAX, &bytes, &length);
        msfl_free(text);
        text = (char *)bytes;
        break;
    case OP_LIST:
        status = coord_engine_list(e, 0, 0, &text, &version);
        if (status == MSFL_OK) length = strlen(text);
        break;
    case OP_SUBMIT:
        status = coord_engine_submit(e, (const char *)body, h->length, h->number != 0 ? at("initial.f32") : NULL, id);
        if (status == MSFL_OK) msfl_put_bytes(out, id, strlen(id));
        return status;
    case OP_ABORT:
        return coord_engine_abort(e, id, (const char *)body);
    case OP_STEPS:
        msfl_put64(out, (uint64_t)msfl_file_steps());
        msfl_put64(out, msfl_alloc_bytes_peak());
        msfl_put64(out, msfl_peak_rss_bytes());
        return MSFL_OK;
    default:
        return MSFL_ERR_USAGE;
    }
    if (status == MSFL_OK) msfl_put_bytes(out, text, length);
    msfl_free(text);
    return status;
}

static void child(int fd, const char *folder, const char *job, long die_at) {
    pki_kit *kit;
    msfl_identity_secret *secret;
    coord_members *members;
    store *s;
    coord_engine *e;
    char *text, id[JOB_ID_MAX + 1], path[300];
    size_t length;
    snprintf(id, sizeof id, "%s", job);
    snprintf(path, sizeof path, "%s/state.db", folder);
    if (pki_kit_load(at("kits/hub"), NULL, (int64_t)time(NULL), &kit) != MSFL_OK ||
        pki_round_secret(kit->identity, &secret) != MSFL_OK ||
        pki_folder_read(at("kits/hub"), PKI_FILE_ROSTER, 1 << 20, &text, &length) != MSFL_OK ||
        coord_members_new(text, length, kit->config.consortium, &members) != MSFL_OK) {
        fprintf(stderr, "child: %s\n", msfl_error_message());
        _exit(3);
    }
    if (msfl_folder_make(folder) != MSFL_OK || store_open(path, &s) != MSFL_OK) {
        fprintf(stderr, "child: %s\n", msfl_error_message());
        _exit(3);
    }
    msfl_file_fault_at(labs(die_at), die_at > 0); /* below zero: that step fails, and the process lives on */
    msfl_alloc_peak_restart();                    /* of this process, not of the one that it was forked from */
    coord_engine_options o = {
        .folder = folder, .store = s, .secret = secret, .members = members, .now_ms = 1000, .log = log_line};
    if (coord_engine_new(&o, &e) != MSFL_OK) {
        fprintf(stderr, "child: %s\n", msfl_error_message());
        _exit(4);
    }
    for (;;) {
        head h;
        if (!move_bytes(fd, &h, sizeof h, false)) break;
        uint8_t *body = calloc(h.length + 1, 1);
        if (body == NULL || !move_bytes(fd, body, h.length, false)) break;
        msfl_buffer out = {0};
        msfl_status status = serve_one(e, &h, body, id, &out);
        if (status != MSFL_OK && h.op == OP_STEP && die_at >= 0) fprintf(stderr, "step: %s\n", msfl_error_message());
        free(body);
        (void)!msfl_file_step(); /* dying between a step and the answer that tells of it is a case of its own */
        int32_t code = status;
        uint32_t n = status == MSFL_OK ? (uint32_t)out.length : 0;
        bool sent = move_bytes(fd, &code, sizeof code, true) && move_bytes(fd, &n, sizeof n, true) &&
                    move_bytes(fd, out.bytes, n, true);
        msfl_buffer_clear(&out);
        if (!sent) break;
    }
    coord_engine_free(e);
    store_close(s);
    coord_members_drop(members);
    msfl_identity_free(secret);
    pki_kit_free(kit);
    msfl_free(text);
    _exit(0);
}

/* --- the parent's end --- */

typedef struct hub {
    pid_t pid;
    int fd;
    char folder[128], job[JOB_ID_MAX + 1];
    long die_at;
    uint32_t deaths;
} hub;

static void start(hub *h, long die_at) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    h->pid = fork();
    assert_true(h->pid >= 0);
    if (h->pid == 0) {
        close(pair[0]);
        child(pair[1], h->folder, h->job, die_at);
    }
    close(pair[1]);
    h->fd = pair[0];
    h->die_at = die_at;
}

static void stop(hub *h, bool kill_it) {
    int code;
    close(h->fd);
    if (kill_it) kill(h->pid, SIGKILL);
    assert_int_equal(waitpid(h->pid, &code, 0), h->pid);
    if (WIFEXITED(code) && WEXITSTATUS(code) != 0) fail_msg("the coordinator ended with %d", WEXITSTATUS(code));
}

/** False: it died; another one is there now. */
static bool ask(hub *h, uint32_t what, uint32_t party, uint64_t number, const void *body, size_t length,
                msfl_status *status, msfl_buffer *out) {
    head hd;
    memset(&hd, 0, sizeof hd); /* the gaps too */
    hd.op = what;
    hd.party = party;
    hd.number = number;
    hd.length = (uint32_t)length;
    int32_t code;
    uint32_t n;
    out->length = 0;
    bool good = move_bytes(h->fd, &hd, sizeof hd, true) && move_bytes(h->fd, (void *)body, length, true) &&
                move_bytes(h->fd, &code, sizeof code, false) && move_bytes(h->fd, &n, sizeof n, false);
    if (good) {
        uint8_t *bytes = malloc(n + 1);
        assert_non_null(bytes);
        good = move_bytes(h->fd, bytes, n, false);
        if (good) msfl_put_bytes(out, bytes, n);
        free(bytes);
    }
    if (!good) {
        int status_code;
        close(h->fd);
        assert_int_equal(waitpid(h->pid, &status_code, 0), h->pid);
        assert_true(WIFSIGNALED(status_code) && WTERMSIG(status_code) == SIGKILL);
        h->deaths++;
        start(h, 0);
        *status = MSFL_ERR_IO;
        return false;
    }
    *status = code;
    return true;
}

/* --- hospitals --- */

typedef struct kept {
    uint64_t number, chunk;
    uint8_t *bytes;
    size_t length;
} kept;

typedef struct hospital {
    uint32_t number;
    const msfl_roster *roster;
    msfl_identity_secret *secret;
    msfl_site *site;
    msfl_member *member;
    kept *kept;
    size_t n_kept;
    bool absent;
} hospital;

static msfl_status site_put(void *self, uint64_t number, uint32_t client, uint64_t chunk, const uint8_t *bytes,
                            size_t length) {
    hospital *p = self;
    (void)client;
    p->kept = realloc(p->kept, (p->n_kept + 1) * sizeof *p->kept);
    assert_non_null(p->kept);
    kept *k = &p->kept[p->n_kept++];
    *k = (kept){number, chunk, malloc(length), length};
    memcpy(k->bytes, bytes, length);
    return MSFL_OK;
}

static msfl_status site_get(void *self, uint64_t number, uint32_t client, uint64_t chunk, uint8_t *bytes,
                            size_t length) {
    hospital *p = self;
    (void)client;
    for (size_t i = p->n_kept; i-- > 0;) {
        if (p->kept[i].number != number || p->kept[i].chunk != chunk) continue;
        assert_int_equal(p->kept[i].length, length);
        memcpy(bytes, p->kept[i].bytes, length);
        return MSFL_OK;
    }
    return msfl_fail(MSFL_ERR_MISSING, "no such chunk");
}

typedef struct world {
    hub hub;
    pki_kit *kits[HOSPITALS];
    msfl_roster *roster;
    hospital h[HOSPITALS];
    job_spec spec;
    job_shape *shape;
    msfl_packed *ctx;
} world;

static const char description[] =
    "{\"format\":\"medsecurefl-job\",\"version\":1,\"name\":\"tiny\",\"tensors\":[{\"name\":\"w\",\"shape\":[%u,75],"
    "\"statistic\":false},{\"name\":\"m\",\"shape\":[17],\"statistic\":true}],\"rounds\":2,\"bits\":16,"
    "\"samples_max\":64,\"deadline_s\":600,\"seed\":7,\"nonce\":\"00112233445566778899aabbccddeeff\"%s}";

static void world_make(world *w, const char *name, uint32_t rows, const char *more, long die_at) {
    const size_t n_values = (size_t)rows * 75 + 17;
    float *initial = malloc(n_values * sizeof *initial);
    char text[1024];
    msfl_status status;
    msfl_buffer out = {0};
    memset(w, 0, sizeof *w);
    assert_non_null(initial);
    for (size_t i = 0; i < n_values; i++)
        initial[i] = 0.25f * (float)(i % 9);
    ok(msfl_file_write(at("initial.f32"), initial, n_values * sizeof *initial));
    free(initial);
    snprintf(w->hub.folder, sizeof w->hub.folder, "%s", at(name));
    for (uint32_t i = 0; i < HOSPITALS; i++)
        w->kits[i] = kit_of(names[i]);
    ok(pki_roster_round(w->kits[0]->roster, &w->roster));
    snprintf(text, sizeof text, description, rows, more);
    start(&w->hub, die_at);
    /* a submission that dies may be made again, under the same nonce */
    do { /* also after a failure of the disk */
        while (!ask(&w->hub, OP_SUBMIT, 0, 1, text, strlen(text), &status, &out)) {
        }
    } while (status == MSFL_ERR_IO);
    if (status == MSFL_ERR_EXISTS) {
        (void)ask(&w->hub, OP_LIST, 0, 0, "", 0, &status, &out);
        msfl_put8(&out, 0);
        const char *id = strstr((const char *)out.bytes, "\"id\":\"");
        assert_non_null(id);
        snprintf(w->hub.job, sizeof w->hub.job, "%.13s", id + 6);
    } else {
        ok(status);
        snprintf(w->hub.job, sizeof w->hub.job, "%.*s", (int)out.length, (const char *)out.bytes);
    }
    stop(&w->hub, false);
    start(&w->hub, die_at); /* that knows the job's name */
    while (!ask(&w->hub, OP_TEXT, 0, 0, "", 0, &status, &out)) {
    }
    ok(status);
    ok(job_spec_parse("job", (const char *)out.bytes, out.length, false, &w->spec));
    ok(job_shape_new(&w->spec, &w->shape));
    msfl_params params;
    ok(job_shape_params(w->shape, msfl_roster_borrow(w->roster), &params));
    ok(msfl_packed_new(&params, &w->ctx));
    uint8_t hash[32], task[32];
    job_hash((const char *)out.bytes, out.length, hash);
    job_task(hash, msfl_roster_hash(w->roster), task);
    for (uint32_t i = 0; i < HOSPITALS; i++) {
        hospital *p = &w->h[i];
        p->number = i;
        p->roster = w->roster;
        ok(pki_round_secret(w->kits[i]->identity, &p->secret));
        msfl_site_config site = {
            .roster = w->roster, .secret = p->secret, .client = i, .spool = {p, site_put, site_get}};
        msfl_member_config member = {.roster = w->roster, .secret = p->secret, .party = i};
        memcpy(site.task, task, 32);
        memcpy(member.task, task, 32);
        ok(msfl_site_new(&site, &p->site));
        ok(msfl_member_new(&member, &p->member));
    }
    msfl_buffer_clear(&out);
}

static void world_clear(world *w) {
    stop(&w->hub, true);
    for (uint32_t i = 0; i < HOSPITALS; i++) {
        hospital *p = &w->h[i];
        msfl_site_free(p->site);
        msfl_member_free(p->member);
        msfl_identity_free(p->secret);
        for (size_t k = 0; k < p->n_kept; k++)
            free(p->kept[k].bytes);
        free(p->kept);
        pki_kit_free(w->kits[i]);
    }
    msfl_packed_free(w->ctx);
    msfl_roster_free(w->roster);
    job_shape_free(w->shape);
    job_spec_clear(&w->spec);
}

/** Send what the machine wants sent; losses are what the machines are for. */
static void deliver(world *w, hospital *p, msfl_effects *effects) {
    msfl_buffer out = {0};
    msfl_status status;
    for (size_t i = 0; i < effects->n; i++) {
        const msfl_effect *e = &effects->items[i];
        if (e->kind != MSFL_EFFECT_SEND) continue;
        if (!ask(&w->hub, OP_SEND, p->number, 0, e->bytes, e->length, &status, &out)) break;
        msfl_reader r = msfl_reader_init(out.bytes, out.length);
        while (status == MSFL_OK && msfl_reader_left(&r) > 0) {
            msfl_effects more = {0};
            const size_t n = msfl_get32(&r);
            const uint8_t *message = msfl_get_bytes(&r, n);
            assert_non_null(message);
            msfl_status ignored = msfl_site_receive(p->site, 1, message, n, &more);
            (void)ignored;
            msfl_effects_clear(&more); /* what it asks for goes out with the next resend */
        }
    }
    msfl_effects_clear(effects);
    msfl_buffer_clear(&out);
}

/** Invented training: anything that follows from weights, hospital and round. */
static void train(world *w, hospital *p, const job_plan *plan, const float *weights) {
    msfl_update_layout *layout;
    msfl_update_encoder *encoder;
    msfl_effects effects = {0};
    uint8_t model[32], hash[32];
    const uint64_t n = w->shape->n_values;
    float *delta = calloc(n, sizeof *delta);
    uint64_t counters[JOB_EVAL_COUNTERS] = {0};
    assert_non_null(delta);
    ok(job_plan_layout(plan, w->shape, &layout));
    job_weights_hash(w->shape, weights, model);
    msfl_update_layout_hash(layout, hash);
    ok(msfl_site_start(p->site, w->ctx, model, hash, &effects));
    for (uint64_t i = 0; i < n; i++)
        delta[i] = 0.001f * (float)((i * 7 + p->number * 13 + plan->round) % 100) - 0.05f * weights[i];
    msfl_update_input input = {.values = delta,
                               .n_samples = 10 + p->number,
                               .counters = counters,
                               .rounding_seed = job_rounding_seed(w->spec.seed, p->number, plan->round - 1)};
    if (plan->kind == JOB_UPDATE) {
        counters[0] = 5, counters[1] = 10, counters[2] = 2048, counters[3] = 0;
    } else {
        input.n_samples = 1;
        input.values = NULL;
        counters[JOB_EVAL_N - 1] = 20;
        counters[JOB_EVAL_CORRECT - 1] = 11 + plan->round;
        counters[JOB_EVAL_LOSS - 1] = 20000 - 1000 * plan->round;
        counters[JOB_EVAL_BINS - 1 + 3] = 10;
        counters[JOB_EVAL_BINS - 1 + JOB_AUC_BINS + 9] = 10;
    }
    ok(msfl_update_check(layout, &input));
    ok(msfl_update_encoder_new(layout, &input, &encoder));
    const uint64_t slots = msfl_update_slots(layout);
    uint32_t *values = calloc(msfl_packed_chunk_slots(w->ctx, slots, 0), sizeof *values);
    assert_non_null(values);
    uint64_t first = 0;
    for (uint64_t j = 0; j < msfl_packed_chunks(w->ctx, slots); j++) {
        const uint32_t count = msfl_packed_chunk_slots(w->ctx, slots, j);
        ok(msfl_update_quantise(encoder, first, count, values, NULL));
        ok(msfl_site_encrypt(p->site, j, values, &effects));
        first += count;
    }
    ok(msfl_site_finish(p->site, &effects));
    free(values);
    free(delta);
    msfl_update_encoder_free(encoder);
    msfl_update_layout_free(layout);
    deliver(w, p, &effects);
}

static void take_part(world *w, hospital *p) {
    const msfl_announcement *a = msfl_site_round(p->site);
    msfl_buffer plan_text = {0}, weights = {0};
    msfl_status status;
    job_plan plan;
    if (ask(&w->hub, OP_PLAN, p->number, a->info.number, "", 0, &status, &plan_text) && status == MSFL_OK) {
        ok(job_plan_parse((const char *)plan_text.bytes, plan_text.length, w->shape, &plan));
        char path[400];
        uint8_t *bytes;
        size_t length;
        snprintf(path, sizeof path, "%s/jobs/%s/models/%06u.f32", w->hub.folder, w->hub.job, plan.model);
        if (w->shape->n_values > 100000) { /* as a server that sends a file: the coordinator does not hold it */
            ok(msfl_file_read(path, 1 << 30, &bytes, &length));
            assert_int_equal(length, w->shape->n_values * 4);
            train(w, p, &plan, (const float *)(const void *)bytes);
            msfl_free(bytes);
        } else if (ask(&w->hub, OP_MODEL, p->number, plan.model, "", 0, &status, &weights)) {
            ok(status);
            assert_int_equal(weights.length, w->shape->n_values * 4);
            train(w, p, &plan, (const float *)(const void *)weights.bytes);
        }
        job_plan_clear(&plan);
    }
    msfl_buffer_clear(&plan_text);
    msfl_buffer_clear(&weights);
}

static void visit(world *w, hospital *p) {
    msfl_buffer out = {0};
    msfl_status status;
    msfl_effects effects = {0};
    if (!ask(&w->hub, OP_INBOX, p->number, 0, "", 0, &status, &out)) goto done;
    if (status != MSFL_OK) fail_msg("inbox: %s", msfl_status_name(status));
    msfl_reader r = msfl_reader_init(out.bytes, out.length);
    while (msfl_reader_left(&r) > 0) {
        const size_t n = msfl_get32(&r);
        const uint8_t *message = msfl_get_bytes(&r, n);
        assert_non_null(message);
        const uint32_t kind = msfl_load32(message + 8);
        if (kind == MSFL_MSG_PROPOSE || kind == MSFL_MSG_RELEASE) {
            status = msfl_member_receive(p->member, MSFL_COORDINATOR, message, n, &effects);
            if (status != MSFL_OK) fail_msg("member %u: %s", p->number, msfl_error_message());
        } else {
            msfl_status ignored = msfl_site_receive(p->site, 1, message, n, &effects);
            (void)ignored;
        }
    }
    deliver(w, p, &effects);
    if (msfl_site_phase_of(p->site) == MSFL_SITE_OFFERED) take_part(w, p);
    if (msfl_site_phase_of(p->site) == MSFL_SITE_UPLOADING) {
        ok(msfl_site_resend(p->site, &effects));
        deliver(w, p, &effects);
    }
done:
    msfl_buffer_clear(&out);
}

/** Until the job has ended; its state. */
static const char *run(world *w, uint64_t now_ms, int turns) {
    static char state[16];
    msfl_buffer out = {0};
    msfl_status status;
    for (int turn = 0; turn < turns; turn++, now_ms += 100) {
        for (int i = 0; i < 3; i++)
            (void)ask(&w->hub, OP_STEP, 0, now_ms, "", 0, &status, &out);
        for (uint32_t i = 0; i < HOSPITALS; i++)
            if (!w->h[i].absent) visit(w, &w->h[i]);
        if (!ask(&w->hub, OP_LIST, 0, 0, "", 0, &status, &out)) continue;
        ok(status);
        msfl_put8(&out, 0);
        const char *found = strstr((const char *)out.bytes, "\"state\":\"");
        assert_non_null(found);
        snprintf(state, sizeof state, "%.*s", (int)strcspn(found + 9, "\""), found + 9);
        if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0) break;
    }
    msfl_buffer_clear(&out);
    return state;
}

typedef struct product {
    uint8_t *best, *last;
    size_t best_length, last_length;
} product;

static product product_of(const world *w) {
    product p;
    char path[400];
    snprintf(path, sizeof path, "%s/jobs/%s/agg_model.f32", w->hub.folder, w->hub.job);
    ok(msfl_file_read(path, 1 << 24, &p.best, &p.best_length));
    snprintf(path, sizeof path, "%s/jobs/%s/agg_model_last.f32", w->hub.folder, w->hub.job);
    ok(msfl_file_read(path, 1 << 24, &p.last, &p.last_length));
    return p;
}

/** The audit folder is one chain; number of its records. */
static uint32_t check_records(const world *w) {
    msfl_transcript t;
    uint8_t previous[32] = {0}, *bytes;
    size_t length;
    uint32_t n = 0;
    for (;; n++) {
        char path[400];
        snprintf(path, sizeof path, "%s/audit/%s/%06u.transcript", w->hub.folder, w->hub.job, n + 1);
        if (!msfl_file_exists(path)) break;
        ok(msfl_file_read(path, 1 << 24, &bytes, &length));
        ok(msfl_transcript_verify(bytes, length, w->roster, previous, &t));
        assert_int_equal(t.announcement.info.number, n + 1);
        memcpy(previous, t.hash, 32);
        msfl_free(bytes);
    }
    return n;
}

static void test_killed_anywhere(void **state) {
    (void)state;
    world w;
    msfl_buffer out = {0};
    msfl_status status;
    const uint64_t now = (uint64_t)time(NULL) * 1000;
    world_make(&w, "reference", 40, "", 0);
    assert_string_equal(run(&w, now, 400), "done");
    assert_true(ask(&w.hub, OP_STEPS, 0, 0, "", 0, &status, &out));
    const uint64_t steps = msfl_load64(out.bytes);
    msfl_buffer_clear(&out);
    const product wanted = product_of(&w);
    assert_int_equal(check_records(&w), 5); /* update, evaluate, update, evaluate, test */
    assert_int_equal(wanted.last_length, 4 * 3017);
    world_clear(&w);
    assert_true(steps > 100);
    const long stride = getenv("MSFL_EVERY") != NULL ? 1 : (long)steps / 24 + 1;
    uint32_t deaths = 0;
    for (long k = 1; k < (long)steps; k += stride) {
        char name[32];
        snprintf(name, sizeof name, "state-%ld", k);
        world_make(&w, name, 40, "", k);
        assert_string_equal(run(&w, now, 400), "done");
        deaths += w.hub.deaths;
        const product p = product_of(&w);
        assert_int_equal(p.last_length, wanted.last_length);
        assert_memory_equal(p.last, wanted.last, p.last_length);
        assert_memory_equal(p.best, wanted.best, p.best_length);
        assert_int_equal(check_records(&w), 5);
        msfl_free(p.best);
        msfl_free(p.last);
        world_clear(&w);
    }
    assert_true(deaths > 10);
    msfl_free(wanted.best);
    msfl_free(wanted.last);
}

/* A disk that fails once, at every step that makes something last: whoever had to be told hears of it, nothing is half
 * done, and the job goes on by itself to the same bytes. */
static void test_failing_disk(void **state) {
    (void)state;
    world w;
    msfl_buffer out = {0};
    msfl_status status;
    const uint64_t now = (uint64_t)time(NULL) * 1000;
    world_make(&w, "reference", 40, "", 0);
    assert_string_equal(run(&w, now, 400), "done");
    assert_true(ask(&w.hub, OP_STEPS, 0, 0, "", 0, &status, &out));
    const uint64_t steps = msfl_load64(out.bytes);
    msfl_buffer_clear(&out);
    const product wanted = product_of(&w);
    world_clear(&w);
    const long stride = getenv("MSFL_EVERY") != NULL ? 1 : (long)steps / 24 + 1;
    for (long k = 2; k < (long)steps; k += stride) {
        char name[32];
        snprintf(name, sizeof name, "failing-%ld", k);
        world_make(&w, name, 40, "", -k);
        assert_string_equal(run(&w, now, 400), "done");
        assert_int_equal(w.hub.deaths, 0);
        const product p = product_of(&w);
        assert_int_equal(p.last_length, wanted.last_length);
        assert_memory_equal(p.last, wanted.last, p.last_length);
        assert_memory_equal(p.best, wanted.best, p.best_length);
        assert_int_equal(check_records(&w), 5);
        msfl_free(p.best);
        msfl_free(p.last);
        world_clear(&w);
    }
    msfl_free(wanted.best);
    msfl_free(wanted.last);
}

/* What a round takes: the machine's sum, one vector of floats, and little beside. MSFL_VALUES=25600000 prints it for a
 * network of that size. */
static void test_memory_of_a_round(void **state) {
    (void)state;
    world w;
    msfl_buffer out = {0};
    msfl_status status;
    const char *asked = getenv("MSFL_VALUES");
    const uint32_t rows = (uint32_t)(asked != NULL ? strtoul(asked, NULL, 10) / 75 : 20000);
    world_make(&w, "large", rows, ",\"evaluate\":false,\"test\":false", 0);
    assert_string_equal(run(&w, (uint64_t)time(NULL) * 1000, 100), "done");
    assert_true(ask(&w.hub, OP_STEPS, 0, 0, "", 0, &status, &out));
    const uint64_t heap = msfl_load64(out.bytes + 8), resident = msfl_load64(out.bytes + 16);
    msfl_buffer_clear(&out);
    uint64_t sum = 0;
    for (uint64_t j = 0; j < msfl_packed_chunks(w.ctx, w.shape->update_slots); j++)
        sum += msfl_packed_chunk_bytes(w.ctx, w.shape->update_slots, j);
    const uint64_t vector = w.shape->n_values * sizeof(float);
    if (asked != NULL) {
        print_message("%llu values: sum %.1f MB, one vector %.1f MB, heap at most %.1f MB, resident at most %.1f MB\n",
                      (unsigned long long)w.shape->n_values, (double)sum * 1e-6, (double)vector * 1e-6,
                      (double)heap * 1e-6, (double)resident * 1e-6);
    }
    assert_true(heap < sum + vector + ((uint64_t)16 << 20));
    world_clear(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed_anywhere, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_failing_disk, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_memory_of_a_round, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
