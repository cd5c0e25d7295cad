#include "base/error.h"
#include "cmd.h"
#include "columns.h"
#include "medsecurefl/scheme.h"
#include "medsecurefl/simulate.h"
#include "table.h"
#include "terminal.h"
#include "text/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Options as words, before they become the library's. */
typedef struct words {
    const char *scheme, *normalise, *optimizer, *compare, *keep;
    bool json, quiet, no_augment;
    double learning_rate, momentum, weight_decay;
} words;

static msfl_status choose(const char *option, const char *word, const char *const *names, size_t n, int *out) {
    for (size_t i = 0; i < n; i++) {
        if (strcmp(word, names[i]) == 0) {
            *out = (int)i;
            return MSFL_OK;
        }
    }
    char all[128] = "";
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", names[i]);
    }
    return msfl_fail(MSFL_ERR_USAGE, "--%s is %s, not '%s'", option, all, word);
}

static msfl_status choose_compare(const char *word, uint32_t *out) {
    static const char *const names[] = {"none", "plain", "central", "alone", "all"};
    static const uint32_t bits[] = {0, MSFL_COMPARE_PLAIN, MSFL_COMPARE_CENTRAL, MSFL_COMPARE_ALONE, MSFL_COMPARE_ALL};
    *out = 0;
    for (const char *at = word; at != NULL;) {
        const char *comma = strchr(at, ',');
        char one[16];
        size_t length = comma != NULL ? (size_t)(comma - at) : strlen(at);
        if (length >= sizeof one) length = sizeof one - 1;
        memcpy(one, at, length);
        one[length] = 0;
        int i;
        msfl_status status = choose("compare", one, names, 5, &i);
        if (status != MSFL_OK) return status;
        *out |= bits[i];
        at = comma == NULL ? NULL : comma + 1;
    }
    return MSFL_OK;
}

static msfl_status apply(const words *w, msfl_simulate_options *o) {
    static const char *const normalisations[] = {"image", "set", "none"};
    static const char *const optimizers[] = {"sgd", "adam"}, *const keeps[] = {"best", "last"};
    int i = 0;
    const msfl_scheme *scheme;
    msfl_status status = msfl_scheme_find(w->scheme, &scheme);
    if (status != MSFL_OK) return msfl_fail_in(status, "--scheme");
    o->scheme = msfl_scheme_name(scheme);
    status = choose("normalise", w->normalise, normalisations, 3, &i);
    if (status != MSFL_OK) return status;
    o->normalise = (msfl_normalise)i;
    status = choose("optimizer", w->optimizer, optimizers, 2, &i);
    if (status != MSFL_OK) return status;
    int optimizer = i;
    status = choose("keep", w->keep, keeps, 2, &i);
    if (status != MSFL_OK) return status;
    o->keep_last = i == 1;
    o->train.optimizer = optimizer == 0 ? MSFL_SGD : MSFL_ADAM;
    o->train.learning_rate = (float)w->learning_rate;
    o->train.momentum = (float)w->momentum;
    o->train.weight_decay = (float)w->weight_decay;
    o->augment = !w->no_augment;
    return choose_compare(w->compare, &o->compare);
}

/* --- the table on stdout --- */

