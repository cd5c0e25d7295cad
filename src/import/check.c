/* data check: what could name a person in files, and whether a set is whole and fit. */
#include "medsecurefl/import.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/threads.h"
#include "dataset/csv.h"
#include "dataset/folder_scan.h"
#include "dataset/set.h"
#include "dataset/store.h"
#include "image/survey.h"
#include "text/json.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct report {
    json_t *out, *findings;
    uint32_t n_problems;
    bool failed; /* out of memory */
} report;

static void find(report *r, const char *level, const char *fmt, ...) MSFL_PRINTF(3, 4);
static void find(report *r, const char *level, const char *fmt, ...) {
    char text[500];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    r->n_problems += strcmp(level, "problem") == 0;
    r->failed |= json_array_append_new(r->findings,
                                       json_pack("{s:s, s:o}", "level", level, "text", msfl_json_string(text))) != 0;
}

static void put(report *r, const char *key, json_t *value) {
    r->failed |= json_object_set_new(r->out, key, value) != 0;
}

/* --- files --- */

enum { ATTRIBUTES_MAX = 64 };

typedef struct totals {
    uint32_t files, unreadable, formats[MSFL_FORMAT_NPZ + 1];
    uint32_t attributes[ATTRIBUTES_MAX], by_kind[6]; /* files with any of a kind */
    uint32_t private, overlays, burned_in[3], recognisable, deidentified, regions, capture, names, texts;
} totals;

typedef struct job {
    const msfl_scan *scan;
    msfl_progress progress;
    pthread_mutex_t mutex;
    totals t;
} job;

static void count(totals *t, const msfl_survey *s) {
    size_t n;
    const msfl_survey_attribute *list = msfl_survey_attributes(&n);
    bool kinds[6] = {false};
    for (size_t i = 0; i < n; i++) {
        bool there = (s->attributes >> i & 1) != 0;
        t->attributes[i] += there;
        kinds[list[i].kind] |= there;
    }
    for (int k = 0; k < 6; k++)
        t->by_kind[k] += kinds[k];
    t->files++;
    t->formats[s->format]++;
    t->private += s->n_private > 0;
    t->overlays += s->n_overlays > 0;
    if (s->format == MSFL_FORMAT_DICOM) t->burned_in[s->burned_in]++;
    t->recognisable += s->recognisable == MSFL_DECLARED_YES;
    t->deidentified += s->deidentified == MSFL_DECLARED_YES;
    t->regions += s->has_regions;
    t->capture += s->is_capture && s->burned_in != MSFL_DECLARED_NO;
    t->names += s->name_tells;
    t->texts += s->has_text;
}

static msfl_status survey_one(void *ctx, size_t i) {
    job *j = ctx;
    msfl_survey s;
    msfl_status status = msfl_progress_step(&j->progress, 1);
    if (status != MSFL_OK) return status;
    char *path = msfl_path_join(j->scan->root, msfl_texts_get(&j->scan->paths, i));
    if (path == NULL) return MSFL_NO_MEMORY;
    status = msfl_survey_file(path, &s);
    msfl_free(path);
    if (status == MSFL_ERR_MEMORY || status == MSFL_ERR_CANCELLED) return status;
    pthread_mutex_lock(&j->mutex);
    if (status == MSFL_OK) {
        count(&j->t, &s);
    } else {
        j->t.unreadable++;
    }
    pthread_mutex_unlock(&j->mutex);
    return MSFL_OK;
}

/* Headings of labels.csv that sound like a person's data: only headings are looked at. */
static void check_table(report *r, const char *root) {
    static const char *const words[] = {"name",  "birth", "dob",      "address",   "phone",  "mail",
                                        "insur", "ssn",   "national", "physician", "doctor", "mrn"};
    char *path = msfl_path_join(root, "labels.csv");
    uint8_t *bytes = NULL;
    size_t length = 0;
    msfl_csv *table = NULL;
    json_t *list = json_array();
    if (path != NULL && msfl_file_exists(path) &&
        msfl_file_read(path, MSFL_CSV_BYTES_MAX, &bytes, &length) == MSFL_OK &&
        msfl_csv_parse("labels.csv", bytes, length, &table) == MSFL_OK) {
        for (uint32_t i = 0; i < msfl_csv_columns(table); i++) {
            char heading[64];
            snprintf(heading, sizeof heading, "%s", msfl_csv_heading(table, i));
            for (char *p = heading; *p != 0; p++)
                *p = (char)tolower((unsigned char)*p);
            for (size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
                if (strstr(heading, words[k]) == NULL || strstr(heading, "file") != NULL) continue;
                r->failed |= json_array_append_new(list, msfl_json_string(msfl_csv_heading(table, i))) != 0;
                break;
            }
        }
    }
    if (json_array_size(list) > 0) {
        find(r, "note",
             "labels.csv has %zu column%s a heading that sounds like a person's data; an import takes the columns "
             "of label and patient alone, and of the latter a keyed pseudonym",
             json_array_size(list), json_array_size(list) == 1 ? " with" : "s, each with");
    }
    put(r, "telling_columns", list);
    msfl_csv_free(table);
    msfl_free(path);
}

