/* A job whose machines run for real, in folders as a coordinator and its hospitals keep them: four hospitals of a
 * provisioned federation, three rounds (one of them aborted), then a new roster and one more round. */
#ifndef TEST_AUDIT_STAGE_H
#define TEST_AUDIT_STAGE_H

#include "../pki/common.h"
#include "../round/hall.h"
#include "audit/verify.h"
#include "base/error.h"
#include "pki/round.h"

static const char STAGE_JOB[] = "{\"name\":\"chest\",\"rounds\":3}";
#define STAGE_JOB_BYTES (sizeof STAGE_JOB - 1)
#define STAGE_PLAN                                                                                                     \
    "federation: chest\ncoordinator: {name: hub, url: 'https://hub.example'}\n"                                        \
    "hospitals: [{name: a}, {name: b}, {name: c}, {name: d}]\n"

enum { STAGE_COORDINATOR = 0, STAGE_A = 1, STAGE_D = 2, STAGE_FOLDERS = 3 };

typedef struct stage {
    const char *folder;
    hall h;
    pki_kit *kits[4], *hub;
    pki_roster *pki;
    msfl_audit_writer *writers[STAGE_FOLDERS];
    bool away; /* hospital d hears of nothing */
    uint8_t *announce[2];
    size_t announce_length[2];
} stage;

static stage *on_stage;

static inline const char *stage_path(const stage *s, int which) {
    static const char *const names[] = {"audit-hub", "audit-a", "audit-d"};
    return at(s->folder, names[which]);
}

/* What the process of hospital a or d would do with what it hears and says. */
static inline void stage_listen(hall *h, uint32_t from, uint32_t to, msfl_effect *e) {
    stage *s = on_stage;
    const uint32_t kind = msfl_load32(e->bytes + 8), site = from == MSFL_COORDINATOR ? to : from;
    const int which = site == 0 ? STAGE_A : STAGE_D;
    (void)h;
    if ((site != 0 && site != 3) || site >= h->n || (site == 3 && s->away)) return;
    if (kind == MSFL_MSG_ANNOUNCE) {
        msfl_free(s->announce[which - 1]);
        s->announce[which - 1] = hall_get(e->length, 1);
        memcpy(s->announce[which - 1], e->bytes, s->announce_length[which - 1] = e->length);
    }
    for (int twice = 0; twice < 2; twice++) { /* whatever is added may be added again */
        if (kind == MSFL_MSG_UPLOAD && from == site) {
            ok(msfl_audit_add_upload(s->writers[which], h->roster, s->announce[which - 1],
                                     s->announce_length[which - 1], e->bytes, e->length));
        }
        if (kind == MSFL_MSG_NEXT && from != site) {
            ok(msfl_audit_add_receipt(s->writers[which], h->roster, e->bytes, e->length));
        }
    }
}

static inline void stage_keep_record(stage *s) {
    for (int i = 0; i < STAGE_FOLDERS; i++) {
        if (i == STAGE_D && s->away) continue;
        ok(msfl_audit_add_record(s->writers[i], s->h.record, s->h.record_length));
        ok(msfl_audit_add_record(s->writers[i], s->h.record, s->h.record_length));
    }
}

