/* What is known once all samples are in: near copies, classes, figures, warnings. */
#include "import/job.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "import/traits.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static uint32_t root_of(uint32_t *parent, uint32_t i) {
    while (parent[i] != i)
        i = parent[i] = parent[parent[i]];
    return i;
}

typedef struct copies {
    size_t pairs, at_odds, on_both_sides;
    bool searched;
} copies;

/* Near copies of different patients go into one bunch, the lower one. */
static msfl_status tie(msfl_import_job *job, const uint32_t *labels, copies *c) {
    if (job->n > MSFL_PRINTS_MAX) return MSFL_OK;
    c->searched = true;
    msfl_pair *pairs = NULL;
    uint32_t *bunches = msfl_alloc(job->n, sizeof *bunches), *parent = msfl_alloc(job->n_bunches, sizeof *parent);
    uint32_t *number = msfl_alloc(job->n_bunches, sizeof *number);
    msfl_status status = bunches == NULL || parent == NULL || number == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status != MSFL_OK) goto done;
    for (size_t i = 0; i < job->n; i++)
        bunches[i] = job->records[i].bunch;
    for (uint32_t i = 0; i < job->n_bunches; i++) {
        parent[i] = i;
        number[i] = UINT32_MAX;
    }
    msfl_observe_text(job->o->observer, MSFL_EVENT_PHASE, "data", "looking for near copies");
    status = msfl_prints_pairs(job->prints, bunches, job->n, job->pool, &pairs, &c->pairs);
    if (status == MSFL_ERR_LIMIT) {
        c->searched = false;
        status = MSFL_OK;
        goto done;
    }
    if (status != MSFL_OK) goto done;
    for (size_t i = 0; i < c->pairs; i++) {
        const msfl_record *a = &job->records[pairs[i].a], *b = &job->records[pairs[i].b];
        c->at_odds += labels[job->sample_of[pairs[i].a]] != labels[job->sample_of[pairs[i].b]];
        c->on_both_sides += a->part != b->part;
        uint32_t x = root_of(parent, a->bunch), y = root_of(parent, b->bunch);
        parent[x > y ? x : y] = x > y ? y : x;
    }
    uint32_t next = 0;
    for (size_t i = 0; i < job->n; i++) {
        uint32_t root = root_of(parent, job->records[i].bunch);
        if (number[root] == UINT32_MAX) number[root] = next++;
        job->records[i].bunch = number[root];
    }
done:
    msfl_free(bunches);
    msfl_free(parent);
    msfl_free(number);
    msfl_free(pairs);
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

/* Number the classes of the samples that were taken. */
static msfl_status code_labels(const msfl_import_job *job, uint32_t *labels, msfl_texts *classes) {
    msfl_texts texts = {0};
    msfl_status status = MSFL_OK;
    uint32_t n = 0;
    for (size_t i = 0; i < job->n_samples && status == MSFL_OK; i++) {
        const char *label = msfl_texts_get(&job->items.labels, job->item_of[i]);
        status = msfl_texts_add(&texts, label, strlen(label));
    }
    if (status == MSFL_OK) status = msfl_texts_code(&texts, MSFL_CODE_CLASSES, labels, classes, &n);
    msfl_texts_clear(&texts);
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
    for (size_t i = 0; i < job->items.n; i++) {
        static const uint8_t nobody[MSFL_HASH_BYTES];
        if (memcmp(job->items.list[i].patient, nobody, sizeof nobody) != 0) return "the identifier in DICOM headers";
    }
    return job->recipe.volumes ? "volume: no patient is known" : NULL;
}

static msfl_status put_figures(msfl_import_job *job, uint32_t n_patients, const copies *c, json_t *m) {
    json_t *source = json_object();
    if (source == NULL) return msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    msfl_status status = msfl_traits_source(job->facts, job->n_samples, source);
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

static msfl_status put_warnings(const msfl_import_job *job, uint32_t n_classes, const copies *c, json_t *warnings) {
    int failed = 0;
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
    uint32_t n_patients = job->n_bunches;
    uint32_t *labels = msfl_alloc(job->n_samples, sizeof *labels);
    json_t *traits = json_array(), *warnings = json_array();
    msfl_status status = MSFL_NO_MEMORY;
    if (labels == NULL || traits == NULL || warnings == NULL) goto done;
    status = code_labels(job, labels, classes);
    if (status == MSFL_OK) status = tie(job, labels, &c);
    for (size_t i = 0; i < job->n && status == MSFL_OK; i++)
        job->records[i].label = labels[job->sample_of[i]];
    if (status == MSFL_OK) status = put_figures(job, n_patients, &c, manifest);
    if (status == MSFL_OK) {
        status = msfl_traits_judge(job->facts, labels, job->n_samples, (uint32_t)classes->n, traits, warnings);
    }
    if (status == MSFL_OK) status = put_warnings(job, (uint32_t)classes->n, &c, warnings);
    if (status == MSFL_OK &&
        (json_object_set(manifest, "traits", traits) != 0 || json_object_set(manifest, "warnings", warnings) != 0)) {
        status = msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    }
done:
    msfl_free(labels);
    json_decref(traits);
    json_decref(warnings);
    return status;
}
