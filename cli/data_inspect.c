/* medsecurefl data inspect: what a data set is, before anyone trains on it. */
#include "base/error.h"
#include "base/mem.h"
#include "cmd_data.h"
#include "columns.h"
#include "data_facts.h"
#include "table.h"
#include "text/json.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 8, SIZES_IN_JSON_MAX = 100 };

static const char *const part_names[CLI_PARTS] = {"", "train", "validation", "test"};

/* One sentence for the reader, and the same in the JSON. */
static msfl_status collect_warnings(const msfl_dataset *set, const cli_data_facts *f, json_t *out) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    char text[400];
    int failed = 0;
    for (int i = 0; i < CLI_TRAITS; i++) {
        const cli_trait_facts *t = &f->traits[i];
        if (!t->is.telling) continue;
        snprintf(text, sizeof text,
                 "the class can be told from the %s alone in %.1f %% of the images (the most common class: %.1f %%): a "
                 "network may learn that instead of the disease",
                 t->name, 100 * t->is.accuracy, 100 * f->guessing);
        failed |= json_array_append_new(out, json_string(text));
    }
    if (f->n_copies_astray > 0) {
        snprintf(text, sizeof text,
                 "%u images are exact copies of an image of another patient: they may end up on both sides of a split; "
                 "remove them",
                 f->n_copies_astray);
        failed |= json_array_append_new(out, json_string(text));
    }
    if (f->n_copies_at_odds > 0) {
        snprintf(text, sizeof text,
                 "%u images are exact copies of an image of another class: one of the labels is wrong",
                 f->n_copies_at_odds);
        failed |= json_array_append_new(out, json_string(text));
    }
    if (info->group_key == NULL) {
        failed |= json_array_append_new(
            out,
            json_string("no patient key: images of one patient may end up on both sides of a split, and figures come "
                        "out too good"));
    }
    if (f->n_on_both_sides > 0) {
        snprintf(text, sizeof text,
                 "%u patients are on more than one side of the source's own split; all their images go to the test or "
                 "validation part",
                 f->n_on_both_sides);
        failed |= json_array_append_new(out, json_string(text));
    }
    if (info->synthetic) {
        failed |=
            json_array_append_new(out, json_string("synthetic images: figures on them say nothing about a clinic"));
    }
    return failed != 0 ? msfl_fail(MSFL_ERR_MEMORY, "out of memory") : MSFL_OK;
}

/* --- JSON --- */