static void put_attributes(report *r, const totals *t) {
    size_t n;
    const msfl_survey_attribute *list = msfl_survey_attributes(&n);
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        if (t->attributes[i] == 0) continue;
        char tag[16];
        snprintf(tag, sizeof tag, "(%04x,%04x)", list[i].tag >> 16, list[i].tag & 0xffff);
        r->failed |= json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:i}", "tag", tag, "name", list[i].name,
                                                          "kind", msfl_survey_kind_name(list[i].kind), "files",
                                                          (int)t->attributes[i])) != 0;
    }
    put(r, "attributes", out);
}

static void judge_files(report *r, const totals *t) {
    static const char *const what[] = {"patients",        "traits of patients (age, sex, history)",
                                       "dates and times", "places and devices",
                                       "staff",           "numbers of the archive"};
    for (int k = 0; k < 6; k++) {
        if (t->by_kind[k] == 0) continue;
        find(r, "note", "%u of %u files name %s in their headers; an import keeps nothing of it%s", t->by_kind[k],
             t->files, what[k], k == 0 ? " but a keyed pseudonym" : "");
    }
    if (t->private > 0) find(r, "note", "%u files have private attributes; none is kept", t->private);
    if (t->overlays > 0) find(r, "note", "%u files have overlays beside the pixels; none is kept", t->overlays);
    if (t->texts > 0) find(r, "note", "%u files carry text beside the pixels (comments, EXIF); none is kept", t->texts);
    if (t->names > 0) {
        find(r, "note",
             "%u file names hold a patient's identifier or name; no file name is kept, but folders and backups "
             "show them",
             t->names);
    }
    if (t->burned_in[MSFL_DECLARED_YES] > 0) {
        find(r, "problem",
             "%u files declare text in their pixels that identifies (BurnedInAnnotation YES): a recipe does "
             "not take it out, and an import leaves these files aside",
             t->burned_in[MSFL_DECLARED_YES]);
    }
    if (t->capture > 0) {
        find(r, "problem",
             "%u files are of kinds that often show text in the pixels (ultrasound, secondary capture), and do "
             "not declare that there is none: look at them (data inspect --html), and crop in the recipe",
             t->capture);
    }
    if (t->regions > 0) {
        find(r, "note",
             "%u ultrasound files declare the regions of the image itself; text mostly lies outside, where a crop "
             "can leave it",
             t->regions);
    }
    if (t->recognisable > 0) {
        find(r, "problem",
             "%u files declare features by which a person can be recognised, such as a face: deface them first",
             t->recognisable);
    }
    if (t->unreadable > 0) find(r, "note", "%u files cannot be read; an import leaves them out", t->unreadable);
}

static void put_files(report *r, const totals *t) {
    json_t *formats = json_object(), *declared;
    for (uint32_t f = 1; f <= MSFL_FORMAT_NPZ; f++) {
        if (t->formats[f] == 0) continue;
        r->failed |= json_object_set_new(formats, msfl_image_format_name((msfl_image_format)f),
                                         json_integer(t->formats[f])) != 0;
    }
    declared = json_pack("{s:i, s:i, s:i}", "yes", (int)t->burned_in[2], "no", (int)t->burned_in[1], "not_said",
                         (int)t->burned_in[0]);
    put(r, "files", json_integer(t->files));
    put(r, "unreadable", json_integer(t->unreadable));
    put(r, "formats", formats);
    put_attributes(r, t);
    put(r, "private", json_integer(t->private));
    put(r, "overlays", json_integer(t->overlays));
    put(r, "burned_in", declared);
    put(r, "recognisable", json_integer(t->recognisable));
    put(r, "declared_deidentified", json_integer(t->deidentified));
    put(r, "ultrasound_regions", json_integer(t->regions));
    put(r, "kinds_with_text", json_integer(t->capture));
    put(r, "file_names", json_integer(t->names));
    put(r, "text_beside_pixels", json_integer(t->texts));
    put(r, "kept",
        json_pack("[s, s, s, s]", "pixels as the recipe makes them, and masks where asked for",
                  "the class of each picture", "a keyed pseudonym of the patient", "which pictures belong together"));
    put(r, "not_kept",
        json_pack("[s, s, s]", "every attribute of every header", "file names and dates",
                  "all columns of a table but label and patient"));
}