/* Machines under the roster that lies at the authority now. */
static inline void stage_seat(stage *s, uint32_t n) {
    hall *h = &s->h;
    memset(h, 0, sizeof *h);
    const msfl_params_request request = {.n_clients = n, .value_bits = 2, .n_values = 3000, .ring_degree = 1024};
    msfl_params params;
    ok(msfl_params_plan(&request, &params));
    ok(msfl_packed_new(&params, &h->ctx));
    s->pki = roster_of(s->folder);
    ok(pki_roster_round(s->pki, &h->roster));
    h->r = msfl_roster_borrow(h->roster);
    ok(pki_round_secret(s->hub->identity, &h->coordinator_secret));
    for (uint32_t i = 0; i < n; i++)
        ok(pki_round_secret(s->kits[i]->identity, &h->secret[i]));
    uint8_t job[32];
    audit_job_hash((const uint8_t *)STAGE_JOB, STAGE_JOB_BYTES, job);
    audit_task(job, msfl_roster_hash(h->roster), h->task);
    h->n = n;
    h->min_cohort = 3;
    h->n_values = 40;
    h->n_chunks = msfl_packed_chunks(h->ctx, h->n_values);
    h->disk = hall_get(1 + n + h->r->k, sizeof *h->disk);
    h->tamper = stage_listen;
    assert_int_equal(hall_new_coordinator(h), MSFL_OK);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(hall_new_site(h, i), MSFL_OK);
        h->slots[i] = hall_get(h->n_values, sizeof *h->slots[i]);
        h->slots[i][0] = i % 3;
        assert_int_equal(hall_new_member(h, i), MSFL_OK);
    }
    char *text;
    size_t length;
    ok(pki_folder_read(at(s->folder, "kits/ca"), PKI_FILE_ROSTER, PKI_ROSTER_BYTES_MAX, &text, &length));
    for (int i = 0; i < STAGE_FOLDERS; i++) {
        ok(msfl_audit_add_roster(s->writers[i], s->pki->epoch, text, length));
        ok(msfl_audit_add_roster(s->writers[i], s->pki->epoch, text, length));
    }
    msfl_free(text);
}

static inline void stage_leave(stage *s) {
    hall_clear(&s->h);
    msfl_free(s->pki);
    for (int i = 0; i < 2; i++) {
        msfl_free(s->announce[i]);
        s->announce[i] = NULL;
    }
}

/* A round of the first `n_upload` hospitals. */
static inline void stage_round(stage *s, uint8_t model, uint32_t n_upload, bool aborted) {
    hall *h = &s->h;
    msfl_effects effects = {0};
    assert_int_equal(hall_open(h, model), MSFL_OK);
    assert_int_equal(hall_tick(h, 20), MSFL_OK);
    for (uint32_t i = 0; i < n_upload; i++)
        assert_int_equal(hall_upload(h, i), MSFL_OK);
    if (aborted) {
        ok(msfl_coordinator_abort(h->coordinator, "the sample of an abort", &effects));
        ok(hall_carry(h, 0, MSFL_COORDINATOR, &effects));
    } else {
        assert_int_equal(hall_tick(h, 2000), MSFL_OK);
        assert_int_equal(hall_tick(h, 2200), MSFL_OK);
        hall_finish(h);
    }
    stage_keep_record(s);
}

static inline void stage_open(stage *s) {
    for (int i = 0; i < STAGE_FOLDERS; i++)
        ok(msfl_audit_writer_open(stage_path(s, i), (const uint8_t *)STAGE_JOB, STAGE_JOB_BYTES, &s->writers[i]));
}

static inline void stage_close(stage *s) {
    for (int i = 0; i < STAGE_FOLDERS; i++)
        msfl_audit_writer_free(s->writers[i]);
}

/* Everything: afterwards the folders are complete and nobody is on stage. */
static inline void stage_play(stage *s, const char *folder) {
    static const char *const names[] = {"kits/a", "kits/b", "kits/c", "kits/d"};
    const msfl_provision_options plain = {0};
    msfl_provision_result r;
    *s = (stage){.folder = folder};
    on_stage = s;
    write_text(at(folder, "plan.yaml"), STAGE_PLAN);
    ok(msfl_provision_create(at(folder, "plan.yaml"), at(folder, "kits"), &plain, &r));
    for (uint32_t i = 0; i < 4; i++)
        ok(pki_kit_load(at(folder, names[i]), NULL, (int64_t)time(NULL), &s->kits[i]));
    ok(pki_kit_load(at(folder, "kits/hub"), NULL, (int64_t)time(NULL), &s->hub));
    stage_open(s);
    stage_seat(s, 4);
    stage_round(s, 'a', 4, false);
    stage_close(s); /* a process dies and goes on */
    stage_open(s);
    s->away = true;
    stage_round(s, 'b', 2, true);
    s->away = false;
    stage_round(s, 'c', 3, false);
    stage_leave(s);
    ok(msfl_provision_revoke(at(folder, "kits/ca"), "d", false, "left", &plain, &r));
    stage_seat(s, 3);
    stage_round(s, 'd', 3, false);
    stage_leave(s);
    stage_close(s);
    for (uint32_t i = 0; i < 4; i++)
        pki_kit_free(s->kits[i]);
    pki_kit_free(s->hub);
}