static double figure(const json_t *object, const char *name) {
    const json_t *v = json_object_get(object, name);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void add_image_row(cli_table *table, const char *label, const json_t *m) {
    static const char *const names[] = {"accuracy", "balanced_accuracy", "sensitivity", "specificity", "f1"};
    if (!json_is_object(m)) return;
    char auc[64];
    const json_t *interval = json_object_get(json_object_get(m, "intervals"), "auc");
    if (json_is_array(interval)) {
        snprintf(auc, sizeof auc, "%.4f [%.4f, %.4f]", figure(m, "auc"), json_number_value(json_array_get(interval, 0)),
                 json_number_value(json_array_get(interval, 1)));
    } else {
        snprintf(auc, sizeof auc, "%.4f", figure(m, "auc"));
    }
    cli_table_cell(table, "%s", label);
    cli_table_cell(table, "%s", auc);
    for (int i = 0; i < 5; i++)
        cli_table_cell(table, "%.4f", figure(m, names[i]));
}

static const char *with_interval(const json_t *m, const char *name, const char *format, char text[80]) {
    const json_t *interval = json_object_get(json_object_get(m, "intervals"), name);
    double low = json_number_value(json_array_get(interval, 0)), high = json_number_value(json_array_get(interval, 1));
    if (isnan(figure(m, name))) return "-"; /* not defined, as a distance to a mask that is empty */
    int used = snprintf(text, 80, format, figure(m, name));
    if (json_is_number(json_array_get(interval, 0)) && used > 0 && used < 40) {
        char ends[2][16];
        snprintf(ends[0], sizeof ends[0], format, low);
        snprintf(ends[1], sizeof ends[1], format, high);
        snprintf(text + used, 80 - (size_t)used, " [%s, %s]", ends[0], ends[1]);
    }
    return text;
}

/* Masks have figures of their own. */
static void add_mask_row(cli_table *table, const char *label, const json_t *m) {
    char text[80];
    if (!json_is_object(m)) return;
    cli_table_cell(table, "%s", label);
    cli_table_cell(table, "%s", with_interval(m, "dice", "%.4f", text));
    cli_table_cell(table, "%s", with_interval(m, "hausdorff95", "%.2f", text));
    cli_table_cell(table, "%.4f", figure(m, "accuracy"));
}

static msfl_status print_summary(const json_t *r, const char *out) {
    static const char *const of_images[] = {"on the test images", "AUC [95 % interval]", ">accuracy", ">balanced",
                                            ">sensitivity",       ">specificity",        ">F1"};
    const char *of_masks[] = {"on the test images", "Dice [95 % interval]", "Hausdorff-95 (pixels)", ">right pixels"};
    const bool masks = json_object_get(r, "task") != NULL;
    const char *unit = json_string_value(json_object_get(json_object_get(r, "encrypted"), "hausdorff95_unit"));
    if (unit != NULL && strcmp(unit, "mm") == 0) of_masks[2] = "Hausdorff-95 (mm)";
    cli_table *table;
    msfl_status status = cli_table_new(masks ? of_masks : of_images, masks ? 4 : 7, &table);
    if (status != MSFL_OK) return status;
    void (*add_row)(cli_table *, const char *, const json_t *) = masks ? add_mask_row : add_image_row;
    add_row(table, "encrypted federated", json_object_get(r, "encrypted"));
    add_row(table, "plain federated (NOT encrypted)", json_object_get(r, "plain"));
    add_row(table, "hospitals' own models, mean", json_object_get(r, "personal"));
    add_row(table, "centralised", json_object_get(r, "central"));
    add_row(table, "hospitals alone, mean", json_object_get(r, "alone_mean"));
    cli_table_print(table, stdout);
    cli_table_free(table);
    if (!masks && json_array_size(json_object_get(json_object_get(r, "data"), "classes")) > 2) {
        puts("\nAUC, sensitivity, specificity and F1 are means over the classes, each against the rest");
    }
    const bool packed = json_is_true(json_object_get(r, "sum_exact"));
    if (json_is_boolean(json_object_get(r, "sum_exact"))) {
        printf("\nencrypted sums equal the plaintext sums of the quantised updates bit for bit: %s\n",
               packed ? "yes, in every round" : "NO");
        double up = figure(r, "bytes_ciphertext_per_client_round"), plain = figure(r, "bytes_float32");
        printf(
            "ciphertext per hospital and round: %.0f bytes, %.2f x plaintext float32 (%.0f bytes); key bundles %.0f, "
            "headers %.0f\n",
            up, up / plain, plain, figure(r, "bytes_bundle_per_client_round"),
            figure(r, "bytes_header_per_client_round"));
        printf("encryption, folding and opening: %.2f %% of the rounds' time\n",
               100 * figure(r, "crypto_share_of_round"));
    } else {
        printf("\nscheme 'plain': the updates were NOT encrypted\n");
    }
    const json_t *t = json_object_get(r, "temperature");
    if (t != NULL) {
        printf(
            "temperature %.2f (agg_model_calibrated.h5): calibration error on the test images %.4f, without it %.4f\n",
            figure(t, "value"), figure(t, "calibration_after"), figure(t, "calibration_before"));
    }
    printf("peak memory: %.0f MiB\n", figure(r, "peak_rss_bytes") / 1048576.0);
    const json_t *warning;
    size_t i;
    json_array_foreach(json_object_get(r, "warnings"), i, warning) {
        printf("warning: ");
        cli_print_safely(stdout, json_string_value(warning));
        putchar('\n');
    }
    printf("\nmodel   %s/agg_model.h5\nreport  %s/report.html\n", out, out);
    return MSFL_OK;
}

/* --resume without --data takes the options of the run that is there: naming others would be without effect. */
static msfl_status check_resume(int argc, char **argv) {
    static const char *const allowed[] = {"out",    "resume",  "threads",  "json",           "quiet",
                                          "scheme", "custody", "delivery", "allow-two-sites"};
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) continue;
        size_t length = strcspn(argv[i] + 2, "=");
        bool fine = false;
        for (size_t k = 0; k < sizeof allowed / sizeof allowed[0]; k++) {
            fine = fine || (strlen(allowed[k]) == length && memcmp(allowed[k], argv[i] + 2, length) == 0);
        }
        if (!fine) {
            return msfl_fail(
                MSFL_ERR_USAGE,
                "%.*s: with --resume, give either every option of the run again, --data among them, or none",
                (int)(length + 2), argv[i]);
        }
    }
    return MSFL_OK;
}