static msfl_status check_files(const msfl_check_options *o, report *r) {
    msfl_scan scan = {0};
    msfl_pool *pool = NULL;
    job j = {.scan = &scan};
    put(r, "kind", json_string("files"));
    msfl_status status = msfl_scan_folder(o->data, o->observer, &scan);
    if (status == MSFL_OK && scan.paths.n == 0) {
        status = msfl_scan_fail_empty(&scan, o->data);
    }
    if (status == MSFL_OK) status = msfl_pool_new(o->n_threads, &pool);
    if (status == MSFL_OK) {
        pthread_mutex_init(&j.mutex, NULL);
        msfl_progress_init(&j.progress, o->observer, "looking at headers", scan.paths.n);
        status = msfl_pool_run(pool, scan.paths.n, survey_one, &j);
        msfl_progress_clear(&j.progress);
        pthread_mutex_destroy(&j.mutex);
    }
    if (status == MSFL_OK) {
        put_files(r, &j.t);
        judge_files(r, &j.t);
        check_table(r, scan.root);
    }
    msfl_pool_free(pool);
    msfl_scan_clear(&scan);
    return status;
}

/* --- sets --- */

static msfl_status check_folder(const char *folder, report *r) {
    static const char *const ours[] = {"set.json", "pixels.bin", "records.bin", "masks.bin"};
    char **names;
    size_t n, strangers = 0;
    msfl_status status = msfl_folder_list(folder, 10000, &names, &n);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < n; i++) {
        bool known = false;
        for (size_t k = 0; k < sizeof ours / sizeof ours[0]; k++)
            known |= strcmp(names[i], ours[k]) == 0;
        strangers += !known;
    }
    msfl_names_free(names, n);
    if (strangers > 0) {
        find(r, "problem", "%zu other files lie in the folder of the set: what is in them is not known", strangers);
    } else {
        find(r, "fine", "nothing but the set lies in its folder");
    }
    return MSFL_OK;
}

typedef struct class_count {
    uint32_t images, patients;
} class_count;

static msfl_status count_patients(const msfl_record *records, size_t n, uint32_t n_classes, class_count *classes) {
    /* Bunches are dense and every patient's pictures lie in one: marks by class and bunch would be large, so classes
     * are taken one by one. */
    uint32_t *seen = msfl_alloc(n, sizeof *seen);
    if (seen == NULL) return MSFL_NO_MEMORY;
    for (uint32_t k = 0; k < n_classes; k++) {
        for (size_t i = 0; i < n; i++) {
            if (records[i].label != k) continue;
            classes[k].images++;
            classes[k].patients += seen[records[i].bunch] != k + 1;
            seen[records[i].bunch] = k + 1;
        }
    }
    msfl_free(seen);
    return MSFL_OK;
}

static double number(const json_t *m, const char *key) {
    return json_number_value(json_object_get(m, key));
}

/* Before others learn from it. Bounds are conventions; docs/design/recipe.md says where they come from. */
static void judge_for_federation(report *r, const char *folder, const json_t *m, const class_count *classes) {
    enum { PATIENTS_MIN = 10, CLASS_MIN = 5 };
    const char *hash = json_string_value(json_object_get(m, "recipe_hash"));
    struct stat info;
    if (hash == NULL) {
        find(r, "problem", "it was not made by a recipe, so others cannot know how");
    } else {
        find(r, "fine", "recipe %s: compare with the others'", hash);
    }
    if (number(m, "patients") < PATIENTS_MIN) {
        find(r, "problem", "%.0f patients; with fewer than %d an update says much about each", number(m, "patients"),
             PATIENTS_MIN);
    }
    const json_t *names = json_object_get(m, "classes");
    for (size_t k = 0; k < json_array_size(names); k++) {
        if (classes[k].patients >= CLASS_MIN) continue;
        find(r, "problem", "class %zu has %u patients; with fewer than %d it may be one person's", k,
             classes[k].patients, CLASS_MIN);
    }
    double skipped = number(json_object_get(m, "source"), "skipped"), samples = number(m, "samples");
    if (skipped > 0.05 * (samples + skipped)) {
        find(r, "problem", "%.0f of %.0f samples could not be used: see why before it is a selection", skipped,
             samples + skipped);
    }
    if (number(m, "clipped_share") > 0.05) {
        find(r, "problem", "%.1f %% of the values lie beyond the recipe's range", 100 * number(m, "clipped_share"));
    }
    if (!json_is_true(json_object_get(m, "sealed")) && stat(folder, &info) == 0 && (info.st_mode & 0077) != 0) {
        find(r, "problem",
             "the set is not sealed and others on this machine may read it: chmod 700, or import with --seal");
    }
}

