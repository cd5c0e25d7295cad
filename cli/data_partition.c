/* medsecurefl data partition: what each simulated hospital would hold. */
#include "base/error.h"
#include "base/mem.h"
#include "cmd_data.h"
#include "table.h"
#include "text/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* More classes than this get numbers without bars, so that a row stays readable. */
enum { CLASSES_WITH_BARS = 6, BAR_WIDTH = 8 };

typedef struct deal {
    const msfl_dataset *set;
    const cli_data_partition_options *options;
    msfl_split split;
    msfl_indices images; /* training and validation together: what hospitals hold */
    msfl_indices *hospitals;
    uint32_t *counts; /* hospitals x classes */
    uint32_t *patients;
    uint8_t *is_validation;
    uint8_t *seen; /* by patient */
} deal;

static void deal_clear(deal *d) {
    for (uint32_t c = 0; d->hospitals != NULL && c < d->options->n_clients; c++)
        msfl_indices_clear(&d->hospitals[c]);
    msfl_free(d->hospitals);
    msfl_free(d->counts);
    msfl_free(d->patients);
    msfl_free(d->is_validation);
    msfl_free(d->seen);
    msfl_indices_clear(&d->images);
    msfl_split_clear(&d->split);
}

static void count(deal *d) {
    uint32_t n_classes = msfl_dataset_info_borrow(d->set)->n_classes;
    for (uint32_t c = 0; c < d->options->n_clients; c++) {
        const msfl_indices *h = &d->hospitals[c];
        for (uint32_t i = 0; i < h->n; i++) {
            uint8_t *mark = &d->seen[msfl_dataset_group(d->set, h->at[i])];
            d->counts[c * n_classes + msfl_dataset_label(d->set, h->at[i])]++;
            d->patients[c] += *mark == 0;
            *mark = 1;
        }
        for (uint32_t i = 0; i < h->n; i++)
            d->seen[msfl_dataset_group(d->set, h->at[i])] = 0;
    }
}

static msfl_status deal_out(deal *d) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(d->set);
    const cli_data_partition_options *o = d->options;
    msfl_status status = msfl_dataset_split(d->set, o->test_fraction, o->validation_fraction, o->seed, &d->split);
    if (status != MSFL_OK) return status;
    d->images.at = msfl_alloc(info->n_images, sizeof *d->images.at);
    d->hospitals = msfl_alloc(o->n_clients, sizeof *d->hospitals);
    d->counts = msfl_alloc((size_t)o->n_clients * info->n_classes, sizeof *d->counts);
    d->patients = msfl_alloc(o->n_clients, sizeof *d->patients);
    d->is_validation = msfl_alloc(info->n_images, 1);
    d->seen = msfl_alloc(info->n_groups, 1);
    if (d->images.at == NULL || d->hospitals == NULL || d->counts == NULL || d->patients == NULL ||
        d->is_validation == NULL || d->seen == NULL) {
        return MSFL_ERR_MEMORY;
    }
    /* In the order of the data set, as a simulation passes them on. */
    uint32_t t = 0, v = 0;
    while (t < d->split.train.n || v < d->split.validation.n) {
        bool train =
            v == d->split.validation.n || (t < d->split.train.n && d->split.train.at[t] < d->split.validation.at[v]);
        uint32_t image = train ? d->split.train.at[t++] : d->split.validation.at[v++];
        d->is_validation[image] = !train;
        d->images.at[d->images.n++] = image;
    }
    status =
        msfl_dataset_partition(d->set, &d->images, o->partition, o->n_clients, o->min_images, o->seed, d->hospitals);
    if (status == MSFL_OK) count(d);
    return status;
}

static uint32_t count_validation(const deal *d, uint32_t hospital) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->hospitals[hospital].n; i++)
        n += d->is_validation[d->hospitals[hospital].at[i]];
    return n;
}

/* Half the sum of the differences between a hospital's class shares and everyone's, weighted by images: 0 when all are
 * alike, towards 1 when each has classes of its own. */
static double label_skew(const deal *d) {
    uint32_t n_classes = msfl_dataset_info_borrow(d->set)->n_classes;
    double sum = 0;
    for (uint32_t k = 0; k < n_classes; k++) {
        double all = 0;
        for (uint32_t c = 0; c < d->options->n_clients; c++)
            all += d->counts[c * n_classes + k];
        for (uint32_t c = 0; c < d->options->n_clients; c++)
            sum += fabs(d->counts[c * n_classes + k] - all * d->hospitals[c].n / d->images.n);
    }
    return 0.5 * sum / d->images.n;
}