/* --- folders in memory --- */

typedef struct shelf {
    char *names[64];
    uint8_t *bytes[64];
    size_t length[64], n;
    audit_folder view;
} shelf;

static inline msfl_status shelf_read(void *self, const char *name, size_t bytes_max, uint8_t **bytes, size_t *length) {
    shelf *f = self;
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->names[i], name) != 0) continue;
        if (f->length[i] > bytes_max) return msfl_fail(MSFL_ERR_LIMIT, "%s is too long", name);
        *bytes = msfl_alloc(f->length[i] + 1, 1);
        if (*bytes == NULL) return MSFL_ERR_MEMORY;
        memcpy(*bytes, f->bytes[i], f->length[i]);
        *length = f->length[i];
        return MSFL_OK;
    }
    return msfl_fail(MSFL_ERR_MISSING, "%s is not there", name);
}

static inline void shelf_put(shelf *f, const char *name, const void *bytes, size_t length) {
    size_t i = 0;
    while (i < f->n && strcmp(f->names[i], name) < 0)
        i++;
    if (i == f->n || strcmp(f->names[i], name) != 0) {
        for (size_t j = f->n++; j > i; j--) {
            f->names[j] = f->names[j - 1];
            f->bytes[j] = f->bytes[j - 1];
            f->length[j] = f->length[j - 1];
        }
        f->names[i] = strdup(name);
    } else {
        free(f->bytes[i]);
    }
    f->bytes[i] = malloc(length + 1);
    memcpy(f->bytes[i], bytes, length);
    f->length[i] = length;
    f->view = (audit_folder){.names = f->names, .n = f->n, .self = f, .read = shelf_read};
}

static inline void shelf_drop(shelf *f, const char *name) {
    size_t i = 0;
    while (i < f->n && strcmp(f->names[i], name) != 0)
        i++;
    assert_true(i < f->n);
    free(f->names[i]);
    free(f->bytes[i]);
    for (f->n--; i < f->n; i++) {
        f->names[i] = f->names[i + 1];
        f->bytes[i] = f->bytes[i + 1];
        f->length[i] = f->length[i + 1];
    }
    f->view.n = f->n;
}

static inline uint8_t *shelf_get(const shelf *f, const char *name, size_t *length) {
    *length = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->names[i], name) != 0) continue;
        *length = f->length[i];
        return f->bytes[i];
    }
    fail_msg("%s is not on the shelf", name);
    return NULL;
}

static inline void shelf_double(shelf *f, const char *from, const char *to) {
    size_t length;
    const uint8_t *bytes = shelf_get(f, from, &length);
    uint8_t *copy = malloc(length + 1);
    memcpy(copy, bytes, length);
    shelf_put(f, to, copy, length);
    free(copy);
}

static inline void shelf_move(shelf *f, const char *from, const char *to) {
    shelf_double(f, from, to);
    shelf_drop(f, from);
}

static inline void shelf_load(shelf *f, const char *path) {
    audit_folder folder;
    memset(f, 0, sizeof *f);
    ok(audit_folder_open(path, &folder));
    for (size_t i = 0; i < folder.n; i++) {
        uint8_t *bytes;
        size_t length;
        ok(folder.read(folder.self, folder.names[i], 1 << 24, &bytes, &length));
        shelf_put(f, folder.names[i], bytes, length);
        msfl_free(bytes);
    }
    audit_folder_clear(&folder);
}

static inline void shelf_clear(shelf *f) {
    while (f->n > 0)
        shelf_drop(f, f->names[0]);
}

static inline void shelf_copy(const shelf *from, shelf *to) {
    memset(to, 0, sizeof *to);
    for (size_t i = 0; i < from->n; i++)
        shelf_put(to, from->names[i], from->bytes[i], from->length[i]);
}

#endif
