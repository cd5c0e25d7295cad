/* What is known once all samples are in: near copies, classes, figures, warnings. */
#include "import/job.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bunches, of which near copies make fewer. The lowest of those that belong together stands for all of them. */
typedef struct bunches {
    uint32_t *parent, *number;
    uint32_t next;
} bunches;

static uint32_t root_of(const bunches *b, uint32_t i) {
    while (b->parent[i] != i)
        i = b->parent[i] = b->parent[b->parent[i]];
    return i;
}

static void part_all(bunches *b, size_t n) {
    for (uint32_t i = 0; i < n; i++)
        b->parent[i] = i;
}

typedef struct copies {
    size_t pairs, at_odds, on_both_sides;
    bool searched;
} copies;

typedef struct tying {
    const msfl_import_job *job;
    const uint32_t *codes;
    bunches *b;
    copies *c;
} tying;

static msfl_status tie_pair(void *ctx, const msfl_pair *pair) {
    const tying *t = ctx;
    msfl_picture_row a, b;
    msfl_status status = msfl_spill_read(t->job->pictures, &a, pair->a, 1);
    if (status == MSFL_OK) status = msfl_spill_read(t->job->pictures, &b, pair->b, 1);
    if (status != MSFL_OK) return status;
    t->c->pairs++;
    t->c->at_odds += t->codes[a.label] != t->codes[b.label];
    t->c->on_both_sides += a.part != b.part;
    uint32_t x = root_of(t->b, a.bunch), y = root_of(t->b, b.bunch);
    t->b->parent[x > y ? x : y] = x > y ? y : x;
    return MSFL_OK;
}

/* Near copies of different patients go into one bunch. */
static msfl_status tie(msfl_import_job *job, const uint32_t *codes, bunches *b, copies *c) {
    if (job->n > MSFL_PRINTS_MAX) return MSFL_OK;
    msfl_observe_text(job->o->observer, MSFL_EVENT_PHASE, "data", "looking for near copies");
    tying t = {job, codes, b, c};
    msfl_status status = msfl_prints_search(job->prints, job->pool, tie_pair, &t);
    c->searched = status == MSFL_OK;
    if (status != MSFL_ERR_LIMIT) return status;
    /* So many that likeness tells nothing. */
    *c = (copies){0};
    part_all(b, job->patients.n);
    return MSFL_OK;
}

/* The n-th bunch that comes is number n. */
static msfl_status write_records(msfl_import_job *job, const uint32_t *codes, bunches *b) {
    msfl_picture_row rows[256];
    msfl_status status = MSFL_OK;
    for (size_t first = 0, n; first < job->n && status == MSFL_OK; first += n) {
        n = job->n - first < sizeof rows / sizeof rows[0] ? job->n - first : sizeof rows / sizeof rows[0];
        status = msfl_spill_read(job->pictures, rows, first, n);
        for (size_t i = 0; i < n && status == MSFL_OK; i++) {
            uint32_t root = root_of(b, rows[i].bunch);
            if (b->number[root] == UINT32_MAX) b->number[root] = b->next++;
            msfl_record r = {.label = codes[rows[i].label],
                             .bunch = b->number[root],
                             .part = rows[i].part,
                             .slice = rows[i].slice,
                             .volume = rows[i].volume};
            memcpy(r.patient, msfl_import_patient(job, rows[i].bunch), sizeof r.patient);
            status = msfl_store_record(job->store, &r);
        }
    }
    return status;
}

