/* data check of files: what could name a person in them. */
#include "import/check.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/threads.h"
#include "dataset/csv.h"
#include "dataset/folder_scan.h"
#include "dataset/set.h"
#include "image/survey.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

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
static void check_table(msfl_report *r, const char *root) {
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
        msfl_report_find(
            r, "note",
            "labels.csv has %zu column%s a heading that sounds like a person's data; an import takes the columns "
            "of label and patient alone, and of the latter a keyed pseudonym",
            json_array_size(list), json_array_size(list) == 1 ? " with" : "s, each with");
    }
    msfl_report_put(r, "telling_columns", list);
    msfl_csv_free(table);
    msfl_free(path);
}

static void put_attributes(msfl_report *r, const totals *t) {
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
    msfl_report_put(r, "attributes", out);
}

static void judge_files(msfl_report *r, const totals *t) {
    static const char *const what[] = {"patients",        "traits of patients (age, sex, history)",
                                       "dates and times", "places and devices",
                                       "staff",           "numbers of the archive"};
    for (int k = 0; k < 6; k++) {
        if (t->by_kind[k] == 0) continue;
        msfl_report_find(r, "note", "%u of %u files name %s in their headers; an import keeps nothing of it%s",
                         t->by_kind[k], t->files, what[k], k == 0 ? " but a keyed pseudonym" : "");
    }
    if (t->private > 0) msfl_report_find(r, "note", "%u files have private attributes; none is kept", t->private);
    if (t->overlays > 0)
        msfl_report_find(r, "note", "%u files have overlays beside the pixels; none is kept", t->overlays);
    if (t->texts > 0)
        msfl_report_find(r, "note", "%u files carry text beside the pixels (comments, EXIF); none is kept", t->texts);
    if (t->names > 0) {
        msfl_report_find(
            r, "note",
            "%u file names hold a patient's identifier or name; no file name is kept, but folders and backups "
            "show them",
            t->names);
    }
    if (t->burned_in[MSFL_DECLARED_YES] > 0) {
        msfl_report_find(
            r, "problem",
            "%u files declare text in their pixels that identifies (BurnedInAnnotation YES): a recipe does "
            "not take it out, and an import leaves these files aside",
            t->burned_in[MSFL_DECLARED_YES]);
    }
    if (t->capture > 0) {
        msfl_report_find(
            r, "problem",
            "%u files are of kinds that often show text in the pixels (ultrasound, secondary capture), and do "
            "not declare that there is none: look at them (data inspect --html), and crop in the recipe",
            t->capture);
    }
    if (t->regions > 0) {
        msfl_report_find(
            r, "note",
            "%u ultrasound files declare the regions of the image itself; text mostly lies outside, where a crop "
            "can leave it",
            t->regions);
    }
    if (t->recognisable > 0) {
        msfl_report_find(
            r, "problem",
            "%u files declare features by which a person can be recognised, such as a face: deface them first",
            t->recognisable);
    }
    if (t->unreadable > 0)
        msfl_report_find(r, "note", "%u files cannot be read; an import leaves them out", t->unreadable);
}

static void put_files(msfl_report *r, const totals *t) {
    json_t *formats = json_object(), *declared;
    for (uint32_t f = 1; f <= MSFL_FORMAT_NPZ; f++) {
        if (t->formats[f] == 0) continue;
        r->failed |= json_object_set_new(formats, msfl_image_format_name((msfl_image_format)f),
                                         json_integer(t->formats[f])) != 0;
    }
    declared = json_pack("{s:i, s:i, s:i}", "yes", (int)t->burned_in[2], "no", (int)t->burned_in[1], "not_said",
                         (int)t->burned_in[0]);
    msfl_report_put(r, "files", json_integer(t->files));
    msfl_report_put(r, "unreadable", json_integer(t->unreadable));
    msfl_report_put(r, "formats", formats);
    put_attributes(r, t);
    msfl_report_put(r, "private", json_integer(t->private));
    msfl_report_put(r, "overlays", json_integer(t->overlays));
    msfl_report_put(r, "burned_in", declared);
    msfl_report_put(r, "recognisable", json_integer(t->recognisable));
    msfl_report_put(r, "declared_deidentified", json_integer(t->deidentified));
    msfl_report_put(r, "ultrasound_regions", json_integer(t->regions));
    msfl_report_put(r, "kinds_with_text", json_integer(t->capture));
    msfl_report_put(r, "file_names", json_integer(t->names));
    msfl_report_put(r, "text_beside_pixels", json_integer(t->texts));
    msfl_report_put(r, "kept",
                    json_pack("[s, s, s, s]", "pixels as the recipe makes them, and masks where asked for",
                              "the class of each picture", "a keyed pseudonym of the patient",
                              "which pictures belong together"));
    msfl_report_put(r, "not_kept",
                    json_pack("[s, s, s]", "every attribute of every header", "file names and dates",
                              "all columns of a table but label and patient"));
}

msfl_status msfl_check_files(const msfl_check_options *o, msfl_report *r) {
    msfl_scan scan = {0};
    msfl_pool *pool = NULL;
    job j = {.scan = &scan};
    msfl_report_put(r, "kind", json_string("files"));
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