/* Sets of other makers need not say all that data import says. */
static json_t *or_null(json_t *value) {
    return value != NULL ? json_incref(value) : json_null();
}

static msfl_status check_set(const msfl_check_options *o, report *r) {
    json_t *m = NULL;
    msfl_hospital *key = NULL;
    msfl_record *records = NULL;
    class_count *classes = NULL;
    void *pixels = NULL, *masks = NULL;
    bool pixels_mapped = false, masks_mapped = false;
    size_t n = 0;
    put(r, "kind", json_string("set"));
    msfl_status status = msfl_store_manifest(o->data, &m);
    if (status == MSFL_OK && o->key != NULL) status = msfl_hospital_read(o->key, &key);
    if (status == MSFL_OK) status = msfl_store_records(o->data, m, key, &records, &n);
    if (status != MSFL_OK) goto done;
    uint32_t n_classes = (uint32_t)json_array_size(json_object_get(m, "classes"));
    classes = msfl_alloc(n_classes, sizeof *classes);
    status = classes == NULL ? MSFL_NO_MEMORY : count_patients(records, n, n_classes, classes);
    /* Reading them checks every byte. */
    if (status == MSFL_OK) status = msfl_store_pixels(o->data, m, key, &pixels, &pixels_mapped);
    if (status == MSFL_OK && msfl_store_shape_of(m).has_masks) {
        status = msfl_store_masks(o->data, m, key, &masks, &masks_mapped);
    }
    if (status != MSFL_OK) goto done;
    find(r, "fine", "%zu pictures, every byte as it was imported", n);
    status = check_folder(o->data, r);
    json_t *list = json_array();
    for (uint32_t k = 0; k < n_classes; k++) {
        r->failed |= json_array_append_new(
                         list, json_pack("{s:O, s:i, s:i}", "name", json_array_get(json_object_get(m, "classes"), k),
                                         "images", (int)classes[k].images, "patients", (int)classes[k].patients)) != 0;
    }
    put(r, "classes", list);
    put(r, "images", json_integer((json_int_t)n));
    static const char *const copied[] = {"recipe_hash", "patients",  "sealed",
                                         "near_copies", "label_key", "patient_key"};
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++)
        put(r, copied[i], or_null(json_object_get(m, copied[i])));
    const json_t *warning;
    size_t i;
    json_array_foreach(json_object_get(m, "warnings"), i, warning) {
        if (json_is_string(warning)) find(r, "note", "%s", json_string_value(warning));
    }
    if (o->for_federation) judge_for_federation(r, o->data, m, classes);
done:
    msfl_store_release(pixels, m, false, pixels_mapped);
    msfl_store_release(masks, m, true, masks_mapped);
    msfl_free(classes);
    msfl_free(records);
    msfl_hospital_free(key);
    json_decref(m);
    return status;
}

msfl_status msfl_check(const msfl_check_options *o, char **json, uint32_t *n_problems) {
    *json = NULL;
    *n_problems = 0;
    report r = {.out = json_object(), .findings = json_array()};
    msfl_status status = r.out == NULL || r.findings == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    bool is_set = o->data != NULL && msfl_store_is_set(o->data);
    if (status == MSFL_OK && (o->data == NULL || !msfl_is_folder(o->data))) {
        status = msfl_fail(MSFL_ERR_MISSING, "%s: there is no such folder", o->data == NULL ? "" : o->data);
    }
    if (status == MSFL_OK && o->for_federation && !is_set) {
        status = msfl_fail(MSFL_ERR_USAGE,
                           "%s is no imported set; --for-federation is about sets, which 'data import' makes", o->data);
    }
    if (status == MSFL_OK) status = is_set ? check_set(o, &r) : check_files(o, &r);
    if (status == MSFL_OK) {
        put(&r, "findings", json_incref(r.findings));
        put(&r, "problems", json_integer(r.n_problems));
        if (r.failed) status = msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    }
    if (status == MSFL_OK) status = msfl_json_text(r.out, false, json);
    if (status == MSFL_OK) *n_problems = r.n_problems;
    json_decref(r.findings);
    json_decref(r.out);
    return status;
}