static msfl_status print_json(const deal *d) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(d->set);
    json_t *classes = json_array(), *hospitals = json_array();
    for (uint32_t k = 0; k < info->n_classes; k++)
        json_array_append_new(classes, msfl_json_string(msfl_dataset_class_name(d->set, k)));
    for (uint32_t c = 0; c < d->options->n_clients; c++) {
        json_t *counts = json_array();
        for (uint32_t k = 0; k < info->n_classes; k++)
            json_array_append_new(counts, json_integer(d->counts[c * info->n_classes + k]));
        uint32_t validation = count_validation(d, c);
        json_array_append_new(hospitals,
                              json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "hospital", (json_int_t)c + 1, "images",
                                        (json_int_t)d->hospitals[c].n, "patients", (json_int_t)d->patients[c], "train",
                                        (json_int_t)(d->hospitals[c].n - validation), "validation",
                                        (json_int_t)validation, "counts", counts));
    }
    json_t *root = json_object();
    json_object_set_new(root, "source", msfl_json_string(info->source));
    json_object_set_new(root, "partition", json_string(d->options->partition));
    json_object_set_new(root, "clients", json_integer(d->options->n_clients));
    json_object_set_new(root, "seed", json_integer((json_int_t)d->options->seed));
    json_object_set_new(root, "split",
                        json_pack("{s:I, s:I, s:I, s:s}", "train", (json_int_t)d->split.train.n, "validation",
                                  (json_int_t)d->split.validation.n, "test", (json_int_t)d->split.test.n, "how",
                                  d->split.how));
    json_object_set_new(root, "classes", classes);
    json_object_set_new(root, "label_skew", json_real(label_skew(d)));
    json_object_set_new(root, "hospitals", hospitals);
    char *text;
    msfl_status status = msfl_json_text(root, false, &text);
    json_decref(root);
    if (status != MSFL_OK) return status;
    puts(text);
    msfl_free(text);
    return MSFL_OK;
}

static msfl_status print_table(const deal *d) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(d->set);
    bool bars = info->n_classes <= CLASSES_WITH_BARS;
    size_t per_class = bars ? 2 : 1, n_columns = 3 + per_class * info->n_classes;
    const char **headings = msfl_alloc(n_columns, sizeof *headings);
    char **names = msfl_alloc(info->n_classes, sizeof *names);
    cli_table *table = NULL;
    msfl_status status = MSFL_ERR_MEMORY;
    if (headings == NULL || names == NULL) goto done;
    headings[0] = "hospital";
    headings[1] = ">patients";
    headings[2] = ">images";
    uint32_t most = 1;
    for (uint32_t k = 0; k < info->n_classes; k++) {
        names[k] = msfl_format(">%.16s", msfl_dataset_class_name(d->set, k));
        if (names[k] == NULL) goto done;
        headings[3 + per_class * k] = names[k];
        if (bars) headings[4 + per_class * k] = "";
        for (uint32_t c = 0; c < d->options->n_clients; c++) {
            uint32_t n = d->counts[c * info->n_classes + k];
            if (n > most) most = n;
        }
    }
    status = cli_table_new(headings, n_columns, &table);
    if (status != MSFL_OK) goto done;
    for (uint32_t c = 0; c < d->options->n_clients; c++) {
        cli_table_cell(table, "%u", c + 1);
        cli_table_cell(table, "%u", d->patients[c]);
        cli_table_cell(table, "%u", d->hospitals[c].n);
        for (uint32_t k = 0; k < info->n_classes; k++) {
            char bar[CLI_BAR_BYTES];
            uint32_t n = d->counts[c * info->n_classes + k];
            cli_table_cell(table, "%u", n);
            if (bars) cli_table_cell(table, "%s", cli_bar((double)n / most, BAR_WIDTH, bar));
        }
    }
    printf("%s, %u hospitals, seed %llu\n", d->options->partition, d->options->n_clients,
           (unsigned long long)d->options->seed);
    printf("split %s: %u images for training, %u for validation (both dealt out), %u for testing\n\n", d->split.how,
           d->split.train.n, d->split.validation.n, d->split.test.n);
    cli_table_print(table, stdout);
    printf("\nlabel skew %.3f (0: all hospitals alike; towards 1: each has classes of its own)\n", label_skew(d));
done:
    cli_table_free(table);
    for (uint32_t k = 0; names != NULL && k < info->n_classes; k++)
        msfl_free(names[k]);
    msfl_free(names);
    msfl_free(headings);
    return status;
}

msfl_status cli_data_partition(const msfl_dataset *set, const cli_data_partition_options *options, bool json) {
    deal d = {.set = set, .options = options};
    msfl_status status = deal_out(&d);
    if (status == MSFL_OK) status = json ? print_json(&d) : print_table(&d);
    deal_clear(&d);
    return status;
}
