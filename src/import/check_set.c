/* data check of sets: whether one is whole and fit for others to learn from. */
#include "import/check.h"

#include "base/file.h"
#include "base/mem.h"
#include "dataset/store.h"

#include <string.h>
#include <sys/stat.h>

static msfl_status check_folder(const char *folder, msfl_report *r) {
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
        msfl_report_find(r, "problem", "%zu other files lie in the folder of the set: what is in them is not known",
                         strangers);
    } else {
        msfl_report_find(r, "fine", "nothing but the set lies in its folder");
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
static void judge_for_federation(msfl_report *r, const char *folder, const json_t *m, const class_count *classes) {
    enum { PATIENTS_MIN = 10, CLASS_MIN = 5 };
    const char *hash = json_string_value(json_object_get(m, "recipe_hash"));
    struct stat info;
    if (hash == NULL) {
        msfl_report_find(r, "problem", "it was not made by a recipe, so others cannot know how");
    } else {
        msfl_report_find(r, "fine", "recipe %s: compare with the others'", hash);
    }
    if (number(m, "patients") < PATIENTS_MIN) {
        msfl_report_find(r, "problem", "%.0f patients; with fewer than %d an update says much about each",
                         number(m, "patients"), PATIENTS_MIN);
    }
    const json_t *names = json_object_get(m, "classes");
    for (size_t k = 0; k < json_array_size(names); k++) {
        if (classes[k].patients >= CLASS_MIN) continue;
        msfl_report_find(r, "problem", "class %zu has %u patients; with fewer than %d it may be one person's", k,
                         classes[k].patients, CLASS_MIN);
    }
    double skipped = number(json_object_get(m, "source"), "skipped"), samples = number(m, "samples");
    if (skipped > 0.05 * (samples + skipped)) {
        msfl_report_find(r, "problem", "%.0f of %.0f samples could not be used: see why before it is a selection",
                         skipped, samples + skipped);
    }
    if (number(m, "clipped_share") > 0.05) {
        msfl_report_find(r, "problem", "%.1f %% of the values lie beyond the recipe's range",
                         100 * number(m, "clipped_share"));
    }
    if (!json_is_true(json_object_get(m, "sealed")) && stat(folder, &info) == 0 && (info.st_mode & 0077) != 0) {
        msfl_report_find(
            r, "problem",
            "the set is not sealed and others on this machine may read it: chmod 700, or import with --seal");
    }
}

/* Sets of other makers need not say all that data import says. */
static json_t *or_null(json_t *value) {
    return value != NULL ? json_incref(value) : json_null();
}

msfl_status msfl_check_set(const msfl_check_options *o, msfl_report *r) {
    json_t *m = NULL;
    msfl_hospital *key = NULL;
    msfl_record *records = NULL;
    class_count *classes = NULL;
    size_t n = 0;
    msfl_report_put(r, "kind", json_string("set"));
    msfl_status status = msfl_store_manifest(o->data, &m);
    if (status == MSFL_OK && o->key != NULL) status = msfl_hospital_read(o->key, &key);
    if (status == MSFL_OK) status = msfl_store_records(o->data, m, key, &records, &n);
    if (status != MSFL_OK) goto done;
    uint32_t n_classes = (uint32_t)json_array_size(json_object_get(m, "classes"));
    classes = msfl_alloc(n_classes, sizeof *classes);
    status = classes == NULL ? MSFL_NO_MEMORY : count_patients(records, n, n_classes, classes);
    if (status == MSFL_OK) status = msfl_store_verify(o->data, m, key);
    if (status != MSFL_OK) goto done;
    msfl_report_find(r, "fine", "%zu pictures, every byte as it was imported", n);
    status = check_folder(o->data, r);
    json_t *list = json_array();
    for (uint32_t k = 0; k < n_classes; k++) {
        r->failed |= json_array_append_new(
                         list, json_pack("{s:O, s:i, s:i}", "name", json_array_get(json_object_get(m, "classes"), k),
                                         "images", (int)classes[k].images, "patients", (int)classes[k].patients)) != 0;
    }
    msfl_report_put(r, "classes", list);
    msfl_report_put(r, "images", json_integer((json_int_t)n));
    static const char *const copied[] = {"recipe_hash", "patients",  "sealed",
                                         "near_copies", "label_key", "patient_key"};
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++)
        msfl_report_put(r, copied[i], or_null(json_object_get(m, copied[i])));
    const json_t *warning;
    size_t i;
    json_array_foreach(json_object_get(m, "warnings"), i, warning) {
        if (json_is_string(warning)) msfl_report_find(r, "note", "%s", json_string_value(warning));
    }
    if (o->for_federation) judge_for_federation(r, o->data, m, classes);
done:
    msfl_free(classes);
    msfl_free(records);
    msfl_hospital_free(key);
    json_decref(m);
    return status;
}