/* The command line as it was, for the report. */
static void join(int argc, char **argv, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "medsecurefl simulate");
    for (int i = 0; i < argc && used < size; i++) {
        const bool quote = strpbrk(argv[i], " \t'\"$*?") != NULL;
        used += (size_t)snprintf(text + used, size - used, quote ? " '%s'" : " %s", argv[i]);
    }
}

msfl_status cmd_simulate(int argc, char **argv) {
    msfl_simulate_options o = msfl_simulate_options_default();
    words w = {.scheme = "packed",
               .normalise = "image",
               .optimizer = o.train.optimizer == MSFL_SGD ? "sgd" : "adam",
               .compare = "all",
               .keep = "best",
               .learning_rate = o.train.learning_rate,
               .momentum = o.train.momentum,
               .weight_decay = o.train.weight_decay};
    double smoothing = 0, focal = 0, dice = o.train.dice, proximal = 0;
    o.data = NULL;
    const cli_option options[] = {{"data", CLI_TEXT, &o.data, 0, 0},
                                  {"clients", CLI_U32, &o.n_clients, 1, 1e6},
                                  {"rounds", CLI_U32, &o.n_rounds, 1, MSFL_SIMULATE_ROUNDS_MAX},
                                  {"partition", CLI_TEXT, &o.partition, 0, 0},
                                  {"label", CLI_TEXT, &o.label, 0, 0},
                                  {"recipe", CLI_TEXT, &o.recipe, 0, 0},
                                  {"labels", CLI_TEXT, &o.labels, 0, 0},
                                  {"patient", CLI_TEXT, &o.patient, 0, 0},
                                  {"masks", CLI_TEXT, &o.masks, 0, 0},
                                  {"data-key", CLI_TEXT, &o.data_key, 0, 0},
                                  {"shift", CLI_TEXT, &o.shift, 0, 0},
                                  {"model", CLI_TEXT, &o.model, 0, 0},
                                  {"scheme", CLI_TEXT, &w.scheme, 0, 0},
                                  {"custody", CLI_TEXT, &o.custody, 0, 0},
                                  {"delivery", CLI_TEXT, &o.delivery, 0, 0},
                                  {"bits", CLI_U32, &o.value_bits, 2, 32},
                                  {"security", CLI_U32, &o.security_bits, 128, 256},
                                  {"clip", CLI_F64, &o.clip, 0, 1e6},
                                  {"local-epochs", CLI_U32, &o.train.n_epochs, 1, 1000},
                                  {"local-steps", CLI_U32, &o.train.n_steps, 1, 1e6},
                                  {"logit-adjust", CLI_F64, &o.logit_adjustment, 0, 10},
                                  {"aggregate", CLI_TEXT, &o.aggregate, 0, 0},
                                  {"server-lr", CLI_F64, &o.server_learning_rate, 1e-9, 100},
                                  {"average-rounds", CLI_U32, &o.average_rounds, 0, MSFL_SIMULATE_ROUNDS_MAX},
                                  {"views", CLI_U32, &o.n_views, 1, MSFL_VIEWS_MAX},
                                  {"keep", CLI_TEXT, &w.keep, 0, 0},
                                  {"schedule", CLI_TEXT, &o.schedule, 0, 0},
                                  {"batch", CLI_U32, &o.train.batch, 1, 1024},
                                  {"optimizer", CLI_TEXT, &w.optimizer, 0, 0},
                                  {"lr", CLI_F64, &w.learning_rate, 1e-9, 100},
                                  {"momentum", CLI_F64, &w.momentum, 0, 0.9999},
                                  {"weight-decay", CLI_F64, &w.weight_decay, 0, 1},
                                  {"label-smoothing", CLI_F64, &smoothing, 0, 0.5},
                                  {"patience", CLI_U32, &o.patience, 0, 10000},
                                  {"plateau-patience", CLI_U32, &o.plateau_patience, 0, 10000},
                                  {"plateau-factor", CLI_F64, &o.plateau_factor, 0.01, 1},
                                  {"size", CLI_U32, &o.size, 8, 1024},
                                  {"channels", CLI_U32, &o.channels, 1, 3},
                                  {"normalise", CLI_TEXT, &w.normalise, 0, 0},
                                  {"augment", CLI_TEXT, &o.augmentation, 0, 0},
                                  {"balance", CLI_FLAG, &o.balance, 0, 0},
                                  {"focal", CLI_F64, &focal, 0, 10},
                                  {"dice", CLI_F64, &dice, 0, 100},
                                  {"proximal", CLI_F64, &proximal, 0, 1000},
                                  {"norms", CLI_TEXT, &o.norms, 0, 0},
                                  {"no-augment", CLI_FLAG, &w.no_augment, 0, 0},
                                  {"flip-horizontal", CLI_FLAG, &o.flip_horizontal, 0, 0},
                                  {"refuse-bad", CLI_FLAG, &o.refuse_bad, 0, 0},
                                  {"phantom-images", CLI_U32, &o.phantom_images, 20, 1e6},
                                  {"test-fraction", CLI_F64, &o.test_fraction, 0.01, 0.8},
                                  {"validation-fraction", CLI_F64, &o.validation_fraction, 0, 0.5},
                                  {"compare", CLI_TEXT, &w.compare, 0, 0},
                                  {"bootstrap", CLI_U32, &o.n_bootstrap, 0, 10000},
                                  {"allow-two-sites", CLI_FLAG, &o.allow_two_sites, 0, 0},
                                  {"seed", CLI_U64, &o.seed, 0, 0x1p53},
                                  {"threads", CLI_U32, &o.n_threads, 0, 256},
                                  {"out", CLI_TEXT, &o.out, 0, 0},
                                  {"resume", CLI_FLAG, &o.resume, 0, 0},
                                  {"json", CLI_FLAG, &w.json, 0, 0},
                                  {"quiet", CLI_FLAG, &w.quiet, 0, 0},
                                  {0}};
    msfl_status status = cli_parse(argc, argv, options, NULL, 0, NULL);
    if (status == MSFL_OK) status = apply(&w, &o);
    if (status != MSFL_OK) return status;
    o.train.label_smoothing = (float)smoothing;
    o.train.focal = (float)focal;
    o.train.dice = (float)dice;
    o.train.proximal = (float)proximal;
    char command[2048];
    join(argc, argv, command, sizeof command);
    o.command = command;
    if (o.data == NULL && o.resume) status = check_resume(argc, argv);
    if (status != MSFL_OK) return status;
    if (o.data == NULL && !o.resume) {
        return msfl_fail(MSFL_ERR_USAGE, "name the images: --data DIR, --data FILE.npz, or --data phantom");
    }
    cli_terminal *terminal = cli_terminal_new(NULL, o.n_clients, w.quiet);
    const msfl_observer observer = {.observe = cli_terminal_observe, .ctx = terminal, .cancel = cli_cancel_flag()};
    o.observer = &observer;
    char *text = NULL;
    json_t *result = NULL;
    status = msfl_simulate(&o, &text);
    cli_terminal_free(terminal);
    if (status != MSFL_OK) return status;
    if (w.json) {
        puts(text);
    } else {
        status = msfl_json_parse("the result", text, strlen(text), SIZE_MAX, &result);
        if (status == MSFL_OK) status = print_summary(result, o.out);
    }
    json_decref(result);
    msfl_text_free(text);
    return status;
}