static json_t *classes_json(const msfl_dataset *set, const cli_data_facts *f) {
    json_t *list = json_array();
    for (uint32_t k = 0; k < f->n_classes; k++) {
        const cli_class_facts *c = &f->classes[k];
        json_t *one = json_pack("{s:o, s:I, s:I}", "name", msfl_json_string(msfl_dataset_class_name(set, k)), "images",
                                (json_int_t)c->images, "patients", (json_int_t)c->patients);
        for (int p = 1; p < CLI_PARTS && msfl_dataset_info_borrow(set)->has_split; p++)
            json_object_set_new(one, part_names[p], json_integer(c->by_part[p]));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *kinds_json(const cli_kind_facts *kinds, uint32_t n, char *(*text_of)(uint64_t, char[64])) {
    json_t *list = json_array();
    char text[64];
    for (uint32_t i = 0; i < n && i < SIZES_IN_JSON_MAX; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:I}", "kind", text_of(kinds[i].key, text), "images", (json_int_t)kinds[i].images));
    return list;
}

static json_t *intensity_json(const msfl_intensity *m) {
    json_t *histogram = json_array();
    for (int i = 0; i < MSFL_HISTOGRAM_BINS; i++)
        json_array_append_new(histogram, json_integer((json_int_t)m->histogram[i]));
    return json_pack("{s:f, s:f, s:f, s:f, s:o}", "minimum", m->minimum, "maximum", m->maximum, "mean", m->mean,
                     "deviation", m->deviation, "histogram", histogram);
}

static msfl_status print_json(const msfl_dataset *set, const cli_data_facts *f, json_t *warnings) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    json_t *skipped = json_array(), *traits = json_array();
    for (uint32_t i = 0; msfl_dataset_skipped(set, i) != NULL; i++)
        json_array_append_new(skipped, msfl_json_string(msfl_dataset_skipped(set, i)));
    for (int i = 0; i < CLI_TRAITS; i++) {
        const cli_trait_facts *t = &f->traits[i];
        json_array_append_new(traits,
                              json_pack("{s:s, s:I, s:f, s:b}", "trait", t->name, "values", (json_int_t)t->is.n_values,
                                        "accuracy", t->is.accuracy, "telling", t->is.telling));
    }
    json_t *root = json_object();
    json_object_set_new(root, "source", msfl_json_string(info->source));
    json_object_set_new(root, "kind", json_string(info->kind));
    json_object_set_new(root, "synthetic", json_boolean(info->synthetic));
    json_object_set_new(root, "images", json_integer(info->n_images));
    json_object_set_new(root, "width", json_integer(info->width));
    json_object_set_new(root, "height", json_integer(info->height));
    if (info->depth > 1) json_object_set_new(root, "depth", json_integer(info->depth));
    json_object_set_new(root, "channels", json_integer(info->channels));
    json_object_set_new(root, "bits", json_integer(info->bits));
    json_object_set_new(root, "conversion", msfl_json_string(info->conversion));
    json_object_set_new(root, "label_key", msfl_json_string(info->label_key));
    json_object_set_new(root, "classes", classes_json(set, f));
    json_object_set_new(root, "most_common_share", json_real(f->guessing));
    json_object_set_new(root, "patients", json_integer(info->n_groups));
    json_object_set_new(root, "group_key", msfl_json_string(info->group_key));
    json_object_set_new(root, "images_per_patient",
                        json_pack("{s:I, s:I, s:I}", "minimum", (json_int_t)f->visits_min, "median",
                                  (json_int_t)f->visits_median, "maximum", (json_int_t)f->visits_max));
    json_object_set_new(root, "has_split", json_boolean(info->has_split));
    json_object_set_new(root, "mask_classes",
                        info->has_masks ? json_integer(msfl_dataset_mask_classes(set)) : json_null());
    json_object_set_new(root, "patients_on_both_sides", json_integer(f->n_on_both_sides));
    json_object_set_new(root, "copies",
                        json_pack("{s:I, s:I, s:I}", "all", (json_int_t)f->n_copies, "of_another_patient",
                                  (json_int_t)f->n_copies_astray, "of_another_class", (json_int_t)f->n_copies_at_odds));
    json_object_set_new(root, "n_sizes", json_integer(f->n_sizes));
    json_object_set_new(root, "sizes", kinds_json(f->sizes, f->n_sizes, cli_size_text));
    json_object_set_new(root, "formats", kinds_json(f->formats, f->n_formats, cli_format_text));
    json_object_set_new(root, "intensity", intensity_json(msfl_dataset_intensity_borrow(set)));
    json_object_set_new(root, "n_skipped", json_integer(info->n_skipped));
    json_object_set_new(root, "skipped", skipped);
    json_object_set_new(root, "n_ignored", json_integer(info->n_ignored));
    json_object_set_new(root, "traits", traits);
    json_object_set(root, "warnings", warnings);
    char *text;
    msfl_status status = msfl_json_text(root, false, &text);
    json_decref(root);
    if (status != MSFL_OK) return status;
    puts(text);
    msfl_free(text);
    return MSFL_OK;
}

/* --- the page for people --- */

static void print_line(const char *name, const char *text) {
    printf("%-12s", name);
    cli_print_safely(stdout, text);
    putchar('\n');
}

static void print_kinds(const char *name, const cli_kind_facts *kinds, uint32_t n,
                        char *(*text_of)(uint64_t, char[64])) {
    char text[64];
    printf("%-12s", name);
    for (uint32_t i = 0; i < n && i < SHOWN_MAX; i++)
        printf("%s%s (%u)", i > 0 ? "; " : "", text_of(kinds[i].key, text), kinds[i].images);
    if (n > SHOWN_MAX) printf("; and %u others", n - SHOWN_MAX);
    putchar('\n');
}

static void print_histogram(const msfl_intensity *m) {
    uint64_t most = 1;
    for (int i = 0; i < MSFL_HISTOGRAM_BINS; i++)
        if (m->histogram[i] > most) most = m->histogram[i];
    char row[MSFL_HISTOGRAM_BINS * 4] = "";
    size_t n = 0;
    for (int i = 0; i < MSFL_HISTOGRAM_BINS; i++)
        n += (size_t)snprintf(row + n, sizeof row - n, "%s", cli_block((double)m->histogram[i] / (double)most));
    printf("%-12sdark %s bright\n", "", row);
}

static msfl_status print_classes(const msfl_dataset *set, const cli_data_facts *f) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    static const char *const headings[] = {"class", ">images", ">share",      ">patients",
                                           "",      ">train",  ">validation", ">test"};
    cli_table *table;
    size_t n_columns = info->has_split ? 8 : 5;
    msfl_status status = cli_table_new(headings, n_columns, &table);
    if (status != MSFL_OK) return status;
    for (uint32_t k = 0; k < f->n_classes; k++) {
        const cli_class_facts *c = &f->classes[k];
        char bar[CLI_BAR_BYTES];
        cli_table_cell(table, "%s", msfl_dataset_class_name(set, k));
        cli_table_cell(table, "%u", c->images);
        cli_table_cell(table, "%.1f %%", 100.0 * c->images / info->n_images);
        cli_table_cell(table, "%u", c->patients);
        cli_table_cell(table, "%s", cli_bar((double)c->images / info->n_images, 20, bar));
        for (int p = 1; p < CLI_PARTS && info->has_split; p++)
            cli_table_cell(table, "%u", c->by_part[p]);
    }
    cli_table_print(table, stdout);
    cli_table_free(table);
    return MSFL_OK;
}