static int warn(json_t *warnings, const char *fmt, ...) MSFL_PRINTF(2, 3);
static int warn(json_t *warnings, const char *fmt, ...) {
    char text[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return json_array_append_new(warnings, json_string(text));
}

/* Number the classes of the samples that were taken: codes[word]. */
static msfl_status code_labels(const msfl_import_job *job, uint32_t *codes, msfl_texts *classes) {
    const size_t n_words = job->items.labels.texts.n;
    msfl_texts texts = {0}; /* in the order in which samples name them: of two spellings the first counts */
    uint32_t *place = msfl_alloc(n_words, sizeof *place), *code = msfl_alloc(n_words, sizeof *code), n = 0;
    msfl_sample_walk walk = {.from = job->samples};
    msfl_status status = place == NULL || code == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    for (const msfl_sample_row *row; status == MSFL_OK && (row = msfl_sample_next(&walk)) != NULL;) {
        if (place[row->label] != 0) continue;
        const char *label = msfl_words_get(&job->items.labels, row->label);
        status = msfl_texts_add(&texts, label, strlen(label));
        place[row->label] = (uint32_t)texts.n;
    }
    if (status == MSFL_OK) status = walk.status;
    if (status == MSFL_OK) status = msfl_texts_code(&texts, MSFL_CODE_CLASSES, code, classes, &n);
    for (size_t i = 0; i < n_words && status == MSFL_OK; i++)
        if (place[i] != 0) codes[i] = code[place[i] - 1];
    msfl_texts_clear(&texts);
    msfl_free(place);
    msfl_free(code);
    if (status == MSFL_OK && (n > MSFL_CLASSES_MAX || (n > 20 && n > job->n_samples / 2))) {
        status =
            msfl_fail(MSFL_ERR_DATA,
                      "%s has %u different values over %zu samples, so it looks like a measurement or an identifier "
                      "and not like a class",
                      job->items.label_key, n, job->n_samples);
    }
    return status;
}

static const char *patient_key(const msfl_import_job *job) {
    if (job->items.patient_key != NULL) return job->items.patient_key;
    if (job->some_by_header) return "the identifier in DICOM headers";
    if (job->items.patients.n > 0) return "the identifier in DICOM headers";
    return job->recipe.volumes ? "volume: no patient is known" : NULL;
}

static msfl_status put_figures(msfl_import_job *job, uint32_t n_patients, const copies *c, json_t *m) {
    json_t *source = json_object();
    if (source == NULL) return msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    msfl_status status = msfl_traits_source(job->samples, source);
    double values = (double)job->n * (double)msfl_recipe_mask_bytes(&job->recipe) * job->recipe.channels;
    int failed = json_object_set_new(m, "label_key", msfl_json_string(job->items.label_key));
    failed |= json_object_set_new(m, "patient_key", msfl_json_string(patient_key(job)));
    failed |= json_object_set_new(m, "samples", json_integer((json_int_t)job->n_samples));
    failed |= json_object_set_new(m, "patients", json_integer(n_patients));
    failed |= json_object_set_new(m, "clipped_share", json_real((double)job->n_clipped / values));
    if (job->spacing[0] > 0) {
        failed |= json_object_set_new(m, "picture_spacing",
                                      json_pack("[f, f, f]", job->spacing[0], job->spacing[1], job->spacing[2]));
    }
    failed |= json_object_set_new(source, "skipped", json_integer(job->n_skipped));
    failed |= json_object_set_new(source, "unlabelled", json_integer(job->items.n_unlabelled));
    failed |= json_object_set_new(source, "incomplete", json_integer(job->items.n_incomplete));
    failed |= json_object_set_new(source, "unmatched_rows", json_integer((json_int_t)job->items.n_unmatched));
    failed |= json_object_set_new(source, "ignored", json_integer(job->items.n_ignored));
    failed |= json_object_set_new(m, "source", source);
    json_t *near = c->searched ? json_pack("{s:I, s:I, s:I}", "pairs_of_different_patients", (json_int_t)c->pairs,
                                           "of_different_classes", (json_int_t)c->at_odds,
                                           "on_both_sides_of_the_source", (json_int_t)c->on_both_sides)
                               : json_null();
    failed |= json_object_set_new(m, "near_copies", near);
    return status == MSFL_OK && failed != 0 ? msfl_fail(MSFL_ERR_MEMORY, "out of memory") : status;
}

/* Whether what comes out depends on how a volume lies. */
static bool needs_place(const msfl_recipe *r) {
    bool needed = false;
    for (uint32_t i = 0; i < r->n_steps; i++)
        needed |= r->steps[i].kind == MSFL_STEP_ORIENT || r->steps[i].kind == MSFL_STEP_RESAMPLE;
    return needed;
}

/* What is odd about volumes that DICOM slices make up, and does not keep them out. */
static int warn_of_stacks(const msfl_import_job *job, json_t *warnings) {
    const msfl_items *v = &job->items;
    int failed = 0;
    if (v->n_doubled > 0) {
        failed |= warn(warnings,
                       "%u volumes have several slices at one place, and the one with the smallest number was taken: "
                       "are they several times or sequences in one series?",
                       v->n_doubled);
    }
    if (v->n_uneven > 0) {
        failed |= warn(warnings, "%u volumes have slices at uneven distances, which are taken as even", v->n_uneven);
    }
    if (v->n_single > 0 && v->n_stacked > 0) {
        failed |= warn(warnings, "%u volumes are of a single slice, beside %u of several: are they localisers?",
                       v->n_single, v->n_stacked);
    }
    return failed;
}

static msfl_status put_warnings(const msfl_import_job *job, uint32_t n_classes, const copies *c, json_t *warnings) {
    int failed = warn_of_stacks(job, warnings);
    if (n_classes == 1 && job->o->masks == NULL) failed |= warn(warnings, "all pictures are of one class");
    if (patient_key(job) == NULL) {
        failed |=
            warn(warnings, "no patient key: pictures of one patient may end up on both sides of a split, and figures "
                           "come out too good");
    } else if (job->recipe.volumes && job->items.patient_key == NULL && !job->some_by_header) {
        failed |= warn(warnings, "no patient key: two volumes of one patient may end up on both sides of a split");
    }
    if (job->arrays != NULL && needs_place(&job->recipe) && msfl_arrays_assumed(job->arrays) != NULL) {
        failed |= warn(warnings, "%s", msfl_arrays_assumed(job->arrays));
    }
    if (c->pairs > 0) {
        failed |=
            warn(warnings, "%zu pairs of near copies belong to different patients; a split keeps each pair on one side",
                 c->pairs);
    }
    if (c->at_odds > 0) {
        failed |=
            warn(warnings, "%zu pairs of near copies are of different classes: look at them, a label may be wrong",
                 c->at_odds);
    }
    if (!c->searched) {
        failed |=
            warn(warnings, "near copies are not known: more than %d pictures, or so many alike that it tells nothing",
                 MSFL_PRINTS_MAX);
    }
    double values = (double)job->n * (double)msfl_recipe_mask_bytes(&job->recipe) * job->recipe.channels;
    if ((double)job->n_clipped > 0.01 * values) {
        failed |= warn(warnings, "%.1f %% of the values lie beyond the recipe's range of %g to %g and became its ends",
                       100 * (double)job->n_clipped / values, job->recipe.low, job->recipe.high);
    }
    return failed != 0 ? msfl_fail(MSFL_ERR_MEMORY, "out of memory") : MSFL_OK;
}

msfl_status msfl_import_conclude(msfl_import_job *job, msfl_texts *classes, json_t *manifest) {
    copies c = {0};
    const size_t n_patients = job->patients.n;
    bunches b = {.parent = msfl_alloc(n_patients, sizeof *b.parent),
                 .number = msfl_alloc(n_patients, sizeof *b.number)};
    uint32_t *codes = msfl_alloc(job->items.labels.texts.n, sizeof *codes);
    json_t *traits = json_array(), *warnings = json_array();
    msfl_status status = MSFL_NO_MEMORY;
    if (b.parent == NULL || b.number == NULL || codes == NULL || traits == NULL || warnings == NULL) goto done;
    part_all(&b, n_patients);
    memset(b.number, 0xff, n_patients * sizeof *b.number);
    status = code_labels(job, codes, classes);
    if (status == MSFL_OK) status = tie(job, codes, &b, &c);
    if (status == MSFL_OK) status = write_records(job, codes, &b);
    if (status == MSFL_OK) status = put_figures(job, (uint32_t)n_patients, &c, manifest);
    if (status == MSFL_OK) {
        status = msfl_traits_judge(job->samples, codes, (uint32_t)classes->n, traits, warnings);
    }
    if (status == MSFL_OK) status = put_warnings(job, (uint32_t)classes->n, &c, warnings);
    if (status == MSFL_OK &&
        (json_object_set(manifest, "traits", traits) != 0 || json_object_set(manifest, "warnings", warnings) != 0)) {
        status = msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    }
done:
    msfl_free(b.parent);
    msfl_free(b.number);
    msfl_free(codes);
    json_decref(traits);
    json_decref(warnings);
    return status;
}