static msfl_status print_page(const msfl_dataset *set, const cli_data_facts *f, const json_t *warnings) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    const msfl_intensity *m = msfl_dataset_intensity_borrow(set);
    print_line("data", info->source);
    char channels[32], slices[24] = "";
    if (info->depth > 1) snprintf(slices, sizeof slices, " x %u", info->depth);
    snprintf(channels, sizeof channels, "of %u channels", info->channels);
    const char *what = info->channels == 1 ? "grey" : info->channels == 3 && info->shown == 0 ? "RGB" : channels;
    printf("%-12s%u, as %u x %u%s %s of %u bits (%s)\n", "images", info->n_images, info->width, info->height, slices,
           what, info->bits, info->kind);
    print_line("classes by", info->label_key);
    if (info->group_key == NULL) {
        print_line("patients", "unknown; every image stands alone");
    } else {
        printf("%-12s%u, by ", "patients", info->n_groups);
        cli_print_safely(stdout, info->group_key);
        if (f->visits_max == 1) {
            puts("; one image each");
        } else {
            printf("; %u to %u images each, median %u\n", f->visits_min, f->visits_max, f->visits_median);
        }
    }
    if (info->has_masks) printf("%-12svalues 0 to %u\n", "masks", msfl_dataset_mask_classes(set) - 1);
    print_line("split", info->has_split ? "the source's own" : "none at the source");
    putchar('\n');
    msfl_status status = print_classes(set, f);
    if (status != MSFL_OK) return status;
    putchar('\n');
    print_kinds("sizes", f->sizes, f->n_sizes, cli_size_text);
    print_kinds("kinds", f->formats, f->n_formats, cli_format_text);
    if (info->conversion != NULL) print_line("converted", info->conversion);
    printf("%-12smean %.3f, deviation %.3f, from %.3f to %.3f of full scale\n", "intensity", m->mean, m->deviation,
           m->minimum, m->maximum);
    print_histogram(m);
    if (f->n_copies > 0) printf("%-12s%u images are exact copies of another\n", "copies", f->n_copies);
    if (info->n_ignored > 0) {
        printf("%-12s%u hidden or other files\n", "left aside", info->n_ignored);
    }
    if (info->n_skipped > 0) {
        printf("%-12s%u broken or unlabelled images\n", "skipped", info->n_skipped);
        for (uint32_t i = 0; i < SHOWN_MAX && msfl_dataset_skipped(set, i) != NULL; i++)
            print_line("", msfl_dataset_skipped(set, i));
        if (info->n_skipped > SHOWN_MAX)
            printf("%-12sand %u others (--json lists them)\n", "", info->n_skipped - SHOWN_MAX);
    }
    size_t i;
    const json_t *warning;
    if (json_array_size(warnings) > 0) putchar('\n');
    json_array_foreach(warnings, i, warning) print_line("warning", json_string_value(warning));
    return MSFL_OK;
}

msfl_status cli_data_inspect(const msfl_dataset *set, bool json) {
    cli_data_facts facts;
    msfl_status status = cli_data_facts_new(set, &facts);
    if (status != MSFL_OK) return status;
    json_t *warnings = json_array();
    status = collect_warnings(set, &facts, warnings);
    if (status == MSFL_OK) status = json ? print_json(set, &facts, warnings) : print_page(set, &facts, warnings);
    json_decref(warnings);
    cli_data_facts_clear(&facts);
    return status;
}
